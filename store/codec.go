package store

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/klauspost/compress/zstd"

	"github.com/postureproject/posture/fault"
)

// micros gives the time as kept in the database: microseconds since 1970, UTC.
// The zero time is 0.
func micros(t time.Time) int64 {
	if t.IsZero() {
		return 0
	}
	return t.UnixMicro()
}

// fromMicros is the inverse of micros, to the microsecond.
func fromMicros(n int64) time.Time {
	if n == 0 {
		return time.Time{}
	}
	return time.UnixMicro(n).UTC()
}

// addressKey is the form in which addresses are compared and kept: no case, no
// white space around. An address that no database could hold is Invalid.
func addressKey(address string) (string, error) {
	key := strings.ToLower(strings.TrimSpace(address))
	if key == "" || !utf8.ValidString(address) || strings.ContainsRune(key, 0) {
		return "", fault.InvalidField("email", fmt.Sprintf("%.100q", address), "is no address", "")
	}
	return key, nil
}

// Documents begin with a byte that says how the rest is kept.
const (
	formatJSON byte = 0
	formatZstd byte = 1
)

// packAbove is the size in bytes from which compressing a document pays.
const packAbove = 256

// maxDocument bounds what one document may grow to when it is unpacked.
const maxDocument = 256 << 20

// codec turns documents into what the database keeps, and back.
type codec struct {
	encoder *zstd.Encoder
	decoder *zstd.Decoder
}

func newCodec() (codec, error) {
	encoder, err := zstd.NewWriter(nil, zstd.WithEncoderLevel(zstd.SpeedFastest), zstd.WithEncoderCRC(true), zstd.WithLowerEncoderMem(true))
	if err != nil {
		return codec{}, err
	}
	decoder, err := zstd.NewReader(nil, zstd.WithDecoderConcurrency(0), zstd.WithDecoderMaxMemory(maxDocument))
	return codec{encoder: encoder, decoder: decoder}, err
}

// pack turns a value into a document: JSON, compressed when it is long.
func (s *Store) pack(v any) ([]byte, error) {
	var b bytes.Buffer
	b.WriteByte(formatJSON)
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, &fault.Error{Kind: fault.Invalid, Op: "pack document", Err: err}
	}
	plain := b.Bytes()[:b.Len()-1] // without Encode's line end
	if len(plain) <= packAbove {
		return plain, nil
	}
	return s.codec.encoder.EncodeAll(plain[1:], append(make([]byte, 0, len(plain)/3), formatZstd)), nil
}

// unpack is the inverse of pack, into the value that v points to.
func (s *Store) unpack(doc []byte, v any) error {
	kept, err := s.unpackText(doc)
	if err != nil {
		return err
	}
	if err := json.Unmarshal(kept, v); err != nil {
		return damaged(err)
	}
	return nil
}

// unpackText gives the JSON of a document. It may share doc's memory.
func (s *Store) unpackText(doc []byte) ([]byte, error) {
	kept, err := s.codec.text(doc)
	if err != nil {
		return nil, damaged(err)
	}
	return kept, nil
}

func damaged(err error) error {
	return &fault.Error{
		Kind: fault.Internal, Message: "a stored document is damaged",
		Remedy: "restore the database from a backup, or scan again what cannot be read", Err: err,
	}
}

func (c codec) text(doc []byte) ([]byte, error) {
	switch {
	case len(doc) == 0:
		return nil, errors.New("it is empty")
	case doc[0] == formatJSON:
		return doc[1:], nil
	case doc[0] == formatZstd:
		return c.decoder.DecodeAll(doc[1:], nil)
	default:
		return nil, fmt.Errorf("its format %d is unknown", doc[0])
	}
}
