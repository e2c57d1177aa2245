package store_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/outbox"
	"github.com/postureproject/posture/store"
	"github.com/postureproject/posture/store/storetest"
)

func documents(prefix string, n int) []device.Delivery {
	out := make([]device.Delivery, n)
	for i := range out {
		out[i] = device.Delivery{
			ID: fmt.Sprintf("%s-%d", prefix, i), Kind: device.DeliverDevice, Key: fmt.Sprintf("k%d", i%3), At: eventTime(i),
			Body: json.RawMessage(fmt.Sprintf(`{"n":%d,"pad":%q}`, i, strings.Repeat("ü", i*50))),
		}
	}
	return out
}

func enqueue(t *testing.T, s *store.Store, sink string, ds ...device.Delivery) {
	t.Helper()
	if err := s.EnqueueDeliveries(t.Context(), sink, ds); err != nil {
		t.Fatal(err)
	}
}

func waiting(t *testing.T, s *store.Store, sink string) []outbox.Entry {
	t.Helper()
	entries, err := s.WaitingDeliveries(t.Context(), sink, 0, 10_000)
	if err != nil {
		t.Fatal(err)
	}
	return entries
}

func TestOutbox_RoundTrip(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func() time.Time { return eventTime(77) }, func(t *testing.T, open func(testing.TB) *store.Store) {
		s := open(t)
		want := documents("a", 250) // more than one statement
		enqueue(t, s, "es", want...)
		enqueue(t, s, "rest", want[0])
		s = open(t) // as a later process
		entries := waiting(t, s, "es")
		if len(entries) != len(want) {
			t.Fatalf("%d entries, want %d", len(entries), len(want))
		}
		numbers := make([]int64, len(entries))
		for i, e := range entries {
			numbers[i] = e.Number
			d := want[i]
			expect := outbox.Entry{
				Number: e.Number, Sink: "es", ID: d.ID, Kind: d.Kind, Key: d.Key, At: d.At, State: outbox.Waiting, Size: len(d.Body), QueuedAt: eventTime(77),
			}
			if diff := cmp.Diff(expect, e); diff != "" {
				t.Fatalf("entry %d (-want +got):\n%s", i, diff)
			}
			if i > 0 && e.Number <= entries[i-1].Number {
				t.Fatalf("entry %d is out of order", i)
			}
		}
		bodies, err := s.DeliveryBodies(t.Context(), numbers)
		if err != nil {
			t.Fatal(err)
		}
		for i, n := range numbers {
			if string(bodies[n]) != string(want[i].Body) {
				t.Errorf("body %d: %.80s", i, bodies[n])
			}
		}
		page, err := s.WaitingDeliveries(t.Context(), "es", numbers[9], 5)
		if err != nil || len(page) != 5 || page[0].Number != numbers[10] {
			t.Errorf("page %v, %v", page, err)
		}
	})
}

// An ID is queued once, while it waits, when it was set aside, and after it was
// accepted until that is forgotten.
func TestOutbox_OncePerID(t *testing.T) {
	t.Parallel()
	storetest.EachAt(t, func() time.Time { return eventTime(0) }, func(t *testing.T, open func(testing.TB) *store.Store) {
		s := open(t)
		d := documents("a", 3)
		d = append(d, d[0]) // twice in one call
		enqueue(t, s, "es", d...)
		enqueue(t, s, "es", d...)
		entries := waiting(t, s, "es")
		if len(entries) != 3 {
			t.Fatalf("%d entries", len(entries))
		}
		settleAll(t, s,
			outbox.Result{Number: entries[0].Number},
			outbox.Result{Number: entries[1].Number, Err: fault.New(fault.Invalid, "no"), Dead: true})
		enqueue(t, s, "es", d...)
		if got := waiting(t, s, "es"); len(got) != 1 || got[0].ID != "a-2" {
			t.Errorf("waiting %v", got)
		}
		enqueue(t, s, "rest", d...) // another sink's affair
		if got := waiting(t, s, "rest"); len(got) != 3 {
			t.Errorf("waiting for rest: %v", got)
		}
		for _, c := range []struct {
			before int
			want   int
		}{{0, 0}, {1, 1}, {1, 0}} {
			if n, err := s.ForgetDelivered(t.Context(), eventTime(c.before), 10); n != c.want || err != nil {
				t.Errorf("forgot %d, %v; want %d", n, err, c.want)
			}
		}
		enqueue(t, s, "es", d...)
		if got := waiting(t, s, "es"); len(got) != 2 {
			t.Errorf("after forgetting: %v", got)
		}
	})
}

