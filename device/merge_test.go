package device_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/device"
)

const (
	macA      = device.MAC("3C:22:FB:00:00:0A")
	macB      = device.MAC("3C:22:FB:00:00:0B")
	macC      = device.MAC("3C:22:FB:00:00:0C")
	macDongle = device.MAC("00:0E:C6:00:00:01")
)

// rec makes a record out of a serial, which may be empty, and MAC addresses.
func rec(source, serial string, macs ...device.MAC) device.Device {
	return device.Device{Source: source, Identifiers: device.Identifiers{Serial: serial, MACAddresses: macs}}
}

// synced gives the record with a time at which it was last heard from, in hours.
func synced(d device.Device, hours int) device.Device {
	d.LastSync = benchNow.Add(time.Duration(hours) * time.Hour)
	return d
}

// with changes a record.
func with(d device.Device, change func(*device.Device)) device.Device {
	change(&d)
	return d
}

// groupsOf merges records in both directions and names each device by its records' places.
func groupsOf(t *testing.T, records []device.Device, o device.MergeOptions) []string {
	t.Helper()
	marked := slices.Clone(records)
	mark(marked)
	name := func(devices []device.Device) []string {
		var out []string
		for _, d := range devices {
			out = append(out, strings.Trim(fmt.Sprint(members(d)), "[]"))
		}
		slices.Sort(out)
		return out
	}
	forward := name(device.Merge(marked, o))
	slices.Reverse(marked)
	if diff := cmp.Diff(forward, name(device.Merge(marked, o))); diff != "" {
		t.Errorf("the reverse order gives other devices:\n%s", diff)
	}
	return forward
}

