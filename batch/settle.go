package batch

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/postureproject/posture/fault"
)

const (
	// shardPoll is how often the shards of all workers are looked at.
	shardPoll = 500 * time.Millisecond
	// offersAtOnce is how many shards wait for workers at most.
	offersAtOnce = 256
	// offerAgain is after how long a shard that nobody took is offered again.
	offerAgain = 10 * time.Second
	// countEvery is how often people are counted whom other processes settle too.
	countEvery = 2 * time.Second
)

// shardsAtOnce is how many shards a process has open: enough for as many people as
// may be in hand, and one more, so that the last person of one does not hold up the
// others.
func (o Options) shardsAtOnce() int { return 1 + (o.Limit+o.ShardSize-1)/o.ShardSize }

// shards makes shards of all people in a state.
func (x *execution) shards(round int, state State) ([]Shard, error) {
	var shards []Shard
	n := 0
	err := x.eachPerson(func(p Person) {
		if p.State != state {
			return
		}
		if n%x.ShardSize == 0 {
			shards = append(shards, Shard{Run: x.run.ID, Round: round, Number: len(shards), First: p.Email})
		}
		shards[len(shards)-1].Last = p.Email
		n++
	})
	return shards, err
}

// scan is the second phase: everybody once. Sources that were configured since the
// run was begun are read first.
func (x *execution) scan() error {
	if err := x.readListings(1); err != nil {
		return err
	}
	if err := x.work(1); err != nil {
		return err
	}
	shards, err := x.shards(2, Waiting)
	if err != nil {
		return err
	}
	late, err := x.shards(lateRound, Pending)
	if err != nil {
		return err
	}
	if len(shards)+len(late) == 0 && !x.broken() {
		return x.advance(Sending, nil)
	}
	return x.advance(Retrying, shards)
}

// retry is the third phase: listings that failed are read once more, and everybody
// who had a failed source is looked at once more.
func (x *execution) retry() error {
	if err := x.readListings(2); err != nil {
		return err
	}
	if !x.run.Given && x.broken() {
		if err := x.addEarlier(); err != nil {
			return err
		}
	}
	if err := x.work(2); err != nil {
		return err
	}
	if err := x.late(); err != nil {
		return err
	}
	return x.advance(Sending, nil)
}

const (
	// lateRound is the first round of those who became known after the first one.
	lateRound = 3
	// lateRounds is how many such rounds there are at most; one is the rule.
	lateRounds = 20
)

// late scans, like everybody else, those who became known only after the shards of
// the first round were made, round after round until nobody is left: the shards that
// an interrupted attempt has made of a round stay as they are, and may lack people.
func (x *execution) late() error {
	for round := lateRound; round < lateRound+lateRounds; round++ {
		shards, err := x.shards(round, Pending)
		if err != nil || len(shards) == 0 {
			return err
		}
		if err := x.advance(Retrying, shards); err != nil {
			return err
		}
		if err := x.work(round); err != nil {
			return err
		}
	}
	return &fault.Error{
		Kind: fault.Internal, Op: "scan", Subject: x.run.ID, Message: "people of the run stay unsettled although all shards are done",
		Remedy: "make a new run",
	}
}

// work returns when all shards of a round are done, by this process or others.
func (x *execution) work(round int) error {
	if err := x.count(); err != nil {
		return err
	}
	c := newCrew(x, round)
	working, enough := context.WithCancel(c.ctx)
	var group sync.WaitGroup
	group.Go(func() {
		c.fail(x.patient(working, func() error { return x.Carrier.Work(working, x.run.Plan, x.shardsAtOnce(), c.take) }))
	})
	c.fail(x.lead(c))
	err := context.Cause(c.ctx)
	enough()
	group.Wait()
	c.end()
	if err == nil {
		return nil
	}
	x.putDown()
	if !errors.Is(err, context.Canceled) {
		return err
	}
	return cmp.Or(x.stop.Err(), x.hands.Err(), err)
}

// putDown gives back shards that this process leaves unfinished, so that whoever
// goes on need not wait for a sign of life.
func (x *execution) putDown() {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(x.hands), 5*time.Second)
	defer cancel()
	if err := x.Store.FreeShards(ctx, x.run.ID, x.Holder); err != nil {
		x.Logger.WarnContext(ctx, "unfinished shards could not be given back; whoever goes on waits for them", "run", x.run.ID, "error", err)
	}
}

