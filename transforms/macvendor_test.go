package transforms_test

import (
	"encoding/json"
	"slices"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/transforms"
)

func macManufacturer(t testing.TB, raw string) *transforms.MACManufacturer {
	t.Helper()
	m, err := transforms.NewMACManufacturer(json.RawMessage(raw))
	if err != nil {
		t.Fatal(err)
	}
	return m
}

func TestMACManufacturer_TransformDevices(t *testing.T) {
	t.Parallel()
	m := macManufacturer(t, "")
	tests := []struct {
		name, given string
		macs        []device.MAC
		want        string
	}{
		{"24 bits", "", []device.MAC{"3C:22:FB:00:00:01"}, "Apple, Inc."},
		{"28 bits", "", []device.MAC{"00:55:DA:0F:FF:FF"}, "Shinko Technos co.,ltd."},
		{"another of the same 24 bits", "", []device.MAC{"00:55:DA:10:00:00"}, "KoolPOS Inc."},
		{"36 bits", "", []device.MAC{"00:1B:C5:00:0A:BC"}, "Converging Systems Inc."},
		{"36 bits of a closed registry", "", []device.MAC{"00:50:C2:7D:50:00"}, "DEUTA-WERKE GmbH"},
		{"64-bit address", "", []device.MAC{"3C:22:FB:FF:FE:00:00:01"}, "Apple, Inc."},
		{"first registered one", "", []device.MAC{"00:0D:58:00:00:01", "00:0E:C6:00:00:01", "3C:22:FB:00:00:01"}, "ASIX ELECTRONICS CORP."},
		{"given already", "LENOVO", []device.MAC{"3C:22:FB:00:00:01"}, "LENOVO"},
		{"blank is not given", " ", []device.MAC{"3C:22:FB:00:00:01"}, "Apple, Inc."},
		{"unregistered part of a shared block", "", []device.MAC{"00:1B:C5:FF:FF:FF"}, ""},
		{"no address", "", nil, ""},
		{"nonsense", "", []device.MAC{"", "3C:22", "zz:zz:zz:zz:zz:zz"}, ""},
	}
	var devices []device.Device
	for _, tt := range tests {
		devices = append(devices, device.Device{Name: tt.name, Manufacturer: tt.given, Identifiers: device.Identifiers{MACAddresses: tt.macs}})
	}
	before := slices.Clone(devices)
	got, err := m.TransformDevices(t.Context(), devices)
	if err != nil {
		t.Fatal(err)
	}
	for i, tt := range tests {
		if got[i].Manufacturer != tt.want {
			t.Errorf("%s: %q, want %q", tt.name, got[i].Manufacturer, tt.want)
		}
	}
	if diff := cmp.Diff(before, devices); diff != "" {
		t.Errorf("the input changed:\n%s", diff)
	}
}

func TestMACManufacturer_fileWins(t *testing.T) {
	t.Parallel()
	m := macManufacturer(t, `{"oui_file": "testdata/manuf"}`)
	devices := []device.Device{
		{Identifiers: device.Identifiers{MACAddresses: []device.MAC{"3C:22:FB:00:00:01"}}},
		{Identifiers: device.Identifiers{MACAddresses: []device.MAC{"3C:22:FB:A0:00:01"}}},
		{Identifiers: device.Identifiers{MACAddresses: []device.MAC{"3C:22:FB:AB:C0:01"}}},
		{Identifiers: device.Identifiers{MACAddresses: []device.MAC{"8C:16:45:00:00:01"}}},
	}
	got, err := m.TransformDevices(t.Context(), devices)
	if err != nil {
		t.Fatal(err)
	}
	want := []string{"Orchard Ltd.", "Twenty-Eight", "Thirty-Six GmbH", "LCFC(Hefei) Electronics Technology co., ltd"}
	for i := range got {
		if got[i].Manufacturer != want[i] {
			t.Errorf("device %d: %q, want %q", i, got[i].Manufacturer, want[i])
		}
	}
}

func BenchmarkMACManufacturer(b *testing.B) {
	m := macManufacturer(b, "")
	devices := []device.Device{{Identifiers: device.Identifiers{MACAddresses: []device.MAC{"00:0D:58:00:00:01", "3C:22:FB:00:00:01"}}}}
	b.ReportAllocs()
	for b.Loop() {
		if _, err := m.TransformDevices(b.Context(), devices); err != nil {
			b.Fatal(err)
		}
	}
}

// The first device that needs the table has it unpacked.
func BenchmarkMACManufacturer_first(b *testing.B) {
	devices := []device.Device{{Identifiers: device.Identifiers{MACAddresses: []device.MAC{"3C:22:FB:00:00:01"}}}}
	for b.Loop() {
		if _, err := macManufacturer(b, "").TransformDevices(b.Context(), devices); err != nil {
			b.Fatal(err)
		}
	}
}
