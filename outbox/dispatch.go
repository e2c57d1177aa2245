package outbox

import (
	"context"
	"math/rand/v2"
	"sync"
	"time"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
)

// dispatcher delivers to one sink.
type dispatcher struct {
	sink   Sink
	name   string
	o      *Options
	holder string
	wake   chan struct{}

	// The lease as last seen, and since when it has been that.
	seen   Lease
	seenAt time.Time

	window    window
	size      int       // documents of the next call
	failures  int       // calls in a row of which nothing came
	pauseTill time.Time // of the process's own clock
	unsettled []Result  // heard of, but not on disk yet

	mu   sync.Mutex
	err  error // the last failure, nil since something arrived
	held bool
}

func newDispatcher(sink Sink, o *Options, holder string) *dispatcher {
	return &dispatcher{sink: sink, name: sink.Name(), o: o, holder: holder, wake: make(chan struct{}, 1), size: o.BatchCount}
}

// condition tells whether this process delivers, and the last failure, nil since
// something arrived.
func (d *dispatcher) condition() (held bool, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.held, d.err
}

func (d *dispatcher) setHeld(held bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.held = held
}

func (d *dispatcher) run(ctx context.Context) {
	for ctx.Err() == nil {
		if d.acquire(ctx) {
			d.hold(ctx)
		} else {
			d.rest(ctx, ctx, min(d.o.Idle, d.o.LeaseTime/4))
		}
	}
}

// rest waits, and tells whether it was woken up before its time.
func (d *dispatcher) rest(ctx, held context.Context, wait time.Duration) {
	timer := time.NewTimer(wait)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-held.Done():
	case <-timer.C:
	case <-d.wake:
	}
}

// work delivers until the context ends or the lease is lost.
func (d *dispatcher) work(ctx, held context.Context) {
	d.window = window{}
	for ctx.Err() == nil && held.Err() == nil {
		switch paused := time.Until(d.pauseTill); {
		case len(d.unsettled) > 0:
			if !d.settle(ctx, nil) {
				d.rest(ctx, held, d.o.MinBackoff)
			}
		case paused > 0:
			d.rest(ctx, held, paused)
		default:
			if wait := d.round(ctx, held); wait > 0 {
				d.rest(ctx, held, wait)
			}
		}
	}
	if len(d.unsettled) > 0 {
		d.settle(ctx, nil) // a last time; else they are delivered again, with the same IDs
	}
}

// round delivers once. It gives how long there is nothing to do.
func (d *dispatcher) round(ctx, held context.Context) time.Duration {
	now := d.o.Now()
	batch, _, full := d.window.choose(now, d.size, d.o.BatchBytes, d.latest())
	var next time.Time
	if !full {
		if err := d.window.fill(ctx, d); err != nil {
			if ctx.Err() == nil {
				d.o.Logger.WarnContext(ctx, "outbox cannot be read", "sink", d.name, "error", err)
			}
			return d.o.MinBackoff
		}
		batch, next, _ = d.window.choose(now, d.size, d.o.BatchBytes, d.latest())
	}
	if len(batch) == 0 {
		if next.IsZero() {
			return d.o.Idle
		}
		return min(d.o.Idle, max(next.Sub(now), time.Millisecond))
	}
	d.deliver(ctx, held, batch)
	return 0
}

// latest is the longest time that an entry may have to wait.
func (d *dispatcher) latest() time.Duration {
	return max(2*d.o.MaxBackoff, d.o.MaxRetryAfter) + time.Second
}

// deliver makes one call and records what came of it.
func (d *dispatcher) deliver(ctx, held context.Context, batch []Entry) {
	numbers := make([]int64, len(batch))
	for i, e := range batch {
		numbers[i] = e.Number
	}
	bodies, err := d.o.Store.DeliveryBodies(ctx, numbers)
	if err != nil {
		if ctx.Err() == nil {
			d.o.Logger.WarnContext(ctx, "outbox cannot be read", "sink", d.name, "error", err)
			d.pauseTill = time.Now().Add(d.o.MinBackoff)
		}
		return
	}
	var (
		sent       []Entry
		deliveries []device.Delivery
		results    []Result
		gone       = make(map[int64]bool)
	)
	for _, e := range batch {
		body, there := bodies[e.Number]
		switch {
		case !there:
			gone[e.Number] = true
		case body == nil:
			results = append(results, d.aside(e, fault.New(fault.Invalid, "the stored document is damaged")))
		default:
			sent = append(sent, e)
			deliveries = append(deliveries, device.Delivery{ID: e.ID, Kind: e.Kind, Key: e.Key, At: e.At, Body: body})
		}
	}
	d.window.without(gone)
	if len(sent) > 0 {
		results = append(results, d.call(held, sent, deliveries)...)
	}
	d.settle(ctx, results)
}

// settle records results, together with those that could not be recorded before.
// Only what is recorded is forgotten.
func (d *dispatcher) settle(ctx context.Context, results []Result) bool {
	d.window.settle(results)
	d.unsettled = append(d.unsettled, results...)
	if len(d.unsettled) == 0 {
		return true
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.o.LeaseTime)
	defer cancel()
	if err := d.o.Store.SettleDeliveries(ctx, d.unsettled); err != nil {
		d.o.Logger.ErrorContext(ctx, "results of deliveries cannot be recorded yet", "sink", d.name, "results", len(d.unsettled), "error", err)
		return false
	}
	d.unsettled = nil
	return true
}

// backoff is the pause after n failures in a row, with jitter.
func (d *dispatcher) backoff(n int) time.Duration {
	pause := d.o.MaxBackoff
	if n = max(0, n-1); n < 32 && d.o.MinBackoff<<n < pause && d.o.MinBackoff<<n > 0 {
		pause = d.o.MinBackoff << n
	}
	return pause/2 + rand.N(pause/2+1) //nolint:gosec // jitter
}
