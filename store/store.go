package store

import (
	"context"
	"database/sql"
	"errors"
	"log/slog"
	"time"
)

// Options say which database to use and how.
type Options struct {
	// DSN is "sqlite:PATH" or a PostgreSQL connection string that begins with
	// "postgres://" or "postgresql://".
	DSN string
	// Logger is told of migrations and of repeated transactions. Nil discards.
	Logger *slog.Logger
	// Now is the clock, for tests. Nil means [time.Now].
	Now func() time.Time
	// NoMigrate leaves the schema as it is; Open then refuses one that is older
	// than this program's.
	NoMigrate bool
}

// Store is an open database. Its methods may be called by many goroutines.
type Store struct {
	engine engine
	// db is for reading; on SQLite it cannot write.
	db *sql.DB
	// writer is for writing. On SQLite it has one connection, because one
	// transaction at a time may write there; on PostgreSQL it is db.
	writer *sql.DB
	codec  codec
	logger *slog.Logger
	now    func() time.Time
	outbox outboxRoom
	health health

	statements statements
}

// Open opens the database and brings its schema up to date, so that a new
// SQLite file needs no setting up. Several programs may open one database at
// once. It refuses a schema newer than it knows, with an error of kind Conflict,
// and an address it cannot read, with one of kind Invalid.
func Open(ctx context.Context, o Options) (*Store, error) {
	s, err := connect(ctx, o)
	if err != nil {
		return nil, err
	}
	if o.NoMigrate {
		err = s.checkSchema(ctx)
	} else {
		err = s.migrate(ctx)
	}
	if err != nil {
		return nil, errors.Join(err, s.Close())
	}
	return s, nil
}

// connect opens the database with whatever schema it has.
func connect(ctx context.Context, o Options) (*Store, error) {
	e, err := parseDSN(o.DSN)
	if err != nil {
		return nil, err
	}
	s := &Store{engine: e, logger: o.Logger, now: o.Now}
	if s.logger == nil {
		s.logger = slog.New(slog.DiscardHandler)
	}
	if s.now == nil {
		s.now = time.Now
	}
	if s.codec, err = newCodec(); err != nil {
		return nil, err
	}
	if s.writer, s.db, err = e.open(); err != nil {
		return nil, s.fault(err, "open", e.location())
	}
	if err := s.writer.PingContext(ctx); err != nil {
		return nil, errors.Join(s.fault(err, "open", e.location()), s.Close())
	}
	return s, nil
}

// Close ends all connections. Calls under way end with an error.
func (s *Store) Close() error {
	// The writer goes last: the last connection to a SQLite file folds the
	// write-ahead log into it, and readers may not write.
	err := errors.Join(s.statements.close(), s.db.Close(), s.writer.Close())
	return s.fault(err, "close", s.engine.location())
}

// Ping reports whether the database answers.
func (s *Store) Ping(ctx context.Context) error {
	var one int
	return s.fault(s.db.QueryRowContext(ctx, "SELECT 1").Scan(&one), "ping", s.engine.location())
}

// Engine names the engine: "sqlite" or "postgres".
func (s *Store) Engine() string { return s.engine.name() }

// Location says where the database is, for people: a path, or host and database
// without a password.
func (s *Store) Location() string { return s.engine.location() }
