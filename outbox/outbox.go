package outbox

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/postureproject/posture/fault"
)

// Options say how an [Outbox] works. All but Store and Sinks may be zero.
type Options struct {
	Store    Store
	Sinks    []Sink
	Logger   *slog.Logger
	Now      func() time.Time // the time of day
	Observer Observer

	BatchCount    int           // documents of one call; 500
	BatchBytes    int           // bytes of one call, unless a single document is larger; 8 MiB
	CallTimeout   time.Duration // of one call; 1 minute
	MinBackoff    time.Duration // pause after a first failure; 1 s
	MaxBackoff    time.Duration // the longest pause; 5 minutes
	MaxRetryAfter time.Duration // how long a pause a sink may ask for; 1 hour
	LeaseTime     time.Duration // how long a process may be silent until another takes over; 15 s
	Idle          time.Duration // how often to look for new documents; 1 s
	Keep          time.Duration // how long accepted IDs are remembered; 3 days

	// MaxAge and MaxAttempts set a document aside that was never refused, but could
	// not be delivered for so long or so often. Zero: try for ever.
	MaxAge      time.Duration
	MaxAttempts int
}

// Observer hears what happens, for metrics and events. Any field may be nil. The
// functions must be quick.
type Observer struct {
	Delivered func(sink string, n int)
	Failed    func(sink string, kind fault.Kind, n int) // attempts, refusals included
	Dead      func(sink string, e Entry, err error)     // set aside
	Failing   func(sink string, err error)              // deliveries have begun to fail
	Recovered func(sink string)                         // they arrive again
	Full      func(sink string, full bool)              // nine tenths of its room are taken, or no longer
}

// Outbox delivers. Make one with [New].
type Outbox struct {
	o           Options
	dispatchers []*dispatcher

	mu    sync.Mutex
	stats map[string]Stats
	full  map[string]bool
}

// Status is how deliveries to one sink fare.
type Status struct {
	Stats
	Delivering bool   `json:"delivering"`        // by this process
	Failing    string `json:"failing,omitempty"` // the last failure, until something arrives
	Remedy     string `json:"remedy,omitempty"`
	Full       bool   `json:"full"`
}

// monitorEvery is how often sizes are measured and old IDs forgotten.
const monitorEvery = 10 * time.Second

// New makes an outbox; [Outbox.Run] makes it work.
func New(o Options) *Outbox {
	o.setDefaults()
	b := &Outbox{o: o, stats: make(map[string]Stats), full: make(map[string]bool)}
	holder := rand.Text()
	for _, sink := range o.Sinks {
		b.dispatchers = append(b.dispatchers, newDispatcher(sink, &b.o, holder))
	}
	return b
}

func (o *Options) setDefaults() {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	orElse(&o.BatchCount, 500)
	orElse(&o.BatchBytes, 8<<20)
	orElse(&o.CallTimeout, time.Minute)
	orElse(&o.MinBackoff, time.Second)
	orElse(&o.MaxBackoff, 5*time.Minute)
	orElse(&o.MaxRetryAfter, time.Hour)
	orElse(&o.LeaseTime, 15*time.Second)
	orElse(&o.Idle, time.Second)
	orElse(&o.Keep, 72*time.Hour)
}

func orElse[T int | time.Duration](v *T, otherwise T) {
	if *v <= 0 {
		*v = otherwise
	}
}

// Run delivers until the context ends; then it lets the calls under way finish,
// records what came of them, and gives its sinks free for other processes.
func (b *Outbox) Run(ctx context.Context) error {
	var group sync.WaitGroup
	for _, d := range b.dispatchers {
		group.Go(func() { d.run(ctx) })
	}
	group.Go(func() { b.monitor(ctx) })
	group.Wait()
	return nil
}

// Wake makes the outbox look for new documents now.
func (b *Outbox) Wake() {
	for _, d := range b.dispatchers {
		select {
		case d.wake <- struct{}{}:
		default:
		}
	}
}

func (b *Outbox) monitor(ctx context.Context) {
	ticker := time.NewTicker(monitorEvery)
	defer ticker.Stop()
	for {
		b.measure(ctx)
		b.forget(ctx)
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
	}
}

