package rest_test

import (
	"context"
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/plugins/sdk"
	"github.com/postureproject/posture/plugins/sdk/sdktest"
	"github.com/postureproject/posture/sinks/rest"
	"github.com/postureproject/posture/sinks/sinktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func plugins() map[string]sdk.Plugin {
	return map[string]sdk.Plugin{"summary": rest.PluginSummary(), "feedback": rest.PluginFeedback()}
}

func TestSinks(t *testing.T) {
	t.Parallel()
	for name, plugin := range plugins() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sinktest.Run(t, sinktest.Case{Plugin: plugin, New: func(t *testing.T) sinktest.Backend {
				return sinktest.NewCollector(t).Backend(map[string]any{"TOKEN": "s3cret-bearer"})
			}})
		})
	}
}

func delivery(id, kind, body string) device.Delivery {
	return device.Delivery{ID: id, Kind: kind, Body: json.RawMessage(body)}
}

func one(t *testing.T, c *sdk.Client, d device.Delivery) error {
	t.Helper()
	errs, err := c.Deliver(t.Context(), []device.Delivery{d})
	if err != nil {
		t.Fatal(err)
	}
	return errs[0]
}

func TestSummary_WhatIsSent(t *testing.T) {
	t.Parallel()
	const body = `{"run":"r1","generated_at":"2026-11-03T04:05:06Z","part":1,"parts":1,"devices":[]}`
	for name, c := range map[string]struct {
		settings map[string]any
		want     string // of the header Authorization
	}{
		"open":  {want: ""},
		"token": {settings: map[string]any{"TOKEN": "abc"}, want: "Bearer abc"},
		"basic": {settings: map[string]any{"USERNAME": "ada", "PASSWORD": "pw:x"}, want: "Basic YWRhOnB3Ong="},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			collector := sinktest.NewCollector(t)
			client := sdktest.Open(t, rest.PluginSummary(), collector.Backend(c.settings).Settings)
			if err := one(t, client, delivery("r1/1", device.DeliverSummary, body)); err != nil {
				t.Fatal(err)
			}
			got, headers := collector.Document("r1/1")
			if string(got) != body {
				t.Errorf("sent %s", got)
			}
			if headers.Get("Authorization") != c.want || headers.Get("Content-Type") != "application/json" {
				t.Errorf("headers %v", headers)
			}
		})
	}
}

// An ID that no header can carry is told by its hash.
func TestOddID(t *testing.T) {
	t.Parallel()
	collector := sinktest.NewCollector(t)
	client := sdktest.Open(t, rest.PluginSummary(), collector.Backend(nil).Settings)
	for range 2 {
		for _, id := range []string{"läptop 1", "a\r\nX-Evil: 1"} {
			if err := one(t, client, delivery(id, device.DeliverSummary, `{}`)); err != nil {
				t.Errorf("%q: %v", id, err)
			}
		}
	}
	if stored := collector.Backend(nil).Stored(); len(stored) != 2 {
		t.Errorf("stored %v", stored)
	}
}

func TestFeedback_Validates(t *testing.T) {
	t.Parallel()
	collector := sinktest.NewCollector(t)
	client := sdktest.Open(t, rest.PluginFeedback(), collector.Backend(nil).Settings)
	for name, c := range map[string]struct {
		f    device.Feedback
		want string // the field that is wrong
	}{
		"good":          {f: device.Feedback{UserID: "ada@example.com", ID: "n1", Feedback: []byte(`{"mine":true}`), Notes: "x", Source: "posture"}},
		"false":         {f: device.Feedback{UserID: "ada@example.com", ID: "n2", Feedback: []byte(`false`)}},
		"nobody":        {f: device.Feedback{ID: "n3", Feedback: []byte(`1`)}, want: "user_id"},
		"no address":    {f: device.Feedback{UserID: "ada", ID: "n4", Feedback: []byte(`1`)}, want: "user_id"},
		"a name too":    {f: device.Feedback{UserID: "Ada <ada@example.com>", ID: "n5", Feedback: []byte(`1`)}, want: "user_id"},
		"about nothing": {f: device.Feedback{UserID: "ada@example.com", Feedback: []byte(`1`)}, want: "id"},
		"long id":       {f: device.Feedback{UserID: "ada@example.com", ID: strings.Repeat("n", 513), Feedback: []byte(`1`)}, want: "id"},
		"null":          {f: device.Feedback{UserID: "ada@example.com", ID: "n6", Feedback: []byte(`null`)}, want: "feedback"},
		"no answer":     {f: device.Feedback{UserID: "ada@example.com", ID: "n7"}, want: "feedback"},
		"long notes":    {f: device.Feedback{UserID: "ada@example.com", ID: "n8", Feedback: []byte(`1`), Notes: strings.Repeat("n", 16<<10+1)}, want: "notes"},
		"long answer":   {f: device.Feedback{UserID: "ada@example.com", ID: "n9", Feedback: []byte(`"` + strings.Repeat("n", 64<<10) + `"`)}, want: "feedback"},
	} {
		t.Run(name, func(t *testing.T) {
			body, err := json.Marshal(c.f)
			if err != nil {
				t.Fatal(err)
			}
			queued := one(t, client, delivery(name, device.DeliverFeedback, string(body)))
			direct := client.SendFeedback(t.Context(), c.f)
			for _, err := range []error{queued, direct} {
				switch {
				case c.want == "" && err != nil:
					t.Errorf("refused: %v", err)
				case c.want != "" && (fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), c.want)):
					t.Errorf("%v, want it to name %s", err, c.want)
				}
			}
		})
	}
	if got, _ := collector.Document("good"); string(got) != `{"user_id":"ada@example.com","id":"n1","feedback":{"mine":true},"notes":"x","source":"posture"}` {
		t.Errorf("sent %s", got)
	}
	if n := len(collector.Backend(nil).Stored()); n != 4 { // two good ones, queued and direct
		t.Errorf("%d documents arrived", n)
	}
}

