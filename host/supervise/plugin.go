package supervise

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/plugins/sdk"
)

// Plugin is one supervised plugin. It outlives its processes and, across a
// reload, its settings; it is safe for concurrent use.
type Plugin struct {
	name   string
	o      Options
	ctx    context.Context // ends with the supervisor
	cancel context.CancelFunc
	keeper sync.WaitGroup

	mu        sync.Mutex
	program   Program
	configure Configure
	proc      *process
	starting  *start // the start under way, if any
	desc      sdk.Description
	described bool
	settings  Settings
	slots     chan struct{}
	breakers  *breakers
	closed    bool

	crashes   int       // in a row
	notBefore time.Time // of the next start
	restarts  int
	last      outcome
}

// start is one attempt to start the plugin, shared by all who wait for it.
type start struct {
	done chan struct{}
	err  error // valid after done
}

// outcome is what an administrator wants to know of a plugin's recent past.
type outcome struct {
	err       error
	errAt     time.Time
	successAt time.Time
}

// Status is a plugin's state, for people and metrics.
type Status struct {
	Name        string          `json:"name"`
	State       string          `json:"state"` // ready, starting, stopped, backoff or failed
	PID         int             `json:"pid,omitempty"`
	Since       time.Time       `json:"since,omitzero"` // when its process started
	Restarts    int             `json:"restarts"`
	Breaker     string          `json:"breaker"` // closed, half-open or open
	LastError   string          `json:"last_error,omitempty"`
	LastErrorAt time.Time       `json:"last_error_at,omitzero"`
	LastKind    string          `json:"last_error_kind,omitempty"`
	LastRemedy  string          `json:"last_error_remedy,omitempty"` // what to do about it
	LastSuccess time.Time       `json:"last_success,omitzero"`
	Path        string          `json:"path"`
	Description sdk.Description `json:"description"`
}

func newPlugin(ctx context.Context, program Program, configure Configure, o Options) *Plugin {
	p := &Plugin{name: program.Name, o: o, program: program, configure: configure}
	p.ctx, p.cancel = context.WithCancel(ctx)
	p.breakers = newBreakers(p.name, o)
	return p
}

// Name is the plugin's name in the configuration.
func (p *Plugin) Name() string { return p.name }

// Description is what the plugin said of itself, and false when it has never
// started.
func (p *Plugin) Description() (sdk.Description, bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.desc, p.described
}

// Timeout is the plugin's limit for one look-up; zero when it has never started.
func (p *Plugin) Timeout() time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	return p.settings.Timeout
}

// Status tells how the plugin is.
func (p *Plugin) Status() Status {
	p.mu.Lock()
	defer p.mu.Unlock()
	s := Status{
		Name: p.name, Restarts: p.restarts, Breaker: p.breakers.state().String(), LastErrorAt: p.last.errAt,
		LastSuccess: p.last.successAt, Path: p.program.Path, Description: p.desc,
	}
	if p.last.err != nil {
		s.LastError = p.last.err.Error()
		s.LastKind, s.LastRemedy = fault.KindOf(p.last.err).String(), fault.RemedyOf(p.last.err)
	}
	switch {
	case p.proc != nil:
		s.State, s.PID, s.Since = "ready", p.proc.child.pid(), p.proc.started
	case p.starting != nil:
		s.State = "starting"
	case p.crashes > 0 && time.Now().Before(p.notBefore):
		s.State = "backoff"
	case p.crashes > 0:
		s.State = "failed"
	default:
		s.State = "stopped"
	}
	return s
}

