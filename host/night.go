package host

import (
	"context"
	"fmt"
	"os"
	"sync"
	"time"

	"github.com/postureproject/posture/adminevent"
	"github.com/postureproject/posture/batch"
	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/host/scan"
	"github.com/postureproject/posture/plugins/sdk"
)

// NightOptions say how a run over everybody is made; zero fields take what is
// configured.
type NightOptions struct {
	Limit    int           // people at once
	Timeout  time.Duration // of what is asked about one person
	Progress func(batch.Progress)
	// Deliver also hands on what waits for sinks, during the run and for a while
	// after it, where no daemon of this process does.
	Deliver bool
}

// Night makes a run over everybody: every source that can list is read in bulk,
// the others are asked about each person. What fails becomes administration
// events when the run ends. It needs a store.
func (h *Host) Night(ctx context.Context, o NightOptions, r batch.Request) (batch.Run, error) {
	if h.o.Store == nil {
		return batch.Run{}, fault.New(fault.Internal, "a run over everybody needs a store")
	}
	settings := h.Settings()
	if o.Limit <= 0 {
		o.Limit = settings.Batch.Limit
	}
	if o.Deliver {
		defer h.delivering(ctx)()
	}
	failures := h.nightFailures()
	n := night{host: h, pipeline: h.Pipeline()}
	engine := batch.New(batch.Options{
		Store: h.o.Store, Sources: n, Scanner: n, Holder: holder(),
		PersonSinks: h.sinks(device.DeliverDevice), SummarySinks: h.sinks(device.DeliverSummary),
		Limit: o.Limit, Timeout: o.Timeout, Logger: h.o.Logger, Now: h.o.Now, Progress: o.Progress, Failure: failures.add,
	})
	run, err := engine.Run(ctx, r)
	failures.close(context.WithoutCancel(ctx))
	return run, err
}

// lastDeliveries is how long a run waits for sinks when it is over; what they have
// not taken by then is kept.
const lastDeliveries = time.Minute

// delivering hands on what waits for sinks until the returned function is called,
// which waits for the rest unless the context has ended.
func (h *Host) delivering(ctx context.Context) (stop func()) {
	running, cancel := context.WithCancel(context.WithoutCancel(ctx))
	var group sync.WaitGroup
	group.Go(func() { h.deliverer.run(running) })
	return func() {
		limited, done := context.WithTimeout(ctx, lastDeliveries)
		defer done()
		if err := h.deliverer.drain(limited); err != nil && ctx.Err() == nil {
			h.o.Logger.WarnContext(ctx, "some documents still wait for their sinks", "error", err.Error())
		}
		cancel()
		group.Wait()
	}
}

// nights makes runs by the configured timetable until the context ends.
func (h *Host) nights(ctx context.Context) {
	settings := h.Settings().Batch
	if settings.Schedule == "" {
		return
	}
	timetable, err := batch.ParseTimetable(settings.Schedule, settings.TimeZone)
	if err != nil {
		h.o.Logger.ErrorContext(ctx, "no run will start by itself", "error", err.Error())
		return
	}
	schedule := batch.Schedule{
		Timetable: timetable, CatchUp: settings.RunMissed, Logger: h.o.Logger, Now: h.o.Now,
		Start: func(ctx context.Context) (batch.Run, error) {
			return h.Night(ctx, NightOptions{}, batch.Request{Scheduled: true})
		},
		Last:   h.o.Store.LastScheduledRun,
		Resume: h.resumeScheduled,
	}
	h.forgetRuns(ctx)
	_ = schedule.Run(ctx) // which fails at nothing that it does not log
}

// keepRuns is how long finished runs are kept.
const keepRuns = 400 * 24 * time.Hour

// forgetRuns deletes runs of which nobody asks any more.
func (h *Host) forgetRuns(ctx context.Context) {
	if _, err := h.o.Store.PruneBatchRuns(ctx, h.o.Now().Add(-keepRuns)); err != nil && ctx.Err() == nil {
		h.o.Logger.WarnContext(ctx, "old runs could not be deleted", "error", err.Error())
	}
}

