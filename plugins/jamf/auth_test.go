package jamf_test

import (
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/internal/simulator/fleet"
	simulator "github.com/postureproject/posture/internal/simulator/jamf"
	"github.com/postureproject/posture/internal/simulator/simhttp"
	"github.com/postureproject/posture/plugins/jamf"
	"github.com/postureproject/posture/plugins/sdk"
	"github.com/postureproject/posture/plugins/sdk/sdktest"
)

const ada = "ada.lovelace@example.com"

// clock is a server's clock that the test moves.
type clock struct {
	mu sync.Mutex
	t  time.Time
}

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.t
}

func (c *clock) advance(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.t = c.t.Add(d)
}

func mustFindAda(t testing.TB, c *sdk.Client) {
	t.Helper()
	devices, err := c.DevicesByEmail(t.Context(), ada)
	if err != nil || len(devices) != 1 {
		t.Fatalf("%d devices, %v", len(devices), err)
	}
}

func TestAuth_oneLogInForAll(t *testing.T) {
	t.Parallel()
	b := setup(t, fleet.Options{}, simulator.Options{}, nil)
	b.sim.Faults.Add(simhttp.Fault{Path: regexp.MustCompile("auth/token"), Times: 1, Latency: 50 * time.Millisecond})
	var g errgroup.Group
	for range 20 {
		g.Go(func() error {
			_, err := b.DevicesByEmail(t.Context(), ada)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if n := b.sim.Issued(); n != 1 {
		t.Errorf("%d tokens, want 1", n)
	}
}

// A token that no longer holds is replaced once, for everybody, and nobody
// notices.
func TestAuth_revokedToken(t *testing.T) {
	t.Parallel()
	b := setup(t, fleet.Options{}, simulator.Options{}, nil)
	mustFindAda(t, b.Client)
	b.sim.Revoke()
	var g errgroup.Group
	for range 20 {
		g.Go(func() error {
			_, err := b.DevicesByEmail(t.Context(), ada)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	if n := b.sim.Issued(); n != 2 {
		t.Errorf("%d tokens, want 2", n)
	}
}

func TestAuth_expiredOnTheServer(t *testing.T) {
	t.Parallel()
	// The server's clock is years off, and runs ahead while ours stands still.
	server := &clock{t: time.Date(2031, 1, 1, 0, 0, 0, 0, time.UTC)}
	b := setup(t, fleet.Options{}, simulator.Options{Now: server.now}, nil)
	mustFindAda(t, b.Client)
	mustFindAda(t, b.Client)
	if n := b.sim.Issued(); n != 1 {
		t.Fatalf("%d tokens before the end of the first, want 1", n)
	}
	server.advance(time.Hour)
	mustFindAda(t, b.Client)
	if n := b.sim.Issued(); n != 2 {
		t.Errorf("%d tokens, want 2", n)
	}
}

func TestAuth_clientCredentials(t *testing.T) {
	t.Parallel()
	o := simulator.Options{ClientID: "posture-client", ClientSecret: clientSecret}
	client := object{"JAMF_API_CLIENT_ID": "posture-client", "JAMF_API_CLIENT_SECRET": clientSecret}
	alone := object{"JAMF_API_USERNAME": nil, "JAMF_API_PASSWORD": nil}
	for k, v := range client {
		alone[k] = v
	}
	b := setup(t, fleet.Options{}, o, alone)
	mustFindAda(t, b.Client)
	if n := b.sim.Faults.RequestsTo("/api/oauth/token"); n != 1 {
		t.Errorf("%d requests for a client's token", n)
	}
	detail, err := b.TestConnectivity(t.Context())
	if err != nil || !strings.Contains(detail, `API client "posture-client"`) {
		t.Errorf("connectivity: %q, %v", detail, err)
	}
	// With both, the client is preferred, and an older server gets the account.
	both := setup(t, fleet.Options{}, o, client)
	mustFindAda(t, both.Client)
	if n := both.sim.Faults.RequestsTo("/api/v1/auth/token"); n != 0 {
		t.Error("the account was used although there is a client")
	}
	old := setup(t, fleet.Options{}, simulator.Options{OldServer: true}, client)
	mustFindAda(t, old.Client)
}

func TestAuth_clientOnAServerThatKnowsNone(t *testing.T) {
	t.Parallel()
	b := setup(t, fleet.Options{}, simulator.Options{OldServer: true}, object{
		"JAMF_API_USERNAME": nil, "JAMF_API_PASSWORD": nil, "JAMF_API_CLIENT_ID": "posture-client", "JAMF_API_CLIENT_SECRET": clientSecret,
	})
	_, err := b.DevicesByEmail(t.Context(), ada)
	if err == nil || !strings.Contains(err.Error(), "no API clients") || !strings.Contains(fault.RemedyOf(err), "JAMF_API_USERNAME") {
		t.Errorf("got %v (%s)", err, fault.RemedyOf(err))
	}
	noSecret(t, err)
}

func TestAuth_passwordOnAnOldServer(t *testing.T) {
	t.Parallel()
	b := setup(t, fleet.Options{}, simulator.Options{OldServer: true}, nil)
	mustFindAda(t, b.Client)
	mustFindAda(t, b.Client)
	if n := b.sim.Faults.RequestsTo("/api/v1/auth/token"); n != 1 {
		t.Errorf("%d tries for a token, want 1", n)
	}
	detail, err := b.TestConnectivity(t.Context())
	if err != nil || !strings.Contains(detail, "Classic API") || !strings.Contains(detail, "no tokens") {
		t.Errorf("connectivity: %q, %v", detail, err)
	}
}

// A person without devices and an address without a Jamf Pro must not look alike.
func TestAuth_noJamfProThere(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.NotFoundHandler())
	t.Cleanup(server.Close)
	c := open(t, server.URL, nil)
	_, err := c.DevicesByEmail(t.Context(), ada)
	if fault.KindOf(err) != fault.BadResponse || !strings.Contains(fault.RemedyOf(err), "JAMF_API_HOSTADDR") {
		t.Errorf("got %v (%s)", err, fault.RemedyOf(err))
	}
}

func TestAuth_wrongCredentials(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name     string
		o        simulator.Options
		settings object
		who      string
	}{
		{"account", simulator.Options{}, object{"JAMF_API_USERNAME": "somebody"}, `account "somebody"`},
		{"old server", simulator.Options{OldServer: true}, object{"JAMF_API_USERNAME": "somebody"}, `account "somebody"`},
		{
			"client",
			simulator.Options{ClientID: "x", ClientSecret: "y"},
			object{"JAMF_API_CLIENT_ID": "posture-client", "JAMF_API_CLIENT_SECRET": clientSecret},
			`API client "posture-client"`,
		},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, fleet.Options{}, c.o, c.settings)
			_, err := b.DevicesByEmail(t.Context(), ada)
			if fault.KindOf(err) != fault.Unauthenticated || !strings.Contains(err.Error(), c.who) || fault.RemedyOf(err) == "" {
				t.Errorf("got %v (%s)", err, fault.RemedyOf(err))
			}
			noSecret(t, err)
			_, err = b.TestConnectivity(t.Context())
			if fault.KindOf(err) != fault.Unauthenticated {
				t.Errorf("connectivity: %v", err)
			}
			noSecret(t, err)
		})
	}
}

// A token that is refused at once is a failure, not a reason to log in for ever.
func TestAuth_refusedAtOnce(t *testing.T) {
	t.Parallel()
	b := setup(t, fleet.Options{}, simulator.Options{}, nil)
	b.sim.Faults.Add(simhttp.Fault{Path: regexp.MustCompile("JSSResource"), Status: 401})
	_, err := b.DevicesByEmail(t.Context(), ada)
	if fault.KindOf(err) != fault.Unauthenticated || !strings.Contains(fault.RemedyOf(err), `account "posture"`) {
		t.Errorf("got %v (%s)", err, fault.RemedyOf(err))
	}
	noSecret(t, err)
	if n := b.sim.Issued(); n != 1 {
		t.Errorf("%d tokens for one request, want 1", n)
	}
}

func TestAuth_oddTokens(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		body string
		ok   bool
	}{
		"no life given":      {`{"token":"simulated-token-00000000"}`, true},
		"life odd":           {`{"token":"t","expires":"soon"}`, true},
		"life in the past":   {`{"token":"t","expires":"2001-01-01T00:00:00Z"}`, true},
		"empty":              {`{}`, false},
		"null":               {`{"token":null,"expires":null}`, false},
		"a web page":         {`<html>simulated-token-00000000</html>`, false},
		"broken off":         {`{"token":"simulated-token-00000000`, false},
		"header in disguise": {`{"token":"a\r\nX-Evil: 1"}`, false},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
				if r.Method == http.MethodPost {
					_, _ = w.Write([]byte(c.body))
					return
				}
				_, _ = w.Write([]byte(mac(1, "")))
			}))
			t.Cleanup(server.Close)
			devices, err := open(t, server.URL, nil).DevicesByKeys(t.Context(), []string{"SERIAL1"}, nil)
			if c.ok != (err == nil && len(devices) == 1) || !c.ok && fault.KindOf(err) != fault.BadResponse {
				t.Errorf("%d devices, %v", len(devices), err)
			}
			noSecret(t, err)
		})
	}
}

