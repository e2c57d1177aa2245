package device_test

import (
	"fmt"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/device"
)

func TestMerge_RecordThatFitsSeveral(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		records []device.Device
		want    []string
	}{
		{
			name:    "more matching identifiers",
			records: []device.Device{rec("a", "S1", macDongle, macA), synced(rec("a", "S2", macDongle), 9), rec("b", "", macDongle, macA)},
			want:    []string{"0 2", "1"},
		},
		{
			name: "more matching identifiers, though the serial matches too",
			records: []device.Device{
				{Identifiers: device.Identifiers{Serial: "S1", UDID: "U1"}},
				rec("a", "S2", macA, macB),
				{Identifiers: device.Identifiers{UDID: "U1", MACAddresses: []device.MAC{macA, macB}}},
			},
			want: []string{"0", "1 2"},
		},
		{
			name: "a device's identifiers count, whichever record has them",
			records: []device.Device{
				rec("a", "S1", macA), rec("b", "S1", macB), synced(rec("a", "S2", macA), 9), rec("c", "", macA, macB),
			},
			want: []string{"0 1 3", "2"},
		},
		{
			name:    "then the newest",
			records: []device.Device{synced(rec("a", "S1", macA), 1), synced(rec("a", "S2", macA), 2), synced(rec("b", "", macA), 3)},
			want:    []string{"0", "1 2"},
		},
		{
			name:    "then a stable key",
			records: []device.Device{rec("z", "S1", macA), rec("a", "S2", macA), rec("b", "", macA)},
			want:    []string{"0", "1 2"},
		},
		{
			name: "conflict in the UDID: the record with a serial goes to the better match",
			records: []device.Device{
				{Identifiers: device.Identifiers{UDID: "U1", MACAddresses: []device.MAC{macA, macB}}},
				{Identifiers: device.Identifiers{UDID: "U2", MACAddresses: []device.MAC{macA, macC, "3C:22:FB:00:00:0D", "3C:22:FB:00:00:0E"}}},
				rec("a", "S1", macA, macB),
			},
			want: []string{"0 2", "1"},
		},
		{
			name: "a chain breaks where it is contested",
			records: []device.Device{
				synced(rec("a", "S1", macA), 1), synced(rec("a", "", macA, macB), 3), synced(rec("a", "", macB, macC), 2), synced(rec("a", "S2", macC), 4),
			},
			want: []string{"0 1", "2 3"},
		},
		{
			name: "the devices come before the newer record that fits both",
			records: []device.Device{
				synced(device.Device{Identifiers: device.Identifiers{IMEI: "35111", MACAddresses: []device.MAC{macDongle, macA}}}, 3),
				synced(rec("a", "S2", macDongle), 2),
				synced(rec("a", "S1", macDongle, macA), 1),
			},
			want: []string{"0 2", "1"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, groupsOf(t, tt.records, device.MergeOptions{})); diff != "" {
				t.Errorf("devices (-want +got):\n%s", diff)
			}
		})
	}
}

func TestMerge_Ambiguous(t *testing.T) {
	t.Parallel()
	devices := device.Merge([]device.Device{
		synced(rec("jamf", "S1", macDongle, macA), 3),
		synced(rec("jamf", "S2", macDongle, macB), 2),
		synced(rec("google", "", macDongle), 1),
	}, device.MergeOptions{})
	if len(devices) != 2 {
		t.Fatalf("%d devices, want 2", len(devices))
	}
	want := []device.Ambiguity{{
		Identifier: "mac_address", Value: string(macDongle),
		Reason: "2 devices hold it; they differ in serial and were kept apart; 1 record fits more than one of them and" +
			" went to the one with more matching identifiers, else the newest",
	}}
	for _, d := range devices {
		if diff := cmp.Diff(want, d.Ambiguous); diff != "" {
			t.Errorf("%s (-want +got):\n%s", d.Serial, diff)
		}
		if slices.Contains(d.Identifiers.MACAddresses, macA) && slices.Contains(d.Identifiers.MACAddresses, macB) {
			t.Errorf("%s has the other laptop's MAC address: %v", d.Serial, d.Identifiers.MACAddresses)
		}
	}
	if diff := cmp.Diff([]string{"google", "jamf"}, devices[0].Sources); diff != "" {
		t.Errorf("the record went elsewhere than to the newest (-want +got):\n%s", diff)
	}
}

// A crowd's records that could join any of it all go to the newest.
func TestMerge_Crowd(t *testing.T) {
	t.Parallel()
	const n = 500
	var records []device.Device
	for i := range n {
		records = append(records, synced(rec("jamf", fmt.Sprintf("S%d", i), macDongle), -i), synced(rec("google", "", macDongle), -i))
	}
	devices := device.Merge(records, device.MergeOptions{})
	if len(devices) != n {
		t.Fatalf("%d devices, want %d", len(devices), n)
	}
	for i, d := range devices {
		if want := fmt.Sprintf("S%d", i); d.Serial != want || len(d.Ambiguous) != 1 {
			t.Fatalf("device %d has serial %q and %d ambiguities, want %q and one", i, d.Serial, len(d.Ambiguous), want)
		}
		if joined, want := len(d.Joined), map[bool]int{true: n}[i == 0]; joined != want {
			t.Errorf("%d records joined device %d, want %d", joined, i, want)
		}
	}
}

// Of a crowd that is known by different kinds of identifiers, too, the newest
// device is found.
func TestMerge_CrowdOfSeveralKinds(t *testing.T) {
	t.Parallel()
	var records []device.Device
	for i := range 40 {
		both := synced(rec("jamf", fmt.Sprintf("B%d", i), macDongle), -100-i)
		both.Identifiers.UDID = fmt.Sprintf("U%d", i)
		records = append(records, synced(rec("jamf", fmt.Sprintf("S%d", i), macDongle), -i), both)
	}
	phone := synced(rec("google", "", macDongle), -200)
	phone.Identifiers.UDID = "U-PHONE"
	records = append(records, phone, synced(rec("landesk", "", macDongle), -300))
	devices := device.Merge(records, device.MergeOptions{})
	if len(devices) != 80 {
		t.Fatalf("%d devices, want 80", len(devices))
	}
	if diff := cmp.Diff([]string{"google", "jamf", "landesk"}, devices[0].Sources); diff != "" || devices[0].Serial != "S0" {
		t.Errorf("sources of the newest device, %s (-want +got):\n%s", devices[0].Serial, diff)
	}
}

// An identifier shared by devices is told once and in order, and what was told
// before stays.
func TestMerge_AmbiguousInOrder(t *testing.T) {
	t.Parallel()
	known := device.Ambiguity{Identifier: "mac_address", Value: string(macB), Reason: "known before"}
	a, b := rec("jamf", "S1", macB, macA), rec("jamf", "S2", macA, macB)
	a.Ambiguous = []device.Ambiguity{known}
	got := device.Merge([]device.Device{a, b}, device.MergeOptions{})[0].Ambiguous
	reason := "2 devices hold it; they differ in serial and were kept apart"
	want := []device.Ambiguity{{Identifier: "mac_address", Value: string(macA), Reason: reason}, known}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("ambiguities (-want +got):\n%s", diff)
	}
}
