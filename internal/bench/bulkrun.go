package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"runtime"
	"runtime/debug"
	"strings"
	"sync"
	"time"

	"github.com/postureproject/posture/batch"
	"github.com/postureproject/posture/config"
	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/host"
	"github.com/postureproject/posture/plugins/builtin"
	"github.com/postureproject/posture/store"
)

// bulkSetup is what the processes of a bulk run are told.
type bulkSetup struct {
	setup
	Database string `json:"database"` // path of an SQLite file
	Devices  int    `json:"devices"`
}

// bulkDone is how a run went.
type bulkDone struct {
	People   int     `json:"people"`
	Devices  int     `json:"devices"`
	Complete int     `json:"complete"`
	Seconds  float64 `json:"seconds"` // until the last document was taken
	Reading  float64 `json:"reading"` // of which the lists took
	CPU      float64 `json:"cpu"`     // of host and plugins
	// Peaks are the largest resident sizes of the host and of all plugins together,
	// Before those before the run, in bytes.
	Host, HostBefore       int64
	Plugins, PluginsBefore int64
	Each                   map[string]int64 // of each plugin by itself
	// State is what the run keeps in memory after reading the lists, in bytes: the
	// live heap then, less that before.
	State    int64  `json:"state"`
	Database int64  `json:"database"` // size of the file in bytes
	Failure  string `json:"failure"`  // of the first person who is not complete
}

// bulkRun is the process of Posture's host for one run over a whole company. It
// reads its setup, runs, and answers.
func bulkRun(ctx context.Context, in io.Reader, out io.Writer) (err error) {
	var s bulkSetup
	if err := json.NewDecoder(in).Decode(&s); err != nil {
		return err
	}
	h, kept, err := openBulk(ctx, s)
	if err != nil {
		return err
	}
	defer func() {
		h.Close()
		err = errors.Join(err, kept.Close())
	}()
	if s.Profile != "" {
		stop, err := profile(filepath.Join(s.Profile, fmt.Sprintf("bulk-%d.pprof", s.Devices)))
		if err != nil {
			return err
		}
		defer stop()
	}
	d, err := measureRun(ctx, h, kept)
	if err != nil {
		return err
	}
	return json.NewEncoder(out).Encode(d)
}

func openBulk(ctx context.Context, s bulkSetup) (*host.Host, *store.Store, error) {
	var plugins []string
	for name := range s.World.Plugins {
		plugins = append(plugins, name)
	}
	file, err := writeConfig(s.Dir, fmt.Sprintf("bulk-%d.yaml", s.Devices), s.World, nil, plugins...)
	if err != nil {
		return nil, nil, err
	}
	executable := s.Posture
	if s.Profile != "" {
		if executable, err = profiled(s.Dir, s.Profile); err != nil {
			return nil, nil, err
		}
	}
	debug.SetGCPercent(gcPercent)
	logger := slog.New(slog.DiscardHandler)
	kept, err := store.Open(ctx, store.Options{DSN: "sqlite:" + s.Database, Logger: logger})
	if err != nil {
		return nil, nil, err
	}
	h, err := host.Open(ctx, host.Options{
		Load:   func() (*config.File, error) { return config.Load(file, nil, builtin.Names()...) },
		Logger: logger, Executable: executable, Builtin: builtin.Names(), Store: kept,
	})
	if err != nil {
		return nil, nil, errors.Join(err, kept.Close())
	}
	return h, kept, nil
}

