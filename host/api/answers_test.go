package api_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postureproject/posture/adminevent"
	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/host/auth"
	"github.com/postureproject/posture/host/scan"
)

// A kept answer is given as long as it is young enough, and its age is told.
func TestAnswers_Kept(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	from := full("jamf")
	from.asked = func(context.Context) { asked.Add(1) }
	s := serve(t, locked(), scan.Source{Name: "jamf", Ask: from, ByEmail: true, Events: true})
	s.maxAge = time.Minute
	get := func(path string) *httptest.ResponseRecorder {
		t.Helper()
		w := s.do(t, "GET", path, auth.Everyone, "")
		if w.Code != http.StatusOK || w.Header().Get("Age") == "" {
			t.Fatalf("%s: %d, age %q: %s", path, w.Code, w.Header().Get("Age"), w.Body)
		}
		return w
	}
	first := get("/api/v1/posture/" + ada).Body.String()
	asks := asked.Load()
	for _, path := range []string{"posture/", "devices/merged/", "devices/staged/", "events/merged/", "accounts/merged/"} {
		get("/api/v1/" + path + ada)
	}
	if got := get("/api/v1/posture/" + ada).Body.String(); got != first || asked.Load() != asks {
		t.Errorf("asked %d times more; the answer is the first one: %v", asked.Load()-asks, got == first)
	}
	for i, path := range []string{"?max_age=0", "?max_age=0s"} {
		if get("/api/v1/posture/" + ada + path); asked.Load() != asks*int32(i+2) {
			t.Errorf("%s: asked %d times", path, asked.Load())
		}
	}
	for _, bad := range []string{"soon", "-1", "-5m", ""} {
		if w := s.do(t, "GET", "/api/v1/posture/"+ada+"?max_age="+bad, auth.Everyone, ""); w.Code != http.StatusBadRequest || failureIn(t, w).Error.Field != "max_age" {
			t.Errorf("max_age=%s: %d %s", bad, w.Code, w.Body)
		}
	}
}

// A kept answer, which is passed on as it was saved, is byte for byte what it was
// when it was new: the whole of it, and each list.
func TestAnswers_KeptAsGiven(t *testing.T) {
	t.Parallel()
	refused := &fault.Error{Kind: fault.Unauthenticated, Source: "google", Message: "refused “you” <&>\u2028", Remedy: "check the password"}
	for name, sources := range map[string][]scan.Source{
		"full":    {offering("jamf", full("jamf")), offering("google", full("google"))},
		"partial": {offering("jamf", full("jamf")), offering("google", source{err: refused})},
		"empty":   {offering("jamf", source{})},
		"failing": {offering("jamf", source{err: refused})},
		"none":    {},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, locked(), sources...)
			for _, path := range []string{"posture/", "devices/merged/", "devices/staged/", "events/merged/", "accounts/merged/", "notifications/merged/"} {
				fresh := s.do(t, "GET", "/api/v1/"+path+ada+"?max_age=0", auth.Everyone, "")
				kept := s.do(t, "GET", "/api/v1/"+path+ada+"?max_age=1h", auth.Everyone, "")
				if fresh.Code != kept.Code || fresh.Body.String() != kept.Body.String() {
					t.Errorf("%s: %d %s\nkept: %d %s", path, fresh.Code, fresh.Body, kept.Code, kept.Body)
				}
				if f, k := fresh.Header().Get("Posture-Sources"), kept.Header().Get("Posture-Sources"); f != k {
					t.Errorf("%s: header %s\nkept: %s", path, f, k)
				}
				if kept.Code == http.StatusOK && kept.Header().Get("Age") == "" {
					t.Errorf("%s: the age is not told", path)
				}
			}
		})
	}
}

// However many ask about a person at once, the sources are asked once.
func TestAnswers_OneScan(t *testing.T) {
	t.Parallel()
	var asked atomic.Int32
	arrived, begin := make(chan struct{}, 100), make(chan struct{})
	from := full("jamf")
	from.asked = func(context.Context) {
		asked.Add(1)
		<-begin
	}
	s := serve(t, locked(), scan.Source{Name: "jamf", Ask: from, ByEmail: true})
	var group sync.WaitGroup
	for range 3 { // as many as there are slots for, less one
		group.Go(func() {
			arrived <- struct{}{}
			if w := s.do(t, "GET", "/api/v1/posture/"+ada, auth.Everyone, ""); w.Code != http.StatusOK {
				t.Errorf("%d %s", w.Code, w.Body)
			}
		})
	}
	for range 3 {
		<-arrived
	}
	w := s.do(t, "POST", "/api/v1/posture/"+strings.ToUpper(ada)+"/rescan", auth.Everyone, "")
	close(begin)
	group.Wait()
	if w.Code != http.StatusAccepted || asked.Load() > 2 {
		t.Errorf("%d; asked %d times: %s", w.Code, asked.Load(), w.Body)
	}
}

