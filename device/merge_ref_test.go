package device_test

import (
	"slices"
	"strings"

	"github.com/postureproject/posture/device"
)

// key is an identifier as the tests see it: its name and its value in upper case.
type key struct{ name, value string }

// keysOf gives a record's identifiers in the plainest way.
func keysOf(d device.Device) []key {
	var keys []key
	add := func(name, value string) {
		if v := strings.ToUpper(strings.TrimSpace(value)); !device.IsPlaceholder(v) {
			keys = append(keys, key{name, v})
		}
	}
	serial := d.Identifiers.Serial
	if device.IsPlaceholder(serial) {
		serial = d.Serial
	}
	add("serial", serial)
	add("udid", d.Identifiers.UDID)
	add("imei", d.Identifiers.IMEI)
	add("meid", d.Identifiers.MEID)
	add("google_device_id", d.Identifiers.GoogleDeviceID)
	for _, m := range d.Identifiers.MACAddresses {
		if parsed, err := device.ParseMAC(string(m)); err == nil && parsed.Usable() {
			add("mac_address", string(parsed))
		}
	}
	return keys
}

// conflict reports whether two devices have different values of an identifier of
// which there is one at most.
func conflict(a, b []key) bool {
	for _, x := range a {
		for _, y := range b {
			if x.name != "mac_address" && x.name == y.name && x.value != y.value {
				return true
			}
		}
	}
	return false
}

// share reports whether two devices have an identifier in common.
func share(a, b []key) bool {
	return slices.ContainsFunc(a, func(k key) bool { return slices.Contains(b, k) })
}

// naive joins records by comparing all pairs until nothing changes. It knows
// nothing of ambiguity: what it makes of records among whom none conflict with
// any that they are linked to is the only right outcome.
func naive(records []device.Device) (groups [][]int, conflicted bool) {
	keys := make([][]key, len(records))
	for i, r := range records {
		keys[i] = keysOf(r)
		groups = append(groups, []int{i})
	}
	for changed := true; changed; {
		changed = false
		for i := 0; i < len(groups); i++ {
			for j := i + 1; j < len(groups); j++ {
				a, b := groups[i][0], groups[j][0]
				if !share(keys[a], keys[b]) {
					continue
				}
				conflicted = conflicted || conflict(keys[a], keys[b])
				keys[a] = append(slices.Clip(keys[a]), keys[b]...)
				groups[i] = append(groups[i], groups[j]...)
				groups = slices.Delete(groups, j, j+1)
				changed = true
				j--
			}
		}
	}
	return groups, conflicted
}
