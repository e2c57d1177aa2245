package acceptance_test

import (
	"encoding/json"
	"net/http"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/postureproject/posture/adminevent"
	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/internal/simulator/simhttp"
)

// events gives the administration events of a daemon.
func (d *daemon) events(t testing.TB, query string) []adminevent.Event {
	t.Helper()
	var answer struct{ Events []adminevent.Event }
	d.getJSON(t, "/v1/administration/events"+query, &answer)
	return answer.Events
}

// A source that fails in scans that people ask for, by API and by command line,
// makes one event that counts every time, can be seen at once, and outlives the
// daemon's being killed. What goes well makes none.
func TestAdminEvents_AdHoc(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3)
	s.set("jamf", "RETRIES", 0)
	s.write(t, nil)
	d := s.serve(t)
	ask := func() {
		t.Helper()
		var p device.Posture
		d.getJSON(t, "/api/v1/posture/"+s.ada()+"?max_age=0", &p)
		if len(p.Devices) == 0 {
			t.Error("no devices")
		}
	}
	ask()
	if status, _ := d.get(t, "/api/v1/posture/nonsense"); status != http.StatusBadRequest {
		t.Errorf("a malformed address: %d", status)
	}
	if got := d.events(t, ""); len(got) != 0 {
		t.Fatalf("nothing failed, and there are events: %+v", got)
	}
	s.Faults("jamf").Add(simhttp.Fault{Status: 503})
	for range 3 {
		ask()
	}
	got := d.events(t, "")
	if len(got) != 1 {
		t.Fatalf("events %+v, want one", got)
	}
	e := got[0]
	if e.NumOccurrences != 3 || e.Source != "jamf" || e.Code != adminevent.CodeSourceUnreachable || !e.AdHoc || e.Trigger != adminevent.TriggerAPI ||
		e.Resource.Type != adminevent.ResourceUser || e.Resource.Name != s.ada() || e.Hint == "" || !strings.Contains(e.Message, "503") {
		t.Errorf("event %+v", e)
	}
	if _, _, status := posture(t, s.dir, "scan", "--config", s.configFile(), s.ada()); status != 2 {
		t.Errorf("scan ended with %d", status)
	}
	if got := d.events(t, "?filter.source=jamf"); len(got) != 1 || got[0].NumOccurrences != 4 || got[0].Trigger != adminevent.TriggerCLI {
		t.Errorf("after the command line: %+v", got)
	}
	ask()
	d.signal(t, syscall.SIGKILL)
	d.wait(t)
	out, errs, status := posture(t, s.dir, "events", "list", "--json", "--config", s.configFile())
	var listed []adminevent.Event
	if err := json.Unmarshal([]byte(out), &listed); err != nil || status != 0 || len(listed) != 1 || listed[0].NumOccurrences != 5 || listed[0].ID != e.ID {
		t.Errorf("after the kill: %d %s %s, %v", status, out, errs, err)
	}
}

// What was answered is kept when the daemon is killed right after, and is given
// again, with its age, without asking anybody.
func TestRecall_OutlivesTheDaemon(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3)
	s.write(t, nil)
	d := s.serve(t)
	var first, again device.Posture
	d.getJSON(t, "/api/v1/posture/"+s.ada(), &first)
	d.signal(t, syscall.SIGKILL)
	d.wait(t)
	for _, source := range []string{"jamf", "google", "bitfit", "duo", "es_notifications"} {
		s.Faults(source).Add(simhttp.Fault{Status: 503})
	}
	d = s.serve(t)
	d.getJSON(t, "/api/v1/posture/"+s.ada(), &again)
	if !again.GeneratedAt.Equal(first.GeneratedAt) || len(again.Devices) != len(first.Devices) || len(first.Devices) == 0 {
		t.Errorf("answered %d devices of %v, want %d of %v", len(again.Devices), again.GeneratedAt, len(first.Devices), first.GeneratedAt)
	}
	if age := time.Since(first.GeneratedAt); age > time.Minute {
		t.Errorf("generated %v ago", age)
	}
	if got := d.events(t, ""); len(got) != 0 {
		t.Errorf("nobody was asked, and there are events: %+v", got)
	}
}

// Only who may view the administration sees events.
func TestAdminEvents_Permission(t *testing.T) {
	t.Parallel()
	s := newSite(t, 1)
	s.write(t, map[string]any{"jwt_secret_key": "0123456789abcdef0123456789abcdef"}, "file")
	d := s.serve(t)
	for subject, want := range map[string]int{"": http.StatusUnauthorized, s.ada(): http.StatusForbidden, "*": http.StatusOK} {
		var header []string
		if subject != "" {
			token, _, _ := posture(t, s.dir, "token", "--config", s.configFile(), "--sub", subject)
			header = []string{"Authorization", "Bearer " + strings.TrimSpace(token)}
		}
		for _, path := range []string{"/v1/administration/events", "/v1/count/administration/events", "/api/v1/administration/events"} {
			if status, body := d.get(t, path, header...); status != want {
				t.Errorf("%q at %s: %d, want %d: %s", subject, path, status, want, body)
			}
		}
		if status, _ := d.get(t, "/v1/administration/events/x", header...); want != http.StatusOK && status != want {
			t.Errorf("%q at one event: %d, want %d", subject, status, want)
		}
	}
}
