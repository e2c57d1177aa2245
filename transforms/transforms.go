// Package transforms changes what sources delivered before it is judged: devices
// are left out or completed, log-in events are labelled. A transform is built
// once from its settings, is safe for concurrent use and leaves its input as it
// was. The package has no I/O, but for the list that [MACManufacturer] may read
// when it is made, and imports only device and fault.
package transforms

import (
	"bytes"
	"encoding/json"
	"strings"

	"github.com/postureproject/posture/fault"
)

// The transforms' names in a configuration.
const (
	NameREFilter        = "re_filter"
	NameMACManufacturer = "mac_manufacturer"
	NameVPNLabeler      = "vpn_labeler"
)

// Summaries says in a sentence what each transform does.
func Summaries() map[string]string {
	return map[string]string{
		NameREFilter:        "Leaves out devices whose fields match regular expressions, such as virtual machines.",
		NameMACManufacturer: "Fills in a device's manufacturer from its hardware addresses.",
		NameVPNLabeler:      "Tells whether a log-in came from the addresses of a VPN.",
	}
}

// Schemas gives the JSON Schema 2020-12 of each transform's settings. Where a
// schema wants a key in one spelling, the transform takes it without case.
func Schemas() map[string][]byte {
	return map[string][]byte{
		NameREFilter:        settingsSchema(patternMapKey, patternMapSchema(), true),
		NameMACManufacturer: settingsSchema(ouiFileKey, ouiFileSchema(), false),
		NameVPNLabeler:      settingsSchema(vpnCIDRsKey, vpnCIDRsSchema(), true),
	}
}

type object = map[string]any

// settingsSchema is the schema of settings with a single key.
func settingsSchema(key string, value object, required bool) []byte {
	s := object{
		"$schema": "https://json-schema.org/draft/2020-12/schema", "type": "object",
		"properties": object{key: value}, "additionalProperties": false, "x-order": []string{key},
	}
	if required {
		s["required"] = []string{key}
	}
	out, err := json.Marshal(s)
	if err != nil {
		return nil // cannot be: maps, lists and texts always marshal
	}
	return out
}

// setting reads the only key that a transform's settings may have, without
// case; nil when it is not given.
func setting(op string, raw json.RawMessage, key string) (json.RawMessage, error) {
	if raw = bytes.TrimSpace(raw); len(raw) == 0 || bytes.Equal(raw, []byte("null")) {
		return nil, nil
	}
	var given map[string]json.RawMessage
	if err := json.Unmarshal(raw, &given); err != nil {
		return nil, invalid(op, fault.Field{Reason: "must be an object of settings", Remedy: "write {} or {\"" + key + "\": …}"})
	}
	var value json.RawMessage
	var problems []fault.Field
	for name, v := range given {
		switch {
		case !strings.EqualFold(name, key):
			problems = append(problems, fault.Field{Name: name, Reason: "is not a setting of " + op, Remedy: "the only setting is " + key})
		case value != nil:
			problems = append(problems, fault.Field{Name: key, Reason: "is given twice", Remedy: "keep one"})
		default:
			value = v
		}
	}
	return value, invalid(op, problems...)
}

// invalid makes an error about settings; nil when there is no problem.
func invalid(op string, problems ...fault.Field) error {
	if len(problems) == 0 {
		return nil
	}
	return &fault.Error{Kind: fault.Invalid, Op: "read " + op, Fields: problems}
}

// missing is the problem of a required key that was not given.
func missing(op, key, example string) error {
	return invalid(op, fault.Field{Name: key, Reason: "is required", Remedy: "write " + example})
}
