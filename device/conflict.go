package device

import (
	"encoding/binary"
	"slices"
)

// crowd is the number of distinct records above which an identifier tells
// nothing about which of them belong together: it is then looked at last, and
// only links devices that nothing keeps apart. It bounds the work per identifier.
const crowd = 32

// resolver divides components whose records cannot all be of one device.
type resolver struct {
	ix    *index
	local []int32 // by identifier: its number in the component at hand, plus one
}

func newResolver(ix *index) *resolver {
	return &resolver{ix: ix, local: make([]int32, len(ix.idents))}
}

// atom is records that are surely together: they have the same single-valued
// identifiers, or none and the same MAC addresses.
type atom struct {
	profile profile
	records []int32
	idents  []int32 // numbers in the component
}

// component is linked records that conflict. Its atoms are ordered by their
// first record, newest first, and so are numbered by rank; a device is known by
// one of its atoms, found through union.
type component struct {
	ix      *index
	idents  []int32   // by number in the component: the identifier, in order of kind and value
	atoms   []atom    //
	holders [][]int32 // by identifier: the atoms that hold it

	union    forest
	profiles []profile // by device
	devices  [][]int32 // by identifier: the devices that hold it, of the atoms placed so far
	choices  []int     // by identifier: records that it linked to more than one device
	leftBy   []int32   // by device: the last atom that could have joined it and did not, or -1
}

// resolve divides a component's records, newest first, into groups.
//
// Atoms are placed one after the other, each with the device that has most of
// its identifiers; those that establish devices come before those that could
// join several. Identifiers held by a crowd play no part in that. At the end
// they join what has nothing else in common and no conflict either.
func (r *resolver) resolve(records []int32) []group {
	c := r.component(records)
	for _, a := range c.order() {
		c.place(a)
	}
	for _, id := range c.crowded() {
		c.joinCrowd(id)
	}
	for _, id := range c.idents {
		r.local[id] = 0
	}
	return c.groups()
}

// component makes the atoms of records, and finds who holds what.
func (r *resolver) component(records []int32) *component {
	c := &component{ix: r.ix}
	for _, rec := range records {
		for _, id := range r.ix.of(rec) {
			if r.local[id] == 0 {
				r.local[id] = 1
				c.idents = append(c.idents, id)
			}
		}
	}
	slices.SortFunc(c.idents, r.ix.compareIdents)
	for i, id := range c.idents {
		r.local[id] = int32(i) + 1
	}
	byKey := make(map[string]int32, len(records))
	var key []byte
	for _, rec := range records {
		p := r.ix.profileOf(rec)
		key = r.key(key[:0], rec, &p)
		a, known := byKey[string(key)]
		if !known {
			a = int32(len(c.atoms))
			byKey[string(key)] = a
			c.atoms = append(c.atoms, atom{profile: p})
		}
		c.atoms[a].records = append(c.atoms[a].records, rec)
		for _, id := range r.ix.of(rec) {
			c.atoms[a].idents = append(c.atoms[a].idents, r.local[id]-1)
		}
	}
	c.holders = make([][]int32, len(c.idents))
	c.profiles = make([]profile, len(c.atoms))
	for a := range c.atoms {
		slices.Sort(c.atoms[a].idents)
		c.atoms[a].idents = slices.Compact(c.atoms[a].idents)
		for _, i := range c.atoms[a].idents {
			c.holders[i] = append(c.holders[i], int32(a))
		}
		c.profiles[a] = c.atoms[a].profile
	}
	c.union = newForest(len(c.atoms))
	c.devices = make([][]int32, len(c.idents))
	c.choices = make([]int, len(c.idents))
	c.leftBy = slices.Repeat([]int32{-1}, len(c.atoms))
	return c
}

// key appends what records of one atom have in common and no other has.
func (r *resolver) key(key []byte, rec int32, p *profile) []byte {
	if p.size() == 0 {
		for _, id := range r.ix.of(rec) {
			key = binary.LittleEndian.AppendUint32(key, uint32(id))
		}
		return append(key, 'm')
	}
	for _, id := range p {
		key = binary.LittleEndian.AppendUint32(key, uint32(id))
	}
	return key
}

