package google_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/plugins/google"
)

// mobile maps a resource that the test knows to be an object.
func mobile(t *testing.T, raw string) device.Device {
	t.Helper()
	d, ok := google.MapMobile([]byte(raw))
	if !ok {
		t.Fatalf("%s was not mapped", raw)
	}
	return d
}

func TestMapSystem(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ text, platform, name, version string }{
		{"iOS 10.2.1", "iOS", "iOS", "10.2.1"},
		{"IOS 4.3", "iOS", "iOS", "4.3.0"},
		{"Android 8.0.0", "Android", "Android", "8.0.0"},
		{"Android 9", "Android", "Android", "9.0.0"},
		{"Android", "Android", "Android", ""},
		{"Android 8.0.0 Oreo", "Android", "Android", "8.0.0"},
		{"Android One 10", "Android", "Android", "10.0.0"},
		{"iPhone OS 10.2", "iOS", "iOS", "10.2.0"},
		{"iPadOS 17.5.1", "iOS", "iPadOS", "17.5.1"},
		{"  Android\t 8.1  ", "Android", "Android", "8.1.0"},
		{"Windows 10.0.19045", "Windows", "Windows", "10.0.19045"},
		{"Mac OS X 10.15", "Mac", "Mac OS X", "10.15.0"},
		{"BlackBerry 10.3", "BlackBerry", "BlackBerry", "10.3.0"},
		{"Windows Phone 8.1", "Windows Phone", "Windows Phone", "8.1.0"},
		{"8.0.0", "", "", "8.0.0"},
		{"Android 8.0-beta", "Android", "Android", "8.0-beta"},
		{"Android 142.0.7444.59", "Android", "Android", "142.0.7444.59"},
		{"", "", "", ""},
		{"   ", "", "", ""},
	} {
		platform, name, version := google.MapSystem(tt.text)
		if platform != tt.platform || name != tt.name || version != tt.version {
			t.Errorf("%q: %q, %q, %q; want %q, %q, %q", tt.text, platform, name, version, tt.platform, tt.name, tt.version)
		}
	}
}

func TestMapMobile_fields(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, raw string
		get       func(device.Device) any
		want      any
	}{
		{"os version wins", `{"os":"Android 8.0.0","osVersion":"9"}`, func(d device.Device) any { return d.OSVersion }, "9.0.0"},
		{"os version with words", `{"osVersion":"Android 12"}`, func(d device.Device) any { return d.OSVersion }, "12.0.0"},
		{"null os version", `{"os":"Android 8.0.0","osVersion":null}`, func(d device.Device) any { return d.OSVersion }, "8.0.0"},
		{"os version as number", `{"osVersion":13}`, func(d device.Device) any { return d.OSVersion }, "13.0.0"},
		{"platform of type", `{"type":"IOS_SYNC"}`, func(d device.Device) any { return d.Platform }, "iOS"},
		{"build", `{"buildNumber":"AP2A"}`, func(d device.Device) any { return d.OSBuild }, "AP2A"},
		{"blank model", `{"model":"  "}`, func(d device.Device) any { return d.Model }, ""},
		{"blank serial", `{"serialNumber":" "}`, func(d device.Device) any { return d.Serial }, ""},
		{"trimmed serial", `{"serialNumber":" R58 "}`, func(d device.Device) any { return d.Identifiers.Serial }, "R58"},
		{"unknown serial", `{"serialNumber":"unknown"}`, func(d device.Device) any { return d.Identifiers.Serial }, ""},
		{"dots as serial", `{"serialNumber":"..."}`, func(d device.Device) any { return d.Identifiers.Serial }, ""},
		{"zeros as serial", `{"serialNumber":"00000000"}`, func(d device.Device) any { return d.Identifiers.Serial }, ""},
		{"zeros as IMEI", `{"imei":"000000000000000"}`, func(d device.Device) any { return d.Identifiers.IMEI }, ""},
		{"IMEI as number", `{"imei":353012345678901}`, func(d device.Device) any { return d.Identifiers.IMEI }, "353012345678901"},
		{"MEID", `{"meid":"A1000012345678"}`, func(d device.Device) any { return d.Identifiers.MEID }, "A1000012345678"},
		{"device ID", `{"deviceId":"gm-1"}`, func(d device.Device) any { return d.Identifiers.GoogleDeviceID }, "gm-1"},
		{"user agent", `{"userAgent":"Apple-iPhone9C1"}`, func(d device.Device) any { return d.UserAgent }, "Apple-iPhone9C1"},
		{"manufacturer", `{"manufacturer":"Google"}`, func(d device.Device) any { return d.Manufacturer }, "Google"},
		{"type", `{}`, func(d device.Device) any { return d.Type }, "Mobile Device"},
		{"first owner", `{"email":["",null,"a@example.com","b@example.com"]}`, func(d device.Device) any { return d.Email }, "a@example.com"},
		{"lone owner", `{"email":"a@example.com"}`, func(d device.Device) any { return d.Email }, "a@example.com"},
		{"time", `{"lastSync":"2026-05-01T10:00:00.123Z"}`, func(d device.Device) any { return d.LastSync }, time.Date(2026, 5, 1, 10, 0, 0, 123e6, time.UTC)},
		{"zoned time", `{"lastSync":"2026-05-01T10:00:00+02:00"}`, func(d device.Device) any { return d.LastSync }, time.Date(2026, 5, 1, 8, 0, 0, 0, time.UTC)},
		{"never synced", `{"lastSync":"1970-01-01T00:00:00.000Z"}`, func(d device.Device) any { return d.LastSync }, time.Time{}},
		{"odd time", `{"lastSync":"yesterday"}`, func(d device.Device) any { return d.LastSync }, time.Time{}},
		{
			"three MACs", `{"macAddress":"f0d7aa000001","wifiMacAddress":"F0-D7-AA-00-00-02","ethernetMacAddress":"f0d7.aa00.0003"}`,
			func(d device.Device) any { return d.Identifiers.MACAddresses },
			[]device.MAC{"F0:D7:AA:00:00:01", "F0:D7:AA:00:00:02", "F0:D7:AA:00:00:03"},
		},
		{
			"unusable and bad MACs", `{"macAddress":"02:00:00:00:00:00","wifiMacAddress":"none","ethernetMacAddress":null}`,
			func(d device.Device) any { return d.Identifiers.MACAddresses }, []device.MAC(nil),
		},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, tt.get(mobile(t, tt.raw))); diff != "" {
				t.Errorf("%s (-want +got):\n%s", tt.raw, diff)
			}
		})
	}
}

