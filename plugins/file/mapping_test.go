package file_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/plugins/file"
	"github.com/postureproject/posture/plugins/sdk/sdktest"
)

func devicesOf(t *testing.T, settings map[string]any, email string) []device.Device {
	t.Helper()
	got, err := sdktest.Open(t, file.Plugin(), settings).DevicesByEmail(t.Context(), email)
	if err != nil {
		t.Fatal(err)
	}
	return got
}

// The same device in every format.
func TestFormats(t *testing.T) {
	t.Parallel()
	const (
		object = `{"email":"ada@x.org","serial":"S1","identifiers":{"mac_addresses":["3C:22:FB:00:00:02","8c1645000003"]},"practices":{"encryption":{"value":true},"firewall":{"value":false}},"last_sync":"2026-05-01T10:00:00Z"}`
		header = "email,identifiers.serial,identifiers.mac_addresses,practices.encryption,practices.firewall,last_sync"
		cells  = "ada@x.org,S1,3C:22:FB:00:00:02;8c1645000003,yes,no,2026-05-01 10:00:00"
	)
	want := []device.Device{{
		Email: "ada@x.org", Serial: "S1", Source: "file",
		Identifiers: device.Identifiers{Serial: "S1", MACAddresses: []device.MAC{"3C:22:FB:00:00:02", "8C:16:45:00:00:03"}},
		Practices:   map[string]device.Practice{"encryption": {Value: device.Bool(true)}, "firewall": {Value: device.Bool(false)}},
		LastSync:    time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC),
	}}
	utf16 := func(s string) string {
		var b strings.Builder
		b.WriteString("\xff\xfe")
		for _, c := range []byte(s) {
			b.WriteByte(c)
			b.WriteByte(0)
		}
		return b.String()
	}
	tests := map[string]struct{ name, text string }{
		"JSON list":             {"a.json", "[" + object + "]"},
		"JSON object":           {"a.json", "\n " + object + "\n"},
		"JSON objects":          {"a.json", object + "\n" + `{"email":"b@x.org"}`},
		"JSON upper case":       {"A.JSON", "[" + object + "]"},
		"JSON, packed":          {"a.json.gz", "[" + object + "]"},
		"JSON, byte order":      {"a.json", "\ufeff[" + object + "]"},
		"JSON lines":            {"a.jsonl", object + "\r\n\r\n" + `{"email":"b@x.org"}`},
		"JSON lines, packed":    {"a.ndjson.gz", object},
		"CSV":                   {"a.csv", header + "\n" + cells + "\n"},
		"CSV, CRLF and BOM":     {"a.csv", "\ufeff" + header + "\r\n" + cells + "\r\n"},
		"CSV, no last break":    {"a.csv", header + "\n" + cells},
		"CSV, blank lines":      {"a.csv", "\n" + header + "\n\n" + cells + "\n,,,,,\n"},
		"CSV, quoted":           {"a.csv", `"` + strings.ReplaceAll(header, ",", `","`) + "\"\n\"" + strings.ReplaceAll(cells, ",", `","`) + "\"\n"},
		"CSV, semicolons":       {"a.csv", strings.ReplaceAll(header, ",", ";") + "\n" + strings.ReplaceAll(strings.ReplaceAll(cells, ";", " "), ",", ";")},
		"CSV, tabs, packed":     {"a.csv.gz", strings.ReplaceAll(header, ",", "\t") + "\n" + strings.ReplaceAll(cells, ",", "\t")},
		"CSV, UTF-16":           {"a.csv", utf16(header + "\r\n" + cells + "\r\n")},
		"CSV, names for people": {"a.csv", "E-Mail, Serial ,MAC Addresses,Practices.Encryption,practices.firewall,Last Sync\n" + cells},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := devicesOf(t, map[string]any{"DEVICES_FILES": write(t, tc.name, tc.text)}, "ADA@x.org")
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Every rule of the mapping, a device each.
func TestDeviceFields(t *testing.T) {
	t.Parallel()
	day := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	tests := map[string]struct {
		fields string // JSON, beside the address
		want   device.Device
	}{
		"all texts": {
			`"name":"n","model":"m","manufacturer":"f","type":"t","serial":"s","status":"st","photo_url":"p","user_agent":"u","platform":"Mac","os":"macOS","os_version":"26.1","os_build":"b","os_release":"r"`,
			device.Device{
				Name: "n", Model: "m", Manufacturer: "f", Type: "t", Serial: "s", Status: "st", PhotoURL: "p", UserAgent: "u", Platform: "Mac",
				OS: "macOS", OSVersion: "26.1", OSBuild: "b", OSRelease: "r", Identifiers: device.Identifiers{Serial: "s"},
			},
		},
		"identifiers": {
			`"identifiers":{"serial":"s","udid":"u","imei":35000000000001,"meid":"m","google_device_id":"g"}`,
			device.Device{Serial: "s", Identifiers: device.Identifiers{Serial: "s", UDID: "u", IMEI: "35000000000001", MEID: "m", GoogleDeviceID: "g"}},
		},
		"identifiers without their group": {`"udid":"u","imei":"1"`, device.Device{Identifiers: device.Identifiers{UDID: "u", IMEI: "1"}}},
		"two serials":                     {`"serial":"a","identifiers":{"serial":"b"}`, device.Device{Serial: "a", Identifiers: device.Identifiers{Serial: "b"}}},
		"numbers and truths as texts":     {`"name":7,"model":true,"os_version":10.10`, device.Device{Name: "7", Model: "true", OSVersion: "10.10"}},
		"nulls and blanks":                {`"name":null,"model":"","os":"null","identifiers":null,"practices":null,"software":null,"last_sync":null`, device.Device{}},
		"wrong types": {
			`"name":["x"],"serial":{"x":1},"last_sync":[1],"mac_addresses":[[1]],"software":7,"practices":[1],"identifiers":"x"`,
			device.Device{Notes: []string{
				`last_sync is not a time: "[1]"`, `mac_addresses is not a list of addresses: "[[1]]"`, `name is not a text: "[\"x\"]"`,
			}},
		},
		"MACs": {
			`"mac_address":"3c22.fb00.0002","mac_addresses":"8C-16-45-00-00-03 02:00:00:00:00:01, zz n/a"`,
			device.Device{
				Identifiers: device.Identifiers{MACAddresses: []device.MAC{"3C:22:FB:00:00:02", "8C:16:45:00:00:03"}},
				Notes:       []string{`"zz" is not a MAC address`},
			},
		},
		"practices": {
			`"practices":{"encryption":true,"firewall":{"value":"Disabled","details":"off since May","last_updated":"2026-05-01","status":"warn"},"uptodate":{"value":null},"jailed":"N/A","screenlock":1,"remotelogin":"perhaps"}`,
			device.Device{
				Practices: map[string]device.Practice{
					"encryption": {Value: device.Bool(true)}, "firewall": {Value: device.Bool(false), Details: "off since May", LastUpdated: day},
					"jailed": {}, "screenlock": {Value: device.Bool(true)}, "remotelogin": {},
				},
				Notes: []string{`practices.remotelogin cannot be read: "perhaps"`},
			},
		},
		"software": {
			`"software":{"last_scan_date":1777593600,"installed":[{"Name":"A","version":"1","publisher":"P","install_date":"2026-05-01"},{"name":"B","install_date":"odd"},"C",{"version":"1"},null],"services":[{"name":"s"},"t"]}`,
			device.Device{
				Software: &device.Software{
					LastScan: day, Installed: []device.Application{{Name: "A", Version: "1", Publisher: "P", InstallDate: day}, {Name: "B"}, {Name: "C"}},
					Services: []device.Service{{Name: "s"}, {Name: "t"}},
				},
				Notes: []string{"software.installed has an entry without a name"},
			},
		},
		"software as texts": {
			`"software.installed":"A; B","software.services":"s"`,
			device.Device{Software: &device.Software{Installed: []device.Application{{Name: "A"}, {Name: "B"}}, Services: []device.Service{{Name: "s"}}}},
		},
		"unknown fields": {`"color":"grey","location":{"city":"x"},"rating":"ok","_raw":{"email":"other@x.org"}`, device.Device{}},
		"times":          {`"last_sync":1777593600000,"hw_release_date":"2026/05/01"`, device.Device{LastSync: day, HWRelease: day}},
		"odd times": {
			`"last_sync":"5/1/2026","hw_release_date":-5`,
			device.Device{Notes: []string{`hw_release_date is not a time: "-5"`, `last_sync is not a time: "5/1/2026"`}},
		},
		"never synced": {`"last_sync":"never"`, device.Device{}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got := devicesOf(t, map[string]any{"DEVICES_FILES": write(t, "a.jsonl", `{"email":"a@x.org",`+tc.fields+`}`)}, "a@x.org")
			tc.want.Email, tc.want.Source = "a@x.org", "file"
			if diff := cmp.Diff([]device.Device{tc.want}, got, cmpopts.EquateEmpty()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestFieldMap(t *testing.T) {
	t.Parallel()
	got := devicesOf(t, map[string]any{
		"DEVICES_FILES": []string{
			write(t, "a.csv", "Owner,Serial Number,FileVault,Asset Tag\na@x.org,S1,On,17\n"),
			write(t, "b.json", `[{"Owner":"a@x.org","hardware":{"serialNumber":"S2"},"email":"other@x.org"}]`),
		},
		"FIELD_MAP": map[string]string{
			"owner": "email", "Serial Number": "identifiers.serial", "FileVault": "practices.encryption", "Asset Tag": "name",
			"hardware.serialNumber": "serial", "email": "",
		},
	}, "a@x.org")
	want := []device.Device{
		{
			Email: "a@x.org", Name: "17", Serial: "S1", Source: "file", Identifiers: device.Identifiers{Serial: "S1"},
			Practices: map[string]device.Practice{"encryption": {Value: device.Bool(true)}},
		},
		{Email: "a@x.org", Serial: "S2", Source: "file", Identifiers: device.Identifiers{Serial: "S2"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestEvents(t *testing.T) {
	t.Parallel()
	path := write(t, "e.jsonl", strings.Join([]string{
		`{"email":"a@x.org","type":"login","success":"no","reason":"bad password","ip_address":"192.0.2.1","timestamp":"2026-05-01T10:00:00Z","details":{"Factor":"push","tries":3},"vpn":true}`,
		`{"username":"A@x.org","timestamp":1777640400}`,
		`{"email":"a@x.org","timestamp":"later","success":"perhaps"}`,
		`{"email":"b@x.org"}`, `{"username":"root"}`,
	}, "\n"))
	got, err := sdktest.Open(t, file.Plugin(), map[string]any{"EVENTS_FILES": path}).EventsByEmail(t.Context(), "a@x.org")
	if err != nil {
		t.Fatal(err)
	}
	at := time.Date(2026, 5, 1, 10, 0, 0, 0, time.UTC)
	want := []device.Event{
		{Source: "file", Username: "A@x.org", Email: "A@x.org", Timestamp: at.Add(3 * time.Hour)},
		{
			Source: "file", Email: "a@x.org", Type: "login", Success: device.Bool(false), Reason: "bad password", IPAddress: "192.0.2.1", Timestamp: at,
			Details: map[string]string{"Factor": "push", "tries": "3"},
		},
		{Source: "file", Email: "a@x.org", Details: map[string]string{"timestamp": "later", "success": "perhaps"}},
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestRaw(t *testing.T) {
	t.Parallel()
	settings := map[string]any{"DEVICES_FILES": []string{
		write(t, "a.csv", "email,Tag\na@x.org,7\n"), write(t, "b.json", `{"email":"a@x.org","tag":7}`),
	}}
	for _, d := range devicesOf(t, settings, "a@x.org") {
		if d.Raw != nil {
			t.Errorf("raw document without debug: %s", d.Raw)
		}
	}
	got, err := sdktest.Open(t, file.Plugin(), settings, sdktest.WithDebug()).DevicesByEmail(t.Context(), "a@x.org")
	if err != nil {
		t.Fatal(err)
	}
	want := []json.RawMessage{[]byte(`{"Tag":"7","email":"a@x.org"}`), []byte(`{"email":"a@x.org","tag":7}`)}
	if diff := cmp.Diff(want, []json.RawMessage{got[0].Raw, got[1].Raw}); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}
