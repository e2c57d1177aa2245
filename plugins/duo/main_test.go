package duo_test

import (
	"bytes"
	"encoding/json"
	"flag"
	"net/http/httptest"
	"net/url"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	sim "github.com/postureproject/posture/internal/simulator/duo"
	"github.com/postureproject/posture/internal/simulator/fleet"
	"github.com/postureproject/posture/plugins/duo"
	"github.com/postureproject/posture/plugins/sdk"
	"github.com/postureproject/posture/plugins/sdk/sdktest"
)

var update = flag.Bool("update", false, "write the golden files anew")

func TestMain(m *testing.M) {
	if settings := os.Getenv(childKey); settings != "" {
		runChild(settings)
		return
	}
	goleak.VerifyTestMain(m)
}

const (
	integrationKey = "DIABCDEFGHIJKLMNOPQR"
	secret         = "s3cret/k+y"
	shortWait      = time.Millisecond
)

// clock is a clock that a test moves.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) set(at time.Time) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = at
}

func (c *clock) add(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// bench is a plugin in front of a simulated Duo, with one clock for both.
type bench struct {
	t        testing.TB
	fleet    *fleet.Fleet
	clock    *clock
	server   *sim.Server
	settings map[string]any
	journal  *sdktest.Journal
	plugin   sdk.Plugin
	client   *sdk.Client
}

type benchOptions struct {
	people   int
	sim      sim.Options
	settings map[string]any
	wait     time.Duration // the first wait after a failure; short when zero
	prepare  func(*bench)  // before the plugin starts
	sdk      []sdktest.Option
}

func setUp(t testing.TB, o benchOptions) *bench {
	t.Helper()
	b := &bench{t: t, fleet: fleet.New(fleet.Options{People: o.people, Now: time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)}), journal: sdktest.NewJournal()}
	b.clock = &clock{at: b.fleet.Now()}
	if o.sim.Now == nil {
		o.sim.Now = b.clock.now
	}
	if o.sim.IntegrationKey == "" {
		o.sim.IntegrationKey, o.sim.SecretKey = integrationKey, secret
	}
	b.server = sim.New(b.fleet, o.sim)
	web := httptest.NewServer(b.server)
	t.Cleanup(web.Close)
	// The interval is long, so that each pull is one that the test asks for.
	b.settings = map[string]any{
		"DUO_INTEGRATION_KEY": integrationKey, "DUO_SECRET_KEY": secret, "DUO_API_HOSTNAME": web.URL, "DUO_PULL_INTERVAL": "1h",
	}
	for k, v := range o.settings {
		b.settings[k] = v
	}
	if o.wait == 0 {
		o.wait = shortWait
	}
	b.plugin = duo.PluginAt(b.clock.now, o.wait)
	if o.prepare != nil {
		o.prepare(b)
	}
	b.client = sdktest.Open(t, b.plugin, b.settings, append(o.sdk, sdktest.WithJournal(b.journal), sdktest.WithTimeout(time.Minute))...)
	return b
}

// log is the name of the log in the journal.
func (b *bench) log() string {
	u, err := url.Parse(b.settings["DUO_API_HOSTNAME"].(string))
	if err != nil {
		b.t.Fatal(err)
	}
	return u.Host
}

// pull has the plugin read the log to its end.
func (b *bench) pull() {
	b.t.Helper()
	if _, err := b.client.TestConnectivity(b.t.Context()); err != nil {
		b.t.Fatalf("pull: %v", err)
	}
}

// events gives a person's events, of which there must be no doubt.
func (b *bench) events(email string) []device.Event {
	b.t.Helper()
	events, err := b.client.EventsByEmail(b.t.Context(), email)
	if err != nil {
		b.t.Fatalf("events of %s: %v", email, err)
	}
	return events
}

// stored gives the ids of all stored events.
func (b *bench) stored() map[string]int {
	b.t.Helper()
	ids := b.journal.IDs(b.log())
	counts := make(map[string]int, len(ids))
	for _, id := range ids {
		counts[id]++
	}
	return counts
}

// logins gives the ids of everybody's log-ins of some days.
func (b *bench) logins(days int) map[string]int {
	counts := map[string]int{}
	for i := range b.fleet.Len() {
		for _, l := range b.fleet.Logins(b.fleet.Person(i), days) {
			counts[l.ID]++
		}
	}
	return counts
}

// pages is how many pages the whole log has.
func (b *bench) pages() int { return (b.server.Len() + duo.PageSize - 1) / duo.PageSize }

// event is a log entry of somebody, at a time before now.
func (b *bench) event(id, user, email string, ago time.Duration) sim.Event {
	return sim.Event{ID: id, At: b.clock.now().Add(-ago), User: user, Email: email, IP: "192.0.2.1", Success: true, Reason: "user_approved", Factor: "duo_push"}
}

// checkError fails the test unless err is of kind, tells its story and keeps
// the secret to itself.
func checkError(t *testing.T, err error, kind fault.Kind, parts ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	if got := fault.KindOf(err); got != kind {
		t.Errorf("kind is %v, want %v: %v", got, kind, err)
	}
	story := err.Error() + " | " + fault.RemedyOf(err)
	for _, part := range append(parts, "duo") {
		if !strings.Contains(story, part) {
			t.Errorf("error does not say %q: %s", part, story)
		}
	}
	checkNoSecret(t, story)
}

func checkNoSecret(t *testing.T, s string) {
	t.Helper()
	for _, form := range []string{secret, url.QueryEscape(secret)} {
		if strings.Contains(s, form) {
			t.Errorf("the secret shows in %s", s)
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
