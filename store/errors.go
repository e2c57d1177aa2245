package store

import (
	"context"
	"database/sql/driver"
	"errors"
	"io"
	"io/fs"
	"net"
	"slices"
	"strings"
	"syscall"

	"github.com/jackc/pgx/v5/pgconn"
	"modernc.org/sqlite"
	sqlite3 "modernc.org/sqlite/lib"

	"github.com/postureproject/posture/fault"
)

// fault classifies an error of the database. Errors that already have a kind
// keep it. Neither driver repeats passwords in the errors that get here; those
// that would are answered by parseDSN.
func (s *Store) fault(err error, op, subject string) error {
	if err == nil {
		return nil
	}
	var known *fault.Error
	if errors.As(err, &known) {
		return fault.Wrap(err, op, subject)
	}
	e := classify(err, s.engine == nil || s.engine.name() == "sqlite")
	e.Source, e.Op, e.Subject, e.Err = "store", op, subject, oneLine{err}
	return e
}

// oneLine tells an error in one line: PostgreSQL's driver takes a line per
// address it tried, though they may all say the same.
type oneLine struct{ error }

func (o oneLine) Unwrap() error { return o.error }

func (o oneLine) Error() string {
	var lines []string
	for line := range strings.Lines(o.error.Error()) {
		if line = strings.TrimSpace(line); !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	return strings.Join(lines, " ")
}

// classify gives an error its kind and words. onFile tells whether the database is
// a file, whose errors look like a network's.
func classify(err error, onFile bool) *fault.Error {
	var (
		lite    *sqlite.Error
		pg      *pgconn.PgError
		refused *pgconn.ConnectError
		network net.Error
	)
	switch {
	case errors.Is(err, context.DeadlineExceeded):
		return &fault.Error{Kind: fault.Timeout}
	case errors.Is(err, context.Canceled):
		return &fault.Error{Kind: fault.Internal}
	case errors.As(err, &lite):
		return classifySQLite(lite.Code())
	case errors.As(err, &pg):
		return classifyPostgres(pg.Code)
	case onFile && (errors.As(err, new(*fs.PathError)) || errors.As(err, new(syscall.Errno))):
		return classifyFile(err)
	case errors.As(err, &refused), errors.As(err, &network), errors.Is(err, driver.ErrBadConn),
		errors.Is(err, io.EOF), errors.Is(err, io.ErrUnexpectedEOF), pgconn.SafeToRetry(err),
		strings.Contains(err.Error(), "conn closed"): // pgx has no exported value for it
		return &fault.Error{
			Kind: fault.Unavailable, Message: "the database does not answer",
			Remedy: "see that PostgreSQL runs and can be reached; store.dsn says where it is looked for",
		}
	default:
		return &fault.Error{Kind: fault.Internal}
	}
}

// classifyFile tells of the file system's errors.
func classifyFile(err error) *fault.Error {
	switch {
	case errors.Is(err, syscall.ENOSPC), errors.Is(err, syscall.EDQUOT):
		return classifySQLite(sqlite3.SQLITE_FULL)
	case errors.Is(err, syscall.EIO):
		return classifySQLite(sqlite3.SQLITE_IOERR)
	default:
		return classifySQLite(sqlite3.SQLITE_CANTOPEN)
	}
}

// classifySQLite reads a result code; its low byte is the primary one.
func classifySQLite(code int) *fault.Error {
	unavailable := func(message, remedy string) *fault.Error {
		return &fault.Error{Kind: fault.Unavailable, Message: message, Remedy: remedy}
	}
	switch code & 0xff {
	case sqlite3.SQLITE_FULL:
		return unavailable("the disk is full",
			"make room on the file system of the database; what is stored can still be read, and writing goes on by itself")
	case sqlite3.SQLITE_IOERR:
		return unavailable("the database file cannot be read or written",
			"see that its disk has room and is sound (dmesg tells), and that no quota is used up")
	case sqlite3.SQLITE_BUSY, sqlite3.SQLITE_LOCKED, sqlite3.SQLITE_PROTOCOL:
		return unavailable("another program is writing to the database",
			"see which other posture commands run; for several at once, use PostgreSQL")
	case sqlite3.SQLITE_READONLY, sqlite3.SQLITE_CANTOPEN, sqlite3.SQLITE_PERM, sqlite3.SQLITE_AUTH:
		return unavailable("the database file cannot be opened for writing",
			"see that the file and its folder exist and belong to the user that posture runs as")
	case sqlite3.SQLITE_CORRUPT, sqlite3.SQLITE_NOTADB:
		return &fault.Error{
			Kind: fault.Internal, Message: "the file is damaged or no database",
			Remedy: "restore it from a backup, or move it away to begin anew",
		}
	case sqlite3.SQLITE_CONSTRAINT:
		return &fault.Error{Kind: fault.Conflict}
	case sqlite3.SQLITE_INTERRUPT:
		return &fault.Error{Kind: fault.Timeout}
	default:
		return &fault.Error{Kind: fault.Internal}
	}
}

// classifyPostgres reads an SQLSTATE; its first two characters are the class.
func classifyPostgres(state string) *fault.Error {
	switch {
	case state == "53100":
		return &fault.Error{
			Kind: fault.Unavailable, Message: "the database server's disk is full",
			Remedy: "make room on the server; writing goes on by itself",
		}
	case state == "53300":
		return &fault.Error{
			Kind: fault.Unavailable, Message: "the database server has no connection free",
			Remedy: "raise max_connections; each posture program takes 16 at most",
		}
	case state == "3D000":
		return &fault.Error{
			Kind: fault.Unavailable, Message: "the server has no such database",
			Remedy: "create it (createdb), or correct store.dsn",
		}
	case state == "57014":
		return &fault.Error{Kind: fault.Timeout}
	case state == "25006" || strings.HasPrefix(state, "08") || strings.HasPrefix(state, "53") || strings.HasPrefix(state, "57P") || strings.HasPrefix(state, "40"):
		return &fault.Error{
			Kind: fault.Unavailable, Message: "the database server cannot do that now",
			Remedy: "see the server's log; a server that starts, stops or recovers is ready again soon",
		}
	case strings.HasPrefix(state, "28"):
		return &fault.Error{
			Kind: fault.Unauthenticated, Message: "the database server refuses the log-in",
			Remedy: "correct user and password in store.dsn, or the server's pg_hba.conf",
		}
	case state == "42501":
		return &fault.Error{
			Kind: fault.Forbidden, Message: "the database user may not do that",
			Remedy: "make it the owner of the database: ALTER DATABASE … OWNER TO …",
		}
	case strings.HasPrefix(state, "23"):
		return &fault.Error{Kind: fault.Conflict}
	default:
		return &fault.Error{Kind: fault.Internal}
	}
}