func TestMerge_SameDevice(t *testing.T) {
	t.Parallel()
	ids := func(i device.Identifiers) device.Device { return device.Device{Identifiers: i} }
	tests := []struct {
		name    string
		records []device.Device
		options device.MergeOptions
		want    []string
	}{
		{name: "nothing", want: nil},
		{name: "no identifiers", records: []device.Device{{Name: "a"}, {Name: "a"}}, want: []string{"0", "1"}},
		{name: "serial", records: []device.Device{rec("jamf", "C02X"), rec("bitfit", "C02X")}, want: []string{"0 1"}},
		{
			name:    "serials without case and surrounding space",
			records: []device.Device{rec("jamf", "C02x"), rec("bitfit", " c02X\t")}, want: []string{"0 1"},
		},
		{
			name: "serial in the plain field only",
			records: []device.Device{
				{Serial: "C02X"},
				rec("jamf", "C02X"),
				with(rec("google", "n/a"), func(d *device.Device) { d.Serial = "c02x" }),
			},
			want: []string{"0 1 2"},
		},
		{name: "udid", records: []device.Device{ids(device.Identifiers{UDID: "aa-1"}), ids(device.Identifiers{UDID: "AA-1"})}, want: []string{"0 1"}},
		{name: "imei", records: []device.Device{ids(device.Identifiers{IMEI: "35111"}), ids(device.Identifiers{IMEI: "35111"})}, want: []string{"0 1"}},
		{name: "meid", records: []device.Device{ids(device.Identifiers{MEID: "A1"}), ids(device.Identifiers{MEID: "a1"})}, want: []string{"0 1"}},
		{
			name:    "google device id",
			records: []device.Device{ids(device.Identifiers{GoogleDeviceID: "g-1"}), ids(device.Identifiers{GoogleDeviceID: "g-1"})},
			want:    []string{"0 1"},
		},
		{
			name:    "the same text as different identifiers",
			records: []device.Device{ids(device.Identifiers{IMEI: "35111"}), ids(device.Identifiers{MEID: "35111"})}, want: []string{"0", "1"},
		},
		{name: "one MAC address of several", records: []device.Device{rec("a", "", macA, macB), rec("b", "", macB, macC)}, want: []string{"0 1"}},
		{name: "MAC addresses in any notation", records: []device.Device{rec("a", "", "3c-22-fb-00-00-0a"), rec("b", "", "3c22.fb00.000a")}, want: []string{"0 1"}},
		{
			name:    "through others",
			records: []device.Device{rec("a", "S1"), rec("b", "", macA, macB), rec("c", "S1", macA), rec("d", "", macB)}, want: []string{"0 1 2 3"},
		},
		{name: "an empty serial does not conflict", records: []device.Device{rec("a", "S1", macA), rec("b", "", macA), rec("c", "  ", macA)}, want: []string{"0 1 2"}},
		{name: "a placeholder does not conflict", records: []device.Device{rec("a", "S1", macA), rec("b", "Default string", macA)}, want: []string{"0 1"}},
		{
			name: "placeholders do not join",
			records: []device.Device{
				rec("a", "To be filled by O.E.M."), rec("b", "to be filled by o.e.m."), rec("c", "System Serial Number"),
				rec("d", "system serial number"), rec("e", "None"), rec("f", "none"), rec("g", "0000000"), rec("h", "0000000"),
			},
			want: []string{"0", "1", "2", "3", "4", "5", "6", "7"},
		},
		{
			name:    "configured placeholders do not join",
			records: []device.Device{rec("a", "Loaner", macDongle), rec("b", " LOANER", macDongle)},
			options: device.MergeOptions{Placeholders: []string{"loaner ", "000e.c600.0001"}}, want: []string{"0", "1"},
		},
		{
			name: "equal lists of unusable MAC addresses do not join",
			records: []device.Device{
				rec("a", "", "02:00:00:00:00:01", "00:00:00:00:00:00", "FF:FF:FF:FF:FF:FF"),
				rec("b", "", "02:00:00:00:00:01", "00:00:00:00:00:00", "FF:FF:FF:FF:FF:FF"),
			},
			want: []string{"0", "1"},
		},
		{name: "what is no MAC address does not join", records: []device.Device{rec("a", "", "unknown"), rec("b", "", "unknown"), rec("c", "", "zz"), rec("d", "", "zz")}, want: []string{"0", "1", "2", "3"}},
		{name: "a shared dongle", records: []device.Device{rec("a", "S1", macDongle, macA), rec("b", "S2", macDongle, macB)}, want: []string{"0", "1"}},
		{
			name: "a shared dongle, each laptop seen by several sources",
			records: []device.Device{
				rec("a", "S1", macDongle, macA), rec("b", "", macA), rec("c", "S1"), rec("a", "S2", macDongle, macB), rec("b", "", macB), rec("c", "S2"),
			},
			want: []string{"0 1 2", "3 4 5"},
		},
		{
			name:    "a conflict that only the third record brings",
			records: []device.Device{rec("a", "S1", macA), rec("b", "", macA, macB), synced(rec("c", "S2", macB), 1)}, want: []string{"0", "1 2"},
		},
		{
			name: "a conflict in another identifier than the shared one",
			records: []device.Device{
				ids(device.Identifiers{Serial: "S1", UDID: "U1"}), ids(device.Identifiers{Serial: "S1", UDID: "U2"}),
			},
			want: []string{"0", "1"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, groupsOf(t, tt.records, tt.options)); diff != "" {
				t.Errorf("devices (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMerge_Joined(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		records []device.Device
		want    []device.Join
	}{
		{name: "one record", records: []device.Device{rec("jamf", "S1")}},
		{
			name: "with the newest, by the strongest identifier, as given",
			records: []device.Device{
				synced(rec("jamf", "C02X", macA), 3), synced(rec("bitfit", "c02x", macA), 2), synced(rec("google", "", macA), 1),
			},
			want: []device.Join{
				{Source: "bitfit", With: "jamf", Identifier: "serial", Value: "c02x"},
				{Source: "google", With: "jamf", Identifier: "mac_address", Value: string(macA)},
			},
		},
		{
			name:    "of several MAC addresses the lowest",
			records: []device.Device{synced(rec("jamf", "", macB, macC, macA), 2), synced(rec("google", "", macC, macB), 1)},
			want:    []device.Join{{Source: "google", With: "jamf", Identifier: "mac_address", Value: string(macB)}},
		},
		{
			name: "through others",
			records: []device.Device{
				synced(rec("jamf", "S1"), 4), synced(rec("google", "", macB), 3), synced(rec("landesk", "", macA, macB), 2), synced(rec("bitfit", "S1", macA), 1),
			},
			want: []device.Join{
				{Source: "google", With: "landesk", Identifier: "mac_address", Value: string(macB)},
				{Source: "landesk", With: "bitfit", Identifier: "mac_address", Value: string(macA)},
				{Source: "bitfit", With: "jamf", Identifier: "serial", Value: "S1"},
			},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			devices := device.Merge(tt.records, device.MergeOptions{})
			if len(devices) != 1 {
				t.Fatalf("%d devices, want 1", len(devices))
			}
			if diff := cmp.Diff(tt.want, devices[0].Joined); diff != "" {
				t.Errorf("reasons (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMerge_Fields(t *testing.T) {
	t.Parallel()
	older := device.Device{
		Source: "landesk", Name: "old", Model: "ThinkPad", Serial: "PF2X", Email: "ada@example.com", HWRelease: benchNow,
		LastSync: benchNow, Notes: []string{"one", "two"}, Rating: device.RatingOK, Folded: "stale",
		Identifiers: device.Identifiers{Serial: "pf2x", UDID: "U1", MACAddresses: []device.MAC{macB, "02:00:00:00:00:01"}},
	}
	newer := device.Device{
		Source: "bitfit", Name: "new", Model: " ", Serial: "To be filled by O.E.M.", LastSync: benchNow.Add(time.Hour), Notes: []string{"two", "three"},
		Identifiers: device.Identifiers{UDID: "u1", IMEI: "none", MACAddresses: []device.MAC{macA, macB, "odd"}},
	}
	undated := device.Device{Source: "bitfit", Name: "undated", Status: "In use", Identifiers: device.Identifiers{UDID: "U1"}}
	want := []device.Device{{
		Sources: []string{"bitfit", "landesk"}, Name: "new", Model: "ThinkPad", Serial: "PF2X", Email: "ada@example.com", Status: "In use",
		HWRelease: benchNow, LastSync: benchNow.Add(time.Hour), Notes: []string{"two", "three", `"odd" is not a MAC address and was left out.`, "one"},
		Identifiers: device.Identifiers{Serial: "pf2x", UDID: "u1", MACAddresses: []device.MAC{macA, macB}},
		Joined: []device.Join{
			{Source: "landesk", With: "bitfit", Identifier: "udid", Value: "U1"},
			{Source: "bitfit", With: "bitfit", Identifier: "udid", Value: "U1"},
		},
	}}
	got := device.Merge([]device.Device{older, undated, newer}, device.MergeOptions{})
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("merged (-want +got):\n%s", diff)
	}
}

func TestMerge_Raw(t *testing.T) {
	t.Parallel()
	raw := func(source, text string) device.Device {
		return device.Device{Source: source, Raw: json.RawMessage(text), Identifiers: device.Identifiers{Serial: "S1"}}
	}
	tests := []struct {
		name    string
		records []device.Device
		want    string
	}{
		{name: "none", records: []device.Device{rec("jamf", "S1"), rec("google", "S1")}},
		{name: "by source", records: []device.Device{raw("jamf", `{"a":1}`), raw("google", `[2]`), rec("bitfit", "S1")}, want: `{"google":[2],"jamf":{"a":1}}`},
		{name: "several of one source", records: []device.Device{raw("jamf", `2`), raw("jamf", `1`)}, want: `{"jamf":[1,2]}`},
		{name: "not JSON", records: []device.Device{raw("jamf", `<a>`)}, want: `{"jamf":"\u003ca\u003e"}`},
		{name: "merged before", records: []device.Device{raw("", `{"jamf":1}`), raw("google", `2`)}, want: `{"google":2,"jamf":1}`},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			devices := device.Merge(tt.records, device.MergeOptions{})
			if len(devices) != 1 {
				t.Fatalf("%d devices, want 1", len(devices))
			}
			if got := string(devices[0].Raw); got != tt.want {
				t.Errorf("raw = %s, want %s", got, tt.want)
			}
		})
	}
}
