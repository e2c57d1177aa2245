package acceptance_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"net/http"
	"os/exec"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/postureproject/posture/adminevent"
	"github.com/postureproject/posture/internal/pgtest"
	"github.com/postureproject/posture/internal/simulator/simhttp"
	"github.com/postureproject/posture/store"
	"github.com/postureproject/posture/store/storetest"
)

// The program is killed at random moments while it makes its database; whatever it
// leaves, the next one goes on with, and the daemon starts on it.
func TestKilledWhileMigrating(t *testing.T) {
	t.Parallel()
	databases := map[string]func(testing.TB) string{"sqlite": storetest.SQLite}
	if pgtest.Enabled() {
		databases["postgres"] = pgtest.Database
	}
	for name, database := range databases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, 1)
			early := 0
			for attempt := 0; early < 4; attempt++ {
				if attempt == 40 {
					t.Fatalf("only %d of %d programs were killed before they were through", early, attempt)
				}
				dsn := database(t)
				s.write(t, map[string]any{"store": map[string]any{"dsn": dsn}}, "file")
				cmd := exec.Command(postureProgram(t), "db", "migrate", "--config", s.configFile())
				if err := cmd.Start(); err != nil {
					t.Fatal(err)
				}
				time.Sleep(20*time.Millisecond + rand.N(100*time.Millisecond)) // a random moment
				_ = cmd.Process.Kill()
				if err := cmd.Wait(); err != nil {
					early++
				}
				out, errs, code := posture(t, s.dir, "db", "migrate", "--json", "--config", s.configFile())
				var status store.Status
				if err := json.Unmarshal([]byte(out), &status); err != nil || code != 0 || !status.Current() {
					t.Fatalf("the next one ended with %d: %s%s", code, out, errs)
				}
				if name == "sqlite" {
					wantSound(t, s, dsn)
				}
			}
			d := s.serve(t)
			d.get(t, "/api/v1/posture/"+s.ada())
			d.wantReady(t)
		})
	}
}

// The daemon is killed by force in the middle of deliveries, again and again: every
// answer arrives, in order, and is sent again only as far as nobody could know that
// it had arrived.
func TestDaemon_KilledWhileDelivering(t *testing.T) {
	t.Parallel()
	const rounds, each = 4, 25
	s := newTroubled(t)
	s.posts.faults.SetLatency(5 * time.Millisecond)
	for range rounds {
		before := len(s.posts.taken())
		for range each {
			s.want = append(s.want, s.tell(t))
		}
		await(t, "nothing arrives", func() bool { return len(s.posts.taken()) > before+rand.N(each/2) })
		s.signal(t, syscall.SIGKILL)
		s.wait(t)
		passOutboxTime(t, s.kept, "es_logger", "restful_feedback")
		s.daemon = s.serve(t)
	}
	s.awaitStats(t, 0, 0)
	if n := len(s.posts.keys()); n != rounds*each {
		t.Errorf("%d answers arrived, %d were given", n, rounds*each)
	}
	// Of one person's answers one is under way at a time.
	if repeated := len(s.posts.taken()) - rounds*each; repeated > rounds {
		t.Errorf("%d were sent again, with %d kills", repeated, rounds)
	}
	last := ""
	for _, body := range s.posts.taken() {
		var answer struct{ ID string }
		if err := json.Unmarshal([]byte(body), &answer); err != nil || answer.ID < last {
			t.Errorf("%q comes after %q: %v", answer.ID, last, err)
		}
		last = answer.ID
	}
}

