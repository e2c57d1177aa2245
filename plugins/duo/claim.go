package duo

import (
	"context"
	"errors"
	"time"

	"github.com/postureproject/posture/fault"
)

// claim says that one process reads the log, so that no other one spends
// requests on the same.
type claim struct {
	holder string
	at     time.Time     // when it was made or renewed, by the holder's clock
	lasts  time.Duration // for how long after that the holder may be silent
	waits  bool          // Duo asked the holder to wait, which goes for everybody
}

// maxSkew is how far the clocks of two machines that read Duo's log are apart at
// most: Duo refuses requests whose time is more than five minutes off (code 40105).
const maxSkew = 10 * time.Minute

// maxHold bounds how long a claim may last: no longer than anybody is made to wait.
const maxHold = maxRetryAfter + time.Hour

// watch is what one process has seen of another's claim.
type watch struct {
	version int64
	since   time.Time // by this machine's steady clock
}

// held reports whether another process reads the log, and for how much longer it
// may be silent. A claim whose version has not changed for as long as it lasts is
// over: its holder is gone. Time is measured by this process's own watching, as
// another machine's clock says little; only a claim that is old by any clock is
// over at once.
func (w *watch) held(p progress, me string, now time.Time) (left time.Duration, held bool) {
	if p.claim.holder == "" || p.claim.holder == me {
		return 0, false
	}
	if w.version != p.version {
		*w = watch{version: p.version, since: time.Now()}
	}
	left = p.claim.lasts - time.Since(w.since)
	if left <= 0 || now.Sub(p.claim.at) > p.claim.lasts+maxSkew {
		return 0, false
	}
	return left, true
}

// restOf tells how long the log needs no reading because somebody, in whatever
// process, has read it to its end within the interval.
func restOf(p progress, now time.Time, interval time.Duration) time.Duration {
	age := now.Sub(p.success)
	if !p.window.isZero() || p.success.IsZero() || age >= interval || age < -maxSkew {
		return 0
	}
	return min(interval, interval-age)
}

// claim makes this process the one that reads the log, as soon as no other one
// does. Unless it is wanted at once it may instead find that there is no need,
// for a while.
func (p *puller) claim(ctx context.Context, a *attempt, wanted bool) (rest time.Duration, err error) {
	defer a.others.Store(false)
	for pause := p.o.pace.look; ; pause = min(2*pause, 10*p.o.pace.look) {
		if p.state, err = p.store.progress(ctx); err != nil {
			return 0, err
		}
		now := p.o.pace.now()
		if rest := restOf(p.state, now, p.o.interval); rest > 0 && !wanted {
			return rest, nil
		}
		left, held := p.seen.held(p.state, p.me, now)
		switch {
		case !held:
			p.hold(p.o.hold, false)
			if _, err = p.store.save(ctx, nil, &p.state); !errors.Is(err, errMoved) {
				return 0, err
			}
			pause = p.o.pace.look // somebody was quicker: look again
		case p.state.claim.waits && wanted:
			return 0, &fault.Error{
				Kind: fault.RateLimited, Source: Name, Op: opReadLog, Subject: p.api.address.host,
				Message: "Duo has asked another process that shares this store to wait", Remedy: "wait; Duo allows about one request a minute",
			}
		case p.state.claim.waits:
			return min(left, p.o.interval), nil
		}
		a.others.Store(true)
		p.pause(ctx, pause)
		if ctx.Err() != nil {
			return 0, ctx.Err()
		}
	}
}

// pause waits for a while, or until the context ends.
func (p *puller) pause(ctx context.Context, d time.Duration) {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
	case <-timer.C:
	}
}

// hold puts a claim of this process into the progress, which is to be saved. It
// lasts for a while without a further one.
func (p *puller) hold(lasts time.Duration, waits bool) {
	p.state.claim = claim{holder: p.me, at: p.o.pace.now(), lasts: lasts, waits: waits}
}

// letGo gives up this process's claim, if it has one, so that others need not
// wait until it is over. When Duo has asked to wait it stays for as long, as that
// goes for the others too.
func (p *puller) letGo(ctx context.Context, wait time.Duration) {
	if p.state.claim.holder != p.me {
		return
	}
	p.state.claim = claim{}
	if p.limited() != nil && wait > 0 {
		p.hold(wait+p.o.hold, true)
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	if _, err := p.store.save(ctx, nil, &p.state); err != nil {
		// It is over in a while anyway.
		p.logger.DebugContext(ctx, "the claim on the log could not be given up", "error", err.Error())
	}
}