// verdict is a practice's value as text: absent, unknown, true or false.
func verdict(d device.Device, key string) string {
	p, ok := d.Practices[key]
	switch {
	case !ok:
		return "absent"
	case p.Value == nil:
		return "unknown"
	case *p.Value:
		return "true"
	default:
		return "false"
	}
}

func TestMapMobile_practices(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct{ raw, key, want string }{
		{`{"deviceCompromisedStatus":"No compromise detected"}`, "jailed", "true"},
		{`{"deviceCompromisedStatus":"NO COMPROMISE DETECTED"}`, "jailed", "true"},
		{`{"deviceCompromisedStatus":"Compromise detected"}`, "jailed", "false"},
		{`{"deviceCompromisedStatus":"Undetected"}`, "jailed", "unknown"},
		{`{"deviceCompromisedStatus":""}`, "jailed", "unknown"},
		{`{"deviceCompromisedStatus":null}`, "jailed", "unknown"},
		{`{"deviceCompromisedStatus":{}}`, "jailed", "unknown"},
		{`{"deviceCompromisedStatus":"In a new way"}`, "jailed", "unknown"},
		{`{}`, "jailed", "unknown"},
		{`{"encryptionStatus":"Encrypted"}`, "encryption", "true"},
		{`{"encryptionStatus":"encrypted "}`, "encryption", "true"},
		{`{"encryptionStatus":"Not encrypted"}`, "encryption", "false"},
		{`{"encryptionStatus":" "}`, "encryption", "absent"},
		{`{"encryptionStatus":null}`, "encryption", "absent"},
		{`{}`, "encryption", "absent"},
		{`{"os":"Android 7.1.2","unknownSourcesStatus":true}`, "unknownsources", "false"},
		{`{"os":"Android 7.1.2","unknownSourcesStatus":false}`, "unknownsources", "true"},
		{`{"os":"Android 7.1.2"}`, "unknownsources", "absent"},
		{`{"os":"Android 7.1.2","unknownSourcesStatus":null}`, "unknownsources", "absent"},
		{`{"os":"Android 7.1.2","unknownSourcesStatus":"true"}`, "unknownsources", "false"},
		{`{"os":"Android 7.1.2","unknownSourcesStatus":[]}`, "unknownsources", "absent"},
		{`{"os":"Android 8.0.0","unknownSourcesStatus":false}`, "unknownsources", "absent"},
		{`{"os":"Android 16","unknownSourcesStatus":true}`, "unknownsources", "absent"},
		{`{"os":"Android","osVersion":"9","unknownSourcesStatus":true}`, "unknownsources", "absent"},
		{`{"os":"Android","unknownSourcesStatus":true}`, "unknownsources", "false"},
		{`{"adbStatus":true}`, "adbstatus", "false"},
		{`{"adbStatus":false}`, "adbstatus", "true"},
		{`{"adbStatus":0}`, "adbstatus", "true"},
		{`{"adbStatus":null}`, "adbstatus", "absent"},
		{`{}`, "adbstatus", "absent"},
	} {
		if got := verdict(mobile(t, tt.raw), tt.key); got != tt.want {
			t.Errorf("%s: %s is %s, want %s", tt.raw, tt.key, got, tt.want)
		}
	}
}

