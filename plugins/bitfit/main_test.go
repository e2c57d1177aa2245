package bitfit_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/postureproject/posture/fault"
	sim "github.com/postureproject/posture/internal/simulator/bitfit"
	"github.com/postureproject/posture/internal/simulator/fleet"
	"github.com/postureproject/posture/plugins/bitfit"
	"github.com/postureproject/posture/plugins/sdk"
	"github.com/postureproject/posture/plugins/sdk/sdktest"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const token = "s3cret/t+ken"

// bench is a plugin in front of a simulated bitFit.
type bench struct {
	fleet  *fleet.Fleet
	server *sim.Server
	url    string
	client *sdk.Client
}

type benchOptions struct {
	sim      sim.Options
	people   int
	settings map[string]any
	sdk      []sdktest.Option
}

func setUp(t testing.TB, o benchOptions) *bench {
	t.Helper()
	b := &bench{fleet: fleet.New(fleet.Options{People: o.people})}
	if o.sim.Token == "" {
		o.sim.Token = token
	}
	b.server = sim.New(b.fleet, o.sim)
	server := httptest.NewServer(b.server)
	t.Cleanup(server.Close)
	b.url = server.URL + o.sim.Prefix
	settings := map[string]any{"BITFIT_API_TOKEN": token, "BITFIT_BASE_URL": b.url, "RETRIES": 1}
	for k, v := range o.settings {
		settings[k] = v
	}
	b.client = sdktest.Open(t, bitfit.Plugin(), settings, append([]sdktest.Option{sdktest.WithTimeout(time.Minute)}, o.sdk...)...)
	return b
}

// checkError fails the test unless err is of kind, tells its story and keeps
// the token to itself.
func checkError(t *testing.T, err error, kind fault.Kind, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	if got := fault.KindOf(err); got != kind {
		t.Errorf("kind is %v, want %v: %v", got, kind, err)
	}
	story := err.Error() + " | " + fault.RemedyOf(err)
	for _, part := range append(parts, "bitfit") {
		if !strings.Contains(story, part) {
			t.Errorf("error does not say %q: %s", part, story)
		}
	}
	checkNoToken(t, story)
}

func checkNoToken(t *testing.T, s string) {
	t.Helper()
	for _, form := range []string{token, "s3cret%2Ft%2Bken", "s3cret%2Ft+ken"} {
		if strings.Contains(s, form) {
			t.Errorf("the token shows in %s", s)
		}
	}
}

func golden(t *testing.T, name string, v any) {
	t.Helper()
	got, err := json.MarshalIndent(v, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	got = append(got, '\n')
	file := filepath.Join("testdata", name)
	if *update {
		if err := os.MkdirAll("testdata", 0o755); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(file, got, 0o644); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(file)
	if err != nil {
		t.Fatal(err)
	}
	if !bytes.Equal(got, want) {
		t.Errorf("%s differs; run with -update and look at the change. Got:\n%s", file, got)
	}
}
