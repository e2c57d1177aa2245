package outbox_test

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/outbox"
)

// bundle is an outbox with one sink, in a bubble with a clock of its own.
type bundle struct {
	t      *testing.T
	store  *memory
	sink   *sink
	box    *outbox.Outbox
	stop   func()
	mu     sync.Mutex
	events []string
}

func (b *bundle) note(format string, args ...any) {
	b.mu.Lock()
	defer b.mu.Unlock()
	b.events = append(b.events, fmt.Sprintf(format, args...))
}

// happened checks what the observer has heard.
func (b *bundle) happened(want ...string) {
	b.t.Helper()
	b.mu.Lock()
	defer b.mu.Unlock()
	if diff := cmp.Diff(want, b.events); diff != "" {
		b.t.Errorf("events (-want +got):\n%s", diff)
	}
}

func start(t *testing.T, change func(*outbox.Options)) *bundle {
	t.Helper()
	b := &bundle{t: t, store: newMemory(), sink: &sink{name: "es"}}
	o := outbox.Options{Store: b.store, Sinks: []outbox.Sink{b.sink}, BatchCount: 10, Observer: outbox.Observer{
		Dead:      func(_ string, e outbox.Entry, err error) { b.note("dead %s %s", e.ID, fault.KindOf(err)) },
		Failing:   func(string, error) { b.note("failing") },
		Recovered: func(string) { b.note("recovered") },
		Full:      func(_ string, full bool) { b.note("full %t", full) },
	}}
	if change != nil {
		change(&o)
	}
	b.box = outbox.New(o)
	b.run()
	synctest.Wait()
	t.Cleanup(func() { b.stop() })
	return b
}

func (b *bundle) run() {
	ctx, cancel := context.WithCancel(b.t.Context())
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := b.box.Run(ctx); err != nil {
			b.t.Error(err)
		}
	}()
	b.stop = func() { cancel(); <-done }
}

func (b *bundle) enqueue(ds ...device.Delivery) {
	b.t.Helper()
	if err := b.store.EnqueueDeliveries(b.t.Context(), "es", ds); err != nil {
		b.t.Fatal(err)
	}
	b.box.Wake()
	synctest.Wait()
}

// arrived checks which documents were accepted, set aside and still wait.
func (b *bundle) arrived(accepted, dead, waiting int) {
	b.t.Helper()
	a, d, w := b.store.sorted("es")
	if len(a) != accepted || len(d) != dead || len(w) != waiting {
		b.t.Errorf("accepted %v, dead %v, waiting %v; want %d, %d, %d", a, d, w, accepted, dead, waiting)
	}
}

func TestOutbox_Delivers(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, nil)
		b.enqueue(docs("a", 25, 0)...)
		b.arrived(25, 0, 0)
		if len(b.sink.all()) != 3 || !slices.IsSorted(b.sink.handed()) {
			t.Errorf("calls %v", b.sink.all())
		}
		b.enqueue(docs("a", 25, 0)...) // known
		if n := len(b.sink.handed()); n != 25 {
			t.Errorf("%d documents were handed over", n)
		}
		// Nobody wakes it: another process has put this in.
		_ = b.store.EnqueueDeliveries(t.Context(), "es", docs("b", 1, 0))
		time.Sleep(2 * time.Second)
		synctest.Wait()
		b.arrived(26, 0, 0)
	})
}

func TestOutbox_BatchBytes(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, func(o *outbox.Options) { o.BatchBytes = 40 })
		ds := docs("a", 5, 0)                                     // 15 bytes each
		ds[3].Body = []byte(`"` + strings.Repeat("x", 100) + `"`) // too large, but it must go
		b.enqueue(ds...)
		want := [][]string{{"a000", "a001"}, {"a002"}, {"a003"}, {"a004"}}
		if diff := cmp.Diff(want, b.sink.all()); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
	})
}

// Of one key, one document goes at a time, and none after one that failed.
func TestOutbox_OrderPerKey(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, nil)
		b.sink.behave(func(_ context.Context, _ int, ds []device.Delivery) ([]error, error) {
			keys, errs := make(map[string]bool), make([]error, len(ds))
			for i, d := range ds {
				if keys[d.Key] {
					t.Errorf("%s twice in one call", d.Key)
				}
				keys[d.Key] = true
				if d.ID == "a003" && b.sink.sinceFirst() < 10*time.Minute {
					errs[i] = fault.New(fault.Unavailable, "not this one")
				}
			}
			return errs, nil
		})
		b.enqueue(docs("a", 12, 3)...) // a003 has key0, as have a006 and a009
		b.arrived(9, 0, 3)
		for _, id := range []string{"a006", "a009"} {
			if slices.Contains(b.sink.handed(), id) {
				t.Errorf("%s has overtaken a003", id)
			}
		}
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		b.arrived(12, 0, 0)
		h := b.sink.handed()
		if slices.Index(h, "a006") > slices.Index(h, "a009") || slices.Index(h, "a006") < slices.Index(h, "a003") {
			t.Errorf("order %v", h)
		}
	})
}

