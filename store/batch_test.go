package store_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/batch"
	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/outbox"
	"github.com/postureproject/posture/store"
	"github.com/postureproject/posture/store/storetest"
)

func night() time.Time { return time.Date(2026, 3, 1, 2, 0, 0, 123456000, time.UTC) }

// newRun makes a run with people person 0 to n-1.
func newRun(t *testing.T, s *store.Store, id string, people int) batch.Run {
	t.Helper()
	r := batch.Run{ID: id, StartedAt: night(), Statistics: batch.Statistics{}}
	var emails []string
	for i := range people {
		emails = append(emails, person(i))
	}
	if err := s.CreateBatchRun(t.Context(), r, emails); err != nil {
		t.Fatal(err)
	}
	return r
}

func person(i int) string { return fmt.Sprintf("p%04d@example.com", i) }

func check[T any](t *testing.T, what string, err error, want, got T) {
	t.Helper()
	if err != nil {
		t.Errorf("%s: %v", what, err)
	} else if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("%s (-want +got):\n%s", what, diff)
	}
}

func TestStore_BatchRun(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		s := open(t)
		ctx := t.Context()
		if _, err := s.BatchRun(ctx, "none"); !fault.IsNotFound(err) {
			t.Errorf("no run: %v", err)
		}
		last, err := s.LastScheduledRun(ctx)
		check(t, "last scheduled of none", err, time.Time{}, last)
		r := newRun(t, s, "run-1", 3)
		got, err := s.BatchRun(ctx, r.ID)
		check(t, "created", err, r, got)
		scheduled := batch.Run{ID: "run-2", StartedAt: night().Add(time.Hour), Scheduled: true, Given: true, CollectOnly: true, Statistics: batch.Statistics{}}
		if err := s.CreateBatchRun(ctx, scheduled, nil); err != nil {
			t.Fatal(err)
		}
		if err := s.CreateBatchRun(ctx, scheduled, nil); fault.KindOf(err) != fault.Conflict {
			t.Errorf("created twice: %v", err)
		}
		list, err := s.BatchRuns(ctx, "", 10)
		check(t, "list", err, []batch.Run{scheduled, r}, list)
		list, err = s.BatchRuns(ctx, "run-2", 10)
		check(t, "older", err, []batch.Run{r}, list)
		last, err = s.LastScheduledRun(ctx)
		check(t, "last scheduled", err, scheduled.StartedAt, last)

		r.Phase, r.Resumed = batch.Retrying, true
		if err := s.AdvanceBatchRun(ctx, r, []batch.Shard{{Run: r.ID, Round: 2, First: "a", Last: "b"}}); err != nil {
			t.Fatal(err)
		}
		back := r
		back.Phase, back.Resumed = batch.Scanning, false
		if err := s.AdvanceBatchRun(ctx, back, []batch.Shard{{Run: r.ID, Round: 1}}); err != nil {
			t.Fatal(err)
		}
		got, err = s.BatchRun(ctx, r.ID)
		check(t, "a phase does not go back", err, r, got)
		free, _, left, err := s.OpenShards(ctx, r.ID, 1, 9)
		check(t, "shards of a phase that was left", err, []any{0, 0}, []any{len(free), left})

		finished := night().Add(time.Hour)
		r.Phase, r.FinishedAt, r.People, r.Complete = batch.Over, &finished, 3, 3
		r.Statistics = batch.Statistics{"firewall": {device.OK: 3}}
		for range 2 {
			if err := s.FinishBatchRun(ctx, r); err != nil {
				t.Fatal(err)
			}
		}
		got, err = s.BatchRun(ctx, r.ID)
		check(t, "finished", err, r, got)
		n, err := s.PruneBatchRuns(ctx, night().Add(24*time.Hour), night())
		check(t, "pruned", err, int64(1), n)
		if _, err := s.BatchRun(ctx, r.ID); !fault.IsNotFound(err) {
			t.Errorf("pruned run: %v", err)
		}
		if _, err := s.BatchRun(ctx, scheduled.ID); err != nil {
			t.Errorf("a run that is not finished was pruned: %v", err)
		}
	})
}

