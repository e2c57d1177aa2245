package api_test

import (
	"bytes"
	"context"
	"encoding/json"
	"flag"
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/postureproject/posture/adminevent"
	"github.com/postureproject/posture/batch"
	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/host/api"
	"github.com/postureproject/posture/host/auth"
	"github.com/postureproject/posture/host/httpserver"
	"github.com/postureproject/posture/host/recall"
	"github.com/postureproject/posture/host/scan"
	"github.com/postureproject/posture/host/supervise"
	"github.com/postureproject/posture/plugins/sdk"
	"github.com/postureproject/posture/practices"
)

var update = flag.Bool("update", false, "write the generated documents") //nolint:gochecknoglobals // a flag

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const (
	ada    = "ada@example.com"
	serial = "C02XG2JHJGH5"
	mac    = "00:1B:63:84:45:E6"
	key    = "a key that only this test knows, long enough"
)

func now() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

// source answers everything with what it has, beside its error.
type source struct {
	devices       []device.Device
	events        []device.Event
	accounts      []device.Account
	notifications []device.Notification
	err           error
	asked         func(ctx context.Context) // before each answer
}

func (s source) ask(ctx context.Context) error {
	if s.asked != nil {
		s.asked(ctx)
	}
	return s.err
}

func (s source) DevicesByEmail(ctx context.Context, _ string) ([]device.Device, error) {
	return s.devices, s.ask(ctx)
}

func (s source) DevicesByKeys(ctx context.Context, _ []string, _ []device.MAC) ([]device.Device, error) {
	return s.devices, s.ask(ctx)
}

func (s source) EventsByEmail(ctx context.Context, _ string) ([]device.Event, error) {
	return s.events, s.ask(ctx)
}

func (s source) AccountsByEmail(ctx context.Context, _ string) ([]device.Account, error) {
	return s.accounts, s.ask(ctx)
}

func (s source) NotificationsByEmail(ctx context.Context, _ string) ([]device.Notification, error) {
	return s.notifications, s.ask(ctx)
}

// offering makes a source of the pipeline that offers everything.
func offering(name string, s source) scan.Source {
	return scan.Source{
		Name: name, Ask: s, ByEmail: true, BySerial: true, ByMAC: true, Events: true, Accounts: true, Notifications: true,
		Practices: []string{"encryption"}, Software: true,
	}
}

// full gives a source with records whose every field is filled in.
func full(name string) source {
	raw := json.RawMessage(`{"as":"it came"}`)
	yes := device.Bool(true)
	d := device.Device{
		Name: "Ada’s Mac", Model: "MacBookPro18,1", Manufacturer: "Apple", Type: "Laptop", Serial: serial, Status: "In use",
		PhotoURL: "https://photos.example/1", UserAgent: "agent", Email: ada, Platform: "Mac", OS: "macOS", OSVersion: "26.1",
		OSBuild: "25B78", OSRelease: "Tahoe", LastSync: now().Add(-time.Hour), HWRelease: now().AddDate(-2, 0, 0),
		Identifiers: device.Identifiers{
			Serial: serial, UDID: "U-1", IMEI: "351451208401216", MEID: "A00000", GoogleDeviceID: "G-1", MACAddresses: []device.MAC{mac},
		},
		Practices: map[string]device.Practice{
			"encryption": {Value: yes, Details: "Macintosh HD", LastUpdated: now()}, "house_rule": {Value: device.Bool(false)}, "firewall": {},
		},
		Software: &device.Software{
			LastScan:  now(),
			Installed: []device.Application{{Name: "Falcon", Version: "7.1", Publisher: "CrowdStrike", InstallDate: now()}},
			Services:  []device.Service{{Name: "com.crowdstrike.falcond"}},
		},
		Source: name, Notes: []string{"an odd date was left out"}, Raw: raw,
	}
	again := d
	again.LastSync = now().Add(-2 * time.Hour)
	stale := device.Device{Serial: "OTHER" + name, LastSync: now().AddDate(-1, 0, 0), Source: name, Identifiers: device.Identifiers{Serial: "OTHER" + name, MACAddresses: []device.MAC{mac}}}
	return source{
		devices: []device.Device{d, again, stale, {Source: name}},
		events: []device.Event{{
			Source: name, Type: "login", Success: yes, Reason: "none", IPAddress: "192.0.2.1", Timestamp: now(), Username: "ada", Email: ada,
			Details: map[string]string{"browser": "<b>"}, VPN: yes, Raw: raw,
		}, {}},
		accounts: []device.Account{{
			Name: "Ada", Email: ada, Type: "user", Source: name, LastUpdated: now(), Date: "2026-02-28",
			UserUsage: map[string]any{"accounts:is_2sv_enrolled": true, "n": 1.5, "list": []any{"a"}}, Raw: raw,
		}, {}},
		notifications: []device.Notification{{ID: "n1", Index: "alerts", Source: raw, Plugin: name}, {ID: "n2"}},
	}
}

