package store

import (
	"context"
	"database/sql"
	"embed"
	"errors"
	"fmt"
	"io/fs"
	"strconv"
	"strings"
	"time"

	"github.com/pressly/goose/v3"

	"github.com/postureproject/posture/fault"
)

//go:embed migrations/sqlite/*.sql migrations/postgres/*.sql
var migrations embed.FS

// versionTable is where goose notes what it has applied.
const versionTable = "goose_db_version"

// lockID is the PostgreSQL advisory lock that whoever migrates holds.
const lockID = 0x706f7374757265 // "posture"

// Migrate brings the schema up to date and tells the state that it is then in.
func Migrate(ctx context.Context, o Options) (Status, error) {
	o.NoMigrate = false
	s, err := Open(ctx, o)
	if err != nil {
		return Status{}, err
	}
	status, err := s.Status(ctx)
	return status, errors.Join(err, s.Close())
}

// migrate applies what is missing, each migration in a transaction of its own,
// so that a process that dies in the middle leaves the last whole one.
func (s *Store) migrate(ctx context.Context) error {
	const op = "migrate"
	provider, err := s.provider()
	if err != nil {
		return s.fault(err, op, s.engine.location())
	}
	latest := newest(steps(s.engine))
	for before := int64(-1); ; {
		version, err := s.version(ctx)
		if err != nil {
			return s.fault(err, op, s.engine.location())
		}
		if version > latest {
			return tooNew(version, latest)
		}
		if version == latest {
			return nil
		}
		applied, err := provider.Up(ctx)
		for _, m := range applied {
			s.logger.InfoContext(ctx, "schema migrated", "version", m.Source.Version, "seconds", m.Duration.Seconds())
		}
		if err == nil {
			continue // see that it is so
		}
		// SQLite has no lock that spans transactions: another program may have
		// applied the same migration between our look and our try. Then the
		// version has moved on, and it is enough to look again.
		after, versionErr := s.version(ctx)
		if versionErr != nil || after <= max(version, before) {
			return s.fault(err, op, s.engine.location())
		}
		before = version
	}
}

// checkSchema refuses a schema that this program does not speak.
func (s *Store) checkSchema(ctx context.Context) error {
	version, err := s.version(ctx)
	if err != nil {
		return s.fault(err, "check schema", s.engine.location())
	}
	switch latest := newest(steps(s.engine)); {
	case version > latest:
		return tooNew(version, latest)
	case version < latest:
		return &fault.Error{
			Kind: fault.Conflict, Source: "store", Op: "check schema",
			Message: fmt.Sprintf("the database has schema version %d, this program needs version %d", version, latest),
			Remedy:  "run posture db migrate",
		}
	}
	return nil
}

func tooNew(version, latest int64) error {
	return &fault.Error{
		Kind: fault.Conflict, Source: "store", Op: "check schema",
		Message: fmt.Sprintf("the database has schema version %d, this program knows versions up to %d", version, latest),
		Remedy:  "run the posture that made it, or a newer one; to stay with this one, restore a backup from before the upgrade",
	}
}

func (s *Store) provider() (*goose.Provider, error) {
	folder, err := fs.Sub(migrations, "migrations/"+s.engine.name())
	if err != nil {
		return nil, err
	}
	options := []goose.ProviderOption{goose.WithDisableGlobalRegistry(true)}
	dialect := goose.DialectSQLite3
	if s.engine.name() == "postgres" {
		dialect = goose.DialectPostgres
		options = append(options, goose.WithSessionLocker(advisoryLock{}))
	}
	return goose.NewProvider(dialect, s.writer, folder, options...)
}

// steps lists the migrations that this program knows, oldest first.
func steps(e engine) []Migration {
	files, err := migrations.ReadDir("migrations/" + e.name())
	if err != nil {
		return nil // they are part of the program
	}
	known := make([]Migration, 0, len(files))
	for _, f := range files {
		number, name, _ := strings.Cut(strings.TrimSuffix(f.Name(), ".sql"), "_")
		version, err := strconv.ParseInt(number, 10, 64)
		if err == nil {
			known = append(known, Migration{Version: version, Name: name})
		}
	}
	return known
}

// newest is the last version that this program knows.
func newest(known []Migration) int64 {
	if len(known) == 0 {
		return 0
	}
	return known[len(known)-1].Version
}

// version is the schema's version, 0 for an empty database.
func (s *Store) version(ctx context.Context) (int64, error) {
	exists := "SELECT count(*) FROM sqlite_schema WHERE type = 'table' AND name = $1"
	if s.engine.name() == "postgres" {
		exists = "SELECT count(to_regclass($1))"
	}
	var n, version int64
	if err := s.writer.QueryRowContext(ctx, exists, versionTable).Scan(&n); err != nil || n == 0 {
		return 0, err
	}
	err := s.writer.QueryRowContext(ctx, "SELECT coalesce(max(version_id), 0) FROM "+versionTable).Scan(&version)
	return version, err
}

// advisoryLock makes those who migrate one PostgreSQL database wait for each
// other. The server frees it when a connection ends, however it ends.
type advisoryLock struct{}

func (advisoryLock) SessionLock(ctx context.Context, conn *sql.Conn) error {
	_, err := conn.ExecContext(ctx, "SELECT pg_advisory_lock($1)", int64(lockID))
	return err
}

func (advisoryLock) SessionUnlock(ctx context.Context, conn *sql.Conn) error {
	ctx, cancel := context.WithTimeout(ctx, 5*time.Second)
	defer cancel()
	_, err := conn.ExecContext(ctx, "SELECT pg_advisory_unlock($1)", int64(lockID))
	return err
}
