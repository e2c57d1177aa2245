// Command bench measures Posture beside a bare client that makes the same calls,
// on this machine and without a network. It starts itself anew for each part in
// the play: once for the vendors' simulators, once for the bare client, once for
// Posture's host, which in turn starts the real plugins. Nothing of Posture
// imports it.
package main

import (
	"context"
	"errors"
	"flag"
	"fmt"
	"os"
	"os/signal"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"syscall"
	"time"

	"github.com/postureproject/posture/plugins/builtin"
	"github.com/postureproject/posture/plugins/sdk"
)

func main() {
	ctx, stop := signal.NotifyContext(context.Background(), os.Interrupt, syscall.SIGTERM)
	err := run(ctx, os.Args[1:])
	stop()
	if err != nil {
		fmt.Fprintln(os.Stderr, "bench:", err)
		os.Exit(1)
	}
}

// run plays the part that the arguments name; without any it is the driver.
func run(ctx context.Context, args []string) error {
	part, rest := "", args
	if len(args) > 0 {
		part, rest = args[0], args[1:]
	}
	switch {
	case part == "simulate" && len(rest) == 2:
		people, err := strconv.Atoi(rest[0])
		if err != nil {
			return err
		}
		return simulate(ctx, people, rest[1], os.Stdout)
	case part == "company" && len(rest) == 2:
		people, err := strconv.Atoi(rest[0])
		if err != nil {
			return err
		}
		return simulateCompany(ctx, people, rest[1], os.Stdout)
	case part == "bulk":
		return bulkRun(ctx, os.Stdin, os.Stdout)
	case part == "limits":
		return bulkLimits(ctx, os.Stdin, os.Stdout)
	case part == "work":
		return work(ctx, os.Stdin, os.Stdout)
	case part == "plugin": // as Posture's host starts it
		sdk.Serve(synthetic())
		return nil
	case part == "profiled" && len(rest) == 4: // FOLDER plugin serve NAME
		return serveProfiled(rest[0], rest[3])
	}
	return drive(ctx, args)
}

func serveProfiled(folder, name string) error {
	p, ok := builtin.Plugin(name)
	if !ok {
		return fmt.Errorf("there is no built-in plugin %q", name)
	}
	stop, err := profile(filepath.Join(folder, name+".pprof"))
	if err != nil {
		return err
	}
	defer stop()
	sdk.Serve(p)
	return nil
}

// options are the driver's flags.
type options struct {
	posture string // the executable that is measured
	quick   bool
	json    bool
	profile string
	dir     string // for whatever must be written
	only    string
	devices int // of the only company to run over; the usual sizes when 0
	latency time.Duration
	live    string // settings of the live scans; all when empty
}

func drive(ctx context.Context, args []string) (err error) {
	var o options
	flags := flag.NewFlagSet("bench", flag.ContinueOnError)
	flags.StringVar(&o.posture, "posture", "bin/posture", "measure this `FILE`")
	flags.BoolVar(&o.quick, "quick", os.Getenv("BENCH_QUICK") != "", "only see that everything runs: under a minute, inexact (also BENCH_QUICK=1)")
	flags.BoolVar(&o.json, "json", false, "print JSON")
	flags.StringVar(&o.profile, "profile", "", "write processor profiles of the processes of live scans and runs into this `FOLDER`")
	flags.StringVar(&o.only, "only", "", "run these `PARTS` alone, with commas between: "+strings.Join(partNames(), ", "))
	flags.IntVar(&o.devices, "devices", 0, "run over a company of `N` devices alone")
	flags.DurationVar(&o.latency, "latency", 0, "with --devices, the `TIME` that every answer of a vendor takes")
	flags.StringVar(&o.live, "live", "", "scan live at these `SETTINGS` alone, latency and people at once, such as 0s/10,20ms/50")
	if err := flags.Parse(args); err != nil {
		if errors.Is(err, flag.ErrHelp) {
			return nil
		}
		return err
	}
	if o.posture, err = filepath.Abs(o.posture); err != nil {
		return err
	}
	if _, err := os.Stat(o.posture); err != nil {
		return fmt.Errorf("%w; make build makes it", err)
	}
	if o.dir, err = os.MkdirTemp("", "posture-bench-"); err != nil {
		return err
	}
	defer func() { err = errors.Join(err, os.RemoveAll(o.dir)) }()
	return measure(ctx, o)
}

// part is one part of the measurement.
type part struct {
	name string
	run  func(context.Context, options, string, *simulators, *report) error
}

func allParts() []part {
	return []part{
		{"live", measureLive},
		{"boundary", measureBoundary},
		{"merge", measureMerge},
		{"start", measureStart},
		{"batch", measureBatch},
		{"bulk", measureBulk},
		{"reads", measureReads},
		{"events", measureEvents},
	}
}

func partNames() []string {
	var names []string
	for _, p := range allParts() {
		names = append(names, p.name)
	}
	return names
}

// wanted gives the parts to run.
func (o options) wanted() ([]part, error) {
	if o.only == "" {
		return allParts(), nil
	}
	var chosen []part
	for name := range strings.SplitSeq(o.only, ",") {
		at := slices.Index(partNames(), name)
		if at < 0 {
			return nil, fmt.Errorf("there is no part %q; there are %s", name, strings.Join(partNames(), ", "))
		}
		chosen = append(chosen, allParts()[at])
	}
	return chosen, nil
}

// measure runs the parts one after the other, so that none disturbs another.
func measure(ctx context.Context, o options) error {
	chosen, err := o.wanted()
	if err != nil {
		return err
	}
	self, err := os.Executable()
	if err != nil {
		return err
	}
	people := 300
	if o.quick {
		people = 60
	}
	sims, err := startSimulators(ctx, self, people, o.dir)
	if err != nil {
		return err
	}
	defer sims.process.stop()
	r := newReport(o)
	for _, p := range chosen {
		if err := p.run(ctx, o, self, sims, r); err != nil {
			return fmt.Errorf("%s: %w", p.name, err)
		}
		if err := r.flush(os.Stdout); err != nil {
			return err
		}
	}
	return r.end(os.Stdout)
}
