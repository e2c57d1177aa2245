package device_test

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/device"
)

func TestMerge_Software(t *testing.T) {
	t.Parallel()
	day := func(n int) time.Time { return benchNow.AddDate(0, 0, n) }
	older := with(synced(rec("jamf", "S1"), 1), func(d *device.Device) {
		d.Software = &device.Software{
			LastScan: day(2),
			Installed: []device.Application{
				{Name: "Sensor", Version: "1.10", InstallDate: day(-9)},
				{Name: "Editor", Version: "3", Publisher: "Vendor", InstallDate: day(-8)},
				{Name: "Jamf only", Version: "1"},
			},
			Services: []device.Service{{Name: "sensord"}, {Name: "sshd"}},
		}
	})
	newer := with(synced(rec("landesk", "S1"), 2), func(d *device.Device) {
		d.Software = &device.Software{
			LastScan:  day(1),
			Installed: []device.Application{{Name: " SENSOR ", Version: "1.9", Publisher: "Maker", InstallDate: day(-1)}, {Name: "editor", Version: "3.0"}},
			Services:  []device.Service{{Name: "SSHD"}, {Name: "agent"}},
		}
	})
	want := &device.Software{
		LastScan: day(2),
		Installed: []device.Application{
			{Name: "Sensor", Version: "1.10", Publisher: "Maker", InstallDate: day(-9)},
			{Name: "editor", Version: "3.0", Publisher: "Vendor", InstallDate: day(-8)},
			{Name: "Jamf only", Version: "1"},
		},
		Services: []device.Service{{Name: "SSHD"}, {Name: "agent"}, {Name: "sensord"}},
	}
	records := []device.Device{older, rec("bitfit", "S1"), newer}
	for range 2 {
		devices := device.Merge(records, device.MergeOptions{})
		if diff := cmp.Diff(want, devices[0].Software); diff != "" {
			t.Errorf("software (-want +got):\n%s", diff)
		}
		slices.Reverse(records)
	}
}

// One source may list a program twice, under names beyond ASCII too.
func TestMerge_SoftwareListedTwice(t *testing.T) {
	t.Parallel()
	r := rec("jamf", "S1")
	r.Software = &device.Software{}
	for i := range 40 {
		for v := range 3 {
			name := fmt.Sprintf("Größe %d", i)
			if v == 1 {
				name = fmt.Sprintf("GRÖßE %d", i)
			}
			r.Software.Installed = append(r.Software.Installed, device.Application{Name: name, Version: fmt.Sprint(v)})
		}
	}
	got := device.Merge([]device.Device{r}, device.MergeOptions{})[0].Software.Installed
	if len(got) != 40 {
		t.Fatalf("%d applications, want 40", len(got))
	}
	for _, a := range got {
		if a.Version != "2" {
			t.Errorf("%s has version %s, want the newest, 2", a.Name, a.Version)
		}
	}
}

func TestMerge_NewestVersion(t *testing.T) {
	t.Parallel()
	tests := []struct{ older, newer string }{
		{"", "0"},
		{"1.9", "1.10"},
		{"1.9", "1.010"},
		{"1.010", "1.11"},
		{"1.2.3", "1.2.4"},
		{"9.99.99", "10.0"},
		{"1.0-beta", "1.0"},
		{"1.0-beta", "1.0-rc1"},
		{"1.0-rc2", "1.0-rc10"},
		{"1.0 (build 9)", "1.0 (build 10)"},
		{"1", "1.0.1"},
		{"99999999999999999998", "99999999999999999999"},
		{"beta", "1"},
		{"v1.2", "v1.3"},
	}
	for _, tt := range tests {
		t.Run(tt.older+" and "+tt.newer, func(t *testing.T) {
			t.Parallel()
			for _, versions := range [][]string{{tt.older, tt.newer}, {tt.newer, tt.older}} {
				r := rec("jamf", "S1")
				r.Software = &device.Software{}
				for _, v := range versions {
					r.Software.Installed = append(r.Software.Installed, device.Application{Name: "a", Version: v})
				}
				got := device.Merge([]device.Device{r}, device.MergeOptions{})[0].Software.Installed
				if diff := cmp.Diff([]device.Application{{Name: "a", Version: tt.newer}}, got); diff != "" {
					t.Errorf("of %q (-want +got):\n%s", versions, diff)
				}
			}
		})
	}
}
