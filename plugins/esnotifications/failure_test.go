package esnotifications_test

import (
	"context"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/internal/simulator/elastic"
	"github.com/postureproject/posture/internal/simulator/fleet"
	"github.com/postureproject/posture/internal/simulator/simhttp"
	"github.com/postureproject/posture/plugins/esnotifications"
	"github.com/postureproject/posture/plugins/sdk"
	"github.com/postureproject/posture/plugins/sdk/sdktest"
)

func TestFailures(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		fault    simhttp.Fault
		kind     fault.Kind
		text     string // of the error; empty: none
		requests int
	}{
		"401":                 {fault: simhttp.Fault{Status: 401}, kind: fault.Unauthenticated, text: "401", requests: 1},
		"403":                 {fault: simhttp.Fault{Status: 403}, kind: fault.Forbidden, text: "403", requests: 1},
		"400 with a reason":   {fault: simhttp.Fault{Status: 400, Body: `{"error":{"type":"parsing_exception","reason":"unknown query"}}`}, kind: fault.BadResponse, text: "unknown query", requests: 1},
		"404 of a proxy":      {fault: simhttp.Fault{Status: 404, Body: "<html>"}, kind: fault.BadResponse, text: "does not exist", requests: 1},
		"redirect elsewhere":  {fault: simhttp.Fault{Status: 302}, kind: fault.BadResponse, text: "302", requests: 1},
		"429, told to wait":   {fault: simhttp.Fault{Status: 429, RetryAfter: "3600"}, kind: fault.RateLimited, text: "429", requests: 1},
		"429 once":            {fault: simhttp.Fault{Status: 429, Times: 1}, requests: 2},
		"429 once, wait told": {fault: simhttp.Fault{Status: 429, RetryAfter: "0", Times: 1}, requests: 2},
		"500 once":            {fault: simhttp.Fault{Status: 500, Times: 1}, requests: 2},
		"503 always":          {fault: simhttp.Fault{Status: 503}, kind: fault.Unavailable, text: "503", requests: 2},
		"dropped once":        {fault: simhttp.Fault{Drop: true, Times: 1}, requests: 2},
		"truncated":           {fault: simhttp.Fault{Truncate: true}, kind: fault.BadResponse, text: "unexpected EOF", requests: 1},
		"too large":           {fault: simhttp.Fault{Huge: 80 << 20}, kind: fault.BadResponse, text: "larger than", requests: 1},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, elastic.Options{})
			c.Faults.Add(tc.fault)
			got, err := sdktest.Open(t, esnotifications.Plugin(), c.settings()).NotificationsByEmail(t.Context(), ada)
			checkError(t, err, tc.kind, tc.text)
			if tc.text == "" && len(got) != 3 {
				t.Errorf("%d notifications, want 3", len(got))
			}
			if c.Faults.Requests() != tc.requests {
				t.Errorf("%d requests, want %d", c.Faults.Requests(), tc.requests)
			}
			if tc.fault.RetryAfter == "3600" && fault.RetryAfterOf(err) != time.Hour {
				t.Errorf("retry after %v", fault.RetryAfterOf(err))
			}
		})
	}
}

func TestSlowAnswers(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]simhttp.Fault{"hangs": {Hang: true}, "never ends": {Endless: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, elastic.Options{})
			c.Faults.Add(f)
			client := sdktest.Open(t, esnotifications.Plugin(), c.settings(), sdktest.WithTimeout(100*time.Millisecond))
			_, err := client.NotificationsByEmail(t.Context(), ada)
			if fault.KindOf(err) != fault.Timeout {
				t.Errorf("error %v, want a timeout", err)
			}
		})
	}
}

func TestNobodyListens(t *testing.T) {
	t.Parallel()
	for text, host := range map[string]string{"connection refused": refusing(t), "no such host": "http://no-such-host.invalid:9200"} {
		t.Run(text, func(t *testing.T) {
			t.Parallel()
			client := sdktest.Open(t, esnotifications.Plugin(), map[string]any{"ELASTICSEARCH_HOSTS": host, "ELASTICSEARCH_INDEX": "i", "RETRIES": 0})
			_, err := client.TestConnectivity(t.Context())
			checkError(t, err, fault.Unavailable, text)
		})
	}
}

