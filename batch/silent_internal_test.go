package batch

import (
	"context"
	"log/slog"
	"testing"
	"testing/synctest"
	"time"
)

// freer counts the shards that are taken from their workers.
type freer struct {
	Store
	freed int
}

func (f *freer) FreeShard(context.Context, Shard) (bool, error) {
	f.freed++
	return true, nil
}

// A worker loses its shard when it is silent, and not because nobody could listen.
func TestWatch_silent(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		store := &freer{}
		w := watch{
			x:     &execution{Options: Options{Store: store, Silence: 15 * time.Second, Logger: slog.New(slog.DiscardHandler)}},
			taken: map[int]sight{},
		}
		taken := []Shard{{Run: "r", Round: 1, Worker: "w", Beat: 7}}
		look := func(span time.Duration) {
			for end := time.Now().Add(span); time.Now().Before(end); time.Sleep(shardPoll) {
				w.silent(t.Context(), taken)
			}
		}
		look(5 * time.Second)
		time.Sleep(30 * time.Second) // the store is away
		look(14 * time.Second)
		if store.freed > 0 {
			t.Fatal("a shard was freed although its worker could not show a sign of life")
		}
		taken[0].Beat++
		look(14 * time.Second)
		if store.freed > 0 {
			t.Fatal("a shard was freed although its worker showed a sign of life")
		}
		look(2 * time.Second)
		if store.freed == 0 {
			t.Error("a silent worker keeps its shard")
		}
	})
}
