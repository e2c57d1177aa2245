package landesk_test

import (
	"encoding/json"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/internal/simulator/fleet"
	simulator "github.com/postureproject/posture/internal/simulator/landesk"
	"github.com/postureproject/posture/plugins/landesk"
	"github.com/postureproject/posture/plugins/sdk"
	"github.com/postureproject/posture/plugins/sdk/sdktest"
)

func TestDevicesByEmail_golden(t *testing.T) {
	t.Parallel()
	b := start(t, fleet.Options{Apps: 5, Now: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)}, simulator.Options{})
	client := sdktest.Open(t, landesk.Plugin(), b.settings, sdktest.WithDebug())
	got, err := client.DevicesByEmail(t.Context(), b.fleet.Person(0).Email)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := json.MarshalIndent(got, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	raw = append(raw, '\n')
	golden := filepath.Join("testdata", "person0.golden.json")
	if *update {
		if err := os.WriteFile(golden, raw, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(raw)); diff != "" {
		t.Errorf("devices of person 0 (-want +got):\n%s", diff)
	}
}

// TestTruth compares every record with what the company really has.
func TestTruth(t *testing.T) {
	t.Parallel()
	b := start(t, fleet.Options{People: 120, Apps: 3}, simulator.Options{})
	client := sdktest.Open(t, landesk.Plugin(), b.settings)
	listed := list(t, client)
	i := 0
	b.fleet.All(func(d fleet.Device) bool {
		if i == len(listed) {
			t.Fatalf("only %d devices listed", i)
		}
		got := listed[i]
		i++
		want := device.Device{
			Name: d.Name, Model: d.Model, Manufacturer: d.Maker, Type: "Workstation", Serial: d.Serial, Email: d.Owner.Email,
			Platform: "Windows", OS: d.OS, OSVersion: d.OSVersion, OSBuild: d.OSVersion[5:], LastSync: d.LastSync, Source: landesk.Name,
			Identifiers: device.Identifiers{Serial: d.Serial},
		}
		for _, m := range d.MACs {
			want.Identifiers.MACAddresses = append(want.Identifiers.MACAddresses, device.MAC(m))
		}
		values := map[string]bool{
			"encryption": d.Encrypted, "firewall": d.Firewall, "screenlock": d.ScreenLock, "autoupdate": d.AutoUpdate, "uptodate": d.UpToDate,
		}
		for key, p := range got.Practices {
			if p.Value == nil && strings.Contains(p.Details, "security scan") && d.Owner.Index > 0 {
				continue // the simulator leaves some computers unscanned
			}
			if p.Value == nil || *p.Value != values[key] {
				t.Errorf("%s: %s = %v, the truth is %v", d.Name, key, p.Value, values[key])
			}
			delete(values, key)
		}
		if d.Owner.Index == 0 && len(values) > 0 {
			t.Errorf("%s: no practice for %v", d.Name, values)
		}
		if got.Software == nil || len(got.Software.Installed) != 3 {
			t.Errorf("%s: software %+v, want 3 programs", d.Name, got.Software)
		}
		slices.Sort(want.Identifiers.MACAddresses)
		slices.Sort(got.Identifiers.MACAddresses)
		got.Practices, got.Software, got.OSRelease = nil, nil, ""
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", d.Name, diff)
		}
		return true
	}, fleet.Windows)
	if i != len(listed) {
		t.Errorf("%d devices listed, %d exist", len(listed), i)
	}
}

// TestBulk_sameAsPerUser compares the listing with look-ups by address, over
// several pages.
func TestBulk_sameAsPerUser(t *testing.T) {
	t.Parallel()
	b := start(t, fleet.Options{People: 1500, Apps: 2}, simulator.Options{})
	client := sdktest.Open(t, landesk.Plugin(), b.settings)
	byEmail := make(map[string][]device.Device)
	listed := list(t, client)
	for _, d := range listed {
		byEmail[d.Email] = append(byEmail[d.Email], d)
	}
	if len(listed) <= 500 {
		t.Fatalf("%d devices are no more than a page", len(listed))
	}
	var users []string
	if err := client.ListUsers(t.Context(), idle, func(some []device.User) error {
		for _, u := range some {
			users = append(users, u.Email)
		}
		return nil
	}); err != nil {
		t.Fatal(err)
	}
	if len(users) != len(byEmail) {
		t.Errorf("%d users, but the devices have %d owners", len(users), len(byEmail))
	}
	if !slices.IsSorted(users) || len(slices.Compact(slices.Clone(users))) != len(users) {
		t.Error("users come twice or out of order")
	}
	for _, email := range users {
		got, err := client.DevicesByEmail(t.Context(), email)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(byEmail[email], got); diff != "" {
			t.Fatalf("%s: listed and looked up differ:\n%s", email, diff)
		}
	}
}

