package outbox

import (
	"context"
	"time"
)

// acquire tries to become the one that delivers to the sink. A lease of somebody
// else is taken when it has not changed for the whole lease time, by this
// process's own clock, which no change of the time of day moves.
func (d *dispatcher) acquire(ctx context.Context) bool {
	lease, err := d.o.Store.OutboxLease(ctx, d.name)
	if err != nil {
		if ctx.Err() == nil {
			d.o.Logger.WarnContext(ctx, "outbox cannot be reached", "sink", d.name, "error", err)
		}
		return false
	}
	if lease != d.seen || d.seenAt.IsZero() {
		d.seen, d.seenAt = lease, time.Now()
	}
	if lease.Holder != "" && time.Since(d.seenAt) < d.o.LeaseTime {
		return false
	}
	next := Lease{Holder: d.holder, Beat: lease.Beat + 1}
	ok, err := d.o.Store.TakeOutboxLease(ctx, d.name, lease, next)
	if err != nil || !ok {
		return false
	}
	if lease.Holder != "" {
		d.o.Logger.InfoContext(ctx, "took over deliveries from a process that is gone", "sink", d.name)
	}
	d.seen, d.seenAt = next, time.Time{}
	return true
}

// hold works while the lease lasts. When the lease is lost the call under way is
// broken off, as another process will make it; when the context ends it is not.
func (d *dispatcher) hold(ctx context.Context) {
	held, lose := context.WithCancel(context.WithoutCancel(ctx))
	defer lose()
	released := make(chan struct{})
	go func() {
		defer close(released)
		d.beat(held, lose)
	}()
	d.setHeld(true)
	d.work(ctx, held)
	d.setHeld(false)
	lost := held.Err() != nil
	lose()
	<-released
	if lost {
		d.o.Logger.WarnContext(ctx, "lost the lease on deliveries", "sink", d.name)
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), d.o.LeaseTime)
	defer cancel()
	// If this fails, the others wait until the lease runs out.
	_, _ = d.o.Store.TakeOutboxLease(ctx, d.name, d.seen, Lease{Beat: d.seen.Beat + 1})
}

// beat renews the lease until the work ends. It loses the lease when another
// process has it, and well before another one may take it because of silence.
func (d *dispatcher) beat(held context.Context, lose func()) {
	every := d.o.LeaseTime / 4
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	last := time.Now()
	for {
		select {
		case <-held.Done():
			return
		case <-ticker.C:
		}
		if time.Since(last) > 3*every { // this process itself was stopped for a while
			lose()
			return
		}
		ctx, cancel := context.WithTimeout(held, every)
		started := time.Now()
		next := Lease{Holder: d.holder, Beat: d.seen.Beat + 1}
		ok, err := d.o.Store.TakeOutboxLease(ctx, d.name, d.seen, next)
		cancel()
		switch {
		case ok:
			d.seen, last = next, started
		case err == nil:
			if !d.isMine(held) {
				lose()
				return
			}
		}
	}
}

// isMine looks whether a beat that seemed to be lost had arrived after all.
func (d *dispatcher) isMine(ctx context.Context) bool {
	lease, err := d.o.Store.OutboxLease(ctx, d.name)
	if err != nil {
		return true // not known; the silence is counted
	}
	if lease.Holder == d.holder {
		d.seen = lease
		return true
	}
	return false
}
