package file_test

import (
	"encoding/csv"
	"encoding/json"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/internal/simulator/fleet"
	"github.com/postureproject/posture/plugins/file"
	"github.com/postureproject/posture/plugins/sdk/sdktest"
)

// export writes the fleet as an asset manager would: computers as a table, phones
// as JSON lines, log-ins as JSON, people as a table.
func export(t *testing.T, f *fleet.Fleet) map[string]any {
	t.Helper()
	var computers, users strings.Builder
	c, u := csv.NewWriter(&computers), csv.NewWriter(&users)
	put := func(w *csv.Writer, values ...string) {
		t.Helper()
		if err := w.Write(values); err != nil {
			t.Fatal(err)
		}
	}
	put(c, "Host", "email", "model", "manufacturer", "platform", "os", "os_version", "serial", "identifiers.udid", "MACs", "last_sync", "practices.encryption", "practices.firewall", "software.installed")
	put(u, "name", "email")
	var phones strings.Builder
	var logins []map[string]any
	for i := range f.Len() {
		p := f.Person(i)
		put(u, p.Name, p.Email)
		for _, d := range f.Devices(p) {
			if d.IMEI != "" {
				line, err := json.Marshal(map[string]any{
					"name": d.Name, "email": p.Email, "model": d.Model, "serial": d.Serial, "os": d.OS, "os_version": d.OSVersion, "last_sync": d.LastSync.Unix(),
					"identifiers": map[string]any{"imei": d.IMEI, "meid": d.MEID, "mac_addresses": d.MACs}, "practices": map[string]any{"jailed": map[string]any{"value": !d.Compromised}},
				})
				if err != nil {
					t.Fatal(err)
				}
				phones.Write(append(line, '\n'))
				continue
			}
			platform := map[fleet.Kind]string{fleet.Mac: "Mac", fleet.Windows: "Windows", fleet.Linux: "Linux", fleet.Chromebook: "ChromeOS"}[d.Kind]
			put(c, d.Name, p.Email, d.Model, d.Maker, platform, d.OS, d.OSVersion, d.Serial, d.UDID, strings.Join(d.MACs, ";"), d.LastSync.Format(time.RFC3339),
				strconv.FormatBool(d.Encrypted), strconv.FormatBool(d.Firewall), f.Apps(d)[0].Name)
		}
		for _, l := range f.Logins(p, 2) {
			logins = append(logins, map[string]any{
				"email": p.Email, "type": "login", "success": l.Success, "reason": l.Reason, "ip_address": l.IP, "timestamp": l.At, "details": map[string]any{"factor": l.Factor},
			})
		}
	}
	c.Flush()
	u.Flush()
	events, err := json.Marshal(logins)
	if err != nil {
		t.Fatal(err)
	}
	return map[string]any{
		"DEVICES_FILES": []string{write(t, "computers.csv", computers.String()), write(t, "phones.jsonl.gz", phones.String())},
		"EVENTS_FILES":  write(t, "logins.json", string(events)), "USERS_FILES": write(t, "users.csv", users.String()),
		"FIELD_MAP": map[string]string{"Host": "name", "MACs": "identifiers.mac_addresses"},
	}
}

func TestConformance(t *testing.T) {
	t.Parallel()
	f := fleet.New(fleet.Options{})
	settings := export(t, f)
	ada := f.Devices(f.Person(0))[0]
	sdktest.Conformance(t, file.Plugin(), sdktest.Case{
		Settings: settings, Email: ada.Owner.Email, Serial: strings.ToLower(ada.Serial), MAC: device.MAC(ada.MACs[1]), ListSame: true,
		Failing: []map[string]any{{"DEVICES_FILES": "/no/such/file.csv"}},
	})
}

func TestGolden(t *testing.T) {
	t.Parallel()
	f := fleet.New(fleet.Options{People: 3, Now: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)})
	client := sdktest.Open(t, file.Plugin(), export(t, f))
	var got struct {
		Devices []device.Device `json:"devices"`
		Events  []device.Event  `json:"events"`
	}
	var err error
	if got.Devices, err = client.DevicesByEmail(t.Context(), f.Person(0).Email); err != nil {
		t.Fatal(err)
	}
	if got.Events, err = client.EventsByEmail(t.Context(), f.Person(0).Email); err != nil {
		t.Fatal(err)
	}
	text, err := json.MarshalIndent(got, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, '\n')
	golden := filepath.Join("testdata", "person0.golden.json")
	if *update {
		if err := os.WriteFile(golden, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(text)); diff != "" {
		t.Errorf("differs from %s (-want +got):\n%s", golden, diff)
	}
}
