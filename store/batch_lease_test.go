package store_test

import (
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/postureproject/posture/batch"
	"github.com/postureproject/posture/store"
	"github.com/postureproject/posture/store/storetest"
)

func TestStore_BatchLease(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		s, other := open(t), open(t)
		ctx := t.Context()
		free, err := s.BatchLease(ctx)
		if err != nil || free.Holder != "" {
			t.Fatalf("lease %+v, error %v", free, err)
		}
		taken, err := s.TakeBatchLease(ctx, free, batch.Lease{Holder: "a", Run: "r"})
		check(t, "take", err, true, taken)
		taken, err = other.TakeBatchLease(ctx, free, batch.Lease{Holder: "b", Run: "r"})
		check(t, "take what has changed", err, false, taken)
		seen, err := other.BatchLease(ctx)
		check(t, "seen", err, batch.Lease{Holder: "a", Run: "r", Beat: free.Beat + 1}, seen)
		mine, err := s.BeatBatchLease(ctx, "a")
		check(t, "beat", err, true, mine)
		mine, err = other.BeatBatchLease(ctx, "b")
		check(t, "another's beat", err, false, mine)
		taken, err = other.TakeBatchLease(ctx, seen, batch.Lease{Holder: "b"})
		check(t, "take from one that beats", err, false, taken)
		if err := other.LeaveBatchLease(ctx, "b"); err != nil {
			t.Error(err)
		}
		if seen, _ = s.BatchLease(ctx); seen.Holder != "a" {
			t.Errorf("another gave the lease back: %+v", seen)
		}
		if err := s.LeaveBatchLease(ctx, "a"); err != nil {
			t.Error(err)
		}
		if seen, _ = s.BatchLease(ctx); seen.Holder != "" || seen.Run != "" {
			t.Errorf("not given back: %+v", seen)
		}
	})
}

// Every shard goes to one worker, however many grab at once, and is free again when
// its worker is silent.
func TestStore_TakeShard(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		s := open(t)
		ctx := t.Context()
		r := newRun(t, s, "run", 0)
		const n = 40
		var shards []batch.Shard
		for i := range n {
			shards = append(shards, batch.Shard{Run: r.ID, Round: 1, Number: i, First: person(i), Last: person(i + 1)})
		}
		if err := s.AdvanceBatchRun(ctx, r, shards); err != nil {
			t.Fatal(err)
		}
		var (
			group sync.WaitGroup
			mu    sync.Mutex
			taken []int
		)
		for w := range 4 {
			group.Go(func() {
				name := fmt.Sprint("w", w)
				free, _, _, err := s.OpenShards(ctx, r.ID, 1, n)
				if err != nil {
					t.Error(err)
				}
				for _, shard := range free {
					_, mine, err := s.TakeShard(ctx, shard, name)
					if err != nil {
						t.Error(err)
					}
					if !mine {
						continue
					}
					mu.Lock()
					taken = append(taken, shard.Number)
					mu.Unlock()
					if err := s.ShardDone(ctx, shard); err != nil {
						t.Error(err)
					}
				}
			})
		}
		group.Wait()
		slices.Sort(taken)
		if len(taken) != n || len(slices.Compact(taken)) != n {
			t.Errorf("shards %v were taken, want each of %d once", taken, n)
		}
		_, _, left, err := s.OpenShards(ctx, r.ID, 1, n)
		check(t, "left", err, 0, left)

		again := batch.Shard{Run: r.ID, Round: 2, First: "a", Last: "b"}
		if err := s.AdvanceBatchRun(ctx, r, []batch.Shard{again, {Run: r.ID, Round: 2, Number: 1, First: "c", Last: "d"}}); err != nil {
			t.Fatal(err)
		}
		free, had, left, err := s.OpenShards(ctx, r.ID, 2, 1)
		check(t, "open", err, []any{[]batch.Shard{again}, []batch.Shard(nil), 2}, []any{free, had, left})
		got, mine, err := s.TakeShard(ctx, batch.Shard{Run: r.ID, Round: 2}, "x")
		check(t, "take", err, []any{true, "a", "b"}, []any{mine, got.First, got.Last})
		_, mine, err = s.TakeShard(ctx, again, "y")
		check(t, "take another's", err, false, mine)
		_, had, _, err = s.OpenShards(ctx, r.ID, 2, 1)
		seen := again
		seen.Worker, seen.Beat = "x", 1
		check(t, "taken", err, []batch.Shard{seen}, had)
		mine, err = s.BeatShard(ctx, again, "x")
		check(t, "beat", err, true, mine)
		freed, err := s.FreeShard(ctx, seen)
		check(t, "free one that has beaten since", err, false, freed)
		seen.Beat++
		freed, err = s.FreeShard(ctx, seen)
		check(t, "free a silent one's", err, true, freed)
		mine, err = s.BeatShard(ctx, again, "x")
		check(t, "beat for what is lost", err, false, mine)
		_, mine, err = s.TakeShard(ctx, again, "y")
		check(t, "take as it was seen long ago", err, false, mine)
		seen.Beat++
		_, mine, err = s.TakeShard(ctx, seen, "y")
		check(t, "take what was freed", err, true, mine)
		if err := s.FreeShards(ctx, r.ID, "x"); err != nil {
			t.Fatal(err)
		}
		mine, err = s.BeatShard(ctx, again, "y")
		check(t, "beat after another's were freed", err, true, mine)
		if err := s.FreeShards(ctx, r.ID, "y"); err != nil {
			t.Fatal(err)
		}
		free, _, _, err = s.OpenShards(ctx, r.ID, 2, 5)
		check(t, "free after all", err, 2, len(free))
	})
}
