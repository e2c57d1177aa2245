package duo

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"time"

	"modernc.org/sqlite"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
)

// schemaVersion is the version of the tables below.
const schemaVersion = 1

// schema makes the tables. Times are microseconds since 1970, zero when absent.
// An event is found by the address or the name that Duo knows the person by.
const schema = `
CREATE TABLE schema_version (version INTEGER NOT NULL) STRICT;
CREATE TABLE event (
	txid  TEXT NOT NULL PRIMARY KEY,
	at    INTEGER NOT NULL,
	email TEXT NOT NULL,
	name  TEXT NOT NULL,
	event TEXT NOT NULL,
	raw   TEXT
) STRICT;
CREATE INDEX event_email ON event (email, at);
CREATE INDEX event_name ON event (name, at);
CREATE INDEX event_at ON event (at);
CREATE TABLE domain (name TEXT NOT NULL PRIMARY KEY) STRICT, WITHOUT ROWID;
CREATE TABLE progress (
	id          INTEGER NOT NULL PRIMARY KEY CHECK (id = 1),
	high_water  INTEGER NOT NULL,
	success     INTEGER NOT NULL,
	window_from INTEGER NOT NULL,
	window_to   INTEGER NOT NULL,
	next_offset TEXT NOT NULL
) STRICT;
INSERT INTO progress VALUES (1, 0, 0, 0, 0, '');
`

// store keeps the events of one Duo account, and how far its log was read, in a
// SQLite file. Several processes may have it open at once: events are inserted
// once by their id, and the high-water mark only rises.
type store struct {
	path   string
	writer *sql.DB // one connection: SQLite has one writer
	reader *sql.DB
}

// progress is how far the log was read.
type progress struct {
	highWater time.Time // every event up to then is stored; zero until the first pull is through
	success   time.Time // when the log was last read to its end
	window    window    // what is being read; zero when nothing is
}

// identity is how Duo may know one person. All are normalised.
type identity struct {
	email string
	local string // the part before the @, when a bare user name may be meant; else ""
}

// openStore opens the file, and makes it when there is none. Only its owner may
// read it.
func openStore(ctx context.Context, path string) (*store, error) {
	s := &store{path: path}
	path, err := filepath.Abs(path)
	if err != nil {
		return nil, s.failed(err, "open")
	}
	f, err := os.OpenFile(path, os.O_RDWR|os.O_CREATE, 0o600) //nolint:gosec // in the folder that the host gave
	if err != nil {
		return nil, s.failed(err, "open")
	}
	_ = f.Close()
	if s.writer, err = open(path, "_txlock=immediate"); err != nil {
		return nil, s.failed(err, "open")
	}
	s.writer.SetMaxOpenConns(1)
	if s.reader, err = open(path, "_pragma=query_only(1)"); err != nil {
		return nil, errors.Join(s.failed(err, "open"), s.writer.Close())
	}
	s.reader.SetMaxOpenConns(8)
	if err := s.migrate(ctx); err != nil {
		return nil, errors.Join(err, s.close())
	}
	return s, nil
}

// open makes a handle. A writer waits for another process's transaction; with
// the write-ahead log, a killed process loses nothing that was committed.
func open(path, mode string) (*sql.DB, error) {
	file := url.URL{Scheme: "file", Path: filepath.ToSlash(path)}
	connector, err := sqlite.NewConnector(file.String() +
		"?_pragma=busy_timeout(10000)&_pragma=journal_mode(WAL)&_pragma=synchronous(NORMAL)&" + mode)
	if err != nil {
		return nil, err
	}
	return sql.OpenDB(connector), nil
}

// migrate makes the tables of a new file, and refuses those of a newer version.
func (s *store) migrate(ctx context.Context) error {
	return s.write(ctx, "open", func(tx *sql.Tx) error {
		var tables, version int
		if err := tx.QueryRowContext(ctx, `SELECT count(*) FROM sqlite_schema WHERE name = 'schema_version'`).Scan(&tables); err != nil {
			return err
		}
		if tables == 0 {
			if _, err := tx.ExecContext(ctx, schema); err != nil {
				return err
			}
			_, err := tx.ExecContext(ctx, `INSERT INTO schema_version VALUES (?)`, schemaVersion)
			return err
		}
		if err := tx.QueryRowContext(ctx, `SELECT max(version) FROM schema_version`).Scan(&version); err != nil {
			return err
		}
		if version > schemaVersion {
			return &fault.Error{
				Kind: fault.Conflict, Source: Name, Op: "open store", Subject: s.path,
				Message: fmt.Sprintf("the file has version %d, this plugin knows up to %d", version, schemaVersion),
				Remedy:  "use the newer plugin again, or move the file away to read the log anew",
			}
		}
		return nil
	})
}

func (s *store) close() error { return errors.Join(s.reader.Close(), s.writer.Close()) }

// write runs a function in a transaction.
func (s *store) write(ctx context.Context, op string, do func(*sql.Tx) error) error {
	tx, err := s.writer.BeginTx(ctx, nil)
	if err != nil {
		return s.failed(err, op)
	}
	defer func() { _ = tx.Rollback() }() // does nothing after a commit
	if err := do(tx); err != nil {
		return s.failed(err, op)
	}
	return s.failed(tx.Commit(), op)
}

// failed explains an error of the store.
func (s *store) failed(err error, op string) error {
	var known *fault.Error
	if err == nil || errors.As(err, &known) || errors.Is(err, context.Canceled) {
		return err
	}
	kind := fault.Unavailable
	if errors.Is(err, context.DeadlineExceeded) {
		kind = fault.Timeout
	}
	return &fault.Error{
		Kind: kind, Source: Name, Op: op + " store", Subject: s.path, Err: err,
		Remedy: "check space and permissions there; if the file is damaged, move it away to read the log anew",
	}
}

