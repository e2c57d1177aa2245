package google_test

import (
	"errors"
	"net/http"
	"regexp"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/internal/simulator/fleet"
	simulator "github.com/postureproject/posture/internal/simulator/google"
	"github.com/postureproject/posture/internal/simulator/simhttp"
	"github.com/postureproject/posture/plugins/google"
	"github.com/postureproject/posture/plugins/sdk/sdktest"
)

func TestDevicesByEmail_golden(t *testing.T) {
	t.Parallel()
	b := setup(t, simulator.Options{})
	devices, err := b.open(t, nil).DevicesByEmail(t.Context(), ada)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/devices.golden.json", devices)
}

func TestDevicesByEmail_tellsTheFleetsTruth(t *testing.T) {
	t.Parallel()
	b := setupFleet(t, fleet.New(fleet.Options{People: 200}), simulator.Options{})
	client := b.open(t, nil)
	for i := range 60 {
		p := b.fleet.Person(i)
		want := map[string]fleet.Device{}
		for _, d := range b.fleet.Devices(p, fleet.Android, fleet.IPhone, fleet.Chromebook) {
			want[d.Serial] = d
		}
		got, err := client.DevicesByEmail(t.Context(), p.Email)
		if err != nil {
			t.Fatal(err)
		}
		if len(got) != len(want) {
			t.Errorf("%s: %d devices, want %d", p.Email, len(got), len(want))
		}
		for _, d := range got {
			truth, ok := want[d.Serial]
			if !ok {
				t.Errorf("%s: device %s is not hers", p.Email, d.Serial)
				continue
			}
			if jailed := d.Practices["jailed"].Value; jailed == nil || *jailed != !truth.Compromised {
				t.Errorf("%s: jailed %v, compromised %v", d.Serial, jailed, truth.Compromised)
			}
			if e, ok := d.Practices["encryption"]; ok && *e.Value != truth.Encrypted {
				t.Errorf("%s: encryption %v, want %v", d.Serial, *e.Value, truth.Encrypted)
			}
			if d.Email != p.Email || !d.LastSync.Equal(truth.LastSync) || d.OS != truth.OS {
				t.Errorf("%s: %q, %v, %q", d.Serial, d.Email, d.LastSync, d.OS)
			}
			if diff := cmp.Diff([]device.MAC{device.MAC(truth.MACs[0])}, d.Identifiers.MACAddresses); diff != "" {
				t.Errorf("%s: MAC addresses (-want +got):\n%s", d.Serial, diff)
			}
		}
	}
}

// The person before in the fleet used the Chromebook once, but not last.
func TestDevicesByEmail_chromebookIsItsLastUsers(t *testing.T) {
	t.Parallel()
	b := setup(t, simulator.Options{})
	client := b.open(t, nil)
	other := b.fleet.Person(1)
	if n := len(b.fleet.Devices(other, fleet.Chromebook)); n != 0 {
		t.Fatalf("%s has %d Chromebooks: the test needs one without", other.Email, n)
	}
	devices, err := client.DevicesByEmail(t.Context(), other.Email)
	if err != nil {
		t.Fatal(err)
	}
	for _, d := range devices {
		if d.Platform == "ChromeOS" {
			t.Errorf("%s was given the Chromebook %s of %s", other.Email, d.Serial, d.Email)
		}
	}
	if n := b.sim.Faults.RequestsTo(chromePath); n != 1 {
		t.Errorf("%d requests for ChromeOS devices, want 1", n)
	}
}

func TestDevicesByEmail_unknownPersonHasNone(t *testing.T) {
	t.Parallel()
	b := setup(t, simulator.Options{})
	devices, err := b.open(t, nil).DevicesByEmail(t.Context(), "nobody@example.com")
	if err != nil || len(devices) != 0 {
		t.Errorf("got %v, %v; want nothing", devices, err)
	}
}

func TestDevicesByEmail_oneListFails(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, broken string
		platforms    []string
	}{
		{"mobile", "/devices/mobile$", []string{"ChromeOS"}},
		{"chromeos", "/devices/chromeos$", []string{"Android", "iOS"}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, simulator.Options{})
			b.sim.Faults.Add(simhttp.Fault{Path: regexp.MustCompile(tt.broken), Status: 500})
			devices, err := b.open(t, nil).DevicesByEmail(t.Context(), ada)
			if fault.KindOf(err) != fault.Unavailable {
				t.Errorf("error %v, want Unavailable", err)
			}
			var platforms []string
			for _, d := range devices {
				platforms = append(platforms, d.Platform)
			}
			if !slices.Equal(platforms, tt.platforms) {
				t.Errorf("devices of %v, want %v", platforms, tt.platforms)
			}
		})
	}
}

