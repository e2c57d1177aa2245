package duo

import (
	"context"
	"crypto/rand"
	"encoding/json"
	"errors"
	"log/slog"
	mathrand "math/rand/v2"
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
	look        time.Duration // between two looks at what another process does
}

func defaultPace() pace {
	return pace{
		now: time.Now, pageSize: maxPage, rateLimited: 15 * time.Second, unreachable: time.Second, refused: 30 * time.Second, patience: 5 * time.Minute,
		look: 500 * time.Millisecond,
	}
}

// maxRetryAfter bounds for how long Duo, or what is in front of it, can make the
// puller wait.
const maxRetryAfter = time.Hour

type pullSettings struct {
	first, retention, interval time.Duration
	hold                       time.Duration // for how long a claim lasts without a page
	raw                        bool          // keep the entries as they came
	pace                       pace
}

// puller reads what is new in the log into the store, again and again. Each
// page is stored together with the offset of the next one, so that a pull that
// was broken off, by a failure or by the end of the process, goes on where it
// was, in whatever process. That makes a new attempt the same as a continued one.
//
// Of all processes that share a store one reads at a time: it says so in the
// progress, which only one can set at a time. The others look on, and rest when it
// has read the log to its end.
type puller struct {
	api     *client
	store   *store
	logger  *slog.Logger
	o       pullSettings
	me      string // this process, in a claim
	made    time.Time
	stopped chan struct{} // closed when run has returned
	kick    chan struct{}

	// Of run's goroutine alone.
	state progress // as it was last read or set
	seen  watch    // another's claim

	mu       sync.Mutex
	attempt  *attempt // the one under way, or the next one
	running  bool
	failed   error // of the last attempt; nil when it succeeded
	failures int   // attempts in a row that stored no page
}

// attempt is one try to read the log to its end.
type attempt struct {
	began  atomic.Int64  // by the steady clock, as time since the puller was made
	done   chan struct{} // closed at its end
	err    error         // set before done is closed
	pages  atomic.Int64
	asked  atomic.Bool // Duo was asked, by this process
	others atomic.Bool // another process is reading
}

func newAttempt() *attempt { return &attempt{done: make(chan struct{})} }

// newPuller makes a puller. Its first attempt counts as under way, as run is
// about to start it.
func newPuller(api *client, st *store, logger *slog.Logger, o pullSettings) *puller {
	p := &puller{
		made: time.Now(), api: api, store: st, logger: logger, o: o, me: rand.Text(), stopped: make(chan struct{}), kick: make(chan struct{}, 1),
		attempt: newAttempt(), running: true,
	}
	return p
}

// run pulls until the context ends.
func (p *puller) run(ctx context.Context) {
	defer close(p.stopped)
	defer p.letGo(ctx, 0)
	for wanted := false; ; {
		a := p.begin()
		rest, err := p.pull(ctx, a, wanted)
		p.end(a, err)
		if ctx.Err() != nil {
			return
		}
		wait := p.wait(err)
		switch {
		case err != nil:
			p.letGo(ctx, wait)
			p.logger.WarnContext(ctx, "pulling the authentication log failed",
				"error", err.Error(), "remedy", fault.RemedyOf(err), "pages", a.pages.Load(), "next_attempt_in", wait.String())
		case rest > 0:
			wait = rest
		}
		if wanted = p.sleep(ctx, wait); ctx.Err() != nil {
			return
		}
	}
}

// sleep waits until it is time for an attempt, one is wanted at once, or the
// context has ended. It reports whether one was wanted.
func (p *puller) sleep(ctx context.Context, d time.Duration) (wanted bool) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	case <-p.kick:
		return true
	}
	return false
}

