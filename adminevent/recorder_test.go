package adminevent_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postureproject/posture/adminevent"
	"github.com/postureproject/posture/fault"
)

func recorder(k *kept, c *clock, change func(*adminevent.Options)) *adminevent.Recorder {
	o := adminevent.Options{Store: k, Now: c.now}
	if change != nil {
		change(&o)
	}
	return adminevent.New(o)
}

// What somebody asked for is saved when Record returns; the rest with the next
// flush, and before anything is read.
func TestRecorder_Visible(t *testing.T) {
	t.Parallel()
	k := newKept()
	r := recorder(k, newClock(), nil)
	r.Record(t.Context(), slow(1))
	if rows, _ := k.total(); rows != 1 || r.Pending() != 0 {
		t.Errorf("%d rows, %d pending after an ad-hoc failure", rows, r.Pending())
	}
	r.Record(t.Context(), nightly(1))
	if rows, _ := k.total(); rows != 1 || r.Pending() != 1 {
		t.Errorf("%d rows, %d pending after a nightly failure", rows, r.Pending())
	}
	if n, err := r.Count(t.Context(), adminevent.Filter{}); n != 2 || err != nil {
		t.Errorf("count %d, %v", n, err)
	}
	r.Record(t.Context(), nightly(2))
	if events, err := r.List(t.Context(), adminevent.Query{}); len(events) != 3 || err != nil {
		t.Errorf("list %v, %v", events, err)
	}
	r.Record(t.Context(), nightly(3))
	if groups, err := r.Summary(t.Context(), adminevent.Filter{}, []adminevent.Field{"code"}); err != nil || groups[0].Events != 4 {
		t.Errorf("summary %v, %v", groups, err)
	}
	r.Record(t.Context(), nightly(4))
	completed := nightly(4)
	completed.Type = adminevent.TypeGeneric
	if _, err := r.Get(t.Context(), adminevent.Fingerprint(completed)); err != nil {
		t.Errorf("get: %v", err)
	}
}

// Five occurrences in each of three flush windows are fifteen.
func TestRecorder_ExactOverWindows(t *testing.T) {
	t.Parallel()
	k, c := newKept(), newClock()
	r := recorder(k, c, nil)
	for range 3 {
		for range 5 {
			r.Record(t.Context(), nightly(1))
			c.move(time.Second)
		}
		if err := r.Flush(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if rows, n := k.total(); rows != 1 || n != 15 {
		t.Errorf("%d rows, %d occurrences; want 1 and 15", rows, n)
	}
}

// The store is down, then takes a batch but breaks off, then works: nothing is
// lost and nothing counted twice.
func TestRecorder_StoreDown(t *testing.T) {
	t.Parallel()
	k, c := newKept(), newClock()
	k.down = errors.New("connection refused")
	r := recorder(k, c, nil)
	for i := range 300 {
		r.Record(t.Context(), slow(i%3))
	}
	if k.attempts != 1 {
		t.Errorf("a store that is down was tried %d times at once", k.attempts)
	}
	c.move(2 * time.Second)
	r.Record(t.Context(), slow(0))
	if k.attempts != 2 {
		t.Errorf("%d attempts after the pause", k.attempts)
	}
	c.move(-time.Hour) // the clock is set back
	r.Record(t.Context(), slow(0))
	if k.attempts != 3 {
		t.Errorf("%d attempts after the clock was set back", k.attempts)
	}
	k.set(func() { k.down, k.ambiguous = nil, 2 })
	for range 2 {
		if err := r.Flush(t.Context()); err == nil {
			t.Fatal("no error of an unsure end")
		}
		r.Record(t.Context(), slow(1))
	}
	if err := r.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if rows, n := k.total(); rows != 3 || n != 304 {
		t.Errorf("%d rows, %d occurrences; want 3 and 304", rows, n)
	}
	if r.Pending() != 0 {
		t.Errorf("%d pending", r.Pending())
	}
}

// A store that never answers holds nobody up for longer than the limit, whoever
// waits; what happened is kept.
func TestRecorder_StoreHangs(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		block := make(chan struct{})
		k := newKept()
		k.block = block
		r := adminevent.New(adminevent.Options{Store: k})
		var group sync.WaitGroup
		started := time.Now()
		for i := range 10 {
			group.Go(func() { r.Record(t.Context(), slow(i)) })
		}
		group.Wait()
		if took := time.Since(started); took > 2*time.Second {
			t.Errorf("recording took %v", took)
		}
		close(block)
		if err := r.Close(t.Context()); err != nil {
			t.Fatal(err)
		}
		if rows, n := k.total(); rows != 10 || n != 10 {
			t.Errorf("%d rows, %d occurrences", rows, n)
		}
	})
}

