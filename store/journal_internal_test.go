package store

import (
	"path/filepath"
	"strings"
	"testing"
)

// A look-up reads the rows of its keys, not the whole log.
func TestJournal_plan(t *testing.T) {
	t.Parallel()
	s := open(t, "sqlite:"+filepath.Join(t.TempDir(), "posture.db"))
	for _, query := range []string{
		findJournal(2),
		"SELECT max(at) FROM journal_records WHERE journal = " + thisJournal + " AND at <= $3",
		"SELECT seq, at, keys FROM journal_records WHERE journal = $1 AND at < $2 ORDER BY at LIMIT $3",
	} {
		for _, step := range plan(t, s, query) {
			if strings.HasPrefix(step, "SCAN journal") || strings.HasPrefix(step, "SCAN r") {
				t.Errorf("%s\nreads everything: %s", query, step)
			}
		}
	}
}

// plan gives how SQLite would answer a query about journals.
func plan(t *testing.T, s *Store, query string) (steps []string) {
	t.Helper()
	rows, err := s.db.QueryContext(t.Context(), "EXPLAIN QUERY PLAN "+query, "duo", "log", 1, 1, 500, "a", "b")
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var (
			id, parent, unused int
			step               string
		)
		if err := rows.Scan(&id, &parent, &unused, &step); err != nil {
			t.Fatal(err)
		}
		steps = append(steps, step)
	}
	if err := rows.Err(); err != nil || len(steps) == 0 {
		t.Fatalf("no plan: %v", err)
	}
	return steps
}