func TestDevicesByEmail_rawOnlyForDebugging(t *testing.T) {
	t.Parallel()
	b := setup(t, simulator.Options{})
	plain, err := b.open(t, nil).DevicesByEmail(t.Context(), ada)
	if err != nil {
		t.Fatal(err)
	}
	raw, err := b.open(t, nil, sdktest.WithDebug()).DevicesByEmail(t.Context(), ada)
	if err != nil {
		t.Fatal(err)
	}
	for i := range plain {
		if plain[i].Raw != nil || !regexp.MustCompile(`"deviceId":"g[mc]-`).Match(raw[i].Raw) {
			t.Errorf("raw documents %s and %s", plain[i].Raw, raw[i].Raw)
		}
	}
}

func TestDevicesByEmail_oddAddresses(t *testing.T) {
	t.Parallel()
	var (
		mu      sync.Mutex
		queries []string
	)
	b := answers(t, map[string]http.HandlerFunc{mobilePath: func(w http.ResponseWriter, r *http.Request) {
		mu.Lock()
		defer mu.Unlock()
		queries = append(queries, r.URL.Query().Get("query"))
		_, _ = w.Write([]byte(`{"mobiledevices":[{"resourceId":"1","email":["stranger@example.com"],"model":"Pixel"}]}`))
	}})
	client := b.open(t, nil)
	for _, tt := range []struct{ email, query string }{
		{`*@example.com`, `email:"*@example.com"`},
		{`a b@example.com`, `email:"a b@example.com"`},
		{`a" email:"b@example.com`, `email:"a\" email:\"b@example.com"`},
		{`a&query=x@example.com`, `email:"a&query=x@example.com"`},
	} {
		devices, err := client.DevicesByEmail(t.Context(), tt.email)
		if err != nil || len(devices) != 0 {
			t.Errorf("%s: got %d devices of somebody else, error %v", tt.email, len(devices), err)
		}
		mu.Lock()
		if last := queries[len(queries)-1]; last != tt.query {
			t.Errorf("%s: query %s, want %s", tt.email, last, tt.query)
		}
		mu.Unlock()
	}
	for _, bad := range []string{"", "all", "@example.com", "ada@", "a\x00@example.com"} {
		if _, err := client.DevicesByEmail(t.Context(), bad); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%q: error %v, want Invalid", bad, err)
		}
	}
}

func TestSearch(t *testing.T) {
	t.Parallel()
	for value, want := range map[string]string{
		"o'brien+x@example.com": "f:o'brien+x@example.com",
		"-ada@example.com":      `f:"-ada@example.com"`,
		`a\b`:                   `f:"a\\b"`,
		"a:b":                   `f:"a:b"`,
		"jürgen@example.com":    "f:jürgen@example.com",
	} {
		if got := google.Search("f", value); got != want {
			t.Errorf("search for %s: %s, want %s", value, got, want)
		}
	}
}

func TestDevicesBySerial(t *testing.T) {
	t.Parallel()
	b := setup(t, simulator.Options{})
	client := b.open(t, nil)
	for _, want := range b.fleet.Devices(b.fleet.Person(0), fleet.Android, fleet.IPhone, fleet.Chromebook) {
		devices, err := client.DevicesByKeys(t.Context(), []string{" " + want.Serial + " "}, nil)
		if err != nil || len(devices) != 1 || devices[0].Serial != want.Serial {
			t.Errorf("%s: got %v, %v", want.Serial, devices, err)
		}
	}
	before := b.sim.Faults.Requests()
	for _, none := range []string{"", "unknown", "0000000", "..."} {
		if devices, err := client.DevicesByKeys(t.Context(), []string{none}, nil); err != nil || len(devices) != 0 {
			t.Errorf("%q: got %v, %v", none, devices, err)
		}
	}
	if n := b.sim.Faults.Requests() - before; n != 0 {
		t.Errorf("%d requests about placeholders", n)
	}
}

// Google matches a part of a serial number, too.
func TestDevicesBySerial_exactMatchOnly(t *testing.T) {
	t.Parallel()
	b := answers(t, map[string]http.HandlerFunc{
		chromePath: says(`{"chromeosdevices":[{"deviceId":"1","serialNumber":"5CD12"},{"deviceId":"2","serialNumber":"5cd1"}]}`),
	})
	devices, err := b.open(t, nil).DevicesByKeys(t.Context(), []string{"5CD1"}, nil)
	if err != nil || len(devices) != 1 || devices[0].Serial != "5cd1" {
		t.Errorf("got %v, %v", devices, err)
	}
}

