package device_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"sort"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/postureproject/posture/device"
)

// pick gives one of the values, blank ones and odd spellings among them.
func pick(t *rapid.T, label string, values ...string) string {
	return rapid.SampledFrom(values).Draw(t, label)
}

// drawRecord draws a record whose identifiers come from small pools, so that
// records share many and conflict often.
func drawRecord(t *rapid.T) device.Device {
	at := func(label string) time.Time {
		if n := rapid.IntRange(0, 4).Draw(t, label); n > 0 {
			return benchNow.Add(time.Duration(n) * time.Hour)
		}
		return time.Time{}
	}
	d := device.Device{
		Name: pick(t, "name", "", "  ", "a", "b"), Platform: pick(t, "platform", "", "Mac"), OS: pick(t, "os", "", "macOS"),
		Serial: pick(t, "top", "", "", "", "S1", "S2", "none"), Source: pick(t, "source", "jamf", "google", "bitfit"),
		LastSync: at("sync"),
		Identifiers: device.Identifiers{
			Serial: pick(t, "serial", "", "", "", "S1", "s1 ", "S2", "S3", "0000", "To be filled by O.E.M."),
			UDID:   pick(t, "udid", "", "", "", "", "U1", "u1", "U2"),
			IMEI:   pick(t, "imei", "", "", "", "", "", "I1", "I2"),
		},
		Practices: drawPractices(t, at),
	}
	for range rapid.IntRange(0, 3).Draw(t, "macs") {
		d.Identifiers.MACAddresses = append(d.Identifiers.MACAddresses, device.MAC(pick(t, "mac",
			"3C:22:FB:00:00:01", "3c-22-fb-00-00-01", "3C:22:FB:00:00:02", "3C:22:FB:00:00:03", "3C:22:FB:00:00:04",
			"3C:22:FB:00:00:05", "02:22:FB:00:00:01", "00:00:00:00:00:00", "odd")))
	}
	if rapid.Bool().Draw(t, "software") {
		d.Software = drawSoftware(t, at)
	}
	if rapid.IntRange(0, 9).Draw(t, "raw") == 0 {
		d.Raw = json.RawMessage(`{"a":1}`)
	}
	return d
}

func drawPractices(t *rapid.T, at func(string) time.Time) map[string]device.Practice {
	out := make(map[string]device.Practice)
	for _, k := range []string{"encryption", "firewall"} {
		if rapid.Bool().Draw(t, "has "+k) {
			p := device.Practice{
				Status:      device.Status(pick(t, "status", "", "ok", "nudge", "warn", "na", "unknown")),
				Details:     pick(t, "details", "", "because"),
				LastUpdated: at("updated"),
			}
			if n := rapid.IntRange(0, 2).Draw(t, "value"); n > 0 {
				p.Value = device.Bool(n == 1)
			}
			out[k] = p
		}
	}
	return out
}

func drawSoftware(t *rapid.T, at func(string) time.Time) *device.Software {
	s := &device.Software{LastScan: at("scan")}
	for range rapid.IntRange(0, 3).Draw(t, "apps") {
		s.Installed = append(s.Installed, device.Application{
			Name: pick(t, "app", "Sensor", "sensor", "Editor"), Version: pick(t, "version", "", "1.9", "1.10", "2"), InstallDate: at("install"),
		})
		s.Services = append(s.Services, device.Service{Name: pick(t, "service", "d", "D", "e")})
	}
	return s
}

// drawRecords draws a handful of records, or a crowd that shares one MAC address.
func drawRecords(t *rapid.T) []device.Device {
	records := rapid.SliceOfN(rapid.Custom(drawRecord), 0, 9).Draw(t, "records")
	if rapid.IntRange(0, 3).Draw(t, "crowded") > 0 {
		return records
	}
	n := rapid.IntRange(30, 70).Draw(t, "crowd")
	for i := range n {
		d := rapid.Custom(drawRecord).Draw(t, "one of the crowd")
		d.Identifiers.MACAddresses = append(d.Identifiers.MACAddresses, "00:0E:C6:00:00:01")
		number := rapid.IntRange(1, n).Draw(t, "number")
		switch rapid.IntRange(0, 5).Draw(t, "known by") {
		case 0, 1:
			d.Identifiers.Serial = fmt.Sprintf("S%d", number)
		case 2:
			d.Identifiers.UDID = fmt.Sprintf("U%d", number)
		case 3:
			d.Identifiers.IMEI = fmt.Sprintf("I%d", number)
		case 4:
			d.Serial = ""
			d.Identifiers = device.Identifiers{MACAddresses: d.Identifiers.MACAddresses, MEID: fmt.Sprintf("E%d", number)}
		}
		if rapid.Bool().Draw(t, "wired") {
			d.Identifiers.MACAddresses = append(d.Identifiers.MACAddresses, device.MAC(fmt.Sprintf("3C:22:FB:01:00:%02X", i)))
		}
		records = append(records, d)
	}
	return records
}

