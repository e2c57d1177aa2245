package batch

import (
	"fmt"
	"reflect"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/postureproject/posture/device"
)

func keysOf(d device.Device) (string, []device.MAC) {
	return d.Identifiers.Serial, d.Identifiers.MACAddresses
}

// asked is what a source answers that is asked about one person, as the pipeline
// asks it: by address, then by the serials and MACs of owned devices that no record
// in hand shows; of the MACs not those that records found by serial show.
func asked(s Source, email string, owned, records []device.Device) []device.Device {
	var found []device.Device
	add := func(d device.Device) {
		if !slices.ContainsFunc(found, func(have device.Device) bool { return reflect.DeepEqual(have, d) }) {
			found = append(found, d)
		}
	}
	shows := func(list []device.Device, serial string, mac device.MAC) bool {
		return slices.ContainsFunc(list, func(d device.Device) bool {
			return serial != "" && strings.EqualFold(d.Identifiers.Serial, serial) || mac != "" && slices.Contains(d.Identifiers.MACAddresses, mac)
		})
	}
	var byEmail, bySerial []device.Device
	for _, d := range records {
		if strings.EqualFold(d.Email, email) {
			byEmail = append(byEmail, d)
			add(d)
		}
	}
	for _, o := range owned {
		if serial := o.Identifiers.Serial; s.BySerial && serial != "" && !shows(byEmail, serial, "") {
			for _, d := range records {
				if strings.EqualFold(d.Identifiers.Serial, serial) {
					bySerial = append(bySerial, d)
					add(d)
				}
			}
		}
	}
	for _, o := range owned {
		for _, mac := range o.Identifiers.MACAddresses {
			if !s.ByMAC || shows(byEmail, "", mac) || shows(bySerial, "", mac) {
				continue
			}
			for _, d := range records {
				if slices.Contains(d.Identifiers.MACAddresses, mac) {
					add(d)
				}
			}
		}
	}
	return found
}

// Whatever ownership sources and others list, every person gets exactly what asking
// about that person finds, and nobody else's record.
func TestResolution_is_asking(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		const people = 4
		address := rapid.Map(rapid.IntRange(0, people), func(i int) string {
			if i == people {
				return "" // nobody's
			}
			return fmt.Sprintf("P%d@example.com", i)
		})
		record := rapid.Custom(func(t *rapid.T) device.Device {
			d := device.Device{Name: fmt.Sprint(rapid.IntRange(0, 3).Draw(t, "name")), Email: address.Draw(t, "email")}
			if n := rapid.IntRange(0, 6).Draw(t, "serial"); n > 0 {
				d.Identifiers.Serial = rapid.SampledFrom([]string{"ser%d", "SER%d"}).Draw(t, "case")
				d.Identifiers.Serial = fmt.Sprintf(d.Identifiers.Serial, n)
			}
			for _, n := range rapid.SliceOfNDistinct(rapid.IntRange(0, 5), 0, 3, rapid.ID[int]).Draw(t, "macs") {
				d.Identifiers.MACAddresses = append(d.Identifiers.MACAddresses, device.MAC(fmt.Sprintf("00:1B:63:00:00:%02d", n)))
			}
			return d
		})
		s := Source{Name: "s", ListsDevices: true, ByEmail: true, BySerial: rapid.Bool().Draw(t, "by serial"), ByMAC: rapid.Bool().Draw(t, "by MAC")}
		owners := rapid.SliceOfN(record, 0, 8).Draw(t, "owned")
		records := rapid.SliceOfN(record, 0, 12).Draw(t, "records")

		ix := newIndex(false)
		ownedBy := map[string][]device.Device{}
		for i := range people {
			ix.enter(fmt.Sprintf("p%d@example.com", i))
		}
		for _, d := range owners {
			if email, ok := canonical(d.Email); ok {
				serial, macs := keysOf(d)
				ix.own(email, serial, macs)
				ownedBy[email] = append(ownedBy[email], d)
			}
		}
		ix.freeze()
		staged := map[string][]device.Device{}
		for _, d := range records {
			email, _ := canonical(d.Email)
			serial, macs := keysOf(d)
			for _, person := range ix.whose(s, email, serial, macs, nil) {
				staged[ix.people[person]] = append(staged[ix.people[person]], d)
			}
		}
		for _, email := range ix.people {
			want := asked(s, email, ownedBy[email], records)
			got := resolve(s, email, ownedBy[email], staged[email], keysOf)
			if diff := cmp.Diff(sorted(want), sorted(got)); diff != "" {
				t.Fatalf("%s (-asked +resolved):\n%s", email, diff)
			}
		}
	})
}

