package store

import (
	"context"
	"errors"
)

// Status is the state of a database and of its schema.
type Status struct {
	Engine     string      `json:"engine"`
	Location   string      `json:"location"` // without a password
	Version    int64       `json:"version"`  // of the schema
	Latest     int64       `json:"latest"`   // that this program knows
	Bytes      int64       `json:"bytes"`
	Migrations []Migration `json:"migrations"`
}

// Migration is one step of the schema.
type Migration struct {
	Version int64  `json:"version"`
	Name    string `json:"name"`
	Applied bool   `json:"applied"`
}

// Current reports whether the schema is the one that this program speaks.
func (s Status) Current() bool { return s.Version == s.Latest }

// Inspect tells the state of a database without changing it, whatever version
// its schema has; that of a SQLite file that is not there yet is version 0.
func Inspect(ctx context.Context, o Options) (Status, error) {
	if e, err := parseDSN(o.DSN); err == nil && !e.exists() {
		status := newStatus(e)
		return status, nil
	}
	s, err := connect(ctx, o)
	if err != nil {
		return Status{}, err
	}
	status, err := s.Status(ctx)
	return status, errors.Join(err, s.Close())
}

// Status tells the state of the database.
func (s *Store) Status(ctx context.Context) (Status, error) {
	const op = "read status"
	status := newStatus(s.engine)
	var err error
	if status.Version, err = s.version(ctx); err != nil {
		return status, s.fault(err, op, status.Location)
	}
	for i := range status.Migrations {
		status.Migrations[i].Applied = status.Migrations[i].Version <= status.Version
	}
	status.Bytes, err = s.engine.size(ctx, s.db)
	return status, s.fault(err, op, status.Location)
}

func newStatus(e engine) Status {
	known := steps(e)
	return Status{Engine: e.name(), Location: e.location(), Latest: newest(known), Migrations: known}
}
