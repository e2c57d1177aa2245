package acceptance_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/postureproject/posture/batch"
	"github.com/postureproject/posture/internal/pgtest"
	"github.com/postureproject/posture/internal/simulator/simhttp"
	"github.com/postureproject/posture/store/storetest"
)

// Three workers and a leader make a run on one database server; one worker is
// killed with people in hand. The result is that of a run on one machine.
func TestWorker_killed(t *testing.T) {
	t.Parallel()
	const people = 1200
	s, posts := newSite(t, people), newReceiver(t)
	s.Plugins["batch_restful_summary"] = map[string]any{"URL": posts.url + "summary"}
	// Whoever is killed while reading Duo's log for the first time keeps it for a
	// while, in which everybody else is partial: that is not this test's matter.
	delete(s.Plugins, "duo")
	s.Faults("google").Add(simhttp.Fault{Latency: 20 * time.Millisecond}) // so that there is a middle
	dsn := pgtest.Database(t)
	s.write(t, map[string]any{"store": map[string]any{"dsn": dsn}, "log_level": "debug"})
	var workers []*daemon
	for range 3 {
		workers = append(workers, s.start(t, nil, "worker", "--limit", "4"))
	}
	for _, w := range workers {
		w.log.await(t, regexp.MustCompile(`msg="ready to work"`))
	}
	leader := s.start(t, nil, "batch", "--json", "--limit", "2")
	settled := regexp.MustCompile(`msg="shard settled"`)
	for _, w := range workers {
		w.log.await(t, settled)
	}
	workers[0].signal(t, syscall.SIGKILL)
	workers[0].wait(t)
	if status := leader.wait(t); status != 0 {
		t.Fatalf("the run ended with %d:\n%s", status, leader.log)
	}
	text := leader.log.String()
	var run batch.Run
	if err := json.Unmarshal([]byte(text[strings.Index(text, "{"):]), &run); err != nil {
		t.Fatalf("%v: %s", err, text)
	}
	if run.People != people || run.Complete != people || run.FinishedAt == nil {
		t.Errorf("run %+v", run)
	}
	devices := 0
	kept := storetest.Open(t, dsn, nil)
	for i := range people {
		devices += len(storedPosture(t, kept, s.Fleet.Person(i).Email).Devices)
	}
	if devices != run.Devices {
		t.Errorf("people have %d devices, the run counts %d", devices, run.Devices)
	}
	if got := len(posts.taken()); got != people/100 {
		t.Errorf("%d summaries were posted, want %d", got, people/100)
	}
	for _, w := range workers[1:] {
		w.signal(t, syscall.SIGTERM)
		if status := w.wait(t); status != 0 {
			t.Errorf("a worker ended with %d:\n%s", status, w.log)
		}
	}
}

// A worker has nothing to do on a file, and says what to do instead.
func TestWorker_sqlite(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	s.write(t, nil)
	_, errs, status := posture(t, s.dir, "worker", "--config", s.configFile())
	if status != 1 || !strings.Contains(errs, "store.dsn") || !strings.Contains(errs, "postgres://") {
		t.Errorf("status %d: %s", status, errs)
	}
}