// posture is a host of a pipeline.
type posture struct {
	pipeline *scan.Pipeline
	answers  *recall.Recall
	keeper   *keeper
	recorder *adminevent.Recorder
	runs     batch.Viewer
	maxAge   time.Duration

	logsAccess bool
	looks      []recall.Look
	policy     auth.Policy
	mu         sync.Mutex
	sent       []device.Feedback
}

func (p *posture) Pipeline() *scan.Pipeline { return p.pipeline }

func (p *posture) Policy() auth.Policy { return p.policy }

func (p *posture) Answers() *recall.Recall { return p.answers }

func (p *posture) LookedUp(ctx context.Context, _ scan.Key, value string, outcomes []device.Outcome, _ recall.Asker) {
	p.recorder.RecordOutcomes(ctx, adminevent.Device(value), outcomes, adminevent.Context{AdHoc: true})
}

func (p *posture) LogsAccess() bool { return p.logsAccess }

func (p *posture) Accessed(_ context.Context, l recall.Look) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.looks = append(p.looks, l)
}
func (p *posture) MaxAge() time.Duration { return p.maxAge }

func (p *posture) AdminEvents() *adminevent.Recorder { return p.recorder }

func (p *posture) Runs() batch.Viewer { return p.runs }

func (p *posture) SendFeedback(_ context.Context, plugin string, f device.Feedback) error {
	if plugin != "jamf" {
		return fault.New(fault.NotFound, "no plugin %s", plugin)
	}
	p.mu.Lock()
	defer p.mu.Unlock()
	p.sent = append(p.sent, f)
	return nil
}

func (p *posture) PluginStatus() any {
	return []supervise.Status{
		{
			Name: "jamf", State: "ready", PID: 12, Since: now(), Restarts: 1, Breaker: "closed", LastError: "x", LastKind: "unavailable", LastRemedy: "try again later", LastErrorAt: now(), LastSuccess: now(), Path: "/bin/posture",
			Description: sdk.Description{
				Name: "jamf", Version: "1.0.0", Summary: "Macs", Capabilities: []sdk.Capability{sdk.CapDevicesByEmail},
				Practices: []string{"encryption"}, Platforms: []string{"Mac"}, Software: true,
			},
		},
		{Name: "new", State: "failed", Breaker: "open"},
	}
}

// keeper keeps answers in memory.
type keeper struct {
	mu   sync.Mutex
	kept map[string]device.Posture
	from map[string][]device.Collection
}

func (k *keeper) KeptPosture(_ context.Context, email string) (json.RawMessage, time.Time, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	p, ok := k.kept[email]
	if !ok {
		return nil, time.Time{}, fault.New(fault.NotFound, "never asked about")
	}
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false) // as the store keeps it
	err := e.Encode(p)
	return bytes.TrimSpace(b.Bytes()), p.GeneratedAt, err
}

func (k *keeper) Collections(_ context.Context, email string, _ ...string) ([]device.Collection, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.from[email], nil
}

