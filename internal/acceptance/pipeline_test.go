package acceptance_test

import (
	"encoding/json"
	"maps"
	"net/url"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/internal/simulator/fleet"
)

// knownBy gives the sources that know a device of the fleet, sorted.
func knownBy(k fleet.Kind) []string {
	switch k {
	case fleet.Mac:
		return []string{"bitfit", "jamf"}
	case fleet.Windows:
		return []string{"bitfit", "landesk"}
	case fleet.Chromebook:
		return []string{"bitfit", "google"}
	case fleet.Linux:
		return []string{"bitfit", "file"}
	default:
		return []string{"google"}
	}
}

// TestPersonThroughAllPlugins asks every source about one person and checks the
// answer against the fleet's truth, from the command line and over HTTP.
func TestPersonThroughAllPlugins(t *testing.T) {
	t.Parallel()
	s := newSite(t, 12)
	s.Plugins["vpn_labeler"] = map[string]any{"VPN_CIDRS": []string{"192.0.2.0/24"}}
	s.Plugins["re_filter"] = map[string]any{"PATTERN_MAP": map[string]any{"model": "Virtual Machine"}}
	s.write(t, nil)
	d := s.serve(t)
	cli := scanOne(t, s.dir, s.ada(), 0)

	t.Run("every source has answered", func(t *testing.T) {
		var names []string
		for _, o := range cli.Sources {
			names = append(names, o.Plugin+" "+o.Namespace)
			if !o.OK || o.Count == 0 {
				t.Errorf("outcome %+v", o)
			}
		}
		want := []string{
			"bitfit sources.predevices", "duo sources.events", "es_notifications sources.notifications", "file sources.devices", "file sources.events",
			"google sources.accounts", "google sources.devices", "google sources.events", "jamf sources.devices", "landesk sources.devices",
		}
		if diff := cmp.Diff(want, names); diff != "" {
			t.Errorf("outcomes (-want +got):\n%s", diff)
		}
	})
	t.Run("devices are the fleet's", func(t *testing.T) { checkDevices(t, s, cli.Devices) })
	t.Run("golden", func(t *testing.T) { golden(t, "person0.golden.json", normalized(t, cli, s.Fleet.Now())) })
	t.Run("HTTP says the same", func(t *testing.T) {
		var overHTTP device.Posture
		d.getJSON(t, "/api/v1/posture/"+url.PathEscape(s.ada()), &overHTTP)
		if diff := cmp.Diff(comparable(t, cli), comparable(t, overHTTP)); diff != "" {
			t.Errorf("the answers differ (-command line +HTTP):\n%s", diff)
		}
	})
	t.Run("the original's path says the same", func(t *testing.T) {
		_, body := d.get(t, "/api/v1/devices/merged/"+s.ada())
		var devices []device.Device
		if err := json.Unmarshal([]byte(body), &devices); err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(comparable(t, cli.Devices), comparable(t, devices)); diff != "" {
			t.Errorf("the devices differ (-command line +HTTP):\n%s", diff)
		}
	})
}

// checkDevices compares merged devices with the fleet.
func checkDevices(t *testing.T, s *site, devices []device.Device) {
	t.Helper()
	truth := s.Fleet.Devices(s.Fleet.Person(0))
	if len(devices) != len(truth) {
		t.Errorf("%d devices, want %d", len(devices), len(truth))
	}
	for _, want := range truth {
		i := slices.IndexFunc(devices, func(d device.Device) bool { return d.Identifiers.Serial == want.Serial })
		if i < 0 {
			t.Errorf("no device with serial %s (%s)", want.Serial, want.Kind)
			continue
		}
		got := devices[i]
		if diff := cmp.Diff(knownBy(want.Kind), got.Sources); diff != "" {
			t.Errorf("%s: sources (-want +got):\n%s", want.Kind, diff)
		}
		if !strings.HasPrefix(got.OSVersion, want.OSVersion) {
			t.Errorf("%s: version %q, want %q", want.Kind, got.OSVersion, want.OSVersion)
		}
		if age := got.LastSync.Sub(want.LastSync).Abs(); age.Minutes() > 1 {
			t.Errorf("%s: last heard from at %v, want %v", want.Kind, got.LastSync, want.LastSync)
		}
		status := device.Warn
		if want.Encrypted || want.Kind == fleet.Chromebook { // which cannot be otherwise
			status = device.OK
		}
		if have := got.Practices["encryption"].Status; have != status {
			t.Errorf("%s: encryption is %s, want %s", want.Kind, have, status)
		}
	}
}

// TestScan_fieldNames holds the names that programs rely on.
func TestScan_fieldNames(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3)
	s.write(t, nil)
	stdout, stderr, status := posture(t, s.dir, "scan", "--json", s.ada())
	var answers []map[string]json.RawMessage
	if err := json.Unmarshal([]byte(stdout), &answers); err != nil || status != 0 || len(answers) != 1 {
		t.Fatalf("exit status %d, %v\n%s", status, err, stderr)
	}
	want := map[string]string{ // of every object in a list: all names that there can be here
		"sources":       "count duration_ms error namespace ok plugin",
		"events":        "details email ip_address reason source success timestamp type username",
		"accounts":      "date email last_updated name source type user_usage",
		"notifications": "_id _index _source source",
		"devices": "email hw_release_date identifiers joined last_sync manufacturer model name os os_build os_release os_version " +
			"photo_url platform practices rating serial software sources status type user_agent",
	}
	var top []string
	for name, raw := range answers[0] {
		top = append(top, name)
		names, isList := want[name]
		if !isList {
			continue
		}
		var list []map[string]any
		if err := json.Unmarshal(raw, &list); err != nil {
			t.Fatalf("%s: %v", name, err)
		}
		seen := map[string]bool{}
		for _, object := range list {
			for key := range object {
				seen[key] = true
			}
		}
		if diff := cmp.Diff(strings.Fields(names), slices.Sorted(maps.Keys(seen))); diff != "" {
			t.Errorf("names in %s (-want +got):\n%s", name, diff)
		}
	}
	slices.Sort(top)
	if diff := cmp.Diff([]string{"accounts", "devices", "email", "events", "generated_at", "notifications", "sources"}, top); diff != "" {
		t.Errorf("names (-want +got):\n%s", diff)
	}
}
