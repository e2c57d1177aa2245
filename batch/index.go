package batch

import (
	"cmp"
	"hash/maphash"
	"slices"
	"strings"

	"github.com/postureproject/posture/device"
)

// index knows the people of a run, and which of them own a serial number or a
// MAC. It is the only thing that grows with the fleet in memory, and is built to
// be small: of a key it keeps a hash and a person's number, in one flat list.
// Two keys of one hash only make a record be staged for somebody who does not
// own it; resolving looks at the keys themselves.
type index struct {
	seed   maphash.Seed
	given  bool // only the people added by name count
	people []string
	number map[string]uint32
	keys   []ownedKey
	sorted bool
}

type ownedKey struct {
	hash   uint64
	person uint32
}

func newIndex(given bool) *index {
	return &index{seed: maphash.MakeSeed(), given: given, number: map[string]uint32{}}
}

// longestAddress is how many bytes an address can have, as RFC 5321 says of paths.
const longestAddress = 254

// canonical is the form in which addresses compare; false for what is none.
func canonical(email string) (string, bool) {
	email = strings.ToLower(strings.TrimSpace(email))
	at := strings.LastIndexByte(email, '@')
	return email, at > 0 && at < len(email)-1 && len(email) <= longestAddress && !strings.ContainsAny(email, " \t\r\n\x00")
}

// enter makes a person known, and reports whether this one was new.
func (ix *index) enter(email string) bool {
	if _, known := ix.number[email]; known {
		return false
	}
	email = strings.Clone(email) // not the page that it came with
	ix.number[email] = uint32(len(ix.people))
	ix.people = append(ix.people, email)
	return true
}

// own notes that a device's keys are a person's.
func (ix *index) own(email, serial string, macs []device.MAC) {
	person, known := ix.number[email]
	if !known {
		return
	}
	if serial != "" {
		ix.put(ix.hash('s', serial), person)
	}
	for _, m := range macs {
		ix.put(ix.hash('m', string(m)), person)
	}
}

func (ix *index) put(hash uint64, person uint32) {
	ix.keys = append(ix.keys, ownedKey{hash, person})
	ix.sorted = false
}

func (ix *index) hash(kind byte, value string) uint64 {
	var h maphash.Hash
	h.SetSeed(ix.seed)
	_ = h.WriteByte(kind)
	_, _ = h.WriteString(normalKey(value))
	return h.Sum64()
}

// normalKey is the form in which serials and MACs compare.
func normalKey(value string) string { return strings.ToUpper(strings.TrimSpace(value)) }

// freeze makes the index ready for look-ups.
func (ix *index) freeze() {
	if ix.sorted {
		return
	}
	slices.SortFunc(ix.keys, func(a, b ownedKey) int {
		return cmp.Or(cmp.Compare(a.hash, b.hash), cmp.Compare(a.person, b.person))
	})
	ix.keys = slices.Compact(ix.keys)
	ix.sorted = true
}

// owners adds to people those who may own a key, each once.
func (ix *index) owners(kind byte, value string, people []uint32) []uint32 {
	h := ix.hash(kind, value)
	at, _ := slices.BinarySearchFunc(ix.keys, h, func(k ownedKey, h uint64) int { return cmp.Compare(k.hash, h) })
	for ; at < len(ix.keys) && ix.keys[at].hash == h; at++ {
		if !slices.Contains(people, ix.keys[at].person) {
			people = append(people, ix.keys[at].person)
		}
	}
	return people
}

// whose gives those to whom a listed record may belong: by its own address, or by
// a key that they own and that its source can be asked by.
func (ix *index) whose(s Source, email, serial string, macs []device.MAC, people []uint32) []uint32 {
	people = people[:0]
	if person, known := ix.number[email]; known {
		people = append(people, person)
	}
	if s.Ownership {
		return people
	}
	if serial != "" && s.finds(s.BySerial) {
		people = ix.owners('s', serial, people)
	}
	if s.finds(s.ByMAC) {
		for _, m := range macs {
			people = ix.owners('m', string(m), people)
		}
	}
	return people
}

// finds reports whether a listed record is found by a key: when the source can be
// asked by it, or when it can only list.
func (s Source) finds(by bool) bool { return by || !s.ByEmail && !s.BySerial && !s.ByMAC }
