package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/journal"
	"github.com/postureproject/posture/journal/journaltest"
	"github.com/postureproject/posture/store"
	"github.com/postureproject/posture/store/storetest"
)

func TestJournal(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func(t testing.TB) *store.Store) {
		s := open(t)
		t.Run("conformance", func(t *testing.T) {
			// Each test has a plugin of its own, and so a journal that is empty.
			journaltest.Run(t, func(t *testing.T) journal.Journal { return s.Journal(t.Name()) })
		})
	})
}

// Two programs on one database are one journal, and two plugins are two.
func TestJournal_shared(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func(t testing.TB) *store.Store) {
		one, two := open(t), open(t)
		ctx := t.Context()
		b := journal.Batch{
			Records:  []journal.Record{{ID: "1", At: start(), Keys: []string{"ada"}, Body: []byte("x")}},
			Progress: &journal.Progress{Document: []byte("here")},
		}
		if _, err := one.Journal("duo").Append(ctx, "account", b); err != nil {
			t.Fatal(err)
		}
		if p, err := two.Journal("duo").Progress(ctx, "account"); err != nil || p.Version != 1 || string(p.Document) != "here" {
			t.Errorf("the other program reads %+v, %v", p, err)
		}
		if has, err := two.Journal("duo").Has(ctx, "account", "ada"); err != nil || !has {
			t.Errorf("the other program has it: %v, %v", has, err)
		}
		if has, err := one.Journal("other").Has(ctx, "account", "ada"); err != nil || has {
			t.Errorf("the other plugin has it: %v, %v", has, err)
		}
	})
}

// What was appended is there when the database is opened again.
func TestJournal_survives(t *testing.T) {
	t.Parallel()
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		s, err := store.Open(t.Context(), store.Options{DSN: dsn})
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.Journal("duo").Append(t.Context(), "log", journal.Batch{Records: []journal.Record{{ID: "1", At: start(), Keys: []string{"a"}}}}); err != nil {
			t.Error(err)
		}
		if err := s.Close(); err != nil {
			t.Error(err)
		}
		page, err := storetest.Open(t, dsn, nil).Journal("duo").Find(t.Context(), "log", journal.Query{Keys: []string{"a"}, Limit: 1})
		if err != nil || len(page.Records) != 1 || len(page.Records[0].Body) != 0 {
			t.Errorf("%+v, %v", page, err)
		}
	})
}

// One damaged record hides no other one, wherever a page ends.
func TestJournal_damaged(t *testing.T) {
	t.Parallel()
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		j := storetest.Open(t, dsn, nil).Journal("duo")
		ctx := t.Context()
		var b journal.Batch
		for i := range 6 {
			b.Records = append(b.Records, journal.Record{ID: fmt.Sprint(i), At: start().Add(time.Duration(i) * time.Minute), Keys: []string{"ada"}, Body: []byte("x")})
		}
		if _, err := j.Append(ctx, "account", b); err != nil {
			t.Fatal(err)
		}
		if _, err := plain(t, dsn).Exec("UPDATE journal_records SET body = $1 WHERE id = '3'", []byte{0xff}); err != nil {
			t.Fatal(err)
		}
		for limit := 1; limit <= 6; limit++ {
			var ids []string
			for q := (journal.Query{Keys: []string{"ada"}, Limit: limit}); ; {
				page, err := j.Find(ctx, "account", q)
				if err != nil || len(page.Records) > limit {
					t.Fatalf("%d records, %v", len(page.Records), err)
				}
				for _, r := range page.Records {
					ids = append(ids, r.ID)
				}
				if q.After = page.Next; q.After == "" {
					break
				}
			}
			if diff := cmp.Diff([]string{"5", "4", "2", "1", "0"}, ids); diff != "" {
				t.Errorf("pages of %d (-want +got):\n%s", limit, diff)
			}
		}
	})
}