func TestConfig(t *testing.T) {
	t.Parallel()
	good := object{"JAMF_API_HOSTADDR": "https://jamf.example.com", "JAMF_API_USERNAME": "u", "JAMF_API_PASSWORD": password}
	for _, c := range []struct {
		name    string
		change  object
		problem string // empty: none
	}{
		{"account", nil, ""},
		{"seconds of life in lower case", object{"jamf_email_match": "email"}, ""},
		{"no address", object{"JAMF_API_HOSTADDR": nil}, "JAMF_API_HOSTADDR"},
		{"another scheme", object{"JAMF_API_HOSTADDR": "ftp://jamf.example.com"}, "JAMF_API_HOSTADDR"},
		{"credentials in the address", object{"JAMF_API_HOSTADDR": "https://u:" + password + "@jamf.example.com"}, "JAMF_API_HOSTADDR"},
		{"a query in the address", object{"JAMF_API_HOSTADDR": "https://jamf.example.com/?a=b"}, "JAMF_API_HOSTADDR"},
		{"no host", object{"JAMF_API_HOSTADDR": "https:///JSSResource"}, "JAMF_API_HOSTADDR"},
		{"no credentials", object{"JAMF_API_USERNAME": nil, "JAMF_API_PASSWORD": nil}, "no credentials"},
		{"no password", object{"JAMF_API_PASSWORD": nil}, "JAMF_API_PASSWORD"},
		{"no user name", object{"JAMF_API_USERNAME": nil}, "JAMF_API_USERNAME"},
		{"half a client", object{"JAMF_API_CLIENT_ID": "c"}, "JAMF_API_CLIENT_SECRET"},
		{"other half of a client", object{"JAMF_API_CLIENT_SECRET": clientSecret}, "JAMF_API_CLIENT_ID"},
		{"odd match", object{"JAMF_EMAIL_MATCH": "guess"}, "JAMF_EMAIL_MATCH"},
		{"odd domain", object{"JAMF_EMAIL_DOMAINS": []string{"a@b"}}, "JAMF_EMAIL_DOMAINS"},
		{"unknown key", object{"JAMF_API_HOST": "x"}, "JAMF_API_HOST"},
		{"authority missing", object{"CA_FILE": "/no/such/file"}, "CA_FILE"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			settings := object{}
			for k, v := range good {
				settings[k] = v
			}
			for k, v := range c.change {
				if v == nil {
					delete(settings, k)
				} else {
					settings[k] = v
				}
			}
			err := configure(t, settings)
			noSecret(t, err)
			switch {
			case c.problem == "" && err != nil:
				t.Error(err)
			case c.problem != "" && (err == nil || fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), c.problem)):
				t.Errorf("got %v, want a complaint about %s", err, c.problem)
			}
		})
	}
}

func TestConfig_addressForms(t *testing.T) {
	t.Parallel()
	b := setup(t, fleet.Options{}, simulator.Options{}, nil)
	for _, suffix := range []string{"", "/", "/JSSResource", "/JSSResource/", "/jssresource//"} {
		mustFindAda(t, open(t, b.url+suffix, nil))
	}
	below := httptest.NewServer(http.StripPrefix("/jss", b.sim))
	t.Cleanup(below.Close)
	mustFindAda(t, open(t, below.URL+"/jss/JSSResource/", nil))
}

func configure(t *testing.T, settings object) error {
	t.Helper()
	return sdktestConfigure(t, sdktest.Dial(t, jamf.Plugin()), settings)
}
