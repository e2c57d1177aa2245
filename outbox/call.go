package outbox

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
)

// call hands documents to the sink and judges what came of each.
func (d *dispatcher) call(held context.Context, sent []Entry, deliveries []device.Delivery) []Result {
	ctx, cancel := context.WithTimeout(held, d.o.CallTimeout)
	defer cancel()
	errs, err := d.sink.Deliver(ctx, deliveries)
	if err == nil && len(errs) != 0 && len(errs) != len(sent) {
		err = fault.New(fault.Internal, "%d results for %d documents", len(errs), len(sent))
	}
	if err == nil && len(errs) == 0 {
		errs = make([]error, len(sent))
	}
	if err == nil {
		err = commonFailure(errs)
	}
	if err != nil {
		return d.allFailed(held, sent, err)
	}
	return d.someArrived(held, sent, errs)
}

// commonFailure gives the first error when nothing was accepted and nothing
// refused: then it is the sink that fails, not a document.
func commonFailure(errs []error) error {
	for _, err := range errs {
		if err == nil || device.Refused(err) {
			return nil
		}
	}
	return errs[0]
}

// stepBack is how long a document waits at most behind the others that failed by
// itself: it may be at fault, or the sink was down and is back.
const stepBack = 10 * time.Second

// allFailed makes a pause, and smaller calls after it: what a sink cannot take
// may be one document, or too many. When a single one fails it steps back behind
// the others.
func (d *dispatcher) allFailed(ctx context.Context, sent []Entry, err error) []Result {
	d.failures++
	pause := max(d.backoff(d.failures), d.asked(err))
	d.pauseTill = time.Now().Add(pause)
	if kind := fault.KindOf(err); kind != fault.RateLimited && kind != fault.Unauthenticated && kind != fault.Forbidden {
		d.size = max(1, len(sent)/2)
	}
	next := time.Time{}
	if len(sent) == 1 {
		next = d.o.Now().Add(min(2*pause, stepBack))
	}
	results := make([]Result, len(sent))
	for i, e := range sent {
		results[i] = d.failed(ctx, e, err, next)
	}
	d.count(d.o.Observer.Failed, err, len(sent))
	d.failing(ctx, err, pause)
	return results
}

// someArrived judges each document for itself.
func (d *dispatcher) someArrived(ctx context.Context, sent []Entry, errs []error) []Result {
	d.failures = 0
	results := make([]Result, len(sent))
	arrived, decided := 0, 0
	var pause time.Duration
	for i, e := range sent {
		switch err := errs[i]; {
		case err == nil:
			arrived, decided = arrived+1, decided+1
			results[i] = Result{Number: e.Number}
		case device.Refused(err):
			decided++
			d.count(d.o.Observer.Failed, err, 1)
			results[i] = d.aside(e, err)
		default:
			d.count(d.o.Observer.Failed, err, 1)
			wait := max(d.backoff(e.Attempts+1), d.asked(err))
			results[i] = d.failed(ctx, e, err, d.o.Now().Add(wait))
			if fault.KindOf(err) == fault.RateLimited {
				pause = max(pause, d.asked(err), d.o.MinBackoff)
			}
		}
	}
	d.pauseTill = time.Now().Add(pause)
	d.resize(decided, len(sent))
	if decided > 0 {
		d.recovered(ctx, arrived)
	}
	return results
}

// resize makes calls as large as the sink can work through within its time limit:
// somewhat larger while it manages, else as many as it managed.
func (d *dispatcher) resize(decided, sent int) {
	if decided < sent {
		d.size = max(1, decided)
		return
	}
	d.size = min(d.o.BatchCount, max(d.size, sent+sent/4+1))
}

// asked is how long the sink asks to be left alone, within bounds.
func (d *dispatcher) asked(err error) time.Duration {
	return min(fault.RetryAfterOf(err), d.o.MaxRetryAfter)
}

// failed is the result of an attempt that may be repeated, unless the document is
// too old for it.
func (d *dispatcher) failed(ctx context.Context, e Entry, err error, next time.Time) Result {
	old := d.o.MaxAge > 0 && d.o.Now().Sub(e.QueuedAt) > d.o.MaxAge
	if broken := ctx.Err() != nil && errors.Is(err, context.Canceled); !broken && (old || d.o.MaxAttempts > 0 && e.Attempts+1 >= d.o.MaxAttempts) {
		return d.aside(e, err)
	}
	return Result{Number: e.Number, Err: err, NextAt: next}
}

// aside makes a dead letter.
func (d *dispatcher) aside(e Entry, err error) Result {
	d.o.Logger.Error("a document was set aside", "sink", d.name, "id", e.Number, "delivery", e.ID, "kind", e.Kind, "error", err.Error())
	if d.o.Observer.Dead != nil {
		d.o.Observer.Dead(d.name, e, err)
	}
	return Result{Number: e.Number, Err: err, Dead: true}
}

func (d *dispatcher) count(observe func(string, fault.Kind, int), err error, n int) {
	if observe != nil {
		observe(d.name, fault.KindOf(err), n)
	}
}

func (d *dispatcher) failing(ctx context.Context, err error, pause time.Duration) {
	d.mu.Lock()
	first := d.err == nil
	d.err = err
	d.mu.Unlock()
	d.o.Logger.WarnContext(ctx, "deliveries fail", "sink", d.name, "error", err.Error(), "times", d.failures, "next_in", fmt.Sprint(pause.Round(time.Millisecond)))
	if first && d.o.Observer.Failing != nil {
		d.o.Observer.Failing(d.name, err)
	}
}

// recovered notes that the sink works, and how many documents it has accepted.
func (d *dispatcher) recovered(ctx context.Context, n int) {
	d.mu.Lock()
	was := d.err != nil
	d.err = nil
	d.mu.Unlock()
	if d.o.Observer.Delivered != nil && n > 0 {
		d.o.Observer.Delivered(d.name, n)
	}
	if !was {
		return
	}
	d.o.Logger.InfoContext(ctx, "deliveries arrive again", "sink", d.name)
	if d.o.Observer.Recovered != nil {
		d.o.Observer.Recovered(d.name)
	}
}
