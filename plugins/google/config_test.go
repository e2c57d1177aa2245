package google_test

import (
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/fault"
	simulator "github.com/postureproject/posture/internal/simulator/google"
	"github.com/postureproject/posture/plugins/google"
	"github.com/postureproject/posture/plugins/sdk"
	"github.com/postureproject/posture/plugins/sdk/sdktest"
)

func TestPlugin_describe(t *testing.T) {
	t.Parallel()
	d, err := sdktest.Dial(t, google.Plugin()).Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	want := []sdk.Capability{
		sdk.CapDevicesByEmail, sdk.CapDevicesBySerial, sdk.CapListDevices, sdk.CapListUsers, sdk.CapEvents, sdk.CapAccounts, sdk.CapTestConnectivity,
	}
	if diff := cmp.Diff(want, d.Capabilities); diff != "" {
		t.Errorf("capabilities (-want +got):\n%s", diff)
	}
	for _, scope := range simulator.Scopes() {
		if !strings.Contains(string(d.ConfigSchema), scope) {
			t.Errorf("the schema's defaults lack %s", scope)
		}
	}
}

func TestConfig_problems(t *testing.T) {
	t.Parallel()
	b := setup(t, simulator.Options{})
	secrets := func(change func(map[string]any)) map[string]any { return b.withSecrets(t, change) }
	for _, tt := range []struct {
		name, field string
		more        map[string]any
	}{
		{"no secrets", "GOOGLE_API_SECRETS", map[string]any{"GOOGLE_API_SECRETS": nil}},
		{"user's credentials", "GOOGLE_API_SECRETS", secrets(func(f map[string]any) { f["type"] = "authorized_user" })},
		{"no address", "GOOGLE_API_SECRETS", secrets(func(f map[string]any) { delete(f, "client_email") })},
		{"no key", "GOOGLE_API_SECRETS", secrets(func(f map[string]any) { f["private_key"] = "" })},
		{"broken key", "GOOGLE_API_SECRETS", secrets(func(f map[string]any) {
			f["private_key"] = "-----BEGIN PRIVATE KEY-----\nQUJDREVG\n-----END PRIVATE KEY-----\n"
		})},
		{"key of the wrong type", "GOOGLE_API_SECRETS", secrets(func(f map[string]any) { f["private_key"] = 7 })},
		{"token address", "GOOGLE_API_SECRETS", secrets(func(f map[string]any) { f["token_uri"] = "ftp://x" })},
		{"no user", "GOOGLE_API_USERNAME", map[string]any{"GOOGLE_API_USERNAME": ""}},
		{"user is no address", "GOOGLE_API_USERNAME", map[string]any{"GOOGLE_API_USERNAME": "posture"}},
		{"no scope", "GOOGLE_API_SCOPES", map[string]any{"GOOGLE_API_SCOPES": []string{}}},
		{"scopes in one text", "GOOGLE_API_SCOPES", map[string]any{"GOOGLE_API_SCOPES": "a b"}},
		{"endpoint", "GOOGLE_API_ENDPOINT", map[string]any{"GOOGLE_API_ENDPOINT": "localhost:80"}},
		{"customer", "GOOGLE_CUSTOMER", map[string]any{"GOOGLE_CUSTOMER": " "}},
		{"certificates", "CA_FILE", map[string]any{"CA_FILE": "/no/such/file"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			settings := map[string]any{}
			for k, v := range b.settings {
				settings[k] = v
			}
			for k, v := range tt.more {
				settings[k] = v
			}
			text, err := json.Marshal(settings)
			if err != nil {
				t.Fatal(err)
			}
			err = sdktest.Dial(t, google.Plugin()).Configure(t.Context(), sdk.Configuration{Config: text, Timeout: time.Second, Concurrency: 1})
			var e *fault.Error
			if !errors.As(err, &e) || e.Kind != fault.Invalid ||
				!slices.ContainsFunc(e.Fields, func(f fault.Field) bool { return f.Name == tt.field && f.Reason != "" && f.Remedy != "" }) {
				t.Fatalf("error %v, want one about %s", err, tt.field)
			}
			for _, secret := range []string{"BEGIN", "QUJDREVG", "gserviceaccount"} {
				if strings.Contains(err.Error(), secret) {
					t.Errorf("shows %s: %v", secret, err)
				}
			}
		})
	}
}

// The key file may also be given as text.
func TestConfig_secretsAsText(t *testing.T) {
	t.Parallel()
	b := setup(t, simulator.Options{})
	raw, ok := b.settings["GOOGLE_API_SECRETS"].(json.RawMessage)
	if !ok {
		t.Fatal("no key file")
	}
	devices, err := b.open(t, map[string]any{"GOOGLE_API_SECRETS": string(raw)}).DevicesByEmail(t.Context(), ada)
	if err != nil || len(devices) != 3 {
		t.Errorf("%d devices, %v", len(devices), err)
	}
}
