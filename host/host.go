// Package host puts Posture together: it reads the configuration, runs the
// plugins, builds the pipeline from both, and reloads all of it while it runs.
// It composes and decides nothing: the rules are in the packages it joins.
package host

import (
	"context"
	"log/slog"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/postureproject/posture/adminevent"
	"github.com/postureproject/posture/batch"
	"github.com/postureproject/posture/config"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/host/recall"
	"github.com/postureproject/posture/host/scan"
	"github.com/postureproject/posture/host/supervise"
	"github.com/postureproject/posture/plugins/sdk"
	"github.com/postureproject/posture/store"
)

// Options say what to run. Load, Logger and Executable are required.
type Options struct {
	// Load reads the configuration; it is called again for each reload.
	Load func() (*config.File, error)
	// Logger takes everything that the host and its plugins have to say.
	Logger *slog.Logger
	// Executable serves the built-in plugins when called as "plugin serve NAME".
	Executable string
	// Builtin names the built-in plugins.
	Builtin []string
	// Describe tells what a built-in plugin is, also before it has started; nil
	// leaves that to the plugins.
	Describe func(name string) (sdk.Description, bool)
	// Only limits the plugins to these; empty means all that are configured.
	Only []string
	// Now is the clock that ages are measured by; time.Now when nil.
	Now func() time.Time
	// Timeout, when set, bounds every call on a source, in place of what the
	// configuration says. Sinks keep theirs.
	Timeout time.Duration
	// Limits bound what plugins may cost; zero fields take defaults.
	Limits supervise.Limits
	// Store keeps answers and what plugins keep; nil keeps none. It stays its
	// owner's to close, after the host.
	Store *store.Store
	// StoreDown says of a host without a store that it should have one, which
	// cannot be opened.
	StoreDown bool
	// Carrier brings parts of runs to workers on other machines; nil keeps them in
	// this process. It stays its owner's to close, after the host.
	Carrier batch.Carrier
}

// Host is a running Posture without its web server; see [Host.Serve].
type Host struct {
	o       Options
	sup     *supervise.Supervisor
	metrics *metrics
	active  atomic.Pointer[generation]
	answers *recall.Recall

	store     *storeWatch
	recorder  *adminevent.Recorder // nil without a store
	deliverer *deliverer           // nil without a store

	reload sync.Mutex // one at a time
}

// generation is everything that one configuration decides.
type generation struct {
	file     *config.File
	settings config.Settings
	pipeline *scan.Pipeline
	loadedAt time.Time
}

// Open reads the configuration, starts the plugins and builds the pipeline. An
// error of kind Invalid means that the configuration is at fault: then it is, or
// wraps, [config.Problems]. A plugin that does not start is no error; it shows
// among the outcomes of every scan.
func Open(ctx context.Context, o Options) (*Host, error) {
	if o.Now == nil {
		o.Now = time.Now
	}
	file, err := o.Load()
	if err != nil {
		return nil, err
	}
	h := &Host{o: o, metrics: newMetrics()}
	supervised := supervise.Options{Logger: o.Logger, StateDir: file.Settings().StateDir, Observer: h.metrics, Limits: o.Limits}
	if o.Store != nil {
		supervised.Journal = o.Store.Journal
	}
	h.sup = supervise.New(supervised)
	h.metrics.watch(h.sup)
	h.store = newStoreWatch(h)
	if _, err := h.apply(ctx, file); err != nil {
		h.sup.Close()
		return nil, err
	}
	if o.Store != nil || o.StoreDown {
		h.metrics.registry.MustRegister(h.store.collectors()...)
	}
	if o.Store != nil {
		h.recorder = h.newRecorder()
		h.deliverer = newDeliverer(h)
		h.metrics.registry.MustRegister(newOutboxCollector(h.outboxStatus, o.Now))
		o.Store.LimitOutbox(file.Settings().OutboxBytes)
	}
	h.answers = h.newAnswers(context.WithoutCancel(ctx))
	return h, nil
}

func (h *Host) newAnswers(ctx context.Context) *recall.Recall {
	o := recall.Options{Pipeline: h.Pipeline, AtOnce: h.Settings().MaxConcurrentScans, Scanned: h.scanned, Logger: h.o.Logger, Now: h.o.Now}
	if h.o.Store != nil { // a nil one within the interface would not be nil
		o.Keeper = h.o.Store
	}
	return recall.New(ctx, o)
}

// Answers gives answers about people, kept or new.
func (h *Host) Answers() *recall.Recall { return h.answers }

// Runs gives the record of runs over everybody; nil without a store.
func (h *Host) Runs() batch.Viewer {
	if h.o.Store == nil { // a nil one within the interface would not be nil
		return nil
	}
	return h.o.Store
}

// MaxAge is how old a kept answer may be unless a request says otherwise.
func (h *Host) MaxAge() time.Duration { return h.Settings().MaxAge }

