package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"time"
)

// startPlugins are those that the start is measured with.
func startPlugins() []string { return []string{"bitfit", "duo", "google", "jamf", "landesk"} }

// daemon is a running "posture serve".
type daemon struct {
	cmd     *exec.Cmd
	address string
	took    time.Duration // from exec to ready
	read    chan struct{} // closed when its log has ended
}

// serve starts the daemon and waits until it says that it is ready.
func serve(ctx context.Context, posture, file string) (*daemon, error) {
	cmd := exec.CommandContext(ctx, posture, "serve", "--config", file)
	log, err := cmd.StderrPipe()
	if err != nil {
		return nil, err
	}
	started := time.Now()
	if err := cmd.Start(); err != nil {
		return nil, err
	}
	d := &daemon{cmd: cmd, read: make(chan struct{})}
	lines := bufio.NewScanner(log)
	var last string
	for d.address == "" && lines.Scan() {
		if last = lines.Text(); strings.Contains(last, "msg=ready") {
			d.took = time.Since(started)
			_, rest, _ := strings.Cut(last, "address=")
			d.address, _, _ = strings.Cut(rest, " ")
		}
	}
	if d.address == "" {
		return nil, fmt.Errorf("posture serve ended: %w; it said %s", cmd.Wait(), last)
	}
	go func() {
		defer close(d.read)
		_, _ = io.Copy(io.Discard, log)
	}()
	return d, nil
}

func (d *daemon) stop() error {
	err := d.cmd.Process.Signal(syscall.SIGTERM)
	<-d.read
	return errors.Join(err, d.cmd.Wait())
}

// measureStart measures from exec to ready with five plugins, and what memory
// all of it takes.
func measureStart(ctx context.Context, o options, _ string, sims *simulators, r *report) error {
	file, err := writeConfig(o.dir, "start.yaml", sims.world, nil, startPlugins()...)
	if err != nil {
		return err
	}
	runs := 10
	if o.quick {
		runs = 3
	}
	var ready, version []float64
	for range runs {
		started := time.Now()
		if err := exec.CommandContext(ctx, o.posture, "version").Run(); err != nil {
			return err
		}
		version = append(version, float64(time.Since(started).Microseconds())/1e3)
		d, err := serve(ctx, o.posture, file)
		if err != nil {
			return err
		}
		ready = append(ready, float64(d.took.Microseconds())/1e3)
		if err := d.stop(); err != nil {
			return err
		}
	}
	r.add(startTable(runs, ready, version))
	return measureMemory(ctx, o, file, sims, r)
}

func startTable(runs int, ready, version []float64) table {
	t := table{
		Title:  "Start (ms)",
		Header: []string{"", "median", "fastest", "slowest"},
		Notes: []string{
			fmt.Sprintf("%d runs by turns. The aim is 300 ms; \"posture version\" is what starting and ending the program alone takes.", runs),
		},
		Values: map[string]float64{},
	}
	for _, row := range []struct {
		name   string
		values []float64
	}{{"posture serve, from exec to ready, five plugins", ready}, {"posture version", version}} {
		t.Rows = append(t.Rows, []string{row.name, decimal(median(row.values), 0), decimal(quantile(row.values, 0), 0), decimal(quantile(row.values, 1), 0)})
		t.Values[row.name] = median(row.values)
	}
	return t
}

func measureMemory(ctx context.Context, o options, file string, sims *simulators, r *report) (err error) {
	d, err := serve(ctx, o.posture, file)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, d.stop()) }()
	procs := map[string]int{"host": d.cmd.Process.Pid}
	var plugins []struct {
		Name string `json:"name"`
		PID  int    `json:"pid"`
	}
	if err := getJSON(ctx, d.address+"/api/v1/plugins", &plugins); err != nil {
		return err
	}
	names := []string{"host"}
	for _, p := range plugins {
		procs[p.Name] = p.PID
		names = append(names, p.Name)
	}
	users := 1_000
	if o.quick {
		users = 50
	}
	idle, err := memories(procs)
	if err != nil {
		return err
	}
	if err := load(ctx, d.address, sims.Emails, users); err != nil {
		return err
	}
	loaded, err := memories(procs)
	if err != nil {
		return err
	}
	t := table{
		Title:  "Memory of posture serve (MB)",
		Header: []string{"process", "resident idle", "private idle", "resident loaded", "private loaded"},
		Notes: []string{
			fmt.Sprintf("Idle is right after the start, loaded after %d people over the HTTP API, 10 at once, all five sources.", users),
			"To compare: the bare client's memory above.",
		},
		Values: map[string]float64{},
	}
	var sum [2]memory
	row := func(name string, a, b memory) {
		t.Rows = append(t.Rows, []string{name, megabytes(a.Resident), megabytes(a.Private), megabytes(b.Resident), megabytes(b.Private)})
		t.Values[name+" idle"], t.Values[name+" loaded"] = float64(a.Private), float64(b.Private)
	}
	for _, name := range names {
		a, b := idle[name], loaded[name]
		row(name, a, b)
		sum[0], sum[1] = sum[0].plus(a), sum[1].plus(b)
	}
	row("all", sum[0], sum[1])
	r.add(t)
	return nil
}

func (m memory) plus(o memory) memory {
	return memory{Resident: m.Resident + o.Resident, Private: m.Private + o.Private}
}

func memories(procs map[string]int) (map[string]memory, error) {
	out := map[string]memory{}
	for name, pid := range procs {
		m, err := memoryOf(pid)
		if err != nil {
			return nil, fmt.Errorf("%s: %w", name, err)
		}
		out[name] = m
	}
	return out, nil
}

// load asks for people, ten at once.
func load(ctx context.Context, address string, emails []string, users int) error {
	var (
		group sync.WaitGroup
		next  atomic.Int64
		mu    sync.Mutex
		errs  []error
	)
	for range 10 {
		group.Go(func() {
			for i := next.Add(1) - 1; i < int64(users); i = next.Add(1) - 1 {
				var answer struct {
					Sources []struct {
						Plugin string  `json:"plugin"`
						Error  *string `json:"error"`
					} `json:"sources"`
				}
				err := getJSON(ctx, address+"/api/v1/posture/"+emails[int(i)%len(emails)], &answer)
				if err != nil {
					mu.Lock()
					errs = append(errs, err)
					mu.Unlock()
					return
				}
			}
		})
	}
	group.Wait()
	return errors.Join(errs...)
}

func getJSON(ctx context.Context, address string, out any) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, address, http.NoBody)
	if err != nil {
		return err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("%s answered %s: %.200s", req.URL.Path, resp.Status, body)
	}
	if err != nil {
		return err
	}
	return json.Unmarshal(body, out)
}