// A daemon that is told to end right after it answered a scan in which a source
// failed has the event on disk.
func TestAdminEvents_SurviveSIGTERM(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3)
	s.set("jamf", "RETRIES", 0)
	s.write(t, nil)
	d := s.serve(t)
	s.Faults("jamf").Add(simhttp.Fault{Status: 503})
	const failures = 15
	var group sync.WaitGroup
	for i := range failures {
		d.answer(t, s.ada(), "?max_age=0")
		if i == failures-1 { // and several others, which may or may not be answered
			for range 3 {
				group.Go(func() {
					if resp, err := http.Get(d.url + "/api/v1/posture/" + s.Fleet.Person(1).Email); err == nil {
						_ = resp.Body.Close()
					}
				})
			}
		}
	}
	d.signal(t, syscall.SIGTERM)
	group.Wait()
	if code := d.wait(t); code != 0 {
		t.Errorf("exit status %d", code)
	}
	d = s.serve(t)
	got := d.events(t, "?filter.resourceName="+s.ada())
	if len(got) != 1 || got[0].NumOccurrences != failures || !got[0].AdHoc || got[0].Code != adminevent.CodeSourceUnreachable {
		t.Errorf("events %+v, want one of %d occurrences", got, failures)
	}
}

// Whoever hangs up, or is refused, makes no event; neither do a daemon that does
// nothing and a device that is judged badly.
func TestAdminEvents_None(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3)
	s.set("jamf", "TIMEOUT", "20s")
	s.write(t, map[string]any{"jwt_secret_key": "0123456789abcdef0123456789abcdef"})
	d := s.serve(t)
	token, _, _ := posture(t, s.dir, "token", "--config", s.configFile(), "--sub", "*")
	bearer := "Bearer " + strings.TrimSpace(token)
	requests := func() int { return s.Jamf.Faults.Requests() }
	s.Faults("jamf").SetLatency(2 * time.Second) // so that nobody is answered before they hang up
	// Each about somebody else: who asks about one person while a scan goes on waits
	// for that one.
	email := func(i int) string { return s.Fleet.Person(i).Email }
	for _, path := range []string{"posture/" + email(0) + "?max_age=0", "devices/jamf/email/" + email(1), "devices/merged/" + email(2) + "?max_age=0"} {
		ctx, hangUp := context.WithCancel(t.Context())
		before := requests()
		gone := make(chan error, 1)
		go func() {
			req, _ := http.NewRequestWithContext(ctx, http.MethodGet, d.url+"/api/v1/"+path, nil)
			req.Header.Set("Authorization", bearer)
			resp, err := http.DefaultClient.Do(req)
			if err == nil {
				_ = resp.Body.Close()
				err = fmt.Errorf("answered %d", resp.StatusCode)
			}
			gone <- err
		}()
		await(t, "Jamf is not asked about "+path, func() bool { return requests() > before })
		hangUp()
		if err := <-gone; !errors.Is(err, context.Canceled) {
			t.Errorf("%s: %v", path, err)
		}
	}
	s.Faults("jamf").SetLatency(0)
	for path, want := range map[string]int{"posture/nonsense": http.StatusBadRequest, "devices/nobody/email/" + s.ada(): http.StatusNotFound} {
		if status, _ := d.get(t, "/api/v1/"+path, "Authorization", bearer); status != want {
			t.Errorf("%s: %d, want %d", path, status, want)
		}
	}
	if status, _ := d.get(t, "/api/v1/posture/"+s.ada()); status != http.StatusUnauthorized {
		t.Errorf("without a token: %d", status)
	}
	// An answer at the end shows that what was begun before is through.
	if status, body := d.get(t, "/api/v1/posture/"+s.ada()+"?max_age=0", "Authorization", bearer); status != http.StatusOK || !strings.Contains(body, `"nudge"`) {
		t.Errorf("%d, want a device that is judged badly: %.300s", status, body)
	}
	d.signal(t, syscall.SIGTERM)
	d.wait(t)
	out, errs, code := posture(t, s.dir, "events", "list", "--json", "--config", s.configFile())
	var events []adminevent.Event
	if err := json.Unmarshal([]byte(out), &events); err != nil || code != 0 || len(events) != 0 {
		t.Errorf("events %s%s, %v; want none", out, errs, err)
	}
}
