package acceptance_test

import (
	"encoding/json"
	"net/url"
	"os/exec"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/internal/simulator/simhttp"
	"github.com/postureproject/posture/store/storetest"
)

// Two daemons and commands beside them that share a store share the copy of Duo's
// log in it: it is read once for all of them, and outlives whoever read it.
func TestSharedLog(t *testing.T) {
	t.Parallel()
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		s := newSite(t, 3)
		s.set("duo", "DUO_FIRST_PULL", "48h")
		s.write(t, map[string]any{"store": map[string]any{"dsn": dsn}, "max_age": 0}, "duo", "file")
		one, two := s.serve(t), s.serve(t)
		events := func(a device.Posture) []device.Event {
			t.Helper()
			if o := outcome(t, a, "duo"); !o.OK || o.Count == 0 {
				t.Errorf("outcome %+v", o)
			}
			return a.Events
		}
		var answers [2]device.Posture
		for i, d := range []*daemon{one, two} {
			d.getJSON(t, "/api/v1/posture/"+s.ada(), &answers[i])
		}
		want := events(answers[0])
		if diff := cmp.Diff(want, events(answers[1])); diff != "" {
			t.Errorf("events (-one daemon +the other):\n%s", diff)
		}
		one.signal(t, syscall.SIGKILL)
		two.signal(t, syscall.SIGKILL)
		one.wait(t)
		two.wait(t)
		out, err := exec.CommandContext(t.Context(), postureProgram(t), "scan", s.ada(), "--json", "--config", s.configFile()).Output()
		if err != nil {
			t.Fatalf("scan: %v\n%s", err, out)
		}
		var scanned []device.Posture
		if err := json.Unmarshal(out, &scanned); err != nil || len(scanned) != 1 {
			t.Fatalf("%d answers, %v", len(scanned), err)
		}
		if diff := cmp.Diff(want, events(scanned[0])); diff != "" {
			t.Errorf("events (-daemons +scan after them):\n%s", diff)
		}
		if got := s.Duo.Faults.Requests(); got != 1 {
			t.Errorf("Duo was asked %d times, want once", got)
		}
	})
}

// A daemon is killed again and again while it reads Duo's log for the first time.
// The next one goes on where the one before was: nothing is lost, nothing is there
// twice, and what was read is not read again.
func TestSharedLog_killed(t *testing.T) {
	t.Parallel()
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		const (
			people, days, kills = 400, 7, 3
			page                = 1000 // events
		)
		s := newSite(t, people)
		s.set("duo", "DUO_FIRST_PULL", "240h")
		s.set("duo", "TIMEOUT", "1s") // twice as long, a killed one's claim holds
		s.write(t, map[string]any{"store": map[string]any{"dsn": dsn}, "max_age": 0}, "duo", "file")
		events := 0
		for i := range people {
			events += len(s.Fleet.Logins(s.Fleet.Person(i), days))
		}
		s.Duo.Faults.Add(simhttp.Fault{Latency: 200 * time.Millisecond})
		for kill := range kills {
			before := s.Duo.Faults.Requests()
			d := s.serve(t)
			await(t, "the log is not read", func() bool { return s.Duo.Faults.Requests() >= before+2 })
			time.Sleep(time.Duration(kill) * 90 * time.Millisecond) // another moment each time: asked, answered, stored
			d.signal(t, syscall.SIGKILL)
			d.wait(t)
		}
		d := s.serve(t)
		// Look-ups meanwhile would fail, and open the breaker.
		address, err := url.Parse(s.Plugins["duo"]["DUO_API_HOSTNAME"].(string))
		if err != nil {
			t.Fatal(err)
		}
		journal := storetest.Open(t, dsn, nil).Journal("duo")
		await(t, "the log is not read to its end", func() bool {
			p, err := journal.Progress(t.Context(), address.Host)
			return err == nil && strings.Contains(string(p.Document), `"high_water"`)
		})
		for i := 0; i < people; i += 7 {
			var a device.Posture
			p := s.Fleet.Person(i)
			d.getJSON(t, "/api/v1/posture/"+p.Email, &a)
			if got, want := outcome(t, a, "duo").Count, len(s.Fleet.Logins(p, days)); got != want {
				t.Errorf("%s has %d events, want %d", p.Email, got, want)
			}
		}
		if got, pages := s.Duo.Faults.Requests(), events/page+1; got > pages+2*kills || got < pages {
			t.Errorf("Duo was asked %d times for %d pages", got, pages)
		}
	})
}