func settleAll(t *testing.T, s *store.Store, results ...outbox.Result) {
	t.Helper()
	if err := s.SettleDeliveries(t.Context(), results); err != nil {
		t.Fatal(err)
	}
}

func TestOutbox_Settle(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		s := open(t)
		enqueue(t, s, "es", documents("a", 4)...)
		e := waiting(t, s, "es")
		later := &fault.Error{Kind: fault.RateLimited, Message: "slow \x00 down \xff", Remedy: "wait"}
		refused := &fault.Error{Kind: fault.Invalid, Message: strings.Repeat("ü", 5000)}
		settleAll(t, s,
			outbox.Result{Number: e[0].Number},
			outbox.Result{Number: e[1].Number, Err: later, NextAt: eventTime(5)},
			outbox.Result{Number: e[2].Number, Err: refused, Dead: true})
		// Late news of a process that had lost its lease.
		settleAll(t, s,
			outbox.Result{Number: e[0].Number, Err: later, NextAt: eventTime(9)},
			outbox.Result{Number: e[2].Number, Err: later, NextAt: eventTime(9)})
		got, err := s.ListDeliveries(t.Context(), outbox.Filter{})
		if err != nil {
			t.Fatal(err)
		}
		type row struct {
			ID, Kind, Error, Remedy string
			State                   outbox.State
			Attempts                int
			NextAt                  time.Time
		}
		rows := make([]row, len(got))
		for i, g := range got {
			rows[i] = row{ID: g.ID, Kind: g.ErrorKind, Error: g.Error, Remedy: g.Remedy, State: g.State, Attempts: g.Attempts, NextAt: g.NextAt}
		}
		want := []row{
			{ID: "a-3", State: outbox.Waiting},
			{ID: "a-2", Kind: "invalid", Error: strings.Repeat("ü", 1000) + "…", State: outbox.Dead, Attempts: 1},
			{ID: "a-1", Kind: "rate_limited", Error: "slow  down \uFFFD", Remedy: "wait", State: outbox.Waiting, Attempts: 1, NextAt: eventTime(5)},
		}
		if diff := cmp.Diff(want, rows); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		settleAll(t, s, outbox.Result{Number: e[2].Number}) // accepted after all
		if got := waiting(t, s, "es"); len(got) != 2 {
			t.Errorf("waiting %v", got)
		}
	})
}

func TestOutbox_StatsAndAdministration(t *testing.T) {
	t.Parallel()
	minute := 0
	storetest.EachAt(t, func() time.Time { return eventTime(minute) }, func(t *testing.T, open func(testing.TB) *store.Store) {
		s := open(t)
		enqueue(t, s, "es", documents("a", 4)...)
		enqueue(t, s, "rest", documents("b", 2)...)
		e := waiting(t, s, "es")
		settleAll(t, s,
			outbox.Result{Number: e[0].Number},
			outbox.Result{Number: e[1].Number, Err: fault.New(fault.Invalid, "no"), Dead: true})
		stats, err := s.OutboxStats(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		want := []outbox.Stats{
			{Sink: "es", Waiting: 2, Dead: 1, Limit: store.DefaultOutboxLimit, Oldest: eventTime(0)},
			{Sink: "rest", Waiting: 2, Limit: store.DefaultOutboxLimit, Oldest: eventTime(0)},
		}
		if diff := cmp.Diff(want, stats, cmpopts.IgnoreFields(outbox.Stats{}, "Bytes")); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		if stats[0].Bytes <= 0 || stats[1].Bytes <= 0 {
			t.Errorf("no size: %+v", stats)
		}
		check := func(what string, n int, err error, want int) {
			t.Helper()
			if err != nil || n != want {
				t.Errorf("%s: %d, %v; want %d", what, n, err, want)
			}
		}
		n, err := s.RetryDeliveries(t.Context(), outbox.Selection{State: outbox.Dead, Sink: "rest"})
		check("retry dead of rest", n, err, 0)
		n, err = s.RetryDeliveries(t.Context(), outbox.Selection{Numbers: []int64{e[0].Number, e[1].Number, 1 << 40}})
		check("retry by number", n, err, 1) // what was accepted stays so
		if got := waiting(t, s, "es"); len(got) != 3 || got[0].Attempts != 0 || got[0].ID != "a-1" {
			t.Errorf("waiting %+v", got)
		}
		n, err = s.DropDeliveries(t.Context(), outbox.Selection{Sink: "rest"})
		check("drop rest", n, err, 2)
		n, err = s.DropDeliveries(t.Context(), outbox.Selection{Numbers: []int64{e[0].Number, e[1].Number}})
		check("drop by number", n, err, 1)
		list, err := s.ListDeliveries(t.Context(), outbox.Filter{Sink: "es", State: outbox.Waiting, Before: e[3].Number, Limit: 5})
		check("list", len(list), err, 1)
	})
}

func TestOutbox_RefusesWhatNobodyCouldTake(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		s := open(t)
		good := documents("a", 1)[0]
		for name, change := range map[string]func(*device.Delivery){
			"no id":      func(d *device.Delivery) { d.ID = "" },
			"odd id":     func(d *device.Delivery) { d.ID = "a\x00b" },
			"odd key":    func(d *device.Delivery) { d.Key = "\xff" },
			"long key":   func(d *device.Delivery) { d.Key = strings.Repeat("k", 1001) },
			"no kind":    func(d *device.Delivery) { d.Kind = "" },
			"no body":    func(d *device.Delivery) { d.Body = nil },
			"large body": func(d *device.Delivery) { d.Body = make([]byte, device.MaxDelivery+1) },
		} {
			d := good
			change(&d)
			if err := s.EnqueueDeliveries(t.Context(), "es", []device.Delivery{good, d}); fault.KindOf(err) != fault.Invalid {
				t.Errorf("%s: %v", name, err)
			}
		}
		if got := waiting(t, s, "es"); len(got) != 0 {
			t.Errorf("a refused call left %v", got)
		}
	})
}

