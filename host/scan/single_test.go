package scan_test

import (
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/host/scan"
)

// Direct look-ups ask the device sources that offer the key, or the one named.
func TestPipeline_LookUp(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		key     scan.Key
		value   string
		plugin  string
		asked   map[string][]string
		sources []string
		devices int
	}{
		{"by address at all, without ownership", scan.ByEmail, ada, "", map[string][]string{"jamf": {"email " + ada}, "google": {"email " + ada}}, []string{"jamf sources.devices", "google sources.devices failed", "never sources failed"}, 1},
		{"by serial where offered", scan.BySerial, "S1", "", map[string][]string{"jamf": {"serial S1"}}, []string{"jamf sources.devices", "never sources failed"}, 1},
		{"by MAC where offered", scan.ByMAC, string(macA), "", map[string][]string{"jamf": {"mac " + string(macA)}}, []string{"jamf sources.devices", "never sources failed"}, 1},
		{"one source, not merged", scan.ByEmail, ada, "jamf", map[string][]string{"jamf": {"email " + ada}}, []string{"jamf sources.devices"}, 2},
		{"one ownership source", scan.ByEmail, ada, "stock", map[string][]string{"stock": {"email " + ada}}, []string{"stock sources.predevices"}, 1},
		{"one that failed", scan.ByEmail, ada, "google", map[string][]string{"google": {"email " + ada}}, []string{"google sources.devices failed"}, 0},
		{"one that never started", scan.ByMAC, string(macA), "never", nil, []string{"never sources failed"}, 0},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			fakes := map[string]*fake{
				"stock": {records: []device.Device{record("stock", ada, "S1")}}, "google": fails(errDown),
				"jamf": {records: []device.Device{record("jamf", ada, "S1", macA), record("jamf", ada, "S1", macA)}},
			}
			p := pipeline(t, owner("stock", fakes["stock"]), management("jamf", fakes["jamf"]),
				scan.Source{Name: "google", Ask: fakes["google"], ByEmail: true, Practices: []string{"encryption"}}, scan.Source{Name: "never", Down: errDown})
			devices, outcomes, err := p.LookUp(t.Context(), tt.key, tt.value, tt.plugin)
			if err != nil {
				t.Fatal(err)
			}
			for name, f := range fakes {
				if diff := cmp.Diff(tt.asked[name], f.questions()); diff != "" {
					t.Errorf("%s was asked (-want +got):\n%s", name, diff)
				}
			}
			if diff := cmp.Diff(tt.sources, summary(outcomes)); diff != "" {
				t.Errorf("outcomes (-want +got):\n%s", diff)
			}
			if devices == nil || len(devices) != tt.devices {
				t.Errorf("devices %v, want %d", serials(devices), tt.devices)
			}
			for _, d := range devices {
				encryption := d.Practices["encryption"]
				if encryption.Status != device.Unknown || strings.Contains(encryption.Details, "refused") != (len(tt.sources) == 3) {
					t.Errorf("encryption %+v", encryption)
				}
			}
		})
	}
}

// Transforms hold for direct look-ups, too.
func TestPipeline_LookUp_Transforms(t *testing.T) {
	t.Parallel()
	p := pipeline(t, management("jamf", &fake{records: []device.Device{record("jamf", ada, "S1"), record("jamf", ada, "S2")}}))
	p.DeviceStages = []scan.Stage[scan.DeviceStage]{drop("S1"), {Name: "external", External: true, Apply: stage(func([]device.Device) ([]device.Device, error) { return nil, errDown })}}
	devices, outcomes, err := p.LookUp(t.Context(), scan.ByEmail, ada, "")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"S2"}, serials(devices)); diff != "" {
		t.Errorf("devices (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"jamf sources.devices", "external transforms.devices failed"}, summary(outcomes)); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
}

func TestPipeline_Find(t *testing.T) {
	t.Parallel()
	p := pipeline(t, everything("jamf", &fake{}), owner("stock", &fake{}), scan.Source{Name: "never", Down: errDown})
	events := func(s scan.Source) bool { return s.Events }
	for name, ok := range map[string]bool{"jamf": true, "stock": false, "never": true, "nope": false, "": false} {
		s, err := p.Find(name, "events", events)
		switch {
		case ok && (err != nil || s.Name != name):
			t.Errorf("%s: %+v, %v", name, s, err)
		case !ok && (fault.KindOf(err) != fault.NotFound || !strings.Contains(fault.RemedyOf(err), "these do: jamf, never") || !strings.Contains(err.Error(), "events")):
			t.Errorf("%s: %v", name, err)
		}
	}
	for name, key := range map[string]scan.Key{"nope": scan.ByEmail, "stock": scan.BySerial} {
		if _, _, err := p.LookUp(t.Context(), key, "x", name); fault.KindOf(err) != fault.NotFound || !strings.Contains(err.Error(), "devices by "+string(key)) {
			t.Errorf("%s: %v", name, err)
		}
	}
	if diff := cmp.Diff([]string{"jamf"}, p.Offering(events)); diff != "" {
		t.Errorf("offering events (-want +got):\n%s", diff)
	}
}
