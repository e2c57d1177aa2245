package ouidata

import (
	"bufio"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strconv"
	"strings"
)

const (
	maxFile = 64 << 20 // bytes of a list; the longest known ones have 6 MB
	maxLine = 64 << 10
)

// Parse reads a list of prefixes, at most 64 MB of it, in one of these forms:
//
//   - the text of Wireshark's "manuf" file: a line for each prefix, which is
//     three octets, or more of them with "/28" or "/36", separated by colons,
//     hyphens or dots; then, after white space, a short name, and after a tab the
//     full one, which wins; "#" begins a comment line;
//   - the CSV of the IEEE's own listings (oui.csv, mam.csv, oui36.csv, iab.csv);
//   - a JSON object whose keys are prefixes of 6, 7 or 9 hexadecimal digits and
//     whose values begin with the name's line, as in the npm package oui-data.
//
// Prefixes of other lengths, and those whose owner is not public or is the IEEE
// itself, which hands out parts of them, are left out. Anything else that cannot
// be read is an error that names the line or the key.
func Parse(r io.Reader) ([]Prefix, error) {
	limited := &io.LimitedReader{R: r, N: maxFile + 1}
	prefixes, err := parse(bufio.NewReader(limited))
	if limited.N == 0 {
		return nil, fmt.Errorf("longer than %d MB", maxFile>>20)
	}
	return prefixes, err
}

func parse(in *bufio.Reader) ([]Prefix, error) {
	for {
		c, err := in.ReadByte()
		switch {
		case errors.Is(err, io.EOF):
			return nil, nil
		case err != nil:
			return nil, err
		case c == ' ' || c == '\n' || c == '\r' || c == '\t':
			continue
		}
		if err := in.UnreadByte(); err != nil {
			return nil, err
		}
		if c == '{' {
			return parseJSON(in)
		}
		if start, _ := in.Peek(len(csvHeader)); string(start) == csvHeader {
			return parseCSV(in)
		}
		return parseText(in)
	}
}

func parseText(r io.Reader) ([]Prefix, error) {
	lines := bufio.NewScanner(r)
	lines.Buffer(make([]byte, 0, 4096), maxLine)
	prefixes := []Prefix(nil)
	for n := 1; lines.Scan(); n++ {
		p, ok, err := parseLine(lines.Text())
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", n, err)
		}
		if ok {
			prefixes = append(prefixes, p)
		}
	}
	return prefixes, lines.Err()
}

// parseLine reads one line; ok is false when it tells no prefix of interest.
func parseLine(text string) (p Prefix, ok bool, err error) {
	text = strings.TrimSpace(text)
	if text == "" || text[0] == '#' {
		return p, false, nil
	}
	end := strings.IndexAny(text, " \t")
	if end < 0 {
		return p, false, fmt.Errorf("%.40q has no name", text)
	}
	address, rest := text[:end], strings.TrimSpace(text[end:])
	p.High, p.Bits, err = parseAddress(address)
	if err != nil || !ofInterest(p.Bits) {
		return p, false, err
	}
	short, full, _ := strings.Cut(rest, "\t")
	if full, _, _ = strings.Cut(full, "\t"); strings.TrimSpace(full) == "" {
		full, _, _ = strings.Cut(short, " # ")
	}
	p.Name = cleanName(full)
	return p, p.Name != "", nil
}

// parseAddress reads octets with separators, and a length if one follows a
// slash; else the octets that are there make the length.
func parseAddress(s string) (high uint64, bits int, err error) {
	octets, length, masked := strings.Cut(s, "/")
	digits := 0
	for i := range len(octets) {
		switch c := octets[i]; {
		case (c == ':' || c == '-' || c == '.') && i > 0 && i < len(octets)-1:
		default:
			d, ok := hexDigit(c)
			if !ok || digits == 16 {
				return 0, 0, fmt.Errorf("%.40q is not a prefix of hardware addresses", s)
			}
			if digits++; digits <= 9 {
				high = high<<4 | d
			}
		}
	}
	if digits < 6 || digits%2 != 0 {
		return 0, 0, fmt.Errorf("%.40q is not a prefix of hardware addresses", s)
	}
	if digits < 9 {
		high <<= 4 * (9 - digits)
	}
	bits = 4 * digits
	if masked {
		bits, err = strconv.Atoi(length)
		if err != nil || bits < 1 || bits > 64 {
			return 0, 0, fmt.Errorf("%.40q has no length between 1 and 64 behind the slash", s)
		}
	}
	if bits < 36 {
		high = mask(high, bits)
	}
	return high, bits, nil
}

// csvHeader begins the IEEE's listings; the second and third column are the
// prefix and whose it is.
const csvHeader = "Registry,Assignment,Organization Name"

func parseCSV(r io.Reader) ([]Prefix, error) {
	rows := csv.NewReader(r)
	rows.FieldsPerRecord, rows.ReuseRecord = -1, true
	prefixes := []Prefix(nil)
	for first := true; ; first = false {
		row, err := rows.Read()
		if errors.Is(err, io.EOF) {
			return prefixes, nil
		}
		if err != nil {
			return nil, err
		}
		if first {
			continue
		}
		line, _ := rows.FieldPos(0)
		if len(row) < 3 {
			return nil, fmt.Errorf("line %d has fewer than three columns", line)
		}
		p, ok, err := assignment(row[1], row[2])
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", line, err)
		}
		if ok {
			prefixes = append(prefixes, p)
		}
	}
}

func parseJSON(r io.Reader) ([]Prefix, error) {
	dec := json.NewDecoder(r)
	if _, err := dec.Token(); err != nil {
		return nil, err
	}
	prefixes := []Prefix(nil)
	for dec.More() {
		key, err := dec.Token()
		if err != nil {
			return nil, fmt.Errorf("not an object of prefix and name: %w", err)
		}
		var text string
		if err := dec.Decode(&text); err != nil {
			return nil, fmt.Errorf("the name of %.40q: %w", key, err)
		}
		name, _, _ := strings.Cut(text, "\n")
		p, ok, err := assignment(fmt.Sprint(key), name)
		if err != nil {
			return nil, err
		}
		if ok {
			prefixes = append(prefixes, p)
		}
	}
	if _, err := dec.Token(); err != nil {
		return nil, fmt.Errorf("not an object of prefix and name: %w", err)
	}
	return prefixes, nil
}

// assignment reads a prefix of bare digits and the name of its owner; ok is
// false when it is of no interest.
func assignment(digits, name string) (p Prefix, ok bool, err error) {
	p = Prefix{Bits: 4 * len(digits), Name: cleanName(name)}
	for i := range len(digits) {
		d, isHex := hexDigit(digits[i])
		if !isHex || i == 16 {
			return p, false, fmt.Errorf("%.40q is not a prefix of hexadecimal digits", digits)
		}
		p.High = p.High<<4 | d
	}
	if !ofInterest(p.Bits) {
		return p, false, nil
	}
	p.High <<= 36 - p.Bits
	return p, p.Name != "", nil
}

func ofInterest(bits int) bool { return bits == 24 || bits == 28 || bits == 36 }

// cleanName makes white space single, and gives "" for an owner who is none.
func cleanName(name string) string {
	name = strings.Join(strings.Fields(strings.ToValidUTF8(name, "")), " ")
	switch strings.ToLower(name) {
	case "private", "ieee registration authority":
		return ""
	default:
		return name
	}
}
