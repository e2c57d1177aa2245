package transforms_test

import (
	"context"
	"encoding/json"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/transforms"
)

func reFilter(t testing.TB, raw string) *transforms.REFilter {
	t.Helper()
	f, err := transforms.NewREFilter(json.RawMessage(raw))
	if err != nil {
		t.Fatal(err)
	}
	return f
}

func TestREFilter_TransformDevices(t *testing.T) {
	t.Parallel()
	f := reFilter(t, `{"pattern_map": {
		"Model": "(Virtual Machine|VMware|amazon|HVM domU)", "serial": "(Parallels|VMware)", "status": "^$", "identifiers.mac_addresses": "^52:54:00"
	}}`)
	devices := []device.Device{
		{Name: "real", Model: "MacBook Pro", Serial: "C02"},
		{Name: "by model", Model: "Microsoft Virtual Machine (2)"},
		{Name: "by serial", Model: "Mac", Serial: "Parallels-01 23"},
		{Name: "by identifier", Identifiers: device.Identifiers{Serial: "VMware-56 4d"}},
		{Name: "by address", Identifiers: device.Identifiers{MACAddresses: []device.MAC{"3C:22:FB:00:00:01", "52:54:00:12:34:56"}}},
		{Name: "other case", Model: "vmware"},
		{Name: "without fields"},
	}
	before := slices.Clone(devices)
	got, err := f.TransformDevices(t.Context(), devices)
	if err != nil {
		t.Fatal(err)
	}
	want := []device.Device{devices[0], devices[5], devices[6]}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("kept (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff(before, devices); diff != "" {
		t.Errorf("the input changed:\n%s", diff)
	}
}

func TestREFilter_stopsWithTheContext(t *testing.T) {
	t.Parallel()
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, err := reFilter(t, `{"PATTERN_MAP": {}}`).TransformDevices(ctx, make([]device.Device, 3)); err == nil {
		t.Error("no error from an ended context")
	}
}

// Every text field of a device can be filtered by its JSON name.
func TestREFilter_knowsEveryField(t *testing.T) {
	t.Parallel()
	fill := func(prefix string, v reflect.Value, visit func(name string)) {
		for i := range v.NumField() {
			name, _, _ := strings.Cut(v.Type().Field(i).Tag.Get("json"), ",")
			if v.Field(i).Type() == reflect.TypeFor[string]() && name != "folded" {
				v.Field(i).SetString("needle")
				visit(prefix + name)
				v.Field(i).SetString("")
			}
		}
	}
	var d device.Device
	check := func(name string) {
		f := reFilter(t, `{"PATTERN_MAP": {"`+name+`": "needle"}}`)
		kept, err := f.TransformDevices(t.Context(), []device.Device{d})
		if err != nil || len(kept) != 0 {
			t.Errorf("%s: kept %d, %v", name, len(kept), err)
		}
	}
	fill("", reflect.ValueOf(&d).Elem(), check)
	fill("identifiers.", reflect.ValueOf(&d.Identifiers).Elem(), check)
}
