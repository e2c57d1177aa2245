package store_test

import (
	"context"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"

	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/internal/pgtest"
	"github.com/postureproject/posture/store"
	"github.com/postureproject/posture/store/storetest"
)

// A backup made while others write is one state of the database, whole.
func TestStore_Backup(t *testing.T) {
	t.Parallel()
	dsn, folder := storetest.SQLite(t), t.TempDir()
	s := storetest.Open(t, dsn, nil)
	save(t, s, postureOf("first@example.com", start()))
	ctx, stop := context.WithCancel(t.Context())
	var group sync.WaitGroup
	group.Go(func() {
		for i := 0; ctx.Err() == nil; i++ {
			pair := []store.Saved{ // both or none
				{Posture: postureOf(fmt.Sprintf("left%d@example.com", i), start())},
				{Posture: postureOf(fmt.Sprintf("right%d@example.com", i), start())},
			}
			if err := s.SavePostures(t.Context(), pair); err != nil {
				t.Error(err)
				return
			}
		}
	})
	defer group.Wait()
	defer stop()
	for i := range 5 {
		path := filepath.Join(folder, fmt.Sprintf("backup%d.db", i))
		if err := s.Backup(t.Context(), path); err != nil {
			t.Fatal(err)
		}
		checkIntegrity(t, "sqlite:"+path)
		copied := storetest.Open(t, "sqlite:"+path, nil)
		counts, err := copied.Counts(t.Context())
		if err != nil || counts.People%2 != 1 {
			t.Errorf("backup has %+v, %v; want an odd number of people", counts, err)
		}
		if _, err := copied.Posture(t.Context(), "first@example.com"); err != nil {
			t.Error(err)
		}
	}

	taken := filepath.Join(folder, "taken")
	if err := os.WriteFile(taken, []byte("mine"), 0o600); err != nil {
		t.Fatal(err)
	}
	if err := s.Backup(t.Context(), taken); fault.KindOf(err) != fault.Conflict || fault.RemedyOf(err) == "" {
		t.Errorf("over an existing file: %v", err)
	}
	if kept, err := os.ReadFile(taken); err != nil || string(kept) != "mine" {
		t.Errorf("the existing file now has %q, %v", kept, err)
	}
	if err := s.Backup(t.Context(), filepath.Join(folder, "no", "such", "folder")); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("into no folder: %v (%s)", err, fault.KindOf(err))
	}
	left, err := filepath.Glob(filepath.Join(folder, ".posture-backup-*"))
	if err != nil || len(left) > 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}

// A backup can be made before an upgrade, by the program that upgrades.
func TestBackup_olderSchema(t *testing.T) {
	t.Parallel()
	dsn := storetest.SQLite(t)
	path := filepath.Join(t.TempDir(), "backup.db")
	_, err := store.Backup(t.Context(), store.Options{DSN: dsn}, path)
	if !fault.IsNotFound(err) || fault.RemedyOf(err) == "" {
		t.Errorf("of nothing: %v", err)
	}
	if _, err := os.Stat(strings.TrimPrefix(dsn, "sqlite:")); !os.IsNotExist(err) {
		t.Errorf("a database was made: %v", err)
	}
	if _, err := plain(t, dsn).Exec("CREATE TABLE old (x TEXT)"); err != nil {
		t.Fatal(err)
	}
	size, err := store.Backup(t.Context(), store.Options{DSN: dsn}, path)
	if made, statErr := os.Stat(path); err != nil || statErr != nil || made.Size() != size {
		t.Fatalf("%d bytes, %v; %v", size, err, statErr)
	}
	var n int
	if err := plain(t, "sqlite:"+path).QueryRow("SELECT count(*) FROM sqlite_schema WHERE name = 'old'").Scan(&n); err != nil || n != 1 {
		t.Errorf("%d tables, %v", n, err)
	}
}

func TestBackup_postgres(t *testing.T) {
	t.Parallel()
	if !pgtest.Enabled() {
		return
	}
	s := storetest.Open(t, pgtest.Database(t), nil)
	path := filepath.Join(t.TempDir(), "backup")
	if err := s.Backup(t.Context(), path); fault.KindOf(err) != fault.Invalid || !strings.Contains(fault.RemedyOf(err), "pg_dump") {
		t.Errorf("error %v, remedy %q", err, fault.RemedyOf(err))
	}
	if _, err := os.Stat(path); !os.IsNotExist(err) {
		t.Errorf("a file was made: %v", err)
	}
}
