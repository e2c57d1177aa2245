package store

import (
	"context"
	"database/sql"
	"errors"
	"io"
	"path/filepath"
	"sync"
	"testing"
	"time"

	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/internal/pgtest"
)

func open(t *testing.T, dsn string) *Store {
	t.Helper()
	s, err := Open(t.Context(), Options{DSN: dsn})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = s.Close() })
	return s
}

// Two transactions that wait for each other: PostgreSQL ends one, which is then
// repeated.
func TestStore_writeDeadlock(t *testing.T) {
	t.Parallel()
	if !pgtest.Enabled() {
		return
	}
	s := open(t, pgtest.Database(t))
	if _, err := s.writer.Exec("CREATE TABLE pair (name TEXT PRIMARY KEY, n BIGINT NOT NULL)"); err != nil {
		t.Fatal(err)
	}
	if _, err := s.writer.Exec("INSERT INTO pair VALUES ('a', 0), ('b', 0)"); err != nil {
		t.Fatal(err)
	}
	// Both hold one row before either asks for the other's, the first time.
	var group, both sync.WaitGroup
	both.Add(2)
	var mu sync.Mutex
	runs := 0
	for _, order := range [][2]string{{"a", "b"}, {"b", "a"}} {
		var once sync.Once
		group.Go(func() {
			err := s.write(t.Context(), "count", func(ctx context.Context, tx *sql.Tx) error {
				mu.Lock()
				runs++
				mu.Unlock()
				for _, name := range order {
					if _, err := tx.ExecContext(ctx, "UPDATE pair SET n = n + 1 WHERE name = $1", name); err != nil {
						return err
					}
					once.Do(func() { both.Done(); both.Wait() })
				}
				return nil
			})
			if err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	var sum int
	if err := s.db.QueryRow("SELECT CAST(sum(n) AS BIGINT) FROM pair").Scan(&sum); err != nil || sum != 4 {
		t.Errorf("counted %d, %v; want 4", sum, err)
	}
	if runs < 3 { // on a busy machine they may meet again
		t.Errorf("%d runs; want 3, one of them in vain", runs)
	}
}

// An error of the function undoes everything and is given back with its kind; it
// is not repeated.
func TestStore_writeFails(t *testing.T) {
	t.Parallel()
	s := open(t, "sqlite:"+filepath.Join(t.TempDir(), "posture.db"))
	ours := &fault.Error{Kind: fault.Conflict, Message: "no"}
	runs := 0
	err := s.write(t.Context(), "count", func(ctx context.Context, tx *sql.Tx) error {
		runs++
		if _, err := tx.ExecContext(ctx, "CREATE TABLE left_behind (x BIGINT)"); err != nil {
			t.Error(err)
		}
		return ours
	})
	if !errors.Is(err, ours) && fault.KindOf(err) != fault.Conflict || runs != 1 {
		t.Errorf("error %v after %d runs", err, runs)
	}
	var n int
	if err := s.db.QueryRow("SELECT count(*) FROM sqlite_schema WHERE name = 'left_behind'").Scan(&n); err != nil || n != 0 {
		t.Errorf("%d tables left behind, %v", n, err)
	}
	canceled, cancel := context.WithCancel(t.Context())
	cancel()
	err = s.write(canceled, "count", func(context.Context, *sql.Tx) error { return nil })
	if !errors.Is(err, context.Canceled) {
		t.Errorf("canceled: %v", err)
	}
}

// Readers cannot write, also by mistake; and one text of a query means the same
// on both engines, also with arguments out of order and repeated.
func TestStore_queryText(t *testing.T) {
	t.Parallel()
	dsns := map[string]string{"sqlite": "sqlite:" + filepath.Join(t.TempDir(), "posture.db")}
	if pgtest.Enabled() {
		dsns["postgres"] = pgtest.Database(t)
	}
	for name, dsn := range dsns {
		s := open(t, dsn)
		var a, b, c string
		err := s.db.QueryRow("SELECT CAST($2 AS TEXT), CAST($1 AS TEXT), CAST($2 AS TEXT)", "one", "two").Scan(&a, &b, &c)
		if err != nil || a+b+c != "twoonetwo" {
			t.Errorf("%s: %s%s%s, %v", name, a, b, c, err)
		}
		if s.db == s.writer {
			continue
		}
		if _, err := s.db.Exec("DELETE FROM people"); fault.KindOf(s.fault(err, "", "")) != fault.Unavailable {
			t.Errorf("%s: a reader wrote: %v", name, err)
		}
	}
}

func TestMicros(t *testing.T) {
	t.Parallel()
	for _, test := range []struct{ given, want time.Time }{
		{time.Time{}, time.Time{}},
		{time.Date(2026, 3, 1, 12, 0, 0, 1999, time.FixedZone("", 3600)), time.Date(2026, 3, 1, 11, 0, 0, 1000, time.UTC)},
		{time.Date(1890, 3, 1, 12, 0, 0, 0, time.UTC), time.Date(1890, 3, 1, 12, 0, 0, 0, time.UTC)},
		{time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC)},
	} {
		if got := fromMicros(micros(test.given)); !got.Equal(test.want) || got.Location() != time.UTC {
			t.Errorf("%v became %v, want %v", test.given, got, test.want)
		}
	}
}

// Whatever is read, unpack answers with an error of kind Internal or the value.
func FuzzUnpack(f *testing.F) {
	s := &Store{}
	var err error
	if s.codec, err = newCodec(); err != nil {
		f.Fatal(err)
	}
	for _, v := range []any{nil, "short", make([]int, 1000), map[string]string{"a": "ü\u0000<>"}} {
		doc, err := s.pack(v)
		if err != nil {
			f.Fatal(err)
		}
		f.Add(doc)
		f.Add(doc[:len(doc)/2])
	}
	f.Add([]byte{})
	f.Add([]byte{7, '1'})
	f.Fuzz(func(t *testing.T, doc []byte) {
		var v any
		if err := s.unpack(doc, &v); err != nil {
			if fault.KindOf(err) != fault.Internal || fault.RemedyOf(err) == "" {
				t.Errorf("error %v", err)
			}
			return
		}
		again, err := s.pack(v)
		if err != nil {
			t.Fatal(err)
		}
		var w any
		if err := s.unpack(again, &w); err != nil {
			t.Error(err)
		}
	})
}

func TestOneLine(t *testing.T) {
	t.Parallel()
	err := error(oneLine{errors.Join(io.EOF, errors.New("cannot:\n\tA\n\tB"), errors.New("\tA"))})
	if err.Error() != "EOF cannot: A B" || !errors.Is(err, io.EOF) {
		t.Errorf("%q", err)
	}
}
