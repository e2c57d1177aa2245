package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"fmt"
	"io"
	"io/fs"
	"os"
	"strings"
	"syscall"
	"testing"

	"github.com/jackc/pgx/v5/pgconn"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/postureproject/posture/fault"
)

func TestClassify(t *testing.T) {
	t.Parallel()
	_, missing := os.Open("/no/such/file")
	tests := []struct {
		err  error
		want fault.Kind
	}{
		{context.DeadlineExceeded, fault.Timeout},
		{fmt.Errorf("read: %w", context.DeadlineExceeded), fault.Timeout},
		{context.Canceled, fault.Internal},
		{driver.ErrBadConn, fault.Unavailable},
		{fmt.Errorf("receive: %w", io.ErrUnexpectedEOF), fault.Unavailable},
		{errors.New("conn closed"), fault.Unavailable},
		{missing, fault.Unavailable},
		{errors.New("something else"), fault.Internal},
	}
	for state, kind := range map[string]fault.Kind{
		"53100": fault.Unavailable, "53300": fault.Unavailable, "53200": fault.Unavailable, "57P01": fault.Unavailable, "57P02": fault.Unavailable,
		"57P03": fault.Unavailable, "08006": fault.Unavailable, "25006": fault.Unavailable, "40001": fault.Unavailable, "3D000": fault.Unavailable,
		"57014": fault.Timeout, "28P01": fault.Unauthenticated, "28000": fault.Unauthenticated, "42501": fault.Forbidden,
		"23505": fault.Conflict, "42P01": fault.Internal, "22021": fault.Internal,
	} {
		tests = append(tests, struct {
			err  error
			want fault.Kind
		}{fmt.Errorf("exec: %w", &pgconn.PgError{Code: state, Message: "no"}), kind})
	}
	for _, test := range tests {
		e := classify(test.err, false)
		if e.Kind != test.want {
			t.Errorf("%v is %s, want %s", test.err, e.Kind, test.want)
		}
		if (e.Kind == fault.Unavailable || e.Kind == fault.Unauthenticated || e.Kind == fault.Forbidden) && (e.Remedy == "" || e.Message == "") {
			t.Errorf("%v has no remedy", test.err)
		}
	}
}

// The file system's errors look like a network's; of a database in a file they must
// not send anybody to a server.
func TestClassify_file(t *testing.T) {
	t.Parallel()
	_, missing := os.Open("/no/such/file")
	for err, want := range map[error]string{
		missing: "cannot be opened", &fs.PathError{Op: "write", Path: "x", Err: syscall.ENOSPC}: "disk is full",
		&fs.PathError{Op: "open", Path: "x", Err: syscall.EISDIR}: "cannot be opened",
	} {
		e := classify(fmt.Errorf("open: %w", err), true)
		if e.Kind != fault.Unavailable || !strings.Contains(e.Message, want) || strings.Contains(e.Remedy, "PostgreSQL") {
			t.Errorf("%v: %s: %s (%s)", err, e.Kind, e.Message, e.Remedy)
		}
	}
	if e := classify(missing, false); !strings.Contains(e.Message, "does not answer") {
		t.Errorf("a server's socket that is not there: %s", e.Message)
	}
}

func TestClassifySQLite(t *testing.T) {
	t.Parallel()
	for code, want := range map[int]fault.Kind{
		sqlite3.SQLITE_FULL: fault.Unavailable, sqlite3.SQLITE_IOERR_WRITE: fault.Unavailable, sqlite3.SQLITE_IOERR_FSYNC: fault.Unavailable,
		sqlite3.SQLITE_BUSY: fault.Unavailable, sqlite3.SQLITE_BUSY_SNAPSHOT: fault.Unavailable, sqlite3.SQLITE_LOCKED: fault.Unavailable,
		sqlite3.SQLITE_READONLY: fault.Unavailable, sqlite3.SQLITE_READONLY_DBMOVED: fault.Unavailable, sqlite3.SQLITE_CANTOPEN: fault.Unavailable,
		sqlite3.SQLITE_CORRUPT: fault.Internal, sqlite3.SQLITE_NOTADB: fault.Internal, sqlite3.SQLITE_ERROR: fault.Internal,
		sqlite3.SQLITE_CONSTRAINT_UNIQUE: fault.Conflict, sqlite3.SQLITE_CONSTRAINT_FOREIGNKEY: fault.Conflict, sqlite3.SQLITE_INTERRUPT: fault.Timeout,
	} {
		if e := classifySQLite(code); e.Kind != want || e.Kind == fault.Unavailable && e.Remedy == "" {
			t.Errorf("code %d is %s with remedy %q, want %s", code, e.Kind, e.Remedy, want)
		}
	}
}
