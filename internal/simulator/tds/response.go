package tds

import (
	"encoding/binary"
	"fmt"
	"strconv"
)

// Tokens of a response.
const (
	tokenColumns   byte = 0x81
	tokenError     byte = 0xAA
	tokenInfo      byte = 0xAB
	tokenLoginAck  byte = 0xAD
	tokenRow       byte = 0xD1
	tokenEnvChange byte = 0xE3
	tokenDone      byte = 0xFD
)

// Status bits of DONE.
const (
	doneFinal     uint16 = 0x00
	doneError     uint16 = 0x02
	doneCount     uint16 = 0x10
	doneAttention uint16 = 0x20
)

const commandSelect = 0xC1

// Kinds of ENVCHANGE.
const (
	envDatabase   byte = 1
	envLanguage   byte = 2
	envPacketSize byte = 4
	envCollation  byte = 7
)

// Column is a column of a result.
type Column struct {
	Name string
	Type Type
}

// Error is an error of the server's, as SQL Server numbers them.
type Error struct {
	Number  int32
	State   byte
	Class   byte // its severity; 16 is a mistake of the user's, 14 a refusal, from 20 on the connection ends
	Message string
	// Then follows in the same answer, as SQL Server sends some errors in pairs.
	Then *Error
}

// Error implements error.
func (e *Error) Error() string { return fmt.Sprintf("%s (%d)", e.Message, e.Number) }

const serverName = "SIMULATOR"

// appendMessage adds an ERROR or INFO token.
func appendMessage(b []byte, token byte, e *Error) []byte {
	var body []byte
	body = binary.LittleEndian.AppendUint32(body, uint32(e.Number))
	body = append(body, max(1, e.State), e.Class)
	text := toUTF16(e.Message)
	body = binary.LittleEndian.AppendUint16(body, uint16(len(text)/2))
	body = append(body, text...)
	body = appendShortText(body, serverName)
	body = appendShortText(body, "")                 // no procedure
	body = binary.LittleEndian.AppendUint32(body, 1) // the line
	b = binary.LittleEndian.AppendUint16(append(b, token), uint16(len(body)))
	return append(b, body...)
}

// errorReply ends an answer, after so many rows, with an error and those that
// follow it.
func errorReply(e *Error, rows uint64) []byte {
	var b []byte
	for ; e != nil; e = e.Then {
		b = appendMessage(b, tokenError, e)
	}
	return appendDone(b, doneError, rows)
}

func appendShortText(b []byte, s string) []byte {
	text := toUTF16(s)
	return append(append(b, byte(len(text)/2)), text...)
}

func appendDone(b []byte, status uint16, rows uint64) []byte {
	b = binary.LittleEndian.AppendUint16(append(b, tokenDone), status)
	b = binary.LittleEndian.AppendUint16(b, commandSelect)
	return binary.LittleEndian.AppendUint64(b, rows)
}

func appendEnvChange(b []byte, kind byte, value, old string) []byte {
	body := appendShortText(appendShortText([]byte{kind}, value), old)
	b = binary.LittleEndian.AppendUint16(append(b, tokenEnvChange), uint16(len(body)))
	return append(b, body...)
}

func appendColumns(b []byte, columns []Column) []byte {
	b = binary.LittleEndian.AppendUint16(append(b, tokenColumns), uint16(len(columns)))
	for _, c := range columns {
		b = append(b, 0, 0, 0, 0, 1, 0) // no user type; nullable
		b = c.Type.appendTypeInfo(b)
		b = appendShortText(b, c.Name)
	}
	return b
}

func appendRow(b []byte, columns []Column, values []any) ([]byte, error) {
	if len(values) != len(columns) {
		return nil, fmt.Errorf("tds: %d values for %d columns", len(values), len(columns))
	}
	b = append(b, tokenRow)
	var err error
	for i, c := range columns {
		if b, err = c.Type.appendValue(b, values[i]); err != nil {
			return nil, fmt.Errorf("column %s: %w", c.Name, err)
		}
	}
	return b, nil
}

// loginReply greets a client that has logged in.
func loginReply(l login, database string) []byte {
	b := appendEnvChange(nil, envDatabase, database, "master")
	b = appendMessage(b, tokenInfo, &Error{Number: 5701, State: 2, Message: "Changed database context to '" + database + "'."})
	b = append(b, tokenEnvChange, 8, 0, envCollation, 5) // five bytes of collation
	b = append(append(b, collation()...), 0)
	b = appendEnvChange(b, envLanguage, "us_english", "")
	b = appendMessage(b, tokenInfo, &Error{Number: 5703, State: 1, Message: "Changed language setting to us_english."})
	name := toUTF16("Microsoft SQL Server")
	ack := binary.BigEndian.AppendUint32([]byte{1}, l.version)
	ack = append(append(ack, byte(len(name)/2)), name...)
	ack = append(ack, 16, 0, 4, 0) // the program's version
	b = binary.LittleEndian.AppendUint16(append(b, tokenLoginAck), uint16(len(ack)))
	b = append(b, ack...)
	b = appendEnvChange(b, envPacketSize, strconv.Itoa(l.packetSize), strconv.Itoa(defaultPacketSize))
	return appendDone(b, doneFinal, 0)
}