// Of a run that has ended, or was given up, nothing is left that only a run that
// goes on needs, also if whoever ended it was killed before it was dropped.
func TestStore_PruneBatchRuns(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		s := open(t)
		ctx := t.Context()
		rows := func(run string) int {
			t.Helper()
			people, err := s.People(ctx, run, "", 5000)
			if err != nil {
				t.Fatal(err)
			}
			staged, err := s.Staged(ctx, run, []string{"jamf"}, []string{person(0)})
			if err != nil {
				t.Fatal(err)
			}
			_, _, shards, err := s.OpenShards(ctx, run, 1, 1)
			if err != nil {
				t.Fatal(err)
			}
			return len(people) + len(staged) + shards
		}
		fill := func(run string) {
			t.Helper()
			if err := s.Stage(ctx, run, []batch.Piece{{Person: person(0), Source: "jamf", Part: 1}}, []string{person(0)}); err != nil {
				t.Fatal(err)
			}
		}
		const many = 1200 // more than one transaction drops
		runs := map[string]batch.Run{}
		for _, id := range []string{"finished", "killed", "interrupted", "going on"} {
			r := newRun(t, s, id, many)
			fill(id)
			r.Phase = batch.Scanning
			if err := s.AdvanceBatchRun(ctx, r, []batch.Shard{{Round: 1, First: person(0), Last: person(many)}}); err != nil {
				t.Fatal(err)
			}
			runs[id] = r
		}
		for _, id := range []string{"finished", "killed"} {
			r, ended := runs[id], night()
			r.Phase, r.FinishedAt = batch.Over, &ended
			if err := s.FinishBatchRun(ctx, r); err != nil {
				t.Fatal(err)
			}
			check(t, id+": rows after its end", nil, 0, rows(id))
		}
		fill("killed")
		if err := s.CreateBatchRun(ctx, batch.Run{ID: "later", StartedAt: night().Add(time.Hour)}, []string{person(0)}); err != nil {
			t.Fatal(err)
		}
		seen, err := s.BatchLease(ctx)
		if err != nil {
			t.Fatal(err)
		}
		if _, err := s.TakeBatchLease(ctx, seen, batch.Lease{Holder: "h", Run: "going on"}); err != nil {
			t.Fatal(err)
		}
		n, err := s.PruneBatchRuns(ctx, night(), night().Add(time.Minute))
		check(t, "pruned", err, int64(1), n)
		for id, want := range map[string]int{"finished": 0, "killed": 0, "interrupted": 0, "later": 1, "going on": many + 2} {
			check(t, id+": rows", nil, want, rows(id))
		}
		for id, gone := range map[string]bool{"finished": false, "killed": false, "interrupted": true, "later": false, "going on": false} {
			if _, err := s.BatchRun(ctx, id); fault.IsNotFound(err) != gone {
				t.Errorf("%s: %v, gone should be %v", id, err, gone)
			}
		}
	})
}

