package landesk_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"regexp"
	"strings"
	"testing"
	"time"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/internal/simulator/fleet"
	simulator "github.com/postureproject/posture/internal/simulator/landesk"
	"github.com/postureproject/posture/internal/simulator/tds"
	"github.com/postureproject/posture/plugins/landesk"
	"github.com/postureproject/posture/plugins/sdk"
	"github.com/postureproject/posture/plugins/sdk/sdktest"
)

// checkFailure wants an error of a kind that is from this source, whose text or
// remedy holds all the words, and which shows no secret.
func checkFailure(t testing.TB, err error, kind fault.Kind, words ...string) {
	t.Helper()
	if err == nil {
		t.Fatal("no error")
	}
	var e *fault.Error
	if !errors.As(err, &e) || e.Source != landesk.Name || e.Op == "" {
		t.Errorf("%v does not tell its source and operation", err)
	}
	if got := fault.KindOf(err); got != kind {
		t.Errorf("%v is %v, want %v", err, got, kind)
	}
	all := err.Error() + " " + fault.RemedyOf(err)
	for _, w := range words {
		if !strings.Contains(all, w) {
			t.Errorf("%q does not say %q", all, w)
		}
	}
	if strings.Contains(fmt.Sprintf("%+v %s", err, all), secret) {
		t.Errorf("%v shows the password", err)
	}
}

func configure(t testing.TB, config map[string]any) error {
	t.Helper()
	raw, err := json.Marshal(config)
	if err != nil {
		t.Fatal(err)
	}
	return sdktest.Dial(t, landesk.Plugin()).Configure(t.Context(), sdk.Configuration{Config: raw, Timeout: time.Second, Concurrency: 1})
}

func sqlError(number int32, class byte, message string) *tds.Error {
	return &tds.Error{Number: number, State: 1, Class: class, Message: message}
}

func TestLogIn_refused(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name   string
		more   map[string]any
		forced *tds.Error
		kind   fault.Kind
		words  []string
	}{
		{"wrong password", map[string]any{"LANDESK_SQL_PASSWORD": "wrong-" + secret[:4]}, nil, fault.Unauthenticated, []string{"18456", "LANDESK_SQL_PASSWORD"}},
		{"unknown user", map[string]any{"LANDESK_SQL_USERNAME": "nobody"}, nil, fault.Unauthenticated, []string{"'nobody'", "LANDESK_SQL_USERNAME"}},
		{"expired password", nil, sqlError(18487, 14, "The password of the account has expired."), fault.Unauthenticated, []string{"expired"}},
		{"wrong database", map[string]any{"LANDESK_SQL_DATABASE": "Sales"}, nil, fault.Forbidden, []string{"4060", "LANDESK_SQL_DATABASE"}},
		{"going down", nil, sqlError(6005, 14, "SHUTDOWN is in progress."), fault.Unavailable, []string{"SHUTDOWN"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := start(t, fleet.Options{}, simulator.Options{})
			if tt.forced != nil {
				b.Faults.Add(tds.Fault{Connect: true, Error: tt.forced})
			}
			client := sdktest.Open(t, landesk.Plugin(), b.with(tt.more))
			_, err := client.TestConnectivity(t.Context())
			checkFailure(t, err, tt.kind, tt.words...)
			_, err = client.DevicesByEmail(t.Context(), "ada.lovelace@example.com")
			checkFailure(t, err, tt.kind, append(tt.words, "ada.lovelace@example.com")...)
		})
	}
}