func (p *puller) begin() *attempt {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.running = true
	p.attempt.began.Store(int64(time.Since(p.made)))
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

// lasted tells for how long an attempt has been under way.
func (p *puller) lasted(a *attempt) time.Duration {
	return time.Since(p.made) - time.Duration(a.began.Load())
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
	return d - mathrand.N(d/2+1) //nolint:gosec // jitter
}

// pull reads window after window until the log's end is reached. Unless it is
// wanted at once it may find that another process has done so: then it tells for
// how long there is no need.
func (p *puller) pull(ctx context.Context, a *attempt, wanted bool) (rest time.Duration, err error) {
	for {
		if rest, err = p.claim(ctx, a, wanted); err != nil || rest > 0 {
			return rest, err
		}
		a.asked.Store(true)
		if err = p.readOn(ctx, a); !errors.Is(err, errMoved) || ctx.Err() != nil {
			return 0, err
		}
		// This process was silent for so long that another one has taken over.
		p.logger.DebugContext(ctx, "another process reads the log now")
	}
}

// readOn reads window after window until the log's end is reached.
func (p *puller) readOn(ctx context.Context, a *attempt) error {
	for {
		if p.state.window.isZero() {
			w, err := p.nextWindow(ctx, p.state)
			if err != nil {
				return err
			}
			p.state.window = w
		}
		through, err := p.readWindow(ctx, a)
		if err != nil {
			return err
		}
		// A window that was left unfinished for a while is followed at once.
		if through {
			p.prune(ctx, p.o.pace.now())
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

// readWindow reads the window from its offset to its end, and stores page by
// page. It reports whether that is the end of the log.
func (p *puller) readWindow(ctx context.Context, a *attempt) (through bool, err error) {
	w := p.state.window
	resumed := w.offset != ""
	seen := map[string]bool{w.offset: true}
	for {
		page, err := p.api.read(ctx, w)
		if err != nil {
			if resumed && fault.KindOf(err) == fault.BadResponse {
				// The offset of old may be what Duo refuses: begin anew.
				return false, p.restart(ctx, err)
			}
			return false, err
		}
		entries := p.parse(ctx, page.logs)
		if page.next == "" {
			return p.finish(ctx, a, entries, page.serverTime)
		}
		if seen[page.next] || len(page.next) > maxOffset {
			err := &fault.Error{
				Kind: fault.BadResponse, Source: Name, Op: opReadLog, Subject: p.api.address.host,
				Message: "the log's pages go round in a circle at offset " + clip(page.next, 100), Remedy: "report it to Duo if it stays so",
			}
			return false, p.restart(ctx, err)
		}
		seen[page.next] = true
		w.offset = page.next
		p.state.window = w
		p.hold(p.o.hold, false)
		if _, err := p.store.save(ctx, entries, &p.state); err != nil {
			return false, err
		}
		a.pages.Add(1)
	}
}

// restart makes the next attempt read the window from its beginning, and gives
// err.
func (p *puller) restart(ctx context.Context, err error) error {
	p.state.window.offset = ""
	p.hold(p.o.hold, false)
	if _, saveErr := p.store.save(ctx, nil, &p.state); saveErr != nil {
		return saveErr
	}
	return err
}

// finish stores the last page of a window and raises the high-water mark: to
// the window's end, but not beyond what Duo can have shown by its own clock. At
// the end of the log it gives up the claim.
func (p *puller) finish(ctx context.Context, a *attempt, entries []entry, serverTime time.Time) (through bool, err error) {
	w, now, mark := p.state.window, p.o.pace.now(), p.state.window.to
	if shown := serverTime.Add(-lag); !serverTime.IsZero() && shown.Before(w.to) {
		if mark = shown; shown.Before(w.from) {
			mark = w.from
		}
	}
	if mark.After(p.state.highWater) {
		p.state.highWater = mark
	}
	p.state.success, p.state.window = now, window{}
	if through = now.Sub(w.to) <= lag+p.o.interval; through {
		p.state.claim = claim{}
	} else {
		p.hold(p.o.hold, false)
	}
	added, err := p.store.save(ctx, entries, &p.state)
	if err != nil {
		return false, err
	}
	a.pages.Add(1)
	p.logger.DebugContext(ctx, "authentication log read", "up_to", p.state.highWater, "new_on_last_page", added)
	return through, nil
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
	if err := p.store.prune(ctx, now.Add(-p.o.retention)); err != nil && ctx.Err() == nil {
		p.logger.WarnContext(ctx, "old events could not be removed", "error", err.Error())
	}
}