// A rescan's progress is told from its beginning, source by source, and ends with
// the news that the answer can be had.
func TestRescan(t *testing.T) {
	t.Parallel()
	begin := make(chan struct{})
	from := full("jamf")
	from.asked = func(context.Context) { <-begin }
	s := serve(t, locked(), scan.Source{Name: "jamf", Ask: from, ByEmail: true}, scan.Source{Name: "google", Ask: full("google"), Events: true})
	path := "/api/v1/posture/" + ada + "/rescan"
	if w := s.do(t, "GET", path, auth.Everyone, ""); w.Code != http.StatusNotFound {
		t.Errorf("nothing is under way and nothing is kept: %d", w.Code)
	}
	w := s.do(t, "POST", path, ada, "")
	var started struct {
		Email, Progress string
		Joined          bool
	}
	if err := json.Unmarshal(w.Body.Bytes(), &started); err != nil || w.Code != http.StatusAccepted || started.Email != ada || started.Joined || w.Header().Get("Location") != started.Progress {
		t.Fatalf("%d %s, %v", w.Code, w.Body, err)
	}
	time.AfterFunc(10*time.Millisecond, func() { close(begin) })
	w = s.do(t, "GET", started.Progress, ada, "")
	if w.Header().Get("Content-Type") != "text/event-stream" {
		t.Errorf("headers %v", w.Header())
	}
	var told []string
	for line := range strings.Lines(w.Body.String()) {
		if event, ok := strings.CutPrefix(line, "event: "); ok {
			told = append(told, strings.TrimSpace(event))
		}
	}
	if strings.Join(told, " ") != "outcome outcome done" {
		t.Errorf("told %v:\n%s", told, w.Body)
	}
	if w := s.do(t, "GET", path, ada, ""); !strings.HasPrefix(w.Body.String(), "event: done\n") {
		t.Errorf("afterwards: %s", w.Body)
	}
	if w := s.do(t, "POST", path, "eve@example.com", ""); w.Code != http.StatusForbidden {
		t.Errorf("somebody else: %d", w.Code)
	}
}

// A failure in an answer has the id of the administration event that tells of it:
// in a new answer and in the kept one, in the header beside lists, and in the end
// of a rescan. What went well has none.
func TestAnswers_EventIDs(t *testing.T) {
	t.Parallel()
	late := &fault.Error{Kind: fault.Timeout, Source: "google", Message: "too slow"}
	s := serve(t, locked(), scan.Source{Name: "jamf", Ask: full("jamf"), ByEmail: true, BySerial: true}, scan.Source{Name: "google", Ask: source{err: late}, ByEmail: true, BySerial: true})
	check := func(what string, outcomes []device.Outcome) {
		t.Helper()
		failures := 0
		for _, o := range outcomes {
			if o.OK {
				if o.EventID != "" {
					t.Errorf("%s: %s went well as %s", what, o.Plugin, o.EventID)
				}
				continue
			}
			failures++
			if e, err := s.recorder.Get(t.Context(), o.EventID); err != nil || e.Source != "google" || e.Code != adminevent.CodeSourceTimeout {
				t.Errorf("%s: event %q is %+v, %v", what, o.EventID, e, err)
			}
		}
		if failures != 1 {
			t.Errorf("%s: %d failures", what, failures)
		}
	}
	for _, path := range []string{"posture/" + ada + "?max_age=0", "posture/" + ada + "?max_age=1h"} {
		var p device.Posture
		if err := json.Unmarshal(s.do(t, "GET", "/api/v1/"+path, auth.Everyone, "").Body.Bytes(), &p); err != nil {
			t.Fatal(err)
		}
		check(path, p.Sources)
	}
	for _, path := range []string{"devices/merged/" + ada, "devices/email/" + ada, "devices/serial/" + serial} {
		var outcomes []device.Outcome
		if err := json.Unmarshal([]byte(s.do(t, "GET", "/api/v1/"+path, auth.Everyone, "").Header().Get("Posture-Sources")), &outcomes); err != nil {
			t.Fatal(err)
		}
		check(path, outcomes)
	}
	s.do(t, "POST", "/api/v1/posture/"+ada+"/rescan", auth.Everyone, "")
	_, data, _ := strings.Cut(s.do(t, "GET", "/api/v1/posture/"+ada+"/rescan", auth.Everyone, "").Body.String(), "event: done\ndata: ")
	var end struct{ Failures []device.Outcome }
	if err := json.Unmarshal([]byte(data), &end); err != nil {
		t.Fatalf("%v in %s", err, data)
	}
	check("rescan", end.Failures)
}

// Every look at records is passed on with what was shown, also the refused one,
// and nothing else is.
func TestAccessesArePassedOn(t *testing.T) {
	t.Parallel()
	s := serve(t, locked(), offering("jamf", full("jamf")))
	s.logsAccess = true
	shown := s.do(t, "GET", "/api/v1/posture/"+ada, auth.Everyone, "")
	s.do(t, "GET", "/api/v1/devices/serial/"+serial, auth.Everyone, "")
	s.do(t, "GET", "/api/v1/posture/"+ada, "eve@example.com", "")
	s.do(t, "GET", "/api/v1/plugins", auth.Everyone, "")
	s.do(t, "GET", "/api/v1/openapi.json", auth.Everyone, "")
	s.do(t, "GET", "/api/v1/posture/"+ada, "", "") // of whom nobody knows who it was
	if len(s.looks) != 3 {
		t.Fatalf("passed on %+v", s.looks)
	}
	first, refused := s.looks[0], s.looks[2]
	if first.Who != auth.Everyone || first.Email != ada || first.Status != http.StatusOK || string(first.Shown) != shown.Body.String() || first.Request != shown.Header().Get("X-Request-Id") {
		t.Errorf("passed on %+v", first)
	}
	if refused.Who != "eve@example.com" || refused.Status != http.StatusForbidden || refused.Email != ada {
		t.Errorf("passed on %+v", refused)
	}
}
