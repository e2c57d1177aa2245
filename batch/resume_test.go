package batch_test

import (
	"context"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postureproject/posture/batch"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/store"
)

// stopAfter makes a run and stops it when so many people were asked about.
func (b *bundle) stopAfter(asked int64) batch.Run {
	b.Helper()
	ctx, stop := context.WithCancel(b.Context())
	defer stop()
	var n atomic.Int64
	b.company.asked = func(string) {
		if n.Add(1) == asked {
			stop()
		}
	}
	run, err := batch.New(b.options).Run(ctx, batch.Request{})
	if err == nil {
		b.Fatal("the run was not stopped")
	}
	b.company.asked = nil
	return run
}

// lasting is a carrier that keeps what is offered until somebody takes it, as a job
// queue does that outlives its processes.
type lasting struct {
	mu     sync.Mutex
	queued []batch.Shard
}

func (l *lasting) Offer(_ context.Context, _ string, shards []batch.Shard) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, s := range shards {
		if !slices.Contains(l.queued, s) {
			l.queued = append(l.queued, s)
		}
	}
	return nil
}

func (l *lasting) Work(ctx context.Context, _ string, _ int, do func(batch.Shard)) error {
	for ctx.Err() == nil {
		l.mu.Lock()
		var next []batch.Shard
		if len(l.queued) > 0 {
			next, l.queued = l.queued[:1], l.queued[1:]
		}
		l.mu.Unlock()
		for _, s := range next {
			do(s)
		}
		if len(next) == 0 {
			time.Sleep(time.Millisecond)
		}
	}
	return nil
}

// What an interrupted run has offered may reach the leader of the next run, who
// leaves it alone: its people are not forgotten.
func TestEngine_Run_offers_of_another_run(t *testing.T) {
	t.Parallel()
	b := setup(t, 40)
	b.options.Carrier, b.options.Limit = &lasting{}, 1
	first := b.stopAfter(7)
	open := func() int {
		_, _, left, err := b.store.OpenShards(t.Context(), first.ID, 1, 1)
		if err != nil {
			t.Fatal(err)
		}
		return left
	}
	before := open()
	if second := b.mustRun(batch.Request{}); second.Complete != 40 {
		t.Errorf("the next run %+v", second)
	}
	if after := open(); before < 6 || after != before {
		t.Errorf("%d shards of the interrupted run are open after the next one, %d were before", after, before)
	}
	if again := b.mustRun(batch.Request{Resume: first.ID}); again.Complete != 40 {
		t.Errorf("resumed %+v", again)
	}
}

// Shards for latecomers that an interrupted attempt has made may lack some of them.
func TestEngine_Run_late_shards_lack_people(t *testing.T) {
	t.Parallel()
	b := setup(t, 12)
	var everybody []string
	for i := range 12 {
		everybody = append(everybody, email(i))
	}
	run := batch.Run{ID: batch.NewID(today()), StartedAt: today(), Phase: batch.Retrying, Given: true, Statistics: batch.Statistics{}}
	if err := b.store.CreateBatchRun(t.Context(), run, everybody); err != nil {
		t.Fatal(err)
	}
	made := []batch.Shard{{Run: run.ID, Round: 3, First: email(5), Last: email(5)}, {Run: run.ID, Round: 3, Number: 1, First: email(7), Last: email(8)}}
	if err := b.store.AdvanceBatchRun(t.Context(), run, made); err != nil {
		t.Fatal(err)
	}
	if again := b.mustRun(batch.Request{Resume: run.ID}); again.Complete != 12 {
		t.Errorf("resumed %+v, want all complete", again)
	}
	for i := range 12 {
		if n := b.company.scansOf(email(i)); n != 1 {
			t.Errorf("%s was scanned %d times", email(i), n)
		}
	}
}

// Sources that are configured while a run is interrupted are read when it goes on,
// and bring their people with them.
func TestEngine_Run_resumed_with_more_sources(t *testing.T) {
	t.Parallel()
	b := setup(t, 30)
	b.options.Sources, b.options.Limit = without{b.company, "owner"}, 1
	run := b.stopAfter(8)
	b.options.Sources, b.company.people = b.company, 40
	again := b.mustRun(batch.Request{Resume: run.ID})
	if again.People != 40 || again.Complete != 40 {
		t.Errorf("resumed %+v, want 40 people complete", again)
	}
	for i := 10; i < 40; i++ {
		if names := namesOf(b.posture(i)); len(names) != 3 {
			t.Errorf("%s has %v, want a device of every source", email(i), names)
		}
	}
}

type without struct {
	*company
	source string
}

func (w without) Sources() []batch.Source {
	return slices.DeleteFunc(w.company.Sources(), func(s batch.Source) bool { return s.Name == w.source })
}

// An ownership source recovers, and the run is interrupted before the others were
// read once more for what it says: they are when it goes on.
func TestEngine_Run_interrupted_after_owner_recovered(t *testing.T) {
	t.Parallel()
	b := setup(t, 9)
	ctx, stop := context.WithCancel(t.Context())
	defer stop()
	var owners, others atomic.Int64
	b.company.fail = func(source, subject string, after int) error {
		switch {
		case source == "owner" && after == 0 && owners.Add(1) == 1:
			return down(source)
		case source == "mdm" && subject == "" && after == 0 && others.Add(1) == 2:
			stop()
			return ctx.Err()
		}
		return nil
	}
	run, err := batch.New(b.options).Run(ctx, batch.Request{})
	if err == nil {
		t.Fatal("the run was not stopped")
	}
	if again := b.mustRun(batch.Request{Resume: run.ID}); again.Complete != 9 {
		t.Errorf("resumed %+v", again)
	}
	for i := range 9 {
		if names := namesOf(b.posture(i)); len(names) != 3 {
			t.Errorf("%s has %v, want what the owner says too", email(i), names)
		}
	}
}

