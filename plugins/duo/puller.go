package duo

import (
	"context"
	"encoding/json"
	"log/slog"
	"math/rand/v2"
	"sync"
	"sync/atomic"
	"time"

	"github.com/postureproject/posture/fault"
)

// pace says how time passes, how much is read at once, and how long to wait
// after a failed pull.
type pace struct {
	now         func() time.Time
	pageSize    int           // events of one page
	rateLimited time.Duration // the first wait after a 429; doubled up to patience
	unreachable time.Duration // the first wait when Duo cannot be reached; doubled up to patience
	refused     time.Duration // the wait when trying again soon cannot help, if longer than the interval
	patience    time.Duration
}

func defaultPace() pace {
	return pace{
		now: time.Now, pageSize: maxPage, rateLimited: 15 * time.Second, unreachable: time.Second, refused: 30 * time.Second, patience: 5 * time.Minute,
	}
}

// maxRetryAfter bounds for how long Duo, or what is in front of it, can make the
// puller wait.
const maxRetryAfter = time.Hour

type pullSettings struct {
	first, retention, interval time.Duration
	raw                        bool // keep the entries as they came
	pace                       pace
}

// puller reads what is new in the log into the store, again and again. Each
// page is stored together with the offset of the next one, so that a pull that
// was broken off, by a failure or by the end of the process, goes on where it
// was. That makes a new attempt the same as a continued one.
type puller struct {
	api     *client
	store   *store
	logger  *slog.Logger
	o       pullSettings
	rest    time.Duration // before the first attempt
	stopped chan struct{} // closed when run has returned
	kick    chan struct{}

	mu       sync.Mutex
	attempt  *attempt // the one under way, or the next one
	running  bool
	failed   error // of the last attempt; nil when it succeeded
	failures int   // attempts in a row that stored no page
}

// attempt is one try to read the log to its end.
type attempt struct {
	done  chan struct{} // closed at its end
	err   error         // set before done is closed
	pages atomic.Int64
}

func newAttempt() *attempt { return &attempt{done: make(chan struct{})} }

// newPuller makes a puller. Its first attempt counts as under way, as run is
// about to start it, unless another process of this plugin, such as the daemon's,
// has read the log within the interval: then it is not due yet.
func newPuller(api *client, st *store, logger *slog.Logger, o pullSettings, state progress) *puller {
	p := &puller{
		api: api, store: st, logger: logger, o: o, stopped: make(chan struct{}), kick: make(chan struct{}, 1),
		attempt: newAttempt(), running: true,
	}
	if age := o.pace.now().Sub(state.success); state.window.isZero() && age >= 0 && age < o.interval {
		p.running, p.rest = false, o.interval-age
	}
	return p
}

// run pulls until the context ends.
func (p *puller) run(ctx context.Context) {
	defer close(p.stopped)
	if p.rest > 0 && !p.sleep(ctx, p.rest) {
		return
	}
	for {
		a := p.begin()
		err := p.pull(ctx, a)
		p.end(a, err)
		if ctx.Err() != nil {
			return
		}
		wait := p.wait(err)
		if err != nil {
			p.logger.WarnContext(ctx, "pulling the authentication log failed",
				"error", err.Error(), "remedy", fault.RemedyOf(err), "pages", a.pages.Load(), "next_attempt_in", wait.String())
		}
		if !p.sleep(ctx, wait) {
			return
		}
	}
}

// sleep waits until it is time for an attempt or one is wanted at once; false
// when the context has ended.
func (p *puller) sleep(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-p.kick:
	}
	return ctx.Err() == nil
}

func (p *puller) begin() *attempt {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running = true
	return p.attempt
}

func (p *puller) end(a *attempt, err error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	switch {
	case err == nil:
		p.failures = 0
	case a.pages.Load() > 0:
		p.failures = 1
	default:
		p.failures++
	}
	p.running, p.failed, a.err = false, err, err
	p.attempt = newAttempt()
	close(a.done)
}

// current gives the attempt under way; when none is, the next one.
func (p *puller) current() (a *attempt, running bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.attempt, p.running
}

// failure gives the error of the last attempt; nil when it succeeded.
func (p *puller) failure() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.failed
}

// limited gives the error of the last attempt if Duo asked to wait.
func (p *puller) limited() error {
	if err := p.failure(); fault.KindOf(err) == fault.RateLimited {
		return err
	}
	return nil
}

// pullNow starts the next attempt at once.
func (p *puller) pullNow() {
	select {
	case p.kick <- struct{}{}:
	default: // it is about to start anyway
	}
}

// wait tells how long to wait after an attempt.
func (p *puller) wait(err error) time.Duration {
	if err == nil {
		return p.o.interval
	}
	p.mu.Lock()
	n := max(0, p.failures-1)
	p.mu.Unlock()
	told := min(fault.RetryAfterOf(err), maxRetryAfter)
	switch fault.KindOf(err) {
	case fault.RateLimited:
		return max(told, jittered(p.o.pace.rateLimited, n, p.o.pace.patience))
	case fault.Unavailable, fault.Timeout:
		return max(told, jittered(p.o.pace.unreachable, n, p.o.pace.patience))
	default:
		return max(p.o.interval, p.o.pace.refused)
	}
}

