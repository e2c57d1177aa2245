// Package pgtest runs a real PostgreSQL server for tests: the one that Debian's
// package postgresql installs, under an unprivileged user, on a socket in a
// temporary folder. It imports nothing of the module. A server never outlives
// the test process, however that ends, and leaves no files.
package pgtest

import (
	"context"
	"database/sql"
	"fmt"
	"net/url"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	_ "github.com/jackc/pgx/v5/stdlib" // the driver
)

// Without is the environment variable by which a developer who has no PostgreSQL
// leaves its tests out. CI must not set it.
const Without = "POSTURE_TEST_WITHOUT_POSTGRES"

// Enabled reports whether tests on PostgreSQL run.
func Enabled() bool { return os.Getenv(Without) == "" }

// shared is the one server that all tests of a process use, started by the first.
var shared = sync.OnceValues(func() (*Server, error) { return start(Options{}) })

// serial numbers the databases of a process.
var serial atomic.Int64

// Database makes an empty database on the server that the tests of this process
// share and gives its connection string. It is dropped when the test ends.
func Database(t testing.TB) string {
	t.Helper()
	server, err := shared()
	if err != nil {
		t.Fatalf("PostgreSQL for tests: %v\nInstall Debian's package postgresql, or set %s=1 to leave these tests out.", err, Without)
	}
	return server.Database(t)
}

// New starts a server for one test, which may stop and start it; it is removed
// when the test ends.
func New(t testing.TB, o Options) *Server {
	t.Helper()
	server, err := start(o)
	if err != nil {
		t.Fatalf("PostgreSQL for tests: %v\nInstall Debian's package postgresql, or set %s=1 to leave these tests out.", err, Without)
	}
	t.Cleanup(server.remove)
	return server
}

// Database makes an empty database and gives its connection string. It is
// dropped when the test ends, if the server runs then.
func (s *Server) Database(t testing.TB) string {
	t.Helper()
	name := fmt.Sprintf("test_%d", serial.Add(1))
	if err := s.admin("CREATE DATABASE " + name); err != nil {
		t.Fatalf("create test database: %v", err)
	}
	t.Cleanup(func() {
		if !s.running() {
			return
		}
		if err := s.admin("DROP DATABASE IF EXISTS " + name + " WITH (FORCE)"); err != nil {
			t.Errorf("drop test database: %v", err)
		}
	})
	return s.DSN(name)
}

// DSN gives the connection string of a database.
func (s *Server) DSN(database string) string {
	u := url.URL{Scheme: "postgres", User: url.User(superuser), Path: "/" + database, RawQuery: url.Values{"host": {s.folder}}.Encode()}
	return u.String()
}

// admin runs one statement outside of any test's database.
func (s *Server) admin(statement string) error {
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	db, err := sql.Open("pgx", s.DSN("postgres"))
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	_, err = db.ExecContext(ctx, statement)
	return err
}
