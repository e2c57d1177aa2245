package batch_test

import (
	"context"
	"slices"
	"sync"
	"testing"

	"github.com/postureproject/posture/batch"
)

// forgetful is a carrier that loses the first offers that it takes up, and takes no
// offer a second time, as a queue does whose worker died with a job in hand.
type forgetful struct {
	lose int

	mu      sync.Mutex
	offered []batch.Shard
	queued  []batch.Shard
	more    chan struct{}
}

func (f *forgetful) Offer(_ context.Context, _ string, shards []batch.Shard) error {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, s := range shards {
		same := func(o batch.Shard) bool { return o.Round == s.Round && o.Number == s.Number && o.Beat == s.Beat }
		if slices.ContainsFunc(f.offered, same) {
			continue
		}
		if f.offered = append(f.offered, s); f.lose > 0 {
			f.lose--
			continue
		}
		f.queued = append(f.queued, s)
	}
	close(f.more)
	f.more = make(chan struct{})
	return nil
}

func (f *forgetful) Work(ctx context.Context, _ string, _ int, do func(batch.Shard)) error {
	for ctx.Err() == nil {
		f.mu.Lock()
		queued, more := f.queued, f.more
		f.queued = nil
		f.mu.Unlock()
		for _, s := range queued {
			do(s)
		}
		if len(queued) == 0 {
			select {
			case <-more:
			case <-ctx.Done():
			}
		}
	}
	return nil
}

// Offers that are lost for good hold a run up for a while, and no longer.
func TestEngine_Run_lost_offers(t *testing.T) {
	t.Parallel()
	b := setup(t, 40)
	b.options.ShardSize = 10
	b.options.Carrier = &forgetful{lose: 2, more: make(chan struct{})}
	if run := b.mustRun(batch.Request{}); run.Complete != 40 {
		t.Errorf("run %+v", run)
	}
}