// jittered doubles a wait n times, up to most, and takes off up to half of it.
func jittered(first time.Duration, n int, most time.Duration) time.Duration {
	d := min(most, first<<min(n, 20))
	return d - rand.N(d/2+1) //nolint:gosec // jitter
}

// pull reads window after window until the log's end is reached.
func (p *puller) pull(ctx context.Context, a *attempt) error {
	for {
		state, err := p.store.progress(ctx)
		if err != nil {
			return err
		}
		w := state.window
		if w.isZero() {
			if w, err = p.nextWindow(ctx, state); err != nil {
				return err
			}
		}
		if err := p.readWindow(ctx, a, w); err != nil {
			return err
		}
		// A window that was left unfinished for a while is followed at once.
		if now := p.o.pace.now(); now.Sub(w.to) <= lag+p.o.interval {
			p.prune(ctx, now)
			return nil
		}
	}
}

// nextWindow tells what to read next: from a little before the high-water mark
// to the end of what Duo shows.
func (p *puller) nextWindow(ctx context.Context, state progress) (window, error) {
	now := p.o.pace.now()
	w := window{to: now.Add(-lag)}
	switch {
	case state.highWater.IsZero():
		w.from = w.to.Add(-p.o.first)
	case state.highWater.After(w.to.Add(overlap)):
		// The clock was put back: the mark was set by a clock that was ahead. What
		// is certainly stored is what is older than the newest event.
		newest, err := p.store.newest(ctx, w.to)
		if err != nil {
			return window{}, err
		}
		if w.from = newest.Add(-overlap); newest.IsZero() {
			w.from = w.to.Add(-p.o.first)
		}
	default:
		w.from = state.highWater.Add(-overlap)
		if state.highWater.After(w.to) {
			w.from = w.to.Add(-overlap)
		}
	}
	if oldest := now.Add(-min(maxAge, p.o.retention)); w.from.Before(oldest) {
		w.from = oldest
	}
	return w, nil
}

// readWindow reads a window from its offset to its end, and stores page by page.
func (p *puller) readWindow(ctx context.Context, a *attempt, w window) error {
	resumed := w.offset != ""
	seen := map[string]bool{w.offset: true}
	for {
		page, err := p.api.read(ctx, w)
		if err != nil {
			if resumed && fault.KindOf(err) == fault.BadResponse {
				// The offset of old may be what Duo refuses: begin anew.
				return p.restart(ctx, w, err)
			}
			return err
		}
		entries := p.parse(ctx, page.logs)
		if page.next == "" {
			return p.finish(ctx, a, w, entries, page.serverTime)
		}
		if seen[page.next] {
			err := &fault.Error{
				Kind: fault.BadResponse, Source: Name, Op: opReadLog, Subject: p.api.address.host,
				Message: "the log's pages go round in a circle at offset " + clip(page.next, 100), Remedy: "report it to Duo if it stays so",
			}
			return p.restart(ctx, w, err)
		}
		seen[page.next] = true
		w.offset = page.next
		if _, err := p.store.save(ctx, entries, progress{window: w}); err != nil {
			return err
		}
		a.pages.Add(1)
	}
}

// restart makes the next attempt read the window from its beginning, and gives
// err.
func (p *puller) restart(ctx context.Context, w window, err error) error {
	w.offset = ""
	if _, saveErr := p.store.save(ctx, nil, progress{window: w}); saveErr != nil {
		return saveErr
	}
	return err
}

// finish stores the last page of a window and raises the high-water mark: to
// the window's end, but not beyond what Duo can have shown by its own clock.
func (p *puller) finish(ctx context.Context, a *attempt, w window, entries []entry, serverTime time.Time) error {
	done := progress{highWater: w.to, success: p.o.pace.now()}
	if shown := serverTime.Add(-lag); !serverTime.IsZero() && shown.Before(w.to) {
		if done.highWater = shown; shown.Before(w.from) {
			done.highWater = w.from
		}
	}
	added, err := p.store.save(ctx, entries, done)
	if err != nil {
		return err
	}
	a.pages.Add(1)
	p.logger.DebugContext(ctx, "authentication log read", "up_to", done.highWater, "new_on_last_page", added)
	return nil
}

// parse reads the entries of a page. One that makes no sense is left out.
func (p *puller) parse(ctx context.Context, logs []json.RawMessage) []entry {
	entries := make([]entry, 0, len(logs))
	for _, raw := range logs {
		e, ok := parseEntry(raw)
		if !ok {
			continue
		}
		if p.o.raw {
			e.raw = raw
		}
		entries = append(entries, e)
	}
	if odd := len(logs) - len(entries); odd > 0 {
		p.logger.WarnContext(ctx, "entries of the authentication log without a time were left out", "count", odd)
	}
	return entries
}

// prune forgets what is too old. A failure is not the pull's: it is tried again
// after the next one.
func (p *puller) prune(ctx context.Context, now time.Time) {
	if _, err := p.store.prune(ctx, now.Add(-p.o.retention)); err != nil && ctx.Err() == nil {
		p.logger.WarnContext(ctx, "old events could not be removed", "error", err.Error())
	}
}
