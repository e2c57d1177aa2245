package device_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/device"
)

// FuzzMerge merges whatever records can be read from JSON.
func FuzzMerge(f *testing.F) {
	for _, s := range []string{
		`[]`, `[{}]`, `[{},{}]`, `null`,
		`[{"source":"jamf","identifiers":{"serial":"C02X","mac_addresses":["3C:22:FB:00:00:01"]}},{"source":"google","identifiers":{"serial":"c02x "}}]`,
		`[{"identifiers":{"serial":"S1","mac_addresses":["00:0E:C6:00:00:01"]}},{"identifiers":{"serial":"S2","mac_addresses":["00:0E:C6:00:00:01"]}},{"identifiers":{"mac_addresses":["000e.c600.0001"]}}]`,
		`[{"serial":"None","last_sync":"2026-11-20T12:00:00Z","practices":{"encryption":{"value":null},"firewall":{"value":true,"status":"ok"}}},{"serial":"0000"}]`,
		`[{"identifiers":{"udid":"u"},"software":{"installed":[{"name":"A","version":"1.0"},{"name":"a","version":"1.10"}],"services":[{"name":"d"}]}},{"identifiers":{"udid":"U"},"_raw":{"a":[]},"source":"x"}]`,
		`[{"identifiers":{"imei":"1","meid":"2"}},{"identifiers":{"meid":"2","google_device_id":"3"}},{"identifiers":{"imei":"4","google_device_id":"3"}}]`,
		`[{"identifiers":{"mac_addresses":["odd","",null]},"notes":["a","a"]},{"joined":[{"source":"a"}],"ambiguous":[{"identifier":"serial"}],"sources":["b","a"]}]`,
	} {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, text []byte) {
		var records []device.Device
		if json.Unmarshal(text, &records) != nil {
			return
		}
		var before []device.Device
		if err := json.Unmarshal(text, &before); err != nil {
			t.Fatal(err)
		}
		devices := device.Merge(records, device.MergeOptions{})
		if diff := cmp.Diff(before, records); diff != "" {
			t.Fatalf("Merge changed its input:\n%s", diff)
		}
		if len(devices) > len(records) || (len(devices) == 0) != (len(records) == 0) {
			t.Fatalf("%d devices of %d records", len(devices), len(records))
		}
		for _, d := range devices {
			if !d.LastSync.IsZero() && (d.LastSync.Year() > 9999 || d.LastSync.Year() < 0) {
				continue
			}
			if _, err := json.Marshal(d); err != nil {
				t.Fatalf("a merged device does not marshal: %v", err)
			}
		}
		slices.Reverse(records)
		if diff := cmp.Diff(devices, device.Merge(records, device.MergeOptions{})); diff != "" {
			t.Fatalf("the reverse order gives another outcome:\n%s", diff)
		}
	})
}
