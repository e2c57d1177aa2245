package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"time"
)

// sides are the two that are compared, in the order of their columns.
func sides() [2]string { return [2]string{"bare", "posture"} }

// figures are one side's, over all rounds of one setting.
type figures struct {
	rate, cpu []float64 // users per second; milliseconds of processor time per user
	requests  counts
	users     int
}

// liveHeader is that of tables which liveSetting fills.
func liveHeader() []string {
	return []string{"latency", "at once", "users/s bare", "users/s Posture", "share", "CPU ms/user bare", "CPU ms/user Posture", "requests/user bare", "requests/user Posture"}
}

// startWorkers starts the two sides of a comparison; stop ends those that started.
func startWorkers(ctx context.Context, o options, self string, sims *simulators, kinds [2]string) (workers [2]*process, stop func(), err error) {
	stop = func() {
		for _, p := range workers {
			if p != nil {
				p.stop()
			}
		}
	}
	for i, kind := range kinds {
		if workers[i], err = start(ctx, self, "work"); err != nil {
			return workers, stop, err
		}
		if err := workers[i].send(setup{Kind: kind, World: sims.world, Posture: o.posture, Dir: o.dir, Profile: o.profile}); err != nil {
			return workers, stop, err
		}
	}
	return workers, stop, nil
}

// measureLive compares live scans of Jamf and bitFit with a bare client.
func measureLive(ctx context.Context, o options, self string, sims *simulators, r *report) error {
	workers, stop, err := startWorkers(ctx, o, self, sims, sides())
	defer stop()
	if err != nil {
		return err
	}
	rounds, seconds := 5, 2.5
	if o.quick {
		rounds, seconds = 3, 0.5
	}
	t := table{
		Title:  "Live scans: Jamf and bitFit, 50 applications a computer",
		Header: liveHeader(),
		Notes: []string{
			fmt.Sprintf("Medians of %d rounds of about %.1f s, the two sides by turns; the share is the median of each round's own.", rounds, seconds),
			"CPU is user and system time of the client, for Posture of the host and both plugins. Requests are counted by the simulators.",
			"The simulators replay rendered answers in a process of their own, on the same cores.",
		},
		Values: map[string]float64{},
	}
	var memory []done
	for _, latency := range []time.Duration{0, 20 * time.Millisecond} {
		for _, atOnce := range []int{10, 50} {
			if o.live != "" && !slices.Contains(strings.Split(o.live, ","), fmt.Sprintf("%s/%d", latency, atOnce)) {
				continue
			}
			var err error
			if memory, err = liveSetting(ctx, sims, workers, latency, atOnce, rounds, seconds, &t); err != nil {
				return err
			}
		}
	}
	r.add(t)
	r.add(liveMemory(memory))
	return nil
}

// liveSetting measures one latency and number of people at once.
func liveSetting(
	ctx context.Context, sims *simulators, workers [2]*process, latency time.Duration, atOnce, rounds int, seconds float64, t *table,
) ([]done, error) {
	if err := sims.setLatency(ctx, 0); err != nil {
		return nil, err
	}
	last := make([]done, len(workers))
	var err error
	// The first pass renders the answers and opens connections.
	for i, w := range workers {
		if last[i], err = w.scan(task{Users: len(sims.Emails), AtOnce: atOnce}); err != nil {
			return nil, fmt.Errorf("%s: %w", sides()[i], err)
		}
	}
	if err := sims.setLatency(ctx, latency); err != nil {
		return nil, err
	}
	trial, err := workers[0].scan(task{Users: len(sims.Emails), AtOnce: atOnce})
	if err != nil {
		return nil, err
	}
	passes := max(1, int(seconds/trial.Seconds+0.5))
	users := passes * len(sims.Emails)
	var (
		sums   [2]figures
		shares []float64
	)
	for range rounds {
		for i, w := range workers {
			if last[i], err = sums[i].round(ctx, sims, w, task{Users: users, AtOnce: atOnce}); err != nil {
				return nil, fmt.Errorf("%s: %w", sides()[i], err)
			}
		}
		shares = append(shares, last[0].Seconds/last[1].Seconds)
	}
	t.live(latency, atOnce, sums, median(shares))
	return last, nil
}

// round measures one side once.
func (f *figures) round(ctx context.Context, sims *simulators, w *process, t task) (done, error) {
	before, err := sims.counts(ctx)
	if err != nil {
		return done{}, err
	}
	d, err := w.scan(t)
	if err != nil {
		return d, err
	}
	after, err := sims.counts(ctx)
	if err != nil {
		return d, err
	}
	asked := after.minus(before)
	f.requests.Jamf += asked.Jamf
	f.requests.Bitfit += asked.Bitfit
	f.users += t.Users
	f.rate = append(f.rate, float64(t.Users)/d.Seconds)
	f.cpu = append(f.cpu, 1000*d.CPU/float64(t.Users))
	return d, nil
}

// scan has a worker do a task, and fails when any look-up failed.
func (p *process) scan(t task) (d done, err error) {
	if err := p.call(t, &d); err != nil {
		return d, err
	}
	if d.Error != "" {
		return d, errors.New(d.Error)
	}
	return d, nil
}

func (t *table) live(latency time.Duration, atOnce int, sums [2]figures, share float64) {
	row := []string{latency.String(), fmt.Sprint(atOnce)}
	key := fmt.Sprintf("%dms_%d_", latency.Milliseconds(), atOnce)
	columns := func(name string, digits int, value func(figures) float64) {
		for i, side := range sides() {
			v := value(sums[i])
			row = append(row, decimal(v, digits))
			t.Values[key+name+"_"+side] = v
		}
	}
	columns("users_per_second", 0, func(f figures) float64 { return median(f.rate) })
	row = append(row, percent(share))
	t.Values[key+"share"] = share
	columns("cpu_ms_per_user", 2, func(f figures) float64 { return median(f.cpu) })
	columns("requests_per_user", 3, func(f figures) float64 { return float64(f.requests.Jamf+f.requests.Bitfit) / float64(f.users) })
	t.Rows = append(t.Rows, row)
	if sums[0].requests != sums[1].requests {
		t.Notes = append(t.Notes, fmt.Sprintf("The sides did not ask the same at %s, %d at once: %+v and %+v.", latency, atOnce, sums[0].requests, sums[1].requests))
	}
}

func liveMemory(sides []done) table {
	t := table{
		Title:  "Memory after the live scans, with 50 people at once (MB)",
		Header: []string{"process", "resident", "private"},
		Notes:  []string{"Compared with the bare client after the same work. Resident counts pages of the executable for each process; private does not."},
		Values: map[string]float64{},
	}
	for i, prefix := range []string{"bare: ", "Posture: "} {
		slices.SortFunc(sides[i].Memory, func(a, b named) int { return strings.Compare(a.Name, b.Name) })
		for _, m := range sides[i].Memory {
			t.memory(prefix+m.Name, m.memory)
		}
	}
	return t
}

func (t *table) memory(name string, m memory) {
	t.Rows = append(t.Rows, []string{name, megabytes(m.Resident), megabytes(m.Private)})
	t.Values[name+" resident"], t.Values[name+" private"] = float64(m.Resident), float64(m.Private)
}
