package landesk_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/internal/simulator/fleet"
	simulator "github.com/postureproject/posture/internal/simulator/landesk"
	"github.com/postureproject/posture/internal/simulator/tds"
	"github.com/postureproject/posture/plugins/landesk"
	"github.com/postureproject/posture/plugins/sdk"
	"github.com/postureproject/posture/plugins/sdk/sdktest"
)

func TestEncryption(t *testing.T) {
	t.Parallel()
	const trusted, untrusted = true, false
	tests := []struct {
		name    string
		offer   tds.Encryption
		ca      bool // CA_FILE names the server's certificate
		hosts   []string
		more    map[string]any
		detail  string // of a success
		kind    fault.Kind
		remedy  string
		success bool
	}{
		{name: "default", ca: trusted, success: true, detail: "(encrypted)"},
		{name: "boolean true", ca: trusted, more: map[string]any{"LANDESK_SQL_ENCRYPT": true}, success: true, detail: "(encrypted)"},
		{name: "required by the server", offer: tds.EncryptionRequired, ca: trusted, success: true, detail: "(encrypted)"},
		{name: "untrusted", ca: untrusted, kind: fault.Unavailable, remedy: "CA_FILE"},
		{
			name: "trusted by configuration", ca: untrusted, more: map[string]any{"LANDESK_SQL_TRUST_CERTIFICATE": true},
			success: true, detail: "certificate not checked",
		},
		{name: "not offered", offer: tds.EncryptionUnsupported, ca: trusted, kind: fault.BadResponse, remedy: "LANDESK_SQL_ENCRYPT"},
		{name: "strict", ca: trusted, more: map[string]any{"LANDESK_SQL_ENCRYPT": "strict"}, success: true, detail: "(encrypted)"},
		{
			name: "strict, untrusted", ca: untrusted, more: map[string]any{"LANDESK_SQL_ENCRYPT": "strict"},
			kind: fault.Unavailable, remedy: "CA_FILE",
		},
		{
			name: "strict, not offered", offer: tds.EncryptionUnsupported, ca: trusted, more: map[string]any{"LANDESK_SQL_ENCRYPT": "strict"},
			kind: fault.Unavailable, remedy: "LANDESK_SQL_ENCRYPT",
		},
		{name: "log-in only", ca: untrusted, more: map[string]any{"LANDESK_SQL_ENCRYPT": false}, success: true, detail: "only the log-in"},
		{
			name: "log-in only, but required by the server", offer: tds.EncryptionRequired, ca: untrusted,
			more: map[string]any{"LANDESK_SQL_ENCRYPT": "false"}, success: true, detail: "only the log-in",
		},
		{name: "disable", ca: untrusted, more: map[string]any{"LANDESK_SQL_ENCRYPT": "disable"}, success: true, detail: "not encrypted"},
		{
			name: "disable, not offered", offer: tds.EncryptionUnsupported, ca: untrusted,
			more: map[string]any{"LANDESK_SQL_ENCRYPT": "Disable"}, success: true, detail: "not encrypted",
		},
		{
			name: "disable, but required by the server", offer: tds.EncryptionRequired, ca: untrusted,
			more: map[string]any{"LANDESK_SQL_ENCRYPT": "disable", "RETRIES": 0}, kind: fault.Unavailable, remedy: "CA_FILE",
		},
		{name: "of another host", ca: trusted, hosts: []string{"other.example.com"}, kind: fault.Unavailable, remedy: "CA_FILE"},
		{
			name: "strict, of another host", ca: trusted, hosts: []string{"other.example.com"}, more: map[string]any{"LANDESK_SQL_ENCRYPT": "strict"},
			kind: fault.Unavailable, remedy: "CA_FILE",
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := start(t, fleet.Options{}, simulator.Options{Encryption: tt.offer}, tt.hosts...)
			config := b.with(tt.more)
			if tt.ca == untrusted {
				delete(config, "CA_FILE")
			}
			client := sdktest.Open(t, landesk.Plugin(), config)
			detail, err := client.TestConnectivity(t.Context())
			if !tt.success {
				checkFailure(t, err, tt.kind, tt.remedy)
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if !strings.Contains(detail, tt.detail) {
				t.Errorf("detail %q, want %q in it", detail, tt.detail)
			}
			devices, err := client.DevicesByEmail(t.Context(), b.fleet.Person(0).Email)
			if err != nil || len(devices) != 1 {
				t.Errorf("%d devices, %v; want one", len(devices), err)
			}
		})
	}
}

