package adminevent

import (
	"context"
	"strings"
	"time"

	"github.com/postureproject/posture/fault"
)

// Run saves what was gathered and deletes what is outdated, at once and from
// time to time, until the context ends. It returns nil then; [Recorder.Close]
// saves the rest.
func (r *Recorder) Run(ctx context.Context) error {
	flush, prune := time.NewTicker(r.o.FlushInterval), time.NewTicker(r.o.PruneInterval)
	defer flush.Stop()
	defer prune.Stop()
	r.prune(ctx)
	for {
		select {
		case <-ctx.Done():
			return nil
		case <-flush.C:
			r.flushSoon(ctx)
		case <-prune.C:
			r.prune(ctx)
		}
	}
}

// flushSoon saves in the background; a failure is logged where it happens.
func (r *Recorder) flushSoon(ctx context.Context) {
	r.mu.Lock()
	number := r.recorded
	r.mu.Unlock()
	ctx, cancel := context.WithTimeout(ctx, backgroundFactor*r.o.WriteTimeout)
	defer cancel()
	_ = r.save(ctx, number, false)
}

func (r *Recorder) prune(ctx context.Context) {
	if _, err := r.Prune(ctx); err != nil && ctx.Err() == nil {
		r.o.Logger.WarnContext(ctx, "outdated administration events could not be deleted", "error", err.Error())
	}
}

// Prune deletes what is outdated, and what is beyond the number of events that
// may be kept. It tells how many it deleted.
func (r *Recorder) Prune(ctx context.Context) (int64, error) {
	days, err := r.Retention(ctx)
	if err != nil {
		return 0, err
	}
	return r.o.Store.PruneAdminEvents(ctx, r.o.Now().AddDate(0, 0, -days), r.o.MaxRows)
}

// Close saves what is in memory. Its error tells how much could not be saved.
func (r *Recorder) Close(ctx context.Context) error {
	if err := r.Flush(ctx); err != nil {
		return fault.Wrap(err, "save the last administration events", "")
	}
	return nil
}

// fresh saves before something is read, so that who has just seen a failure finds
// it. When that fails, what is saved can still be read.
func (r *Recorder) fresh(ctx context.Context) {
	ctx, cancel := context.WithTimeout(ctx, r.o.WriteTimeout)
	defer cancel()
	if err := r.Flush(ctx); err != nil {
		r.o.Logger.DebugContext(ctx, "administration events are read without the latest", "error", err.Error())
	}
}

// List gives a page of events.
func (r *Recorder) List(ctx context.Context, q Query) ([]Event, error) {
	r.fresh(ctx)
	return r.o.Store.AdminEvents(ctx, q.normal())
}

// Get gives one event, or a NotFound error.
func (r *Recorder) Get(ctx context.Context, id string) (Event, error) {
	if !ValidID(id) {
		return Event{}, fault.InvalidField("id", clip(id, 80), "is not an event's id", "write a UUID as the list of events has it")
	}
	r.fresh(ctx)
	return r.o.Store.AdminEvent(ctx, strings.ToLower(id))
}

// Count tells how many events a filter chooses.
func (r *Recorder) Count(ctx context.Context, f Filter) (int64, error) {
	r.fresh(ctx)
	return r.o.Store.CountAdminEvents(ctx, f)
}

// Summary counts events by fields, the most frequent group first, at most
// [MaxPage] groups.
func (r *Recorder) Summary(ctx context.Context, f Filter, by []Field) ([]Group, error) {
	if err := checkGroupFields(by); err != nil {
		return nil, err
	}
	r.fresh(ctx)
	return r.o.Store.SummarizeAdminEvents(ctx, f, by, MaxPage)
}

// Retention tells after how many days without a further occurrence an event is
// deleted.
func (r *Recorder) Retention(ctx context.Context) (int, error) {
	days, err := r.o.Store.AdminEventRetention(ctx)
	if err != nil || days == 0 {
		return r.o.RetentionDays, err
	}
	return days, nil
}

// SetRetention changes the retention from the next deletion on, for every program
// that shares the store.
func (r *Recorder) SetRetention(ctx context.Context, days int) error {
	if err := CheckRetention(int64(days)); err != nil {
		return err
	}
	return r.o.Store.SetAdminEventRetention(ctx, days)
}
