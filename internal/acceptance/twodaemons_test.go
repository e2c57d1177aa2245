package acceptance_test

import (
	"context"
	"fmt"
	"log/slog"
	"net/http"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/postureproject/posture/batch"
	"github.com/postureproject/posture/config"
	"github.com/postureproject/posture/host"
	"github.com/postureproject/posture/internal/pgtest"
	"github.com/postureproject/posture/internal/simulator/simhttp"
	"github.com/postureproject/posture/plugins/builtin"
	"github.com/postureproject/posture/store"
	"github.com/postureproject/posture/store/storetest"
)

// missRun writes down that a scheduled run was made two days ago, so that one was
// missed since.
func missRun(t testing.TB, kept *store.Store) {
	t.Helper()
	at := time.Now().Add(-48 * time.Hour).UTC().Truncate(time.Microsecond)
	run := batch.Run{ID: batch.NewID(at), StartedAt: at, Statistics: batch.Statistics{}, Scheduled: true}
	if err := kept.CreateBatchRun(t.Context(), run, []string{}); err != nil {
		t.Fatal(err)
	}
	run.FinishedAt, run.Phase = &at, batch.Over
	if err := kept.FinishBatchRun(t.Context(), run); err != nil {
		t.Fatal(err)
	}
}

// scheduledRuns gives the runs after the missed one, newest first.
func scheduledRuns(t testing.TB, kept *store.Store) []batch.Run {
	t.Helper()
	runs, err := kept.BatchRuns(t.Context(), "", 100)
	if err != nil {
		t.Fatal(err)
	}
	return slices.DeleteFunc(runs, func(r batch.Run) bool { return time.Since(r.StartedAt) > 24*time.Hour })
}

// farFromNow is the cron expression of a time of day that does not come during a
// test.
func farFromNow() string { return fmt.Sprintf("0 %d * * *", time.Now().UTC().Add(12*time.Hour).Hour()) }

// Two daemons on one PostgreSQL: a run that was missed is made once. The one that
// makes it is killed in the middle of asking and of delivering; the other one goes
// on with both. Meanwhile both count what fails, in one event, and scan a person
// once however many ask.
func TestTwoDaemons(t *testing.T) {
	t.Parallel()
	if !pgtest.Enabled() {
		return
	}
	const people = 60
	posts := newReceiver(t)
	s := newSite(t, people)
	s.set("jamf", "RETRIES", 0)
	s.addRunSinks(posts)
	delete(s.Plugins, "duo") // which for minutes leaves its log to a process that was killed while reading it
	dsn := pgtest.Database(t)
	kept := storetest.Open(t, dsn, nil)
	missRun(t, kept)
	s.write(t, map[string]any{
		"store": map[string]any{"dsn": dsn}, "batch": map[string]any{"limit": 2, "schedule": farFromNow(), "time_zone": "UTC", "run_missed": true},
	})
	s.Google.Faults.SetLatency(20 * time.Millisecond)
	daemons := []*daemon{s.start(t, nil, "serve"), s.start(t, nil, "serve")}
	for _, d := range daemons {
		d.url = d.log.await(t, regexp.MustCompile(`msg=ready .*address=(http://\S+)`))[1]
	}
	await(t, "the missed run gets nowhere", func() bool { return s.askedInAll() > people/4 })
	s.Google.Faults.SetLatency(15 * time.Second) // so that the run stays in its middle
	await(t, "nothing is delivered in the middle of the run", func() bool { documents, _ := s.arrived(); return documents > 5 })
	lease, err := kept.BatchLease(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	first := slices.IndexFunc(daemons, func(d *daemon) bool { return strings.Contains(lease.Holder, fmt.Sprint(":", d.cmd.Process.Pid, ":")) })
	if first < 0 {
		t.Fatalf("the run is %q's", lease.Holder)
	}
	dies, stays := daemons[first], daemons[1-first]
	dies.signal(t, syscall.SIGKILL)
	dies.wait(t)
	s.Google.Faults.SetLatency(20 * time.Millisecond)
	id, settled := s.settledPeople(t, kept)
	if len(settled) == 0 || len(settled) == people {
		t.Errorf("%d of %d people were settled when the daemon was killed", len(settled), people)
	}
	t.Run("one scan per person", func(t *testing.T) { oneScan(t, s, stays) })
	var run batch.Run
	awaitFor(t, 2*patience, "the other daemon does not finish the run", func() bool {
		run, err = kept.BatchRun(t.Context(), id)
		return err == nil && run.Finished()
	})
	if !run.Resumed || !run.Scheduled {
		t.Errorf("run %+v, want the scheduled one, resumed", run)
	}
	for email, n := range settled {
		if now := s.asked(email); now != n && email != s.ada() { // about whom somebody asked meanwhile
			t.Errorf("%s was settled after having been asked about %d times, and is asked about again", email, n)
		}
	}
	s.wantAllOnce(t, kept, run, posts)
	if runs := scheduledRuns(t, kept); len(runs) != 1 {
		t.Errorf("%d runs, want one: %+v", len(runs), runs)
	}
	dies = s.serve(t)
	t.Run("exact counts", func(t *testing.T) { countTogether(t, s, dies, stays) })
	if runs := scheduledRuns(t, kept); len(runs) != 1 {
		t.Errorf("%d runs, want one: %+v", len(runs), runs)
	}
}

// oneScan asks many times at once about one person, who is scanned once.
func oneScan(t *testing.T, s *site, d *daemon) {
	s.Jamf.Faults.SetLatency(time.Second)
	defer s.Jamf.Faults.SetLatency(0)
	before := s.asked(s.ada())
	var group sync.WaitGroup
	for range 10 {
		group.Go(func() { d.answer(t, s.ada(), "?max_age=0") })
	}
	group.Wait()
	if n := s.asked(s.ada()) - before; n < 1 || n > 2 { // a second time for who came late
		t.Errorf("one person was asked about %d times at once", n)
	}
}

// countTogether has two daemons fail many times about one person: one event counts
// them all, and both show it.
func countTogether(t *testing.T, s *site, daemons ...*daemon) {
	const each = 15
	s.Faults("jamf").Add(simhttp.Fault{Status: 401})
	defer s.Faults("jamf").Clear()
	var group sync.WaitGroup
	for _, d := range daemons {
		group.Go(func() {
			for range each {
				d.answer(t, s.ada(), "?max_age=0")
			}
		})
	}
	group.Wait()
	for i, d := range daemons {
		events := d.events(t, "?filter.source=jamf&filter.resourceType=User")
		if len(events) != 1 || events[0].NumOccurrences != each*int64(len(daemons)) {
			t.Errorf("daemon %d shows %+v, want one event of %d occurrences", i, events, each*len(daemons))
		}
	}
}

// handClock is a clock that stands still until it is let go.
type handClock struct {
	mu    sync.Mutex
	at    time.Time
	since time.Time // when it was let go; zero while it stands still
}

func (c *handClock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.since.IsZero() {
		return c.at
	}
	return c.at.Add(time.Since(c.since))
}

// set stops the clock at a time.
func (c *handClock) set(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at, c.since = at, time.Time{}
}

// run lets it go on.
func (c *handClock) run() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.since = time.Now()
}