func TestBulk_fewQueries(t *testing.T) {
	t.Parallel()
	b := start(t, fleet.Options{People: 1500, Apps: 2}, simulator.Options{})
	client := sdktest.Open(t, landesk.Plugin(), b.settings)
	devices := list(t, client)
	pages := (len(devices) + 499) / 500
	if got, want := b.Faults.Queries(), pages*5+1; got != want {
		t.Errorf("%d queries for %d pages, want %d", got, pages, want)
	}
	before := b.Faults.Queries()
	if _, err := client.DevicesByEmail(t.Context(), b.fleet.Person(0).Email); err != nil {
		t.Fatal(err)
	}
	if got := b.Faults.Queries() - before; got != 4 {
		t.Errorf("%d queries for a person, want one per table and one for the joined ones: 4", got)
	}
}

func TestLookUps(t *testing.T) {
	t.Parallel()
	b := start(t, fleet.Options{People: 300, Apps: 2}, simulator.Options{})
	client := sdktest.Open(t, landesk.Plugin(), b.settings)
	want, err := client.DevicesByEmail(t.Context(), b.fleet.Person(0).Email)
	if err != nil || len(want) != 1 {
		t.Fatalf("%d devices, %v; want one", len(want), err)
	}
	var dongle device.MAC
	b.fleet.All(func(d fleet.Device) bool {
		if len(d.MACs) > 2 {
			dongle = device.MAC(d.MACs[2])
		}
		return dongle == ""
	}, fleet.Windows)
	mac := want[0].Identifiers.MACAddresses[0]
	tests := []struct {
		name  string
		look  func() ([]device.Device, error)
		count int
		same  bool // as the person's device
	}{
		{"address in another case", func() ([]device.Device, error) {
			return client.DevicesByEmail(t.Context(), strings.ToUpper(want[0].Email))
		}, 1, true},
		{"serial", func() ([]device.Device, error) {
			return client.DevicesByKeys(t.Context(), []string{want[0].Serial}, nil)
		}, 1, true},
		{"serial in lower case", func() ([]device.Device, error) {
			return client.DevicesByKeys(t.Context(), []string{strings.ToLower(want[0].Serial)}, nil)
		}, 1, true},
		{"mac", func() ([]device.Device, error) { return client.DevicesByKeys(t.Context(), nil, []device.MAC{mac}) }, 1, true},
		{"unknown address", func() ([]device.Device, error) { return client.DevicesByEmail(t.Context(), "nobody@example.com") }, 0, false},
		{"injection", func() ([]device.Device, error) { return client.DevicesByEmail(t.Context(), "x' OR '1'='1") }, 0, false},
		{"blank address", func() ([]device.Device, error) { return client.DevicesByEmail(t.Context(), " ") }, 0, false},
		{"unknown serial", func() ([]device.Device, error) { return client.DevicesByKeys(t.Context(), []string{"NOSUCH1"}, nil) }, 0, false},
		{"blank serial", func() ([]device.Device, error) { return client.DevicesByKeys(t.Context(), []string{" "}, nil) }, 0, false},
		{"unknown mac", func() ([]device.Device, error) {
			return client.DevicesByKeys(t.Context(), nil, []device.MAC{"8C:16:45:FF:FF:FE"})
		}, 0, false},
		{"virtual adapter's mac", func() ([]device.Device, error) {
			return client.DevicesByKeys(t.Context(), nil, []device.MAC{"00:50:56:C0:00:08"})
		}, 0, false},
		{"dongle's mac", func() ([]device.Device, error) { return client.DevicesByKeys(t.Context(), nil, []device.MAC{dongle}) }, 1, false},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			got, err := tt.look()
			if err != nil {
				t.Fatal(err)
			}
			if len(got) < tt.count || tt.count == 0 && len(got) > 0 {
				t.Fatalf("%d devices, want %d", len(got), tt.count)
			}
			if tt.same {
				if diff := cmp.Diff(want, got); diff != "" {
					t.Errorf("differs from the look-up by address:\n%s", diff)
				}
			}
		})
	}
}

func list(t testing.TB, client *sdk.Client) []device.Device {
	t.Helper()
	var all []device.Device
	err := client.ListDevices(t.Context(), idle, func(some []device.Device) error {
		all = append(all, some...)
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return all
}
