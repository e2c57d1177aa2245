package duo_test

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"reflect"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/fault"
	sim "github.com/postureproject/posture/internal/simulator/duo"
	"github.com/postureproject/posture/internal/simulator/simhttp"
	"github.com/postureproject/posture/plugins/duo"
	"github.com/postureproject/posture/plugins/sdk"
	"github.com/postureproject/posture/plugins/sdk/sdktest"
)

// TestFailures has the first pull fail: the look-up says so, with what to do.
func TestFailures(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		sim         sim.Options
		fault       simhttp.Fault
		lookUp      fault.Kind
		connect     fault.Kind
		parts       []string
		connectOnly []string
	}{
		"wrong integration key": {
			sim: sim.Options{IntegrationKey: "DIOTHER", SecretKey: secret}, lookUp: fault.Unauthenticated, connect: fault.Unauthenticated,
			parts: []string{"40102", "DUO_INTEGRATION_KEY"},
		},
		"wrong secret key": {
			sim: sim.Options{IntegrationKey: integrationKey, SecretKey: "other"}, lookUp: fault.Unauthenticated, connect: fault.Unauthenticated,
			parts: []string{"40103", "DUO_SECRET_KEY"},
		},
		"wrong clock": {
			fault:  simhttp.Fault{Status: 401, Body: `{"stat":"FAIL","code":40105,"message":"Bad request timestamp"}`},
			lookUp: fault.Unauthenticated, connect: fault.Unauthenticated, parts: []string{"clock"},
		},
		"not granted": {
			sim: sim.Options{NoReadLog: true}, lookUp: fault.Forbidden, connect: fault.Forbidden, parts: []string{"40301", "Grant read log"},
		},
		"404":       {fault: simhttp.Fault{Status: 404}, lookUp: fault.Unavailable, connect: fault.BadResponse, parts: []string{"DUO_API_HOSTNAME"}},
		"400":       {fault: simhttp.Fault{Status: 400}, lookUp: fault.Unavailable, connect: fault.BadResponse, parts: []string{"400"}},
		"500":       {fault: simhttp.Fault{Status: 500}, lookUp: fault.Unavailable, connect: fault.Unavailable, parts: []string{"500"}},
		"429":       {fault: simhttp.Fault{Status: 429}, lookUp: fault.Unavailable, connect: fault.RateLimited, parts: []string{"429", "DUO_PULL_INTERVAL"}},
		"hangs up":  {fault: simhttp.Fault{Drop: true}, lookUp: fault.Unavailable, connect: fault.Unavailable},
		"malformed": {fault: simhttp.Fault{Body: `{"stat":"OK","response":{"authlogs":[`}, lookUp: fault.Unavailable, connect: fault.BadResponse, parts: []string{"JSON"}},
		"no log":    {fault: simhttp.Fault{Body: `{"stat":"FAIL","code":40002,"message":"Invalid"}`}, lookUp: fault.Unavailable, connect: fault.BadResponse, parts: []string{"40002"}},
		"too large": {fault: simhttp.Fault{Huge: 33 << 20}, lookUp: fault.Unavailable, connect: fault.BadResponse, parts: []string{"larger than"}},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setUp(t, benchOptions{sim: tt.sim, wait: time.Hour, prepare: func(b *bench) {
				if !reflect.ValueOf(tt.fault).IsZero() {
					b.server.Faults.Add(tt.fault)
				}
			}})
			_, err := b.client.TestConnectivity(t.Context())
			checkError(t, err, tt.connect, append(tt.parts, "read authentication log")...)
			events, err := b.client.EventsByEmail(t.Context(), b.fleet.Person(0).Email)
			checkError(t, err, tt.lookUp, append(tt.parts, "events", b.fleet.Person(0).Email, "not complete yet")...)
			if len(events) != 0 {
				t.Errorf("got %d events", len(events))
			}
		})
	}
}

