package device

import (
	"cmp"
	"slices"
)

// crowded lists the identifiers that a crowd holds, the rarest first.
func (c *component) crowded() []int32 {
	var list []int32
	for i := range c.idents {
		if c.isCrowded(int32(i)) {
			list = append(list, int32(i))
		}
	}
	slices.SortStableFunc(list, func(a, b int32) int { return cmp.Compare(len(c.holders[a]), len(c.holders[b])) })
	return list
}

// fit is what a device must agree with to belong to another: the other has
// identifiers of the kinds in mask, and of those values the ones in common must
// be these.
type fit struct {
	mask   uint8
	common profile
}

// crowdIndex finds the devices among a crowd that another could join, without
// comparing it with each. No two of its devices agree, so one that shares no
// kind of identifier with the sought one fits, and any other shares a value.
type crowdIndex struct {
	c     *component
	known []standing // newest first
	masks []uint8    // that known devices have had
	fits  map[fit]minHeap
}

// standing is a device in the index, with the kinds it was last entered under.
type standing struct {
	device int32
	mask   uint8
}

// joinCrowd joins the devices that hold an identifier wherever they do not
// conflict, so that in the end all of them do. The newest comes first, and what
// fits several goes to the newest.
func (c *component) joinCrowd(ident int32) {
	devices := make([]int32, 0, len(c.holders[ident]))
	for _, a := range c.holders[ident] {
		devices = append(devices, c.union.root(a))
	}
	slices.Sort(devices)
	devices = slices.Compact(devices)
	x := crowdIndex{c: c, fits: make(map[fit]minHeap, len(devices))}
	for _, d := range devices {
		best, several := x.best(d)
		if best < 0 {
			x.known = append(x.known, standing{device: d})
			x.enter(int32(len(x.known) - 1))
			continue
		}
		if several {
			c.choices[ident]++
		}
		c.join(x.known[best].device, d)
		x.enter(best)
	}
}

// best finds the newest known device that d does not conflict with, or -1, and
// tells whether there are several.
func (x *crowdIndex) best(d int32) (best int32, several bool) {
	best = -1
	p := &x.c.profiles[d]
	for _, mask := range x.masks {
		live := x.live(fit{mask, p.only(mask & p.mask())})
		several = several || len(live) > 1 || (len(live) > 0 && best >= 0)
		if len(live) > 0 && (best < 0 || live[0] < best) {
			best = live[0]
		}
	}
	return best, several
}

// live gives the devices that fit. Those that have been entered under other
// kinds since are removed as far as they are next to come up.
func (x *crowdIndex) live(f fit) minHeap {
	list, found := x.fits[f]
	if !found {
		return nil
	}
	before := len(list)
	for i := 0; i < min(len(list), 3); {
		if x.known[list[i]].mask == f.mask {
			i++
			continue
		}
		list = list.remove(i)
		i = 0
	}
	if len(list) < before {
		x.fits[f] = list
	}
	return list
}

// enter puts a known device where [crowdIndex.best] finds it: under every choice
// of its identifiers, as the sought one may have any of them.
func (x *crowdIndex) enter(k int32) {
	p := &x.c.profiles[x.known[k].device]
	mask := p.mask()
	if mask == x.known[k].mask && mask != 0 {
		return
	}
	x.known[k].mask = mask
	if !slices.Contains(x.masks, mask) {
		x.masks = append(x.masks, mask)
	}
	for subset := mask; ; subset = (subset - 1) & mask {
		f := fit{mask, p.only(subset)}
		x.fits[f] = x.fits[f].push(k)
		if subset == 0 {
			return
		}
	}
}

// only gives the part of a profile that is of the kinds in mask.
func (p *profile) only(mask uint8) (part profile) {
	for k, id := range p {
		if mask&(1<<k) != 0 {
			part[k] = id
		}
	}
	return part
}

// minHeap is numbers of which the lowest comes first, and each other after one
// that is not higher: the next in line are at the places 1 and 2.
type minHeap []int32

func (h minHeap) push(k int32) minHeap {
	h = append(h, k)
	h.up(len(h) - 1)
	return h
}

func (h minHeap) remove(i int) minHeap {
	last := len(h) - 1
	h[i] = h[last]
	h = h[:last]
	if i < last {
		h.down(i)
		h.up(i)
	}
	return h
}

func (h minHeap) up(i int) {
	for parent := (i - 1) / 2; i > 0 && h[i] < h[parent]; parent = (i - 1) / 2 {
		h[i], h[parent] = h[parent], h[i]
		i = parent
	}
}

func (h minHeap) down(i int) {
	for {
		child := 2*i + 1
		if child+1 < len(h) && h[child+1] < h[child] {
			child++
		}
		if child >= len(h) || h[i] <= h[child] {
			return
		}
		h[i], h[child] = h[child], h[i]
		i = child
	}
}
