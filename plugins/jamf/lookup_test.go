package jamf_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/internal/simulator/fleet"
	simulator "github.com/postureproject/posture/internal/simulator/jamf"
	"github.com/postureproject/posture/internal/simulator/simhttp"
	"github.com/postureproject/posture/plugins/sdk/sdktest"
)

func TestSource_describes(t *testing.T) {
	t.Parallel()
	b := setup(t, fleet.Options{}, simulator.Options{}, nil)
	d, err := b.Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	got := make([]string, 0, len(d.Capabilities))
	for _, c := range d.Capabilities {
		got = append(got, string(c))
	}
	want := []string{"devices_by_email", "devices_by_serial", "devices_by_mac", "list_devices", "list_users", "test_connectivity"}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("capabilities (-want +got):\n%s", diff)
	}
	if !d.Software || d.Ownership || !slices.Contains(d.Practices, "encryption") {
		t.Errorf("described as %+v", d)
	}
}

func TestSource_golden(t *testing.T) {
	t.Parallel()
	b := setup(t, fleet.Options{Apps: 4, Now: time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)}, simulator.Options{}, nil)
	devices, err := b.DevicesByEmail(t.Context(), "ada.lovelace@example.com")
	if err != nil {
		t.Fatal(err)
	}
	var out bytes.Buffer
	enc := json.NewEncoder(&out)
	enc.SetIndent("", "  ")
	if err := enc.Encode(devices); err != nil {
		t.Fatal(err)
	}
	golden(t, "ada.lovelace.golden.json", out.Bytes())
}

// What the source says must be what is true of the fleet.
func TestSource_tellsTheTruth(t *testing.T) {
	t.Parallel()
	b := setup(t, fleet.Options{People: 120}, simulator.Options{Cache: true}, nil)
	seen := map[bool]int{}
	b.fleet.All(func(d fleet.Device) bool {
		found, err := b.DevicesByKeys(t.Context(), []string{strings.ToLower(d.Serial)}, nil)
		if err != nil || len(found) != 1 {
			t.Fatalf("%s: %d devices, %v", d.Serial, len(found), err)
		}
		got := found[0]
		for key, want := range map[string]bool{
			"encryption": d.Encrypted, "firewall": d.Firewall, "uptodate": d.UpToDate, "autoupdate": d.AutoUpdate, "screenlock": d.ScreenLock,
			"remotelogin": !d.RemoteLogin,
		} {
			seen[want]++
			p := got.Practices[key]
			if p.Value == nil || *p.Value != want {
				t.Errorf("%s: %s is %v, want %v", d.Serial, key, p.Value, want)
			}
			if !p.LastUpdated.Equal(d.LastSync) {
				t.Errorf("%s: %s was updated at %v, want %v", d.Serial, key, p.LastUpdated, d.LastSync)
			}
		}
		var macs []string
		for _, m := range got.Identifiers.MACAddresses {
			macs = append(macs, string(m))
		}
		slices.Sort(macs)
		want := slices.Sorted(slices.Values(d.MACs))
		if diff := cmp.Diff(want, macs); diff != "" {
			t.Errorf("%s: MACs (-want +got):\n%s", d.Serial, diff)
		}
		if got.Email != d.Owner.Email || got.Identifiers.UDID != d.UDID || !got.LastSync.Equal(d.LastSync) || len(got.Software.Installed) != 50 {
			t.Errorf("%s: %+v", d.Serial, got)
		}
		return true
	}, fleet.Mac)
	if seen[true] == 0 || seen[false] == 0 {
		t.Errorf("the fleet shows one side only: %v", seen)
	}
}

func TestSource_everyKeyGivesTheSameRecord(t *testing.T) {
	t.Parallel()
	b := setup(t, fleet.Options{}, simulator.Options{}, nil)
	ctx := t.Context()
	byEmail, err := b.DevicesByEmail(ctx, "ada.lovelace@example.com")
	if err != nil || len(byEmail) != 1 {
		t.Fatalf("%d devices, %v", len(byEmail), err)
	}
	bySerial, err := b.DevicesByKeys(ctx, []string{byEmail[0].Serial}, nil)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(byEmail, bySerial); diff != "" {
		t.Errorf("by serial (-email +serial):\n%s", diff)
	}
	byMAC, err := b.DevicesByKeys(ctx, nil, []device.MAC{byEmail[0].Identifiers.MACAddresses[0]})
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(byEmail, byMAC); diff != "" {
		t.Errorf("by MAC (-email +MAC):\n%s", diff)
	}
}

