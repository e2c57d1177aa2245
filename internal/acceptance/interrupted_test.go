package acceptance_test

import (
	"encoding/json"
	"errors"
	"math/rand/v2"
	"net/url"
	"os/exec"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/postureproject/posture/batch"
	"github.com/postureproject/posture/internal/pgtest"
	"github.com/postureproject/posture/outbox"
	"github.com/postureproject/posture/store"
	"github.com/postureproject/posture/store/storetest"
)

const devicesPrefix = "devices-"

// addRunSinks configures a sink that takes every person's devices, at the
// simulated search server, and one that takes summaries.
func (s *site) addRunSinks(posts *receiver) {
	s.Plugins["batch_es"] = map[string]any{
		"ELASTICSEARCH_HOSTS": s.Plugins["es_notifications"]["ELASTICSEARCH_HOSTS"], "ELASTICSEARCH_INDEX_PREFIX": devicesPrefix, "RETRIES": 0,
	}
	s.Plugins["batch_restful_summary"] = map[string]any{"URL": posts.url + "summary", "RETRIES": 0}
}

// arrived counts the different documents about devices that the search server has,
// and how often it was sent any.
func (s *site) arrived() (documents, times int) {
	for _, index := range s.Elastic.Indices() {
		if strings.HasPrefix(index, devicesPrefix) {
			documents += len(s.Elastic.Documents(index))
		}
	}
	for _, n := range s.Elastic.Bulks() {
		times += n
	}
	return documents, times
}

// asked counts how often a run asked about a person: each time once for log-ins.
func (s *site) asked(email string) int {
	return s.Google.Faults.RequestsTo("/admin/reports/v1/activity/users/" + url.PathEscape(email) + "/applications/login")
}

// askedInAll counts how often a run asked about anybody.
func (s *site) askedInAll() int {
	return s.Google.Faults.RequestsMatching(regexp.MustCompile("/applications/login$"))
}

// progress counts all that a run does with the world.
func (s *site) progress(posts *receiver) int {
	_, sent := s.arrived()
	n := sent + len(posts.taken())
	for _, vendor := range []string{"google", "jamf", "bitfit", "duo", "es_notifications"} {
		n += s.Faults(vendor).Requests()
	}
	return n
}

// process is a running command.
type process struct {
	cmd    *exec.Cmd
	out    *watchedLog // standard output
	log    *watchedLog // standard error
	ended  chan struct{}
	status int // once it has ended
}

// launch starts the program with a command on the site's configuration.
func (s *site) launch(t testing.TB, args ...string) *process {
	t.Helper()
	p := &process{
		cmd: exec.Command(postureProgram(t), append(args, "--config", s.configFile())...),
		out: newWatchedLog(), log: newWatchedLog(), ended: make(chan struct{}),
	}
	p.cmd.Dir, p.cmd.Stdout, p.cmd.Stderr = s.dir, p.out, p.log
	if err := p.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(p.ended)
		_ = p.cmd.Wait()
		p.status = p.cmd.ProcessState.ExitCode()
		p.out.end()
		p.log.end()
	}()
	t.Cleanup(p.kill)
	return p
}

// kill ends it with SIGKILL.
func (p *process) kill() {
	_ = p.cmd.Process.Kill()
	<-p.ended
}

// killWhen ends it with SIGKILL as soon as something has come about, and tells
// whether it did so before it ended by itself.
func (p *process) killWhen(t testing.TB, cond func() bool) bool {
	t.Helper()
	for deadline := time.Now().Add(4 * patience); !cond(); time.Sleep(time.Millisecond) {
		select {
		case <-p.ended:
			return false
		default:
		}
		if time.Now().After(deadline) {
			t.Fatalf("nothing happens:\n%s", p.log)
		}
	}
	p.kill()
	return p.status != 0
}

// wait waits for its end and gives the run that it printed.
func (p *process) wait(t testing.TB) batch.Run {
	t.Helper()
	select {
	case <-p.ended:
	case <-time.After(4 * patience):
		t.Fatalf("the run does not end:\n%s", p.log)
	}
	var run batch.Run
	if err := json.Unmarshal([]byte(p.out.String()), &run); err != nil || p.status != 0 {
		t.Fatalf("the run ended with %d: %v\n%s%s", p.status, err, p.out, p.log)
	}
	return run
}

// passTime frees what a killed process held, as if the time had passed after which
// it counts as gone.
func passTime(t testing.TB, kept *store.Store) {
	t.Helper()
	held, err := kept.BatchLease(t.Context())
	if err == nil && held.Holder != "" {
		err = errors.Join(kept.FreeShards(t.Context(), held.Run, held.Holder), kept.LeaveBatchLease(t.Context(), held.Holder))
	}
	if err != nil {
		t.Fatal(err)
	}
	passOutboxTime(t, kept, "batch_es", "batch_restful_summary")
}

// passOutboxTime does so for deliveries to sinks.
func passOutboxTime(t testing.TB, kept *store.Store, sinks ...string) {
	t.Helper()
	for _, sink := range sinks {
		seen, err := kept.OutboxLease(t.Context(), sink)
		if err == nil && seen.Holder != "" {
			_, err = kept.TakeOutboxLease(t.Context(), sink, seen, outbox.Lease{Beat: seen.Beat + 1})
		}
		if err != nil {
			t.Fatal(err)
		}
	}
}

