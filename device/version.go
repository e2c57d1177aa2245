package device

import (
	"cmp"
	"strings"
)

// compareVersions orders versions part by part, numbers by their value. Runs of
// digits and runs of letters are parts and all else separates them; a number is
// newer than letters, and missing parts count as zeros: 1.0 equals 1.0.0 and is
// newer than 1.0-beta. An empty version is older than any.
func compareVersions(a, b string) int {
	if a == b {
		return 0
	}
	if a == "" || b == "" {
		return cmp.Compare(len(a), len(b))
	}
	for a != "" || b != "" {
		var x, y string
		x, a = versionPart(a)
		y, b = versionPart(b)
		if c := compareParts(x, y); c != 0 {
			return c
		}
	}
	return 0
}

// versionPart cuts the first part off a version. It gives an empty part, which
// stands for zero, when there is none.
func versionPart(s string) (part, rest string) {
	for s != "" && !isDigit(s[0]) && !isLetter(s[0]) {
		s = s[1:]
	}
	if s == "" {
		return "", ""
	}
	same := isLetter
	if isDigit(s[0]) {
		same = isDigit
	}
	n := 1
	for n < len(s) && same(s[n]) {
		n++
	}
	return s[:n], s[n:]
}

func compareParts(x, y string) int {
	xLetters, yLetters := x != "" && isLetter(x[0]), y != "" && isLetter(y[0])
	switch {
	case xLetters && yLetters:
		return strings.Compare(strings.ToLower(x), strings.ToLower(y))
	case xLetters:
		return -1
	case yLetters:
		return 1
	}
	x, y = strings.TrimLeft(x, "0"), strings.TrimLeft(y, "0")
	return cmp.Or(cmp.Compare(len(x), len(y)), strings.Compare(x, y))
}

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

// isLetter takes every byte of a letter beyond ASCII for a letter.
func isLetter(c byte) bool { return c|0x20 >= 'a' && c|0x20 <= 'z' || c >= 0x80 }