func TestConnection_failures(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		fault *tds.Fault
		more  map[string]any
		kind  fault.Kind
		words []string
	}{
		{"refused", nil, map[string]any{"LANDESK_SQL_HOSTPORT": 1}, fault.Unavailable, []string{"refused", "LANDESK_SQL_HOSTPORT"}},
		{"unknown host", nil, map[string]any{"LANDESK_SQL_HOSTNAME": "landesk.invalid"}, fault.Unavailable, []string{"LANDESK_SQL_HOSTNAME"}},
		{"closed at once", &tds.Fault{Connect: true, Drop: true}, nil, fault.Unavailable, []string{"firewall"}},
		{"silent", &tds.Fault{Connect: true, Hang: true}, nil, fault.Timeout, []string{"TIMEOUT"}},
		{"silent, strict", &tds.Fault{Connect: true, Hang: true}, map[string]any{"LANDESK_SQL_ENCRYPT": "strict"}, fault.Timeout, []string{"TIMEOUT"}},
		{"a web server", &tds.Fault{Connect: true, Garbage: []byte("HTTP/1.1 400 Bad Request\r\nConnection: close\r\n\r\n")}, nil, fault.BadResponse, []string{"LANDESK_SQL_HOSTPORT"}},
		{
			// A PRELOGIN answer whose encryption option is empty, over which the driver panics.
			"an empty option",
			&tds.Fault{Connect: true, Garbage: []byte{4, 1, 0, 15, 0, 0, 1, 0, 1, 0, 6, 0, 0, 0xFF, 0}},
			nil, fault.BadResponse,
			[]string{"makes no sense"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := start(t, fleet.Options{}, simulator.Options{})
			if tt.fault != nil {
				b.Faults.Add(*tt.fault)
			}
			client := sdktest.Open(t, landesk.Plugin(), b.with(tt.more), sdktest.WithTimeout(time.Second))
			began := time.Now()
			_, err := client.DevicesByEmail(t.Context(), "ada.lovelace@example.com")
			checkFailure(t, err, tt.kind, tt.words...)
			if took := time.Since(began); took > 5*time.Second {
				t.Errorf("took %v", took)
			}
		})
	}
}

func TestQuery_failures(t *testing.T) {
	t.Parallel()
	computers := regexp.MustCompile(`FROM Computer t LEFT`)
	tests := []struct {
		name  string
		fault tds.Fault
		kind  fault.Kind
		words []string
	}{
		{"deadlock every time", tds.Fault{Error: sqlError(1205, 13, "You were chosen as the deadlock victim.")}, fault.Unavailable, []string{"1205", "CONCURRENCY"}},
		{"another error", tds.Fault{Error: sqlError(8134, 16, "Divide by zero error encountered.")}, fault.BadResponse, []string{"8134", "error log"}},
		{"fatal error", tds.Fault{Error: sqlError(823, 24, "The operating system returned an error.")}, fault.BadResponse, []string{"823"}},
		{"never an answer", tds.Fault{Hang: true}, fault.Timeout, []string{"TIMEOUT"}},
		{"deaf", tds.Fault{Deaf: true}, fault.Timeout, []string{"TIMEOUT"}},
		{"too slow", tds.Fault{Latency: time.Minute}, fault.Timeout, []string{"TIMEOUT"}},
		{"closed every time", tds.Fault{Drop: true}, fault.Unavailable, []string{"firewall"}},
		{"closed among the rows every time", tds.Fault{DropAfter: 1}, fault.Unavailable, []string{"firewall"}},
		{"an error among the rows", tds.Fault{FailAfter: 1}, fault.BadResponse, []string{"596"}},
		{"garbage", tds.Fault{Garbage: []byte("\x04\x01\x00\x10\x00\x00\x01\x00garbage!")}, fault.BadResponse, []string{"LANDESK_SQL_HOSTPORT"}},
		{"rows without an end", tds.Fault{Endless: true}, fault.BadResponse, []string{"more than 10000 rows", "LANDESK_SQL_DATABASE"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := start(t, fleet.Options{}, simulator.Options{})
			tt.fault.Match = computers
			b.Faults.Add(tt.fault)
			client := sdktest.Open(t, landesk.Plugin(), b.with(map[string]any{"RETRIES": 1}), sdktest.WithTimeout(2*time.Second))
			began := time.Now()
			_, err := client.DevicesByEmail(t.Context(), "ada.lovelace@example.com")
			checkFailure(t, err, tt.kind, append(tt.words, "ada.lovelace@example.com", "Computer")...)
			if took := time.Since(began); took > 6*time.Second {
				t.Errorf("took %v", took)
			}
			b.Faults.Clear()
			devices, err := client.DevicesByEmail(t.Context(), "ada.lovelace@example.com")
			if err != nil || len(devices) != 1 {
				t.Errorf("afterwards: %d devices, %v; want one", len(devices), err)
			}
		})
	}
}