// A redirect to a log-in page must not pass for acceptance; one that keeps the
// method may.
func TestRedirects(t *testing.T) {
	t.Parallel()
	for status, arrives := range map[int]bool{301: false, 302: false, 303: false, 307: true, 308: true} {
		mux := http.NewServeMux()
		posted := false
		mux.HandleFunc("/", func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, "/login", status) })
		mux.HandleFunc("/login", func(_ http.ResponseWriter, r *http.Request) { posted = posted || r.Method == http.MethodPost })
		server := httptest.NewServer(mux)
		client := sdktest.Open(t, rest.PluginSummary(), map[string]any{"URL": server.URL, "RETRIES": 0})
		err := one(t, client, delivery("a", device.DeliverSummary, `{}`))
		if arrives != (err == nil) || arrives != posted || device.Refused(err) {
			t.Errorf("%d: posted %t, %v", status, posted, err)
		}
		server.Close()
	}
}

func TestStatuses(t *testing.T) {
	t.Parallel()
	for status, refused := range map[int]bool{400: true, 413: true, 422: true, 404: false, 405: false, 409: false, 410: false, 415: false, 501: false} {
		server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(status) }))
		client := sdktest.Open(t, rest.PluginSummary(), map[string]any{"URL": server.URL, "RETRIES": 0})
		err := one(t, client, delivery("a", device.DeliverSummary, `{}`))
		if err == nil || device.Refused(err) != refused || fault.RemedyOf(err) == "" {
			t.Errorf("%d: %v", status, err)
		}
		server.Close()
	}
}

func TestConfiguration(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		settings map[string]any
		want     []string
	}{
		"no address":      {settings: map[string]any{"URL": "collect.example.com"}, want: []string{"URL"}},
		"another scheme":  {settings: map[string]any{"URL": "ftp://x.example.com"}, want: []string{"URL"}},
		"credentials":     {settings: map[string]any{"URL": "https://ada:hunter2@x.example.com"}, want: []string{"URL", "PASSWORD"}},
		"both":            {settings: map[string]any{"URL": "https://x.example.com", "TOKEN": "hunter2", "USERNAME": "ada", "PASSWORD": "x"}, want: []string{"TOKEN"}},
		"half":            {settings: map[string]any{"URL": "https://x.example.com", "USERNAME": "ada"}, want: []string{"PASSWORD"}},
		"line end":        {settings: map[string]any{"URL": "https://x.example.com", "TOKEN": "hunter2\n"}, want: []string{"TOKEN"}},
		"several at once": {settings: map[string]any{"URL": "x", "HEALTHCHECK_URL": "y", "PASSWORD": "z"}, want: []string{"URL", "HEALTHCHECK_URL", "PASSWORD"}},
		"no such file":    {settings: map[string]any{"URL": "https://x.example.com", "CA_FILE": "/nowhere.pem"}, want: []string{"CA_FILE"}},
	} {
		ctx := context.Background()
		text, _ := json.Marshal(c.settings)
		for _, plugin := range plugins() {
			err := sdktest.Dial(t, plugin).Configure(ctx, sdk.Configuration{Config: text, Timeout: 1e9, Concurrency: 1})
			if fault.KindOf(err) != fault.Invalid || strings.Contains(err.Error(), "hunter2") {
				t.Errorf("%s: %v", name, err)
				continue
			}
			for _, key := range c.want {
				if !strings.Contains(err.Error(), key) {
					t.Errorf("%s: the error does not name %s: %v", name, key, err)
				}
			}
		}
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	server := httptest.NewTLSServer(http.HandlerFunc(func(http.ResponseWriter, *http.Request) {}))
	defer server.Close()
	client := sdktest.Open(t, rest.PluginSummary(), map[string]any{"URL": server.URL})
	err := one(t, client, delivery("a", device.DeliverSummary, `{}`))
	if fault.KindOf(err) != fault.Unavailable || !strings.Contains(fault.RemedyOf(err), "CA_FILE") {
		t.Errorf("%v", err)
	}
}