// mark gives every record a note of its own, by which it is found again.
func mark(records []device.Device) {
	for i := range records {
		records[i].Notes = []string{fmt.Sprintf("record %d", i)}
	}
}

// members gives the numbers of the marked records in a device.
func members(d device.Device) []int {
	var out []int
	for _, n := range d.Notes {
		var i int
		if _, err := fmt.Sscanf(n, "record %d", &i); err == nil {
			out = append(out, i)
		}
	}
	sort.Ints(out)
	return out
}

func TestMerge_DoesNotDependOnOrder(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		records := drawRecords(t)
		want := device.Merge(records, device.MergeOptions{})
		shuffled := rapid.Permutation(records).Draw(t, "shuffled")
		if diff := cmp.Diff(want, device.Merge(shuffled, device.MergeOptions{})); diff != "" {
			t.Fatalf("another order, another outcome (-given +shuffled):\n%s", diff)
		}
	})
}

func TestMerge_DividesTheRecords(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		records := drawRecords(t)
		mark(records)
		devices := device.Merge(records, device.MergeOptions{})
		var seen []int
		for _, d := range devices {
			m := members(d)
			seen = append(seen, m...)
			checkMembers(t, records, m, d)
		}
		sort.Ints(seen)
		for i := range records {
			if i >= len(seen) || seen[i] != i {
				t.Fatalf("records in the outcome: %v, want each of %d once", seen, len(records))
			}
		}
		checkApart(t, devices)
	})
}

// checkMembers checks that a device's records hang together without a conflict,
// and that it has exactly their identifiers.
func checkMembers(t *rapid.T, records []device.Device, m []int, d device.Device) {
	var all []key
	var own []device.Device
	for _, i := range m {
		for _, k := range keysOf(records[i]) {
			if conflict(all, []key{k}) {
				t.Fatalf("records %v are one device, but conflict in %v", m, k)
			}
			if !slices.Contains(all, k) {
				all = append(all, k)
			}
		}
		own = append(own, records[i])
	}
	if groups, _ := naive(own); len(groups) != 1 {
		t.Fatalf("records %v are one device, but fall into %v by what they share", m, groups)
	}
	got := keysOf(d)
	for _, k := range all {
		if !slices.Contains(got, k) {
			t.Fatalf("device of records %v lacks %v", m, k)
		}
	}
	if len(got) != len(all) {
		t.Fatalf("device of records %v has identifiers %v, want %v", m, got, all)
	}
	if !slices.IsSorted(d.Identifiers.MACAddresses) || !slices.IsSorted(d.Sources) {
		t.Fatalf("MAC addresses or sources are not sorted: %v, %v", d.Identifiers.MACAddresses, d.Sources)
	}
	if len(d.Joined) != len(m)-1 {
		t.Fatalf("device of %d records has %d reasons", len(m), len(d.Joined))
	}
}

// checkApart checks that devices which share an identifier conflict in another,
// and that all of them say so.
func checkApart(t *rapid.T, devices []device.Device) {
	keys := make([][]key, len(devices))
	for i, d := range devices {
		keys[i] = keysOf(d)
	}
	for i := range devices {
		for j := range i {
			if share(keys[i], keys[j]) && !conflict(keys[i], keys[j]) {
				t.Fatalf("devices with %v and %v share an identifier and do not conflict, but are two", keys[i], keys[j])
			}
		}
		for _, k := range keys[i] {
			others := 0
			for j := range devices {
				if j != i && slices.Contains(keys[j], k) {
					others++
				}
			}
			told := slices.ContainsFunc(devices[i].Ambiguous, func(a device.Ambiguity) bool {
				return slices.Contains(keysOf(withIdentifier(a)), k)
			})
			if told != (others > 0) {
				t.Fatalf("%v is held by %d other devices; told as ambiguous: %t", k, others, told)
			}
		}
	}
}

