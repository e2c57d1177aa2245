package device

import (
	"strings"
	"unicode/utf8"
)

// software unites what the records say is installed and running, in the order of
// their lists, newest record first. It is nil when no record says anything.
func (b *builder) software(records []int32) *Software {
	var out *Software
	apps, longest, services := 0, 0, 0
	for _, rec := range records {
		s := b.ix.records[rec].Software
		if s == nil {
			continue
		}
		if out == nil {
			out = &Software{}
		}
		if s.LastScan.After(out.LastScan) {
			out.LastScan = s.LastScan
		}
		apps += len(s.Installed)
		longest = max(longest, len(s.Installed))
		services += len(s.Services)
	}
	if apps > 0 {
		out.Installed = b.installed(records, apps, longest)
	}
	if services > 0 {
		out.Services = b.running(records, services)
	}
	return out
}

// installed unites n applications by name, each in its newest version. The
// longest of the records' lists tells how many names there are likely to be.
func (b *builder) installed(records []int32, n, longest int) []Application {
	out := make([]Application, 0, longest)
	b.names.reset(n)
	for _, rec := range records {
		s := b.ix.records[rec].Software
		if s == nil {
			continue
		}
		for i := range s.Installed {
			a := &s.Installed[i]
			at, isNew := b.names.enter(a.Name)
			if isNew {
				out = append(out, *a)
				continue
			}
			out[at].unite(a)
		}
	}
	return out
}

// unite takes over another record's version when it is newer, and what was
// missing.
func (a *Application) unite(other *Application) {
	older := *other
	if compareVersions(other.Version, a.Version) > 0 {
		older, *a = *a, *other
	}
	if a.Publisher == "" {
		a.Publisher = older.Publisher
	}
	fillTime(&a.InstallDate, older.InstallDate)
}

// running unites n services by name.
func (b *builder) running(records []int32, n int) []Service {
	var out []Service
	b.names.reset(n)
	for _, rec := range records {
		s := b.ix.records[rec].Software
		if s == nil {
			continue
		}
		for _, service := range s.Services {
			if _, isNew := b.names.enter(service.Name); isNew {
				out = append(out, service)
			}
		}
	}
	return out
}

// nameSet numbers names, which compare without case and surrounding space. It
// is a hash table that is filled anew for every device without allocating.
type nameSet struct {
	slots []int32 // a power of two of them; the name's number plus one, zero when free
	names []string
}

// reset empties the set and makes room for n names.
func (s *nameSet) reset(n int) {
	s.names = s.names[:0]
	size := 16
	for size < 2*n {
		size *= 2
	}
	if cap(s.slots) < size {
		s.slots = make([]int32, size)
		return
	}
	s.slots = s.slots[:size]
	clear(s.slots)
}

// enter gives a name's number.
func (s *nameSet) enter(name string) (number int, isNew bool) {
	name = strings.TrimSpace(name)
	mask := uint32(len(s.slots) - 1)
	for i := foldHash(name) & mask; ; i = (i + 1) & mask {
		switch n := s.slots[i]; {
		case n == 0:
			s.names = append(s.names, name)
			s.slots[i] = int32(len(s.names))
			return len(s.names) - 1, true
		case strings.EqualFold(s.names[n-1], name):
			return int(n - 1), false
		}
	}
}

// foldHash gives the same number for names that differ in case only.
func foldHash(s string) uint32 {
	h := uint64(len(s))
	for i := range len(s) {
		c := s[i]
		if c >= utf8.RuneSelf {
			return foldHashUnicode(s)
		}
		if c >= 'A' && c <= 'Z' {
			c += 'a' - 'A'
		}
		h = (h ^ uint64(c)) * 0x100000001B3
	}
	return uint32(h ^ h>>32)
}

// foldHashUnicode is foldHash for names beyond ASCII. Folding may change the
// length, which therefore does not count.
func foldHashUnicode(s string) uint32 {
	var h uint64
	for _, r := range strings.ToUpper(s) {
		h = (h ^ uint64(r)) * 0x100000001B3
	}
	return uint32(h ^ h>>32)
}
