package batch_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/postureproject/posture/batch"
	"github.com/postureproject/posture/store"
	"github.com/postureproject/posture/store/storetest"
)

// What the test's child processes are told by their environment.
const (
	childDSN  = "POSTURE_BATCH_TEST_DSN"
	childRun  = "POSTURE_BATCH_TEST_RUN"
	childLog  = "POSTURE_BATCH_TEST_LOG"
	childName = "POSTURE_BATCH_TEST_NAME"
)

const (
	killPeople = 300
	killLimit  = 6
	killBeat   = 15 * time.Millisecond
)

// flaky is the company that the child processes scan: of every tenth person the
// events fail at the first question that any process asks.
func flaky(marks string) *company {
	c := newCompany(killPeople)
	c.pause = time.Millisecond
	c.fail = func(source, subject string, _ int) error {
		if source == "events" && strings.HasSuffix(strings.TrimSuffix(subject, "@example.com"), "7") {
			// The mark is made first, so that a process killed here fails nobody twice.
			mark, err := os.OpenFile(filepath.Join(marks, subject), os.O_CREATE|os.O_EXCL, 0o600)
			if err == nil {
				_ = mark.Close()
				return down(source)
			}
		}
		if source == "wifi" || source == "owner" {
			time.Sleep(20 * time.Microsecond)
		}
		return nil
	}
	return c
}

// child makes or resumes a run in a process of its own and writes each scan down.
func child(dsn string) int {
	err := func() error {
		ctx := context.Background()
		log, err := os.OpenFile(os.Getenv(childLog), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
		if err != nil {
			return err
		}
		s, err := store.Open(ctx, store.Options{DSN: dsn})
		if err != nil {
			return err
		}
		c := flaky(filepath.Dir(os.Getenv(childLog)))
		c.asked = func(email string) { _, _ = fmt.Fprintln(log, email) }
		_, err = batch.New(batch.Options{
			Store: s, Sources: c, Scanner: c, PersonSinks: []string{"sink"}, SummarySinks: []string{"summary"},
			Holder: os.Getenv(childName), Beat: killBeat, ShardSize: 16, Limit: killLimit,
			Now: func() time.Time { return today() },
		}).Run(ctx, batch.Request{Resume: os.Getenv(childRun), Started: func(r batch.Run) {
			_, _ = fmt.Fprintln(os.Stdout, r.ID)
		}})
		return err
	}()
	return exitCode(err)
}

func exitCode(err error) int {
	if err != nil {
		_, _ = fmt.Fprintln(os.Stderr, err)
		return 1
	}
	return 0
}

// A run that is killed again and again ends as one that never was: everybody has
// an answer, everything was queued once, and nobody was asked about more often
// than the kills explain.
func TestEngine_Run_killed(t *testing.T) {
	t.Parallel()
	dsn, log := storetest.SQLite(t), filepath.Join(t.TempDir(), "scans")
	s := storetest.Open(t, dsn, nil)
	random := rand.New(rand.NewPCG(1, uint64(time.Now().UnixNano())))
	run, kills, finished := "", 0, false
	for attempt := 0; attempt < 80 && !finished; attempt++ {
		cmd := exec.Command(os.Args[0])
		var stderr strings.Builder
		cmd.Stderr = &stderr
		cmd.Env = append(os.Environ(), childDSN+"="+dsn, childLog+"="+log, childRun+"="+run, fmt.Sprintf("%s=child %d", childName, attempt))
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		ended := make(chan error, 1)
		go func() { ended <- cmd.Wait() }()
		patience := time.Duration(80+random.IntN(300)) * time.Millisecond
		if attempt >= 40 {
			patience = time.Minute
		}
		select {
		case err := <-ended:
			if err != nil {
				t.Fatalf("the run failed: %v: %s", err, stderr.String())
			}
			finished = true
		case <-time.After(patience):
			_ = cmd.Process.Kill()
			<-ended
			kills++
		}
		if run == "" {
			if runs, err := s.BatchRuns(t.Context(), "", 1); err != nil {
				t.Fatal(err)
			} else if len(runs) == 1 {
				run = runs[0].ID
			}
		}
	}
	if !finished {
		t.Fatalf("not finished after %d kills", kills)
	}
	t.Logf("killed %d times", kills)
	end, err := s.BatchRun(t.Context(), run)
	if err != nil {
		t.Fatal(err)
	}
	if end.People != killPeople || end.Complete != killPeople || end.Devices != killPeople*devicesEach || !end.Finished() {
		t.Errorf("run %+v", end)
	}
	if end.Resumed != (kills > 0) {
		t.Errorf("resumed is %v after %d kills", end.Resumed, kills)
	}
	if runs, err := s.BatchRuns(t.Context(), "", 10); err != nil || len(runs) != 1 {
		t.Errorf("%d runs, error %v; want one", len(runs), err)
	}
	for i := range killPeople {
		p, err := s.Posture(t.Context(), email(i))
		if err != nil {
			t.Fatal(err)
		}
		if len(p.Devices) != devicesEach || len(p.Events) != 1 {
			t.Errorf("%s has %d devices and %d events", email(i), len(p.Devices), len(p.Events))
		}
	}
	wantSent(t, s, run, killPeople, devicesEach)
	if got := deliveries(t, s, "summary"); len(got) != 3 {
		t.Errorf("summaries %v, want three", got)
	}
	wantScans(t, log, kills)
}

// wantScans fails when people were asked about more often than the kills explain:
// with each at most those in hand or not written yet are asked about again.
func wantScans(t *testing.T, log string, kills int) {
	t.Helper()
	text, err := os.ReadFile(log)
	if err != nil {
		t.Fatal(err)
	}
	scans := map[string]int{}
	total := 0
	for line := range strings.Lines(string(text)) {
		email, _, _ := strings.Cut(strings.TrimSpace(line), " ")
		scans[email]++
		total++
	}
	if len(scans) != killPeople {
		t.Errorf("%d people were scanned, want %d", len(scans), killPeople)
	}
	const secondLooks = killPeople / 10
	if most := killPeople + secondLooks + kills*(killLimit+64*2); total > most {
		t.Errorf("%d scans of %d people with %d kills, want %d at most", total, killPeople, kills, most)
	}
	t.Logf("%d scans, of which %d were repeated because of kills", total, total-killPeople-secondLooks)
}
