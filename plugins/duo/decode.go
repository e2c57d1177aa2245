package duo

import (
	"encoding/json"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/postureproject/posture/fault"
)

// The types below read Duo's JSON and never fail over the type of a field: what
// is not as expected is absent.

// text is a string; a number or a truth value reads as it is written.
type text string

// UnmarshalJSON implements [json.Unmarshaler].
func (t *text) UnmarshalJSON(b []byte) error {
	*t = ""
	if len(b) == 0 {
		return nil
	}
	switch c := b[0]; {
	case c == '"':
		var s string
		if err := json.Unmarshal(b, &s); err != nil {
			return err
		}
		*t = text(s)
	case c == '-' || c >= '0' && c <= '9' || c == 't' || c == 'f':
		*t = text(b)
	}
	return nil
}

func (t text) trimmed() string { return strings.TrimSpace(string(t)) }

// clip cuts a text to n bytes at most, between characters.
func clip(s string, n int) string {
	if len(s) <= n {
		return s
	}
	for n > 0 && !utf8.RuneStart(s[n]) {
		n--
	}
	return s[:n]
}

// object is an object; anything else reads as an empty one.
type object[T any] struct{ v T }

// UnmarshalJSON implements [json.Unmarshaler].
func (o *object[T]) UnmarshalJSON(b []byte) error {
	if len(b) == 0 || b[0] != '{' {
		return nil
	}
	return json.Unmarshal(b, &o.v)
}

// verdict is how Duo says whether a request succeeded.
type verdict struct {
	Stat    text `json:"stat"`
	Code    text `json:"code"`
	Message text `json:"message"`
	Detail  text `json:"message_detail"`
}

// page is one page of the log.
type page struct {
	logs       []json.RawMessage
	next       string    // the offset of the next page; "" when this is the last one
	serverTime time.Time // Duo's clock; zero when it was not told
}

// offset is a paging offset as Duo wants it back: time and id with a comma
// between. Duo gives it as a list of the two, or as such a text.
type offset string

// UnmarshalJSON implements [json.Unmarshaler].
func (o *offset) UnmarshalJSON(b []byte) error {
	*o = ""
	if len(b) == 0 {
		return nil
	}
	parts := []text{""}
	if b[0] == '[' {
		if err := json.Unmarshal(b, &parts); err != nil {
			return err
		}
	} else if err := parts[0].UnmarshalJSON(b); err != nil {
		return err
	}
	var given []string
	for _, p := range parts {
		if p.trimmed() != "" {
			given = append(given, p.trimmed())
		}
	}
	*o = offset(strings.Join(given, ","))
	return nil
}

type metadata struct {
	Next offset `json:"next_offset"`
}

type logAnswer struct {
	verdict
	Response object[struct {
		Logs     *[]json.RawMessage `json:"authlogs"`
		Metadata object[metadata]   `json:"metadata"`
	}] `json:"response"`
	Metadata object[metadata] `json:"metadata"` // where Duo's other listings have it
}

// decode reads the envelope of a page; the events in it are read one by one.
func (c *client) decode(body []byte, subject string) (page, error) {
	var a logAnswer
	if err := c.http.Decode(body, opReadLog, subject, &a); err != nil {
		return page{}, err
	}
	if a.Stat != "OK" || a.Response.v.Logs == nil {
		return page{}, &fault.Error{
			Kind: fault.BadResponse, Source: Name, Op: opReadLog, Subject: subject, Message: "the answer holds no log" + a.explanation(),
			Remedy: "check that DUO_API_HOSTNAME is Duo's API host",
		}
	}
	p := page{logs: *a.Response.v.Logs, next: string(a.Response.v.Metadata.v.Next)}
	if p.next == "" {
		p.next = string(a.Metadata.v.Next)
	}
	return p, nil
}