func sorted(devices []device.Device) []string {
	out := []string{}
	for _, d := range devices {
		out = append(out, fmt.Sprintf("%+v", d))
	}
	slices.Sort(out)
	return out
}

func TestCanonical(t *testing.T) {
	t.Parallel()
	for given, want := range map[string]string{
		" Ada@Example.COM ": "ada@example.com", "a@b": "a@b", "o'neil+x@example.com": "o'neil+x@example.com",
		"": "", "ada": "", "@example.com": "", "ada@": "", "a b@example.com": "", "a\x00b@example.com": "",
	} {
		got, ok := canonical(given)
		if ok != (want != "") || ok && got != want {
			t.Errorf("canonical(%q) = %q, %v; want %q", given, got, ok, want)
		}
	}
}

func TestKeeping_fill(t *testing.T) {
	t.Parallel()
	laptop := device.Device{Name: "laptop", Identifiers: device.Identifiers{Serial: "A1"}}
	phone := device.Device{Name: "phone", Identifiers: device.Identifiers{IMEI: "35"}}
	unnamed := device.Device{Name: "no identifier"}
	renamed := device.Device{Name: "laptop renamed", Identifiers: device.Identifiers{Serial: "a1"}}
	last := []device.Collection{{Plugin: "jamf", Devices: []device.Device{laptop, phone, unnamed}, Events: []device.Event{{Type: "old"}}}}
	tests := []struct {
		name     string
		outcome  device.Outcome
		now      device.Collection
		devices  []string
		events   int
		keptFrom bool
	}{
		{"answered", device.Outcome{Plugin: "jamf", Namespace: namespaceDevices, OK: true}, device.Collection{Plugin: "jamf"}, nil, 0, false},
		{"failed whole", device.Outcome{Plugin: "jamf", Namespace: namespaceDevices}, device.Collection{Plugin: "jamf"}, []string{"laptop", "phone", "no identifier"}, 0, true},
		{"failed in part", device.Outcome{Plugin: "jamf", Namespace: namespaceDevices}, device.Collection{Plugin: "jamf", Devices: []device.Device{renamed, unnamed}}, []string{"laptop renamed", "no identifier", "phone"}, 0, true},
		{"events only", device.Outcome{Plugin: "jamf", Namespace: "sources.events"}, device.Collection{Plugin: "jamf", Devices: []device.Device{laptop}}, []string{"laptop"}, 1, true},
		{"never started", device.Outcome{Plugin: "jamf", Namespace: "sources"}, device.Collection{Plugin: "jamf"}, []string{"laptop", "phone", "no identifier"}, 1, true},
		{"a stage", device.Outcome{Plugin: "jamf", Namespace: "transforms.devices"}, device.Collection{Plugin: "jamf"}, nil, 0, false},
		{"never heard of", device.Outcome{Plugin: "other", Namespace: namespaceDevices}, device.Collection{Plugin: "jamf"}, nil, 0, false},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			outcomes := []device.Outcome{test.outcome}
			k := newKeeping(keysOf)
			k.learn(last)
			got := k.fill([]device.Collection{test.now}, outcomes)[0]
			var names []string
			for _, d := range got.Devices {
				names = append(names, d.Name)
			}
			if diff := cmp.Diff(test.devices, names); diff != "" {
				t.Errorf("devices (-want +got):\n%s", diff)
			}
			if len(got.Events) != test.events || (outcomes[0].KeptFrom != nil) != test.keptFrom {
				t.Errorf("%d events, kept from %v; want %d, %v", len(got.Events), outcomes[0].KeptFrom, test.events, test.keptFrom)
			}
		})
	}
}
