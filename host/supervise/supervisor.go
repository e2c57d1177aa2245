package supervise

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/postureproject/posture/fault"
)

// Supervisor keeps a set of plugins. Make it with [New], end it with
// [Supervisor.Close].
type Supervisor struct {
	o      Options
	ctx    context.Context
	cancel context.CancelFunc

	applying sync.Mutex // held while the set changes, which takes time
	closed   bool       // under applying

	retired sync.WaitGroup // plugins that are no longer wanted and are ending

	mu      sync.Mutex
	plugins []*Plugin
}

// Item is one plugin of the wanted set.
type Item struct {
	Program   Program
	Configure Configure
}

// New makes an empty supervisor.
func New(o Options) *Supervisor {
	o.Limits = o.Limits.withDefaults()
	if o.Observer == nil {
		o.Observer = nobody{}
	}
	s := &Supervisor{o: o}
	s.ctx, s.cancel = context.WithCancel(context.Background())
	return s
}

// Plugins gives the plugins in the order in which they were wanted.
func (s *Supervisor) Plugins() []*Plugin {
	s.mu.Lock()
	defer s.mu.Unlock()
	return append([]*Plugin(nil), s.plugins...)
}

// Plugin gives a plugin by name.
func (s *Supervisor) Plugin(name string) (*Plugin, bool) {
	for _, p := range s.Plugins() {
		if p.name == name {
			return p, true
		}
	}
	return nil, false
}

// Apply makes the set of plugins what items say: it starts new ones, starts
// those with other settings anew beside the old and swaps them, ends those no
// longer wanted, and leaves the rest alone. When a configuration is at fault
// (kind Invalid), or a running plugin could not be replaced, nothing changes and
// Apply returns why. A new plugin that does not start for another reason is kept
// and tried again. It names the plugins that were started, replaced or ended.
func (s *Supervisor) Apply(ctx context.Context, items []Item) (changed []string, err error) {
	s.applying.Lock()
	defer s.applying.Unlock()
	if s.closed {
		return nil, fault.New(fault.Unavailable, "the supervisor has been closed")
	}
	current := make(map[string]*Plugin, len(items))
	for _, p := range s.Plugins() {
		current[p.name] = p
	}
	changes := make([]change, len(items))
	var group sync.WaitGroup
	for i, item := range items {
		group.Go(func() { changes[i] = s.prepare(ctx, current[item.Program.Name], item) })
	}
	group.Wait()
	var failed []error
	for _, c := range changes {
		if c.err != nil {
			failed = append(failed, c.err)
		}
	}
	if len(failed) > 0 {
		for _, c := range changes {
			c.abandon()
		}
		return nil, errors.Join(failed...)
	}
	plugins := make([]*Plugin, 0, len(items))
	for i, c := range changes {
		p := current[items[i].Program.Name]
		delete(current, items[i].Program.Name)
		switch {
		case c.fresh != nil:
			p = c.fresh
			changed = append(changed, p.name)
		case c.proc != nil:
			p.replace(items[i].Program, items[i].Configure, c.proc)
			changed = append(changed, p.name)
		case c.retry:
			p.reset(items[i].Program, items[i].Configure)
			changed = append(changed, p.name)
		}
		plugins = append(plugins, p)
	}
	s.mu.Lock()
	s.plugins = plugins
	s.mu.Unlock()
	for name, p := range current {
		changed = append(changed, name)
		s.retired.Go(p.close) // which takes as long as its calls do
	}
	return changed, nil
}

// change is what Apply will do about one plugin.
type change struct {
	fresh *Plugin  // a new plugin
	proc  *process // a new process for a plugin that stays
	retry bool     // a plugin that stays does not start yet
	err   error    // why nothing can be done
}

func (c change) abandon() {
	if c.fresh != nil {
		c.fresh.close()
	}
	if c.proc != nil {
		c.proc.stop(0)
	}
}

// prepare does everything about one plugin that can fail.
func (s *Supervisor) prepare(ctx context.Context, p *Plugin, item Item) change {
	if p == nil {
		return s.open(ctx, item)
	}
	p.mu.Lock()
	same, described, desc, settings, running := p.program.equal(item.Program), p.described, p.desc, p.settings, p.proc != nil
	p.mu.Unlock()
	if same && described {
		wanted, err := item.Configure(desc)
		if err != nil {
			return change{err: fault.Wrap(err, "configure plugin", p.name)}
		}
		if wanted.equal(settings) && running {
			return change{}
		}
	}
	proc, err := launch(ctx, item.Program, item.Configure, s.o)
	switch {
	case err == nil:
		return change{proc: proc}
	case !running && fault.KindOf(err) != fault.Invalid:
		// It did not run before either: that must not hold up the others.
		return change{retry: true}
	default:
		return change{err: fmt.Errorf("replace plugin %s: %w", p.name, err)}
	}
}

// open makes a new plugin and starts it for the first time.
func (s *Supervisor) open(ctx context.Context, item Item) change {
	p := newPlugin(s.ctx, item.Program, item.Configure, s.o)
	proc, err := p.ready(ctx)
	switch {
	case err == nil:
		proc.calls.Done()
	case fault.KindOf(err) == fault.Invalid:
		p.close()
		return change{err: err}
	default:
		p.keeper.Go(p.restart)
	}
	return change{fresh: p}
}

// Close ends every plugin and returns when no process is left.
func (s *Supervisor) Close() {
	s.applying.Lock()
	defer s.applying.Unlock()
	s.closed = true
	var group sync.WaitGroup
	for _, p := range s.Plugins() {
		group.Go(p.close)
	}
	group.Wait()
	s.retired.Wait()
	s.cancel()
}
