package jamf_test

import (
	"flag"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"go.uber.org/goleak"

	"github.com/postureproject/posture/internal/simulator/fleet"
	simulator "github.com/postureproject/posture/internal/simulator/jamf"
	"github.com/postureproject/posture/plugins/jamf"
	"github.com/postureproject/posture/plugins/sdk"
	"github.com/postureproject/posture/plugins/sdk/sdktest"
)

var update = flag.Bool("update", false, "write the golden files") //nolint:gochecknoglobals // a flag

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

type object = map[string]any

const (
	password     = "s3cret-passw0rd"
	clientSecret = "s3cret-of-the-client"
)

// bundle is a simulated server and a client of the plugin that is set up for it.
type bundle struct {
	*sdk.Client
	fleet *fleet.Fleet
	sim   *simulator.Server
	url   string
}

// setup starts both. Settings go on top of an account's name and password.
func setup(t testing.TB, f fleet.Options, o simulator.Options, settings object, options ...sdktest.Option) *bundle {
	t.Helper()
	o.Password = password
	b := &bundle{fleet: fleet.New(f)}
	b.sim = simulator.New(b.fleet, o)
	server := httptest.NewServer(b.sim)
	t.Cleanup(server.Close)
	b.url = server.URL
	b.Client = open(t, server.URL+"/JSSResource", settings, options...)
	return b
}

func open(t testing.TB, url string, settings object, options ...sdktest.Option) *sdk.Client {
	t.Helper()
	all := object{"JAMF_API_HOSTADDR": url, "JAMF_API_USERNAME": "posture", "JAMF_API_PASSWORD": password, "RETRIES": 2}
	for k, v := range settings {
		if v == nil {
			delete(all, k)
		} else {
			all[k] = v
		}
	}
	return sdktest.Open(t, jamf.Plugin(), all, options...)
}

// serve answers log-ins, and every path of the table with its document; anything
// else is not found.
func serve(t testing.TB, documents map[string]string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/v1/auth/token" {
			_, _ = fmt.Fprint(w, `{"token":"t","expires":"2999-01-01T00:00:00Z"}`)
			return
		}
		for _, path := range []string{r.URL.EscapedPath() + "?" + r.URL.RawQuery, r.URL.EscapedPath()} {
			if body, ok := documents[path]; ok {
				_, _ = fmt.Fprint(w, body)
				return
			}
		}
		http.NotFound(w, r)
	}))
	t.Cleanup(server.Close)
	return server.URL
}

// golden compares with a file of testdata, or writes it.
func golden(t *testing.T, name string, got []byte) {
	t.Helper()
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.WriteFile(file, got, 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if string(got) != string(want) {
		t.Errorf("%s differs; run with -update and look at the difference. Got:\n%s", file, got)
	}
}

// noSecret fails when an error shows a secret.
func noSecret(t testing.TB, err error) {
	t.Helper()
	if err == nil {
		return
	}
	for _, secret := range []string{password, clientSecret, "simulated-token", "cG9zdHVyZTp"} {
		if text := fmt.Sprintf("%+v", err); strings.Contains(text, secret) {
			t.Errorf("the error shows a secret: %s", text)
		}
	}
}
