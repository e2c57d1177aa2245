package host

import (
	"context"
	"time"

	"github.com/postureproject/posture/store"
)

// retainEvery is how often the daemon deletes what is older than what is kept.
// Each run over everybody does so, too.
const retainEvery = 24 * time.Hour

// retain deletes outdated history, trends and runs, at once and from time to
// time, until the context ends.
func (h *Host) retain(ctx context.Context) {
	tick := time.NewTicker(retainEvery)
	defer tick.Stop()
	for {
		h.forget(ctx)
		select {
		case <-tick.C:
		case <-ctx.Done():
			return
		}
	}
}

// forget deletes what is older than what is kept. What fails is tried again the
// next time.
func (h *Host) forget(ctx context.Context) {
	h.forgetHistory(ctx)
	h.forgetRuns(ctx)
}

func (h *Host) forgetHistory(ctx context.Context) {
	days, entries, err := h.o.Store.Prune(ctx, store.KeepDays)
	switch {
	case ctx.Err() != nil:
	case err != nil:
		h.o.Logger.WarnContext(ctx, "outdated history could not be deleted", "error", err.Error())
	case days+entries > 0:
		h.o.Logger.InfoContext(ctx, "outdated history was deleted", "days", days, "entries", entries)
	}
}