func TestSource_nobodyIsAnEmptyAnswer(t *testing.T) {
	t.Parallel()
	b := setup(t, fleet.Options{}, simulator.Options{}, nil)
	ctx := t.Context()
	for name, look := range map[string]func() ([]device.Device, error){
		"person": func() ([]device.Device, error) { return b.DevicesByEmail(ctx, "nobody.here@example.com") },
		"serial": func() ([]device.Device, error) { return b.DevicesByKeys(ctx, []string{"C02NOSUCH"}, nil) },
		"blank":  func() ([]device.Device, error) { return b.DevicesByKeys(ctx, []string{" "}, nil) },
		"dots":   func() ([]device.Device, error) { return b.DevicesByKeys(ctx, []string{".."}, nil) },
		"slash":  func() ([]device.Device, error) { return b.DevicesByKeys(ctx, []string{"a/../../b?c=d#e"}, nil) },
		"mac":    func() ([]device.Device, error) { return b.DevicesByKeys(ctx, nil, []device.MAC{"3C:22:FB:FF:FF:F1"}) },
	} {
		if devices, err := look(); err != nil || len(devices) != 0 {
			t.Errorf("%s: %d devices, %v", name, len(devices), err)
		}
	}
	if _, err := b.DevicesByEmail(ctx, "not an address"); fault.KindOf(err) != fault.Invalid {
		t.Errorf("a malformed address gives %v", err)
	}
}

func TestSource_rawOnlyWhenAsked(t *testing.T) {
	t.Parallel()
	b := setup(t, fleet.Options{}, simulator.Options{}, nil, sdktest.WithDebug())
	devices, err := b.DevicesByEmail(t.Context(), "ada.lovelace@example.com")
	if err != nil || len(devices) != 1 {
		t.Fatalf("%d devices, %v", len(devices), err)
	}
	var raw struct {
		General struct {
			Serial string `json:"serial_number"`
		} `json:"general"`
	}
	if err := json.Unmarshal(devices[0].Raw, &raw); err != nil || raw.General.Serial != devices[0].Serial {
		t.Errorf("raw document: serial %q, %v", raw.General.Serial, err)
	}
}

// user and mac are the least that Jamf answers about a person and a computer.
func user(name, email string, computers ...int) string {
	links := make([]object, len(computers))
	for i, id := range computers {
		links[i] = object{"id": id}
	}
	body, _ := json.Marshal(object{"user": object{"name": name, "email": email, "links": object{"computers": links}}})
	return string(body)
}

func mac(id int, email string) string {
	body, _ := json.Marshal(object{"computer": object{
		"general": object{"id": id, "serial_number": fmt.Sprintf("SERIAL%d", id)}, "location": object{"username": "ada", "email_address": email},
	}})
	return string(body)
}

func TestSource_matchesOwners(t *testing.T) {
	t.Parallel()
	users := func(list string) string {
		return `{"users":[` + strings.TrimSuffix(strings.TrimPrefix(list, `{"user":`), "}") + `]}`
	}
	documents := map[string]string{
		"/JSSResource/users/name/ada":              user("ada", "ada@example.com", 1, 2, 3, 1),
		"/JSSResource/users/email/ada@example.com": users(user("ada", "Ada@Example.com", 1)),
		"/JSSResource/users/email/ada@other.org":   users(user("ada.o", "ada@other.org", 2)),
		"/JSSResource/users/email/ada@stray.org":   users(user("eve", "eve@stray.org", 2)),
		"/JSSResource/users/name/ada.b%2Fc%3Fd":    user("ada.b/c?d", "", 3),
		"/JSSResource/computers/id/1":              mac(1, "ADA@example.com"),
		"/JSSResource/computers/id/2":              mac(2, "ada@other.org"),
		"/JSSResource/computers/id/3":              mac(3, ""),
	}
	url := serve(t, documents)
	for _, c := range []struct {
		name     string
		settings object
		email    string
		want     []string
	}{
		{"no domains, own address", nil, "ada@example.com", []string{"SERIAL1", "SERIAL3"}},
		{"no domains, another domain's person", nil, "ada@other.org", []string{"SERIAL2", "SERIAL3"}},
		{"own domain", object{"JAMF_EMAIL_DOMAINS": "example.com"}, "ada@example.com", []string{"SERIAL1", "SERIAL3"}},
		{"alias of an own domain", object{"JAMF_EMAIL_DOMAINS": []string{"example.com", "@Example.NET"}}, "ada@example.net", []string{"SERIAL1", "SERIAL3"}},
		{"foreign domain by full address", object{"JAMF_EMAIL_DOMAINS": "example.com"}, "ada@other.org", []string{"SERIAL2"}},
		{"full address", object{"JAMF_EMAIL_MATCH": "email"}, "ada@example.com", []string{"SERIAL1"}},
		{"full address of somebody unknown", object{"JAMF_EMAIL_MATCH": "email"}, "bob@example.com", nil},
		{"full address answered with another", object{"JAMF_EMAIL_MATCH": "email"}, "ada@stray.org", nil},
		{"name is escaped and whole", nil, "ada.b/c?d@example.com", []string{"SERIAL3"}},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			devices, err := open(t, url, c.settings).DevicesByEmail(t.Context(), c.email)
			if err != nil {
				t.Fatal(err)
			}
			var got []string
			for _, d := range devices {
				got = append(got, d.Serial)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("devices (-want +got):\n%s", diff)
			}
		})
	}
}

