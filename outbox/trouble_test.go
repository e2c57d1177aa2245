package outbox_test

import (
	"context"
	"errors"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/outbox"
)

// Stopping lets the call under way finish and records it; the lease is free then.
func TestOutbox_GracefulStop(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, nil)
		b.sink.behave(func(ctx context.Context, _ int, _ []device.Delivery) ([]error, error) {
			select {
			case <-time.After(40 * time.Second): // longer than the lease
				return nil, nil
			case <-ctx.Done():
				return nil, ctx.Err()
			}
		})
		b.enqueue(docs("a", 25, 0)...)
		begun := time.Now()
		b.stop()
		if took := time.Since(begun); took != 40*time.Second {
			t.Errorf("stopping took %s", took)
		}
		b.arrived(10, 0, 15)
		b.sink.behave(nil)
		b.run()
		time.Sleep(2 * time.Second) // and not the lease time
		synctest.Wait()
		b.arrived(25, 0, 0)
		if n := len(b.sink.handed()); n != 25 {
			t.Errorf("%d documents handed over", n)
		}
	})
}

// A sink that never answers costs one call's limit, no more.
func TestOutbox_NeverAnswering(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, nil)
		b.sink.behave(func(ctx context.Context, call int, _ []device.Delivery) ([]error, error) {
			if call > 2 {
				return nil, nil
			}
			<-ctx.Done()
			return nil, ctx.Err()
		})
		b.enqueue(docs("a", 5, 0)...)
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		b.arrived(5, 0, 0)
	})
}

// What was accepted while the store is down is not sent again when it is back.
func TestOutbox_StoreDown(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, func(o *outbox.Options) { o.LeaseTime = time.Minute })
		b.sink.behave(func(context.Context, int, []device.Delivery) ([]error, error) {
			b.store.breakDown(errors.New("disk full"))
			return nil, nil
		})
		b.enqueue(docs("a", 5, 0)...)
		b.arrived(0, 0, 5)
		time.Sleep(20 * time.Second)
		b.store.breakDown(nil)
		time.Sleep(3 * time.Minute)
		synctest.Wait()
		b.arrived(5, 0, 0)
		if n := len(b.sink.handed()); n != 5 {
			t.Errorf("%d documents handed over", n)
		}
	})
}

// A clock that jumps neither loses a document nor holds it back for long.
func TestOutbox_ClockJumps(t *testing.T) {
	t.Parallel()
	for name, jumps := range map[string][]time.Duration{
		"forth":          {10 * 365 * 24 * time.Hour},
		"back":           {-10 * 365 * 24 * time.Hour},
		"forth and back": {10 * 365 * 24 * time.Hour, 0},
		"back and forth": {-48 * time.Hour, 0},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				var off atomic.Int64
				b := start(t, func(o *outbox.Options) { o.Now = func() time.Time { return time.Now().Add(time.Duration(off.Load())) } })
				b.sink.behave(func(context.Context, int, []device.Delivery) ([]error, error) { return nil, unavailable() })
				b.enqueue(docs("a", 1, 0)...)
				for _, jump := range jumps {
					off.Store(int64(jump))
					time.Sleep(10 * time.Minute) // it fails again, and notes when to go on
					synctest.Wait()
				}
				b.sink.behave(nil)
				time.Sleep(20 * time.Minute)
				synctest.Wait()
				b.arrived(1, 0, 0)
			})
		})
	}
}

func TestOutbox_Full(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, nil) // the store's limit is 1000 bytes
		b.sink.behave(func(context.Context, int, []device.Delivery) ([]error, error) { return nil, unavailable() })
		b.enqueue(docs("a", 60, 0)...)
		time.Sleep(time.Minute)
		synctest.Wait()
		if st := b.box.Status(); !st[0].Full || st[0].Bytes != 900 {
			t.Errorf("status %+v", st)
		}
		b.sink.behave(nil)
		time.Sleep(time.Hour)
		synctest.Wait()
		b.happened("failing", "full true", "recovered", "full false")
	})
}

// A sink that cannot count, and one whose document somebody drops meanwhile.
func TestOutbox_OddSinks(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, nil)
		b.sink.behave(func(_ context.Context, call int, ds []device.Delivery) ([]error, error) {
			if call == 1 {
				return make([]error, len(ds)-1), nil
			}
			return nil, nil
		})
		b.enqueue(docs("a", 5, 0)...)
		b.arrived(0, 0, 5)
		_, _ = b.store.DropDeliveries(t.Context(), outbox.Selection{Numbers: []int64{1, 2}})
		before := len(b.sink.handed())
		time.Sleep(time.Minute)
		synctest.Wait()
		b.arrived(5, 0, 0)
		if got := b.sink.handed()[before:]; len(got) != 3 || got[0] != "a002" {
			t.Errorf("handed over after the drop: %v", got)
		}
	})
}

// Two processes on one store: one delivers, the other takes over when the first
// is gone, by its own clock, and nothing is handed over twice.
func TestOutbox_TwoProcesses(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, nil)
		synctest.Wait()
		other := &sink{name: "es"}
		second := outbox.New(outbox.Options{
			Store: b.store, Sinks: []outbox.Sink{other}, Now: func() time.Time { return time.Now().Add(-24 * time.Hour) },
		})
		ctx, cancel := context.WithCancel(t.Context())
		done := make(chan struct{})
		go func() { defer close(done); _ = second.Run(ctx) }()
		b.enqueue(docs("a", 50, 0)...)
		time.Sleep(5 * time.Minute)
		synctest.Wait()
		if len(b.sink.handed()) != 50 || len(other.handed()) != 0 {
			t.Errorf("first %d, second %d", len(b.sink.handed()), len(other.handed()))
		}
		b.stop()
		_ = b.store.EnqueueDeliveries(t.Context(), "es", docs("b", 50, 0))
		time.Sleep(5 * time.Second)
		synctest.Wait()
		if len(b.sink.handed()) != 50 || len(other.handed()) != 50 {
			t.Errorf("first %d, second %d", len(b.sink.handed()), len(other.handed()))
		}
		cancel()
		<-done
		// One that dies leaves its lease: the next waits it out.
		b.store.leases["es"] = outbox.Lease{Holder: "dead", Beat: 7}
		b.run()
		_ = b.store.EnqueueDeliveries(t.Context(), "es", docs("c", 1, 0))
		time.Sleep(14 * time.Second)
		synctest.Wait()
		b.arrived(100, 0, 1)
		time.Sleep(5 * time.Second)
		synctest.Wait()
		b.arrived(101, 0, 0)
	})
}

// A process that lost its lease breaks its call off and stops.
func TestOutbox_LeaseLost(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		b := start(t, nil)
		broken := make(chan error, 1)
		b.sink.behave(func(ctx context.Context, call int, _ []device.Delivery) ([]error, error) {
			if call > 1 {
				return nil, nil
			}
			<-ctx.Done()
			broken <- ctx.Err()
			return nil, ctx.Err()
		})
		b.enqueue(docs("a", 3, 0)...)
		b.store.mu.Lock()
		b.store.leases["es"] = outbox.Lease{Holder: "thief", Beat: 99}
		b.store.mu.Unlock()
		time.Sleep(10 * time.Second)
		synctest.Wait()
		select {
		case err := <-broken:
			if !errors.Is(err, context.Canceled) {
				t.Errorf("ended by %v", err)
			}
		default:
			t.Error("the call goes on")
		}
		b.arrived(0, 0, 3)
	})
}
