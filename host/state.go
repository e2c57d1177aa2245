package host

import (
	"cmp"
	"context"
	"errors"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/outbox"
	"github.com/postureproject/posture/store"
)

// The states of the store.
const (
	storeNone        = "none" // nothing is kept, as somebody wanted it
	storeOK          = "ok"
	storeReadOnly    = "read-only"   // what is kept is read; nothing can be added
	storeUnreachable = "unreachable" // it cannot even be read
)

const (
	// storeWatchEvery is how often the store is looked at while nobody asks,
	// storeWatchAge how old a look may be for who does.
	storeWatchEvery = 5 * time.Second
	storeWatchAge   = time.Second
	storeWatchLimit = 2 * time.Second // for one look
)

// storeWatch knows how the store is. However many ask, one looks at a time, and
// nobody waits for a store that hangs but the one who looks.
type storeWatch struct {
	host    *Host
	looking sync.Mutex
	seen    atomic.Pointer[storeSight]
}

// storeSight is what was seen of the store.
type storeSight struct {
	state string
	err   error // why it is not ok
	at    time.Time
}

func newStoreWatch(h *Host) *storeWatch {
	w := &storeWatch{host: h}
	sight := storeSight{state: storeOK} // it was opened just now
	switch {
	case h.o.StoreDown:
		sight = storeSight{state: storeUnreachable, err: fault.New(fault.Unavailable, "it cannot be opened")}
	case h.o.Store == nil:
		sight.state = storeNone
	}
	w.seen.Store(&sight)
	return w
}

// run looks until the context ends.
func (w *storeWatch) run(ctx context.Context) {
	tick := time.NewTicker(storeWatchEvery)
	defer tick.Stop()
	for {
		w.look(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// look tells how the store is.
func (w *storeWatch) look(ctx context.Context) storeSight {
	before := w.seen.Load()
	if w.host.o.Store == nil || time.Since(before.at) < storeWatchAge || !w.looking.TryLock() {
		return *before
	}
	defer w.looking.Unlock()
	limited, cancel := context.WithTimeout(ctx, storeWatchLimit)
	defer cancel()
	sight := storeSight{state: storeOK}
	if sight.err = w.host.o.Store.Ping(limited); sight.err != nil {
		sight.state = storeUnreachable
	} else if sight.err = w.host.o.Store.Writable(limited); sight.err != nil {
		sight.state = storeReadOnly
	}
	if ctx.Err() != nil { // that who asked went away says nothing about the store
		return *before
	}
	sight.at = time.Now()
	w.seen.Store(&sight)
	switch { // the store itself tells of writing
	case before.state == sight.state:
	case sight.state == storeUnreachable:
		w.host.o.Logger.ErrorContext(ctx, "the store cannot be read; people are still asked about", "error", sight.err.Error(), "remedy", fault.RemedyOf(sight.err))
	case before.state == storeUnreachable:
		w.host.o.Logger.InfoContext(ctx, "the store can be read again")
	}
	return sight
}

// Degraded tells what is amiss although the host can answer: nil, or what the
// store cannot do, or which sinks have nearly used up their room. Answers are
// given all the same.
func (h *Host) Degraded(ctx context.Context) error {
	return errors.Join(h.storeAmiss(ctx), h.outboxAmiss())
}

func (h *Host) storeAmiss(ctx context.Context) error {
	sight := h.store.look(ctx)
	if sight.err == nil {
		return nil
	}
	what := "nothing can be written to the store"
	if sight.state == storeUnreachable {
		what = "the store cannot be read"
	}
	var e *fault.Error
	if !errors.As(sight.err, &e) || e.Message == "" {
		return errors.New(what)
	}
	// Anybody may ask this, so it tells no more of the cause than its kind.
	return errors.New(what + ": " + e.Message)
}

func (h *Host) outboxAmiss() error {
	var full []string
	for _, s := range h.outboxStatus() {
		if s.Full {
			full = append(full, s.Sink)
		}
	}
	if len(full) == 0 {
		return nil
	}
	return errors.New("the room for what waits is nearly used up, of " + strings.Join(full, ", "))
}

// collectors tell the same to Prometheus.
func (w *storeWatch) collectors() []prometheus.Collector {
	gauge := func(name, help string, good func(state string) bool) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, func() float64 { return zeroOrOne(good(w.seen.Load().state)) })
	}
	return []prometheus.Collector{
		gauge("posture_store_up", "Whether the store can be read.", func(s string) bool { return s == storeOK || s == storeReadOnly }),
		gauge("posture_store_writable", "Whether the store takes what is written.", func(s string) bool { return s == storeOK }),
	}
}

func zeroOrOne(yes bool) float64 {
	if yes {
		return 1
	}
	return 0
}

// sinkState is how deliveries to one sink fare, for anybody to see: it tells
// numbers and no causes.
type sinkState struct {
	Sink          string `json:"sink"`
	Waiting       int    `json:"waiting"`
	Dead          int    `json:"dead"` // set aside, for an administrator to decide on
	Bytes         int64  `json:"bytes"`
	Limit         int64  `json:"limit"`          // of bytes
	OldestSeconds int64  `json:"oldest_seconds"` // how long the first of those waiting has done so
	Failing       bool   `json:"failing"`
	Full          bool   `json:"full"` // nine tenths of the limit are used
}

// outboxStatus tells how deliveries fare. A sink for which nothing ever waited has
// its limit, too.
func (h *Host) outboxStatus() []outbox.Status {
	if h.deliverer == nil {
		return nil
	}
	status := h.deliverer.status()
	if status == nil { // delivering has not begun
		for _, name := range h.sinkNames() {
			status = append(status, outbox.Status{Stats: outbox.Stats{Sink: name}})
		}
	}
	for i := range status {
		status[i].Limit = cmp.Or(status[i].Limit, h.Settings().OutboxBytes, store.DefaultOutboxLimit)
	}
	return status
}

// Details tell how the store and the outbox are, beside whether the host is
// ready: it is without them, too.
func (h *Host) Details() map[string]any {
	sinks := []sinkState{}
	for _, s := range h.outboxStatus() {
		state := sinkState{
			Sink: s.Sink, Waiting: s.Waiting, Dead: s.Dead, Bytes: s.Bytes, Limit: s.Limit, Failing: s.Failing != "", Full: s.Full,
		}
		if !s.Oldest.IsZero() {
			state.OldestSeconds = max(0, int64(h.o.Now().Sub(s.Oldest)/time.Second))
		}
		sinks = append(sinks, state)
	}
	return map[string]any{"store": map[string]string{"state": h.store.seen.Load().state}, "outbox": sinks}
}
