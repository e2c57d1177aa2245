package store_test

import (
	"context"
	"database/sql"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/internal/pgtest"
	"github.com/postureproject/posture/store"
	"github.com/postureproject/posture/store/storetest"
)

// plain opens a database without the package under test.
func plain(t testing.TB, dsn string) *sql.DB {
	t.Helper()
	driver, name := "pgx", dsn
	if path, ok := strings.CutPrefix(dsn, "sqlite:"); ok {
		driver, name = "sqlite", path
	}
	db, err := sql.Open(driver, name)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = db.Close() })
	return db
}

// checkIntegrity has SQLite check its file; PostgreSQL is trusted.
func checkIntegrity(t testing.TB, dsn string) {
	t.Helper()
	if !strings.HasPrefix(dsn, "sqlite:") {
		return
	}
	db := plain(t, dsn)
	var said string
	if err := db.QueryRow("PRAGMA integrity_check").Scan(&said); err != nil || said != "ok" {
		t.Errorf("integrity: %q, %v", said, err)
	}
	rows, err := db.Query("PRAGMA foreign_key_check")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	if rows.Next() || rows.Err() != nil {
		t.Errorf("rows refer to rows that are not there, or %v", rows.Err())
	}
}

func TestOpen_newerSchema(t *testing.T) {
	t.Parallel()
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		status, err := store.Migrate(t.Context(), store.Options{DSN: dsn})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := plain(t, dsn).Exec("INSERT INTO goose_db_version (version_id, is_applied) VALUES (4711, TRUE)"); err != nil {
			t.Fatal(err)
		}
		for _, noMigrate := range []bool{false, true} {
			_, err = store.Open(t.Context(), store.Options{DSN: dsn, NoMigrate: noMigrate})
			if fault.KindOf(err) != fault.Conflict || fault.RemedyOf(err) == "" ||
				!strings.Contains(err.Error(), "4711") || !strings.Contains(err.Error(), fmt.Sprint(status.Latest)) {
				t.Errorf("error %v, remedy %q", err, fault.RemedyOf(err))
			}
		}
		newer, err := store.Inspect(t.Context(), store.Options{DSN: dsn})
		if err != nil || newer.Current() || newer.Version != 4711 || newer.Latest != status.Latest {
			t.Errorf("status %+v, %v", newer, err)
		}
	})
}

func TestOpen_olderSchema(t *testing.T) {
	t.Parallel()
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		_, err := store.Open(t.Context(), store.Options{DSN: dsn, NoMigrate: true})
		if fault.KindOf(err) != fault.Conflict || !strings.Contains(fault.RemedyOf(err), "posture db migrate") {
			t.Errorf("error %v, remedy %q", err, fault.RemedyOf(err))
		}
		status, err := store.Inspect(t.Context(), store.Options{DSN: dsn})
		if err != nil || status.Version != 0 || len(status.Migrations) == 0 || status.Migrations[0].Applied {
			t.Errorf("status %+v, %v", status, err)
		}
	})
}