// refusing gives an address at which nobody listens.
func refusing(t *testing.T) string {
	t.Helper()
	l, err := new(net.ListenConfig).Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer l.Close()
	return "http://" + l.Addr().String()
}

func TestFailover(t *testing.T) {
	t.Parallel()
	hanging, busy := newCluster(t, elastic.Options{}), newCluster(t, elastic.Options{})
	hanging.Faults.Add(simhttp.Fault{Hang: true})
	busy.Faults.Add(simhttp.Fault{Status: 503})
	good := newCluster(t, elastic.Options{})
	client := sdktest.Open(t, esnotifications.Plugin(), good.settings(map[string]any{
		"ELASTICSEARCH_HOSTS": []string{refusing(t), hanging.url, busy.url, good.url}, "RETRIES": 0,
	}), sdktest.WithTimeout(2*time.Second))
	for range 3 {
		got, err := client.NotificationsByEmail(t.Context(), ada)
		if err != nil || len(got) != 3 {
			t.Fatalf("%d notifications, %v", len(got), err)
		}
	}
	want := []int{1, 1, 3}
	if diff := cmp.Diff(want, []int{hanging.Faults.Requests(), busy.Faults.Requests(), good.Faults.Requests()}); diff != "" {
		t.Errorf("requests; the node that answered must be asked first from then on (-want +got):\n%s", diff)
	}
	good.Faults.Add(simhttp.Fault{Status: 502})
	busy.Faults.Clear()
	hanging.Faults.Clear()
	if got, err := client.NotificationsByEmail(t.Context(), ada); err != nil || len(got) != 3 {
		t.Errorf("after the node's end: %d notifications, %v", len(got), err)
	}
}