// The daemon starts a run when its clock says so, not again when the clock is set
// back over that time, and goes on with a run that its end interrupted.
func TestDaemon_Schedule(t *testing.T) {
	t.Parallel()
	const people = 12
	s := newSite(t, people)
	s.write(t, map[string]any{"batch": map[string]any{"schedule": "0 2 * * *", "time_zone": "UTC", "limit": 2}})
	kept := storetest.Open(t, storetest.SQLite(t), nil)
	begin := time.Now().UTC()
	night := time.Date(begin.Year(), begin.Month(), begin.Day()+1, 2, 0, 0, 0, time.UTC)
	clock := &handClock{}
	runs := func() []batch.Run { return scheduledRuns(t, kept) }
	finished := func(n int) func() bool {
		return func() bool { r := runs(); return len(r) == n && r[0].Finished() }
	}

	clock.set(night.Add(-time.Second))
	stop := s.serveHere(t, kept, clock.now)
	if n := len(runs()); n != 0 {
		t.Errorf("%d runs before it was time", n)
	}
	clock.run()
	await(t, "no run starts", finished(1))
	if run := runs()[0]; !run.Scheduled || run.Resumed || run.Complete != people {
		t.Errorf("run %+v", run)
	}
	clock.set(night.Add(-time.Second)) // again
	clock.run()
	stop()

	s.Google.Faults.SetLatency(100 * time.Millisecond)
	asked := s.askedInAll()
	clock.set(night.Add(24*time.Hour - time.Second))
	stop = s.serveHere(t, kept, clock.now)
	clock.run()
	await(t, "no second run starts", func() bool { return s.askedInAll() > asked })
	stop()
	if r := runs(); len(r) != 2 || r[0].Finished() {
		t.Fatalf("runs %+v, want two of which the newer one is interrupted", r)
	}
	s.Google.Faults.SetLatency(0)
	clock.set(night.Add(25 * time.Hour))
	stop = s.serveHere(t, kept, clock.now)
	await(t, "the interrupted run does not go on", finished(2))
	stop()
	if run := runs()[0]; !run.Resumed || run.Complete != people {
		t.Errorf("run %+v, want it resumed", run)
	}
}

// serveHere runs the daemon within this process, with a clock, until the function
// it gives is called.
func (s *site) serveHere(t testing.TB, kept *store.Store, clock func() time.Time) (stop func()) {
	t.Helper()
	h, err := host.Open(t.Context(), host.Options{
		Load:   func() (*config.File, error) { return config.Load(s.configFile(), nil, builtin.Names()...) },
		Logger: slog.New(slog.DiscardHandler), Executable: postureProgram(t), Builtin: builtin.Names(), Store: kept, Now: clock,
	})
	if err != nil {
		t.Fatal(err)
	}
	listener, err := h.Listen(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- h.Serve(ctx, listener, "test", make(chan os.Signal)) }()
	return sync.OnceFunc(func() {
		cancel()
		if err := <-ended; err != nil {
			t.Errorf("serve: %v", err)
		}
		h.Close()
		http.DefaultClient.CloseIdleConnections()
	})
}
