package batch

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"github.com/postureproject/posture/fault"
)

// beatsMissed is after how many missed beats a lease's holder counts as gone.
const beatsMissed = 5

// held is the lease of this process, and what keeps it.
type held struct {
	e      *Engine
	before string // who had the lease and was taken for dead, "" when nobody
	cancel context.CancelFunc
	ended  sync.WaitGroup
	gone   atomic.Bool
	over   context.Context //nolint:containedctx // ends when the lease is lost
	end    context.CancelCauseFunc
}

// hold takes the lease for a run. Whether another holder is alive is judged by
// watching it beat, never by comparing clocks, so that a clock that jumps makes
// nobody look dead. A dead one's lease is taken over.
func (e *Engine) hold(ctx context.Context, run string) (*held, error) {
	mine := Lease{Holder: e.o.Holder, Run: run}
	seen, err := e.o.Store.BatchLease(ctx)
	if err != nil {
		return nil, err
	}
	if seen.Holder != "" {
		if seen, err = e.watch(ctx, seen); err != nil {
			return nil, err
		}
	}
	taken, err := e.o.Store.TakeBatchLease(ctx, seen, mine)
	if err != nil {
		return nil, err
	}
	if !taken {
		now, err := e.o.Store.BatchLease(ctx)
		return nil, errors.Join(busy(now), err)
	}
	h := &held{e: e, before: seen.Holder}
	h.over, h.end = context.WithCancelCause(context.WithoutCancel(ctx))
	beating, cancel := context.WithCancel(context.WithoutCancel(ctx))
	h.cancel = cancel
	h.ended.Go(func() { h.beat(beating) })
	return h, nil
}

// watch gives the lease when its holder gave it back or shows no sign of life.
func (e *Engine) watch(ctx context.Context, seen Lease) (Lease, error) {
	for range beatsMissed {
		select {
		case <-ctx.Done():
			return seen, ctx.Err()
		case <-time.After(e.o.Beat):
		}
		now, err := e.o.Store.BatchLease(ctx)
		if err != nil || now.Holder == "" {
			return now, err
		}
		if now != seen {
			return now, busy(now)
		}
	}
	return seen, nil
}

func busy(l Lease) error {
	return &fault.Error{
		Kind: fault.Conflict, Op: "start run", Subject: l.Run, Message: fmt.Sprintf("a run is going on already, by %s", l.Holder),
		Remedy: "Wait until it has ended, or stop it; posture batch list shows how far it is.",
	}
}

func lostLease(run string) error {
	return &fault.Error{
		Kind: fault.Conflict, Op: "run", Subject: run, Message: "another process has taken this process for dead and goes on with the run",
		Remedy: "See that the machine is not overloaded and the database answers within seconds.",
	}
}

// beat shows that this process is alive until ctx ends. The database may be away
// for a while: only another holder ends the lease.
func (h *held) beat(ctx context.Context) {
	tick := time.NewTicker(h.e.o.Beat)
	defer tick.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
		mine, err := h.e.o.Store.BeatBatchLease(ctx, h.e.o.Holder)
		switch {
		case err != nil && ctx.Err() == nil:
			h.e.o.Logger.WarnContext(ctx, "the run's sign of life could not be written", "error", err)
		case err == nil && !mine:
			h.gone.Store(true)
			h.end(errors.New("the lease is lost"))
			return
		}
	}
}

func (h *held) lost() bool { return h.gone.Load() }

// leave gives the lease back.
func (h *held) leave() {
	h.cancel()
	h.ended.Wait()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(h.over), 10*time.Second)
	defer cancel()
	if err := h.e.o.Store.LeaveBatchLease(ctx, h.e.o.Holder); err != nil {
		h.e.o.Logger.WarnContext(ctx, "the run's lease could not be given back; the next run waits for it", "error", err)
	}
	h.end(nil)
}

// handsOf gives the context of what is in hand: it ends a while after ctx does, and
// at once when over ends.
func handsOf(ctx, over context.Context, grace time.Duration) (context.Context, context.CancelFunc) {
	hands, cancel := context.WithCancel(context.WithoutCancel(ctx))
	unlost := context.AfterFunc(over, cancel)
	var timer *time.Timer
	var mu sync.Mutex
	unstopped := context.AfterFunc(ctx, func() {
		mu.Lock()
		defer mu.Unlock()
		timer = time.AfterFunc(grace, cancel)
	})
	return hands, func() {
		unlost()
		unstopped()
		mu.Lock()
		defer mu.Unlock()
		if timer != nil {
			timer.Stop()
		}
		cancel()
	}
}