func TestFailover_noNodeAnswers(t *testing.T) {
	t.Parallel()
	a, b := newCluster(t, elastic.Options{}), newCluster(t, elastic.Options{})
	a.Faults.Add(simhttp.Fault{Status: 503})
	b.Faults.Add(simhttp.Fault{Status: 503, Times: 1}) // well again at the first retry
	client := sdktest.Open(t, esnotifications.Plugin(), a.settings(map[string]any{"ELASTICSEARCH_HOSTS": []string{a.url, b.url}}))
	if got, err := client.NotificationsByEmail(t.Context(), ada); err != nil || len(got) != 3 {
		t.Errorf("%d notifications, %v", len(got), err)
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(elastic.New(fleet.New(fleet.Options{}), elastic.Options{}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	settings := map[string]any{"ELASTICSEARCH_HOSTS": server.URL, "ELASTICSEARCH_INDEX": elastic.DefaultIndex}
	_, err := sdktest.Open(t, esnotifications.Plugin(), settings).NotificationsByEmail(t.Context(), ada)
	if fault.KindOf(err) != fault.Unavailable || !strings.Contains(fault.RemedyOf(err), "CA_FILE") {
		t.Errorf("untrusted: %v, remedy %q", err, fault.RemedyOf(err))
	}
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	settings["CA_FILE"] = ca
	if got, err := sdktest.Open(t, esnotifications.Plugin(), settings).NotificationsByEmail(t.Context(), ada); err != nil || len(got) != 3 {
		t.Errorf("with CA_FILE: %d notifications, %v", len(got), err)
	}
}

func TestAuthentication(t *testing.T) {
	t.Parallel()
	const password, key = "hunter2hunter2", "c2VjcmV0LWtleQ=="
	tests := map[string]struct {
		o        elastic.Options
		settings map[string]any
		ok       bool
	}{
		"password":       {elastic.Options{Username: "elastic", Password: password}, map[string]any{"ELASTICSEARCH_USERNAME": "elastic", "ELASTICSEARCH_PASSWORD": password}, true},
		"wrong password": {elastic.Options{Username: "elastic", Password: "other"}, map[string]any{"ELASTICSEARCH_USERNAME": "elastic", "ELASTICSEARCH_PASSWORD": password}, false},
		"key":            {elastic.Options{APIKey: key}, map[string]any{"ELASTICSEARCH_API_KEY": key}, true},
		"expired key":    {elastic.Options{APIKey: "other"}, map[string]any{"ELASTICSEARCH_API_KEY": key}, false},
		"none":           {elastic.Options{APIKey: "other"}, nil, false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, tc.o)
			client := sdktest.Open(t, esnotifications.Plugin(), c.settings(tc.settings))
			_, connectivityErr := client.TestConnectivity(t.Context())
			_, err := client.NotificationsByEmail(t.Context(), ada)
			for _, err := range []error{connectivityErr, err} {
				switch {
				case tc.ok && err != nil:
					t.Errorf("error %v", err)
				case !tc.ok && fault.KindOf(err) != fault.Unauthenticated:
					t.Errorf("error %v, want unauthenticated", err)
				case err != nil && (strings.Contains(err.Error(), password) || strings.Contains(err.Error(), key)):
					t.Errorf("a secret shows in %v", err)
				}
			}
		})
	}
}

func TestConnectivity(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		o        elastic.Options
		settings map[string]any
		fault    simhttp.Fault
		detail   string
		kind     fault.Kind
		text     string
	}{
		"good":           {detail: `cluster "simulated", Elasticsearch 8.19.0, index "stethoscope_notifications" with 60 documents`},
		"pattern":        {settings: map[string]any{"ELASTICSEARCH_INDEX": "stethoscope_*"}, detail: `cluster "simulated", Elasticsearch 8.19.0, index "stethoscope_*" with 60 documents`},
		"no index":       {settings: map[string]any{"ELASTICSEARCH_INDEX": "other"}, kind: fault.BadResponse, text: `the index "other" does not exist`},
		"empty pattern":  {settings: map[string]any{"ELASTICSEARCH_INDEX": "other*"}, kind: fault.BadResponse, text: `the index "other*" does not exist`},
		"other software": {o: elastic.Options{Foreign: true}, kind: fault.BadResponse, text: "does not say that it is Elasticsearch"},
		"no monitoring privilege": {
			fault:  simhttp.Fault{Status: 403, Times: 1},
			detail: `cluster, index "stethoscope_notifications" with 60 documents`,
		},
		"no privilege at all": {fault: simhttp.Fault{Status: 403}, kind: fault.Forbidden, text: "403"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, tc.o)
			if tc.fault.Status != 0 {
				c.Faults.Add(tc.fault)
			}
			detail, err := sdktest.Open(t, esnotifications.Plugin(), c.settings(tc.settings)).TestConnectivity(t.Context())
			checkError(t, err, tc.kind, tc.text)
			if detail != tc.detail {
				t.Errorf("detail %q, want %q", detail, tc.detail)
			}
		})
	}
}

// A look-up in an index that does not exist must not read as "no notifications".
func TestMissingIndexIsVisible(t *testing.T) {
	t.Parallel()
	c := newCluster(t, elastic.Options{})
	for _, index := range []string{"other", "other-*"} {
		_, err := sdktest.Open(t, esnotifications.Plugin(), c.settings(map[string]any{"ELASTICSEARCH_INDEX": index})).NotificationsByEmail(t.Context(), ada)
		checkError(t, err, fault.BadResponse, "does not exist")
	}
}

