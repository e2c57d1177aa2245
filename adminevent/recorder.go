package adminevent

import (
	"context"
	"crypto/rand"
	"log/slog"
	"sync"
	"time"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
)

// Options are what a [Recorder] is made with. Zero values mean the defaults.
type Options struct {
	Store  Store // required
	Logger *slog.Logger
	Now    func() time.Time

	// DedupeWindow is how long after the latest occurrence a further one counts
	// as the same event; one hour by default.
	DedupeWindow time.Duration
	// RetentionDays holds as long as no other number was set at run time.
	RetentionDays int
	// MaxRows bounds how many events are kept at all: 100 000.
	MaxRows int

	// FlushInterval is how long what nobody waits for may stay in memory: 5 s.
	FlushInterval time.Duration
	// PruneInterval is how often outdated events are deleted: one hour.
	PruneInterval time.Duration
	// WriteTimeout is how long one attempt to save may take while somebody
	// waits for it: 2 s. Attempts in the background may take ten times as long.
	WriteTimeout time.Duration
	// BatchSize is how many events are saved at once: 1 000.
	BatchSize int
	// MaxPending is how many events may wait in memory for a store that is down:
	// 10 000. What goes beyond is counted on its source.
	MaxPending int
	// StormLimit is for how many subjects within a window a source may fail with
	// one code before further ones are counted on the source: 1 000.
	StormLimit int

	// SkipAdHoc and SkipOthers leave out failures that somebody asked for, or
	// those that nobody did.
	SkipAdHoc, SkipOthers bool
}

func (o Options) withDefaults() Options {
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	for _, d := range []struct {
		value *time.Duration
		or    time.Duration
	}{
		{&o.DedupeWindow, time.Hour}, {&o.FlushInterval, 5 * time.Second}, {&o.PruneInterval, time.Hour}, {&o.WriteTimeout, 2 * time.Second},
	} {
		if *d.value <= 0 {
			*d.value = d.or
		}
	}
	for _, n := range []struct {
		value *int
		or    int
	}{
		{&o.RetentionDays, DefaultRetentionDays}, {&o.MaxRows, 100_000}, {&o.BatchSize, 1000}, {&o.MaxPending, 10_000}, {&o.StormLimit, 1000},
	} {
		if *n.value <= 0 {
			*n.value = n.or
		}
	}
	return o
}

// backgroundFactor is how much longer an attempt to save may take while nobody
// waits for it.
const backgroundFactor = 10

// Recorder records events and answers questions about them. What somebody asked
// for is saved before [Recorder.Record] returns; the rest is gathered for a
// moment. While the store is down everything waits in bounded memory, and every
// occurrence is still counted. It is safe for concurrent use.
type Recorder struct {
	o       Options
	metrics *Metrics

	mu       sync.Mutex // guards the next five
	pending  *buffer
	taken    int    // events of the unsure batch
	recorded uint64 // number of the latest event taken in
	retryAt  time.Time
	pause    time.Duration

	// saving holds its one token while nobody saves; it guards the next two.
	saving chan struct{}
	// unsure is a batch whose saving failed or may have: it is tried again under
	// its own id before anything else.
	unsure *batchInFlight
	saved  uint64 // every event up to this number is saved
}

// batchInFlight is a batch and the number of the latest event before which
// nothing remains when it is saved.
type batchInFlight struct {
	Batch
	upTo uint64
}

// New makes a recorder. It runs nothing by itself: [Recorder.Run] does what is
// due from time to time, [Recorder.Close] saves what is left.
func New(o Options) *Recorder {
	o = o.withDefaults()
	r := &Recorder{o: o, metrics: newMetrics(), pending: newBuffer(o), saving: make(chan struct{}, 1)}
	r.saving <- struct{}{}
	r.metrics.pending = r.Pending
	return r
}

// Metrics gives the recorder's figures for Prometheus.
func (r *Recorder) Metrics() *Metrics { return r.metrics }

// Pending tells how many events are in memory only.
func (r *Recorder) Pending() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.pending.len() + r.taken
}

// RecordPosture records what failed in an answer about a person, and notes the
// events' ids there; see [Recorder.RecordOutcomes].
func (r *Recorder) RecordPosture(ctx context.Context, p device.Posture, c Context) {
	r.RecordOutcomes(ctx, User(p.Email), p.Sources, c)
}

// Record counts events. Those that somebody asked for are saved when it returns,
// so that they are visible at once and outlive the program, unless the store does
// not take them in time: then they are saved later. An event without a time
// occurred now, one without a number of occurrences once.
func (r *Recorder) Record(ctx context.Context, events ...Event) { r.record(ctx, events, nil) }

// RecordOutcomes records what failed of what was asked about a subject, as
// [FromOutcomes] sees it, and notes in each failed outcome the id of the event
// that now tells of it. Where that event is not saved yet the outcome has no id.
func (r *Recorder) RecordOutcomes(ctx context.Context, about Resource, outcomes []device.Outcome, c Context) {
	events, of := fromOutcomes(about, outcomes, c)
	if len(events) == 0 {
		return
	}
	ids := make([]string, len(events))
	r.record(ctx, events, ids)
	for i, event := range of {
		if event >= 0 {
			outcomes[i].EventID = ids[event]
		}
	}
}

