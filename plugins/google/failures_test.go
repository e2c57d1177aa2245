package google_test

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"log/slog"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/internal/simulator/fleet"
	simulator "github.com/postureproject/posture/internal/simulator/google"
	"github.com/postureproject/posture/internal/simulator/simhttp"
	"github.com/postureproject/posture/plugins/google"
	"github.com/postureproject/posture/plugins/sdk"
	"github.com/postureproject/posture/plugins/sdk/sdktest"
)

func api() *regexp.Regexp { return regexp.MustCompile("^/admin/") }

// forbidden is a 403 in the APIs' form.
func forbidden(reason, message string) simhttp.Fault {
	body, err := json.Marshal(map[string]any{"error": map[string]any{
		"code": 403, "message": message, "errors": []any{map[string]any{"reason": reason, "message": message}},
	}})
	if err != nil {
		panic(err)
	}
	return simhttp.Fault{Path: api(), Status: http.StatusForbidden, Body: string(body)}
}

func TestFailures_kindsAndRemedies(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		fault  simhttp.Fault
		kind   fault.Kind
		remedy string
	}{
		{"scope", forbidden("insufficientPermissions", "Request had insufficient authentication scopes."), fault.Forbidden, "admin.reports.audit.readonly"},
		{"new form of scope", simhttp.Fault{Path: api(), Status: 403, Body: `{"error":{"code":403,"status":"PERMISSION_DENIED","details":[{"reason":"ACCESS_TOKEN_SCOPE_INSUFFICIENT"}]}}`}, fault.Forbidden, "admin.reports.audit.readonly"},
		{"role", forbidden("forbidden", "Not Authorized to access this resource/api"), fault.Forbidden, "administrator role"},
		{"API is off", forbidden("accessNotConfigured", "Admin SDK has not been used in project 1 before or it is disabled."), fault.Forbidden, "enable the Admin SDK"},
		{"403 without words", simhttp.Fault{Path: api(), Status: 403}, fault.Forbidden, "administrator role"},
		{"user rate", forbidden("userRateLimitExceeded", "User Rate Limit Exceeded"), fault.RateLimited, "CONCURRENCY"},
		{"rate", forbidden("rateLimitExceeded", "Rate Limit Exceeded"), fault.RateLimited, "CONCURRENCY"},
		{"quota", forbidden("quotaExceeded", "Quota Exceeded"), fault.RateLimited, "CONCURRENCY"},
		{"daily limit", forbidden("dailyLimitExceeded", "Daily Limit Exceeded"), fault.RateLimited, "quota"},
		{"429", simhttp.Fault{Path: api(), Status: 429}, fault.RateLimited, "CONCURRENCY"},
		{"404 of a stranger", simhttp.Fault{Path: api(), Status: 404, Body: "<html>not here</html>"}, fault.BadResponse, "GOOGLE_API_ENDPOINT"},
		{"500", simhttp.Fault{Path: api(), Status: 500}, fault.Unavailable, "try again"},
		{"connection dropped", simhttp.Fault{Path: api(), Drop: true}, fault.Unavailable, "address"},
		{"truncated", simhttp.Fault{Path: api(), Truncate: true}, fault.BadResponse, "broke off"},
		{"malformed", simhttp.Fault{Path: api(), Body: `{"items":[`}, fault.BadResponse, "address"},
		{"not JSON", simhttp.Fault{Path: api(), Body: `<html></html>`}, fault.BadResponse, "address"},
		{"not an object", simhttp.Fault{Path: api(), Body: `[1]`}, fault.BadResponse, "address"},
		{"list of the wrong type", simhttp.Fault{Path: api(), Body: `{"items":"x"}`}, fault.BadResponse, "try again"},
		{"token of the wrong type", simhttp.Fault{Path: api(), Body: `{"nextPageToken":{}}`}, fault.BadResponse, "try again"},
		{"too large", simhttp.Fault{Path: api(), Huge: 65 << 20}, fault.BadResponse, "ask for less"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, simulator.Options{})
			b.sim.Faults.Add(tt.fault)
			_, err := b.open(t, nil, sdktest.WithTimeout(30*time.Second)).EventsByEmail(t.Context(), ada)
			if fault.KindOf(err) != tt.kind {
				t.Fatalf("error %v of kind %v, want %v", err, fault.KindOf(err), tt.kind)
			}
			if remedy := fault.RemedyOf(err); !strings.Contains(remedy, tt.remedy) {
				t.Errorf("remedy %q, want one about %q", remedy, tt.remedy)
			}
			for _, word := range []string{"google", "get log-in events", ada} {
				if !strings.Contains(err.Error(), word) {
					t.Errorf("%q does not name %s", err, word)
				}
			}
			secretless(t, err.Error())
		})
	}
}