// save stores a page and how far the log is read with it, both or none. It
// tells how many events were new.
func (s *store) save(ctx context.Context, entries []entry, p progress) (added int64, err error) {
	err = s.write(ctx, "write", func(tx *sql.Tx) error {
		insert, err := tx.PrepareContext(ctx, `INSERT INTO event (txid, at, email, name, event, raw) VALUES (?, ?, ?, ?, ?, ?) ON CONFLICT (txid) DO NOTHING`)
		if err != nil {
			return err
		}
		defer func() { _ = insert.Close() }()
		domains := map[string]bool{}
		for i := range entries {
			n, err := insertEntry(ctx, insert, &entries[i])
			if err != nil {
				return err
			}
			added += n
			for _, who := range []string{entries[i].email, entries[i].name} {
				if _, domain, ok := strings.Cut(who, "@"); ok && domain != "" {
					domains[domain] = true
				}
			}
		}
		for d := range domains {
			if _, err := tx.ExecContext(ctx, `INSERT INTO domain (name) VALUES (?) ON CONFLICT (name) DO NOTHING`, d); err != nil {
				return err
			}
		}
		_, err = tx.ExecContext(ctx, `UPDATE progress SET high_water = max(high_water, ?1), success = iif(?2 = 0, success, ?2), window_from = ?3, window_to = ?4, next_offset = ?5`,
			micros(p.highWater), micros(p.success), micros(p.window.from), micros(p.window.to), p.window.offset)
		return err
	})
	return added, err
}

func insertEntry(ctx context.Context, insert *sql.Stmt, e *entry) (int64, error) {
	event, err := json.Marshal(e.event)
	if err != nil {
		return 0, err
	}
	raw := sql.NullString{String: string(e.raw), Valid: len(e.raw) > 0}
	result, err := insert.ExecContext(ctx, e.id, micros(e.at), e.email, e.name, string(event), raw)
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

// progress tells how far the log was read.
func (s *store) progress(ctx context.Context) (progress, error) {
	var (
		p                          progress
		highWater, success, lo, hi int64
	)
	err := s.reader.QueryRowContext(ctx, `SELECT high_water, success, window_from, window_to, next_offset FROM progress`).
		Scan(&highWater, &success, &lo, &hi, &p.window.offset)
	p.highWater, p.success, p.window.from, p.window.to = fromMicros(highWater), fromMicros(success), fromMicros(lo), fromMicros(hi)
	return p, s.failed(err, "read")
}

// newest gives the time of the newest event up to a time; zero when there is
// none.
func (s *store) newest(ctx context.Context, upTo time.Time) (time.Time, error) {
	var at sql.NullInt64
	err := s.reader.QueryRowContext(ctx, `SELECT max(at) FROM event WHERE at <= ?`, micros(upTo)).Scan(&at)
	return fromMicros(at.Int64), s.failed(err, "read")
}

// knowsDomain tells whether a domain may take the log's bare user names for its
// people's: it appears in the log, or none does.
func (s *store) knowsDomain(ctx context.Context, domain string) (known bool, err error) {
	err = s.reader.QueryRowContext(ctx, `SELECT EXISTS (SELECT 1 FROM domain WHERE name = ?) OR NOT EXISTS (SELECT 1 FROM domain)`, domain).Scan(&known)
	return known, s.failed(err, "read")
}

// selectEvents finds the newest events of an address and a bare user name.
const selectEvents = `
SELECT event, raw FROM event WHERE email = ?1 OR name = ?1 OR (name = ?2 AND ?2 <> '' AND email = '')
ORDER BY at DESC, txid LIMIT ?3`

// events gives a person's events, newest first. A bare user name counts only
// where the event has no address, which would decide by itself.
func (s *store) events(ctx context.Context, who identity, limit int) (events []device.Event, err error) {
	if who.email == "" {
		return nil, nil
	}
	rows, err := s.reader.QueryContext(ctx, selectEvents, who.email, who.local, limit)
	if err != nil {
		return nil, s.failed(err, "read")
	}
	defer func() { err = errors.Join(err, s.failed(rows.Close(), "read")) }()
	for rows.Next() {
		var (
			document string
			raw      sql.NullString
			e        device.Event
		)
		if err := rows.Scan(&document, &raw); err != nil {
			return events, s.failed(err, "read")
		}
		if err := json.Unmarshal([]byte(document), &e); err != nil {
			return events, s.failed(err, "read")
		}
		if raw.Valid {
			e.Raw = json.RawMessage(raw.String)
		}
		events = append(events, e)
	}
	return events, s.failed(rows.Err(), "read")
}

// prune forgets the events before a time, some at once so that others get to
// write in between.
func (s *store) prune(ctx context.Context, before time.Time) (pruned int64, err error) {
	const some = 5000
	for {
		var n int64
		err := s.write(ctx, "prune", func(tx *sql.Tx) error {
			result, err := tx.ExecContext(ctx, `DELETE FROM event WHERE txid IN (SELECT txid FROM event WHERE at < ? LIMIT ?)`, micros(before), some)
			if err != nil {
				return err
			}
			n, err = result.RowsAffected()
			return err
		})
		pruned += n
		if err != nil || n < some {
			return pruned, err
		}
	}
}

func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

func fromMicros(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMicro(n).UTC()
}
