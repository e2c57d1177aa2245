package batch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/postureproject/posture/device"
)

const (
	// shardLease is how long a shard stays a worker's that shows no sign of life.
	shardLease = 2 * time.Minute
	// shardsAtOnce is how many shards a worker has open, so that the last person
	// of one does not hold up the others.
	shardsAtOnce = 2
	// shardPoll is how often a worker looks whether others' shards are done.
	shardPoll = 500 * time.Millisecond
)

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

// scan is the second phase: everybody once.
func (x *execution) scan() error {
	if err := x.work(1, Pending); err != nil {
		return err
	}
	shards, err := x.shards(2, Waiting)
	if err != nil {
		return err
	}
	if len(shards) == 0 {
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
	// Whom only the second try made known is scanned like everybody else.
	late, err := x.shards(3, Pending)
	if err != nil {
		return err
	}
	if len(late) > 0 {
		if err := x.advance(Retrying, late); err != nil {
			return err
		}
	}
	if err := x.work(2, Waiting); err != nil {
		return err
	}
	if err := x.work(3, Pending); err != nil {
		return err
	}
	return x.advance(Sending, nil)
}

// work takes shards of a round until none is left, this worker's or others'.
func (x *execution) work(round int, state State) error {
	if err := x.count(); err != nil {
		return err
	}
	w := &worker{x: x, round: round, state: state, slots: make(chan struct{}, x.Limit)}
	w.ctx, w.cancel = context.WithCancelCause(x.stop)
	defer w.cancel(nil)
	defer context.AfterFunc(x.hands, func() { w.cancel(nil) })()
	commits := w.startCommitting()
	var group sync.WaitGroup
	for i := range shardsAtOnce {
		group.Go(func() { w.fail(w.takeShards(fmt.Sprintf("%s/%d", x.Holder, i))) })
	}
	group.Wait()
	commits()
	if err := context.Cause(w.ctx); err != nil && !errors.Is(err, context.Canceled) {
		return err
	}
	return cmp.Or(x.stop.Err(), x.hands.Err())
}

// worker settles people of one round.
type worker struct {
	x      *execution
	round  int
	state  State
	slots  chan struct{} // as many as people may be in hand
	commit chan commit
	ctx    context.Context //nolint:containedctx // bounds the taking of people
	cancel context.CancelCauseFunc
}

func (w *worker) fail(err error) {
	if err != nil {
		w.cancel(err)
	}
}

// takeShards works shards until all are done.
func (w *worker) takeShards(name string) error {
	for w.ctx.Err() == nil {
		var (
			s    Shard
			ok   bool
			left int
		)
		err := w.x.patient(w.ctx, func() (err error) {
			now := w.x.Now()
			s, ok, left, err = w.x.Store.TakeShard(w.ctx, w.x.run.ID, w.round, name, now, now.Add(shardLease))
			return err
		})
		switch {
		case w.ctx.Err() != nil:
			return nil //nolint:nilerr // it was told to stop; why is known
		case err != nil:
			return err
		case !ok && left == 0:
			return nil
		case !ok:
			select {
			case <-w.ctx.Done():
			case <-time.After(shardPoll):
			}
			continue
		}
		if err := w.shard(s, name); err != nil {
			return err
		}
	}
	return nil
}

// shard settles everybody of a shard.
func (w *worker) shard(s Shard, name string) error {
	x := w.x
	people, err := patiently(x.hands, x, func() ([]Person, error) {
		return x.Store.PeopleBetween(x.hands, x.run.ID, w.state, s.First, s.Last)
	})
	if err != nil {
		return err
	}
	staged, err := w.staged(people)
	if err != nil {
		return err
	}
	stopKeeping := w.keep(s, name)
	defer stopKeeping()
	var group, written sync.WaitGroup
	for _, p := range people {
		select {
		case <-w.ctx.Done():
		case w.slots <- struct{}{}:
		}
		if w.ctx.Err() != nil {
			break
		}
		written.Add(1)
		group.Go(func() {
			w.person(p, staged[p.Email], written.Done)
			<-w.slots // the next one may start while this one's answer is written
		})
	}
	group.Wait()
	written.Wait()
	if w.ctx.Err() != nil {
		return nil
	}
	return x.patient(x.hands, func() error { return x.Store.ShardDone(x.hands, s) })
}

// staged gives what listings said about people, by person.
func (w *worker) staged(people []Person) (map[string][]Piece, error) {
	var sources, emails []string
	for _, s := range w.x.plan {
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
	pieces, err := patiently(w.x.hands, w.x, func() ([]Piece, error) {
		return w.x.Store.Staged(w.x.hands, w.x.run.ID, sources, emails)
	})
	byPerson := make(map[string][]Piece, len(people))
	for _, p := range pieces {
		byPerson[p.Person] = append(byPerson[p.Person], p)
	}
	return byPerson, err
}

// keep prolongs a shard's lease until the function it returns is called.
func (w *worker) keep(s Shard, name string) (stop func()) {
	ctx, cancel := context.WithCancel(w.x.hands)
	var ended sync.WaitGroup
	ended.Go(func() {
		tick := time.NewTicker(shardLease / 4)
		defer tick.Stop()
		for {
			select {
			case <-ctx.Done():
				return
			case <-tick.C:
			}
			// Another worker that took it settles nobody twice; at worst both ask.
			if _, err := w.x.Store.KeepShard(ctx, s, name, w.x.Now().Add(shardLease)); err != nil && ctx.Err() == nil {
				w.x.Logger.WarnContext(ctx, "a shard's lease could not be prolonged", "run", s.Run, "shard", s.Number, "error", err)
			}
		}
	})
	return func() { cancel(); ended.Wait() }
}

// person settles one person; written is called when that is on disk, or will
// never be.
func (w *worker) person(p Person, staged []Piece, written func()) {
	g := &gathering{x: w.x, last: w.round > 1, person: p, staged: staged}
	f, known, err := g.settle(w.x.hands)
	if err != nil || !known {
		w.fail(err)
		written()
		return
	}
	w.commit <- commit{Finished: f, written: written}
}

// commit is a person on the way to the store.
type commit struct {
	Finished
	written func()
}

// commitsAtOnce is how many people one transaction settles at most.
const commitsAtOnce = 64

// startCommitting writes settled people, as many at once as are waiting, for a
// commit costs more than what is in it. The function that it returns waits for
// the end.
func (w *worker) startCommitting() (end func()) {
	w.commit = make(chan commit, commitsAtOnce)
	var ended sync.WaitGroup
	ended.Go(func() {
		for first := range w.commit {
			batch := []commit{first}
			for more := true; more && len(batch) < commitsAtOnce; {
				select {
				case next, open := <-w.commit:
					if more = open; open {
						batch = append(batch, next)
					}
				default:
					more = false
				}
			}
			w.write(batch)
		}
	})
	return func() { close(w.commit); ended.Wait() }
}

// write settles people in the store. A failure must be known before anybody
// counts as written.
func (w *worker) write(batch []commit) {
	defer func() {
		for _, c := range batch {
			c.written()
		}
	}()
	finished := make([]Finished, len(batch))
	for i, c := range batch {
		finished[i] = c.Finished
	}
	here, err := patiently(w.x.hands, w.x, func() ([]bool, error) {
		return w.x.Store.FinishPeople(w.x.hands, w.x.run.ID, finished)
	})
	if err != nil {
		w.fail(err)
		return
	}
	for i, f := range finished {
		if here[i] {
			w.settled(f)
		}
	}
}

// settled tells that a person is through, or waits for the second round.
func (w *worker) settled(f Finished) {
	w.x.tell(func(p *Progress) {
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
			w.x.tellFailure(f.Email, o)
		}
	}
}

// devicesOf gives the devices of a page of people in one list.
func devicesOf(people []string, of map[string][]device.Device) []device.Device {
	var all []device.Device
	for _, p := range people {
		for _, d := range of[p] {
			d.Email = p
			all = append(all, d)
		}
	}
	return all
}
