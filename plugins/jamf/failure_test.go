package jamf_test

import (
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"net"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/internal/simulator/fleet"
	simulator "github.com/postureproject/posture/internal/simulator/jamf"
	"github.com/postureproject/posture/internal/simulator/simhttp"
	"github.com/postureproject/posture/plugins/sdk"
	"github.com/postureproject/posture/plugins/sdk/sdktest"
)

func sdktestConfigure(t *testing.T, c *sdk.Client, settings object) error {
	t.Helper()
	body, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	return c.Configure(t.Context(), sdk.Configuration{Config: body, Timeout: time.Second, Concurrency: 2, StateDir: t.TempDir()})
}

func TestFailures(t *testing.T) {
	t.Parallel()
	users := regexp.MustCompile("/users/name/")
	for _, c := range []struct {
		name  string
		fault simhttp.Fault
		want  fault.Kind
		tries int    // requests for the user in all; any when zero
		says  string // in error or remedy
	}{
		{"forbidden", simhttp.Fault{Status: 403}, fault.Forbidden, 1, `account "posture" of Jamf Pro the privileges Read Computers`},
		{"bad request", simhttp.Fault{Status: 400}, fault.BadResponse, 1, "400"},
		{"slow down, for too long", simhttp.Fault{Status: 429, RetryAfter: "120"}, fault.RateLimited, 1, "CONCURRENCY"},
		{"slow down, and again", simhttp.Fault{Status: 429}, fault.RateLimited, 3, "CONCURRENCY"},
		{"down", simhttp.Fault{Status: 503}, fault.Unavailable, 3, "503"},
		{"drops connections", simhttp.Fault{Drop: true}, fault.Unavailable, 0, "look up user"},
		{"never answers", simhttp.Fault{Hang: true}, fault.Timeout, 0, "TIMEOUT"},
		{"never stops", simhttp.Fault{Endless: true}, fault.Timeout, 0, "TIMEOUT"},
		{"breaks off", simhttp.Fault{Truncate: true}, fault.BadResponse, 0, "broke off"},
		{"answers too much", simhttp.Fault{Huge: 65 << 20}, fault.BadResponse, 0, "larger than"},
		{"answers with a web page", simhttp.Fault{Body: "<html>Welcome</html>"}, fault.BadResponse, 1, "JAMF_API_HOSTADDR"},
		{"answers with half a document", simhttp.Fault{Body: `{"user":{"links":`}, fault.BadResponse, 1, "JAMF_API_HOSTADDR"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			timeout := 5 * time.Second
			switch {
			case c.want == fault.Timeout:
				timeout = 300 * time.Millisecond
			case c.fault.Huge > 0:
				timeout = time.Minute
			}
			b := setup(t, fleet.Options{}, simulator.Options{}, nil, sdktest.WithTimeout(timeout))
			c.fault.Path = users
			b.sim.Faults.Add(c.fault)
			devices, err := b.DevicesByEmail(t.Context(), ada)
			if len(devices) != 0 || fault.KindOf(err) != c.want {
				t.Fatalf("%d devices, %v (%v), want %v", len(devices), err, fault.KindOf(err), c.want)
			}
			noSecret(t, err)
			if story := err.Error() + " | " + fault.RemedyOf(err); !strings.Contains(story, c.says) || !strings.Contains(story, ada) || !strings.Contains(story, "jamf") {
				t.Errorf("the failure reads %q, want %q in it", story, c.says)
			}
			if n := b.sim.Faults.RequestsMatching(users); c.tries != 0 && n != c.tries {
				t.Errorf("%d requests, want %d", n, c.tries)
			}
		})
	}
}

func TestFailures_thatPass(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]simhttp.Fault{
		"server error":         {Status: 500, Times: 1},
		"slow down":            {Status: 429, Times: 1},
		"slow down and say so": {Status: 429, Times: 1, RetryAfter: "1"},
		"dropped connection":   {Drop: true, Times: 1},
	} {
		for _, path := range []string{"auth/token", "/users/", "/computers/"} {
			t.Run(name+path, func(t *testing.T) {
				t.Parallel()
				b := setup(t, fleet.Options{}, simulator.Options{}, nil)
				here := f
				here.Path = regexp.MustCompile(path)
				b.sim.Faults.Add(here)
				mustFindAda(t, b.Client)
			})
		}
	}
}

func TestFailures_rateLimitedServer(t *testing.T) {
	t.Parallel()
	b := setup(t, fleet.Options{}, simulator.Options{RateLimit: 2}, nil)
	mustFindAda(t, b.Client)
}

func TestFailures_connectionRefused(t *testing.T) {
	t.Parallel()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	addr := l.Addr().String()
	if err := l.Close(); err != nil {
		t.Fatal(err)
	}
	_, err = open(t, "http://"+addr, object{"RETRIES": 0}).DevicesByEmail(t.Context(), ada)
	if fault.KindOf(err) != fault.Unavailable || !strings.Contains(fault.RemedyOf(err), "port") {
		t.Errorf("got %v (%s)", err, fault.RemedyOf(err))
	}
	noSecret(t, err)
}

func TestFailures_certificates(t *testing.T) {
	t.Parallel()
	sim := simulator.New(fleet.New(fleet.Options{}), simulator.Options{Password: password})
	server := httptest.NewUnstartedServer(sim)
	server.Config.ErrorLog = log.New(io.Discard, "", 0) // it reports the handshake that must fail
	server.StartTLS()
	t.Cleanup(server.Close)
	_, err := open(t, server.URL, nil).DevicesByEmail(t.Context(), ada)
	if fault.KindOf(err) != fault.Unavailable || !strings.Contains(fault.RemedyOf(err), "CA_FILE") {
		t.Errorf("got %v (%s)", err, fault.RemedyOf(err))
	}
	noSecret(t, err)

	file := filepath.Join(t.TempDir(), "ca.pem")
	ca := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(file, ca, 0o600); err != nil {
		t.Fatal(err)
	}
	mustFindAda(t, open(t, server.URL, object{"CA_FILE": file}))
}

func TestConnectivity(t *testing.T) {
	t.Parallel()
	b := setup(t, fleet.Options{}, simulator.Options{Inventory: 3}, nil)
	detail, err := b.TestConnectivity(t.Context())
	if err != nil || !strings.Contains(detail, `account "posture"`) || !strings.Contains(detail, "computers-inventory v3") {
		t.Errorf("%q, %v", detail, err)
	}
	for _, path := range []string{"/api/v1/auth$", "/users/name", "/computers/serialnumber", "computers-inventory"} {
		t.Run(path, func(t *testing.T) {
			t.Parallel()
			b := setup(t, fleet.Options{}, simulator.Options{}, nil)
			b.sim.Faults.Add(simhttp.Fault{Path: regexp.MustCompile(path), Status: 403})
			_, err := b.TestConnectivity(t.Context())
			if fault.KindOf(err) != fault.Forbidden || !strings.Contains(fault.RemedyOf(err), `account "posture"`) {
				t.Errorf("got %v (%s)", err, fault.RemedyOf(err))
			}
			noSecret(t, err)
		})
	}
}
