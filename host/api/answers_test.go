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
