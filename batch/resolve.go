package batch

import (
	"reflect"
	"slices"

	"github.com/postureproject/posture/device"
)

// keysFunc gives what a device can be looked up by.
type keysFunc func(device.Device) (serial string, macs []device.MAC)

// resolve picks, of what was staged of one source for a person, what asking that
// source about the person would find: records with the person's address; then
// those with a serial of an owned device, where no record in hand has it; then
// those with a MAC of one, where no record in hand and none found by serial has
// it. A record that was staged only because of a chance equality of hashes falls
// out here.
func resolve(s Source, email string, owned, staged []device.Device, keys keysFunc) []device.Device {
	r := resolution{keys: keys, taken: make([]bool, len(staged)), staged: staged, have: map[string]bool{}}
	r.take(func(d device.Device, _ string, _ []device.MAC) bool {
		own, ok := canonical(d.Email)
		return ok && own == email
	})
	if s.Ownership {
		return r.found
	}
	serials, macs := r.wanted(s, owned)
	r.take(func(_ device.Device, serial string, _ []device.MAC) bool {
		return serial != "" && serials[normalKey(serial)]
	})
	for mac := range macs {
		if r.have[macKey(mac)] {
			delete(macs, mac)
		}
	}
	r.take(func(_ device.Device, _ string, shown []device.MAC) bool {
		return slices.ContainsFunc(shown, func(m device.MAC) bool { return macs[m] })
	})
	return r.found
}

type resolution struct {
	keys   keysFunc
	staged []device.Device
	taken  []bool
	found  []device.Device
	have   map[string]bool // keys that found records show
}

func serialKey(serial string) string { return "s" + normalKey(serial) }
func macKey(m device.MAC) string     { return "m" + string(m) }

// take moves the staged records that match to those found, each once.
func (r *resolution) take(match func(d device.Device, serial string, macs []device.MAC) bool) {
	for i, d := range r.staged {
		if r.taken[i] {
			continue
		}
		serial, macs := r.keys(d)
		if !match(d, serial, macs) {
			continue
		}
		r.taken[i] = true
		if slices.ContainsFunc(r.found, func(have device.Device) bool { return reflect.DeepEqual(have, d) }) {
			continue
		}
		r.found = append(r.found, d)
	}
	for _, d := range r.found {
		serial, macs := r.keys(d)
		if serial != "" {
			r.have[serialKey(serial)] = true
		}
		for _, m := range macs {
			r.have[macKey(m)] = true
		}
	}
}

// wanted gives the keys of owned devices that no record in hand shows and by
// which the source can be asked.
func (r *resolution) wanted(s Source, owned []device.Device) (serials map[string]bool, macs map[device.MAC]bool) {
	serials, macs = map[string]bool{}, map[device.MAC]bool{}
	for _, d := range owned {
		serial, usable := r.keys(d)
		if serial != "" && s.finds(s.BySerial) && !r.have[serialKey(serial)] {
			serials[normalKey(serial)] = true
		}
		if !s.finds(s.ByMAC) {
			continue
		}
		for _, m := range usable {
			if !r.have[macKey(m)] {
				macs[m] = true
			}
		}
	}
	return serials, macs
}
