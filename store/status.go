package store

import (
	"context"
	"errors"
	"path"
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
// its schema has. (A SQLite file that does not exist is made, empty.)
func Inspect(ctx context.Context, o Options) (Status, error) {
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
	status := Status{Engine: s.engine.name(), Location: s.engine.location()}
	provider, err := s.provider()
	if err != nil {
		return status, s.fault(err, op, status.Location)
	}
	if status.Version, err = s.version(ctx); err != nil {
		return status, s.fault(err, op, status.Location)
	}
	status.Latest = newest(provider)
	for _, source := range provider.ListSources() {
		status.Migrations = append(status.Migrations, Migration{
			Version: source.Version, Name: path.Base(source.Path), Applied: source.Version <= status.Version,
		})
	}
	status.Bytes, err = s.engine.size(ctx, s.db)
	return status, s.fault(err, op, status.Location)
}