// TestRetries lets things go wrong that pass.
func TestRetries(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name  string
		fault tds.Fault
	}{
		{"deadlock", tds.Fault{Times: 2, Error: sqlError(1205, 13, "You were chosen as the deadlock victim.")}},
		{"closed connection", tds.Fault{Times: 2, Drop: true}},
		{"closed among the rows", tds.Fault{Times: 2, DropAfter: 1}},
		{"refused connection", tds.Fault{Connect: true, Times: 2, Drop: true}},
		{"log-in while the database starts", tds.Fault{Connect: true, Times: 2, Error: sqlError(40613, 14, "Database is not currently available.")}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := start(t, fleet.Options{}, simulator.Options{})
			b.Faults.Add(tt.fault)
			client := sdktest.Open(t, landesk.Plugin(), b.settings)
			devices, err := client.DevicesByEmail(t.Context(), b.fleet.Person(0).Email)
			if err != nil || len(devices) != 1 {
				t.Fatalf("%d devices, %v; want one", len(devices), err)
			}
			if n := len(devices[0].Software.Installed); n != 50 {
				t.Errorf("%d programs, want 50: a repeated answer must not add up", n)
			}
		})
	}
}

// TestRetries_deadPool restarts the database under idle connections, of which
// there are more than retries.
func TestRetries_deadPool(t *testing.T) {
	t.Parallel()
	b := start(t, fleet.Options{}, simulator.Options{})
	client := sdktest.Open(t, landesk.Plugin(), b.with(map[string]any{"RETRIES": 0}))
	email := b.fleet.Person(0).Email
	if _, err := client.TestConnectivity(t.Context()); err != nil { // opens many at once
		t.Fatal(err)
	}
	// Every connection that is in the pool dies with its next query.
	b.Faults.Add(tds.Fault{Drop: true, Times: b.Faults.Connections()})
	if devices, err := client.DevicesByEmail(t.Context(), email); err != nil || len(devices) != 1 {
		t.Errorf("%d devices, %v; want one", len(devices), err)
	}
}

func TestPartialFailure(t *testing.T) {
	t.Parallel()
	tests := []struct {
		table   string
		spoil   func(b bench, table string)
		kind    fault.Kind
		word    string
		unknown []string
	}{
		{"CVDetectedV", func(b bench, table string) { b.Deny(table) }, fault.Forbidden, "SELECT", []string{"autoupdate", "screenlock", "uptodate"}},
		{"BoundAdapter", func(b bench, table string) { b.Deny(table) }, fault.Forbidden, "SELECT", []string{"firewall"}},
		{"AppSoftwareSuites", func(b bench, table string) { b.Remove(table) }, fault.BadResponse, "Invalid object name", nil},
	}
	for _, tt := range tests {
		t.Run(tt.table, func(t *testing.T) {
			t.Parallel()
			b := start(t, fleet.Options{People: 30}, simulator.Options{})
			tt.spoil(b, tt.table)
			client := sdktest.Open(t, landesk.Plugin(), b.settings)
			devices, err := client.DevicesByEmail(t.Context(), b.fleet.Person(0).Email)
			checkFailure(t, err, tt.kind, tt.table, tt.word)
			if len(devices) != 1 {
				t.Fatalf("%d devices, want one beside the error", len(devices))
			}
			for _, key := range tt.unknown {
				if p := devices[0].Practices[key]; p.Value != nil || !strings.Contains(p.Details, tt.table) {
					t.Errorf("%s = %v %q, want unknown because of %s", key, p.Value, p.Details, tt.table)
				}
			}
			if p := devices[0].Practices["encryption"]; p.Value == nil {
				t.Errorf("encryption is unknown: %s", p.Details)
			}
			if (devices[0].Software == nil) != (tt.table == "AppSoftwareSuites") {
				t.Errorf("software %v", devices[0].Software)
			}
			listed := 0
			err = client.ListDevices(t.Context(), idle, func(some []device.Device) error {
				listed += len(some)
				return nil
			})
			checkFailure(t, err, tt.kind, tt.table)
			if listed == 0 {
				t.Error("nothing listed beside the error")
			}
		})
	}
}