func (k *keeper) SavePosture(_ context.Context, p device.Posture, collections []device.Collection) error {
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.kept == nil {
		k.kept, k.from = map[string]device.Posture{}, map[string][]device.Collection{}
	}
	k.kept[p.Email], k.from[p.Email] = p, collections
	return nil
}

// service is the API behind its frame, with its log.
type service struct {
	*posture
	table   []api.Line
	handler http.Handler
	log     *log
}

// log takes what is logged, from any goroutine.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

func serve(t *testing.T, policy auth.Policy, sources ...scan.Source) *service {
	t.Helper()
	rules, err := practices.New(json.RawMessage(`{"encryption":{"LINK":"https://help.example/encryption"}}`), practices.Options{})
	if err != nil {
		t.Fatal(err)
	}
	if policy.Now == nil {
		policy.Now = now
	}
	s := &service{log: &log{}, posture: &posture{policy: policy, pipeline: &scan.Pipeline{Sources: sources, Policy: rules, Now: now}}}
	logger := slog.New(slog.NewJSONHandler(s.log, &slog.HandlerOptions{Level: slog.LevelDebug}))
	s.keeper = &keeper{}
	s.recorder, s.runs = eventRecorder(t), threeRuns()
	s.answers = recall.New(t.Context(), recall.Options{
		Pipeline: s.Pipeline, Keeper: s.keeper, AtOnce: 4, Logger: logger, Now: now,
		Scanned: func(ctx context.Context, p *device.Posture, _ recall.Asker) {
			s.recorder.RecordPosture(ctx, *p, adminevent.Context{AdHoc: true})
		},
	})
	t.Cleanup(s.answers.Close)
	mux := http.NewServeMux()
	a := api.New(s.posture, logger, 4)
	a.Register(mux)
	s.table = a.Table()
	s.handler = httpserver.New(mux, httpserver.Options{
		Logger: logger, Registry: prometheus.NewRegistry(), Ready: func() error { return nil }, Version: "1.2.3",
	}).Handler()
	return s
}

// locked is a policy under which everybody needs a token.
func locked() auth.Policy {
	return auth.Policy{Key: []byte(key), Admins: []string{"Root@example.com"}}
}

// token makes a valid one.
func token(t *testing.T, subject string) string {
	t.Helper()
	made, err := auth.Mint([]byte(key), subject, time.Hour, now())
	if err != nil {
		t.Fatal(err)
	}
	return made
}

// do sends a request as somebody; an empty subject sends no token.
func (s *service) do(t *testing.T, method, path, subject, body string) *httptest.ResponseRecorder {
	t.Helper()
	r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(body))
	r.Host = "localhost:8443"
	if subject != "" {
		r.Header.Set("Authorization", "Bearer "+token(t, subject))
	}
	return s.send(r)
}

func (s *service) send(r *http.Request) *httptest.ResponseRecorder {
	w := httptest.NewRecorder()
	s.handler.ServeHTTP(w, r)
	return w
}

// failure is the shape of an error answer, of either kind.
type failure struct {
	Error   struct{ Code, Message, Field, Remedy string } `json:"error"`
	Code    int                                           // as google.rpc.Status says it
	Message string
}

func failureIn(t *testing.T, w *httptest.ResponseRecorder) failure {
	t.Helper()
	body, err := io.ReadAll(w.Result().Body)
	if err != nil {
		t.Fatal(err)
	}
	var f failure
	if err := json.Unmarshal(body, &f); err != nil || (f.Error.Code == "" || f.Error.Message == "") && (f.Code == 0 || f.Message == "") {
		t.Errorf("%d answer is not a JSON error: %q (%v)", w.Code, body, err)
	}
	if got := w.Header().Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type %q of an error", got)
	}
	return f
}

// concrete fills in a route's path.
func concrete(pattern string) (method, path string) {
	method, path, _ = strings.Cut(pattern, " ")
	return method, strings.NewReplacer("{email}", ada, "{serial}", serial, "{mac}", mac, "{plugin}", "jamf", "{id}", eventID(), "{run}", runID).Replace(path)
}