func TestConfiguration(t *testing.T) {
	t.Parallel()
	empty := filepath.Join(t.TempDir(), "empty.pem")
	if err := os.WriteFile(empty, nil, 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		key   string
		value any
		more  map[string]any
	}{
		{key: "LANDESK_SQL_HOSTNAME", value: `server\instance`},
		{key: "LANDESK_SQL_HOSTNAME", value: "server:1433"},
		{key: "LANDESK_SQL_HOSTNAME", value: "server,1433"},
		{key: "LANDESK_SQL_HOSTNAME", value: ""},
		{key: "LANDESK_SQL_HOSTPORT", value: 0},
		{key: "LANDESK_SQL_HOSTPORT", value: 70000},
		{key: "LANDESK_SQL_USERNAME", value: ""},
		{key: "LANDESK_SQL_PASSWORD", value: nil},
		{key: "LANDESK_SQL_DATABASE", value: ""},
		{key: "LANDESK_SQL_ENCRYPT", value: "perhaps"},
		{key: "LANDESK_SQL_ENCRYPT", value: 3},
		{key: "LANDESK_SQL_TRUST_CERTIFICATE", value: true, more: map[string]any{"LANDESK_SQL_ENCRYPT": "strict"}},
		{key: "LANDESK_TIMEZONE", value: "Mars/Olympus"},
		{key: "CA_FILE", value: "/nonexistent/ca.pem"},
		{key: "CA_FILE", value: empty},
		{key: "RETRIES", value: -1},
	}
	for _, tt := range tests {
		config := settings(t, "127.0.0.1:1433", tt.more)
		config[tt.key] = tt.value
		if tt.value == nil {
			delete(config, tt.key)
		}
		err := configure(t, config)
		if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), tt.key) {
			t.Errorf("%s = %v: %v, want an Invalid error that names the key", tt.key, tt.value, err)
		}
		if strings.Contains(err.Error(), secret) {
			t.Errorf("%s: the error shows the password", tt.key)
		}
	}
	if err := configure(t, settings(t, "[::1]:1433", map[string]any{"LANDESK_TIMEZONE": "America/Los_Angeles"})); err != nil {
		t.Errorf("a good configuration: %v", err)
	}
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	d, err := sdktest.Dial(t, landesk.Plugin()).Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []sdk.Capability{
		sdk.CapDevicesByEmail, sdk.CapDevicesBySerial, sdk.CapDevicesByMAC, sdk.CapListDevices, sdk.CapListUsers, sdk.CapTestConnectivity,
	}
	if diff := cmp.Diff(want, d.Capabilities); diff != "" {
		t.Errorf("capabilities (-want +got):\n%s", diff)
	}
	var schema struct {
		Properties map[string]map[string]any `json:"properties"`
	}
	if err := json.Unmarshal(d.ConfigSchema, &schema); err != nil {
		t.Fatal(err)
	}
	encrypt := schema.Properties["LANDESK_SQL_ENCRYPT"]
	if diff := cmp.Diff([]any{true, false, "true", "strict", "false", "disable"}, encrypt["enum"]); diff != "" || encrypt["default"] != true {
		t.Errorf("LANDESK_SQL_ENCRYPT by default %v, may be (-want +got):\n%s", encrypt["default"], diff)
	}
	if secret := schema.Properties["LANDESK_SQL_PASSWORD"]["x-secret"]; secret != true {
		t.Error("the password is no secret in the schema")
	}
}
