package sdk_test

import (
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postureproject/posture/plugins/sdk"
)

func TestEach(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ n, limit int }{{0, 3}, {1, 3}, {3, 0}, {3, 1}, {100, 7}, {5, 100}} {
		var now, most atomic.Int32
		calls := make([]atomic.Int32, tt.n)
		sdk.Each(tt.n, tt.limit, func(i int) {
			running := now.Add(1)
			for seen := most.Load(); running > seen && !most.CompareAndSwap(seen, running); seen = most.Load() {
			}
			time.Sleep(time.Millisecond)
			calls[i].Add(1)
			now.Add(-1)
		})
		if most.Load() > int32(max(1, tt.limit)) {
			t.Errorf("%+v: %d at once", tt, most.Load())
		}
		for i := range calls {
			if calls[i].Load() != 1 {
				t.Errorf("%+v: %d was called %d times", tt, i, calls[i].Load())
			}
		}
	}
}

// Whichever call panics, the others end first and the caller learns of it.
func TestEach_panic(t *testing.T) {
	t.Parallel()
	for bad := range 4 {
		var ended atomic.Int32
		func() {
			defer func() {
				if p, ok := recover().(string); !ok || !strings.Contains(p, "oh no") {
					t.Errorf("%d: recovered %v", bad, p)
				}
			}()
			sdk.Each(4, 4, func(i int) {
				if i == bad {
					panic("oh no")
				}
				time.Sleep(time.Millisecond)
				ended.Add(1)
			})
		}()
		if ended.Load() != 3 {
			t.Errorf("%d: %d others ended", bad, ended.Load())
		}
	}
}
