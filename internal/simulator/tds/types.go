package tds

import (
	"encoding/binary"
	"fmt"
	"math"
	"time"
)

// Type is the type of a result's column.
type Type byte

// The column types. Their values, in the order below: int64, int64, float64,
// bool, [time.Time] (of which only the wall clock counts), string, string. A nil
// value is NULL.
const (
	Int Type = iota
	BigInt
	Float
	Bit
	DateTime
	NVarChar    // up to 4000 code units
	NVarCharMax // sent in parts
)

// Type codes of the wire.
const (
	wireNull      byte = 0x1F
	wireIntN      byte = 0x26
	wireBitN      byte = 0x68
	wireFloatN    byte = 0x6D
	wireDateTimeN byte = 0x6F
	wireVarBinary byte = 0xA5
	wireVarChar   byte = 0xA7
	wireNVarChar  byte = 0xE7
)

const (
	maxShort   = 8000 // bytes of an NVARCHAR that is not MAX
	longMarker = 0xFFFF
	partsNull  = math.MaxUint64
	partsOpen  = math.MaxUint64 - 1 // the length is not told
)

// collation is SQL_Latin1_General_CP1_CI_AS, SQL Server's default.
func collation() []byte { return []byte{0x09, 0x04, 0xD0, 0x00, 0x34} }

// appendTypeInfo adds the TYPE_INFO of a column.
func (t Type) appendTypeInfo(b []byte) []byte {
	switch t {
	case Int:
		return append(b, wireIntN, 4)
	case BigInt:
		return append(b, wireIntN, 8)
	case Float:
		return append(b, wireFloatN, 8)
	case Bit:
		return append(b, wireBitN, 1)
	case DateTime:
		return append(b, wireDateTimeN, 8)
	case NVarChar:
		b = binary.LittleEndian.AppendUint16(append(b, wireNVarChar), maxShort)
		return append(b, collation()...)
	default:
		b = binary.LittleEndian.AppendUint16(append(b, wireNVarChar), longMarker)
		return append(b, collation()...)
	}
}

// appendValue adds a value of a row; a value of another type is an error.
func (t Type) appendValue(b []byte, v any) ([]byte, error) {
	if v == nil {
		return t.appendNull(b), nil
	}
	switch x := v.(type) {
	case int64:
		switch t {
		case Int:
			return binary.LittleEndian.AppendUint32(append(b, 4), uint32(x)), nil
		case BigInt:
			return binary.LittleEndian.AppendUint64(append(b, 8), uint64(x)), nil
		}
	case float64:
		if t == Float {
			return binary.LittleEndian.AppendUint64(append(b, 8), math.Float64bits(x)), nil
		}
	case bool:
		if t == Bit && x {
			return append(b, 1, 1), nil
		} else if t == Bit {
			return append(b, 1, 0), nil
		}
	case time.Time:
		if t == DateTime {
			return appendDateTime(append(b, 8), x), nil
		}
	case string:
		if t == NVarChar || t == NVarCharMax {
			return t.appendText(b, toUTF16(x))
		}
	}
	return nil, fmt.Errorf("tds: a %T in a column of type %d", v, t)
}

func (t Type) appendNull(b []byte) []byte {
	switch t {
	case NVarChar:
		return binary.LittleEndian.AppendUint16(b, longMarker)
	case NVarCharMax:
		return binary.LittleEndian.AppendUint64(b, partsNull)
	default:
		return append(b, 0)
	}
}

func (t Type) appendText(b, text []byte) ([]byte, error) {
	if t == NVarChar {
		if len(text) > maxShort {
			return nil, fmt.Errorf("tds: a text of %d bytes in a short column", len(text))
		}
		return append(binary.LittleEndian.AppendUint16(b, uint16(len(text))), text...), nil
	}
	b = binary.LittleEndian.AppendUint64(b, uint64(len(text)))
	if len(text) > 0 {
		b = binary.LittleEndian.AppendUint32(b, uint32(len(text)))
		b = append(b, text...)
	}
	return binary.LittleEndian.AppendUint32(b, 0), nil
}

// appendDateTime adds days since 1900 and three-hundredths of a second since
// midnight, both of the wall clock.
func appendDateTime(b []byte, t time.Time) []byte {
	wall := time.Date(t.Year(), t.Month(), t.Day(), 0, 0, 0, 0, time.UTC)
	days := int32(wall.Sub(time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC)).Hours() / 24)
	ticks := uint32((t.Hour()*3600+t.Minute()*60+t.Second())*300 + t.Nanosecond()*3/1e7)
	b = binary.LittleEndian.AppendUint32(b, uint32(days))
	return binary.LittleEndian.AppendUint32(b, ticks)
}

// readParameter reads TYPE_INFO and value of a parameter. It gives nil, int64,
// float64, bool, string or []byte.
func readParameter(c *cursor) any {
	switch kind := c.u8(); kind {
	case wireNull:
		return nil
	case wireIntN, wireBitN, wireFloatN:
		c.u8() // the type's size; the value has its own
		return readNumber(c, kind, c.take(int(c.u8())))
	case wireNVarChar, wireVarChar, wireVarBinary:
		size := c.u16()
		if kind != wireVarBinary {
			c.take(len(collation()))
		}
		value, null := readBytes(c, size == longMarker)
		switch {
		case null || c.err != nil:
			return nil
		case kind == wireNVarChar:
			return fromUTF16(value)
		case kind == wireVarChar:
			return string(value)
		default:
			return value
		}
	default:
		if c.err == nil {
			c.err = fmt.Errorf("%w: a parameter of type %#x", errProtocol, kind)
		}
		return nil
	}
}

func readNumber(c *cursor, kind byte, b []byte) any {
	if len(b) == 0 {
		return nil
	}
	switch {
	case kind == wireBitN && len(b) == 1:
		return b[0] != 0
	case kind == wireIntN && len(b) == 1:
		return int64(b[0])
	case kind == wireIntN && len(b) == 2:
		return int64(int16(binary.LittleEndian.Uint16(b)))
	case kind == wireIntN && len(b) == 4:
		return int64(int32(binary.LittleEndian.Uint32(b)))
	case kind == wireIntN && len(b) == 8:
		return int64(binary.LittleEndian.Uint64(b))
	case kind == wireFloatN && len(b) == 4:
		return float64(math.Float32frombits(binary.LittleEndian.Uint32(b)))
	case kind == wireFloatN && len(b) == 8:
		return math.Float64frombits(binary.LittleEndian.Uint64(b))
	}
	c.err = fmt.Errorf("%w: a number of %d bytes", errProtocol, len(b))
	return nil
}

// readBytes reads a value with a short length, or one in parts.
func readBytes(c *cursor, inParts bool) (value []byte, null bool) {
	if !inParts {
		size := c.u16()
		if size == longMarker {
			return nil, true
		}
		return c.take(int(size)), false
	}
	if c.u64() == partsNull {
		return nil, true
	}
	for c.err == nil {
		size := c.u32()
		if size == 0 {
			break
		}
		value = append(value, c.take(int(min(size, maxMessage+1)))...)
	}
	return value, false
}