// resumeScheduled goes on with the scheduled run that an end of the daemon has
// interrupted, if the newest one was.
func (h *Host) resumeScheduled(ctx context.Context) (run batch.Run, found bool, err error) {
	const some = 100 // of which older ones are given up
	runs, err := h.o.Store.BatchRuns(ctx, "", some)
	if err != nil {
		return run, false, err
	}
	for _, last := range runs {
		if !last.Scheduled {
			continue
		}
		if last.Finished() {
			break
		}
		run, err = h.Night(ctx, NightOptions{}, batch.Request{Resume: last.ID})
		return run, true, err
	}
	return run, false, nil
}

// holder names this process among all that use the store.
func holder() string {
	name, err := os.Hostname()
	if err != nil {
		name = "unknown"
	}
	return fmt.Sprintf("%s:%d", name, os.Getpid())
}

// night is the host as a run sees it: one pipeline from beginning to end.
type night struct {
	host     *Host
	pipeline *scan.Pipeline
}

// Sources implements [batch.Sources].
func (n night) Sources() []batch.Source {
	var sources []batch.Source
	for _, s := range n.pipeline.Sources {
		sources = append(sources, batch.Source{
			Name: s.Name, Ownership: s.Ownership, ListsDevices: s.ListsDevices, ListsUsers: s.ListsUsers,
			ByEmail: s.ByEmail, BySerial: s.BySerial, ByMAC: s.ByMAC,
		})
	}
	return sources
}

// ListDevices implements [batch.Sources].
func (n night) ListDevices(ctx context.Context, source string, receive func([]device.Device) error) error {
	p, ok := n.host.sup.Plugin(source)
	if !ok {
		return gone(source)
	}
	return p.ListDevices(ctx, receive)
}

// ListUsers implements [batch.Sources].
func (n night) ListUsers(ctx context.Context, source string, receive func([]device.User) error) error {
	p, ok := n.host.sup.Plugin(source)
	if !ok {
		return gone(source)
	}
	return p.ListUsers(ctx, receive)
}

func gone(source string) error {
	return &fault.Error{Kind: fault.Unavailable, Source: source, Message: "is not configured any more", Remedy: "the next run will do without it"}
}

// Transform implements [batch.Sources].
func (n night) Transform(ctx context.Context, devices []device.Device) ([]device.Device, []device.Outcome) {
	return n.pipeline.Transform(ctx, devices)
}

// Keys implements [batch.Sources].
func (n night) Keys(d device.Device) (serial string, macs []device.MAC) { return n.pipeline.Keys(d) }

// Collect implements [batch.Scanner].
func (n night) Collect(ctx context.Context, email string, owned []device.Device, skip func(plugin, namespace string) bool) ([]device.Collection, []device.Outcome) {
	return n.pipeline.Collect(ctx, scan.Request{Email: email, Owned: owned, Skip: skip})
}

// Assemble implements [batch.Scanner].
func (n night) Assemble(_ context.Context, email string, collections []device.Collection, outcomes []device.Outcome) device.Posture {
	return n.pipeline.Assemble(email, collections, outcomes)
}

// sinks names the plugins that take deliveries of a kind.
func (h *Host) sinks(kind string) []string {
	var names []string
	for _, p := range h.sup.Plugins() {
		d, known := p.Description()
		if !known || !d.Has(sdk.CapDeliver) {
			continue
		}
		for _, accepted := range d.Accepts {
			if accepted == kind {
				names = append(names, p.Name())
			}
		}
	}
	return names
}

// nightFailures gathers what fails in a run, so that many people for whom a source
// failed alike make one event.
type nightFailures struct {
	recorder *adminevent.Recorder

	mu  sync.Mutex
	run *adminevent.Run
}

func (h *Host) nightFailures() *nightFailures { return &nightFailures{recorder: h.recorder} }

func (f *nightFailures) add(_ context.Context, run, email string, o device.Outcome) {
	if f.recorder == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.run == nil {
		f.run = f.recorder.NewRun(run, adminevent.Context{Trigger: adminevent.TriggerNightly, Operation: "run"})
	}
	about := adminevent.User(email)
	if email == "" { // a listing
		about = adminevent.Source(o.Plugin)
	}
	f.run.Fail(about, o)
}

func (f *nightFailures) close(ctx context.Context) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.run != nil {
		f.run.Close(ctx)
	}
}
