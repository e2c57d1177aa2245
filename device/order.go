package device

import (
	"bytes"
	"cmp"
	"maps"
	"slices"
	"strings"
	"time"
)

// compareRecords orders records by their content alone, newest first. Only
// records that [Merge] cannot tell apart are equal.
func compareRecords(a, b *Device) int {
	if c := compareTimes(b.LastSync, a.LastSync); c != 0 {
		return c
	}
	if c := cmp.Or(strings.Compare(a.Source, b.Source), slices.Compare(a.Sources, b.Sources)); c != 0 {
		return c
	}
	if c := compareIdentifiers(&a.Identifiers, &b.Identifiers); c != 0 {
		return c
	}
	for k := range textFields {
		if c := strings.Compare(*a.text(k), *b.text(k)); c != 0 {
			return c
		}
	}
	if c := compareTimes(a.HWRelease, b.HWRelease); c != 0 {
		return c
	}
	if c := slices.Compare(a.Notes, b.Notes); c != 0 {
		return c
	}
	if c := comparePracticeMaps(a.Practices, b.Practices); c != 0 {
		return c
	}
	if c := compareSoftware(a.Software, b.Software); c != 0 {
		return c
	}
	return cmp.Or(
		slices.CompareFunc(a.Joined, b.Joined, compareJoins),
		slices.CompareFunc(a.Ambiguous, b.Ambiguous, compareAmbiguities),
		bytes.Compare(a.Raw, b.Raw))
}

// compareTimes orders instants, and equal ones by how far east their zone is.
func compareTimes(a, b time.Time) int {
	if c := a.Compare(b); c != 0 {
		return c
	}
	_, x := a.Zone()
	_, y := b.Zone()
	return cmp.Compare(x, y)
}

func compareIdentifiers(a, b *Identifiers) int {
	for k := range kindMAC {
		if c := strings.Compare(*a.single(k), *b.single(k)); c != 0 {
			return c
		}
	}
	return slices.Compare(a.MACAddresses, b.MACAddresses)
}

func comparePracticeMaps(a, b map[string]Practice) int {
	if c := cmp.Compare(len(a), len(b)); c != 0 {
		return c
	}
	same := true
	for k, p := range a {
		q, found := b[k]
		if !found || comparePractices(&p, &q) != 0 {
			same = false
			break
		}
	}
	if same {
		return 0
	}
	x, y := slices.Sorted(maps.Keys(a)), slices.Sorted(maps.Keys(b))
	if c := slices.Compare(x, y); c != 0 {
		return c
	}
	for _, k := range x {
		p, q := a[k], b[k]
		if c := comparePractices(&p, &q); c != 0 {
			return c
		}
	}
	return 0
}

func comparePractices(a, b *Practice) int {
	return cmp.Or(
		compareBools(a.Value, b.Value),
		strings.Compare(string(a.Status), string(b.Status)),
		compareTimes(a.LastUpdated, b.LastUpdated),
		strings.Compare(a.Details, b.Details),
		strings.Compare(a.Title, b.Title),
		strings.Compare(a.Description, b.Description),
		strings.Compare(a.Directions, b.Directions),
		strings.Compare(a.Link, b.Link),
		compareBools(a.Display, b.Display),
		strings.Compare(a.Version, b.Version))
}

// compareBools puts nil before false before true.
func compareBools(a, b *bool) int {
	rank := func(p *bool) int {
		switch {
		case p == nil:
			return 0
		case !*p:
			return 1
		default:
			return 2
		}
	}
	return cmp.Compare(rank(a), rank(b))
}

func compareSoftware(a, b *Software) int {
	if a == nil || b == nil {
		return cmp.Compare(boolRank(a != nil), boolRank(b != nil))
	}
	return cmp.Or(
		compareTimes(a.LastScan, b.LastScan),
		slices.CompareFunc(a.Installed, b.Installed, func(x, y Application) int {
			return cmp.Or(strings.Compare(x.Name, y.Name), strings.Compare(x.Version, y.Version),
				strings.Compare(x.Publisher, y.Publisher), compareTimes(x.InstallDate, y.InstallDate))
		}),
		slices.CompareFunc(a.Services, b.Services, func(x, y Service) int { return strings.Compare(x.Name, y.Name) }))
}

func boolRank(b bool) int {
	if b {
		return 1
	}
	return 0
}

func compareJoins(a, b Join) int {
	return cmp.Or(strings.Compare(a.Source, b.Source), strings.Compare(a.With, b.With),
		strings.Compare(a.Identifier, b.Identifier), strings.Compare(a.Value, b.Value))
}

func compareAmbiguities(a, b Ambiguity) int {
	return cmp.Or(strings.Compare(a.Identifier, b.Identifier), strings.Compare(a.Value, b.Value), strings.Compare(a.Reason, b.Reason))
}
