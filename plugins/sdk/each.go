package sdk

import (
	"fmt"
	"runtime/debug"
	"sync"
	"sync/atomic"
)

// Each calls do with every index below n, at most limit at once, and returns when
// all calls have ended. The caller's goroutine takes part, so that a single call
// costs nothing extra. A panic passes on to the caller, where it costs one answer
// instead of the process.
func Each(n, limit int, do func(i int)) {
	var (
		next     atomic.Int64
		group    sync.WaitGroup
		panicked atomic.Pointer[string]
	)
	work := func() {
		for i := int(next.Add(1)) - 1; i < n; i = int(next.Add(1)) - 1 {
			do(i)
		}
	}
	for range min(limit, n) - 1 {
		group.Go(func() {
			growStack()
			defer func() {
				if p := recover(); p != nil {
					story := fmt.Sprintf("%v\n%s", p, debug.Stack())
					panicked.Store(&story)
				}
			}()
			work()
		})
	}
	func() {
		defer group.Wait()
		work()
	}()
	if story := panicked.Load(); story != nil {
		panic(*story) //nolint:forbidigo // do panicked on another goroutine, and its caller must learn of it
	}
}