// An address may hold a password; no error repeats it.
func TestOpen_badAddress(t *testing.T) {
	t.Parallel()
	const secret = "hunter2"
	folder := t.TempDir()
	file := filepath.Join(folder, "file")
	if err := os.WriteFile(file, []byte(strings.Repeat("no database ", 100)), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := map[string]struct {
		dsn  string
		kind fault.Kind
	}{
		"empty":                {"", fault.Invalid},
		"unknown":              {"mysql://posture:" + secret + "@db/posture", fault.Invalid},
		"no scheme":            {"posture:" + secret + "@db/posture", fault.Invalid},
		"in memory":            {"sqlite::memory:", fault.Invalid},
		"no path":              {"sqlite:", fault.Invalid},
		"options in the path":  {"sqlite:x?mode=memory", fault.Invalid},
		"folder":               {"sqlite:" + folder, fault.Internal},
		"below a file":         {"sqlite:" + filepath.Join(file, "x"), fault.Internal},
		"no database":          {"sqlite:" + file, fault.Internal},
		"bad port":             {"postgres://posture:" + secret + "@db:99999999/posture", fault.Invalid},
		"bad escape":           {"postgres://posture:" + secret + "%zz@db/posture", fault.Invalid},
		"bad setting":          {"postgres://posture:" + secret + "@127.0.0.1:1/posture?sslmode=maybe", fault.Invalid},
		"nobody listens":       {"postgres://posture:" + secret + "@127.0.0.1:1/posture?connect_timeout=5", fault.Unavailable},
		"password in settings": {"postgres://127.0.0.1:1/posture?user=posture&password=" + secret, fault.Unavailable},
	}
	for name, test := range tests {
		_, err := store.Open(t.Context(), store.Options{DSN: test.dsn})
		if err == nil || fault.KindOf(err) != test.kind && test.kind != fault.Internal {
			t.Errorf("%s: %v (%s), want %s", name, err, fault.KindOf(err), test.kind)
			continue
		}
		if fault.RemedyOf(err) == "" && !strings.Contains(err.Error(), ";") {
			t.Errorf("%s: no remedy for %v", name, err)
		}
		if said := fmt.Sprintf("%v %+v %#v", err, err, err); strings.Contains(said, secret) {
			t.Errorf("%s: the error tells the password: %s", name, said)
		}
	}
}

func TestOpen_postgresRefuses(t *testing.T) {
	t.Parallel()
	if !pgtest.Enabled() {
		return
	}
	dsn := pgtest.Database(t)
	tests := map[string]struct {
		dsn  string
		kind fault.Kind
	}{
		"unknown user":     {strings.Replace(dsn, "posture@", "nobody:hunter2@", 1), fault.Unauthenticated},
		"unknown database": {strings.Replace(dsn, "/test_", "/nothing_", 1), fault.Unavailable},
	}
	for name, test := range tests {
		_, err := store.Open(t.Context(), store.Options{DSN: test.dsn})
		if fault.KindOf(err) != test.kind || fault.RemedyOf(err) == "" || strings.Contains(err.Error(), "hunter2") {
			t.Errorf("%s: %v, remedy %q", name, err, fault.RemedyOf(err))
		}
	}
}

// While the server is away every call fails soon with Unavailable; once it is
// back, the same store works, and what was accepted is there.
func TestStore_postgresRestarted(t *testing.T) {
	t.Parallel()
	if !pgtest.Enabled() {
		return
	}
	server := pgtest.New(t, pgtest.Options{Durable: true})
	s := storetest.Open(t, server.Database(t), nil)
	var accepted []string
	saveSome := func(round string) {
		for i := range 20 {
			address := fmt.Sprintf("%s%d@example.com", round, i)
			save(t, s, postureOf(address, start()))
			accepted = append(accepted, address)
		}
	}
	saveSome("first")
	for _, end := range []struct {
		name string
		do   func(testing.TB)
	}{{"stopped", server.Stop}, {"killed", server.Kill}} {
		// Somebody writes and reads all the time.
		ctx, cancel := context.WithCancel(t.Context())
		var group sync.WaitGroup
		for worker := range 4 {
			group.Go(func() {
				for ctx.Err() == nil {
					err := s.SavePosture(ctx, postureOf(fmt.Sprintf("worker%d@example.com", worker), start()), nil)
					if err != nil && ctx.Err() == nil && fault.KindOf(err) != fault.Unavailable {
						t.Errorf("%s, writing meanwhile: %v (%s)", end.name, err, fault.KindOf(err))
					}
				}
			})
		}
		end.do(t)
		for i := range 3 {
			begin := time.Now()
			_, readErr := s.Posture(t.Context(), accepted[0])
			writeErr := s.SavePosture(t.Context(), postureOf("lost@example.com", start()), nil)
			for _, err := range []error{readErr, writeErr} {
				if fault.KindOf(err) != fault.Unavailable || fault.RemedyOf(err) == "" {
					t.Errorf("%s, call %d: %v (%s)", end.name, i, err, fault.KindOf(err))
				}
			}
			if took := time.Since(begin); took > 5*time.Second {
				t.Errorf("%s: it took %v to say so", end.name, took)
			}
		}
		server.Start(t)
		cancel()
		group.Wait()
		saveSome(end.name)
	}
	for _, address := range accepted {
		if _, err := s.Posture(t.Context(), address); err != nil {
			t.Errorf("lost: %v", err)
		}
	}
}
