package google_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"flag"
	"maps"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/postureproject/posture/internal/simulator/fleet"
	simulator "github.com/postureproject/posture/internal/simulator/google"
	"github.com/postureproject/posture/plugins/google"
	"github.com/postureproject/posture/plugins/sdk"
	"github.com/postureproject/posture/plugins/sdk/sdktest"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// key is the service account's in all tests: to make one takes long.
var key = sync.OnceValue(func() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
})

// now is the present in tests that depend on it: the fleet's.
func now() time.Time { return time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC) }

const ada = "ada.lovelace@example.com"

// bench is a simulator, and the plugin that reads it.
type bench struct {
	fleet    *fleet.Fleet
	sim      *simulator.Server
	url      string
	settings map[string]any
}

func setup(t *testing.T, o simulator.Options) *bench {
	t.Helper()
	return setupFleet(t, fleet.New(fleet.Options{}), o)
}

func setupFleet(t *testing.T, f *fleet.Fleet, o simulator.Options) *bench {
	t.Helper()
	o.Key = key()
	if o.Now == nil {
		o.Now = now
	}
	sim, err := simulator.New(f, o)
	if err != nil {
		t.Fatal(err)
	}
	url, stop, err := sim.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(stop)
	return &bench{fleet: f, sim: sim, url: url, settings: settingsFor(t, sim, url)}
}

func settingsFor(t *testing.T, sim *simulator.Server, url string) map[string]any {
	t.Helper()
	account, err := sim.ServiceAccount(url)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]any{
		"GOOGLE_API_SECRETS": json.RawMessage(account), "GOOGLE_API_USERNAME": sim.Admin(), "GOOGLE_API_ENDPOINT": url, "RETRIES": 0,
	}
}

// open gives a client of the plugin; more settings come on top.
func (b *bench) open(t *testing.T, more map[string]any, options ...sdktest.Option) *sdk.Client {
	t.Helper()
	settings := maps.Clone(b.settings)
	maps.Copy(settings, more)
	return sdktest.Open(t, google.PluginAt(now), settings, options...)
}

// answers serves canned answers by path, behind a token endpoint that accepts
// everything. What has no answer is an empty list.
func answers(t *testing.T, canned map[string]http.HandlerFunc) *bench {
	t.Helper()
	mux := http.NewServeMux()
	mux.HandleFunc("POST /token", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(`{"access_token":"ya29.canned","expires_in":3600,"token_type":"Bearer"}`))
	})
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(`{}`)) })
	for path, h := range canned {
		mux.HandleFunc(path, h)
	}
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	sim, err := simulator.New(fleet.New(fleet.Options{People: 1}), simulator.Options{Key: key()})
	if err != nil {
		t.Fatal(err)
	}
	return &bench{sim: sim, url: server.URL, settings: settingsFor(t, sim, server.URL)}
}

// says is a handler that always gives the same answer.
func says(body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) }
}

// pagesOf answers with one page after another by the page token: "" the first.
func pagesOf(bodies map[string]string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(bodies[r.URL.Query().Get("pageToken")]))
	}
}

const (
	mobilePath = "/admin/directory/v1/customer/my_customer/devices/mobile"
	chromePath = "/admin/directory/v1/customer/my_customer/devices/chromeos"
	usersPath  = "/admin/directory/v1/users"
	loginPath  = "/admin/reports/v1/activity/users/" + ada + "/applications/login"
)

// golden compares text with a golden file.
func golden(t *testing.T, file string, got any) {
	t.Helper()
	text, err := json.MarshalIndent(got, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, '\n')
	if *update {
		if err := os.WriteFile(file, text, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(want) != string(text) {
		t.Errorf("%s differs; run with -update and compare. Got:\n%s", file, text)
	}
}

// secretless fails when an error shows what must stay secret.
func secretless(t *testing.T, text string) {
	t.Helper()
	for _, secret := range []string{"PRIVATE KEY", "ya29.", "assertion", "gserviceaccount", "Bearer "} {
		if strings.Contains(text, secret) {
			t.Errorf("shows %q: %s", secret, text)
		}
	}
}
