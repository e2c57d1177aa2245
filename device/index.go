package device

import (
	"cmp"
	"fmt"
	"slices"
)

// ident is one identifier that records hold.
type ident struct {
	value string // normalized
	first int32  // the first record met with it
	kind  kind
}

// index knows which record holds which identifiers. Identifiers are numbered
// from one, so that zero means none. Numbers follow the order of the input and
// must therefore never decide anything but equality.
type index struct {
	records  []Device
	synced   []int64 // by record: last_sync in seconds, for cheap comparisons
	idents   []ident
	table    identTable
	held     []int32 // identifiers of all records, one record after the other, each in order of kind and value
	starts   []int32 // by record: where its identifiers start in held; one more at the end
	extra    map[string]struct{}
	unparsed map[int32][]string // by record: what stands for a MAC address and is none
	union    forest             // records that share identifiers, directly or through others
}

func newIndex(records []Device, o MergeOptions) *index {
	n := len(records)
	ix := &index{
		records: records,
		synced:  make([]int64, n),
		idents:  make([]ident, 1, n+1),
		table:   newIdentTable(n),
		held:    make([]int32, 0, 3*n),
		starts:  make([]int32, 1, n+1),
		extra:   placeholders(o.Placeholders),
		union:   newForest(n),
	}
	var macs []string
	for i := range records {
		macs = ix.add(int32(i), macs)
	}
	ix.table = identTable{}
	return ix
}

// add enters the identifiers of one record. It takes and returns a scratch slice.
func (ix *index) add(rec int32, macs []string) []string {
	d := &ix.records[rec]
	ix.synced[rec] = d.LastSync.Unix()
	for k := range kindMAC {
		if v := ix.usable(*d.Identifiers.single(k)); v != "" {
			ix.enter(rec, k, v)
		} else if k == kindSerial {
			if v := ix.usable(d.Serial); v != "" {
				ix.enter(rec, k, v)
			}
		}
	}
	macs = macs[:0]
	for _, m := range d.Identifiers.MACAddresses {
		if v, ok := ix.usableMAC(rec, m); ok {
			macs = append(macs, v)
		}
	}
	if len(macs) > 1 {
		slices.Sort(macs)
		macs = slices.Compact(macs)
	}
	for _, m := range macs {
		ix.enter(rec, kindMAC, m)
	}
	ix.starts = append(ix.starts, int32(len(ix.held)))
	return macs
}

// usable gives an identifier's normalized value, empty when it identifies nothing.
func (ix *index) usable(given string) string {
	if given == "" {
		return ""
	}
	v := normalize(given)
	if isPlaceholder(v) || ix.excluded(v) {
		return ""
	}
	return v
}

func (ix *index) usableMAC(rec int32, m MAC) (string, bool) {
	if !m.canonical() {
		if isPlaceholder(normalize(string(m))) {
			return "", false
		}
		parsed, err := ParseMAC(string(m))
		if err != nil {
			if ix.unparsed == nil {
				ix.unparsed = make(map[int32][]string)
			}
			ix.unparsed[rec] = append(ix.unparsed[rec], fmt.Sprintf("%q is not a MAC address and was left out.", string(m)))
			return "", false
		}
		m = parsed
	}
	return string(m), m.Usable() && !ix.excluded(string(m))
}

func (ix *index) excluded(v string) bool {
	if len(ix.extra) == 0 {
		return false
	}
	_, found := ix.extra[v]
	return found
}

// enter notes that a record holds an identifier, and joins it in the forest to
// the first record that does.
func (ix *index) enter(rec int32, k kind, v string) {
	id, isNew := ix.table.enter(&ix.idents, rec, k, v)
	ix.held = append(ix.held, id)
	if !isNew {
		ix.union.join(rec, ix.idents[id].first)
	}
}

// of gives a record's identifiers, in order of kind and value.
func (ix *index) of(rec int32) []int32 { return ix.held[ix.starts[rec]:ix.starts[rec+1]] }

// given gives a record's single-valued identifier as its source wrote it.
func (ix *index) given(rec int32, k kind) string {
	d := &ix.records[rec]
	v := *d.Identifiers.single(k)
	if k == kindSerial && ix.usable(v) == "" {
		return d.Serial
	}
	return v
}

// compareIdents orders identifiers by kind and value.
func (ix *index) compareIdents(a, b int32) int {
	x, y := &ix.idents[a], &ix.idents[b]
	return cmp.Or(cmp.Compare(x.kind, y.kind), cmp.Compare(x.value, y.value))
}

// compare orders records by their content alone: newest first, then by a key
// that leaves no two different records equal.
func (ix *index) compare(a, b int32) int {
	if x, y := ix.synced[a], ix.synced[b]; x != y {
		return cmp.Compare(y, x)
	}
	return compareRecords(&ix.records[a], &ix.records[b])
}

// profile holds a device's single-valued identifiers by kind, zero for none.
type profile [singles]int32

// conflicts reports whether two profiles cannot be one device's.
func (p *profile) conflicts(q *profile) bool {
	for k := range p {
		if p[k] != q[k] && p[k] != 0 && q[k] != 0 {
			return true
		}
	}
	return false
}

// add takes over what q has and p lacks.
func (p *profile) add(q *profile) {
	for k, id := range q {
		if id != 0 {
			p[k] = id
		}
	}
}

// size counts the identifiers in the profile.
func (p *profile) size() int {
	n := 0
	for _, id := range p {
		if id != 0 {
			n++
		}
	}
	return n
}

// mask has a bit for every kind in the profile.
func (p *profile) mask() uint8 {
	var m uint8
	for k, id := range p {
		if id != 0 {
			m |= 1 << k
		}
	}
	return m
}

// profileOf gives a record's profile.
func (ix *index) profileOf(rec int32) (p profile) {
	for _, id := range ix.of(rec) {
		k := ix.idents[id].kind
		if k >= kindMAC {
			break
		}
		p[k] = id
	}
	return p
}