// TestSlow has Duo not answer: look-up and test give up in time.
func TestSlow(t *testing.T) {
	t.Parallel()
	tests := map[string]http.HandlerFunc{
		"hangs": func(_ http.ResponseWriter, r *http.Request) { <-r.Context().Done() },
		"never ends": func(w http.ResponseWriter, r *http.Request) {
			tick := time.NewTicker(10 * time.Millisecond)
			defer tick.Stop()
			for r.Context().Err() == nil {
				_, _ = io.WriteString(w, " ")
				_ = http.NewResponseController(w).Flush()
				<-tick.C
			}
		},
	}
	for name, handler := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			web := httptest.NewServer(handler)
			t.Cleanup(web.Close)
			client := sdktest.Open(t, duo.PluginAt(time.Now, time.Hour), map[string]any{
				"DUO_INTEGRATION_KEY": integrationKey, "DUO_SECRET_KEY": secret, "DUO_API_HOSTNAME": web.URL,
			})
			ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			_, err := client.EventsByEmail(ctx, "ada@example.com")
			checkError(t, err, fault.Unavailable, "has read nothing so far")
			ctx, cancel = context.WithTimeout(t.Context(), 2*time.Second)
			defer cancel()
			_, err = client.TestConnectivity(ctx)
			checkError(t, err, fault.Timeout, "TIMEOUT")
		})
	}
}

// TestWaitsForFirstPull has a look-up wait for the first pull, which takes its time.
func TestWaitsForFirstPull(t *testing.T) {
	t.Parallel()
	b := setUp(t, benchOptions{settings: map[string]any{"DUO_FIRST_PULL": "48h"}, prepare: func(b *bench) {
		b.server.Faults.Add(simhttp.Fault{Latency: 300 * time.Millisecond, Times: 1})
	}})
	if len(b.events(b.fleet.Person(0).Email)) == 0 {
		t.Error("no events")
	}
}

// While the first pull hangs, a run over everybody waits for it once, not once for
// each person.
func TestWaitsOnce(t *testing.T) {
	t.Parallel()
	b := setUp(t, benchOptions{prepare: func(b *bench) { b.server.Faults.Add(simhttp.Fault{Hang: true}) }})
	const limit = 2 * time.Second
	source := b.open(b.plugin, limit)
	defer source.Close()
	began := time.Now()
	const people = 20 // who would wait 30 s one after the other
	for i := range people {
		_, err := source.EventsByEmail(t.Context(), fmt.Sprintf("p%d@example.com", i))
		checkError(t, err, fault.Unavailable, "has read nothing so far")
	}
	if took := time.Since(began); took > people*limit/3 {
		t.Errorf("%d people waited %s together", people, took)
	}
}

// TestPartial has the first pull stop in its middle: what is there is given,
// with the reason why it is not all.
func TestPartial(t *testing.T) {
	t.Parallel()
	b := setUp(t, benchOptions{
		sim: sim.Options{Days: 20}, settings: map[string]any{"DUO_FIRST_PULL": "4320h"}, wait: time.Hour,
		prepare: func(b *bench) {
			b.server.Faults.Add(simhttp.Fault{Latency: time.Nanosecond, Times: 3}) // three pages
			b.server.Faults.Add(simhttp.Fault{Status: 429, RetryAfter: "1800"})
		},
	})
	detail, err := b.client.TestConnectivity(t.Context())
	if err != nil || !strings.Contains(detail, "as fast as Duo allows") {
		t.Errorf("test says %q and error %v", detail, err)
	}
	events, err := b.client.EventsByEmail(t.Context(), b.fleet.Person(0).Email)
	checkError(t, err, fault.Unavailable, "not complete yet", "429")
	if len(events) == 0 || fault.RetryAfterOf(err) != 30*time.Minute {
		t.Errorf("got %d events, try again after %v", len(events), fault.RetryAfterOf(err))
	}
	if got := len(b.stored()); got != 3*duo.PageSize {
		t.Errorf("%d events are stored, want %d", got, 3*duo.PageSize)
	}
}

// TestStorm has Duo refuse most requests; the pull gets through all the same,
// and asks for no page twice.
func TestStorm(t *testing.T) {
	t.Parallel()
	b := setUp(t, benchOptions{
		sim: sim.Options{Days: 20}, settings: map[string]any{"DUO_FIRST_PULL": "4320h"},
		prepare: func(b *bench) {
			for range 5 {
				b.server.Faults.Add(simhttp.Fault{Status: 429, Times: 3})
				b.server.Faults.Add(simhttp.Fault{Latency: time.Nanosecond, Times: 1}) // one page
				b.server.Faults.Add(simhttp.Fault{Status: 500, Times: 2})
				b.server.Faults.Add(simhttp.Fault{Drop: true, Times: 1})
			}
		},
	})
	await(t, func() bool { return len(b.stored()) == b.server.Len() })
	if diff := cmp.Diff(b.logins(20), b.stored()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if got, want := b.server.Faults.Requests(), b.pages()+30; got != want {
		t.Errorf("%d requests, want %d: each page once, and thirty failures", got, want)
	}
}

// await looks again and again until done holds.
func await(t *testing.T, done func() bool) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
	defer cancel()
	tick := time.NewTicker(10 * time.Millisecond)
	defer tick.Stop()
	for !done() {
		select {
		case <-tick.C:
		case <-ctx.Done():
			t.Fatal("it did not come about")
		}
	}
}

