package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"io/fs"
	"net/url"
	"os"
	"path/filepath"
	"runtime"
	"strings"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/stdlib"
	"modernc.org/sqlite"

	"github.com/postureproject/posture/fault"
)

// engine is what differs between the databases.
type engine interface {
	name() string
	location() string // without a password
	// exists reports whether there is something to open, as far as that can be
	// told without opening it.
	exists() bool
	open() (writer, reader *sql.DB, err error)
	// size is how many bytes the database takes.
	size(ctx context.Context, db *sql.DB) (int64, error)
	// backup writes a copy of the database to a file.
	backup(ctx context.Context, path string) error
}

const dsnRemedy = "write sqlite:PATH, or postgres://USER:PASSWORD@HOST:PORT/DATABASE"

func parseDSN(dsn string) (engine, error) {
	scheme, rest, ok := strings.Cut(dsn, ":")
	switch {
	case ok && scheme == "sqlite":
		return parseSQLite(rest)
	case ok && (scheme == "postgres" || scheme == "postgresql") && strings.HasPrefix(rest, "//"):
		return parsePostgres(dsn)
	default:
		// What was given may hold a password, so it is not repeated.
		return nil, fault.InvalidField("store.dsn", "", "names no database that can be used", dsnRemedy)
	}
}

// busyTimeout is how long a writer waits for another program that writes to the
// same SQLite file.
const busyTimeout = 10 * time.Second

// sqliteFile is a database in one file.
type sqliteFile struct{ path string }

func parseSQLite(path string) (engine, error) {
	path = strings.TrimPrefix(path, "//")
	if path == "" || strings.HasPrefix(path, ":memory:") || strings.ContainsAny(path, "?\x00") {
		return nil, fault.InvalidField("store.dsn", "sqlite:"+path, "is not the path of a file",
			"write sqlite:PATH, such as sqlite:/var/lib/posture/posture.db")
	}
	return sqliteFile{path: path}, nil
}

func (sqliteFile) name() string       { return "sqlite" }
func (f sqliteFile) location() string { return f.path }

func (f sqliteFile) exists() bool {
	_, err := os.Stat(f.path)
	return !errors.Is(err, fs.ErrNotExist)
}

// open gives one connection that writes and a pool that reads. The pragmas are
// in the address, so that every connection of a pool has them. With the
// write-ahead log readers never wait for the writer; with synchronous FULL each
// commit is flushed, so that what was accepted survives a power failure too.
func (f sqliteFile) open() (*sql.DB, *sql.DB, error) {
	if err := os.MkdirAll(filepath.Dir(f.path), 0o700); err != nil {
		return nil, nil, err
	}
	// SQLite gives the files beside it the mode of the database: private, since
	// it says who has which device.
	file, err := os.OpenFile(f.path, os.O_CREATE|os.O_RDWR, 0o600)
	if err != nil {
		return nil, nil, err
	}
	if err := file.Close(); err != nil {
		return nil, nil, err
	}
	writer, err := f.pool("immediate",
		"journal_mode(WAL)", "synchronous(FULL)", "foreign_keys(1)", "journal_size_limit(67108864)")
	if err != nil {
		return nil, nil, err
	}
	reader, err := f.pool("deferred", "query_only(1)", "cache_size(-8192)")
	if err != nil {
		return nil, nil, err
	}
	writer.SetMaxOpenConns(1)
	readers := max(4, 2*runtime.GOMAXPROCS(0))
	reader.SetMaxOpenConns(readers)
	reader.SetMaxIdleConns(readers)
	return writer, reader, nil
}

func (f sqliteFile) pool(txlock string, pragmas ...string) (*sql.DB, error) {
	q := url.Values{"_txlock": {txlock}}
	q.Add("_pragma", fmt.Sprintf("busy_timeout(%d)", busyTimeout.Milliseconds()))
	for _, p := range pragmas {
		q.Add("_pragma", p)
	}
	address := url.URL{Scheme: "file", Opaque: (&url.URL{Path: f.path}).EscapedPath(), RawQuery: q.Encode()}
	connector, err := sqlite.NewConnector(address.String())
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

func (sqliteFile) size(ctx context.Context, db *sql.DB) (int64, error) {
	var pages, size int64
	err := db.QueryRowContext(ctx, "SELECT page_count, page_size FROM pragma_page_count, pragma_page_size").Scan(&pages, &size)
	return pages * size, err
}

// postgresServer is a database on a server.
type postgresServer struct{ config *pgx.ConnConfig }

func parsePostgres(dsn string) (engine, error) {
	config, err := pgx.ParseConfig(dsn)
	if err != nil {
		// The parser's own words may repeat the password.
		return nil, fault.InvalidField("store.dsn", "", "is no connection string that PostgreSQL understands",
			dsnRemedy+", with special characters of the password as %XX")
	}
	return postgresServer{config: config}, nil
}

func (postgresServer) name() string { return "postgres" }
func (postgresServer) exists() bool { return true }

func (p postgresServer) location() string {
	return fmt.Sprintf("postgres://%s:%d/%s", p.config.Host, p.config.Port, p.config.Database)
}

// maxConnections bounds what one program takes of a server's connections, of
// which there are 100 as PostgreSQL is delivered.
const maxConnections = 16

func (p postgresServer) open() (*sql.DB, *sql.DB, error) {
	config := p.config.Copy()
	if config.RuntimeParams["application_name"] == "" {
		config.RuntimeParams["application_name"] = "posture"
	}
	if config.ConnectTimeout == 0 {
		config.ConnectTimeout = 10 * time.Second
	}
	db := stdlib.OpenDB(*config)
	db.SetMaxOpenConns(maxConnections)
	db.SetMaxIdleConns(maxConnections)
	db.SetConnMaxIdleTime(5 * time.Minute)
	return db, db, nil
}

func (postgresServer) size(ctx context.Context, db *sql.DB) (int64, error) {
	var size int64
	err := db.QueryRowContext(ctx, "SELECT pg_database_size(current_database())").Scan(&size)
	return size, err
}
