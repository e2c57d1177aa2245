package acceptance_test

import (
	"fmt"
	"io"
	"net/http"
	"os"
	"slices"
	"sync"
	"testing"

	"github.com/postureproject/posture/internal/simulator/simhttp"
)

// TestNothingLeaks scans 200 times while vendors go in and out of order, and
// wants the daemon to be as it was before: processes, descriptors, goroutines.
func TestNothingLeaks(t *testing.T) {
	t.Parallel()
	s := newSite(t, 8)
	for _, plugin := range remoteSources() {
		s.set(plugin, "TIMEOUT", "2s")
	}
	s.write(t, nil)
	d := s.serve(t)
	scanAll := func(n int) {
		t.Helper()
		var group sync.WaitGroup
		slots := make(chan struct{}, 8)
		for i := range n {
			slots <- struct{}{}
			group.Go(func() {
				defer func() { <-slots }()
				resp, err := http.Get(d.url + "/api/v1/posture/" + s.Fleet.Person(i%s.Fleet.Len()).Email)
				if err != nil {
					t.Error(err)
					return
				}
				defer resp.Body.Close()
				if _, err := io.Copy(io.Discard, resp.Body); err != nil || resp.StatusCode != http.StatusOK {
					t.Errorf("status %d, error %v", resp.StatusCode, err)
				}
			})
		}
		group.Wait()
	}
	scanAll(24)
	processes := children(t, d.cmd.Process.Pid)
	slices.Sort(processes)
	goroutines, descriptors := d.metric(t, "go_goroutines"), descriptorsOf(t, d.cmd.Process.Pid)
	pluginDescriptors := map[int]int{}
	for _, pid := range processes {
		pluginDescriptors[pid] = descriptorsOf(t, pid)
	}

	faults := []simhttp.Fault{{Status: 500, Times: 3}, {Drop: true, Times: 3}, {Truncate: true, Times: 3}, {Body: "{", Times: 3}, {Hang: true, Times: 2}, {Endless: true, Times: 1}}
	sources := []string{"google", "jamf", "bitfit", "es_notifications"}
	for i := range 10 {
		s.Faults(sources[i%len(sources)]).Add(faults[i%len(faults)])
		scanAll(20)
		s.Faults(sources[i%len(sources)]).Clear()
	}

	// Connections and goroutines of the last requests take a moment to end.
	await(t, fmt.Sprintf("%v goroutines before", goroutines), func() bool { return d.metric(t, "go_goroutines") <= goroutines+10 })
	await(t, fmt.Sprintf("%d descriptors before", descriptors), func() bool { return descriptorsOf(t, d.cmd.Process.Pid) <= descriptors+8 })
	now := children(t, d.cmd.Process.Pid)
	slices.Sort(now)
	if !slices.Equal(processes, now) {
		t.Errorf("processes %v, before %v", now, processes)
	}
	for pid, before := range pluginDescriptors {
		if after := descriptorsOf(t, pid); after > before+25 { // as many connections as CONCURRENCY allows may stay open
			t.Errorf("process %d has %d descriptors, before %d", pid, after, before)
		}
	}
}

func descriptorsOf(t testing.TB, pid int) int {
	t.Helper()
	entries, err := os.ReadDir(fmt.Sprintf("/proc/%d/fd", pid))
	if err != nil {
		t.Fatal(err)
	}
	return len(entries)
}