// TestStale has the pulls fail after the first one.
func TestStale(t *testing.T) {
	t.Parallel()
	b := setUp(t, benchOptions{settings: map[string]any{"DUO_FIRST_PULL": "48h", "DUO_PULL_INTERVAL": "10m"}, wait: time.Hour})
	email := b.fleet.Person(0).Email
	want := b.events(email)
	b.server.Faults.Add(simhttp.Fault{Status: 503})
	b.clock.add(10 * time.Minute)
	_, err := b.client.TestConnectivity(t.Context())
	checkError(t, err, fault.Unavailable, "503")
	b.clock.add(21 * time.Minute)
	if diff := cmp.Diff(want, b.events(email)); diff != "" {
		t.Errorf("(-first +later):\n%s", diff)
	}
	b.clock.add(2 * time.Minute)
	got, err := b.client.EventsByEmail(t.Context(), email)
	checkError(t, err, fault.Unavailable, "out of date", "2026-06-01T12:00:00Z", "503", email)
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-first +later):\n%s", diff)
	}
	b.server.Faults.Clear()
	b.pull()
	b.events(email)
}

// TestRestartedStale has a look-up after a long pause wait for the pull that
// makes up for it.
func TestRestartedStale(t *testing.T) {
	t.Parallel()
	b := setUp(t, benchOptions{})
	b.pull()
	b.clock.add(48 * time.Hour)
	b.server.Add(b.event("meanwhile", "ada", "ada@example.com", 24*time.Hour))
	b.server.Faults.Add(simhttp.Fault{Latency: 300 * time.Millisecond, Times: 1})
	again := sdktest.Open(t, b.plugin, b.settings, sdktest.WithJournal(b.journal))
	events, err := again.EventsByEmail(t.Context(), "ada@example.com")
	if err != nil || len(events) != 1 {
		t.Errorf("got %d events and error %v", len(events), err)
	}
}

// TestClockPutBack has the machine's clock be a day ahead for one pull. Duo's
// own clock keeps the mark from running ahead of the log; without it, the newest
// event does.
func TestClockPutBack(t *testing.T) {
	t.Parallel()
	for name, toldTime := range map[string]bool{"Duo tells the time": true, "Duo's clock is as wrong": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			truth, wrong := &clock{}, &clock{}
			now := truth.now
			if !toldTime {
				now = wrong.now
			}
			b := setUp(t, benchOptions{sim: sim.Options{Now: now}, prepare: func(b *bench) {
				truth.set(b.clock.now())
				b.clock.add(24 * time.Hour)
				wrong.set(b.clock.now())
				b.server.Add(b.event("first", "ada", "ada@example.com", 25*time.Hour))
			}, settings: map[string]any{"DUO_FIRST_PULL": "48h"}})
			b.pull()
			b.clock.add(-23 * time.Hour)
			wrong.add(-23 * time.Hour)
			truth.add(time.Hour)
			b.server.Add(b.event("after", "ada", "ada@example.com", 30*time.Minute))
			b.pull()
			if stored := b.stored(); stored["first"] != 1 || stored["after"] != 1 {
				t.Errorf("first %d times, after %d times", stored["first"], stored["after"])
			}
		})
	}
}

// TestCircle has the pages go round in a circle.
func TestCircle(t *testing.T) {
	t.Parallel()
	for name, period := range map[string]int{"the same page": 1, "two pages": 2} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			requests := 0
			web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
				requests++
				_, _ = fmt.Fprintf(w, `{"stat":"OK","response":{"authlogs":[],"metadata":{"next_offset":["1780216200000","%d"]}}}`, requests%period)
			}))
			t.Cleanup(web.Close)
			plugin := duo.PluginAt(time.Now, time.Hour)
			client := sdktest.Open(t, plugin, map[string]any{"DUO_INTEGRATION_KEY": "a", "DUO_SECRET_KEY": secret, "DUO_API_HOSTNAME": web.URL})
			_, err := client.TestConnectivity(t.Context())
			checkError(t, err, fault.BadResponse, "circle")
			// Once, or twice when the first pull was over before the test asked.
			if pulls := requests / (period + 1); requests%(period+1) != 0 || pulls < 1 || pulls > 2 {
				t.Errorf("%d requests, want %d for each pull", requests, period+1)
			}
		})
	}
}

