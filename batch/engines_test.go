package batch_test

import (
	"context"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postureproject/posture/batch"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/store"
	"github.com/postureproject/posture/store/storetest"
)

// Two daemons on one database: one runs, the other is told so; what the first one
// leaves undone the second finishes.
func TestEngine_Run_two_daemons(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		c := newCompany(60)
		engine := func(s *store.Store, name string) *batch.Engine {
			return batch.New(batch.Options{
				Store: s, Sources: c, Scanner: c, PersonSinks: []string{"sink"}, SummarySinks: []string{"summary"},
				Holder: name, Beat: 50 * time.Millisecond, ShardSize: 7, Limit: 1, Now: func() time.Time { return today() },
			})
		}
		first, second := open(t), open(t)
		ctx, stop := context.WithCancel(t.Context())
		var asked atomic.Int64
		c.asked = func(string) {
			if asked.Add(1) != 25 {
				return
			}
			list, err := batch.List(t.Context(), second, "", 5)
			if err != nil || len(list) != 1 || list[0].State != "running" || list[0].People != 60 || list[0].Complete < 7 {
				t.Errorf("list during the run: %+v, error %v", list, err)
			}
			if _, err := engine(second, "second").Run(t.Context(), batch.Request{}); fault.KindOf(err) != fault.Conflict {
				t.Errorf("the second daemon was not told of the first's run: %v", err)
			}
			stop()
		}
		run, err := engine(first, "first").Run(ctx, batch.Request{})
		if err == nil {
			t.Fatal("the first daemon was not stopped")
		}
		shown, err := batch.Show(t.Context(), second, run.ID)
		if err != nil || shown.State != "interrupted" || shown.Phase != "scanning" || shown.Complete < 25 || shown.Complete == 60 {
			t.Errorf("shown %+v, error %v; want an interrupted run", shown, err)
		}
		c.asked = nil
		done, err := engine(second, "second").Run(t.Context(), batch.Request{Resume: run.ID})
		if err != nil || done.Complete != 60 {
			t.Fatalf("resumed %+v, error %v", done, err)
		}
		for i := range 60 {
			if n := c.scansOf(email(i)); n != 1 {
				t.Errorf("%s was scanned %d times", email(i), n)
			}
		}
		wantSent(t, second, run.ID, 60, devicesEach)
		list, err := batch.List(t.Context(), first, "", 5)
		if err != nil || len(list) != 1 || list[0].State != "finished" {
			t.Errorf("list %+v, error %v", list, err)
		}
	})
}

// The store goes away in the middle and comes back.
func TestEngine_Run_store_away(t *testing.T) {
	t.Parallel()
	b := setup(t, 20)
	away := &absent{Store: b.store}
	b.options.Store = away
	run := b.mustRun(batch.Request{})
	if run.Complete != 20 || away.refused.Load() < 2 {
		t.Errorf("run %+v after %d refusals", run, away.refused.Load())
	}
	wantSent(t, b.store, run.ID, 20, devicesEach)
}

// absent is a store of which every third settling fails, and one in six after it
// was done.
type absent struct {
	*store.Store
	calls, refused atomic.Int64
}

func (a *absent) FinishPeople(ctx context.Context, run string, finished []batch.Finished) ([]bool, error) {
	n := a.calls.Add(1)
	if n%3 != 0 {
		a.refused.Add(1)
		if n%3 == 1 {
			if _, err := a.Store.FinishPeople(ctx, run, finished); err != nil {
				return nil, err
			}
		}
		return nil, fault.New(fault.Unavailable, "the database does not answer")
	}
	return a.Store.FinishPeople(ctx, run, finished)
}