// measureRun makes a run and watches it.
func measureRun(ctx context.Context, h *host.Host, kept *store.Store) (d bulkDone, err error) {
	procs := map[string]int{}
	for _, status := range h.Status() {
		procs[status.Name] = status.PID
	}
	w := watchMemory(procs)
	d.HostBefore, d.PluginsBefore = w.host, w.plugins
	cpu, err := cpuOfAll(procs)
	if err != nil {
		return d, err
	}
	heap := liveHeap()
	watching, stop := context.WithCancel(ctx)
	var watcher sync.WaitGroup
	watcher.Go(func() { w.run(watching) })
	began := time.Now()
	run, err := h.Night(ctx, host.NightOptions{Deliver: true, Progress: func(p batch.Progress) {
		if p.Phase == batch.Scanning && d.Reading == 0 {
			d.Reading = time.Since(began).Seconds()
			d.State = liveHeap() - heap
		}
	}}, batch.Request{})
	d.Seconds = time.Since(began).Seconds()
	stop()
	watcher.Wait()
	if err != nil {
		return d, err
	}
	after, cpuErr := cpuOfAll(procs)
	status, err := kept.Status(ctx)
	if err := errors.Join(err, cpuErr); err != nil {
		return d, err
	}
	d.People, d.Devices, d.Complete, d.CPU, d.Database = run.People, run.Devices, run.Complete, (after - cpu).Seconds(), status.Bytes
	d.Host, d.Plugins, d.Each = w.host, w.plugins, w.each
	if run.Complete != run.People {
		d.Failure = firstFailure(ctx, kept, run.ID)
	}
	return d, nil
}

// firstFailure tells why the first person who is not complete is not.
func firstFailure(ctx context.Context, kept *store.Store, run string) string {
	for after := ""; ; {
		people, err := kept.People(ctx, run, after, 1000)
		if err != nil || len(people) == 0 {
			return fmt.Sprint(err)
		}
		for _, p := range people {
			if after = p.Email; p.State == batch.Done {
				continue
			}
			posture, err := kept.Posture(ctx, p.Email)
			if err != nil {
				return err.Error()
			}
			return p.Email + ": " + failureIn(posture.Sources)
		}
	}
}

func failureIn(outcomes []device.Outcome) string {
	for _, o := range outcomes {
		if !o.OK && o.Error != nil {
			return *o.Error
		}
	}
	return "of unknown cause"
}

// liveHeap is what is in use in this process.
func liveHeap() int64 {
	for range 2 { // pools let go at the second
		runtime.GC()
	}
	var m runtime.MemStats
	runtime.ReadMemStats(&m)
	return int64(m.HeapAlloc)
}

func cpuOfAll(procs map[string]int) (time.Duration, error) {
	sum, err := ownCPU()
	for _, pid := range procs {
		used, procErr := cpuOf(pid)
		sum, err = sum+used, errors.Join(err, procErr)
	}
	return sum, err
}

// memoryWatch notes the largest resident sizes of this process and its plugins.
type memoryWatch struct {
	procs         map[string]int
	host, plugins int64
	each          map[string]int64
}

func watchMemory(procs map[string]int) *memoryWatch {
	w := &memoryWatch{procs: procs, each: map[string]int64{}}
	w.look()
	return w
}

// watchEvery is often enough for peaks that count, and seldom enough not to.
const watchEvery = 100 * time.Millisecond

func (w *memoryWatch) run(ctx context.Context) {
	tick := time.NewTicker(watchEvery)
	defer tick.Stop()
	for {
		w.look()
		select {
		case <-ctx.Done():
			return
		case <-tick.C:
		}
	}
}

func (w *memoryWatch) look() {
	w.host = max(w.host, residentOf(os.Getpid()))
	var sum int64
	for name, pid := range w.procs {
		resident := residentOf(pid)
		w.each[name] = max(w.each[name], resident)
		sum += resident
	}
	w.plugins = max(w.plugins, sum)
}

// residentOf is the resident size of a process, 0 when it is gone.
func residentOf(pid int) int64 {
	text, err := os.ReadFile(procFile(pid, "statm"))
	if err != nil {
		return 0
	}
	var size, resident int64
	if _, err := fmt.Fscan(strings.NewReader(string(text)), &size, &resident); err != nil {
		return 0
	}
	return resident * int64(os.Getpagesize())
}
