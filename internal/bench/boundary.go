package main

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"path/filepath"
	"time"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/host/supervise"
	"github.com/postureproject/posture/plugins/sdk"
)

// listed is how many devices the synthetic plugin's listing has.
const listed = 10_000

// source is a plugin that has its answers at hand, so that what a call takes is
// the border's.
type source struct {
	small, large []device.Device
	laptop       device.Device
}

type nothing struct{}

func synthetic() sdk.Definition[nothing, *source] {
	return sdk.Definition[nothing, *source]{
		Name: "synthetic", Version: "1.0.0", Summary: "Answers from memory",
		New: func(context.Context, nothing, sdk.Env) (*source, error) { return newSource(), nil },
	}
}

func newSource() *source {
	laptop := records(1)[0]
	laptop.Source = ""
	s := &source{small: []device.Device{{Name: "phone", Identifiers: device.Identifiers{Serial: "F17000001"}}}, laptop: laptop}
	s.laptop.Software = &device.Software{LastScan: laptop.LastSync}
	for i := range 50 {
		s.laptop.Software.Installed = append(s.laptop.Software.Installed, device.Application{
			Name: fmt.Sprintf("Application with a name of usual length %02d", i), Version: fmt.Sprintf("%d.4.2 (build 20261101.%d)", i, i),
			Publisher: "A publisher of software, with a longer name and its legal form, Inc., of some city", InstallDate: laptop.LastSync,
		})
	}
	s.large = []device.Device{s.laptop}
	return s
}

// DevicesByEmail implements [sdk.DevicesByEmail].
func (s *source) DevicesByEmail(_ context.Context, email string) ([]device.Device, error) {
	if email == "small" {
		return s.small, nil
	}
	return s.large, nil
}

// ListDevices implements [sdk.DeviceLister].
func (s *source) ListDevices(ctx context.Context, send func(device.Device) error) error {
	for range listed {
		if err := send(s.laptop); err != nil {
			return err
		}
	}
	return ctx.Err()
}

// measureBoundary compares calls of a plugin in its own process with calls of the
// same code in this one.
func measureBoundary(ctx context.Context, o options, self string, _ *simulators, r *report) error {
	sup := supervise.New(supervise.Options{Logger: slog.New(slog.DiscardHandler), StateDir: filepath.Join(o.dir, "boundary")})
	defer sup.Close()
	_, err := sup.Apply(ctx, []supervise.Item{{
		Program: supervise.Program{Name: "synthetic", Path: self, Args: []string{"plugin"}},
		Configure: func(sdk.Description) (supervise.Settings, error) {
			return supervise.Settings{Config: []byte("{}"), Timeout: time.Minute, Concurrency: 10}, nil
		},
	}})
	if err != nil {
		return err
	}
	far, _ := sup.Plugin("synthetic")
	near := newSource()
	size, err := json.Marshal(near.laptop)
	if err != nil {
		return err
	}
	t := table{
		Title:  "The border between host and plugin (µs)",
		Header: []string{"call", "p50 plugin process", "p99 plugin process", "p50 in process"},
		Notes: []string{
			fmt.Sprintf("One call at a time, through supervision, mutual TLS and gRPC; the large device is %d bytes as JSON.", len(size)),
		},
		Values: map[string]float64{},
	}
	calls := 4_000
	if o.quick {
		calls = 500
	}
	for _, answer := range []struct{ name, email string }{{"look-up, small answer", "small"}, {"look-up, device with 50 applications", "large"}} {
		border, err := timed(ctx, calls, answer.email, far.DevicesByEmail)
		if err != nil {
			return err
		}
		direct, err := timed(ctx, calls, answer.email, near.DevicesByEmail)
		if err != nil {
			return err
		}
		t.call(answer.name, border, direct)
	}
	if err := t.listing(ctx, far, near); err != nil {
		return err
	}
	r.add(t)
	return nil
}

func (t *table) call(name string, border, direct []float64) {
	p50, p99, near := median(border), quantile(border, 0.99), median(direct)
	t.Rows = append(t.Rows, []string{name, decimal(p50, 1), decimal(p99, 1), decimal(near, 2)})
	t.Values[name+" p50"], t.Values[name+" p99"], t.Values[name+" in process"] = p50, p99, near
}

// timed gives the time of every call, in microseconds.
func timed(ctx context.Context, calls int, email string, lookUp func(context.Context, string) ([]device.Device, error)) ([]float64, error) {
	times := make([]float64, 0, calls)
	for i := range calls + calls/10 {
		started := time.Now()
		devices, err := lookUp(ctx, email)
		took := float64(time.Since(started).Nanoseconds()) / 1e3
		if err != nil || len(devices) != 1 {
			return nil, fmt.Errorf("%d devices, %w", len(devices), err)
		}
		if i >= calls/10 { // the first warm up
			times = append(times, took)
		}
	}
	return times, nil
}

func (t *table) listing(ctx context.Context, far *supervise.Plugin, near *source) error {
	var border, direct []float64
	for range 5 {
		n, started := 0, time.Now()
		err := far.ListDevices(ctx, func(devices []device.Device) error {
			n += len(devices)
			return nil
		})
		if err != nil || n != listed {
			return fmt.Errorf("listed %d devices, %w", n, err)
		}
		border = append(border, float64(time.Since(started).Nanoseconds())/1e3/listed)
		n, started = 0, time.Now()
		if err := near.ListDevices(ctx, func(device.Device) error { n++; return nil }); err != nil || n != listed {
			return fmt.Errorf("listed %d devices, %w", n, err)
		}
		direct = append(direct, float64(time.Since(started).Nanoseconds())/1e3/listed)
	}
	t.call(fmt.Sprintf("listing of %d such devices, per device", listed), border, direct)
	return nil
}
