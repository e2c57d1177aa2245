package bitfit

import (
	"cmp"
	"fmt"
	"time"

	"github.com/postureproject/posture/device"
)

// The base names of the fields that are read.
const (
	fieldMAC       = "mac_address"
	fieldOtherMAC  = "alt_mac_address"
	fieldUDID      = "UDID"
	fieldHWRelease = "HW Release Date"
)

// mapAsset makes a device of an asset. photo gives the address of a picture from
// the asset's own address for it and its attachment's id. A field that makes no
// sense is left out and noted.
func mapAsset(a *asset, photo func(image, photoID string) string, email string) device.Device {
	d := device.Device{
		Name: a.name, Model: a.model, Serial: a.serial, Type: cmp.Or(a.kind.single, a.configured.single), Status: a.status.plural,
		PhotoURL: photo(a.imageURL, a.photoID), Email: email,
	}
	d.Identifiers.Serial = d.Serial
	var bad []string
	d.Identifiers.MACAddresses, bad = device.UsableMACs(append(named(a.fields, fieldMAC), named(a.fields, fieldOtherMAC)...)...)
	for _, b := range bad {
		d.Notes = append(d.Notes, fmt.Sprintf("%q is not a MAC address.", b))
	}
	if udids := named(a.fields, fieldUDID); len(udids) > 0 {
		d.Identifiers.UDID = udids[0]
	}
	if dates := named(a.fields, fieldHWRelease); len(dates) > 0 {
		var ok bool
		if d.HWRelease, ok = parseDate(dates[0]); !ok {
			d.Notes = append(d.Notes, fmt.Sprintf("The hardware release date %q is not a date.", dates[0]))
		}
	}
	return d
}

// parseDate reads a day as bitFit writes it, month/day/year, or as ISO 8601 does.
func parseDate(s string) (time.Time, bool) {
	for _, layout := range [...]string{"1/2/2006", time.DateOnly, time.RFC3339, time.DateTime} {
		if t, err := time.Parse(layout, s); err == nil {
			return t.UTC(), true
		}
	}
	return time.Time{}, false
}
