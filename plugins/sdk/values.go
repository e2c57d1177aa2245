package sdk

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math"
	"strconv"
	"strings"
	"time"
)

// Secret is a configuration value that is never printed: it formats, logs and
// marshals as "[redacted]". Package fmt cannot see methods of unexported fields,
// so never print a struct that keeps one there.
type Secret string

const redacted = "[redacted]"

// Reveal gives the value itself, for the one place that sends it.
func (s Secret) Reveal() string { return string(s) }

// String implements [fmt.Stringer].
func (Secret) String() string { return redacted }

// GoString implements [fmt.GoStringer].
func (Secret) GoString() string { return redacted }

// Format implements [fmt.Formatter]: without it, a verb that does not suit a
// string, such as %d, would print the value.
func (Secret) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue implements [slog.LogValuer].
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON implements [json.Marshaler].
func (Secret) MarshalJSON() ([]byte, error) { return json.Marshal(redacted) }

// MarshalText implements [encoding.TextMarshaler].
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Duration is a length of time in a configuration: a number of seconds, or text
// such as "90s", "1h30m". It is never negative.
type Duration time.Duration

// UnmarshalJSON implements [json.Unmarshaler].
func (d *Duration) UnmarshalJSON(b []byte) error {
	text := strings.Trim(string(b), `"`)
	if text == "null" {
		return nil
	}
	parsed, err := time.ParseDuration(text)
	if seconds, numErr := strconv.ParseFloat(text, 64); numErr == nil {
		parsed, err = time.Duration(seconds*float64(time.Second)), nil
		if !(seconds >= 0 && seconds < math.MaxInt64/float64(time.Second)) { // not a number, too
			err = strconv.ErrRange
		}
	}
	if err != nil || parsed < 0 {
		return fmt.Errorf("%q is not a duration; write seconds, or a number with a unit such as 90s or 12h", text)
	}
	*d = Duration(parsed)
	return nil
}

// MarshalJSON implements [json.Marshaler].
func (d Duration) MarshalJSON() ([]byte, error) { return json.Marshal(time.Duration(d).String()) }

// SecretJSON is a JSON document that is a secret, such as a service account's
// key file. In a configuration it is an object, or text that holds one.
type SecretJSON struct{ raw json.RawMessage }

// UnmarshalJSON implements [json.Unmarshaler].
func (s *SecretJSON) UnmarshalJSON(b []byte) error {
	b = bytes.TrimSpace(b)
	if len(b) > 0 && b[0] == '"' {
		var text string
		if err := json.Unmarshal(b, &text); err != nil {
			return err
		}
		b = bytes.TrimSpace([]byte(text))
	}
	if len(b) == 0 || string(b) == "null" {
		s.raw = nil
		return nil
	}
	var object map[string]any
	if err := json.Unmarshal(b, &object); err != nil {
		// The text itself must not show: it is a secret.
		return fmt.Errorf("not a JSON object")
	}
	s.raw = append(json.RawMessage(nil), b...)
	return nil
}

// Reveal gives the document.
func (s SecretJSON) Reveal() []byte { return s.raw }

// IsZero reports whether no document was given.
func (s SecretJSON) IsZero() bool { return len(s.raw) == 0 }

// String implements [fmt.Stringer].
func (SecretJSON) String() string { return redacted }

// GoString implements [fmt.GoStringer].
func (SecretJSON) GoString() string { return redacted }

// Format implements [fmt.Formatter], as [Secret.Format] does.
func (SecretJSON) Format(f fmt.State, _ rune) { _, _ = io.WriteString(f, redacted) }

// LogValue implements [slog.LogValuer].
func (SecretJSON) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalJSON implements [json.Marshaler].
func (SecretJSON) MarshalJSON() ([]byte, error) { return json.Marshal(redacted) }

// MarshalText implements [encoding.TextMarshaler].
func (SecretJSON) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// Strings is a list of texts; in a configuration a single text stands for a list
// of one, and an empty text for an empty list.
type Strings []string

// UnmarshalJSON implements [json.Unmarshaler].
func (s *Strings) UnmarshalJSON(b []byte) error {
	if string(b) == "null" {
		return nil
	}
	var one string
	if json.Unmarshal(b, &one) == nil {
		if *s = nil; one != "" {
			*s = Strings{one}
		}
		return nil
	}
	var many []string
	if err := json.Unmarshal(b, &many); err != nil {
		return fmt.Errorf("must be a text or a list of texts")
	}
	*s = many
	return nil
}
