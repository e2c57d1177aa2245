package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"time"

	"github.com/postureproject/posture/batch"
	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/host"
	"github.com/postureproject/posture/host/scan"
	"github.com/postureproject/posture/store"
)

// measureBatch compares runs in which everybody is asked about, as if no source
// could list anything, with the bare client of the live scans.
func measureBatch(ctx context.Context, o options, self string, sims *simulators, r *report) error {
	workers, stop, err := startWorkers(ctx, o, self, sims, [2]string{"bare", "batch"})
	defer stop()
	if err != nil {
		return err
	}
	rounds, seconds := 3, 2.0
	if o.quick {
		rounds, seconds = 2, 0.5
	}
	t := table{
		Title:  "Runs without lists: Jamf and bitFit asked about everybody, answers kept in SQLite",
		Header: liveHeader(),
		Notes: []string{
			fmt.Sprintf("Medians of %d rounds of about %.1f s, the two sides by turns. The bare client is that of the live scans, and keeps nothing.", rounds, seconds),
			fmt.Sprintf("A run is over %d people; there are several in a round.", len(sims.Emails)),
		},
		Values: map[string]float64{},
	}
	for _, latency := range []time.Duration{0, 20 * time.Millisecond} {
		if _, err := liveSetting(ctx, sims, workers, latency, peopleInHand, rounds, seconds, &t); err != nil {
			return err
		}
	}
	r.add(t)
	return sims.setLatency(ctx, 0)
}

// runBatches has a worker scan in runs that keep their answers.
func (w *worker) runBatches(ctx context.Context, h *host.Host, path string) error {
	kept, err := store.Open(ctx, store.Options{DSN: "sqlite:" + path})
	if err != nil {
		return err
	}
	closeHost := w.close
	w.close = func() {
		closeHost()
		_ = kept.Close()
	}
	w.run = func(ctx context.Context, emails []string, atOnce int) error {
		sources := listless{h.Pipeline()}
		run, err := batch.New(batch.Options{
			Store: kept, Sources: sources, Scanner: sources, Holder: fmt.Sprint(os.Getpid()), Limit: atOnce,
		}).Run(ctx, batch.Request{People: emails})
		if err == nil && run.Complete != len(emails) {
			err = fmt.Errorf("%d of %d people are complete", run.Complete, len(emails))
		}
		return err
	}
	return nil
}

// runAll does a task in as many runs over everybody as it needs.
func (w *worker) runAll(ctx context.Context, t task, emails []string) error {
	for left := t.Users; left > 0; left -= len(emails) {
		if err := w.run(ctx, emails[:min(left, len(emails))], t.AtOnce); err != nil {
			return err
		}
	}
	return nil
}

// listless is a pipeline whose sources list nothing.
type listless struct{ pipeline *scan.Pipeline }

// Sources implements [batch.Sources].
func (l listless) Sources() []batch.Source {
	var sources []batch.Source
	for _, s := range l.pipeline.Sources {
		sources = append(sources, batch.Source{Name: s.Name, Ownership: s.Ownership, ByEmail: s.ByEmail, BySerial: s.BySerial, ByMAC: s.ByMAC})
	}
	return sources
}

var errNoLists = errors.New("there are no lists")

// ListDevices implements [batch.Sources].
func (listless) ListDevices(context.Context, string, func([]device.Device) error) error {
	return errNoLists
}

// ListUsers implements [batch.Sources].
func (listless) ListUsers(context.Context, string, func([]device.User) error) error {
	return errNoLists
}

// Transform implements [batch.Sources].
func (l listless) Transform(ctx context.Context, devices []device.Device) ([]device.Device, []device.Outcome) {
	return l.pipeline.Transform(ctx, devices)
}

// Keys implements [batch.Sources].
func (l listless) Keys(d device.Device) (serial string, macs []device.MAC) { return l.pipeline.Keys(d) }

// Collect implements [batch.Scanner].
func (l listless) Collect(
	ctx context.Context, email string, owned []device.Device, skip func(plugin, namespace string) bool,
) ([]device.Collection, []device.Outcome) {
	return l.pipeline.Collect(ctx, scan.Request{Email: email, Owned: owned, Skip: skip})
}

// Assemble implements [batch.Scanner].
func (l listless) Assemble(_ context.Context, email string, collections []device.Collection, outcomes []device.Outcome) device.Posture {
	return l.pipeline.Assemble(email, collections, outcomes)
}
