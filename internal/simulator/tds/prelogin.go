package tds

import (
	"encoding/binary"
	"fmt"
)

// Options of a PRELOGIN message.
const (
	optVersion    byte = 0x00
	optEncryption byte = 0x01
	optInstance   byte = 0x02
	optThread     byte = 0x03
	optMARS       byte = 0x04
	optEnd        byte = 0xFF
)

// Values of the encryption option.
const (
	encryptOff      byte = 0x00 // only the log-in is encrypted
	encryptOn       byte = 0x01
	encryptNone     byte = 0x02 // not supported
	encryptRequired byte = 0x03
	encryptStrict   byte = 0x04 // TLS has come first
)

// parsePrelogin reads the options of a PRELOGIN message.
func parsePrelogin(body []byte) (map[byte][]byte, error) {
	options := make(map[byte][]byte)
	for i := 0; ; i += 5 {
		if i >= len(body) {
			return nil, fmt.Errorf("%w: options without an end", errProtocol)
		}
		if body[i] == optEnd {
			return options, nil
		}
		if i+5 > len(body) {
			return nil, fmt.Errorf("%w: a truncated option", errProtocol)
		}
		at, size := int(binary.BigEndian.Uint16(body[i+1:])), int(binary.BigEndian.Uint16(body[i+3:]))
		if at+size > len(body) {
			return nil, fmt.Errorf("%w: option %#x lies outside of its message", errProtocol, body[i])
		}
		options[body[i]] = body[at : at+size]
	}
}

// preloginReply is the server's half of the negotiation. The version is SQL
// Server 2022's.
func preloginReply(encryption byte) []byte {
	options := []struct {
		token byte
		value []byte
	}{
		{optVersion, []byte{16, 0, 4, 0, 0, 0}},
		{optEncryption, []byte{encryption}},
		{optInstance, []byte{0}},
		{optThread, nil},
		{optMARS, []byte{0}},
	}
	var head, values []byte
	at := 5*len(options) + 1
	for _, o := range options {
		head = append(head, o.token)
		head = binary.BigEndian.AppendUint16(head, uint16(at+len(values)))
		head = binary.BigEndian.AppendUint16(head, uint16(len(o.value)))
		values = append(values, o.value...)
	}
	return append(append(head, optEnd), values...)
}

// Encryption is what a server offers to clients that do not start with TLS.
type Encryption byte

// What a server may offer. Clients that start with TLS (TDS 8.0) are served by
// all but EncryptionUnsupported.
const (
	EncryptionAvailable   Encryption = iota // as the client wishes
	EncryptionRequired                      // all of every connection
	EncryptionUnsupported                   // none
)

// negotiate gives the answer to a client's wish, and whether the client may go on.
func (e Encryption) negotiate(wish byte) (reply byte, ok bool) {
	switch e {
	case EncryptionUnsupported:
		return encryptNone, wish == encryptOff || wish == encryptNone
	case EncryptionRequired:
		if wish == encryptOn || wish == encryptRequired {
			return encryptOn, true
		}
		return encryptRequired, wish == encryptOff
	default:
		if wish == encryptRequired {
			return encryptOn, true
		}
		return wish, wish <= encryptNone
	}
}