// measure renews what [Outbox.Status] tells, and says when a sink's room ends.
func (b *Outbox) measure(ctx context.Context) {
	stats, err := b.o.Store.OutboxStats(ctx)
	if err != nil {
		if ctx.Err() == nil {
			b.o.Logger.WarnContext(ctx, "outbox cannot be measured", "error", err)
		}
		return
	}
	b.mu.Lock()
	defer b.mu.Unlock()
	clear(b.stats)
	for _, s := range stats {
		b.stats[s.Sink] = s
	}
	for _, d := range b.dispatchers {
		s := b.stats[d.name]
		full := s.Limit > 0 && s.Bytes >= s.Limit/10*9
		if full == b.full[d.name] {
			continue
		}
		b.full[d.name] = full
		if full {
			b.o.Logger.ErrorContext(ctx, "outbox is nearly full", "sink", d.name, "bytes", s.Bytes, "limit", s.Limit)
		} else {
			b.o.Logger.InfoContext(ctx, "outbox has room again", "sink", d.name, "bytes", s.Bytes)
		}
		if b.o.Observer.Full != nil {
			b.o.Observer.Full(d.name, full)
		}
	}
}

// forget drops old IDs, some at a time so that nobody waits long for the store.
func (b *Outbox) forget(ctx context.Context) {
	const some = 1000
	for ctx.Err() == nil {
		n, err := b.o.Store.ForgetDelivered(ctx, b.o.Now().Add(-b.o.Keep), some)
		if err != nil || n < some {
			return
		}
	}
}

// Status tells how deliveries fare, by name of the sinks; sizes are as of a few
// seconds ago.
func (b *Outbox) Status() []Status {
	b.mu.Lock()
	defer b.mu.Unlock()
	out := make([]Status, 0, len(b.dispatchers))
	for _, d := range b.dispatchers {
		s := Status{Stats: b.stats[d.name], Full: b.full[d.name]}
		s.Sink = d.name
		held, err := d.condition()
		if s.Delivering = held; err != nil {
			s.Failing, s.Remedy = err.Error(), fault.RemedyOf(err)
		}
		out = append(out, s)
	}
	slices.SortFunc(out, func(a, b Status) int { return strings.Compare(a.Sink, b.Sink) })
	return out
}

// Drain waits until nothing of the outbox's sinks waits any more. It gives up,
// with an error of kind Unavailable, when the context ends or when all sinks for
// which something waits fail; what waits is kept. [Outbox.Run] must be running,
// here or in another process.
func (b *Outbox) Drain(ctx context.Context) error {
	b.Wake()
	for {
		waiting, failing, err := b.left(ctx)
		switch {
		case err != nil:
			return err
		case len(waiting) == 0:
			return nil
		case failing != nil || ctx.Err() != nil:
			return &fault.Error{
				Kind: fault.Unavailable, Op: "deliver", Message: "still waiting: " + strings.Join(waiting, ", "), Err: failing,
				Remedy: "they are kept, and delivered by the next run or the daemon; posture outbox list shows them",
			}
		}
		select {
		case <-ctx.Done():
		case <-time.After(min(b.o.Idle, 100*time.Millisecond)):
		}
	}
}

// left tells for which sinks documents wait, and the failure when none of these
// sinks takes any.
func (b *Outbox) left(ctx context.Context) (waiting []string, failing error, err error) {
	stats, err := b.o.Store.OutboxStats(context.WithoutCancel(ctx))
	if err != nil {
		return nil, nil, err
	}
	stuck := 0
	for _, d := range b.dispatchers {
		i := slices.IndexFunc(stats, func(s Stats) bool { return s.Sink == d.name })
		if i < 0 || stats[i].Waiting == 0 {
			continue
		}
		waiting = append(waiting, fmt.Sprintf("%d for %s", stats[i].Waiting, d.name))
		if _, err := d.condition(); err != nil {
			failing, stuck = err, stuck+1
		}
	}
	if stuck < len(waiting) {
		failing = nil
	}
	return waiting, failing, nil
}
