package google_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/plugins/google"
)

// sound fails for a device that could not be shown or merged.
func sound(t *testing.T, d device.Device) {
	t.Helper()
	if _, err := json.Marshal(d); err != nil {
		t.Errorf("cannot be written: %v", err)
	}
	for _, s := range []string{d.Serial, d.Identifiers.IMEI, d.Identifiers.MEID, d.Identifiers.GoogleDeviceID} {
		if s != "" && (device.IsPlaceholder(s) || s != strings.TrimSpace(s)) {
			t.Errorf("%q is an identity", s)
		}
	}
	for _, m := range d.Identifiers.MACAddresses {
		if !m.Usable() {
			t.Errorf("%s is an identity", m)
		}
	}
	for _, note := range d.Notes {
		if !utf8.ValidString(note) || len(note) > 4<<10 {
			t.Errorf("odd note %q", note)
		}
	}
	if _, ok := d.Practices["jailed"]; !ok {
		t.Error("jailed is absent, not unknown")
	}
}

func FuzzMapMobile(f *testing.F) {
	f.Add([]byte(`{"os":"Android 8.0.0","adbStatus":false,"email":["a@example.com"],"wifiMacAddress":"f0d7aa000001","imei":"350000000000003"}`))
	f.Add([]byte(`{"os":"iOS","osVersion":17.5,"lastSync":"2026-05-01T10:00:00Z","deviceCompromisedStatus":"Undetected","serialNumber":"..."}`))
	f.Add([]byte(`{"email":null,"adbStatus":"no","os":[],"model":{"a":1}}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if d, ok := google.MapMobile(raw); ok {
			sound(t, d)
		}
	})
}

func FuzzMapChrome(f *testing.F) {
	f.Add([]byte(`{"bootMode":"Verified","osVersion":"142.0.7444.59","recentUsers":[{"email":"a@example.com"}],"macAddress":"dc7196000001"}`))
	f.Add([]byte(`{"bootMode":1,"recentUsers":{"email":7}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		if d, ok := google.MapChrome(raw); ok {
			sound(t, d)
		}
	})
}

func FuzzMapActivity(f *testing.F) {
	f.Add([]byte(`{"id":{"time":"2026-05-01T10:00:00Z"},"events":[{"name":"login_success","parameters":[{"name":"a","multiValue":["b"]}]}]}`))
	f.Add([]byte(`{"events":{"parameters":{"name":"a","messageValue":{}}}}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		for _, e := range google.MapActivity(raw, "a@example.com") {
			if _, err := json.Marshal(e); err != nil {
				t.Errorf("cannot be written: %v", err)
			}
			if e.Email == "" {
				t.Error("nobody's event")
			}
		}
	})
}

func FuzzMapUsage(f *testing.F) {
	f.Add([]byte(`{"date":"2026-05-28","parameters":[{"name":"a","boolValue":false},{"name":"b","intValue":"1e400"},{"name":"c","msgValue":[{}]}]}`))
	f.Fuzz(func(t *testing.T, raw []byte) {
		a, ok := google.MapUsage(raw, "a@example.com", time.Unix(0, 0))
		if _, err := json.Marshal(a); err != nil {
			t.Errorf("cannot be written: %v", err)
		}
		if ok && (len(a.UserUsage) == 0 || a.Date == "") {
			t.Errorf("account without contents: %v", a)
		}
	})
}

func FuzzMapSystem(f *testing.F) {
	for _, s := range []string{"iOS 10.2.1", "Android", "Android 8.0.0 Oreo", "8..1", "1.", "99999999999999999999"} {
		f.Add(s)
	}
	f.Fuzz(func(t *testing.T, s string) {
		platform, name, version := google.MapSystem(s)
		if (platform == "") != (name == "") {
			t.Errorf("%q: platform %q, name %q", s, platform, name)
		}
		if strings.ContainsAny(version, " \t\n") {
			t.Errorf("%q: version %q", s, version)
		}
	})
}

func FuzzReasonsOf(f *testing.F) {
	f.Add([]byte(`{"error":{"errors":[{"reason":"quotaExceeded"}],"status":"X","details":[{"reason":"Y"}]}}`))
	f.Add([]byte(`{"error":"invalid_grant"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		for reason := range google.ReasonsOf(body) {
			if reason == "" {
				t.Error("an empty reason")
			}
		}
	})
}

func FuzzSearch(f *testing.F) {
	f.Add("ada@example.com")
	f.Add(`a" email:"b`)
	f.Fuzz(func(t *testing.T, value string) {
		clause, ok := strings.CutPrefix(google.Search("email", value), "email:")
		if !ok {
			t.Fatalf("%q is not about e-mail", clause)
		}
		if clause == value {
			if strings.ContainsAny(value, " \"*:()") {
				t.Errorf("%q can break the query", value)
			}
			return
		}
		inner := strings.ReplaceAll(clause[1:len(clause)-1], `\\`, "")
		if strings.Contains(strings.ReplaceAll(inner, `\"`, ""), `"`) {
			t.Errorf("%q ends its quotes early: %s", value, clause)
		}
	})
}