func TestConfiguration(t *testing.T) {
	t.Parallel()
	good := func() map[string]any {
		return map[string]any{"ELASTICSEARCH_HOSTS": []string{"https://es.example.com/prefix/"}, "ELASTICSEARCH_INDEX": "i"}
	}
	tests := map[string]struct {
		change map[string]any
		field  string // that the error names; empty: none
	}{
		"minimal":             {},
		"old configuration":   {change: map[string]any{"ELASTICSEARCH_DOCTYPE": "default", "ELASTICSEARCH_HOSTS": "es.example.com:7104"}},
		"bare host":           {change: map[string]any{"ELASTICSEARCH_HOSTS": "es"}},
		"no hosts":            {change: map[string]any{"ELASTICSEARCH_HOSTS": []string{}}, field: "ELASTICSEARCH_HOSTS"},
		"another scheme":      {change: map[string]any{"ELASTICSEARCH_HOSTS": "ftp://es"}, field: "ELASTICSEARCH_HOSTS"},
		"nonsense":            {change: map[string]any{"ELASTICSEARCH_HOSTS": "http://[::1"}, field: "ELASTICSEARCH_HOSTS"},
		"credentials in host": {change: map[string]any{"ELASTICSEARCH_HOSTS": "http://u:hunter2@es"}, field: "ELASTICSEARCH_HOSTS"},
		"index with a slash":  {change: map[string]any{"ELASTICSEARCH_INDEX": "a/b"}, field: "ELASTICSEARCH_INDEX"},
		"blank index":         {change: map[string]any{"ELASTICSEARCH_INDEX": " "}, field: "ELASTICSEARCH_INDEX"},
		"half a log-in":       {change: map[string]any{"ELASTICSEARCH_PASSWORD": "hunter2"}, field: "ELASTICSEARCH_PASSWORD"},
		"key and password":    {change: map[string]any{"ELASTICSEARCH_USERNAME": "u", "ELASTICSEARCH_PASSWORD": "hunter2", "ELASTICSEARCH_API_KEY": "k"}, field: "ELASTICSEARCH_API_KEY"},
		"limit":               {change: map[string]any{"MAX_NOTIFICATIONS": 0}, field: "MAX_NOTIFICATIONS"},
		"CA_FILE":             {change: map[string]any{"CA_FILE": "/no/such/file"}, field: "CA_FILE"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			settings := good()
			for k, v := range tc.change {
				settings[k] = v
			}
			err := configure(t, settings)
			switch {
			case tc.field == "" && err != nil:
				t.Errorf("error %v", err)
			case tc.field != "" && (fault.KindOf(err) != fault.Invalid || !strings.Contains(fmt.Sprint(err), tc.field)):
				t.Errorf("error %v, want one that names %s", err, tc.field)
			case strings.Contains(fmt.Sprint(err), "hunter2"):
				t.Errorf("a secret shows in %v", err)
			}
		})
	}
}

func configure(t *testing.T, settings map[string]any) error {
	t.Helper()
	text, err := jsonOf(settings)
	if err != nil {
		t.Fatal(err)
	}
	return sdktest.Dial(t, esnotifications.Plugin()).Configure(t.Context(), sdk.Configuration{Config: text, Timeout: time.Second, Concurrency: 1})
}

// The path of a host is put in front of every request's.
func TestHostWithPath(t *testing.T) {
	t.Parallel()
	s := elastic.New(fleet.New(fleet.Options{}), elastic.Options{})
	server := httptest.NewServer(http.StripPrefix("/es", s))
	t.Cleanup(server.Close)
	client := sdktest.Open(t, esnotifications.Plugin(), map[string]any{"ELASTICSEARCH_HOSTS": server.URL + "/es/", "ELASTICSEARCH_INDEX": elastic.DefaultIndex})
	if got, err := client.NotificationsByEmail(t.Context(), ada); err != nil || len(got) != 3 {
		t.Errorf("%d notifications, %v", len(got), err)
	}
}

func TestCanceledCallReturns(t *testing.T) {
	t.Parallel()
	c := newCluster(t, elastic.Options{})
	c.Faults.Add(simhttp.Fault{Hang: true})
	client := sdktest.Open(t, esnotifications.Plugin(), c.settings())
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	if _, err := client.NotificationsByEmail(ctx, ada); err == nil {
		t.Error("no error")
	}
}
