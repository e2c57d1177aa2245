package sdk

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"log/slog"
	"math"
	"reflect"
	"strconv"
	"strings"
	"time"

	"github.com/postureproject/posture/fault"
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

// Schema derives the JSON Schema of a configuration struct from its fields'
// tags: json (the key), doc (what it is for), default (JSON, or plain text for a
// string), example, enum (values separated by commas), required:"true" and
// secret:"true". Embedded structs contribute their fields; [Secret] and
// [SecretJSON] are secrets by themselves.
func Schema[C any]() ([]byte, error) {
	s, err := structSchema(reflect.TypeFor[C]())
	if err != nil {
		return nil, fmt.Errorf("derive configuration schema: %w", err)
	}
	s["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	return json.Marshal(s)
}

func structSchema(t reflect.Type) (map[string]any, error) {
	if t.Kind() != reflect.Struct {
		return nil, fmt.Errorf("%s is not a struct", t)
	}
	properties, required, order := map[string]any{}, []string{}, []string{}
	err := eachField(t, func(f reflect.StructField, key string) error {
		p, err := fieldSchema(f)
		if err != nil {
			return fmt.Errorf("%s: %w", key, err)
		}
		properties[key] = p
		order = append(order, key)
		if f.Tag.Get("required") == "true" {
			required = append(required, key)
		}
		return nil
	})
	if err != nil {
		return nil, err
	}
	s := map[string]any{"type": "object", "properties": properties, "additionalProperties": false, "x-order": order}
	if len(required) > 0 {
		s["required"] = required
	}
	return s, nil
}

// eachField visits the fields that have a key, embedded structs' fields in place.
func eachField(t reflect.Type, visit func(reflect.StructField, string) error) error {
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous && f.Type.Kind() == reflect.Struct {
			if err := eachField(f.Type, visit); err != nil {
				return err
			}
			continue
		}
		key, _, _ := strings.Cut(f.Tag.Get("json"), ",")
		if key == "" || key == "-" {
			continue
		}
		if err := visit(f, key); err != nil {
			return err
		}
	}
	return nil
}

func fieldSchema(f reflect.StructField) (map[string]any, error) {
	s, err := typeSchema(f.Type)
	if err != nil {
		return nil, err
	}
	if doc := f.Tag.Get("doc"); doc != "" {
		s["description"] = doc
	}
	if def, ok := f.Tag.Lookup("default"); ok {
		s["default"] = jsonOrText(def)
	}
	if example, ok := f.Tag.Lookup("example"); ok {
		s["examples"] = []any{jsonOrText(example)}
	}
	if enum := f.Tag.Get("enum"); enum != "" {
		values := []any{}
		for v := range strings.SplitSeq(enum, ",") {
			values = append(values, v)
		}
		s["enum"] = values
	}
	if f.Tag.Get("secret") == "true" {
		s["x-secret"] = true
	}
	return s, nil
}

func jsonOrText(s string) any {
	var v any
	if json.Unmarshal([]byte(s), &v) == nil {
		return v
	}
	return s
}

// ConfigSchemer is for the type of a configuration field that is written in a
// way of its own, such as text or a boolean; it gives the JSON Schema of that.
type ConfigSchemer interface {
	ConfigSchema() map[string]any
}

func typeSchema(t reflect.Type) (map[string]any, error) {
	if s, ok := reflect.New(t).Interface().(ConfigSchemer); ok {
		return s.ConfigSchema(), nil
	}
	switch t {
	case reflect.TypeFor[Secret]():
		return map[string]any{"type": "string", "x-secret": true}, nil
	case reflect.TypeFor[SecretJSON]():
		return map[string]any{"type": []any{"object", "string"}, "x-secret": true}, nil
	case reflect.TypeFor[Duration]():
		return map[string]any{"type": []any{"number", "string"}, "format": "posture-duration"}, nil
	case reflect.TypeFor[Strings]():
		return map[string]any{"type": []any{"array", "string"}, "items": map[string]any{"type": "string"}}, nil
	}
	switch t.Kind() {
	case reflect.Pointer:
		return typeSchema(t.Elem())
	case reflect.String:
		return map[string]any{"type": "string"}, nil
	case reflect.Bool:
		return map[string]any{"type": "boolean"}, nil
	case reflect.Int, reflect.Int64, reflect.Int32:
		return map[string]any{"type": "integer"}, nil
	case reflect.Float64:
		return map[string]any{"type": "number"}, nil
	case reflect.Slice:
		items, err := typeSchema(t.Elem())
		if err != nil {
			return nil, err
		}
		return map[string]any{"type": "array", "items": items}, nil
	case reflect.Map:
		values, err := typeSchema(t.Elem())
		if err != nil {
			return nil, err
		}
		return map[string]any{"type": "object", "additionalProperties": values}, nil
	case reflect.Struct:
		return structSchema(t)
	default:
		return nil, fmt.Errorf("a configuration field cannot be a %s", t)
	}
}