// Reload reads the configuration again and makes it so: only plugins whose
// configuration changed are started anew. When anything is wrong, everything
// stays as it was and the error says why. Where to listen, where state is kept,
// how to log and how much to do at once take effect at the next start.
func (h *Host) Reload(ctx context.Context) error {
	h.reload.Lock()
	defer h.reload.Unlock()
	changed, err := h.tryReload(ctx)
	h.metrics.reloaded(err)
	if err != nil {
		h.o.Logger.ErrorContext(ctx, "reload failed; the old configuration stays in force", "error", err.Error())
		return err
	}
	h.o.Logger.InfoContext(ctx, "configuration reloaded", "changed_plugins", changed)
	if h.deliverer != nil {
		h.deliverer.renew()
	}
	return nil
}

func (h *Host) tryReload(ctx context.Context) (changed []string, err error) {
	before := h.active.Load().settings
	file, err := h.o.Load()
	if err != nil {
		return nil, err
	}
	if changed, err = h.apply(ctx, file); err != nil {
		return nil, err
	}
	if keys := startOnly(before, file.Settings()); len(keys) > 0 {
		h.o.Logger.WarnContext(ctx, "some changes take effect at the next start", "keys", strings.Join(keys, ", "))
	}
	return changed, nil
}

// startOnly names the changed keys that a running host does not take up.
func startOnly(before, after config.Settings) []string {
	var keys []string
	add := func(changed bool, key string) {
		if changed {
			keys = append(keys, key)
		}
	}
	add(before.Listen != after.Listen, "listen")
	add(before.StateDir != after.StateDir, "state_dir")
	add(before.StoreDSN != after.StoreDSN, "store.dsn")
	add(before.OutboxBytes != after.OutboxBytes, "outbox.max_megabytes")
	add(before.AdministrationEvents != after.AdministrationEvents, "administration_events")
	add(before.Batch.Schedule != after.Batch.Schedule || before.Batch.TimeZone != after.Batch.TimeZone, "batch.schedule")
	add(before.ScanTimeout < after.ScanTimeout, "scan_timeout") // the limit of a request is above the old one only
	add(before.MaxConcurrentScans != after.MaxConcurrentScans, "max_concurrent_scans")
	add(before.LogLevel != after.LogLevel, "log_level")
	add(before.LogFormat != after.LogFormat, "log_format")
	return keys
}

// apply makes a configuration the one in force. All that can fail comes first.
func (h *Host) apply(ctx context.Context, file *config.File) (changed []string, err error) {
	b := builder{o: h.o, file: file, settings: file.Settings()}
	stages, err := b.localStages()
	if err != nil {
		return nil, err
	}
	policy, err := b.policy()
	if err != nil {
		return nil, err
	}
	if err := b.timetable(); err != nil {
		return nil, err
	}
	items, err := b.items()
	if err != nil {
		return nil, err
	}
	if changed, err = h.sup.Apply(ctx, items); err != nil {
		return nil, b.explain(err)
	}
	for _, w := range file.Warnings() {
		h.o.Logger.WarnContext(ctx, "configuration", "warning", w.String())
	}
	h.active.Store(&generation{
		file: file, settings: b.settings, loadedAt: h.o.Now(),
		pipeline: b.pipeline(h.sup, stages, policy),
	})
	return changed, nil
}

// Settings gives the top level of the configuration in force.
func (h *Host) Settings() config.Settings { return h.active.Load().settings }

// Pipeline gives the pipeline in force. A plugin that starts late joins it, so
// ask anew for every scan.
func (h *Host) Pipeline() *scan.Pipeline {
	g := h.active.Load()
	if !slices.ContainsFunc(g.pipeline.Sources, func(s scan.Source) bool { return s.Down != nil }) {
		return g.pipeline
	}
	refreshed := *g.pipeline
	refreshed.Sources = h.o.sources(h.sup, g.settings)
	return &refreshed
}

// Status tells how every plugin is.
func (h *Host) Status() []supervise.Status {
	plugins := h.sup.Plugins()
	out := make([]supervise.Status, len(plugins))
	for i, p := range plugins {
		if out[i] = p.Status(); out[i].Path == h.o.Executable {
			out[i].Path = "built-in"
		}
	}
	return out
}

// Close calls off scans, ends all plugins and returns when no process is left.
func (h *Host) Close() {
	h.answers.Close()
	h.sup.Close()
	h.closeRecorder()
}

// Ready tells whether the host can answer: nil, or why not. One plugin that
// answers is enough; without any there is nothing to answer with.
func (h *Host) Ready() error {
	statuses := h.Status()
	for _, s := range statuses {
		if s.State == "ready" {
			return nil
		}
	}
	if len(statuses) == 0 {
		return fault.New(fault.Unavailable, "no plugin is configured")
	}
	// Anybody may ask this, so it tells states and no causes.
	states := make([]string, len(statuses))
	for i, s := range statuses {
		states[i] = s.Name + " is " + s.State
	}
	return fault.New(fault.Unavailable, "no plugin is ready: %s", strings.Join(states, ", "))
}

// Warnings gives what is allowed and unwise in the configuration in force.
func (h *Host) Warnings() []config.Problem { return h.active.Load().file.Warnings() }

// ConfigName names the configuration file in force.
func (h *Host) ConfigName() string { return h.active.Load().file.Name() }
