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
	"runtime/debug"
	"runtime/pprof"
	"sync"
	"sync/atomic"
	"time"

	"go.yaml.in/yaml/v3"

	"github.com/postureproject/posture/config"
	"github.com/postureproject/posture/host"
	"github.com/postureproject/posture/host/scan"
	"github.com/postureproject/posture/plugins/builtin"
)

// task is what the driver has a worker do: scan so many people, so many at once.
type task struct {
	Users  int `json:"users"`
	AtOnce int `json:"at_once"`
}

// done is what a worker answers.
type done struct {
	Seconds float64 `json:"seconds"`
	CPU     float64 `json:"cpu"` // in seconds, of all processes that took part
	Memory  []named `json:"memory"`
	Error   string  `json:"error,omitempty"` // the first one
}

// named is a process that took part.
type named struct {
	Name string
	memory
}

// worker is one side of the comparison, in a process of its own.
type worker struct {
	scan func(ctx context.Context, email string) error
	// run, when set, scans several people in its own way.
	run   func(ctx context.Context, emails []string, atOnce int) error
	procs func() map[string]int // processes beside this one, by name
	close func()
}

// setup is what a worker is told first.
type setup struct {
	Kind    string `json:"kind"` // bare, posture or batch
	World   world  `json:"world"`
	Posture string `json:"posture"` // the executable
	Dir     string `json:"dir"`
	Profile string `json:"profile"` // folder for profiles; none when empty
}

// work is a worker's process: it reads its setup and then tasks until its input
// ends.
func work(ctx context.Context, in io.Reader, out io.Writer) error {
	requests, answers := json.NewDecoder(in), json.NewEncoder(out)
	var s setup
	if err := requests.Decode(&s); err != nil {
		return err
	}
	w, err := newWorker(ctx, s)
	if err != nil {
		return err
	}
	defer w.close()
	if s.Profile != "" {
		stop, err := profile(filepath.Join(s.Profile, s.Kind+".pprof"))
		if err != nil {
			return err
		}
		defer stop()
	}
	for {
		var t task
		switch err := requests.Decode(&t); {
		case errors.Is(err, io.EOF):
			return nil
		case err != nil:
			return err
		}
		d, err := w.do(ctx, t, s.World.Emails)
		if err != nil {
			return err
		}
		if err := answers.Encode(d); err != nil {
			return err
		}
	}
}

func newWorker(ctx context.Context, s setup) (*worker, error) {
	if s.Kind == "bare" {
		b, err := newBare(ctx, s.World)
		if err != nil {
			return nil, err
		}
		return &worker{scan: b.scan, procs: func() map[string]int { return nil }, close: func() {}}, nil
	}
	file, err := writeConfig(s.Dir, s.Kind+".yaml", s.World, map[string]any{"CONCURRENCY": pluginConcurrency}, "jamf", "bitfit")
	if err != nil {
		return nil, err
	}
	executable := s.Posture
	if s.Profile != "" {
		if executable, err = profiled(s.Dir, s.Profile); err != nil {
			return nil, err
		}
	}
	debug.SetGCPercent(gcPercent)
	h, err := host.Open(ctx, host.Options{
		Load:   func() (*config.File, error) { return config.Load(file, nil, builtin.Names()...) },
		Logger: slog.New(slog.DiscardHandler), Executable: executable, Builtin: builtin.Names(),
	})
	if err != nil {
		return nil, err
	}
	w := &worker{
		scan: func(ctx context.Context, email string) error {
			for _, o := range h.Pipeline().Scan(ctx, scan.Request{Email: email}).Sources {
				if o.Err() != nil {
					return o.Err()
				}
			}
			return nil
		},
		procs: func() map[string]int {
			procs := map[string]int{}
			for _, status := range h.Status() {
				procs["plugin "+status.Name] = status.PID
			}
			return procs
		},
		close: h.Close,
	}
	if s.Kind == "batch" {
		return w, w.runBatches(ctx, h, filepath.Join(s.Dir, "batch.db"))
	}
	return w, nil
}

// gcPercent is what posture serve sets for itself.
const gcPercent = 300

// pluginConcurrency is above what the most people at once can ask of one plugin,
// as the bare client has no limit either.
const pluginConcurrency = 256

// writeConfig writes a configuration with the named plugins, each with the extra
// keys.
func writeConfig(dir, name string, w world, extra map[string]any, plugins ...string) (string, error) {
	blocks := map[string]any{}
	for _, plugin := range plugins {
		block := map[string]any{}
		for _, keys := range []map[string]any{w.Plugins[plugin], extra} {
			for k, v := range keys {
				block[k] = v
			}
		}
		blocks[plugin] = block
	}
	text, err := yaml.Marshal(map[string]any{
		"listen": "127.0.0.1:0", "state_dir": filepath.Join(dir, name+".state"), "plugins": blocks,
	})
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, name)
	return path, os.WriteFile(path, text, 0o600)
}

// do scans people, beginning with the first each time, and measures.
func (w *worker) do(ctx context.Context, t task, emails []string) (d done, err error) {
	before, err := w.cpu()
	if err != nil {
		return d, err
	}
	started := time.Now()
	scan := w.scanAll
	if w.run != nil {
		scan = w.runAll
	}
	if err := scan(ctx, t, emails); err != nil {
		d.Error = err.Error()
	}
	d.Seconds = time.Since(started).Seconds()
	after, err := w.cpu()
	if err != nil {
		return d, err
	}
	d.CPU = (after - before).Seconds()
	d.Memory, err = w.memory()
	return d, err
}

func (w *worker) scanAll(ctx context.Context, t task, emails []string) error {
	var (
		group sync.WaitGroup
		next  atomic.Int64
		once  sync.Once
		first error
	)
	for range t.AtOnce {
		group.Go(func() {
			for i := next.Add(1) - 1; i < int64(t.Users); i = next.Add(1) - 1 {
				email := emails[int(i)%len(emails)]
				if err := w.scan(ctx, email); err != nil {
					once.Do(func() { first = fmt.Errorf("%s: %w", email, err) })
				}
			}
		})
	}
	group.Wait()
	return first
}

func (w *worker) cpu() (time.Duration, error) {
	sum, err := ownCPU()
	for _, pid := range w.procs() {
		used, procErr := cpuOf(pid)
		sum, err = sum+used, errors.Join(err, procErr)
	}
	return sum, err
}

func (w *worker) memory() ([]named, error) {
	own, err := memoryOf(os.Getpid())
	all := []named{{"the client itself", own}}
	for name, pid := range w.procs() {
		m, procErr := memoryOf(pid)
		err = errors.Join(err, procErr)
		all = append(all, named{name, m})
	}
	return all, err
}

// profile takes a processor profile until the returned function is called.
func profile(path string) (stop func(), err error) {
	f, err := os.Create(path)
	if err != nil {
		return nil, err
	}
	if err := pprof.StartCPUProfile(f); err != nil {
		return nil, errors.Join(err, f.Close())
	}
	return func() {
		pprof.StopCPUProfile()
		_ = f.Close()
	}, nil
}

// profiled writes a program that serves plugins as Posture's own executable does,
// and takes a profile of each.
func profiled(dir, profiles string) (string, error) {
	self, err := os.Executable()
	if err != nil {
		return "", err
	}
	path := filepath.Join(dir, "profiled.sh")
	script := fmt.Sprintf("#!/bin/sh\nexec %q profiled %q \"$@\"\n", self, profiles)
	return path, os.WriteFile(path, []byte(script), 0o700)
}
