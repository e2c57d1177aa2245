// Package storetest runs a test of the store on every engine: SQLite in a
// temporary file, and PostgreSQL for real. It is for tests only.
package storetest

import (
	"path/filepath"
	"testing"
	"time"

	"github.com/postureproject/posture/internal/pgtest"
	"github.com/postureproject/posture/store"
)

// Each runs test once on each engine, at the same time. open opens a store on
// the database of that run, which is empty at first; called again it opens the
// same database once more, as a second program would. What it opened is closed
// when the test ends.
func Each(t *testing.T, test func(t *testing.T, open func(t testing.TB) *store.Store)) {
	t.Helper()
	EachDSN(t, func(t *testing.T, dsn string) {
		test(t, func(t testing.TB) *store.Store { return Open(t, dsn, nil) })
	})
}

// EachAt is Each with a clock.
func EachAt(t *testing.T, now func() time.Time, test func(t *testing.T, open func(t testing.TB) *store.Store)) {
	t.Helper()
	EachDSN(t, func(t *testing.T, dsn string) {
		test(t, func(t testing.TB) *store.Store { return Open(t, dsn, now) })
	})
}

// EachDSN runs test with the address of an empty database of each engine.
func EachDSN(t *testing.T, test func(t *testing.T, dsn string)) {
	t.Helper()
	t.Run("sqlite", func(t *testing.T) {
		t.Parallel()
		test(t, SQLite(t))
	})
	if !pgtest.Enabled() {
		t.Logf("%s is set: not run on PostgreSQL", pgtest.Without)
		return
	}
	t.Run("postgres", func(t *testing.T) {
		t.Parallel()
		test(t, pgtest.Database(t))
	})
}

// SQLite gives the address of a database that does not exist yet.
func SQLite(t testing.TB) string {
	t.Helper()
	return "sqlite:" + filepath.Join(t.TempDir(), "posture.db")
}

// Open opens a store that is closed when the test ends. A nil clock is the real one.
func Open(t testing.TB, dsn string, now func() time.Time) *store.Store {
	t.Helper()
	s, err := store.Open(t.Context(), store.Options{DSN: dsn, Now: now})
	if err != nil {
		t.Fatalf("open store: %v", err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Errorf("close store: %v", err)
		}
	})
	return s
}