func TestStore_FinishPeople(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		s := open(t)
		ctx := t.Context()
		r := newRun(t, s, "run", 5)
		finished := func(i int, from, to batch.State) batch.Finished {
			return batch.Finished{
				Email: person(i), From: from, To: to, Devices: 1, Statistics: batch.Statistics{"firewall": {device.OK: 1}},
				Posture: device.Posture{Email: person(i), GeneratedAt: night(), Devices: []device.Device{{
					Name: "d", Platform: "Mac", Practices: map[string]device.Practice{"firewall": {Status: device.OK}},
				}}},
				Collections: []device.Collection{{Plugin: "jamf", FetchedAt: night(), Devices: []device.Device{{Name: "d"}}}},
				Sinks:       []string{"es", "rest"},
				Deliveries:  []device.Delivery{{ID: "run/" + person(i) + "/" + string(to), Kind: device.DeliverDevice, At: night(), Body: []byte(`{"a":1}`)}},
			}
		}
		waiting := finished(2, batch.Pending, batch.Waiting)
		waiting.Sinks, waiting.Deliveries = nil, nil
		waiting.Gathered = &batch.Gathered{Outcomes: []device.Outcome{{Plugin: "duo", OK: true, Count: 1}}}
		here, err := s.FinishPeople(ctx, r.ID, []batch.Finished{waiting, finished(1, batch.Pending, batch.Done), finished(4, batch.Waiting, batch.Partial)})
		check(t, "settled", err, []bool{true, true, false}, here)
		here, err = s.FinishPeople(ctx, r.ID, []batch.Finished{finished(1, batch.Pending, batch.Failed)})
		check(t, "settled again", err, []bool{false}, here)

		people, err := s.People(ctx, r.ID, "", 10)
		one := batch.Statistics{"firewall": {device.OK: 1}}
		check(t, "people", err, []batch.Person{
			{Email: person(0), State: batch.Pending, Statistics: batch.Statistics{}},
			{Email: person(1), State: batch.Done, Devices: 1, Statistics: one},
			{Email: person(2), State: batch.Waiting, Devices: 1, Statistics: one},
			{Email: person(3), State: batch.Pending, Statistics: batch.Statistics{}},
			{Email: person(4), State: batch.Pending, Statistics: batch.Statistics{}},
		}, people)
		people, err = s.People(ctx, r.ID, person(2), 1)
		check(t, "page", err, []batch.Person{{Email: person(3), State: batch.Pending, Statistics: batch.Statistics{}}}, people)
		people, err = s.PeopleBetween(ctx, r.ID, batch.Waiting, person(0), person(4))
		check(t, "waiting", err, []batch.Person{{Email: person(2), State: batch.Waiting, Devices: 1, Statistics: one, Gathered: waiting.Gathered}}, people)
		queued, err := s.ListDeliveries(ctx, outbox.Filter{})
		check(t, "queued", err, 2, len(queued))

		known, err := s.KnownOwned(ctx, "jamf", person(1), 5)
		check(t, "known", err, []batch.Known{{Email: person(2), Collection: waiting.Collections[0]}}, known)
		devices, err := s.LastDevices(ctx, []string{person(1), person(3)})
		check(t, "last devices", err, map[string][]device.Device{person(1): finished(1, "", "").Posture.Devices}, devices)

		ended := night().Add(time.Minute)
		r.FinishedAt, r.Phase = &ended, batch.Over
		if err := s.FinishBatchRun(ctx, r); err != nil {
			t.Fatal(err)
		}
		days, err := s.Days(ctx, night().AddDate(0, 0, -2), night().AddDate(0, 0, 2))
		if err != nil || len(days) != 1 || days[0].People != 2 || days[0].Devices != 2 {
			t.Errorf("the day's aggregate %v, error %v; want 2 people and devices", days, err)
		}
	})
}

// When the answer cannot be kept or sent, nobody is settled.
func TestStore_FinishPeople_undone(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		s := open(t)
		r := newRun(t, s, "run", 2)
		good := batch.Finished{Email: person(0), From: batch.Pending, To: batch.Done, Posture: device.Posture{Email: person(0)}}
		bad := batch.Finished{
			Email: person(1), From: batch.Pending, To: batch.Done, Posture: device.Posture{Email: person(1)},
			Sinks: []string{"es"}, Deliveries: []device.Delivery{{}},
		}
		if _, err := s.FinishPeople(t.Context(), r.ID, []batch.Finished{good, bad}); err == nil {
			t.Fatal("a delivery without an id was taken")
		}
		people, err := s.People(t.Context(), r.ID, "", 5)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range people {
			if p.State != batch.Pending {
				t.Errorf("%s is %s", p.Email, p.State)
			}
		}
		if _, err := s.Posture(t.Context(), person(0)); !fault.IsNotFound(err) {
			t.Errorf("a posture was kept: %v", err)
		}
	})
}