func TestFailures_slowAnswers(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]simhttp.Fault{
		"no answer": {Path: api(), Hang: true}, "endless answer": {Path: api(), Endless: true}, "late": {Path: api(), Latency: time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, simulator.Options{})
			b.sim.Faults.Add(f)
			_, err := b.open(t, nil, sdktest.WithTimeout(300*time.Millisecond)).DevicesByEmail(t.Context(), ada)
			if fault.KindOf(err) != fault.Timeout {
				t.Errorf("error %v, want Timeout", err)
			}
		})
	}
}

func TestFailures_retries(t *testing.T) {
	t.Parallel()
	quota := forbidden("userRateLimitExceeded", "User Rate Limit Exceeded")
	for name, f := range map[string]simhttp.Fault{
		"500":                       {Status: 500},
		"429":                       {Status: 429},
		"429 with Retry-After":      {Status: 429, RetryAfter: "1"},
		"403 for the rate":          {Status: 403, Body: quota.Body},
		"403 for the rate, waiting": {Status: 403, Body: quota.Body, RetryAfter: "1"},
		"dropped connection":        {Drop: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, simulator.Options{})
			f.Path, f.Times = regexp.MustCompile("login$"), 2
			b.sim.Faults.Add(f)
			started := time.Now()
			events, err := b.open(t, map[string]any{"RETRIES": 3}).EventsByEmail(t.Context(), ada)
			if err != nil || len(events) == 0 {
				t.Errorf("%d events, %v", len(events), err)
			}
			if n := b.sim.Faults.RequestsTo(loginPath); n != 3 {
				t.Errorf("%d requests, want 3", n)
			}
			if f.RetryAfter != "" && time.Since(started) < 2*time.Second {
				t.Errorf("waited only %v", time.Since(started))
			}
		})
	}
}

func TestFailures_neverRetried(t *testing.T) {
	t.Parallel()
	for _, f := range []simhttp.Fault{forbidden("forbidden", "no"), forbidden("dailyLimitExceeded", "no"), {Path: api(), Status: 404}, {Path: api(), Status: 412}} {
		b := setup(t, simulator.Options{})
		b.sim.Faults.Add(f)
		if _, err := b.open(t, map[string]any{"RETRIES": 3}).EventsByEmail(t.Context(), ada); err == nil {
			t.Error("no error")
		}
		if n := b.sim.Faults.RequestsTo(loginPath); n != 1 {
			t.Errorf("status %d: %d requests, want 1", f.Status, n)
		}
	}
}

func TestFailures_theVendorsRateIsKept(t *testing.T) {
	t.Parallel()
	b := setup(t, simulator.Options{Rate: 20})
	client := b.open(t, map[string]any{"RETRIES": 8}, sdktest.WithTimeout(30*time.Second))
	for i := range 20 {
		if _, err := client.DevicesByEmail(t.Context(), b.fleet.Person(i).Email); err != nil {
			t.Fatalf("person %d: %v", i, err)
		}
	}
}

func TestFailures_connectionRefused(t *testing.T) {
	t.Parallel()
	b := setup(t, simulator.Options{})
	_, err := b.open(t, map[string]any{"GOOGLE_API_ENDPOINT": "http://127.0.0.1:1"}).DevicesByEmail(t.Context(), ada)
	if fault.KindOf(err) != fault.Unavailable || !strings.Contains(fault.RemedyOf(err), "firewall") {
		t.Errorf("error %v, remedy %q", err, fault.RemedyOf(err))
	}
}

