package device

import (
	"strings"
	"unicode/utf8"
)

// kind is a sort of identifier. The order is that in which identifiers are
// preferred when the reason for a join is told.
type kind uint8

const (
	kindSerial kind = iota
	kindUDID
	kindIMEI
	kindMEID
	kindGoogle
	kindMAC

	// singles counts the kinds of which a device has one value at most. They
	// come before all others.
	singles = int(kindMAC)
)

// String gives the identifier's name in JSON; a MAC address stands for itself.
func (k kind) String() string {
	switch k {
	case kindSerial:
		return "serial"
	case kindUDID:
		return "udid"
	case kindIMEI:
		return "imei"
	case kindMEID:
		return "meid"
	case kindGoogle:
		return "google_device_id"
	default:
		return "mac_address"
	}
}

// single gives the place of a single-valued identifier.
func (i *Identifiers) single(k kind) *string {
	switch k {
	case kindSerial:
		return &i.Serial
	case kindUDID:
		return &i.UDID
	case kindIMEI:
		return &i.IMEI
	case kindMEID:
		return &i.MEID
	default:
		return &i.GoogleDeviceID
	}
}

// normalize gives the form in which identifiers compare: without surrounding
// space, upper case. It does not allocate when s has that form already.
func normalize(s string) string {
	for i := range len(s) {
		if c := s[i]; c <= ' ' || c >= utf8.RuneSelf || (c >= 'a' && c <= 'z') {
			return strings.ToUpper(strings.TrimSpace(s))
		}
	}
	return s
}

// IsPlaceholder reports whether a serial number or another identifier
// identifies nothing: it is blank, says that it is not known, is what a
// firmware holds when nobody filled it in, or consists of filler such as zeros.
// Case and surrounding space do not matter.
func IsPlaceholder(s string) bool {
	return isPlaceholder(normalize(s))
}

// isPlaceholder is IsPlaceholder for a normalized value.
func isPlaceholder(s string) bool {
	if isFiller(s) || strings.HasPrefix(s, "TO BE FILLED") {
		return true
	}
	switch s {
	case "UNKNOWN", "UNKNOWN SERIAL", "UNKNOWN SERIAL NUMBER", "(UNKNOWN)",
		"NONE", "(NONE)", "NULL", "(NULL)", "NIL", "<NIL>", "UNDEFINED", "EMPTY", "BLANK", "INVALID", "TBD",
		"N/A", "NA", "N.A.", "NOT AVAILABLE", "NOT APPLICABLE", "NOT SPECIFIED", "NOT PROVIDED", "NOT DEFINED",
		"NOT SET", "NOT PRESENT", "NOT FILLED", "NOT SUPPORTED", "UNSPECIFIED", "UNAVAILABLE",
		"NO SERIAL", "NO SERIAL NUMBER", "NO ASSET TAG", "NO ENCLOSURE",
		"DEFAULT", "DEFAULT STRING", "OEM", "O.E.M.", "OEM STRING", "OEM DEFAULT STRING",
		"SERIAL", "SERIALNUMBER", "SERIAL NUMBER", "SERIAL NUM", "SERIALNUM", "SERIAL_NUMBER",
		"SYSTEM SERIAL NUMBER", "SYSTEMSERIALNUMBER", "SYSTEM SERIAL", "SYS SERIAL NUMBER", "SYSTEM VERSION",
		"SYSTEM PRODUCT NAME", "CHASSIS SERIAL NUMBER", "CHASSIS SERIAL", "BOARD SERIAL NUMBER",
		"BASE BOARD SERIAL NUMBER", "BASEBOARD SERIAL NUMBER", "MB SERIAL NUMBER",
		"123456", "1234567", "12345678", "123456789", "1234567890", "0123456789", "01234567890",
		"012345678", "01234567", "0123456789ABCDEF", "123456789ABCDEF",
		"123456789012345", "012345678912345", "004999010640000",
		"9774D56D682E549C", // the Android identifier that a whole series of devices shared
		"03000200-0400-0500-0006-000700080009", "00020003-0004-0005-0006-000700080009",
		"12345678-1234-5678-90AB-CDDEEFAABBCC", "FEFEFEFE-FEFE-FEFE-FEFE-FEFEFEFEFEFE":
		return true
	}
	return false
}

// isFiller reports whether s has nothing but separators and one repeated
// filler: zeros, question marks, X, or the F of erased memory.
func isFiller(s string) bool {
	var filler byte
	for i := range len(s) {
		switch c := s[i]; c {
		case ' ', '.', '-', '_', ':', '/', ',', '(', ')', '{', '}':
		case '0', 'X', 'F', '?', '*', '#':
			if filler != 0 && filler != c {
				return false
			}
			filler = c
		default:
			return false
		}
	}
	return true
}

// placeholders makes the set of configured placeholders. One that is a MAC
// address is kept in canonical form, so that a known dongle can be named in any
// notation.
func placeholders(configured []string) map[string]struct{} {
	if len(configured) == 0 {
		return nil
	}
	set := make(map[string]struct{}, len(configured))
	for _, p := range configured {
		set[normalize(p)] = struct{}{}
		if m, err := ParseMAC(p); err == nil {
			set[string(m)] = struct{}{}
		}
	}
	return set
}
