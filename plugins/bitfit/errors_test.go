package bitfit_test

import (
	"bytes"
	"context"
	"encoding/json"
	"encoding/pem"
	"io"
	"log"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	sim "github.com/postureproject/posture/internal/simulator/bitfit"
	"github.com/postureproject/posture/internal/simulator/fleet"
	"github.com/postureproject/posture/internal/simulator/simhttp"
	"github.com/postureproject/posture/plugins/bitfit"
	"github.com/postureproject/posture/plugins/sdk"
	"github.com/postureproject/posture/plugins/sdk/sdktest"
)

func TestConfiguration(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		settings map[string]any
		part     string
	}{
		"no token":       {map[string]any{"BITFIT_BASE_URL": "https://api.bitfit.com"}, "BITFIT_API_TOKEN"},
		"no address":     {map[string]any{"BITFIT_API_TOKEN": token}, "BITFIT_BASE_URL"},
		"no scheme":      {map[string]any{"BITFIT_API_TOKEN": token, "BITFIT_BASE_URL": "api.bitfit.com"}, "https://"},
		"other scheme":   {map[string]any{"BITFIT_API_TOKEN": token, "BITFIT_BASE_URL": "ftp://api.bitfit.com"}, "https://"},
		"no host":        {map[string]any{"BITFIT_API_TOKEN": token, "BITFIT_BASE_URL": "https:///v1"}, "name a host"},
		"not an address": {map[string]any{"BITFIT_API_TOKEN": token, "BITFIT_BASE_URL": "https://%zz"}, "is not an address"},
		"with a query":   {map[string]any{"BITFIT_API_TOKEN": token, "BITFIT_BASE_URL": "https://a.example.com/?api_token=" + token}, "query"},
		"with a user":    {map[string]any{"BITFIT_API_TOKEN": token, "BITFIT_BASE_URL": "https://x:pa55@a.example.com/"}, "user"},
		"no such file":   {map[string]any{"BITFIT_API_TOKEN": token, "BITFIT_BASE_URL": "https://a.example.com/", "CA_FILE": "/nowhere.pem"}, "CA_FILE"},
		"unknown key":    {map[string]any{"BITFIT_API_TOKEN": token, "BITFIT_BASE_URL": "https://a.example.com/", "BITFIT_X": 1}, "BITFIT_X"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			text, err := json.Marshal(tt.settings)
			if err != nil {
				t.Fatal(err)
			}
			err = sdktest.Dial(t, bitfit.Plugin()).Configure(t.Context(), sdk.Configuration{Config: text, Timeout: time.Second, Concurrency: 1})
			checkError(t, err, fault.Invalid, tt.part)
		})
	}
}

func TestErrors(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		fault    simhttp.Fault
		kind     fault.Kind
		part     string
		requests int
	}{
		"400":               {simhttp.Fault{Status: 400}, fault.BadResponse, "400", 1},
		"401":               {simhttp.Fault{Status: 401, Body: token}, fault.Unauthenticated, "BITFIT_API_TOKEN", 1},
		"403":               {simhttp.Fault{Status: 403}, fault.Forbidden, "permission", 1},
		"404":               {simhttp.Fault{Status: 404}, fault.BadResponse, "BITFIT_BASE_URL", 1},
		"429":               {simhttp.Fault{Status: 429}, fault.RateLimited, "429", 2},
		"429 and wait long": {simhttp.Fault{Status: 429, RetryAfter: "3600"}, fault.RateLimited, "429", 1},
		"500":               {simhttp.Fault{Status: 500}, fault.Unavailable, "500", 2},
		"hangs up":          {simhttp.Fault{Drop: true}, fault.Unavailable, "", 2},
		"malformed":         {simhttp.Fault{Body: `{"items":[`}, fault.BadResponse, "JSON", 1},
		"a web page":        {simhttp.Fault{Body: `<html>` + token}, fault.BadResponse, "JSON", 1},
		"too large":         {simhttp.Fault{Huge: 17 << 20}, fault.BadResponse, "larger than", 1},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setUp(t, benchOptions{})
			b.server.Faults.Add(tt.fault)
			devices, err := b.client.DevicesByEmail(t.Context(), b.fleet.Person(0).Email)
			if len(devices) != 0 {
				t.Errorf("got %d devices", len(devices))
			}
			checkError(t, err, tt.kind, "search users", b.fleet.Person(0).Email, tt.part)
			if got := b.server.Faults.Requests(); got != tt.requests {
				t.Errorf("%d requests, want %d", got, tt.requests)
			}
			b.server.Faults.Clear()
			b.server.Faults.Add(tt.fault)
			_, err = b.client.TestConnectivity(t.Context())
			checkError(t, err, tt.kind, tt.part)
		})
	}
}