func TestSource_ownerWithoutAddress(t *testing.T) {
	t.Parallel()
	url := serve(t, map[string]string{"/JSSResource/computers/serialnumber/SERIAL3": mac(3, "")})
	for domains, want := range map[string]string{"": "", "example.com": "ada@example.com", "example.com example.net": ""} {
		devices, err := open(t, url, object{"JAMF_EMAIL_DOMAINS": strings.Fields(domains)}).DevicesByKeys(t.Context(), []string{"SERIAL3"}, nil)
		if err != nil || len(devices) != 1 || devices[0].Email != want {
			t.Errorf("domains %q: %v, %v; want owner %q", domains, devices, err, want)
		}
	}
}

func TestSource_readsAPersonsComputersSideBySide(t *testing.T) {
	t.Parallel()
	documents := map[string]string{"/JSSResource/users/name/ada": user("ada", "", 1, 2, 3, 4, 5)}
	for id := 1; id <= 5; id++ {
		documents[fmt.Sprintf("/JSSResource/computers/id/%d", id)] = mac(id, "")
	}
	delete(documents, "/JSSResource/computers/id/4") // gone since
	devices, err := open(t, serve(t, documents), nil).DevicesByEmail(t.Context(), "ada@example.com")
	if err != nil {
		t.Fatal(err)
	}
	var got []string
	for _, d := range devices {
		got = append(got, d.Serial)
	}
	if diff := cmp.Diff([]string{"SERIAL1", "SERIAL2", "SERIAL3", "SERIAL5"}, got); diff != "" {
		t.Errorf("devices (-want +got):\n%s", diff)
	}
}

// One computer that cannot be read must not hide the person's others, nor must
// its failure be hidden.
func TestSource_partOfAPersonsComputers(t *testing.T) {
	t.Parallel()
	b := setup(t, fleet.Options{People: 300}, simulator.Options{}, object{"RETRIES": 0})
	var person fleet.Person
	var macs []fleet.Device
	for i := range b.fleet.Len() {
		person = b.fleet.Person(i)
		if macs = b.fleet.Devices(person, fleet.Mac); len(macs) == 2 {
			break
		}
	}
	b.sim.Faults.Add(simhttp.Fault{Path: regexp.MustCompile(fmt.Sprintf("/computers/id/%d$", macs[0].ID)), Status: 500})
	devices, err := b.DevicesByEmail(t.Context(), person.Email)
	if len(devices) != 1 || devices[0].Serial != macs[1].Serial {
		t.Errorf("%d devices beside the failure", len(devices))
	}
	if fault.KindOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "1 of 2 computers") {
		t.Errorf("the failure reads %v", err)
	}
}

func TestSource_waitsNoLongerThanItsCaller(t *testing.T) {
	t.Parallel()
	b := setup(t, fleet.Options{}, simulator.Options{}, nil, sdktest.WithTimeout(300*time.Millisecond))
	b.sim.Faults.Add(simhttp.Fault{Path: regexp.MustCompile("/computers/"), Hang: true})
	_, err := b.DevicesByKeys(t.Context(), []string{"C02X"}, nil)
	if fault.KindOf(err) != fault.Timeout {
		t.Errorf("got %v, want a timeout", err)
	}
}
