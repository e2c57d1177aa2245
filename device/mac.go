package device

import (
	"strings"

	"github.com/postureproject/posture/fault"
)

// MAC is a hardware address in canonical form: upper case with colons, six
// octets (EUI-48) or eight (EUI-64).
type MAC string

// ParseMAC reads 12 or 16 hexadecimal digits, bare or separated by colons,
// hyphens or Cisco's dots, and gives the canonical form. Anything else is an
// Invalid error that names the value.
func ParseMAC(s string) (MAC, error) {
	trimmed := strings.TrimSpace(s)
	if m := MAC(trimmed); m.canonical() {
		return m, nil
	}
	digits, ok := macDigits(trimmed)
	if !ok {
		return "", fault.InvalidField("mac", s, "not a MAC address",
			"write 12 or 16 hexadecimal digits, such as 00:1B:63:84:45:E6")
	}
	out := make([]byte, 0, len(digits)/2*3)
	for i := 0; i < len(digits); i += 2 {
		if i > 0 {
			out = append(out, ':')
		}
		out = append(out, digits[i], digits[i+1])
	}
	return MAC(out), nil
}

// macDigits gives the upper-case digits of a well-formed address. Separators
// must be of one kind and stand at regular places: every two digits for a colon
// or a hyphen, every four for a dot.
func macDigits(s string) ([]byte, bool) {
	group, sep := 0, byte(0)
	switch {
	case strings.ContainsRune(s, ':'):
		group, sep = 2, ':'
	case strings.ContainsRune(s, '-'):
		group, sep = 2, '-'
	case strings.ContainsRune(s, '.'):
		group, sep = 4, '.'
	}
	digits := make([]byte, 0, 16)
	run := 0
	for i := range len(s) {
		c := s[i]
		switch {
		case sep != 0 && c == sep:
			if run != group {
				return nil, false
			}
			run = 0
			continue
		case c >= '0' && c <= '9', c >= 'A' && c <= 'F':
		case c >= 'a' && c <= 'f':
			c -= 'a' - 'A'
		default:
			return nil, false
		}
		if len(digits) == 16 {
			return nil, false
		}
		digits = append(digits, c)
		run++
	}
	if sep != 0 && run != group {
		return nil, false
	}
	return digits, len(digits) == 12 || len(digits) == 16
}

// canonical reports whether the address has the form that [ParseMAC] gives.
func (m MAC) canonical() bool {
	if len(m) != 17 && len(m) != 23 {
		return false
	}
	for i := range len(m) {
		c := m[i]
		switch {
		case i%3 == 2:
			if c != ':' {
				return false
			}
		case (c < '0' || c > '9') && (c < 'A' || c > 'F'):
			return false
		}
	}
	return true
}

// Usable reports whether the address can identify a device. Locally
// administered and group addresses and those of an all-zero vendor cannot: many
// devices share or invent them. Neither can what is not in canonical form.
func (m MAC) Usable() bool {
	if !m.canonical() || m[:8] == "00:00:00" {
		return false
	}
	switch m[1] {
	case '0', '4', '8', 'C':
		return true
	default:
		return false
	}
}

// UsableMACs parses addresses and keeps the usable ones, once each and in
// order. Values that are not addresses come back in bad, for a note; blank ones
// are skipped.
func UsableMACs(values ...string) (macs []MAC, bad []string) {
	seen := make(map[MAC]bool, len(values))
	for _, v := range values {
		if strings.TrimSpace(v) == "" {
			continue
		}
		m, err := ParseMAC(v)
		if err != nil {
			bad = append(bad, v)
			continue
		}
		if m.Usable() && !seen[m] {
			seen[m] = true
			macs = append(macs, m)
		}
	}
	return macs, bad
}