// ready gives a running process, starting one if need be, and counts a call on
// it, which the caller ends with calls.Done. Callers that come while a start is
// under way share it.
func (p *Plugin) ready(ctx context.Context) (*process, error) {
	for {
		p.mu.Lock()
		switch {
		case p.closed:
			p.mu.Unlock()
			return nil, &fault.Error{Kind: fault.Unavailable, Source: p.name, Message: "the plugin has been stopped"}
		case p.proc != nil && !isClosed(p.proc.exited()):
			defer p.mu.Unlock()
			p.proc.calls.Add(1)
			return p.proc, nil
		case p.starting == nil:
			if err := p.startLocked(); err != nil {
				p.mu.Unlock()
				return nil, err
			}
		}
		starting := p.starting
		p.mu.Unlock()
		select {
		case <-starting.done:
			if starting.err != nil {
				return nil, starting.err
			}
		case <-ctx.Done():
			return nil, &fault.Error{Kind: fault.Timeout, Source: p.name, Op: "start plugin", Err: ctx.Err()}
		}
	}
}

// errPausing marks calls that were refused while a plugin pauses before its next
// start.
var errPausing = errors.New("it last failed")

// startLocked begins a start, unless the pause after a failure is not over yet.
// The start belongs to the plugin, not to the caller that asked for it first.
func (p *Plugin) startLocked() error {
	if wait := time.Until(p.notBefore); wait > 0 {
		why := errPausing
		if p.last.err != nil {
			why = fmt.Errorf("%w: %w", errPausing, p.last.err)
		}
		return &fault.Error{
			Kind: fault.Unavailable, Source: p.name, Op: "start plugin", RetryAfter: wait, Err: why,
			Message: fmt.Sprintf("it failed %d times in a row; the next start is in %s", p.crashes, wait.Round(time.Millisecond)),
			Remedy:  "see the log for the plugin's last words",
		}
	}
	starting := &start{done: make(chan struct{})}
	p.starting = starting
	program, configure := p.program, p.configure
	p.keeper.Go(func() {
		defer close(starting.done)
		proc, err := launch(p.ctx, program, configure, p.o)
		starting.err = p.adopt(starting, proc, err)
	})
	return nil
}

func isClosed(c <-chan struct{}) bool {
	select {
	case <-c:
		return true
	default:
		return false
	}
}

// adopt takes over what a start gave, and gives the error for those who wait for
// it. What a start gave that is no longer wanted is ended: those who waited look
// again.
func (p *Plugin) adopt(starting *start, proc *process, err error) error {
	p.mu.Lock()
	current := p.starting == starting && !p.closed
	if p.starting == starting {
		p.starting = nil
	}
	switch {
	case !current:
	case err != nil:
		p.failedLocked(err)
	default:
		p.installLocked(proc)
	}
	p.mu.Unlock()
	if current {
		return err
	}
	if proc != nil {
		proc.stop(0)
	}
	return nil
}

// installLocked makes proc the plugin's process and watches over it.
func (p *Plugin) installLocked(proc *process) {
	p.proc, p.desc, p.described = proc, proc.desc, true
	if p.slots == nil || cap(p.slots) != max(1, proc.settings.Concurrency) {
		p.slots = make(chan struct{}, max(1, proc.settings.Concurrency))
	}
	p.settings = proc.settings
	p.keeper.Go(func() { p.watch(proc) })
	p.o.Logger.Info("plugin started", "plugin", p.name, "version", proc.desc.Version, "pid", proc.child.pid(),
		"took", time.Since(proc.started).Round(time.Millisecond))
}

// failedLocked notes a failed start or a crash, and how long to wait.
func (p *Plugin) failedLocked(err error) {
	p.crashes++
	p.last.err, p.last.errAt = err, time.Now()
	pause := time.Duration(0)
	if p.crashes > 1 { // the first time may be chance
		pause = min(p.o.Limits.MaxBackoff, 250*time.Millisecond<<min(p.crashes-2, 16))
	}
	p.notBefore = time.Now().Add(pause)
	p.o.Logger.Error("plugin failed", "plugin", p.name, "error", err.Error(), "times", p.crashes, "next_start_in", pause)
}