// TestForgottenOffset has Duo refuse an offset of an earlier attempt.
func TestForgottenOffset(t *testing.T) {
	t.Parallel()
	b := setUp(t, benchOptions{
		sim: sim.Options{Days: 20}, settings: map[string]any{"DUO_FIRST_PULL": "4320h"},
		prepare: func(b *bench) {
			b.server.Faults.Add(simhttp.Fault{Latency: time.Nanosecond, Times: 2})
			b.server.Faults.Add(simhttp.Fault{Status: 500, Times: 1})
			b.server.Faults.Add(simhttp.Fault{Status: 400, Body: `{"stat":"FAIL","code":40002,"message":"Invalid request parameters"}`, Times: 1})
		},
	})
	await(t, func() bool { return b.server.Faults.Requests() >= 4 })
	// The attempt that was refused waits for the interval, unless asked.
	await(t, func() bool {
		_, err := b.client.TestConnectivity(t.Context())
		return err == nil
	})
	if diff := cmp.Diff(b.logins(20), b.stored()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
}

func TestUnreachable(t *testing.T) {
	t.Parallel()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	address := listener.Addr().String()
	_ = listener.Close()
	client := sdktest.Open(t, duo.PluginAt(time.Now, time.Hour), map[string]any{
		"DUO_INTEGRATION_KEY": integrationKey, "DUO_SECRET_KEY": secret, "DUO_API_HOSTNAME": "http://" + address,
	})
	_, err = client.TestConnectivity(t.Context())
	checkError(t, err, fault.Unavailable, "refused")
}

func TestTLS(t *testing.T) {
	t.Parallel()
	b := setUp(t, benchOptions{})
	web := httptest.NewUnstartedServer(b.server)
	web.Config.ErrorLog = log.New(io.Discard, "", 0)
	web.StartTLS()
	t.Cleanup(web.Close)
	// A host name with a port means HTTPS.
	b.settings["DUO_API_HOSTNAME"] = web.Listener.Addr().String()
	plugin := duo.PluginAt(b.clock.now, time.Hour)
	_, err := sdktest.Open(t, plugin, b.settings).TestConnectivity(t.Context())
	checkError(t, err, fault.Unavailable, "CA_FILE")

	file := filepath.Join(t.TempDir(), "ca.pem")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: web.Certificate().Raw})
	if err := os.WriteFile(file, certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	b.settings["CA_FILE"] = file
	if _, err := sdktest.Open(t, plugin, b.settings).TestConnectivity(t.Context()); err != nil {
		t.Errorf("with CA_FILE: %v", err)
	}
}

// TestNoSecretInLog has pulls fail in every way and reads the log.
func TestNoSecretInLog(t *testing.T) {
	t.Parallel()
	b := setUp(t, benchOptions{})
	text, err := json.Marshal(b.settings)
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range []simhttp.Fault{{Status: 401}, {Status: 403}, {Status: 500}, {Drop: true}, {Status: 429}, {Body: "x"}} {
		var buffer lockedBuffer
		b.server.Faults.Clear()
		b.server.Faults.Add(f)
		instance, err := b.plugin.Open(t.Context(), text, sdk.Env{
			Logger: slog.New(slog.NewTextHandler(&buffer, &slog.HandlerOptions{Level: slog.LevelDebug})), Timeout: time.Second, Concurrency: 1,
			Debug: true, Journal: sdktest.NewJournal(),
		})
		if err != nil {
			t.Fatal(err)
		}
		source, ok := instance.(*duo.Source)
		if !ok {
			t.Fatalf("the instance is a %T", instance)
		}
		if _, err := source.TestConnectivity(t.Context()); err != nil {
			checkNoSecret(t, err.Error())
		}
		for end := time.Now().Add(10 * time.Second); buffer.String() == "" && time.Now().Before(end); {
			time.Sleep(time.Millisecond) // the log is pulled in the background
		}
		source.Close()
		if !strings.Contains(buffer.String(), "pulling the authentication log failed") {
			t.Errorf("the log does not tell of the failure: %s", buffer.String())
		}
		checkNoSecret(t, buffer.String())
	}
}

// lockedBuffer is read while it is written to.
type lockedBuffer struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (b *lockedBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.Write(p)
}

func (b *lockedBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.text.String()
}
