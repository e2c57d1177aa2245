package adminevent_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/postureproject/posture/adminevent"
	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/store"
	"github.com/postureproject/posture/store/storetest"
)

// list gives all events, from the latest on.
func list(t *testing.T, r *adminevent.Recorder, f adminevent.Filter) []adminevent.Event {
	t.Helper()
	events, err := r.List(t.Context(), adminevent.Query{Filter: f})
	if err != nil {
		t.Fatal(err)
	}
	return events
}

// A person's scan in which two of three sources fail leaves two events, which
// another program sees at once, even if this one is killed now. Again within the
// window, they are counted; after it, they are told anew.
func TestStored_Scan(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		c := newClock()
		r := adminevent.New(adminevent.Options{Store: open(t), Now: c.now})
		other := adminevent.New(adminevent.Options{Store: open(t), Now: c.now})
		scan := func(id string) {
			r.RecordPosture(t.Context(), device.Posture{Email: "ada@example.com", Sources: []device.Outcome{
				ok("google"), failed("jamf", fault.New(fault.Timeout, "request %s took 5.%ss", id, id)), failed("duo", fault.New(fault.Forbidden, "no")),
			}}, adminevent.Context{Trigger: adminevent.TriggerAPI, AdHoc: true, RequestID: id})
		}
		scan("1")
		first := list(t, other, adminevent.Filter{})
		if len(first) != 2 {
			t.Fatalf("%d events: %+v", len(first), first)
		}
		c.move(30 * time.Minute)
		scan("2")
		jamf := list(t, other, adminevent.Filter{Sources: []string{"jamf"}})
		if len(jamf) != 1 || jamf[0].NumOccurrences != 2 || jamf[0].RequestID != "2" || jamf[0].LastOccurredAt.Sub(jamf[0].CreatedAt) != 30*time.Minute {
			t.Errorf("again: %+v", jamf)
		}
		got, err := other.Get(t.Context(), jamf[0].ID)
		if err != nil || got != jamf[0] {
			t.Errorf("by id: %+v, %v", got, err)
		}
		c.move(61 * time.Minute)
		scan("3")
		if again := list(t, other, adminevent.Filter{Sources: []string{"jamf"}}); len(again) != 2 || again[0].NumOccurrences != 1 || again[1] != jamf[0] {
			t.Errorf("after the window: %+v", again)
		}
	})
}

// What succeeded, was refused or was called off leaves nothing.
func TestStored_Nothing(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		r := adminevent.New(adminevent.Options{Store: open(t)})
		for _, outcomes := range [][]device.Outcome{
			nil, {ok("jamf")}, {failed("jamf", context.Canceled)}, {failed("jamf", fault.InvalidField("email", "x", "no address", ""))},
		} {
			r.RecordPosture(t.Context(), device.Posture{Email: "ada@example.com", Sources: outcomes}, adminevent.Context{AdHoc: true})
		}
		run := r.NewRun("run-1", adminevent.Context{})
		run.Add(answer(1, ok("jamf")))
		run.Close(t.Context())
		if events := list(t, r, adminevent.Filter{}); len(events) != 0 {
			t.Errorf("%+v", events)
		}
	})
}

// Two programs record the same failures into one database at the same time, and
// the sum is exact.
func TestStored_TwoPrograms(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		const each, people = 200, 10
		var group sync.WaitGroup
		var recorders []*adminevent.Recorder
		for range 2 {
			r := adminevent.New(adminevent.Options{Store: open(t), WriteTimeout: time.Minute})
			recorders = append(recorders, r)
			for worker := range 4 {
				group.Go(func() {
					for i := range each {
						e := slow(i % people)
						e.AdHoc = worker < 3
						r.Record(t.Context(), e)
					}
				})
			}
		}
		group.Wait()
		for _, r := range recorders {
			if err := r.Close(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		events := list(t, recorders[0], adminevent.Filter{})
		var n int64
		for _, e := range events {
			n += e.NumOccurrences
		}
		if len(events) != 2*people || n != 2*4*each {
			t.Errorf("%d rows, %d occurrences; want %d and %d", len(events), n, 2*people, 2*4*each)
		}
	})
}

