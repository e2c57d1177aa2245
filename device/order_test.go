package device_test

import (
	"encoding/json"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/device"
)

func TestMerge_OrdersDevicesNewestFirst(t *testing.T) {
	t.Parallel()
	devices := device.Merge([]device.Device{
		rec("jamf", "S4"), synced(rec("jamf", "S2"), 1), synced(rec("jamf", "S1"), 2), rec("jamf", "S3"),
	}, device.MergeOptions{})
	var serials []string
	for _, d := range devices {
		serials = append(serials, d.Identifiers.Serial)
	}
	if diff := cmp.Diff([]string{"S1", "S2", "S3", "S4"}, serials); diff != "" {
		t.Errorf("order (-want +got):\n%s", diff)
	}
}

// Records that differ in one thing only merge alike in either order.
func TestMerge_StableKey(t *testing.T) {
	t.Parallel()
	practice := func(p device.Practice) func(*device.Device) {
		return func(d *device.Device) { d.Practices = map[string]device.Practice{"firewall": p} }
	}
	app := func(version, publisher string) func(*device.Device) {
		return func(d *device.Device) {
			d.Software = &device.Software{Installed: []device.Application{{Name: "a", Version: version, Publisher: publisher}}}
		}
	}
	tests := map[string][2]func(*device.Device){
		"source":     {func(d *device.Device) { d.Source = "a" }, func(d *device.Device) { d.Source = "b" }},
		"sources":    {func(d *device.Device) { d.Sources = []string{"a"} }, func(d *device.Device) { d.Sources = []string{"b"} }},
		"name":       {func(d *device.Device) { d.Name = "a" }, func(d *device.Device) { d.Name = "b" }},
		"os release": {func(d *device.Device) { d.OSRelease = "a" }, func(d *device.Device) { d.OSRelease = "b" }},
		"spelling":   {func(d *device.Device) { d.Identifiers.Serial = "s1" }, func(d *device.Device) { d.Identifiers.Serial = "S1 " }},
		"release": {
			func(d *device.Device) { d.HWRelease = benchNow },
			func(d *device.Device) { d.HWRelease = benchNow.AddDate(0, 0, 1) },
		},
		"notes":            {func(d *device.Device) { d.Notes = []string{"a"} }, func(d *device.Device) { d.Notes = []string{"b"} }},
		"practice details": {practice(device.Practice{Details: "a"}), practice(device.Practice{Details: "b"})},
		"practice value":   {practice(device.Practice{Value: device.Bool(true), Status: device.OK}), practice(device.Practice{Status: device.OK})},
		"practice display": {
			practice(device.Practice{Status: device.OK, Display: device.Bool(true)}),
			practice(device.Practice{Status: device.OK, Display: device.Bool(false)}),
		},
		"application version":   {app("1.0", ""), app("1.0.0", "")},
		"application publisher": {app("1", "a"), app("1", "b")},
		"service": {
			func(d *device.Device) { d.Software = &device.Software{Services: []device.Service{{Name: "d"}}} },
			func(d *device.Device) { d.Software = &device.Software{Services: []device.Service{{Name: "D"}}} },
		},
		"no software": {app("1", "a"), func(*device.Device) {}},
		"reasons": {
			func(d *device.Device) { d.Joined = []device.Join{{Source: "a"}} },
			func(d *device.Device) { d.Joined = []device.Join{{Source: "b"}} },
		},
		"ambiguities": {
			func(d *device.Device) { d.Ambiguous = []device.Ambiguity{{Reason: "a"}} },
			func(d *device.Device) { d.Ambiguous = []device.Ambiguity{{Reason: "b"}} },
		},
		"raw": {func(d *device.Device) { d.Raw = json.RawMessage(`1`) }, func(d *device.Device) { d.Raw = json.RawMessage(`2`) }},
	}
	for name, changes := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			a, b := with(rec("jamf", "S1", macA), changes[0]), with(rec("jamf", "S1", macA), changes[1])
			one := device.Merge([]device.Device{a, b}, device.MergeOptions{})
			if diff := cmp.Diff(one, device.Merge([]device.Device{b, a}, device.MergeOptions{})); diff != "" {
				t.Errorf("(-one order +the other):\n%s", diff)
			}
		})
	}
}