func (c *component) isCrowded(ident int32) bool { return len(c.holders[ident]) > crowd }

// order gives the atoms in the order of their placing: those that only one
// device can claim first, then those with more single-valued identifiers, then
// the newest.
func (c *component) order() []int32 {
	type place struct {
		contested bool
		size      int
	}
	places := make([]place, len(c.atoms))
	order := make([]int32, len(c.atoms))
	for a := range c.atoms {
		order[a] = int32(a)
		places[a] = place{contested: c.contested(int32(a)), size: c.atoms[a].profile.size()}
	}
	slices.SortStableFunc(order, func(a, b int32) int {
		if places[a].contested != places[b].contested {
			return boolRank(places[a].contested) - boolRank(places[b].contested)
		}
		return places[b].size - places[a].size
	})
	return order
}

// contested reports whether an atom could join two others that conflict.
func (c *component) contested(a int32) bool {
	own := &c.atoms[a].profile
	all := *own
	for _, i := range c.atoms[a].idents {
		if c.isCrowded(i) {
			continue
		}
		for _, b := range c.holders[i] {
			p := &c.atoms[b].profile
			if own.conflicts(p) {
				continue
			}
			if all.conflicts(p) {
				return true
			}
			all.add(p)
		}
	}
	return false
}

// candidate is a device that an atom could join.
type candidate struct {
	device  int32
	matches int
}

// place gives an atom to the best device that has an identifier of it, and joins
// to that all further ones that do not conflict.
func (c *component) place(a int32) {
	device, left := a, false
	for i, other := range c.candidates(a) {
		if i == 0 || !c.profiles[device].conflicts(&c.profiles[other.device]) {
			device = c.join(device, other.device)
			continue
		}
		left = true
		c.leftBy[other.device] = a
	}
	isLeft := func(device int32) bool { return c.leftBy[device] == a }
	for _, i := range c.atoms[a].idents {
		if c.isCrowded(i) {
			continue
		}
		devices := c.currentDevices(i)
		if left && slices.ContainsFunc(devices, isLeft) {
			c.choices[i] += len(c.atoms[a].records)
		}
		if !slices.Contains(devices, device) {
			c.devices[i] = append(devices, device)
		}
	}
}

// candidates finds the devices that an atom could join, the best first.
func (c *component) candidates(a int32) []candidate {
	var found []candidate
	for _, i := range c.atoms[a].idents {
		if c.isCrowded(i) {
			continue
		}
		for _, device := range c.currentDevices(i) {
			if !c.atoms[a].profile.conflicts(&c.profiles[device]) {
				found = append(found, candidate{device, 1})
			}
		}
	}
	slices.SortFunc(found, func(x, y candidate) int { return int(x.device - y.device) })
	merged := found[:0]
	for _, f := range found {
		if last := len(merged) - 1; last >= 0 && merged[last].device == f.device {
			merged[last].matches++
			continue
		}
		merged = append(merged, f)
	}
	// A device goes by its lowest and therefore newest atom.
	slices.SortStableFunc(merged, func(x, y candidate) int { return y.matches - x.matches })
	return merged
}

// currentDevices gives the devices that hold an identifier, once each.
func (c *component) currentDevices(ident int32) []int32 {
	devices := c.devices[ident]
	kept := devices[:0]
	for _, d := range devices {
		if d = c.union.root(d); !slices.Contains(kept, d) {
			kept = append(kept, d)
		}
	}
	c.devices[ident] = kept
	return kept
}

// join makes one device of two that do not conflict.
func (c *component) join(a, b int32) int32 {
	p, q := c.profiles[a], &c.profiles[b]
	p.add(q)
	c.union.join(a, b)
	root := min(a, b)
	c.profiles[root] = p
	return root
}
