package device

import (
	"fmt"
	"slices"
	"strings"
)

// groups gives the component's devices with their records, newest first, and
// with the identifiers that they share.
func (c *component) groups() []group {
	number := make([]int32, len(c.atoms)) // by atom that stands for a device: its group, plus one
	var groups []group
	groupOf := func(a int32) *group {
		root := c.union.root(a)
		if number[root] == 0 {
			groups = append(groups, group{})
			number[root] = int32(len(groups))
		}
		return &groups[number[root]-1]
	}
	for a := range c.atoms {
		g := groupOf(int32(a))
		g.records = append(g.records, c.atoms[a].records...)
	}
	for i := range groups {
		slices.SortFunc(groups[i].records, c.ix.compare)
	}
	var devices []int32
	for i, holders := range c.holders {
		devices = devices[:0]
		for _, a := range holders {
			devices = append(devices, c.union.root(a))
		}
		slices.Sort(devices)
		devices = slices.Compact(devices)
		if len(devices) < 2 {
			continue
		}
		s := sharing{ident: c.idents[i], reason: c.reason(devices, c.choices[i])}
		for _, d := range devices {
			g := groupOf(d)
			g.shared = append(g.shared, s)
		}
	}
	return groups
}

// reason says why devices that share an identifier are not one. It names none
// of their values: one device's owner may not be entitled to the others'.
func (c *component) reason(devices []int32, choices int) string {
	var differing []string
	for k := range kindMAC {
		var value int32
		for _, d := range devices {
			switch id := c.profiles[d][k]; {
			case id == 0 || id == value:
				continue
			case value == 0:
				value = id
				continue
			}
			differing = append(differing, k.String())
			break
		}
	}
	why := fmt.Sprintf("%d devices hold it; they differ in %s and were kept apart", len(devices), strings.Join(differing, " and "))
	switch choices {
	case 0:
		return why
	case 1:
		why += "; 1 record fits more than one of them and"
	default:
		why += fmt.Sprintf("; %d records fit more than one of them and each", choices)
	}
	return why + " went to the one with more matching identifiers, else the newest"
}