// A run that knew nobody, as nothing could be listed, tries again when it goes on.
func TestEngine_Run_nobody_resumed(t *testing.T) {
	t.Parallel()
	b := setup(t, 4)
	b.company.fail = func(source, _ string, _ int) error { return down(source) }
	run, err := b.run(batch.Request{})
	if fault.KindOf(err) != fault.Unavailable {
		t.Fatalf("got %v, want why nobody is known", err)
	}
	b.company.fail = nil
	if again := b.mustRun(batch.Request{Resume: run.ID}); again.Complete != 4 {
		t.Errorf("resumed %+v", again)
	}
}

// As many people are in hand as may be, also more than two shards have.
func TestEngine_Run_limit_above_shards(t *testing.T) {
	t.Parallel()
	b := setup(t, 60)
	b.options.Limit, b.company.pause = 16, 20*time.Millisecond
	b.mustRun(batch.Request{})
	if most := b.company.most.Load(); most <= 10 || most > 16 {
		t.Errorf("%d people in hand at most, want 16", most)
	}
}

// Who is told to stop, leader or worker, gives back what is not finished, so that
// nobody need wait for a sign of life.
func TestEngine_stopped_gives_back(t *testing.T) {
	t.Parallel()
	for name, stopped := range map[string]func(b *bundle) batch.Run{
		"leader": func(b *bundle) batch.Run { return b.stopAfter(3) },
		"worker": func(b *bundle) batch.Run {
			run := batch.Run{ID: batch.NewID(today()), StartedAt: today(), Phase: batch.Scanning, Statistics: batch.Statistics{}}
			shard := batch.Shard{Run: run.ID, Round: 1, First: email(0), Last: email(19)}
			var everybody []string
			for i := range 20 {
				everybody = append(everybody, email(i))
			}
			carrier := &lasting{queued: []batch.Shard{shard}}
			b.options.Carrier = carrier
			if err := b.store.CreateBatchRun(b.Context(), run, everybody); err != nil {
				b.Fatal(err)
			}
			if err := b.store.AdvanceBatchRun(b.Context(), run, []batch.Shard{shard}); err != nil {
				b.Fatal(err)
			}
			ctx, stop := context.WithCancel(b.Context())
			defer stop()
			var asked atomic.Int64
			b.company.asked = func(string) {
				if asked.Add(1) == 3 {
					stop()
				}
			}
			if err := batch.New(b.options).Work(ctx); err != nil {
				b.Errorf("work: %v", err)
			}
			return run
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, 20)
			b.options.Limit, b.options.ShardSize = 1, 20
			run := stopped(b)
			free, taken, _, err := b.store.OpenShards(t.Context(), run.ID, 1, 5)
			if err != nil || len(free) != 1 || len(taken) != 0 {
				t.Errorf("shards that are free %v, taken %v, error %v; want one that is free", free, taken, err)
			}
			states, err := b.store.PeopleByState(t.Context(), run.ID)
			if done := states[batch.Done]; err != nil || done < 3 || done > 4 {
				t.Errorf("%d people are settled, error %v; want those in hand", done, err)
			}
		})
	}
}

// recording is a carrier that remembers what was offered.
type recording struct {
	lasting
	offered []batch.Shard
}

func (r *recording) Offer(ctx context.Context, plan string, shards []batch.Shard) error {
	r.offered = append(r.offered, shards...) // only whoever leads the run offers
	return r.lasting.Offer(ctx, plan, shards)
}

// Who goes on with a run makes its free shards anew, so that offers made before, which
// may be lost or wait for workers of another plan, stand in nobody's way.
func TestEngine_Run_resumed_offers_anew(t *testing.T) {
	t.Parallel()
	b := setup(t, 30)
	before, after := &recording{}, &recording{}
	b.options.Carrier, b.options.Limit = before, 1
	run := b.stopAfter(3)
	b.options.Carrier = after
	// Whoever led it was killed, as far as anybody can see.
	seen, err := b.store.BatchLease(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if _, err := b.store.TakeBatchLease(t.Context(), seen, batch.Lease{Holder: "killed", Run: run.ID}); err != nil {
		t.Fatal(err)
	}
	if again := b.mustRun(batch.Request{Resume: run.ID}); again.Complete != 30 {
		t.Errorf("resumed %+v", again)
	}
	if len(before.offered) != 6 {
		t.Errorf("offered before %v, want six shards", before.offered)
	}
	for _, s := range after.offered {
		if slices.ContainsFunc(before.offered, func(o batch.Shard) bool { return o.Number == s.Number && o.Beat == s.Beat }) {
			t.Errorf("%+v was offered before", s)
		}
	}
}

// unkind is a store that cannot settle anybody, for a reason that does not pass.
type unkind struct{ *store.Store }

func (unkind) FinishPeople(context.Context, string, []batch.Finished) ([]bool, error) {
	return nil, fault.New(fault.Internal, "the store is broken")
}

// When nobody can be settled the run fails, and no shard counts as done.
func TestEngine_Run_store_broken(t *testing.T) {
	t.Parallel()
	b := setup(t, 10)
	b.options.Store = unkind{b.store}
	run, err := b.run(batch.Request{})
	if fault.KindOf(err) != fault.Internal {
		t.Errorf("got %v, want why nobody was settled", err)
	}
	if _, _, left, err := b.store.OpenShards(t.Context(), run.ID, 1, 5); err != nil || left != 2 {
		t.Errorf("%d shards are left, error %v; want both", left, err)
	}
	b.options.Store = b.store
	if again := b.mustRun(batch.Request{Resume: run.ID}); again.Complete != 10 {
		t.Errorf("resumed %+v", again)
	}
}