// That whoever asked has gone does not keep the failure from being saved.
func TestRecorder_CallerGone(t *testing.T) {
	t.Parallel()
	k := newKept()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	recorder(k, newClock(), nil).Record(ctx, slow(1))
	if rows, _ := k.total(); rows != 1 {
		t.Errorf("%d rows", rows)
	}
}

func TestRecorder_Concurrent(t *testing.T) {
	t.Parallel()
	k := newKept()
	r := recorder(k, newClock(), func(o *adminevent.Options) { o.BatchSize = 7 })
	var group sync.WaitGroup
	for worker := range 8 {
		group.Go(func() {
			for i := range 500 {
				e := slow(i % 40)
				e.AdHoc = worker%2 == 0
				r.Record(t.Context(), e)
			}
		})
	}
	group.Wait()
	if err := r.Close(t.Context()); err != nil {
		t.Fatal(err)
	}
	if rows, n := k.total(); rows != 80 || n != 4000 {
		t.Errorf("%d rows, %d occurrences; want 80 and 4000", rows, n)
	}
	if k.largest > 7 {
		t.Errorf("a batch of %d", k.largest)
	}
}

// A million failures of one source, each of another person: bounded memory and
// rows, exact counts, with the store working and with it down.
func TestRecorder_Storm(t *testing.T) {
	t.Parallel()
	for name, storm := range map[string]int{"working": storm, "down": 50_000} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			k, c := newKept(), newClock()
			if name == "down" {
				k.down = errors.New("down")
			}
			r := recorder(k, c, func(o *adminevent.Options) { o.StormLimit, o.MaxPending = 1000, 500 })
			e := nightly(0)
			highest := 0
			for i := range storm {
				e.Resource.ID = "p" + strconv.Itoa(i)
				r.Record(t.Context(), e)
				if i%1000 == 0 {
					highest = max(highest, r.Pending())
				}
			}
			k.set(func() { k.down = nil })
			if err := r.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			rows, n := k.total()
			if rows > 1001 || n != int64(storm) {
				t.Errorf("%d rows, %d occurrences of %d", rows, n, storm)
			}
			if highest > 1001 {
				t.Errorf("%d events in memory", highest)
			}
			got := counted(t, r, "posture_admin_event_occurrences_total")
			if got != float64(storm) {
				t.Errorf("the metric counts %v", got)
			}
			if folded := counted(t, r, "posture_admin_event_folded_total"); folded < float64(storm-1000) {
				t.Errorf("the metric tells of %v folded", folded)
			}
		})
	}
}

// Who was listed before a storm goes on to be counted by themselves; a storm ends
// with its window.
func TestRecorder_StormRemembers(t *testing.T) {
	t.Parallel()
	k, c := newKept(), newClock()
	r := recorder(k, c, func(o *adminevent.Options) { o.StormLimit = 2 })
	for _, person := range []int{1, 2, 3, 4, 1, 2, 2} {
		r.Record(t.Context(), slow(person))
	}
	counts := map[string]int64{}
	events, _ := r.List(t.Context(), adminevent.Query{})
	for _, e := range events {
		counts[e.Resource.Type+" "+e.Resource.ID] = e.NumOccurrences
	}
	if len(counts) != 3 || counts["User p1@example.com"] != 2 || counts["User p2@example.com"] != 3 || counts["Data Source jamf"] != 2 {
		t.Errorf("%v", counts)
	}
	c.move(61 * time.Minute)
	r.Record(t.Context(), slow(5))
	if rows, _ := k.total(); rows != 4 {
		t.Errorf("%d rows after the storm", rows)
	}
}

