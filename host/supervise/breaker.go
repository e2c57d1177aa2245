package supervise

import (
	"context"
	"errors"
	"log/slog"
	"strings"
	"sync"

	"github.com/sony/gobreaker/v2"
)

// breakers are a plugin's circuit breakers: one for each thing that it is asked
// for, so that a missing permission to read events does not stop the devices.
type breakers struct {
	plugin string
	o      Options

	mu     sync.Mutex
	groups map[string]*gobreaker.TwoStepCircuitBreaker[any]
	states map[string]gobreaker.State
	worst  gobreaker.State
}

func newBreakers(plugin string, o Options) *breakers {
	b := &breakers{
		plugin: plugin, o: o,
		groups: map[string]*gobreaker.TwoStepCircuitBreaker[any]{}, states: map[string]gobreaker.State{},
	}
	o.Observer.BreakerChanged(plugin, gobreaker.StateClosed.String())
	return b
}

// errNoVerdict tells a breaker that a call has shown nothing about the plugin:
// it neither opens the breaker nor, as a trial, closes it.
var errNoVerdict = errors.New("the caller gave up")

// group says what an operation asks for: the look-ups of devices belong together.
func group(op string) string {
	if strings.HasPrefix(op, "devices_by_") {
		return "devices"
	}
	return op
}

// of gives the breaker of an operation.
func (b *breakers) of(op string) *gobreaker.TwoStepCircuitBreaker[any] {
	b.mu.Lock()
	defer b.mu.Unlock()
	name := group(op)
	breaker, ok := b.groups[name]
	if !ok {
		breaker = gobreaker.NewTwoStepCircuitBreaker[any](gobreaker.Settings{
			Name: name, MaxRequests: 1, Timeout: b.o.Limits.BreakerOpen,
			ReadyToTrip:   func(c gobreaker.Counts) bool { return c.ConsecutiveFailures >= b.o.Limits.BreakerFailures },
			IsExcluded:    func(err error) bool { return errors.Is(err, errNoVerdict) },
			OnStateChange: b.changed,
		})
		b.groups[name] = breaker
	}
	return breaker
}

// changed hears of one breaker's new state and passes on the plugin's, which is
// the worst of all.
func (b *breakers) changed(name string, from, to gobreaker.State) {
	level := slog.LevelInfo
	if to == gobreaker.StateOpen {
		level = slog.LevelWarn
	}
	b.o.Logger.Log(context.Background(), level, "breaker changed", "plugin", b.plugin, "for", name, "from", from.String(), "to", to.String())
	b.mu.Lock()
	defer b.mu.Unlock()
	b.states[name] = to
	worst := gobreaker.StateClosed
	for _, s := range b.states {
		worst = max(worst, s) // closed, half-open, open, in this order
	}
	if worst != b.worst {
		b.worst = worst
		b.o.Observer.BreakerChanged(b.plugin, worst.String())
	}
}

// state is the worst state of all.
func (b *breakers) state() gobreaker.State {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.worst
}

// open reports whether an operation's breaker is open.
func (b *breakers) open(op string) bool {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.states[group(op)] == gobreaker.StateOpen
}
