// Package ouidata knows whose hardware addresses begin how: the IEEE's
// assignments of 24, 28 and 36 bits. It holds a table made from the IEEE's
// registries, reads newer ones from files, and looks addresses up.
//
// It imports only device.
package ouidata

import (
	"bytes"
	"cmp"
	"compress/gzip"
	_ "embed"
	"fmt"
	"slices"

	"github.com/postureproject/posture/device"
)

// packed is the table that comes with the program: what [Pack] made of the
// IEEE's registries.
//
//go:embed prefixes.txt.gz
var packed string

// Prefix is one assignment.
type Prefix struct {
	Bits int    // 24, 28 or 36
	High uint64 // the first 36 bits of the addresses, those beyond Bits zero
	Name string // whose it is
}

// sizes are the lengths of prefixes, the one that decides first.
func sizes() [3]int { return [3]int{36, 28, 24} }

// Table finds the longest prefix of an address. It is safe for concurrent use.
type Table struct {
	names  []string
	bySize [3]list // in the order of [sizes]
}

// list is the prefixes of one size, in ascending order.
type list struct {
	high []uint64
	name []uint32 // the place of each one's name
}

// Builtin unpacks the table that comes with the program. It takes some tens of
// milliseconds and keeps nothing: a caller that looks up often keeps the result.
func Builtin() (*Table, error) {
	prefixes, err := builtin()
	if err != nil {
		return nil, err
	}
	return New(prefixes), nil
}

// BuiltinWith is [Builtin] with more prefixes, which win where both have one.
func BuiltinWith(more []Prefix) (*Table, error) {
	prefixes, err := builtin()
	if err != nil {
		return nil, err
	}
	return New(append(prefixes, more...)), nil
}

func builtin() ([]Prefix, error) {
	unzip, err := gzip.NewReader(bytes.NewReader([]byte(packed)))
	if err != nil {
		return nil, fmt.Errorf("unpack the built-in prefixes: %w", err)
	}
	prefixes, err := Parse(unzip)
	if err != nil {
		return nil, fmt.Errorf("read the built-in prefixes: %w", err)
	}
	return prefixes, nil
}

// New makes a table. Of two equal prefixes the later one holds.
func New(prefixes []Prefix) *Table {
	prefixes = Unique(prefixes)
	t := &Table{}
	place := map[string]uint32{}
	for i, bits := range sizes() {
		for _, p := range prefixes {
			if p.Bits != bits {
				continue
			}
			n, ok := place[p.Name]
			if !ok {
				n = uint32(len(t.names))
				place[p.Name] = n
				t.names = append(t.names, p.Name)
			}
			t.bySize[i].high = append(t.bySize[i].high, p.High)
			t.bySize[i].name = append(t.bySize[i].name, n)
		}
	}
	return t
}

// Unique gives the prefixes in ascending order, shorter ones first; of equal ones
// only the last.
func Unique(prefixes []Prefix) []Prefix {
	out := slices.Clone(prefixes)
	slices.SortStableFunc(out, comparePrefixes)
	n := 0
	for i := range out {
		if i+1 < len(out) && comparePrefixes(out[i], out[i+1]) == 0 {
			continue
		}
		out[n] = out[i]
		n++
	}
	return out[:n]
}

func comparePrefixes(a, b Prefix) int {
	return cmp.Or(cmp.Compare(a.High, b.High), cmp.Compare(a.Bits, b.Bits))
}

// Len is the number of prefixes.
func (t *Table) Len() int {
	n := 0
	for _, l := range t.bySize {
		n += len(l.high)
	}
	return n
}

// Lookup tells to whom the longest registered prefix of an address belongs.
func (t *Table) Lookup(mac device.MAC) (name string, ok bool) {
	high, ok := high36(string(mac))
	if !ok {
		return "", false
	}
	for i, bits := range sizes() {
		l := &t.bySize[i]
		if at, found := slices.BinarySearch(l.high, mask(high, bits)); found {
			return t.names[l.name[at]], true
		}
	}
	return "", false
}

// mask clears what follows the first bits of 36.
func mask(high uint64, bits int) uint64 { return high >> (36 - bits) << (36 - bits) }

// high36 reads the first 36 bits, nine digits, of an address.
func high36(mac string) (uint64, bool) {
	high, digits := uint64(0), 0
	for i := 0; i < len(mac) && digits < 9; i++ {
		if mac[i] == ':' {
			continue
		}
		d, ok := hexDigit(mac[i])
		if !ok {
			return 0, false
		}
		high = high<<4 | d
		digits++
	}
	return high, digits == 9
}

func hexDigit(c byte) (uint64, bool) {
	switch {
	case '0' <= c && c <= '9':
		return uint64(c - '0'), true
	case 'A' <= c && c <= 'F':
		return uint64(c-'A') + 10, true
	case 'a' <= c && c <= 'f':
		return uint64(c-'a') + 10, true
	default:
		return 0, false
	}
}