func TestConnectivity(t *testing.T) {
	t.Parallel()
	b := start(t, fleet.Options{}, simulator.Options{})
	client := sdktest.Open(t, landesk.Plugin(), b.settings)
	detail, err := client.TestConnectivity(t.Context())
	if err != nil || !strings.Contains(detail, "LDMS") || !strings.Contains(detail, "all 9 tables") {
		t.Errorf("%q, %v", detail, err)
	}
	b.Deny("BitLocker")
	b.Remove("OSNT")
	_, err = client.TestConnectivity(t.Context())
	checkFailure(t, err, fault.Forbidden, "BitLocker", "OSNT", "Invalid object name", "permission was denied")
	_, err = client.DevicesByEmail(t.Context(), "ada.lovelace@example.com")
	checkFailure(t, err, fault.Forbidden, "BitLocker", "grant LANDESK_SQL_USERNAME SELECT")
}

// TestCancel expects a look-up to end with its context, and the server to hear
// of it.
func TestCancel(t *testing.T) {
	t.Parallel()
	b := start(t, fleet.Options{}, simulator.Options{})
	b.Faults.Add(tds.Fault{Hang: true})
	raw, err := json.Marshal(b.settings)
	if err != nil {
		t.Fatal(err)
	}
	opened, err := landesk.Plugin().Open(t.Context(), raw, sdk.Env{Timeout: time.Minute, Concurrency: 2})
	if err != nil {
		t.Fatal(err)
	}
	source, ok := opened.(*landesk.Source)
	if !ok {
		t.Fatalf("opened a %T", opened)
	}
	ctx, cancel := context.WithTimeout(t.Context(), 300*time.Millisecond)
	defer cancel()
	_, err = source.DevicesByEmail(ctx, ada)
	checkFailure(t, err, fault.Timeout, "TIMEOUT")
	if b.Faults.Cancels() == 0 {
		t.Error("no cancellation has reached the server")
	}
	if err := source.Close(); err != nil {
		t.Error(err)
	}
}

// TestList_brokenOff expects what was listed before a failure, and the failure.
func TestList_brokenOff(t *testing.T) {
	t.Parallel()
	b := start(t, fleet.Options{People: 1500, Apps: 1}, simulator.Options{})
	client := sdktest.Open(t, landesk.Plugin(), b.with(map[string]any{"RETRIES": 0}))
	listed := 0
	err := client.ListDevices(t.Context(), idle, func(some []device.Device) error {
		if listed == 0 {
			b.Faults.Add(tds.Fault{Error: sqlError(8134, 16, "Divide by zero error encountered.")})
		}
		listed += len(some)
		return nil
	})
	checkFailure(t, err, fault.BadResponse, "8134", "Computer")
	if listed == 0 || listed%500 != 0 {
		t.Errorf("%d devices before the failure, want whole pages", listed)
	}
	b.Faults.Clear()
	b.Faults.Add(tds.Fault{Error: sqlError(8134, 16, "Divide by zero error encountered.")})
	err = client.ListUsers(t.Context(), idle, func([]device.User) error { return nil })
	checkFailure(t, err, fault.BadResponse, "8134", "LDAPUserAttrV")
}

// TestConcurrency expects no more queries at once than allowed, also when one
// look-up asks for several tables.
func TestConcurrency(t *testing.T) {
	t.Parallel()
	b := start(t, fleet.Options{}, simulator.Options{})
	b.Faults.SetLatency(5 * time.Millisecond)
	client := sdktest.Open(t, landesk.Plugin(), b.settings)
	done := make(chan error)
	for i := range 40 {
		go func() {
			_, err := client.DevicesByEmail(t.Context(), b.fleet.Person(i%b.fleet.Len()).Email)
			done <- err
		}()
	}
	for range 40 {
		if err := <-done; err != nil {
			t.Error(err)
		}
	}
	if peak := b.Faults.Peak(); peak > 10 || peak < 2 {
		t.Errorf("%d queries at once, want at most the 10 that are allowed, and several", peak)
	}
	if n := b.Faults.Connections(); n > 10 {
		t.Errorf("%d connections, want at most 10", n)
	}
}