// withIdentifier gives a record that has what an ambiguity is about.
func withIdentifier(a device.Ambiguity) device.Device {
	var d device.Device
	switch a.Identifier {
	case "serial":
		d.Identifiers.Serial = a.Value
	case "udid":
		d.Identifiers.UDID = a.Value
	case "imei":
		d.Identifiers.IMEI = a.Value
	case "meid":
		d.Identifiers.MEID = a.Value
	case "google_device_id":
		d.Identifiers.GoogleDeviceID = a.Value
	default:
		d.Identifiers.MACAddresses = []device.MAC{device.MAC(a.Value)}
	}
	return d
}

func TestMerge_AgreesWithComparingAllPairs(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		records := drawRecords(t)
		groups, conflicted := naive(records)
		if conflicted {
			// What is ambiguous has no one right answer: leave only what cannot conflict.
			for i := range records {
				records[i].Serial, records[i].Identifiers = "", device.Identifiers{MACAddresses: records[i].Identifiers.MACAddresses}
			}
			groups, _ = naive(records)
		}
		mark(records)
		var got [][]int
		for _, d := range device.Merge(records, device.MergeOptions{}) {
			got = append(got, members(d))
		}
		for _, g := range groups {
			sort.Ints(g)
		}
		slices.SortFunc(got, slices.Compare[[]int])
		slices.SortFunc(groups, slices.Compare[[]int])
		if diff := cmp.Diff(groups, got); diff != "" {
			t.Fatalf("devices (-all pairs +Merge):\n%s", diff)
		}
	})
}

func TestMerge_IsIdempotent(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		once := device.Merge(drawRecords(t), device.MergeOptions{})
		if diff := cmp.Diff(once, device.Merge(once, device.MergeOptions{})); diff != "" {
			t.Fatalf("merged again (-once +twice):\n%s", diff)
		}
	})
}

func TestMerge_LeavesItsInputAlone(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(t *rapid.T) {
		records := drawRecords(t)
		mark(records)
		before := deepCopy(t, records)
		devices := device.Merge(records, device.MergeOptions{})
		if diff := cmp.Diff(before, records); diff != "" {
			t.Fatalf("Merge changed its input:\n%s", diff)
		}
		for i := range devices {
			scribble(&devices[i])
		}
		if diff := cmp.Diff(before, records); diff != "" {
			t.Fatalf("changing the outcome changed the input:\n%s", diff)
		}
	})
}

func deepCopy(t *rapid.T, records []device.Device) []device.Device {
	text, err := json.Marshal(records)
	if err != nil {
		t.Fatal(err)
	}
	var out []device.Device
	if err := json.Unmarshal(text, &out); err != nil {
		t.Fatal(err)
	}
	for i := range out {
		if out[i].Practices == nil && records[i].Practices != nil {
			out[i].Practices = map[string]device.Practice{}
		}
	}
	return out
}

// scribble overwrites all that a device refers to.
func scribble(d *device.Device) {
	for k, p := range d.Practices {
		if p.Value != nil {
			*p.Value = !*p.Value
		}
		p.Details = "scribbled"
		d.Practices[k] = p
	}
	for i := range d.Identifiers.MACAddresses {
		d.Identifiers.MACAddresses[i] = "scribbled"
	}
	for i := range d.Notes {
		d.Notes[i] = "scribbled"
	}
	if d.Software != nil {
		for i := range d.Software.Installed {
			d.Software.Installed[i].Name = "scribbled"
		}
		for i := range d.Software.Services {
			d.Software.Services[i].Name = "scribbled"
		}
		d.Software.LastScan = time.Time{}
	}
	for i := range d.Raw {
		d.Raw[i] = 'x'
	}
	for i := range d.Joined {
		d.Joined[i].Value = "scribbled"
	}
}
