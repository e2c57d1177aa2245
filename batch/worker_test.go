package batch_test

import (
	"bytes"
	"context"
	"fmt"
	"os"
	"os/exec"
	"os/signal"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/postureproject/posture/batch"
	"github.com/postureproject/posture/batch/riverqueue"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/internal/pgtest"
	"github.com/postureproject/posture/store"
	"github.com/postureproject/posture/store/storetest"
)

const childRole = "POSTURE_BATCH_TEST_ROLE" // of a process that works together with others

// together makes an engine that shares its runs with other processes.
func together(c *company, s *store.Store, q *riverqueue.Queue, name string) *batch.Engine {
	return batch.New(batch.Options{
		Store: s, Sources: c, Scanner: c, PersonSinks: []string{"sink"}, SummarySinks: []string{"summary"},
		Holder: name, Beat: 200 * time.Millisecond, Silence: 2 * time.Second, ShardSize: 8, Limit: killLimit, Carrier: q,
		Now: func() time.Time { return today() },
	})
}

// fellow is a process that leads a run, or works on those that others lead.
func fellow(dsn, role string) (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGTERM)
	defer stop()
	log, err := os.OpenFile(os.Getenv(childLog), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return err
	}
	s, err := store.Open(ctx, store.Options{DSN: dsn})
	if err != nil {
		return err
	}
	defer func() { _ = s.Close() }()
	q, err := riverqueue.New(dsn, nil)
	if err != nil {
		return err
	}
	defer q.Close()
	c := flaky(filepath.Dir(os.Getenv(childLog)))
	c.pause = 10 * time.Millisecond
	name := os.Getenv(childName)
	c.asked = func(email string) { _, _ = fmt.Fprintln(log, email, name) }
	e := together(c, s, q, name)
	if role == "worker" {
		return e.Work(ctx)
	}
	_, err = e.Run(ctx, batch.Request{Resume: os.Getenv(childRun)})
	return err
}

// fleet is the processes of a test that share one database.
type fleet struct {
	*testing.T
	dsn, log string
	store    *store.Store
}

type process struct {
	*exec.Cmd
	name   string
	stderr *bytes.Buffer
	ended  chan error
}

func newFleet(t *testing.T) *fleet {
	t.Helper()
	dsn := pgtest.Database(t)
	return &fleet{T: t, dsn: dsn, log: filepath.Join(t.TempDir(), "scans"), store: storetest.Open(t, dsn, nil)}
}

func (f *fleet) start(role, name, run string) *process {
	f.Helper()
	p := &process{Cmd: exec.Command(os.Args[0]), name: name, stderr: &bytes.Buffer{}, ended: make(chan error, 1)}
	p.Stderr = p.stderr
	p.Env = append(os.Environ(), childDSN+"="+f.dsn, childRole+"="+role, childLog+"="+f.log, childName+"="+name, childRun+"="+run)
	if err := p.Start(); err != nil {
		f.Fatal(err)
	}
	go func() { p.ended <- p.Wait() }()
	f.Cleanup(func() { _ = p.Process.Kill() })
	return p
}

// scans counts the scans that each process made.
func (f *fleet) scans() map[string]int {
	f.Helper()
	text, err := os.ReadFile(f.log)
	if err != nil && !os.IsNotExist(err) {
		f.Fatal(err)
	}
	by := map[string]int{}
	for line := range strings.Lines(string(text)) {
		_, name, _ := strings.Cut(strings.TrimSpace(line), " ")
		by[name]++
	}
	return by
}

func (f *fleet) until(what string, done func() bool) {
	f.Helper()
	for deadline := time.Now().Add(time.Minute); !done(); time.Sleep(5 * time.Millisecond) {
		if time.Now().After(deadline) {
			f.Fatalf("waited in vain for %s", what)
		}
	}
}

func (f *fleet) kill(p *process) {
	f.Helper()
	_ = p.Process.Kill()
	<-p.ended
}

func (f *fleet) finished(p *process) {
	f.Helper()
	select {
	case err := <-p.ended:
		if err != nil {
			f.Fatalf("%s: %v: %s", p.name, err, p.stderr)
		}
	case <-time.After(2 * time.Minute):
		f.Fatalf("%s does not end: %s", p.name, p.stderr)
	}
}