// record is Record, and fills in the events' ids if there is room for them.
func (r *Recorder) record(ctx context.Context, events []Event, ids []string) {
	awaited, number, fingerprints := r.admit(ctx, events)
	if !awaited {
		return
	}
	// Not the caller's context: that somebody went away must not lose what happened.
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.o.WriteTimeout)
	defer cancel()
	if err := r.save(ctx, number, false); err != nil {
		r.o.Logger.DebugContext(ctx, "administration events stay in memory for now", "error", err.Error())
		return
	}
	if ids == nil {
		return
	}
	current, err := r.o.Store.CurrentAdminEvents(ctx, fingerprints)
	if err != nil {
		r.o.Logger.DebugContext(ctx, "the ids of administration events are left out", "error", err.Error())
	}
	for i, fingerprint := range fingerprints {
		ids[i] = current[fingerprint]
	}
}

// admit takes events into memory. It tells whether they are to be saved now, the
// number of the last one, and for each the fingerprint under which it counts,
// which is empty for one that was left out.
func (r *Recorder) admit(ctx context.Context, events []Event) (awaited bool, number uint64, fingerprints []string) {
	now := r.o.Now()
	fingerprints = make([]string, len(events))
	r.mu.Lock()
	defer r.mu.Unlock()
	for i, e := range events {
		if e.AdHoc && r.o.SkipAdHoc || !e.AdHoc && r.o.SkipOthers {
			continue
		}
		e = e.completed(now)
		if err := e.check(); err != nil {
			r.o.Logger.ErrorContext(ctx, "an administration event is malformed and was left out", "code", e.Code, "error", err.Error())
			continue
		}
		r.metrics.occurred(e)
		fingerprint, folded := r.pending.add(e)
		if folded {
			r.metrics.folded(e)
		}
		fingerprints[i] = fingerprint
		r.recorded++
		awaited = awaited || e.AdHoc
	}
	return awaited || r.pending.len() >= r.o.BatchSize, r.recorded, fingerprints
}

// completed fills in what the maker of an event may leave out.
func (e Event) completed(now time.Time) Event {
	e = e.cleaned()
	e.NumOccurrences = max(e.NumOccurrences, 1)
	if e.LastOccurredAt.IsZero() {
		e.LastOccurredAt = now
	}
	if e.CreatedAt.IsZero() || e.CreatedAt.After(e.LastOccurredAt) {
		e.CreatedAt = e.LastOccurredAt
	}
	// The store keeps microseconds.
	e.CreatedAt, e.LastOccurredAt = e.CreatedAt.UTC().Truncate(time.Microsecond), e.LastOccurredAt.UTC().Truncate(time.Microsecond)
	if e.Type == TypeUnknown {
		e.Type = TypeGeneric
	}
	if e.Hint == "" {
		e.Hint = HintFor(e.Domain, e.Resource.Type, e.Code)
	}
	return e
}

// Flush saves what is in memory.
func (r *Recorder) Flush(ctx context.Context) error {
	r.mu.Lock()
	number := r.recorded
	r.mu.Unlock()
	return r.save(ctx, number, true)
}

// save makes sure that every event up to a number is saved. One caller saves for
// all who wait. Unless it must, it does not try again soon after a failure.
func (r *Recorder) save(ctx context.Context, number uint64, must bool) error {
	select {
	case <-r.saving:
		defer func() { r.saving <- struct{}{} }()
	case <-ctx.Done():
		return fault.New(fault.Timeout, "wait for the store: %w", ctx.Err())
	}
	for r.saved < number {
		if !must && r.resting() {
			return fault.New(fault.Unavailable, "the store was down a moment ago")
		}
		if r.unsure == nil {
			r.unsure = r.next()
		}
		if len(r.unsure.Events) > 0 {
			if err := r.o.Store.SaveAdminEvents(ctx, r.unsure.Batch); err != nil {
				r.failed(ctx, err)
				return err
			}
		}
		r.saved = max(r.saved, r.unsure.upTo)
		r.unsure = nil
		r.worked()
	}
	return nil
}

// next takes the next batch out of memory.
func (r *Recorder) next() *batchInFlight {
	r.mu.Lock()
	defer r.mu.Unlock()
	b := &batchInFlight{Batch: Batch{ID: rand.Text(), At: r.o.Now(), Window: r.o.DedupeWindow, Events: r.pending.take(r.o.BatchSize)}}
	if r.pending.len() == 0 {
		b.upTo = r.recorded
	}
	r.taken = len(b.Events)
	return b
}

// resting reports whether saving failed a moment ago. A clock that was set back
// does not make the moment longer.
func (r *Recorder) resting() bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	left := r.retryAt.Sub(r.o.Now())
	return left > 0 && left <= maxPause
}

const (
	firstPause = time.Second
	maxPause   = 30 * time.Second
)

func (r *Recorder) failed(ctx context.Context, err error) {
	r.mu.Lock()
	r.pause = min(max(2*r.pause, firstPause), maxPause)
	r.retryAt = r.o.Now().Add(r.pause)
	waiting := r.pending.len() + r.taken
	r.mu.Unlock()
	r.metrics.failures.Inc()
	r.o.Logger.WarnContext(ctx, "administration events could not be saved and stay in memory", "events", waiting, "error", err.Error())
}

func (r *Recorder) worked() {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.pause, r.retryAt, r.taken = 0, time.Time{}, 0
}
