package tds

import (
	"encoding/binary"
	"fmt"
)

// login is what a LOGIN7 message says, as far as it matters here.
type login struct {
	version    uint32
	packetSize int
	host       string
	user       string
	password   string
	app        string
	database   string
}

// The fixed part of LOGIN7: lengths and versions first, then offset and length
// of each text from byte 36 on.
const (
	loginFixedSize = 94
	loginTexts     = 36
)

// parseLogin reads a LOGIN7 message. Offsets count from its first byte, lengths
// are in UTF-16 code units.
func parseLogin(body []byte) (login, error) {
	if len(body) < loginFixedSize {
		return login{}, fmt.Errorf("%w: a log-in of %d bytes", errProtocol, len(body))
	}
	if size := binary.LittleEndian.Uint32(body); int64(size) != int64(len(body)) {
		return login{}, fmt.Errorf("%w: a log-in of %d bytes says it has %d", errProtocol, len(body), size)
	}
	l := login{
		version:    binary.LittleEndian.Uint32(body[4:]),
		packetSize: int(min(binary.LittleEndian.Uint32(body[8:]), maxPacketSize)),
	}
	var secret []byte
	fields := []struct {
		position int
		text     *string
		raw      *[]byte
	}{
		{position: 0, text: &l.host},
		{position: 1, text: &l.user},
		{position: 2, raw: &secret},
		{position: 3, text: &l.app},
		{position: 8, text: &l.database},
	}
	for _, f := range fields {
		entry := body[loginTexts+4*f.position:]
		at, size := int(binary.LittleEndian.Uint16(entry)), 2*int(binary.LittleEndian.Uint16(entry[2:]))
		if at+size > len(body) {
			return login{}, fmt.Errorf("%w: a text of the log-in lies outside of it", errProtocol)
		}
		if f.raw != nil {
			*f.raw = body[at : at+size]
			continue
		}
		*f.text = fromUTF16(body[at : at+size])
	}
	l.password = fromUTF16(reveal(secret))
	return l, nil
}

// reveal undoes the obfuscation of a password: each byte's halves swapped, then
// all bits of 0xA5 flipped.
func reveal(secret []byte) []byte {
	plain := make([]byte, len(secret))
	for i, b := range secret {
		b ^= 0xA5
		plain[i] = b<<4 | b>>4
	}
	return plain
}