func TestRecorder_Skips(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name              string
		adHoc, others     bool
		malformed         bool
		wantRows, wantSum int64
	}{
		{"nothing", false, false, false, 2, 2},
		{"ad hoc", true, false, false, 1, 1},
		{"others", false, true, false, 1, 1},
		{"both", true, true, false, 0, 0},
		{"malformed", false, false, true, 2, 2},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			k := newKept()
			r := recorder(k, newClock(), func(o *adminevent.Options) { o.SkipAdHoc, o.SkipOthers = tt.adHoc, tt.others })
			if tt.malformed {
				bad := slow(1)
				bad.Resource.ID, bad.Resource.Name = "\n", " "
				r.Record(t.Context(), bad)
			}
			r.Record(t.Context(), slow(1), nightly(1))
			if err := r.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
			if rows, n := k.total(); int64(rows) != tt.wantRows || n != tt.wantSum {
				t.Errorf("%d rows, %d occurrences", rows, n)
			}
		})
	}
}

// What no database could hold does not get there, and so cannot stop the rest.
func TestRecorder_Cleans(t *testing.T) {
	t.Parallel()
	k := newKept()
	e := slow(1)
	e.Message, e.Resource.Name, e.LastActor = "a\x00b\xff https://h/?q=1", "p1\x00\xff", strings.Repeat("x", 5000)
	recorder(k, newClock(), nil).Record(t.Context(), e)
	events, _ := k.AdminEvents(t.Context(), adminevent.Query{})
	got := events[0]
	if got.Message != "a b https://h/" || got.Resource.Name != "p1" || len(got.LastActor) > 300 || got.Hint == "" || got.Type != adminevent.TypeGeneric {
		t.Errorf("%+v", got)
	}
}

// Run flushes and prunes by itself, at once and from time to time.
func TestRecorder_Run(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		k := newKept()
		r := adminevent.New(adminevent.Options{Store: k, RetentionDays: 10})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan error)
		go func() { done <- r.Run(ctx) }()
		synctest.Wait()
		if len(k.pruned) != 1 || !k.pruned[0].Equal(time.Now().AddDate(0, 0, -10)) || k.most != 100_000 {
			t.Errorf("pruned at start: %v, %d", k.pruned, k.most)
		}
		r.Record(ctx, nightly(1))
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if rows, _ := k.total(); rows != 1 {
			t.Error("not flushed after the interval")
		}
		if err := r.SetRetention(ctx, 1); err != nil {
			t.Fatal(err)
		}
		time.Sleep(time.Hour)
		synctest.Wait()
		if last := k.pruned[len(k.pruned)-1]; len(k.pruned) != 2 || time.Since(last) < 24*time.Hour || time.Since(last) > 25*time.Hour {
			t.Errorf("pruned after an hour: %v", k.pruned)
		}
		r.Record(ctx, nightly(2))
		cancel()
		if err := <-done; err != nil {
			t.Error(err)
		}
		if err := r.Close(context.Background()); err != nil {
			t.Error(err)
		}
		if rows, _ := k.total(); rows != 2 {
			t.Error("not drained at the end")
		}
	})
}

func TestRecorder_Retention(t *testing.T) {
	t.Parallel()
	k := newKept()
	r := recorder(k, newClock(), nil)
	if days, err := r.Retention(t.Context()); days != 4 || err != nil {
		t.Errorf("%d days by default, %v", days, err)
	}
	for _, days := range []int{0, -1, 366, 1 << 40} {
		if err := r.SetRetention(t.Context(), days); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%d days: %v", days, err)
		}
	}
	for _, days := range []int{1, 365, 14} {
		if err := r.SetRetention(t.Context(), days); err != nil {
			t.Error(err)
		}
		if got, err := r.Retention(t.Context()); got != days || err != nil {
			t.Errorf("%d days, want %d; %v", got, days, err)
		}
	}
}

func TestRecorder_Refuses(t *testing.T) {
	t.Parallel()
	r := recorder(newKept(), newClock(), nil)
	for _, by := range [][]adminevent.Field{nil, {"nothing"}, {"code", "code"}, {"lastOccurredAt"}} {
		if _, err := r.Summary(t.Context(), adminevent.Filter{}, by); fault.KindOf(err) != fault.Invalid {
			t.Errorf("by %q: %v", by, err)
		}
	}
	for _, id := range []string{"", "x", "{5d1cbb0e-6f5f-4c0c-9a55-0d2c1c9d0c8e}"} {
		if _, err := r.Get(t.Context(), id); fault.KindOf(err) != fault.Invalid {
			t.Errorf("id %q: %v", id, err)
		}
	}
}