// While a sink is down it is asked less and less, and everything arrives in order
// when it is back.
func TestOutbox_SinkDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, nil)
		b.sink.behave(func(context.Context, int, []device.Delivery) ([]error, error) { return nil, unavailable() })
		b.enqueue(docs("a", 40, 7)...)
		time.Sleep(6 * time.Hour)
		synctest.Wait()
		b.arrived(0, 0, 40)
		calls := len(b.sink.all())
		if calls < 60 || calls > 200 {
			t.Errorf("%d calls in six hours", calls)
		}
		st := b.box.Status()
		if len(st) != 1 || !strings.Contains(st[0].Failing, "down") || !st[0].Delivering || st[0].Waiting != 40 {
			t.Errorf("status %+v", st)
		}
		if err := b.box.Drain(t.Context()); fault.KindOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "40 for es") {
			t.Errorf("drain: %v", err)
		}
		b.sink.behave(nil)
		time.Sleep(30 * time.Minute)
		synctest.Wait()
		b.arrived(40, 0, 0)
		b.happened("failing", "recovered")
		seen := make(map[string]string)
		for _, call := range b.sink.all()[calls:] {
			for _, id := range call {
				var n int
				_, _ = fmt.Sscanf(id, "a%d", &n)
				key := fmt.Sprint(n % 7)
				if id < seen[key] {
					t.Errorf("%s after %s", id, seen[key])
				}
				seen[key] = id
			}
		}
		if err := b.box.Drain(t.Context()); err != nil {
			t.Errorf("drain: %v", err)
		}
	})
}

func TestOutbox_RetryAfter(t *testing.T) {
	t.Parallel()
	for name, answer := range map[string]func(ds []device.Delivery, err error) ([]error, error){
		"the call": func(_ []device.Delivery, err error) ([]error, error) { return nil, err },
		"each": func(ds []device.Delivery, err error) ([]error, error) {
			return slices.Repeat([]error{err}, len(ds)), nil
		},
		"one": func(ds []device.Delivery, err error) ([]error, error) {
			errs := make([]error, len(ds))
			errs[0] = err
			return errs, nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := start(t, nil)
				b.sink.behave(func(_ context.Context, call int, ds []device.Delivery) ([]error, error) {
					if call > 1 {
						return nil, nil
					}
					return answer(ds, &fault.Error{Kind: fault.RateLimited, RetryAfter: 17 * time.Minute})
				})
				b.enqueue(docs("a", 15, 0)...)
				time.Sleep(17*time.Minute - time.Second)
				synctest.Wait()
				if len(b.sink.all()) != 1 {
					t.Errorf("calls before the time: %v", b.sink.all())
				}
				time.Sleep(5 * time.Second)
				synctest.Wait()
				b.arrived(15, 0, 0)
			})
		})
	}
}

// What is refused is set aside after one attempt and holds nothing up; what
// fails otherwise is not.
func TestOutbox_Refused(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, nil)
		b.sink.behave(func(_ context.Context, _ int, ds []device.Delivery) ([]error, error) {
			errs := make([]error, len(ds))
			for i, d := range ds {
				if d.ID == "a001" || d.ID == "a004" {
					errs[i] = fault.New(fault.Invalid, "what is this")
				}
			}
			return errs, nil
		})
		b.enqueue(docs("a", 9, 3)...)
		b.arrived(7, 2, 0)
		time.Sleep(time.Hour)
		if n := len(b.sink.handed()); n != 9 {
			t.Errorf("%d attempts", n)
		}
		b.happened("dead a001 invalid", "dead a004 invalid")
		b.sink.behave(nil)
		_, _ = b.store.RetryDeliveries(t.Context(), outbox.Selection{})
		time.Sleep(10 * time.Second)
		synctest.Wait()
		b.arrived(9, 0, 0)
	})
}

// A document that makes every call fail that it is in does not keep the others.
func TestOutbox_Poison(t *testing.T) {
	t.Parallel()
	for _, kind := range []fault.Kind{fault.Internal, fault.Unavailable, fault.Timeout, fault.BadResponse} {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := start(t, nil)
				b.sink.behave(func(_ context.Context, _ int, ds []device.Delivery) ([]error, error) {
					if slices.ContainsFunc(ds, func(d device.Delivery) bool { return d.ID == "a000" }) {
						return nil, fault.New(kind, "the plugin went away")
					}
					return nil, nil
				})
				b.enqueue(docs("a", 30, 0)...)
				time.Sleep(time.Hour)
				synctest.Wait()
				b.arrived(29, 0, 1)
			})
		})
	}
}

func TestOutbox_MaxAttemptsAndAge(t *testing.T) {
	t.Parallel()
	for name, change := range map[string]func(*outbox.Options){
		"attempts": func(o *outbox.Options) { o.MaxAttempts = 5 },
		"age":      func(o *outbox.Options) { o.MaxAge = time.Hour },
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				b := start(t, change)
				b.sink.behave(func(context.Context, int, []device.Delivery) ([]error, error) { return nil, unavailable() })
				b.enqueue(docs("a", 1, 0)...)
				time.Sleep(4 * time.Second)
				synctest.Wait()
				b.arrived(0, 0, 1)
				time.Sleep(2 * time.Hour)
				synctest.Wait()
				b.arrived(0, 1, 0)
			})
		})
	}
}
