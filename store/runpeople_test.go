package store_test

import (
	"strings"
	"testing"
	"time"

	"github.com/postureproject/posture/batch"
	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/store"
	"github.com/postureproject/posture/store/storetest"
)

// What a run knows of people: how many are in which state, who was scanned before
// it, and what each source last said of them.
func TestStore_RunPeople(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		s := open(t)
		ctx := t.Context()
		states, err := s.PeopleByState(ctx, "none")
		check(t, "states of no run", err, map[batch.State]int{}, states)
		earlier, err := s.EarlierPeople(ctx, "", 10)
		check(t, "nobody before", err, []string{}, earlier)
		r := newRun(t, s, "run", 5)
		newRun(t, s, "another", 2)
		said := collectionOf("jamf", night(), laptop("C1", "Mac", nil))
		for i := range 3 {
			_, err := s.FinishPeople(ctx, r.ID, []batch.Finished{{
				Email: person(i), From: batch.Pending, To: batch.Done,
				Posture: device.Posture{Email: person(i), GeneratedAt: night()}, Collections: []device.Collection{said},
			}})
			if err != nil {
				t.Fatal(err)
			}
		}
		states, err = s.PeopleByState(ctx, r.ID)
		check(t, "states", err, map[batch.State]int{batch.Pending: 2, batch.Done: 3}, states)
		earlier, err = s.EarlierPeople(ctx, "", 2)
		check(t, "first page of people before", err, []string{person(0), person(1)}, earlier)
		earlier, err = s.EarlierPeople(ctx, person(1), 2)
		check(t, "the rest", err, []string{person(2)}, earlier)
		known, err := s.KnownCollections(ctx, person(0))
		check(t, "what was said", err, []device.Collection{said}, known)
		known, err = s.KnownCollections(ctx, person(4))
		check(t, "of somebody never scanned", err, 0, len(known))
	})
}

// A database that refuses writing says so until writing has gone well for a while,
// though nobody writes; reading goes on.
func TestStore_Writable(t *testing.T) {
	t.Parallel()
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		s := storetest.Open(t, dsn, nil)
		ctx := t.Context()
		if engine, _, _ := strings.Cut(dsn, ":"); s.Engine() != engine || s.Location() == "" || strings.Contains(s.Location(), "@") {
			t.Errorf("%s at %s", s.Engine(), s.Location())
		}
		if err := s.Writable(ctx); err != nil {
			t.Errorf("a new database: %v", err)
		}
		db := plain(t, dsn)
		if _, err := db.Exec("ALTER TABLE admin_event_settings RENAME TO away"); err != nil {
			t.Fatal(err)
		}
		if err := s.SetAdminEventRetention(ctx, 7); err == nil || s.Writable(ctx) == nil {
			t.Errorf("writing ends with %v, and the database counts as well", err)
		}
		if _, err := s.Counts(ctx); err != nil {
			t.Errorf("reading: %v", err)
		}
		if _, err := db.Exec("ALTER TABLE away RENAME TO admin_event_settings"); err != nil {
			t.Fatal(err)
		}
		for deadline := time.Now().Add(30 * time.Second); s.Writable(ctx) != nil; time.Sleep(50 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatal("it never counts as well again")
			}
		}
		if err := s.SetAdminEventRetention(ctx, 7); err != nil {
			t.Error(err)
		}
	})
}