// complete fails unless everybody has an answer, and everything was queued once.
func (f *fleet) complete(kills int) {
	f.Helper()
	runs, err := f.store.BatchRuns(f.Context(), "", 5)
	if err != nil || len(runs) != 1 {
		f.Fatalf("runs %+v, error %v; want one", runs, err)
	}
	end := runs[0]
	if !end.Finished() || end.People != killPeople || end.Complete != killPeople || end.Devices != killPeople*devicesEach {
		f.Errorf("run %+v", end)
	}
	wantSent(f.T, f.store, end.ID, killPeople, devicesEach)
	if got := deliveries(f.T, f.store, "summary"); len(got) != 3 {
		f.Errorf("summaries %v, want three", got)
	}
	for i := range killPeople {
		p, err := f.store.Posture(f.Context(), email(i))
		if err != nil || len(p.Devices) != devicesEach || len(p.Events) != 1 {
			f.Errorf("%s has %d devices and %d events, error %v", email(i), len(p.Devices), len(p.Events), err)
		}
	}
	wantScans(f.T, f.log, kills)
	f.Logf("scans %v", f.scans())
}

// Three workers on one database server, one of which is killed in the middle:
// the result is complete, and nobody is settled twice.
func TestEngine_Work_killed(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	workers := []*process{f.start("worker", "one", ""), f.start("worker", "two", ""), f.start("worker", "three", "")}
	leader := f.start("leader", "leader", "")
	f.until("work of all three", func() bool {
		by := f.scans()
		return by["one"] > 10 && by["two"] > 5 && by["three"] > 5
	})
	f.kill(workers[0])
	before := f.scans()["one"]
	f.finished(leader)
	f.complete(1)
	if by := f.scans(); by["one"] != before || by["two"] < 20 || by["three"] < 20 {
		t.Errorf("scans %v; want the two that were left to go on", by)
	}
	for _, w := range workers[1:] {
		_ = w.Process.Signal(syscall.SIGTERM)
		f.finished(w)
	}
}

// The process that leads a run is killed: what was offered is worked on, and
// another one leads the run to its end.
func TestEngine_Work_leader_killed(t *testing.T) {
	t.Parallel()
	f := newFleet(t)
	worker := f.start("worker", "one", "")
	first := f.start("leader", "first", "")
	f.until("work of both", func() bool { by := f.scans(); return by["one"] > 10 && by["first"] > 10 })
	f.kill(first)
	done := f.scans()["one"]
	f.until("work without a leader", func() bool { return f.scans()["one"] > done+20 })
	runs, err := f.store.BatchRuns(t.Context(), "", 1)
	if err != nil || len(runs) != 1 {
		t.Fatalf("runs %v, error %v", runs, err)
	}
	f.finished(f.start("leader", "second", runs[0].ID))
	f.complete(1)
	_ = worker.Process.Signal(syscall.SIGTERM)
	f.finished(worker)
}

// A worker with other sources leaves a run alone.
func TestEngine_Work_other_plan(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Database(t)
	s := storetest.Open(t, dsn, nil)
	ours, others := newCompany(40), newCompany(40)
	others.users = false
	queue := func() *riverqueue.Queue {
		q, err := riverqueue.New(dsn, nil)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(q.Close)
		return q
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- together(others, s, queue(), "other").Work(ctx) }()
	run, err := together(ours, s, queue(), "leader").Run(t.Context(), batch.Request{})
	stop()
	if workErr := <-ended; err != nil || workErr != nil || run.Complete != 40 {
		t.Errorf("run %+v, errors %v and %v", run, err, workErr)
	}
	if len(others.scans) > 0 {
		t.Errorf("the worker with another plan scanned %d people", len(others.scans))
	}
}

func TestEngine_Work_alone(t *testing.T) {
	t.Parallel()
	b := setup(t, 1)
	if err := batch.New(b.options).Work(t.Context()); fault.KindOf(err) != fault.Invalid || fault.RemedyOf(err) == "" {
		t.Errorf("work on SQLite: %v", err)
	}
}