func TestStore_Stage(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		s := open(t)
		ctx := t.Context()
		r := newRun(t, s, "run", 0)
		piece := func(who int, source string, part int64) batch.Piece {
			return batch.Piece{Person: person(who), Source: source, Part: part, Devices: []device.Device{{Name: fmt.Sprintf("%s %d", source, part)}}}
		}
		a, b, c, d := piece(1, "jamf", 1), piece(2, "jamf", 1), piece(1, "jamf", 2), piece(1, "google", 1)
		for range 2 { // a page that is staged again, as its success was not heard of
			if err := s.Stage(ctx, r.ID, []batch.Piece{a, b}, []string{person(1), person(2)}); err != nil {
				t.Fatal(err)
			}
		}
		if err := s.Stage(ctx, r.ID, []batch.Piece{c, d}, []string{person(1)}); err != nil {
			t.Fatal(err)
		}
		got, err := s.Staged(ctx, r.ID, []string{"jamf", "google"}, []string{person(1), person(7)})
		check(t, "of a person", err, []batch.Piece{d, a, c}, got)
		got, err = s.Staged(ctx, r.ID, []string{"google"}, []string{person(1), person(2)})
		check(t, "of one source", err, []batch.Piece{d}, got)
		got, err = s.StagedBy(ctx, r.ID, "jamf", batch.Piece{}, 2)
		check(t, "by a source", err, []batch.Piece{a, c}, got)
		got, err = s.StagedBy(ctx, r.ID, "jamf", c, 2)
		check(t, "by a source, further", err, []batch.Piece{b}, got)
		people, err := s.People(ctx, r.ID, "", 9)
		check(t, "people", err, 2, len(people))

		text := "is down"
		l := batch.Listing{Source: "jamf", Attempt: 1, Tried: 2, Round: 1, Devices: 3, Nobodys: 1, At: night(), Failure: &device.Outcome{Plugin: "jamf", Error: &text}}
		for _, save := range []batch.Listing{{Source: "jamf", Tried: 1}, l} {
			if err := s.SaveListing(ctx, r.ID, save); err != nil {
				t.Fatal(err)
			}
		}
		listings, err := s.Listings(ctx, r.ID)
		check(t, "listings", err, []batch.Listing{l}, listings)

		ended := night()
		r.FinishedAt = &ended
		if err := s.FinishBatchRun(ctx, r); err != nil {
			t.Fatal(err)
		}
		got, err = s.Staged(ctx, r.ID, []string{"jamf", "google"}, []string{person(1), person(2)})
		check(t, "after the run", err, nil, got)
	})
}

// Many shards at once fit into statements of every engine, and those that there are stay as they are.
func TestStore_AdvanceBatchRun_many(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		s := open(t)
		r := newRun(t, s, "run", 0)
		r.Phase = batch.Scanning
		shards := make([]batch.Shard, 1203)
		for i := range shards {
			shards[i] = batch.Shard{Run: r.ID, Round: 1, Number: i, First: person(2 * i), Last: person(2*i + 1)}
		}
		for _, some := range [][]batch.Shard{shards[:2], shards} {
			if err := s.AdvanceBatchRun(t.Context(), r, some); err != nil {
				t.Fatal(err)
			}
			if _, _, err := s.TakeShard(t.Context(), shards[0], "w"); err != nil {
				t.Fatal(err)
			}
		}
		free, taken, left, err := s.OpenShards(t.Context(), r.ID, 1, 5000)
		check(t, "free", err, shards[1:], free)
		check(t, "taken and left", err, []int{1, 1203}, []int{len(taken), left})
	})
}

// Many people at once fit into statements of every engine.
func TestStore_AddPeople_many(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		s := open(t)
		r := newRun(t, s, "run", 1203)
		if err := s.AddPeople(t.Context(), r.ID, []string{person(0), person(1202), person(1203)}); err != nil {
			t.Fatal(err)
		}
		people, err := s.People(t.Context(), r.ID, person(1199), 100)
		check(t, "people", err, 4, len(people))
	})
}

func TestStore_SendSummary(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		s := open(t)
		ctx := t.Context()
		r := newRun(t, s, "run", 0)
		part := []device.Delivery{{ID: "run/summary/1", Kind: device.DeliverSummary, At: night(), Body: []byte(`{}`)}}
		for range 2 { // the second time it was that far already
			if err := s.SendSummary(ctx, r.ID, "", "m", []string{"rest"}, part); err != nil {
				t.Fatal(err)
			}
			part[0].ID = "must not be sent"
		}
		queued, err := s.ListDeliveries(ctx, outbox.Filter{})
		if err != nil || len(queued) != 1 || queued[0].ID != "run/summary/1" {
			t.Errorf("queued %+v, error %v", queued, err)
		}
		if got, err := s.BatchRun(ctx, r.ID); err != nil || got.Sent != "m" {
			t.Errorf("run %+v, error %v", got, err)
		}
	})
}
