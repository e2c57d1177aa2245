package sdk

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"slices"
	"strings"

	"github.com/postureproject/posture/fault"
)

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
	if err := decodeStrictly(data, &c); err != nil {
		return c, malformed[C](data, err)
	}
	return c, missing(reflect.ValueOf(c), data)
}

func decodeStrictly(data []byte, c any) error {
	dec := json.NewDecoder(bytes.NewReader(data))
	dec.DisallowUnknownFields()
	return dec.Decode(c)
}

// malformed names every key that cannot be decoded. The decoder itself stops at
// the first and does not always say which it is, so each is tried alone.
func malformed[C any](data []byte, err error) error {
	e := &fault.Error{Kind: fault.Invalid, Op: "read configuration", Remedy: "compare with posture config example"}
	var given map[string]json.RawMessage
	if json.Unmarshal(data, &given) != nil {
		e.Message = "the configuration: " + configReason(err)
		return e
	}
	for _, key := range slices.Sorted(maps.Keys(given)) {
		alone, err := json.Marshal(map[string]json.RawMessage{key: given[key]})
		if err != nil {
			continue
		}
		if err := decodeStrictly(alone, new(C)); err != nil {
			e.Fields = append(e.Fields, fault.Field{Name: key, Reason: configReason(err)})
		}
	}
	if len(e.Fields) == 0 {
		e.Message = "the configuration: " + configReason(err)
	}
	return e
}

func configReason(err error) string {
	var te *json.UnmarshalTypeError
	switch {
	case !errors.As(err, &te):
	case te.Field == "":
		return "must be an object, not a " + te.Value
	default:
		return fmt.Sprintf("must be %s, not a %s", typeName(te.Type), te.Value)
	}
	text := strings.TrimPrefix(err.Error(), "json: ")
	if strings.HasPrefix(text, "unknown field") {
		return "is not a key of this plugin"
	}
	return text
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