func TestFailures_wrongCustomer(t *testing.T) {
	t.Parallel()
	b := setup(t, simulator.Options{})
	devices, err := b.open(t, map[string]any{"GOOGLE_CUSTOMER": "C0other/x"}).DevicesByEmail(t.Context(), ada)
	if fault.KindOf(err) != fault.BadResponse || !strings.Contains(fault.RemedyOf(err), "GOOGLE_CUSTOMER") || len(devices) != 0 {
		t.Errorf("%d devices, error %v, remedy %q", len(devices), err, fault.RemedyOf(err))
	}
}

func TestFailures_TLS(t *testing.T) {
	t.Parallel()
	sim, err := simulator.New(fleet.New(fleet.Options{}), simulator.Options{Key: key(), Now: now})
	if err != nil {
		t.Fatal(err)
	}
	server := httptest.NewUnstartedServer(sim)
	server.Config.ErrorLog = slog.NewLogLogger(slog.DiscardHandler, slog.LevelError)
	server.StartTLS()
	t.Cleanup(server.Close)
	settings := settingsFor(t, sim, server.URL)

	_, err = sdktest.Open(t, google.Plugin(), settings).DevicesByEmail(t.Context(), ada)
	if fault.KindOf(err) != fault.Unavailable || !strings.Contains(fault.RemedyOf(err), "CA_FILE") {
		t.Errorf("untrusted: error %v, remedy %q", err, fault.RemedyOf(err))
	}

	trusted := maps.Clone(settings)
	file := filepath.Join(t.TempDir(), "ca.pem")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(file, certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	trusted["CA_FILE"] = file
	devices, err := sdktest.Open(t, google.Plugin(), trusted).DevicesByEmail(t.Context(), ada)
	if err != nil || len(devices) != 3 {
		t.Errorf("trusted: %d devices, %v", len(devices), err)
	}
}

// The token must not follow a redirection to somebody else.
func TestFailures_tokenStaysAtHome(t *testing.T) {
	t.Parallel()
	var stranger http.Header
	elsewhere := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		stranger = r.Header
		_, _ = w.Write([]byte(`{}`))
	}))
	t.Cleanup(elsewhere.Close)
	away := strings.Replace(elsewhere.URL, "127.0.0.1", "localhost", 1)
	b := answers(t, map[string]http.HandlerFunc{loginPath: func(w http.ResponseWriter, r *http.Request) {
		http.Redirect(w, r, away, http.StatusFound)
	}})
	if _, err := b.open(t, nil).EventsByEmail(t.Context(), ada); fault.KindOf(err) != fault.BadResponse {
		t.Errorf("error %v, want BadResponse", err)
	}
	if got := stranger.Get("Authorization"); got != "" {
		t.Error("the token went to another host")
	}
}

func TestFailures_noSecretInLogs(t *testing.T) {
	t.Parallel()
	b := setup(t, simulator.Options{})
	var log bytes.Buffer
	settings, err := json.Marshal(b.settings)
	if err != nil {
		t.Fatal(err)
	}
	instance, err := google.Plugin().Open(t.Context(), settings, sdk.Env{
		Logger: slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})), Timeout: 5 * time.Second, Concurrency: 2,
	})
	if err != nil {
		t.Fatal(err)
	}
	source, ok := instance.(*google.Source)
	if !ok {
		t.Fatalf("instance is a %T", instance)
	}
	defer source.Close()
	b.sim.Faults.Add(simhttp.Fault{Path: api(), Body: `{"mobiledevices":[1],"chromeosdevices":["x"]}`, Times: 2})
	if _, err := source.DevicesByEmail(t.Context(), ada); err != nil {
		t.Fatal(err)
	}
	if log.Len() == 0 {
		t.Error("odd entries were not logged")
	}
	secretless(t, log.String())
}