// The bound is a bound on disk, holds across processes, and ends when there is
// room again. Other sinks have their own.
func TestOutbox_Bound(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		s := open(t)
		s.LimitOutbox(2000)
		doc := func(i int) device.Delivery {
			return device.Delivery{ID: fmt.Sprint(i), Kind: device.DeliverAccess, Body: json.RawMessage(fmt.Sprintf(`"%0200d"`, i))}
		}
		n := 0
		var err error
		for ; err == nil && n < 100; n++ {
			err = s.EnqueueDeliveries(t.Context(), "es", []device.Delivery{doc(n)})
		}
		if fault.KindOf(err) != fault.Unavailable || fault.RemedyOf(err) == "" || n < 9 || n > 11 {
			t.Fatalf("after %d: %v", n, err)
		}
		enqueue(t, s, "rest", doc(0))
		other := open(t)
		other.LimitOutbox(2000)
		if err := other.EnqueueDeliveries(t.Context(), "es", []device.Delivery{doc(200)}); fault.KindOf(err) != fault.Unavailable {
			t.Errorf("another process: %v", err)
		}
		for _, e := range waiting(t, s, "es") {
			settleAll(t, s, outbox.Result{Number: e.Number})
		}
		deadline := time.Now().Add(10 * time.Second)
		for s.EnqueueDeliveries(t.Context(), "es", []device.Delivery{doc(300)}) != nil {
			if time.Now().After(deadline) {
				t.Fatal("still full after everything was delivered")
			}
			time.Sleep(20 * time.Millisecond) // a measured size holds for a while
		}
	})
}

func TestOutbox_Lease(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		s, other := open(t), open(t)
		var (
			group sync.WaitGroup
			mu    sync.Mutex
			won   int
		)
		for i := range 8 {
			group.Go(func() {
				st := s
				if i%2 == 1 {
					st = other
				}
				ok, err := st.TakeOutboxLease(t.Context(), "es", outbox.Lease{}, outbox.Lease{Holder: fmt.Sprint(i), Beat: 1})
				if err != nil {
					t.Error(err)
				}
				mu.Lock()
				defer mu.Unlock()
				if ok {
					won++
				}
			})
		}
		group.Wait()
		if won != 1 {
			t.Fatalf("%d got the lease", won)
		}
		seen, err := other.OutboxLease(t.Context(), "es")
		if err != nil || seen.Beat != 1 {
			t.Fatalf("%v, %v", seen, err)
		}
		next := outbox.Lease{Holder: "x", Beat: 2}
		if ok, err := s.TakeOutboxLease(t.Context(), "es", outbox.Lease{Holder: "stranger", Beat: 1}, next); ok || err != nil {
			t.Errorf("from what was not so: %t, %v", ok, err)
		}
		if ok, err := s.TakeOutboxLease(t.Context(), "es", seen, next); !ok || err != nil {
			t.Errorf("from what was seen: %t, %v", ok, err)
		}
	})
}
