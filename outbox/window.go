package outbox

import (
	"context"
	"time"
)

const (
	windowSize = 20_000          // entries kept in memory, without their bodies
	pageSize   = 1000            // entries read at once
	windowAge  = 5 * time.Second // after which all are read anew, as administrators retry and drop
)

// window is the front of a sink's queue, kept in memory so that looking for what
// is due and of a free key costs no query.
type window struct {
	entries  []Entry
	last     int64 // the highest number read
	loadedAt time.Time
}

// fill reads on from where the window ends, or all of it again when it is old.
func (w *window) fill(ctx context.Context, d *dispatcher) error {
	if len(w.entries) == 0 || time.Since(w.loadedAt) > windowAge {
		w.entries, w.last, w.loadedAt = w.entries[:0], 0, time.Now()
	}
	for len(w.entries) < windowSize {
		page, err := d.o.Store.WaitingDeliveries(ctx, d.name, w.last, pageSize)
		if err != nil {
			return err
		}
		w.entries = append(w.entries, page...)
		if len(page) > 0 {
			w.last = page[len(page)-1].Number
		}
		if len(page) < pageSize {
			break
		}
	}
	return nil
}

// choose gives what can go out at once: due, in order, of each key the first
// only, within the bounds. next is when the first of the others becomes due; full
// says that a bound was reached.
func (w *window) choose(now time.Time, count, bytes int, latest time.Duration) (batch []Entry, next time.Time, full bool) {
	taken := make(map[string]struct{}, count)
	size := 0
	for _, e := range w.entries {
		if e.Key != "" {
			if _, busy := taken[e.Key]; busy {
				continue
			}
			taken[e.Key] = struct{}{}
		}
		if !due(e, now, latest) {
			if next.IsZero() || e.NextAt.Before(next) {
				next = e.NextAt
			}
			continue
		}
		if len(batch) == count || len(batch) > 0 && size+e.Size > bytes {
			return batch, next, true
		}
		batch, size = append(batch, e), size+e.Size
	}
	return batch, next, len(batch) == count
}

// due reports whether an entry may be tried. No pause is longer than latest: one
// that seems to be was set when the clock was wrong.
func due(e Entry, now time.Time, latest time.Duration) bool {
	return !e.NextAt.After(now) || e.NextAt.After(now.Add(latest))
}

// settle brings the window up to date with results.
func (w *window) settle(results []Result) {
	byNumber := make(map[int64]Result, len(results))
	for _, r := range results {
		byNumber[r.Number] = r
	}
	kept := w.entries[:0]
	for _, e := range w.entries {
		r, settled := byNumber[e.Number]
		if settled && (r.Err == nil || r.Dead) {
			continue
		}
		if settled {
			e.Attempts, e.NextAt = e.Attempts+1, r.NextAt
		}
		kept = append(kept, e)
	}
	w.entries = kept
}

// without takes entries out that are no longer in the queue.
func (w *window) without(gone map[int64]bool) {
	kept := w.entries[:0]
	for _, e := range w.entries {
		if !gone[e.Number] {
			kept = append(kept, e)
		}
	}
	w.entries = kept
}