// TestTruncated has an answer break off in its middle.
func TestTruncated(t *testing.T) {
	t.Parallel()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "1000")
		_, _ = io.WriteString(w, `{"items":[`)
	}))
	t.Cleanup(server.Close)
	client := sdktest.Open(t, bitfit.Plugin(), map[string]any{"BITFIT_API_TOKEN": token, "BITFIT_BASE_URL": server.URL, "RETRIES": 0})
	_, err := client.DevicesByEmail(t.Context(), "ada@example.com")
	checkError(t, err, fault.BadResponse, "search users", "broke off")
}

func TestTokens(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		sim  sim.Options
		kind fault.Kind
	}{
		"wrong":   {sim.Options{Token: "another"}, fault.Unauthenticated},
		"expired": {sim.Options{Token: "another", Expired: token}, fault.Unauthenticated},
		"limited": {sim.Options{Token: "another", Limited: token}, fault.Forbidden},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setUp(t, benchOptions{sim: tt.sim})
			_, err := b.client.DevicesByEmail(t.Context(), b.fleet.Person(0).Email)
			checkError(t, err, tt.kind, "BITFIT_API_TOKEN")
			err = b.client.ListDevices(t.Context(), 1e10, func([]device.Device) error { return nil })
			checkError(t, err, tt.kind, "BITFIT_API_TOKEN")
		})
	}
}

func TestRetries(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]simhttp.Fault{
		"500":             {Status: 500, Times: 1},
		"429 and wait":    {Status: 429, RetryAfter: "0", Times: 1},
		"429":             {Status: 429, Times: 1},
		"broken off once": {Drop: true, Times: 1},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setUp(t, benchOptions{})
			b.server.Faults.Add(f)
			devices, err := b.client.DevicesByEmail(t.Context(), b.fleet.Person(0).Email)
			if err != nil || len(devices) != 4 {
				t.Errorf("got %d devices and error %v", len(devices), err)
			}
		})
	}
}

func TestSlow(t *testing.T) {
	t.Parallel()
	for name, f := range map[string]simhttp.Fault{"hangs": {Hang: true}, "never ends": {Endless: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setUp(t, benchOptions{sdk: []sdktest.Option{sdktest.WithTimeout(300 * time.Millisecond)}})
			b.server.Faults.Add(f)
			_, err := b.client.DevicesByEmail(t.Context(), b.fleet.Person(0).Email)
			checkError(t, err, fault.Timeout, "TIMEOUT")
		})
	}
}

// TestSlowAsset checks that the other assets are there although the whole
// look-up's deadline passed for one of them.
func TestSlowAsset(t *testing.T) {
	t.Parallel()
	b := setUp(t, benchOptions{sdk: []sdktest.Option{sdktest.WithTimeout(500 * time.Millisecond)}, settings: map[string]any{"RETRIES": 0}})
	b.server.Faults.Add(simhttp.Fault{Path: regexp.MustCompile(`^/assets/1$`), Hang: true})
	devices, err := b.client.DevicesByEmail(t.Context(), b.fleet.Person(0).Email)
	checkError(t, err, fault.Timeout, "1 of 4")
	if len(devices) != 3 {
		t.Errorf("got %d devices, want three", len(devices))
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
	client := sdktest.Open(t, bitfit.Plugin(), map[string]any{"BITFIT_API_TOKEN": token, "BITFIT_BASE_URL": "http://" + address, "RETRIES": 0})
	_, err = client.DevicesByEmail(t.Context(), "ada@example.com")
	checkError(t, err, fault.Unavailable, "refused", "search users", "ada@example.com")
}

func TestTLS(t *testing.T) {
	t.Parallel()
	server := httptest.NewUnstartedServer(sim.New(fleet.New(fleet.Options{}), sim.Options{Token: token}))
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	settings := map[string]any{"BITFIT_API_TOKEN": token, "BITFIT_BASE_URL": server.URL}
	_, err := sdktest.Open(t, bitfit.Plugin(), settings).TestConnectivity(t.Context())
	checkError(t, err, fault.Unavailable, "CA_FILE")

	file := filepath.Join(t.TempDir(), "ca.pem")
	certificate := pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})
	if err := os.WriteFile(file, certificate, 0o600); err != nil {
		t.Fatal(err)
	}
	settings["CA_FILE"] = file
	if _, err := sdktest.Open(t, bitfit.Plugin(), settings).TestConnectivity(t.Context()); err != nil {
		t.Errorf("with CA_FILE: %v", err)
	}
}

