package ouidata

import (
	"bufio"
	"compress/gzip"
	"fmt"
	"io"
)

// Pack writes prefixes in the form that comes with the program: the text form of
// [Parse], in ascending order, compressed. The same prefixes give the same bytes.
func Pack(w io.Writer, prefixes []Prefix) error {
	zip, err := gzip.NewWriterLevel(w, gzip.BestCompression)
	if err != nil {
		return err
	}
	out := bufio.NewWriter(zip)
	for _, p := range Unique(prefixes) {
		if _, err := fmt.Fprintf(out, "%s\t%s\n", p, p.Name); err != nil {
			return err
		}
	}
	if err := out.Flush(); err != nil {
		return err
	}
	return zip.Close()
}

// String writes the prefix as [Parse] reads it.
func (p Prefix) String() string {
	digits := fmt.Sprintf("%09X", p.High)
	s := digits[0:2] + ":" + digits[2:4] + ":" + digits[4:6]
	switch p.Bits {
	case 36:
		return s + ":" + digits[6:8] + ":" + digits[8:] + "0/36"
	case 28:
		return s + ":" + digits[6:7] + "0/28"
	default:
		return s
	}
}
