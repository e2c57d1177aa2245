package httpserver_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/postureproject/posture/host/httpserver"
)

// Whatever strangers ask for, the number of series stays bounded.
func TestMetrics_Bounded(t *testing.T) {
	t.Parallel()
	f := frame(t, nil)
	f.mux.HandleFunc("GET /thing/{id}", func(http.ResponseWriter, *http.Request) {})
	for i := range 100 {
		f.do(t, "GET", fmt.Sprintf("/thing/%d", i), nil)
		f.do(t, "GET", fmt.Sprintf("/unknown/%d", i), nil)
		f.do(t, "GET", fmt.Sprintf("/unclean//%d", i), nil)
		f.do(t, fmt.Sprintf("METHOD%d", i), "/thing/1", nil)
		f.do(t, "CONNECT", fmt.Sprintf("/thing/%d", i), nil)
	}
	families, err := f.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	series := 0
	for _, family := range families {
		for _, m := range family.GetMetric() {
			series++
			for _, l := range m.GetLabel() {
				if l.GetName() == "route" && l.GetValue() != "none" && l.GetValue() != "GET /thing/{id}" {
					t.Errorf("route %q", l.GetValue())
				}
				if l.GetName() == "method" && l.GetValue() != "GET" && l.GetValue() != "other" {
					t.Errorf("method %q", l.GetValue())
				}
			}
		}
	}
	if series > 10 {
		t.Errorf("%d series", series)
	}
	if body := f.do(t, "GET", "/metrics", nil).Body.String(); !strings.Contains(body, `posture_http_requests_total{method="GET",route="GET /thing/{id}",status="200"} 100`) {
		t.Errorf("the metrics: %s", body)
	}
}

func TestProbes(t *testing.T) {
	t.Parallel()
	var reason, amiss error
	f := frame(t, func(o *httpserver.Options) {
		o.Ready = func() error { return reason }
		o.Degraded = func(context.Context) error { return amiss }
		o.Details = func() map[string]any { return map[string]any{"waiting": 3} }
	})
	for _, step := range []struct {
		reason, amiss error
		status        int
		body          string
	}{
		{nil, nil, 200, `{"status":"ready","waiting":3}`},
		{errors.New("jamf is starting"), errors.New("disk full"), 503, `{"reason":"jamf is starting","status":"not ready","waiting":3}`},
		{nil, errors.Join(errors.New("disk full"), errors.New("queue full")), 200, `{"reason":"disk full; queue full","status":"degraded","waiting":3}`},
		{nil, nil, 200, `{"status":"ready","waiting":3}`},
	} {
		reason, amiss = step.reason, step.amiss
		if w := f.do(t, "GET", "/readyz", nil); w.Code != step.status || strings.TrimSpace(w.Body.String()) != step.body {
			t.Errorf("ready with %v: %d %s", step.reason, w.Code, w.Body)
		}
		if w := f.do(t, "GET", "/healthcheck", nil); w.Code != 200 || strings.TrimSpace(w.Body.String()) != `{"status":"ok","version":"1.2.3"}` {
			t.Errorf("health: %d %s", w.Code, w.Body)
		}
	}
}

// One line for each answer: who, what, whom, and how it ended; never what a
// request carried beside its path.
func TestAccessLog(t *testing.T) {
	t.Parallel()
	f := frame(t, nil)
	f.mux.HandleFunc("GET /thing/{id}", func(w http.ResponseWriter, r *http.Request) {
		*httpserver.AccessOf(r.Context()) = httpserver.Access{Who: "ada", What: "look", Whom: "eve"}
		w.WriteHeader(http.StatusTeapot)
		_, _ = io.WriteString(w, "12345")
	})
	r := httptest.NewRequestWithContext(t.Context(), "GET", "/thing/1?password=hunter2", strings.NewReader("hunter2"))
	r.Header.Set("Authorization", "Bearer hunter2")
	r.Header.Set("Cookie", "session=hunter2")
	w := httptest.NewRecorder()
	f.Handler().ServeHTTP(w, r)
	f.do(t, "GET", "/healthcheck", nil)
	lines := strings.Split(strings.TrimSpace(f.log.String()), "\n")
	if len(lines) != 2 || strings.Contains(f.log.String(), "hunter2") {
		t.Fatalf("the log: %s", f.log)
	}
	var line map[string]any
	if err := json.Unmarshal([]byte(lines[0]), &line); err != nil {
		t.Fatal(err)
	}
	for name, want := range map[string]any{
		"level": "INFO", "msg": "access", "who": "ada", "what": "look", "whom": "eve", "method": "GET", "path": "/thing/1",
		"status": 418.0, "bytes": 5.0, "request_id": w.Header().Get("X-Request-Id"),
	} {
		if line[name] != want {
			t.Errorf("%s is %v, want %v", name, line[name], want)
		}
	}
	if !strings.Contains(lines[1], `"level":"DEBUG"`) {
		t.Errorf("a probe is logged as %s", lines[1])
	}
	for _, header := range []string{"X-Content-Type-Options", "Cache-Control", "Referrer-Policy", "Content-Security-Policy"} {
		if w.Header().Get(header) == "" {
			t.Errorf("no %s", header)
		}
	}
}

// Outside a framed request the record is nobody's.
func TestAccessOf_Outside(t *testing.T) {
	t.Parallel()
	httpserver.AccessOf(t.Context()).Who = "ada"
	if httpserver.AccessOf(t.Context()).Who != "" {
		t.Error("the record was kept")
	}
}
