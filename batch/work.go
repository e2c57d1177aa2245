package batch

import (
	"context"
	"sync"
	"time"

	"github.com/postureproject/posture/fault"
)

// Work settles shards of runs that other processes lead, until ctx ends; people in
// hand are finished then. It needs a [Carrier]. A run that goes by another plan is
// left to others, and told of in the log.
func (e *Engine) Work(ctx context.Context) error {
	if !e.shared {
		return &fault.Error{
			Kind: fault.Invalid, Op: "work", Message: "only runs on a database server can be worked on by several processes",
			Remedy: "set store.dsn to postgres://…; on SQLite the process that makes the run does all of it",
		}
	}
	hands, stop := handsOf(ctx, context.WithoutCancel(ctx), e.o.Grace)
	defer stop()
	t := &team{e: e, stop: ctx, hands: hands, crews: map[round]*member{}}
	var group sync.WaitGroup
	group.Go(t.look)
	err := e.o.Carrier.Work(ctx, e.planID(), e.o.shardsAtOnce(), t.take)
	t.disband()
	group.Wait()
	return err
}

// round names the round of a run.
type round struct {
	run    string
	number int
}

// team has a crew for each round that a worker has shards of.
type team struct {
	e           *Engine
	stop, hands context.Context //nolint:containedctx // they bound the work's own life

	mu    sync.Mutex
	crews map[round]*member
}

type member struct {
	*crew
	shards int // in hand
}

// take settles a shard.
func (t *team) take(s Shard) {
	m, err := t.join(round{s.Run, s.Round})
	if err != nil {
		if !ended(t.stop) {
			t.e.o.Logger.WarnContext(t.stop, "a shard is left to others", "run", s.Run, "shard", s.Number, "error", err.Error())
		}
		return
	}
	m.take(s)
	t.leave(round{s.Run, s.Round}, m)
}

// join gives the crew of a round. Those of others that are idle go.
func (t *team) join(r round) (*member, error) {
	t.mu.Lock()
	defer t.mu.Unlock()
	if m := t.crews[r]; m != nil {
		m.shards++
		return m, nil
	}
	x, err := t.execution(r)
	if err != nil {
		return nil, err
	}
	for other, m := range t.crews {
		if m.shards == 0 {
			m.end()
			delete(t.crews, other)
		}
	}
	m := &member{crew: newCrew(x, r.number), shards: 1}
	t.crews[r] = m
	return m, nil
}

// execution reads what a worker must know of a run.
func (t *team) execution(r round) (*execution, error) {
	run, err := t.e.o.Store.BatchRun(t.stop, r.run)
	if err != nil {
		return nil, err
	}
	x := &execution{Options: t.e.o, shared: true, run: run, stop: t.stop, hands: t.hands, plan: t.e.plan()}
	x.Progress = nil // the leader tells it
	return x, x.loadListings()
}

// leave puts a crew down that is idle. One that has failed is not used again; its
// shards go to others when they find it silent, so that a fault of this machine
// does not make it grab one shard after the other.
func (t *team) leave(r round, m *member) {
	t.mu.Lock()
	defer t.mu.Unlock()
	m.shards--
	if !ended(m.ctx) || ended(t.stop) {
		return
	}
	t.e.o.Logger.ErrorContext(t.stop, "a shard could not be finished here", "run", r.run, "error", context.Cause(m.ctx).Error())
	if t.crews[r] == m {
		delete(t.crews, r)
	}
	if m.shards == 0 {
		m.end()
	}
}

// disband ends all crews, and gives back what they leave unfinished.
func (t *team) disband() {
	t.mu.Lock()
	defer t.mu.Unlock()
	for r, m := range t.crews {
		m.end()
		m.x.putDown()
		delete(t.crews, r)
	}
}

// lookAtRuns is how often a worker looks whether it goes by the plan of the run.
const lookAtRuns = 15 * time.Second

// look tells of runs that this worker cannot take part in.
func (t *team) look() {
	told := ""
	tick := time.NewTicker(lookAtRuns)
	defer tick.Stop()
	for {
		lease, err := t.e.o.Store.BatchLease(t.stop)
		if err == nil && lease.Run != "" && lease.Run != told {
			run, err := t.e.o.Store.BatchRun(t.stop, lease.Run)
			if err == nil && run.Plan != "" && run.Plan != t.e.planID() {
				told = lease.Run
				t.e.o.Logger.WarnContext(t.stop, "this worker does not take part in the run, which goes by other sources, sinks or policy",
					"run", lease.Run, "leader", lease.Holder, "remedy", "give the worker the leader's configuration, see that all its plugins start, and start it again")
			}
		}
		select {
		case <-t.stop.Done():
			return
		case <-tick.C:
		}
	}
}