// Bulk and per-person look-ups must tell the same.
func TestListDevices_agreesWithLookUps(t *testing.T) {
	t.Parallel()
	b := setupFleet(t, fleet.New(fleet.Options{People: 150}), simulator.Options{PageSize: 7})
	client := b.open(t, nil)
	listed := map[string][]device.Device{}
	err := client.ListDevices(t.Context(), time.Minute, func(devices []device.Device) error {
		for _, d := range devices {
			listed[d.Email] = append(listed[d.Email], d)
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for i := range b.fleet.Len() {
		email := b.fleet.Person(i).Email
		want, err := client.DevicesByEmail(t.Context(), email)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff(want, listed[email], cmpopts.EquateEmpty()); diff != "" {
			t.Errorf("%s: looked up and listed differ:\n%s", email, diff)
		}
	}
}

func TestListDevices_oneListFails(t *testing.T) {
	t.Parallel()
	b := setup(t, simulator.Options{PageSize: 3})
	b.sim.Faults.Add(simhttp.Fault{Path: regexp.MustCompile("/devices/mobile$"), Status: 500})
	n := 0
	err := b.open(t, nil).ListDevices(t.Context(), time.Minute, func(devices []device.Device) error {
		n += len(devices)
		return nil
	})
	if fault.KindOf(err) != fault.Unavailable || n == 0 {
		t.Errorf("%d devices, error %v; want the ChromeOS devices and Unavailable", n, err)
	}
}

func TestListDevices_stopsWithItsReceiver(t *testing.T) {
	t.Parallel()
	b := setupFleet(t, fleet.New(fleet.Options{People: 400}), simulator.Options{PageSize: 5})
	stop := errors.New("stop")
	err := b.open(t, nil).ListDevices(t.Context(), time.Minute, func([]device.Device) error { return stop })
	if !errors.Is(err, stop) {
		t.Errorf("error %v, want the receiver's", err)
	}
}

func TestPages_repeatedTokens(t *testing.T) {
	t.Parallel()
	for name, pages := range map[string]map[string]string{
		"same token": {
			"":  `{"mobiledevices":[{"resourceId":"1","email":["ada.lovelace@example.com"]}],"nextPageToken":"A"}`,
			"A": `{"mobiledevices":[{"resourceId":"2","email":["ada.lovelace@example.com"]}],"nextPageToken":"A"}`,
		},
		"cycle": {
			"":  `{"mobiledevices":[{"resourceId":"1"}],"nextPageToken":"A"}`,
			"A": `{"mobiledevices":[{"resourceId":"2"}],"nextPageToken":"B"}`,
			"B": `{"mobiledevices":[{"resourceId":"1"}],"nextPageToken":"A"}`,
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := answers(t, map[string]http.HandlerFunc{mobilePath: pagesOf(pages)})
			devices, err := b.open(t, nil).DevicesByEmail(t.Context(), ada)
			if fault.KindOf(err) != fault.BadResponse || len(devices) != 2 {
				t.Errorf("%d devices, error %v; want both once and BadResponse", len(devices), err)
			}
		})
	}
}

func TestPages_laterPageFails(t *testing.T) {
	t.Parallel()
	b := answers(t, map[string]http.HandlerFunc{mobilePath: pagesOf(map[string]string{
		"": `{"mobiledevices":[{"resourceId":"1"}],"nextPageToken":"A"}`, "A": `{"mobiledevices":[{"reso`,
	})})
	devices, err := b.open(t, nil).DevicesByEmail(t.Context(), ada)
	if fault.KindOf(err) != fault.BadResponse || len(devices) != 1 {
		t.Errorf("%d devices, error %v; want what was read and BadResponse", len(devices), err)
	}
}

func TestListUsers(t *testing.T) {
	t.Parallel()
	b := setupFleet(t, fleet.New(fleet.Options{People: 1203}), simulator.Options{Suspended: 3})
	var users []device.User
	err := b.open(t, nil).ListUsers(t.Context(), time.Minute, func(page []device.User) error {
		users = append(users, page...)
		return nil
	})
	if err != nil || len(users) != 1200 {
		t.Fatalf("%d users, error %v; want 1200", len(users), err)
	}
	if diff := cmp.Diff(device.User{Email: ada, Name: "Ada Lovelace"}, users[0]); diff != "" {
		t.Errorf("first user (-want +got):\n%s", diff)
	}
	if n := b.sim.Faults.RequestsTo(usersPath); n != 3 {
		t.Errorf("%d requests, want 3 pages", n)
	}
}

func TestListUsers_oddEntries(t *testing.T) {
	t.Parallel()
	b := answers(t, map[string]http.HandlerFunc{usersPath: says(`{"users":[
		null, 7, {"primaryEmail":null}, {"primaryEmail":5}, {"primaryEmail":"a@example.com","name":null},
		{"primaryEmail":"b@example.com","suspended":true}, {"primaryEmail":"c@example.com","archived":true}]}`)})
	var users []device.User
	err := b.open(t, nil).ListUsers(t.Context(), time.Minute, func(page []device.User) error {
		users = append(users, page...)
		return nil
	})
	if diff := cmp.Diff([]device.User{{Email: "a@example.com"}}, users); err != nil || diff != "" {
		t.Errorf("error %v, users (-want +got):\n%s", err, diff)
	}
}