// watch checks a process's health until it ends, and then starts the next one,
// so that plugins that work in the background go on working.
func (p *Plugin) watch(proc *process) {
	ticker := time.NewTicker(p.o.Limits.HealthInterval)
	defer ticker.Stop()
	for sick := 0; ; {
		select {
		case <-proc.exited():
			p.ended(proc)
			return
		case <-ticker.C:
			err := proc.healthy(p.ctx, p.o.Limits.HealthTimeout)
			switch {
			case err == nil:
				sick = 0
			case isClosed(proc.exited()):
			default:
				if sick++; sick >= 2 {
					p.o.Logger.Error("plugin does not answer health checks; killing it", "plugin", p.name, "error", err.Error())
					proc.kill()
				}
			}
		}
	}
}

// ended cleans up after a process and, unless its end was wanted, starts the
// plugin again when its pause is over.
func (p *Plugin) ended(proc *process) {
	wanted := proc.ending.Load()
	proc.stop(0) // releases what is left of it
	p.mu.Lock()
	if p.proc == proc {
		p.proc = nil
	}
	if wanted || p.closed {
		p.mu.Unlock()
		return
	}
	if time.Since(proc.started) > p.o.Limits.StableAfter {
		p.crashes = 0
	}
	e := &fault.Error{Kind: fault.Unavailable, Source: p.name, Message: "the plugin's process ended: " + proc.child.exitReason()}
	if words := proc.logger.lastWords(); words != "" {
		e.Message += " (it said: " + words + ")"
	}
	p.failedLocked(e)
	p.mu.Unlock()
	p.restart()
}

// restart starts the plugin again and again until it runs.
func (p *Plugin) restart() {
	for {
		p.mu.Lock()
		pause := time.Until(p.notBefore)
		p.mu.Unlock()
		timer := time.NewTimer(pause)
		select {
		case <-timer.C:
		case <-p.ctx.Done():
			timer.Stop()
			return
		}
		proc, err := p.ready(p.ctx)
		if err == nil {
			proc.calls.Done()
			p.mu.Lock()
			p.restarts++
			p.mu.Unlock()
			p.o.Observer.Restarted(p.name)
			return
		}
		if p.ctx.Err() != nil {
			return
		}
	}
}

// replace swaps in a process with new settings that is already running, and ends
// the old one when its calls are done.
func (p *Plugin) replace(program Program, configure Configure, proc *process) {
	p.mu.Lock()
	old := p.proc
	p.program, p.configure = program, configure
	p.crashes, p.notBefore, p.starting = 0, time.Time{}, nil // a start under way has the old settings
	p.breakers = newBreakers(p.name, p.o)
	p.installLocked(proc)
	p.mu.Unlock()
	if old != nil {
		old.ending.Store(true)
		p.keeper.Go(func() { p.drain(old) })
	}
}

// reset gives a plugin that does not run new settings to start with.
func (p *Plugin) reset(program Program, configure Configure) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.program, p.configure = program, configure
	p.crashes, p.notBefore, p.starting = 0, time.Time{}, nil // a start under way has the old settings
}

// drain waits for an old process's calls, within bounds, and ends it.
func (p *Plugin) drain(old *process) {
	timer := time.NewTimer(p.o.Limits.StopTimeout)
	defer timer.Stop()
	select {
	case <-old.idle():
	case <-timer.C:
	case <-old.exited():
	}
	old.stop(p.o.Limits.StopTimeout)
}

// close ends the plugin: no new calls, running ones have a while to end, then
// the process. It returns when nothing of it is left.
func (p *Plugin) close() {
	p.mu.Lock()
	p.closed = true
	proc := p.proc
	p.mu.Unlock()
	p.cancel() // a start under way
	if proc != nil {
		proc.ending.Store(true)
		p.drain(proc)
	}
	p.keeper.Wait()
}

// lost reports whether a call failed because its process went away, and waits a
// moment for the news of it.
func lost(proc *process, err error) bool {
	if !errors.Is(err, sdk.ErrConnectionLost) {
		return false
	}
	timer := time.NewTimer(time.Second)
	defer timer.Stop()
	select {
	case <-proc.exited():
		return true
	case <-timer.C:
		return false
	}
}
