package practices

import (
	"cmp"
	"slices"
	"strings"
)

const (
	maxParts  = 8  // of a version; further ones are not compared
	maxDigits = 18 // of a part, so that it fits into 64 bits
)

// version is a dotted version number. The zero value has no parts and compares
// as 0.
type version struct {
	parts [maxParts]uint64
	n     int
}

func versionOf(parts ...uint64) version {
	var v version
	v.n = copy(v.parts[:], parts)
	return v
}

// compare compares part by part as numbers; a missing part is zero.
func (v version) compare(w version) int {
	for i := range maxParts {
		if c := cmp.Compare(v.parts[i], w.parts[i]); c != 0 {
			return c
		}
	}
	return 0
}

// hasPrefix reports whether v begins with all the parts of p.
func (v version) hasPrefix(p version) bool {
	return p.n <= v.n && slices.Equal(v.parts[:p.n], p.parts[:p.n])
}

// parseVersion reads a version as vendors write it, where the meaning is plain:
// a word such as "Version", "Build" or "v" may precede it, and a build or an
// edition may follow it, as in "15.7.1 (24G231)". A build name such as "24G231"
// alone is no version.
func parseVersion(s string) (version, bool) {
	s = strings.TrimSpace(s)
	for _, word := range []string{"version", "release", "build", "ver.", "ver", "v"} {
		if len(s) > len(word) && strings.EqualFold(s[:len(word)], word) {
			s = strings.TrimSpace(s[len(word):])
			break
		}
	}
	v, rest := scanVersion(s)
	if v.n == 0 {
		return version{}, false
	}
	if rest != "" && isLetter(rest[0]) && v.n == 1 || rest != "" && isDigit(rest[0]) {
		return version{}, false
	}
	return v, true
}

// parseExact reads a version of digits and dots only, as a configuration must
// write it.
func parseExact(s string) (version, bool) {
	if strings.ContainsAny(s, ",_") || strings.Count(s, ".") >= maxParts {
		return version{}, false
	}
	v, rest := scanVersion(s)
	return v, v.n > 0 && rest == ""
}

// scanVersion reads numbers separated by dots, commas or underscores from the
// beginning of s and gives what follows. It reads nothing when a number is too
// large. Parts beyond the last compared one are read and dropped.
func scanVersion(s string) (v version, rest string) {
	for {
		n, digits := uint64(0), 0
		for digits < len(s) && isDigit(s[digits]) {
			if digits == maxDigits {
				return version{}, s
			}
			n = n*10 + uint64(s[digits]-'0')
			digits++
		}
		if digits == 0 {
			return v, s
		}
		if v.n < maxParts {
			v.parts[v.n] = n
			v.n++
		}
		s = s[digits:]
		if len(s) < 2 || !strings.ContainsRune(".,_", rune(s[0])) || !isDigit(s[1]) {
			return v, s
		}
		s = s[1:]
	}
}

func isDigit(c byte) bool  { return '0' <= c && c <= '9' }
func isLetter(c byte) bool { return 'a' <= c|0x20 && c|0x20 <= 'z' }

// minimum is the lowest version asked for on one system: one for all versions,
// or one for each line, such as 26 and 15, that its maker still supports.
type minimum struct {
	lines []line // oldest first; a single one without prefix when there are no lines
}

// line is the minimum of the versions that begin with prefix.
type line struct {
	prefix version
	least  version
	text   string // least, as written
}

// asks reports whether there is a minimum at all.
func (m minimum) asks() bool { return len(m.lines) > 0 }

// newest is the minimum of the newest line.
func (m minimum) newest() string { return m.lines[len(m.lines)-1].text }

// place finds the line that decides about v. A version between two lines belongs
// to the newer one, which it cannot satisfy; one that is newer than all lines
// belongs to none; one that is older than all belongs to the
// oldest, and ended is true.
func (m minimum) place(v version) (l *line, ended bool) {
	best := -1
	for i := range m.lines {
		if v.hasPrefix(m.lines[i].prefix) {
			best = i // of several, the longest, which sorts last; the empty prefix fits every version
		}
	}
	if best >= 0 {
		return &m.lines[best], false
	}
	for i := range m.lines {
		if v.compare(m.lines[i].prefix) < 0 {
			return &m.lines[i], i == 0
		}
	}
	return nil, false
}

// below reports whether v does not reach the minimum, which version that is, and
// whether v is older than every line.
func (m minimum) below(v version) (text string, below, ended bool) {
	l, ended := m.place(v)
	if l == nil {
		return "", false, false
	}
	return l.text, ended || v.compare(l.least) < 0, ended
}
