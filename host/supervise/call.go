package supervise

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/sony/gobreaker/v2"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/plugins/sdk"
)

// answerGrace is what a plugin has beyond its own time limit to report what it
// has found and which of its requests was too slow.
const answerGrace = time.Second

// call is one call on a plugin.
type call struct {
	op string
	// unbounded calls stream for as long as records keep coming.
	unbounded bool
	// once marks calls that must not be made a second time when the process is
	// lost in the middle, because they change something or have been heard.
	once bool
	// probe marks calls that go out even when the breaker is open.
	probe bool
}

// do makes a call under all the limits. Whatever happens, it returns within the
// plugin's time limit, and the error is the plugin's own affair.
func (p *Plugin) do(ctx context.Context, c call, f func(context.Context, *sdk.Client, Settings) error) error {
	release, err := p.slot(ctx)
	if err != nil {
		return err
	}
	defer release()
	done, err := p.admit(c)
	if err != nil {
		p.o.Observer.CallDone(p.name, c.op, 0, err)
		return err
	}
	started := time.Now()
	proc, err := p.attempt(ctx, c, f)
	if err != nil && !c.once && proc != nil && lost(proc, err) {
		_, err = p.attempt(ctx, c, f)
	}
	p.o.Observer.CallDone(p.name, c.op, time.Since(started), err)
	p.settle(ctx, c, proc, err, done)
	return err
}

// slot waits for one of the calls that may run at once.
func (p *Plugin) slot(ctx context.Context) (release func(), err error) {
	p.mu.Lock()
	slots := p.slots
	p.mu.Unlock()
	if slots == nil { // never started: the start is shared anyway
		return func() {}, nil
	}
	select {
	case slots <- struct{}{}:
		return func() { <-slots }, nil
	case <-ctx.Done():
		return nil, &fault.Error{
			Kind: fault.Timeout, Source: p.name, Message: "waited too long for its turn", Err: ctx.Err(),
			Remedy: "raise CONCURRENCY of this plugin, or find out why its source is slow",
		}
	}
}

// admit asks the breaker.
func (p *Plugin) admit(c call) (done func(error), err error) {
	if c.probe {
		return func(error) {}, nil
	}
	p.mu.Lock()
	breakers, last := p.breakers, p.last.err
	p.mu.Unlock()
	done, err = breakers.of(c.op).Allow()
	if err == nil {
		return done, nil
	}
	e := &fault.Error{
		Kind: restingKind(last), Source: p.name, Op: c.op, RetryAfter: p.o.Limits.BreakerOpen, Err: last,
		Message: fmt.Sprintf("not asked: it failed %d times in a row and rests for %s", p.o.Limits.BreakerFailures, p.o.Limits.BreakerOpen),
		Remedy:  fault.RemedyOf(last),
	}
	if errors.Is(err, gobreaker.ErrTooManyRequests) {
		e.Message = "not asked: it failed repeatedly, and one trial call is under way"
	}
	return nil, e
}

// restingKind is the kind of failure of a plugin that is not asked: it is still the
// same trouble as long as nobody knows better, as whoever counts failures and
// reads what to do about them must see.
func restingKind(last error) fault.Kind {
	switch kind := fault.KindOf(last); kind {
	case fault.Unauthenticated, fault.Forbidden, fault.RateLimited, fault.Timeout:
		return kind
	default: // nothing that would tell of the request itself
		return fault.Unavailable
	}
}

// attempt makes the call once. It returns the process that it ran on, if any.
func (p *Plugin) attempt(ctx context.Context, c call, f func(context.Context, *sdk.Client, Settings) error) (*process, error) {
	proc, err := p.ready(ctx)
	if err != nil {
		return nil, err
	}
	defer proc.calls.Done()
	if !c.unbounded {
		var cancel context.CancelFunc
		ctx, cancel = context.WithTimeout(ctx, proc.settings.Timeout+answerGrace)
		defer cancel()
	}
	err = f(ctx, proc.client, proc.settings)
	if errors.Is(err, context.Canceled) && ctx.Err() == nil {
		// Not by the caller: the connection was closed when the process had gone.
		err = &fault.Error{Kind: fault.Unavailable, Source: p.name, Op: c.op, Err: sdk.ErrConnectionLost, Remedy: "see the log for the plugin's last words"}
	}
	return proc, err
}

// settle tells the breaker, and ends a process that no longer answers at all.
func (p *Plugin) settle(ctx context.Context, c call, proc *process, err error, done func(error)) {
	switch {
	case err != nil && (givenUp(ctx) || errors.Is(err, errPausing)):
		done(errNoVerdict) // also of many calls that come within one pause
		return
	case err != nil && !countsAsFailure(err):
		done(nil) // the caller's doing, not the plugin's
		return
	}
	done(err)
	p.mu.Lock()
	if err == nil {
		p.last.successAt = time.Now()
	} else {
		p.last.err, p.last.errAt = err, time.Now()
	}
	breakers := p.breakers
	p.mu.Unlock()
	if proc != nil && errors.Is(err, sdk.ErrNoAnswer) && breakers.open(c.op) {
		proc.kill()
	}
}

// givenUp reports whether the caller's time is over. The plugin's clock of the
// same deadline may run a little ahead of ours.
func givenUp(ctx context.Context) bool {
	if ctx.Err() != nil {
		return true
	}
	deadline, ok := ctx.Deadline()
	return ok && time.Until(deadline) < 20*time.Millisecond
}

