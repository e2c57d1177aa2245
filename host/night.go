package host

import (
	"context"
	"crypto/rand"
	"encoding/json"
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
	"github.com/postureproject/posture/practices"
)

// NightOptions say how a run over everybody is made; zero fields take what is
// configured.
type NightOptions struct {
	Limit    int // people at once
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
	if o.Deliver {
		defer h.delivering(ctx)()
	}
	failures := h.nightFailures()
	engine := h.nightEngine(o, failures)
	run, err := engine.Run(ctx, r)
	failures.close(context.WithoutCancel(ctx))
	if err == nil {
		h.forget(ctx)
	}
	return run, err
}

// nightEngine makes what makes runs, by the configuration as it is now.
func (h *Host) nightEngine(o NightOptions, failures *nightFailures) *batch.Engine {
	active := h.active.Load()
	if o.Limit <= 0 {
		o.Limit = active.settings.Batch.Limit
	}
	n := night{host: h, pipeline: h.Pipeline()}
	return batch.New(batch.Options{
		Store: h.o.Store, Sources: n, Scanner: n, Holder: holder(), Carrier: h.o.Carrier, Setup: setupOf(active),
		PersonSinks: h.sinks(device.DeliverDevice), SummarySinks: h.sinks(device.DeliverSummary),
		Limit: o.Limit, Logger: h.o.Logger, Now: h.o.Now, Progress: o.Progress, Failure: failures.add,
	})
}

// setupOf stands for the settings, beside the sources, on which answers depend.
func setupOf(g *generation) string {
	policy, err := g.file.Practices(practices.Schema())
	if err != nil {
		return err.Error() // it was read before, when the policy was made
	}
	s := g.settings
	text, err := json.Marshal([]any{policy, s.DeviceTransforms, s.EventTransforms, s.PlaceholderIdentifiers, s.StaleAfter, s.RetiredStatuses, s.Debug})
	if err != nil {
		return err.Error() // they are lists of words and numbers
	}
	return string(text)
}

// failuresApart is after how long without failures those of a worker are told of.
const failuresApart = time.Minute

// Work takes part in runs that other processes lead, until the context ends.
func (h *Host) Work(ctx context.Context, o NightOptions) error {
	if h.o.Store == nil {
		return fault.New(fault.Internal, "working on runs needs a store")
	}
	failures := h.nightFailures()
	var group sync.WaitGroup
	group.Go(func() { failures.tellApart(ctx, failuresApart) })
	err := h.nightEngine(o, failures).Work(ctx)
	group.Wait()
	return err
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
		Start: func(ctx context.Context, due time.Time) (batch.Run, error) {
			return h.Night(ctx, NightOptions{}, batch.Request{Scheduled: true, Due: due})
		},
		Last:   h.o.Store.LastScheduledRun,
		Resume: h.resumeScheduled,
	}
	_ = schedule.Run(ctx) // which fails at nothing that it does not log
}

const (
	// keepRuns is how long finished runs are kept.
	keepRuns = 400 * 24 * time.Hour
	// keepInterrupted is how long a run that was interrupted can be gone on with.
	// All that was read for it is kept for as long.
	keepInterrupted = 14 * 24 * time.Hour
)

// forgetRuns deletes runs of which nobody asks any more.
func (h *Host) forgetRuns(ctx context.Context) {
	now := h.o.Now()
	if _, err := h.o.Store.PruneBatchRuns(ctx, now.Add(-keepRuns), now.Add(-keepInterrupted)); err != nil && ctx.Err() == nil {
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

// holder names this process among all that use the store. Where processes run in
// containers, several may have the same host name and number.
func holder() string {
	name, err := os.Hostname()
	if err != nil {
		name = "unknown"
	}
	var random [2]byte
	_, _ = rand.Read(random[:]) // crypto/rand.Read never fails
	return fmt.Sprintf("%s:%d:%x", name, os.Getpid(), random)
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

// sinks names the plugins that take deliveries of a kind, also those that have not
// started yet: what is for them waits in the outbox.
func (h *Host) sinks(kind string) []string {
	var names []string
	for _, p := range h.sup.Plugins() {
		d, known := h.o.described(p)
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

	mu    sync.Mutex
	run   *adminevent.Run
	id    string // of the run that it is about
	fresh bool   // something was added lately
}

// tellApart closes what was gathered whenever nothing has failed for a while, and
// at the end.
func (f *nightFailures) tellApart(ctx context.Context, apart time.Duration) {
	tick := time.NewTicker(apart)
	defer tick.Stop()
	for ctx.Err() == nil {
		select {
		case <-ctx.Done():
		case <-tick.C:
		}
		f.mu.Lock()
		fresh := f.fresh
		f.fresh = false
		f.mu.Unlock()
		if !fresh || ctx.Err() != nil {
			f.close(context.WithoutCancel(ctx))
		}
	}
}

func (h *Host) nightFailures() *nightFailures { return &nightFailures{recorder: h.recorder} }

func (f *nightFailures) add(ctx context.Context, run, email string, o device.Outcome) {
	if f.recorder == nil {
		return
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.run != nil && f.id != run {
		f.run.Close(ctx)
		f.run = nil
	}
	f.id, f.fresh = run, true
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
