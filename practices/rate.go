package practices

import (
	"cmp"
	"slices"
	"strings"
	"time"

	"github.com/postureproject/posture/device"
)

// Why a device is folded away, in [device.Device.Folded].
const (
	FoldedRetired = "retired" // its status says that it is out of use
	FoldedStale   = "stale"   // no source has heard from it for long
)

// Rate sums up a device that has been evaluated: its rating by the worst of the
// practices that people see, and whether it is folded away. A device that has
// never synchronised is not stale: nothing says that it has been away.
func (p *Policy) Rate(d *device.Device, now time.Time) {
	d.Rating = rating(d.Practices)
	switch {
	case p.retired[strings.ToLower(strings.TrimSpace(d.Status))]:
		d.Folded = FoldedRetired
	case p.stale >= 0 && !d.LastSync.IsZero() && now.Sub(d.LastSync) > p.stale:
		d.Folded = FoldedStale
	default:
		d.Folded = ""
	}
}

func rating(practices map[string]device.Practice) device.Rating {
	seen := device.RatingUnknown
	for _, p := range practices {
		if p.Display != nil && !*p.Display {
			continue
		}
		r := device.RatingUnknown
		switch p.Status {
		case device.Warn:
			return device.RatingCritical
		case device.Nudge:
			r = device.RatingWarning
		case device.OK:
			r = device.RatingOK
		case device.NA, device.Unknown:
		}
		if rank(r) < rank(seen) {
			seen = r
		}
	}
	return seen
}

// rank orders ratings, worst first.
func rank(r device.Rating) int {
	switch r {
	case device.RatingCritical:
		return 0
	case device.RatingWarning:
		return 1
	case device.RatingOK:
		return 2
	default:
		return 3
	}
}

// Sort orders rated devices for people: those shown before those folded away,
// the worst first, then the one heard from last. Names and identifiers decide
// between equals, so that the order does not hang on that of the input.
func Sort(devices []device.Device) {
	slices.SortStableFunc(devices, func(a, b device.Device) int { return order(&a, &b) })
}

func order(a, b *device.Device) int {
	return cmp.Or(
		compareBool(a.Folded != "", b.Folded != ""),
		cmp.Compare(rank(a.Rating), rank(b.Rating)),
		b.LastSync.Compare(a.LastSync),
		cmp.Compare(a.Name, b.Name),
		cmp.Compare(a.Serial, b.Serial),
		compareIdentifiers(&a.Identifiers, &b.Identifiers),
		cmp.Compare(a.Model, b.Model),
		cmp.Compare(a.Source, b.Source),
	)
}

func compareIdentifiers(a, b *device.Identifiers) int {
	return cmp.Or(
		cmp.Compare(a.Serial, b.Serial),
		cmp.Compare(a.UDID, b.UDID),
		cmp.Compare(a.IMEI, b.IMEI),
		cmp.Compare(a.MEID, b.MEID),
		cmp.Compare(a.GoogleDeviceID, b.GoogleDeviceID),
		slices.Compare(a.MACAddresses, b.MACAddresses),
	)
}

func compareBool(a, b bool) int {
	switch {
	case a == b:
		return 0
	case b:
		return -1
	default:
		return 1
	}
}