// DecodeConfig reads a JSON object into a configuration struct: defaults first,
// then the given values; keys match without case, an unknown key, a wrong type
// and a missing required key are Invalid errors that name the key. No error
// shows a value, as any may be a secret.
func DecodeConfig[C any](data []byte) (C, error) {
	var c C
	if len(bytes.TrimSpace(data)) == 0 {
		data = []byte("{}")
	}
	if err := setDefaults(reflect.ValueOf(&c).Elem()); err != nil {
		return c, err
	}
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	if err := dec.Decode(&c); err != nil {
		return c, &fault.Error{Kind: fault.Invalid, Op: "read configuration", Message: configMessage(err), Remedy: "compare with posture config example"}
	}
	return c, missing(reflect.ValueOf(c), data)
}

func configMessage(err error) string {
	if te, ok := err.(*json.UnmarshalTypeError); ok { //nolint:errorlint // encoding/json returns it bare
		if te.Field == "" {
			return "the configuration must be an object, not a " + te.Value
		}
		return fmt.Sprintf("%s must be %s, not a %s", te.Field, typeName(te.Type), te.Value)
	}
	return strings.TrimPrefix(err.Error(), "json: ")
}

// typeName says for people what a field takes.
func typeName(t reflect.Type) string {
	switch t.Kind() {
	case reflect.Bool:
		return "true or false"
	case reflect.Int, reflect.Int32, reflect.Int64:
		return "a whole number"
	case reflect.Float64:
		return "a number"
	case reflect.String:
		return "a text"
	case reflect.Slice:
		return "a list"
	default:
		return "an object"
	}
}

func setDefaults(v reflect.Value) error {
	t := v.Type()
	for i := range t.NumField() {
		f := t.Field(i)
		if f.Anonymous && f.Type.Kind() == reflect.Struct {
			if err := setDefaults(v.Field(i)); err != nil {
				return err
			}
			continue
		}
		def, ok := f.Tag.Lookup("default")
		if !ok {
			continue
		}
		target := v.Field(i).Addr().Interface()
		if json.Unmarshal([]byte(def), target) == nil {
			continue
		}
		quoted, err := json.Marshal(def)
		if err != nil {
			return err
		}
		if err := json.Unmarshal(quoted, target); err != nil {
			return fmt.Errorf("default of %s: %w", f.Name, err)
		}
	}
	return nil
}

func missing(v reflect.Value, data []byte) error {
	var given map[string]json.RawMessage
	if err := json.Unmarshal(data, &given); err != nil {
		return fault.New(fault.Invalid, "the configuration is not an object")
	}
	present := make(map[string]bool, len(given))
	for k, raw := range given {
		text := strings.TrimSpace(string(raw))
		present[strings.ToLower(k)] = text != `""` && text != "null" && text != "[]"
	}
	e := &fault.Error{Kind: fault.Invalid, Op: "read configuration"}
	err := eachField(v.Type(), func(f reflect.StructField, key string) error {
		if f.Tag.Get("required") == "true" && !present[strings.ToLower(key)] {
			e.Fields = append(e.Fields, fault.Field{Name: key, Reason: "is required", Remedy: f.Tag.Get("doc")})
		}
		return nil
	})
	if err != nil || len(e.Fields) == 0 {
		return err
	}
	return e
}