// lead offers the shards of a crew's round to all workers, and takes them from
// workers that fell silent, until all are done.
func (x *execution) lead(c *crew) error {
	tick := time.NewTicker(shardPoll)
	defer tick.Stop()
	w := watch{x: x, offered: map[int]sight{}, taken: map[int]sight{}}
	for {
		left := 0
		err := x.patient(c.ctx, func() (err error) {
			var free, taken []Shard
			if free, taken, left, err = x.Store.OpenShards(c.ctx, x.run.ID, c.round, offersAtOnce); err != nil {
				return err
			}
			w.silent(c.ctx, taken)
			return w.offer(c.ctx, free, taken)
		})
		if err != nil || left == 0 {
			return err
		}
		w.count(c.ctx)
		select {
		case <-c.ctx.Done():
			return nil
		case <-c.ended:
		case <-tick.C:
		}
	}
}

// watch is what the leader of a run remembers of its shards.
type watch struct {
	x              *execution
	offered, taken map[int]sight // by number
	looked         time.Time     // at those that are taken
	counted        time.Time
}

// sight is when a shard was first seen as it is.
type sight struct {
	beat int64
	at   time.Time
}

// offer offers free shards that were not offered lately. An offer that was lost with
// the process that had just taken it up may still stand in the way of the same one:
// under another beat it is a new one, which the next look finds.
func (w *watch) offer(ctx context.Context, free, taken []Shard) error {
	now := time.Now()
	var due []Shard
	for _, s := range free {
		last, known := w.offered[s.Number]
		again := known && last.beat == s.Beat
		switch {
		case again && now.Sub(last.at) <= offerAgain:
		case again && passedOver(s, taken):
			if _, err := w.x.Store.FreeShard(ctx, s); err != nil {
				return err
			}
		default:
			due = append(due, s)
		}
	}
	if len(due) == 0 {
		return nil
	}
	if err := w.x.Carrier.Offer(ctx, w.x.run.Plan, due); err != nil {
		return err
	}
	for _, s := range due {
		w.offered[s.Number] = sight{s.Beat, now}
	}
	return nil
}

// passedOver reports whether a shard is free although it would have been somebody's
// turn: nobody has any, or somebody has a later one.
func passedOver(s Shard, taken []Shard) bool {
	return len(taken) == 0 || slices.ContainsFunc(taken, func(t Shard) bool { return t.Number > s.Number })
}

// silent frees shards whose workers have shown no sign of life for a while: they are
// gone, or have never learnt that a shard is theirs. What cannot be freed now is
// looked at again. While the store is away nobody can show a sign of life, so after
// a gap in the looks everybody has the whole time anew.
func (w *watch) silent(ctx context.Context, taken []Shard) {
	now := time.Now()
	if now.Sub(w.looked) > w.x.Silence/2 {
		clear(w.taken)
	}
	w.looked = now
	for _, s := range taken {
		last, known := w.taken[s.Number]
		if !known || last.beat != s.Beat {
			w.taken[s.Number] = sight{s.Beat, now}
			continue
		}
		if now.Sub(last.at) < w.x.Silence {
			continue
		}
		freed, err := w.x.Store.FreeShard(ctx, s)
		if freed || err != nil {
			w.x.Logger.WarnContext(ctx, "a worker is silent; its shard goes to another", "run", s.Run, "shard", s.Number, "worker", s.Worker, "error", err)
		}
	}
}

// count counts the people whom others settle too.
func (w *watch) count(ctx context.Context) {
	if !w.x.shared || w.x.Progress == nil || time.Since(w.counted) < countEvery {
		return
	}
	w.counted = time.Now()
	states, err := w.x.Store.PeopleByState(ctx, w.x.run.ID)
	if err != nil {
		return // the next time will do: it is only shown
	}
	w.x.tell(func(p *Progress) {
		p.Complete, p.Partial, p.Failed, p.Waiting = states[Done], states[Partial], states[Failed], states[Waiting]
	})
}