// breaking is a store whose end of saving cannot always be told.
type breaking struct {
	adminevent.Store
	mu    sync.Mutex
	calls int
}

func (b *breaking) SaveAdminEvents(ctx context.Context, batch adminevent.Batch) error {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.calls++
	switch b.calls % 3 {
	case 0:
		return errors.New("not sent")
	case 1:
		return errors.Join(b.Store.SaveAdminEvents(ctx, batch), errors.New("saved, but the answer was lost"))
	default:
		return b.Store.SaveAdminEvents(ctx, batch)
	}
}

// However saving breaks, nothing is lost and nothing counted twice.
func TestStored_Breaks(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		c := newClock()
		r := adminevent.New(adminevent.Options{Store: &breaking{Store: open(t)}, Now: c.now, BatchSize: 3})
		for i := range 300 {
			r.Record(t.Context(), slow(i%7))
			c.move(700 * time.Millisecond)
		}
		for range 100 {
			if r.Close(t.Context()) == nil {
				break
			}
		}
		var n int64
		events := list(t, r, adminevent.Filter{})
		for _, e := range events {
			n += e.NumOccurrences
		}
		if len(events) != 7 || n != 300 {
			t.Errorf("%d rows, %d occurrences; want 7 and 300", len(events), n)
		}
	})
}

// Four days after its latest occurrence an event goes, however old its first is;
// what was changed at run time holds for every program.
func TestStored_Retention(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		c := newClock()
		r := adminevent.New(adminevent.Options{Store: open(t), Now: c.now, DedupeWindow: 7 * 24 * time.Hour, MaxRows: 3})
		other := adminevent.New(adminevent.Options{Store: open(t), Now: c.now})
		r.Record(t.Context(), slow(1), slow(2))
		c.move(3 * 24 * time.Hour)
		r.Record(t.Context(), slow(1))
		c.move(25 * time.Hour)
		if n, err := r.Prune(t.Context()); n != 1 || err != nil {
			t.Errorf("pruned %d, %v", n, err)
		}
		left := list(t, r, adminevent.Filter{})
		if len(left) != 1 || left[0].NumOccurrences != 2 || c.now().Sub(left[0].CreatedAt) != 97*time.Hour {
			t.Errorf("left: %+v", left)
		}
		if err := other.SetRetention(t.Context(), 1); err != nil {
			t.Fatal(err)
		}
		if n, err := r.Prune(t.Context()); n != 1 || err != nil {
			t.Errorf("pruned %d after the change, %v", n, err)
		}
		for i := range 5 {
			r.Record(t.Context(), slow(i))
		}
		if n, err := r.Prune(t.Context()); n != 2 || err != nil {
			t.Errorf("pruned %d of too many, %v", n, err)
		}
	})
}

// BenchmarkRecord tells how many failures a second are recorded in SQLite: such
// as somebody waits for, by ten at once, and such as a run gathers.
func BenchmarkRecord(b *testing.B) {
	for _, adHoc := range []bool{true, false} {
		b.Run(fmt.Sprintf("adHoc=%v", adHoc), func(b *testing.B) {
			s := storetest.Open(b, storetest.SQLite(b), nil)
			r := adminevent.New(adminevent.Options{Store: s, WriteTimeout: time.Minute})
			b.SetParallelism(5)
			b.ResetTimer()
			b.RunParallel(func(pb *testing.PB) {
				for i := 0; pb.Next(); i++ {
					e := slow(i % 500)
					e.AdHoc = adHoc
					r.Record(b.Context(), e)
				}
			})
			if err := r.Close(b.Context()); err != nil {
				b.Fatal(err)
			}
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "events/s")
		})
	}
}
