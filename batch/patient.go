package batch

import (
	"context"
	"time"

	"github.com/postureproject/posture/fault"
)

const (
	firstPause = 50 * time.Millisecond
	longPause  = 5 * time.Second
	// patience is how long the store may be away before a run gives up; it can be
	// resumed then.
	patience = 3 * time.Minute
)

// patient does something with the store, again while the store cannot be used for
// now: a database that is restarted, or an outbox that is full. All that runs do
// with the store may be repeated.
func (x *execution) patient(ctx context.Context, do func() error) error {
	began := time.Now()
	for pause := firstPause; ; pause = min(2*pause, longPause) {
		err := do()
		if err == nil || ended(ctx) || !passing(err) || time.Since(began) > patience {
			return err
		}
		x.Logger.WarnContext(ctx, "the store cannot be used for now", "run", x.run.ID, "error", err.Error())
		select {
		case <-ctx.Done():
			return err
		case <-time.After(pause):
		}
	}
}

func passing(err error) bool {
	switch fault.KindOf(err) {
	case fault.Unavailable, fault.Timeout:
		return true
	default:
		return false
	}
}

// patiently is patient for what gives something.
func patiently[T any](ctx context.Context, x *execution, do func() (T, error)) (T, error) {
	var v T
	err := x.patient(ctx, func() (err error) {
		v, err = do()
		return err
	})
	return v, err
}