// settledPeople gives how often everybody was asked about with whom the newest run
// is through.
func (s *site) settledPeople(t testing.TB, kept *store.Store) (run string, asked map[string]int) {
	t.Helper()
	asked = map[string]int{}
	runs, err := kept.BatchRuns(t.Context(), "", 5)
	if err != nil {
		t.Fatal(err)
	}
	if len(runs) == 0 {
		return "", asked
	}
	people, err := kept.People(t.Context(), runs[0].ID, "", 10_000)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range people {
		if p.State.Settled() {
			asked[p.Email] = s.asked(p.Email)
		}
	}
	return runs[0].ID, asked
}

// wantAllOnce fails unless everybody is stored, and all their devices and the
// summary are at the sinks, as one thing each.
func (s *site) wantAllOnce(t testing.TB, kept *store.Store, run batch.Run, posts *receiver) {
	t.Helper()
	people := s.Fleet.Len()
	if run.People != people || run.Complete != people || !run.Finished() {
		t.Errorf("run %+v, want %d people, all complete", run, people)
	}
	devices := 0
	for i := range people {
		p, err := kept.Posture(t.Context(), s.Fleet.Person(i).Email)
		if err != nil {
			t.Fatal(err)
		}
		devices += len(p.Devices)
	}
	if devices != run.Devices {
		t.Errorf("the run counts %d devices, %d are stored", run.Devices, devices)
	}
	await(t, "the sinks do not get all of it", func() bool {
		documents, _ := s.arrived()
		return documents >= devices && len(posts.keys()) >= (people+99)/100
	})
	if documents, times := s.arrived(); documents != devices {
		t.Errorf("%d documents about %d devices arrived, in %d tries", documents, devices, times)
	}
	summed := 0
	for _, body := range posts.keys() {
		summed += strings.Count(body, `"report_date"`)
	}
	if n := len(posts.keys()); n != (people+99)/100 || summed == 0 || summed > devices {
		t.Errorf("%d summaries of %d devices", n, summed)
	}
}

// The program is killed at random moments of a run on PostgreSQL, plugins and all,
// and goes on each time: nobody whom it was through with is asked about again,
// nobody is forgotten, and the sinks have everything once.
func TestBatch_KilledOnPostgreSQL(t *testing.T) {
	t.Parallel()
	if !pgtest.Enabled() {
		return
	}
	const people, kills = 150, 12
	posts := newReceiver(t)
	s := newSite(t, people)
	s.addRunSinks(posts)
	delete(s.Plugins, "duo") // which for minutes leaves its log to a process that was killed while reading it
	dsn := pgtest.Database(t)
	s.write(t, map[string]any{"store": map[string]any{"dsn": dsn}, "batch": map[string]any{"limit": 4}})
	kept := storetest.Open(t, dsn, nil)
	id, settled, killed := "", map[string]int{}, 0
	for killed < kills {
		args := []string{"batch", "--json"}
		if id != "" {
			args = append(args, "--resume", id)
		}
		p := s.launch(t, args...)
		before, enough := s.progress(posts), 1+rand.IntN(2*people/kills*4)
		if !p.killWhen(t, func() bool { return s.progress(posts) >= before+enough }) {
			break // it was faster
		}
		killed++
		for email, n := range settled {
			if now := s.asked(email); now != n {
				t.Errorf("%s was settled after having been asked about %d times, and is asked about again", email, n)
			}
		}
		id, settled = s.settledPeople(t, kept)
		if killed < kills { // the last time it is waited for
			passTime(t, kept)
		}
	}
	t.Logf("killed %d times; then %d of %d people were settled", killed, len(settled), people)
	run := s.launch(t, "batch", "--json", "--resume", id).wait(t)
	if run.ID != id || !run.Resumed {
		t.Errorf("run %+v, want %s to have been resumed", run, id)
	}
	for email, n := range settled {
		if now := s.asked(email); now != n {
			t.Errorf("%s was settled after having been asked about %d times, and is asked about again", email, n)
		}
	}
	s.wantAllOnce(t, kept, run, posts)
	if runs, err := kept.BatchRuns(t.Context(), "", 5); err != nil || len(runs) != 1 {
		t.Errorf("%d runs, %v; want one", len(runs), err)
	}
	documents, times := s.arrived()
	t.Logf("asked %d times about %d people; sent %d documents %d times", s.askedInAll(), people, documents, times)
}

// PostgreSQL is stopped in an orderly way, and later killed, in the middle of a
// run, and started again each time: the run goes on, and nothing is done twice.
func TestBatch_PostgreSQLRestarted(t *testing.T) {
	t.Parallel()
	if !pgtest.Enabled() {
		return
	}
	const people = 120
	posts := newReceiver(t)
	s := newSite(t, people)
	s.addRunSinks(posts)
	server := pgtest.New(t, pgtest.Options{Durable: true})
	dsn := server.Database(t)
	s.write(t, map[string]any{"store": map[string]any{"dsn": dsn}, "batch": map[string]any{"limit": 3}})
	s.Google.Faults.SetLatency(10 * time.Millisecond)
	p := s.launch(t, "batch", "--json", "--verbose")
	for i, end := range []func(testing.TB){server.Stop, server.Kill} {
		await(t, "the run does not get on", func() bool { return s.askedInAll() >= people*(1+3*i)/8 })
		end(t)
		// Not before it has noticed.
		p.log.await(t, regexp.MustCompile(`(?s)(the store cannot be used for now.*){`+[]string{"1", "2"}[i]+`}`))
		server.Start(t)
	}
	run := p.wait(t)
	if run.Resumed {
		t.Error("the run counts as interrupted")
	}
	for i := range people {
		if email := s.Fleet.Person(i).Email; s.asked(email) != 1 {
			t.Errorf("%s was asked about %d times", email, s.asked(email))
		}
	}
	s.wantAllOnce(t, storetest.Open(t, dsn, nil), run, posts)
}
