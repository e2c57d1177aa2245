package device

import "hash/maphash"

// identTable finds an identifier's number by its kind and value. It is a hash
// table with open addressing: the one structure that every identifier of every
// record passes through, and here half as dear as a map of strings.
type identTable struct {
	seed  maphash.Seed
	slots []identSlot // a power of two of them, at most half filled
	used  int
}

type identSlot struct {
	tag uint32 // of the hash, to tell most values apart without reading them
	id  int32  // zero when the slot is free
}

func newIdentTable(records int) identTable {
	size := 16
	for size < 2*records {
		size *= 2
	}
	return identTable{seed: maphash.MakeSeed(), slots: make([]identSlot, size)}
}

// enter finds an identifier's number, or appends it to idents with rec as its
// first record.
func (t *identTable) enter(idents *[]ident, rec int32, k kind, v string) (id int32, isNew bool) {
	hash := t.hash(k, v)
	tag, mask := uint32(hash>>32), uint64(len(t.slots)-1)
	for i := hash & mask; ; i = (i + 1) & mask {
		s := &t.slots[i]
		if s.id == 0 {
			id = int32(len(*idents))
			*idents = append(*idents, ident{value: v, first: rec, kind: k})
			*s = identSlot{tag: tag, id: id}
			if t.used++; 2*t.used > len(t.slots) {
				t.grow(*idents)
			}
			return id, true
		}
		if s.tag == tag {
			if known := &(*idents)[s.id]; known.kind == k && known.value == v {
				return s.id, false
			}
		}
	}
}

func (t *identTable) hash(k kind, v string) uint64 {
	return maphash.String(t.seed, v) + uint64(k)*0x9E3779B97F4A7C15
}

func (t *identTable) grow(idents []ident) {
	t.slots = make([]identSlot, 2*len(t.slots))
	mask := uint64(len(t.slots) - 1)
	for id := 1; id < len(idents); id++ {
		hash := t.hash(idents[id].kind, idents[id].value)
		i := hash & mask
		for t.slots[i].id != 0 {
			i = (i + 1) & mask
		}
		t.slots[i] = identSlot{tag: uint32(hash >> 32), id: int32(id)}
	}
}

// forest is a union-find structure: disjoint sets of numbers.
type forest []int32

func newForest(n int) forest {
	f := make(forest, n)
	for i := range f {
		f[i] = int32(i)
	}
	return f
}

// root gives the number that stands for a number's set.
func (f forest) root(i int32) int32 {
	for f[i] != i {
		f[i] = f[f[i]]
		i = f[i]
	}
	return i
}

// join makes one set of two; its root is the lower of theirs.
func (f forest) join(a, b int32) {
	a, b = f.root(a), f.root(b)
	if a > b {
		a, b = b, a
	}
	f[b] = a
}