// TestRedirect checks that a redirect does not tell the token to another host,
// and that a malformed one, which net/http quotes, does not show it.
func TestRedirect(t *testing.T) {
	t.Parallel()
	leaked := make(chan string, 10)
	other := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		leaked <- r.URL.String() + " " + r.Referer()
		_, _ = io.WriteString(w, `{"items":[]}`)
	}))
	t.Cleanup(other.Close)
	location := other.URL + "/elsewhere"
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasSuffix(location, "%zz") {
			w.Header().Set("Location", "http://%zz/?"+r.URL.RawQuery)
			w.WriteHeader(http.StatusFound)
			return
		}
		http.Redirect(w, r, location, http.StatusFound)
	}))
	t.Cleanup(server.Close)
	settings := map[string]any{"BITFIT_API_TOKEN": token, "BITFIT_BASE_URL": server.URL, "RETRIES": 0}
	client := sdktest.Open(t, bitfit.Plugin(), settings)
	if _, err := client.TestConnectivity(t.Context()); err != nil {
		t.Error(err)
	}
	checkNoToken(t, <-leaked)
	location = "%zz"
	_, err := client.TestConnectivity(t.Context())
	checkError(t, err, fault.Unavailable, "")
}

// TestNoTokenInLog runs look-ups that fail in every way and reads the log.
func TestNoTokenInLog(t *testing.T) {
	t.Parallel()
	var buffer bytes.Buffer
	server := sim.New(fleet.New(fleet.Options{}), sim.Options{Token: token})
	web := httptest.NewServer(server)
	t.Cleanup(web.Close)
	text, err := json.Marshal(map[string]any{"BITFIT_API_TOKEN": token, "BITFIT_BASE_URL": web.URL, "RETRIES": 1})
	if err != nil {
		t.Fatal(err)
	}
	instance, err := bitfit.Plugin().Open(t.Context(), text, sdk.Env{
		Logger: slog.New(slog.NewTextHandler(&buffer, &slog.HandlerOptions{Level: slog.LevelDebug})), Timeout: 300 * time.Millisecond, Concurrency: 2, Debug: true,
	})
	if err != nil {
		t.Fatal(err)
	}
	source, ok := instance.(*bitfit.Source)
	if !ok {
		t.Fatalf("the instance is a %T", instance)
	}
	t.Cleanup(source.Close)
	for _, f := range []simhttp.Fault{{Status: 500}, {Drop: true}, {Status: 429}, {Hang: true}, {Body: "x"}, {}} {
		server.Faults.Clear()
		server.Faults.Add(f)
		if _, err := source.DevicesByEmail(t.Context(), "ada.lovelace@example.com"); err != nil {
			checkNoToken(t, err.Error())
		}
	}
	checkNoToken(t, buffer.String())
}

func TestCanceled(t *testing.T) {
	t.Parallel()
	b := setUp(t, benchOptions{})
	b.server.Faults.Add(simhttp.Fault{Hang: true})
	ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
	defer cancel()
	_, err := b.client.DevicesByEmail(ctx, "ada.lovelace@example.com")
	if err == nil {
		t.Error("no error")
	}
}
