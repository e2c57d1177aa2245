package batch

import (
	"context"
	"sync"
	"time"
)

// crew settles, in this process, the people of one round's shards.
type crew struct {
	x      *execution
	round  int
	slots  chan struct{} // as many as people may be in hand
	commit chan commit
	ctx    context.Context //nolint:containedctx // bounds the taking of people
	cancel context.CancelCauseFunc
	unhand func() bool
	wrote  sync.WaitGroup
	ended  chan struct{} // told when a shard was put down
}

func newCrew(x *execution, round int) *crew {
	c := &crew{
		x: x, round: round, slots: make(chan struct{}, x.Limit),
		commit: make(chan commit, commitsAtOnce), ended: make(chan struct{}, 1),
	}
	c.ctx, c.cancel = context.WithCancelCause(x.stop)
	c.unhand = context.AfterFunc(x.hands, func() { c.cancel(nil) })
	c.wrote.Go(c.writeAll)
	return c
}

// end waits until all that was settled is written. Nobody may take a shard then.
func (c *crew) end() {
	close(c.commit)
	c.wrote.Wait()
	c.unhand()
	c.cancel(nil)
}

func (c *crew) fail(err error) {
	if err != nil {
		c.cancel(err)
	}
}

// state is that of the people whom the crew's round settles.
func (c *crew) state() State {
	if c.round == 2 {
		return Waiting
	}
	return Pending
}

// take settles everybody of a shard, if it is still free. One of another run or
// round, such as an offer that outlived an interrupted run, is left alone: who
// leads that run offers it again.
func (c *crew) take(s Shard) {
	if s.Run != c.x.run.ID || s.Round != c.round {
		return
	}
	defer func() {
		select {
		case c.ended <- struct{}{}:
		default:
		}
	}()
	mine := false
	err := c.x.patient(c.ctx, func() (err error) {
		s, mine, err = c.x.Store.TakeShard(c.ctx, s, c.x.Holder)
		return err
	})
	switch {
	case ended(c.ctx):
	case err != nil:
		c.fail(err)
	case mine:
		c.fail(c.shard(s))
	}
}

// shard settles everybody of a shard that is this process's.
func (c *crew) shard(s Shard) error {
	x, began := c.x, time.Now()
	ours, stopBeating := c.beat(s)
	defer stopBeating()
	people, err := patiently(x.hands, x, func() ([]Person, error) {
		return x.Store.PeopleBetween(x.hands, x.run.ID, c.state(), s.First, s.Last)
	})
	if err != nil {
		return err
	}
	staged, err := c.staged(people)
	if err != nil {
		return err
	}
	var group, written sync.WaitGroup
	for _, p := range people {
		if !c.slot(ours) {
			break
		}
		written.Add(1)
		group.Go(func() {
			c.person(p, staged[p.Email], written.Done)
			<-c.slots // the next one may start while this one's answer is written
		})
	}
	group.Wait()
	written.Wait()
	if ended(ours) {
		return nil
	}
	x.Logger.DebugContext(c.ctx, "shard settled", "run", s.Run, "round", s.Round, "shard", s.Number, "people", len(people), "seconds", time.Since(began).Seconds())
	return x.patient(x.hands, func() error { return x.Store.ShardDone(x.hands, s) })
}

// slot waits until one more person may be in hand; false when ctx has ended.
func (c *crew) slot(ctx context.Context) bool {
	select {
	case <-ctx.Done():
		return false
	case c.slots <- struct{}{}:
	}
	if ended(ctx) {
		<-c.slots
		return false
	}
	return true
}

// staged gives what listings said about people, by person.
func (c *crew) staged(people []Person) (map[string][]Piece, error) {
	var sources, emails []string
	for _, s := range c.x.plan {
		if s.ListsDevices {
			sources = append(sources, s.Name)
		}
	}
	for _, p := range people {
		emails = append(emails, p.Email)
	}
	if len(sources) == 0 || len(emails) == 0 {
		return nil, nil
	}
	pieces, err := patiently(c.x.hands, c.x, func() ([]Piece, error) {
		return c.x.Store.Staged(c.x.hands, c.x.run.ID, sources, emails)
	})
	byPerson := make(map[string][]Piece, len(people))
	for _, p := range pieces {
		byPerson[p.Person] = append(byPerson[p.Person], p)
	}
	return byPerson, err
}

// beat shows that a shard's worker is alive until the function it returns is
// called. The context ends when the shard is another's: who took it settles the
// rest, and nobody is settled twice.
func (c *crew) beat(s Shard) (ours context.Context, stop func()) {
	ours, lost := context.WithCancel(c.ctx)
	var over sync.WaitGroup
	done := make(chan struct{})
	over.Go(func() {
		tick := time.NewTicker(c.x.Beat)
		defer tick.Stop()
		for {
			select {
			case <-done:
				return
			case <-c.x.hands.Done():
				return
			case <-tick.C:
			}
			mine, err := c.x.Store.BeatShard(c.x.hands, s, c.x.Holder)
			switch {
			case err == nil && !mine:
				c.x.Logger.WarnContext(c.ctx, "a shard was given to another worker, as this one was silent for too long", "run", s.Run, "shard", s.Number)
				lost()
				return
			case err != nil && !ended(c.x.hands):
				c.x.Logger.WarnContext(c.ctx, "a worker's sign of life could not be written", "run", s.Run, "shard", s.Number, "error", err)
			}
		}
	})
	return ours, func() { close(done); over.Wait(); lost() }
}

// person settles one person; written is called when that is on disk, or will
// never be.
func (c *crew) person(p Person, staged []Piece, written func()) {
	g := &gathering{x: c.x, last: c.round > 1, person: p, staged: staged}
	f, known, err := g.settle(c.x.hands)
	if err != nil || !known {
		c.fail(err)
		written()
		return
	}
	c.commit <- commit{Finished: f, written: written}
}

// commit is a person on the way to the store.
type commit struct {
	Finished
	written func()
}

// commitsAtOnce is how many people one transaction settles at most.
const commitsAtOnce = 64

// writeAll writes settled people, as many at once as are waiting, for a commit
// costs more than what is in it.
func (c *crew) writeAll() {
	for first := range c.commit {
		batch := []commit{first}
		for more := true; more && len(batch) < commitsAtOnce; {
			select {
			case next, open := <-c.commit:
				if more = open; open {
					batch = append(batch, next)
				}
			default:
				more = false
			}
		}
		c.write(batch)
	}
}

// write settles people in the store. A failure must be known before anybody
// counts as written.
func (c *crew) write(batch []commit) {
	defer func() {
		for _, p := range batch {
			p.written()
		}
	}()
	finished := make([]Finished, len(batch))
	for i, p := range batch {
		finished[i] = p.Finished
	}
	here, err := patiently(c.x.hands, c.x, func() ([]bool, error) {
		return c.x.Store.FinishPeople(c.x.hands, c.x.run.ID, finished)
	})
	if err != nil {
		c.fail(err)
		return
	}
	for i, f := range finished {
		if here[i] {
			c.settled(f)
		}
	}
}

// settled tells that a person is through, or waits for the second round.
func (c *crew) settled(f Finished) {
	c.x.tell(func(p *Progress) {
		if f.From == Waiting {
			p.Waiting--
		}
		switch f.To {
		case Done:
			p.Complete++
		case Partial:
			p.Partial++
		case Failed:
			p.Failed++
		case Waiting:
			p.Waiting++
		case Pending:
		}
	})
	if f.To.Settled() {
		for _, o := range f.Posture.Sources {
			c.x.tellFailure(f.Email, o)
		}
	}
}