// countsAsFailure tells trouble of the source from answers about the request.
func countsAsFailure(err error) bool {
	switch fault.KindOf(err) {
	case fault.NotFound, fault.Invalid, fault.Conflict:
		return false
	default:
		return true
	}
}

func lookUp[T any](ctx context.Context, p *Plugin, op string, f func(context.Context, *sdk.Client) ([]T, error)) ([]T, error) {
	var out []T
	err := p.do(ctx, call{op: op}, func(ctx context.Context, c *sdk.Client, _ Settings) (err error) {
		out, err = f(ctx, c)
		return err
	})
	return out, err
}

// DevicesByEmail looks up a person's devices. Like all look-ups, it may return
// records beside an error.
func (p *Plugin) DevicesByEmail(ctx context.Context, email string) ([]device.Device, error) {
	return lookUp(ctx, p, "devices_by_email", func(ctx context.Context, c *sdk.Client) ([]device.Device, error) {
		return c.DevicesByEmail(ctx, email)
	})
}

// DevicesByKeys looks up devices by serial numbers and MAC addresses. The error
// joins one for each key that failed.
func (p *Plugin) DevicesByKeys(ctx context.Context, serials []string, macs []device.MAC) ([]device.Device, error) {
	return lookUp(ctx, p, "devices_by_keys", func(ctx context.Context, c *sdk.Client) ([]device.Device, error) {
		return c.DevicesByKeys(ctx, serials, macs)
	})
}

// EventsByEmail looks up a person's events.
func (p *Plugin) EventsByEmail(ctx context.Context, email string) ([]device.Event, error) {
	return lookUp(ctx, p, "events", func(ctx context.Context, c *sdk.Client) ([]device.Event, error) {
		return c.EventsByEmail(ctx, email)
	})
}

// AccountsByEmail looks up a person's accounts.
func (p *Plugin) AccountsByEmail(ctx context.Context, email string) ([]device.Account, error) {
	return lookUp(ctx, p, "accounts", func(ctx context.Context, c *sdk.Client) ([]device.Account, error) {
		return c.AccountsByEmail(ctx, email)
	})
}

// NotificationsByEmail looks up a person's notifications.
func (p *Plugin) NotificationsByEmail(ctx context.Context, email string) ([]device.Notification, error) {
	return lookUp(ctx, p, "notifications", func(ctx context.Context, c *sdk.Client) ([]device.Notification, error) {
		return c.NotificationsByEmail(ctx, email)
	})
}

// TransformDevices hands devices through the plugin.
func (p *Plugin) TransformDevices(ctx context.Context, devices []device.Device) ([]device.Device, error) {
	return lookUp(ctx, p, "transform_devices", func(ctx context.Context, c *sdk.Client) ([]device.Device, error) {
		return c.TransformDevices(ctx, devices)
	})
}

// TransformEvents hands events through the plugin.
func (p *Plugin) TransformEvents(ctx context.Context, events []device.Event) ([]device.Event, error) {
	return lookUp(ctx, p, "transform_events", func(ctx context.Context, c *sdk.Client) ([]device.Event, error) {
		return c.TransformEvents(ctx, events)
	})
}

// ListDevices hands every device that the source knows to receive, some at a
// time. The plugin's time limit bounds the wait for each portion.
func (p *Plugin) ListDevices(ctx context.Context, receive func([]device.Device) error) error {
	return p.do(ctx, call{op: "list_devices", unbounded: true, once: true}, func(ctx context.Context, c *sdk.Client, s Settings) error {
		return c.ListDevices(ctx, s.Timeout+answerGrace, receive)
	})
}

// ListUsers hands every person that the source knows to receive, as ListDevices
// does devices.
func (p *Plugin) ListUsers(ctx context.Context, receive func([]device.User) error) error {
	return p.do(ctx, call{op: "list_users", unbounded: true, once: true}, func(ctx context.Context, c *sdk.Client, s Settings) error {
		return c.ListUsers(ctx, s.Timeout+answerGrace, receive)
	})
}

// SendFeedback passes on a person's answer. It is never sent twice.
func (p *Plugin) SendFeedback(ctx context.Context, f device.Feedback) error {
	return p.do(ctx, call{op: "feedback", once: true}, func(ctx context.Context, c *sdk.Client, _ Settings) error {
		return c.SendFeedback(ctx, f)
	})
}

// Deliver hands documents to a sink, as [sdk.Client.Deliver] does. When the
// process is lost in the middle they are not sent a second time here: their
// sender decides when.
func (p *Plugin) Deliver(ctx context.Context, deliveries []device.Delivery) (errs []error, err error) {
	err = p.do(ctx, call{op: "deliver", once: true}, func(ctx context.Context, c *sdk.Client, _ Settings) (err error) {
		errs, err = c.Deliver(ctx, deliveries)
		return err
	})
	return errs, err
}

// TestConnectivity runs the plugin's own test, even when its breaker is open,
// and says what was reached.
func (p *Plugin) TestConnectivity(ctx context.Context) (detail string, err error) {
	err = p.do(ctx, call{op: "test_connectivity", probe: true}, func(ctx context.Context, c *sdk.Client, _ Settings) (err error) {
		detail, err = c.TestConnectivity(ctx)
		return err
	})
	return detail, err
}