func TestMapMobile_practicesHaveTheSyncsTime(t *testing.T) {
	t.Parallel()
	d := mobile(t, `{"lastSync":"2026-05-01T10:00:00Z","os":"Android 7.0","adbStatus":false,"unknownSourcesStatus":false,"encryptionStatus":"Encrypted"}`)
	if len(d.Practices) != 4 {
		t.Errorf("%d practices, want 4", len(d.Practices))
	}
	for k, p := range d.Practices {
		if !p.LastUpdated.Equal(d.LastSync) {
			t.Errorf("%s: last updated %v, want %v", k, p.LastUpdated, d.LastSync)
		}
	}
}

func TestMapMobile_oddFieldsAreNoted(t *testing.T) {
	t.Parallel()
	d := mobile(t, `{"model":{},"serialNumber":"unknown","wifiMacAddress":"zz","lastSync":"soon","adbStatus":"maybe","osVersion":"Oreo","imei":[],"deviceId":"gm-1"}`)
	if d.Identifiers.GoogleDeviceID != "gm-1" {
		t.Errorf("device ID %q", d.Identifiers.GoogleDeviceID)
	}
	notes := strings.Join(d.Notes, "\n")
	for _, word := range []string{"model", "unknown", "zz", "soon", "adbStatus", "Oreo", "imei"} {
		if !strings.Contains(notes, word) {
			t.Errorf("no note about %s in:\n%s", word, notes)
		}
	}
}

func TestMapMobile_nullInEveryField(t *testing.T) {
	t.Parallel()
	var b strings.Builder
	b.WriteString(`{"resourceId":"1"`)
	for _, f := range strings.Fields(`adbStatus deviceCompromisedStatus deviceId email encryptionStatus imei lastSync macAddress wifiMacAddress
		ethernetMacAddress manufacturer meid model name os osVersion serialNumber type unknownSourcesStatus userAgent buildNumber`) {
		b.WriteString(`,"` + f + `":null`)
	}
	d := mobile(t, b.String()+"}")
	want := device.Device{Type: "Mobile Device", Practices: map[string]device.Practice{"jailed": {}}}
	if diff := cmp.Diff(want, d); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestMapChrome(t *testing.T) {
	t.Parallel()
	d, ok := google.MapChrome([]byte(`{"deviceId":"gc-1","serialNumber":"5CD1","bootMode":"Verified","osVersion":"142.0.7444.59","platformVersion":"16433.41.0",
		"macAddress":"dc7196000001","ethernetMacAddress":"dc7196000002","lastSync":"2026-05-01T10:00:00Z","model":"HP","meid":"A1000012345678",
		"recentUsers":[{"type":"USER_TYPE_MANAGED","email":"ada@example.com"},{"email":"bob@example.com"}]}`))
	if !ok {
		t.Fatal("not mapped")
	}
	at := time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC)
	want := device.Device{
		Type: "ChromeOS Device", Platform: "ChromeOS", OS: "ChromeOS", OSVersion: "142.0.7444.59", OSBuild: "16433.41.0", Model: "HP",
		Serial: "5CD1", Email: "ada@example.com", LastSync: at,
		Identifiers: device.Identifiers{
			Serial: "5CD1", GoogleDeviceID: "gc-1", MEID: "A1000012345678", MACAddresses: []device.MAC{"DC:71:96:00:00:01", "DC:71:96:00:00:02"},
		},
		Practices: map[string]device.Practice{"jailed": {Value: device.Bool(true), Details: "Boot mode: Verified", LastUpdated: at}},
	}
	if diff := cmp.Diff(want, d); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestMapChrome_bootMode(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		`{"bootMode":"Verified"}`: "true", `{"bootMode":"validated"}`: "true", `{"bootMode":"VERIFIED"}`: "true",
		`{"bootMode":"Dev"}`: "false", `{"bootMode":"developer"}`: "false",
		`{"bootMode":"legacy"}`: "unknown", `{"bootMode":null}`: "unknown", `{}`: "unknown", `{"bootMode":[]}`: "unknown",
	} {
		d, ok := google.MapChrome([]byte(raw))
		if got := verdict(d, "jailed"); !ok || got != want {
			t.Errorf("%s: %s, want %s", raw, got, want)
		}
	}
}

func TestMapChrome_owner(t *testing.T) {
	t.Parallel()
	for raw, want := range map[string]string{
		`{"recentUsers":[{"email":"a@example.com"},{"email":"b@example.com"}]}`:      "a@example.com",
		`{"recentUsers":{"email":"a@example.com"}}`:                                  "a@example.com",
		`{"recentUsers":[{"type":"USER_TYPE_UNMANAGED"},{"email":"b@example.com"}]}`: "",
		`{"recentUsers":[null,{"email":"b@example.com"}]}`:                           "",
		`{"recentUsers":[]}`:                                   "",
		`{"recentUsers":"a@example.com"}`:                      "",
		`{"annotatedUser":"a@example.com","recentUsers":null}`: "",
	} {
		if d, ok := google.MapChrome([]byte(raw)); !ok || d.Email != want {
			t.Errorf("%s: owner %q, want %q", raw, d.Email, want)
		}
	}
}
