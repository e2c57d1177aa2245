package batch

import (
	"context"
	"slices"
	"sync"
)

// inProcess carries shards to workers of the process that leads the run.
type inProcess struct {
	mu     sync.Mutex
	queued []Shard
	more   chan struct{} // closed, and made anew, when something was queued
}

func newInProcess() *inProcess { return &inProcess{more: make(chan struct{})} }

// Offer implements [Carrier].
func (c *inProcess) Offer(_ context.Context, _ string, shards []Shard) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, s := range shards {
		if !slices.Contains(c.queued, s) {
			c.queued = append(c.queued, s)
		}
	}
	close(c.more)
	c.more = make(chan struct{})
	return nil
}

// Work implements [Carrier].
func (c *inProcess) Work(ctx context.Context, _ string, n int, do func(Shard)) error {
	var group sync.WaitGroup
	for range n {
		group.Go(func() {
			for ctx.Err() == nil {
				s, more := c.next()
				if more != nil {
					select {
					case <-ctx.Done():
					case <-more:
					}
					continue
				}
				do(s)
			}
		})
	}
	group.Wait()
	return nil
}

// next gives the first shard queued, or what is closed when there may be one.
func (c *inProcess) next() (Shard, <-chan struct{}) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if len(c.queued) == 0 {
		return Shard{}, c.more
	}
	s := c.queued[0]
	c.queued = c.queued[1:]
	return s, nil
}
