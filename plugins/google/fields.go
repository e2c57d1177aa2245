package google

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/postureproject/posture/plugins/sdk/jsonscan"
)

// object is a JSON object whose fields are decoded one by one, so that a field
// of the wrong type costs nothing but itself.
type object map[string]json.RawMessage

// decodeObject is false for what is not a JSON object. It goes through the text
// once and decodes nothing: an answer about one person may hold hundreds of
// nested records.
func decodeObject(raw json.RawMessage) (object, bool) {
	s := jsonscan.New(raw)
	if s.Peek() != '{' {
		return nil, false
	}
	o := object{}
	for ok := s.Enter('{'); ok; ok = s.More('}') {
		key := s.Key()
		o[key] = json.RawMessage(s.Raw())
	}
	if s.End() != nil {
		return nil, false
	}
	return o, true
}

func isNull(raw json.RawMessage) bool {
	return len(raw) == 0 || bytes.Equal(bytes.TrimSpace(raw), []byte("null"))
}

// textOf reads a text or a number, trimmed. Nothing and null are an empty text;
// it is false for other types.
func textOf(raw json.RawMessage) (string, bool) {
	if isNull(raw) {
		return "", true
	}
	if text, plain := plainText(raw); plain {
		return text, true
	}
	var s string
	if json.Unmarshal(raw, &s) == nil {
		return strings.TrimSpace(s), true
	}
	var n json.Number
	if json.Unmarshal(raw, &n) == nil {
		return n.String(), true
	}
	return "", false
}

// plainText is textOf for a text without escapes, as nearly all are; it is false
// for anything else.
func plainText(raw json.RawMessage) (string, bool) {
	last := len(raw) - 1
	if last < 1 || raw[0] != '"' || raw[last] != '"' || !utf8.Valid(raw) {
		return "", false
	}
	for _, c := range raw[1:last] {
		if c < ' ' || c == '"' || c == '\\' {
			return "", false
		}
	}
	return string(bytes.TrimSpace(raw[1:last])), true
}

// truthOf reads a Boolean, also one as a text or as the number 0 or 1. Nothing,
// null and a blank text are nil; it is false for all else.
func truthOf(raw json.RawMessage) (*bool, bool) {
	var b bool
	if !isNull(raw) && json.Unmarshal(raw, &b) == nil {
		return &b, true
	}
	s, ok := textOf(raw)
	if !ok || s == "" {
		return nil, ok
	}
	b, err := strconv.ParseBool(strings.ToLower(s))
	if err != nil {
		return nil, false
	}
	return &b, true
}

// listOf reads a list; a lone object is a list of one. Nothing and null are an
// empty list; it is false for other types.
func listOf(raw json.RawMessage) ([]json.RawMessage, bool) {
	if isNull(raw) {
		return nil, true
	}
	s := jsonscan.New(raw)
	switch s.Peek() {
	case '{':
		if s.Skip(); s.End() != nil {
			return nil, false
		}
		return []json.RawMessage{raw}, true
	case '[':
	default:
		return nil, false
	}
	var list []json.RawMessage
	for ok := s.Enter('['); ok; ok = s.More(']') {
		list = append(list, json.RawMessage(s.Raw()))
	}
	if s.End() != nil {
		return nil, false
	}
	return list, true
}

// objectsOf reads the objects of a list, or a lone one, leaving out what is none.
func objectsOf(raw json.RawMessage) []object {
	if len(raw) == 0 {
		return nil
	}
	s := jsonscan.New(raw)
	var list []object
	s.Each(func() {
		if s.Peek() != '{' {
			s.Skip()
			return
		}
		o := object{}
		for ok := s.Enter('{'); ok; ok = s.More('}') {
			key := s.Key()
			o[key] = json.RawMessage(s.Raw())
		}
		list = append(list, o)
	})
	if s.End() != nil {
		return nil
	}
	return list
}

// textsOf reads the texts of a list, or a lone one, leaving out blank and odd
// ones.
func textsOf(raw json.RawMessage) []string {
	list, ok := listOf(raw)
	if !ok {
		list = []json.RawMessage{raw}
	}
	var out []string
	for _, entry := range list {
		if s, _ := textOf(entry); s != "" {
			out = append(out, s)
		}
	}
	return out
}

// record reads a device's fields and notes the odd ones.
type record struct {
	object
	notes []string
}

func (r *record) note(format string, args ...any) {
	r.notes = append(r.notes, fmt.Sprintf(format, args...))
}

// text gives a field's text, or "" when it is absent or blank.
func (r *record) text(key string) string {
	s, ok := textOf(r.object[key])
	if !ok {
		r.note("The field %s is left out: it is not a text.", key)
	}
	return s
}

// truth gives a field's Boolean, or nil when it is absent.
func (r *record) truth(key string) *bool {
	b, ok := truthOf(r.object[key])
	if !ok {
		r.note("The field %s is left out: it is neither true nor false.", key)
	}
	return b
}

// time gives a field's time, or zero when it is absent; Google writes the start
// of 1970 for "never".
func (r *record) time(key string) time.Time {
	s := r.text(key)
	if s == "" {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339, s)
	if err != nil {
		r.note("The field %s is left out: %q is not a time.", key, clip(s))
		return time.Time{}
	}
	if t.Unix() == 0 {
		return time.Time{}
	}
	return t.UTC()
}

// maxWords bounds what is repeated of an answer in a message, in bytes.
const maxWords = 300

// clip makes foreign words fit for a message: one line, and not long.
func clip(s string) string {
	s = strings.Join(strings.Fields(s), " ")
	if len(s) <= maxWords {
		return s
	}
	cut := maxWords
	for cut > 0 && !utf8.RuneStart(s[cut]) {
		cut--
	}
	return s[:cut] + "…"
}
