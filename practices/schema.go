package practices

import (
	"encoding/json"
)

// versionPattern is what [parseExact] accepts.
const versionPattern = `^[0-9]{1,18}(\.[0-9]{1,18}){0,7}$`

// Schema describes, as JSON Schema 2020-12, the object that [New] takes: the
// default practices with their settings as defaults, and the settings of any
// further one. Where the schema wants a key in one spelling, New takes it
// without case. "x-order" lists the keys of an object in reading order.
func Schema() []byte {
	properties, order := object{}, []string{}
	for _, m := range members([]byte(defaults)) {
		var given map[string]any
		if json.Unmarshal(m.value, &given) != nil {
			continue
		}
		properties[m.name] = object{"$ref": "#/$defs/practice", "description": given["DESCRIPTION"], "default": given}
		order = append(order, m.name)
	}
	schema := object{
		"$schema":              "https://json-schema.org/draft/2020-12/schema",
		"type":                 "object",
		"description":          "Settings by practice. What is given replaces that setting of the default practice; a new key adds a practice.",
		"properties":           properties,
		"additionalProperties": object{"$ref": "#/$defs/practice"},
		"propertyNames":        object{"minLength": 1},
		"x-order":              order,
		"$defs":                object{"practice": practiceSchema(), "version": versionSchema()},
	}
	out, err := json.MarshalIndent(schema, "", "  ")
	if err != nil {
		return nil // cannot be: maps, lists and texts always marshal
	}
	return out
}

func practiceSchema() object {
	properties, order := object{}, []string{}
	for _, s := range allSettings() {
		p := object{"description": s.doc}
		for k, v := range s.schema {
			p[k] = v
		}
		if s.fallback != nil {
			p["default"] = s.fallback
		}
		if s.example != nil {
			p["examples"] = []any{s.example}
		}
		properties[s.name] = p
		order = append(order, s.name)
	}
	return object{"type": "object", "properties": properties, "additionalProperties": false, "x-order": order}
}

func versionSchema() object {
	return object{
		"type": []any{"string", "integer"}, "pattern": versionPattern, "minimum": 0,
		"description": "Numbers separated by dots, in quotes.",
	}
}

// versionsPer is the schema of a minimum for each operating system.
func versionsPer() object {
	version := object{"$ref": "#/$defs/version"}
	lines := object{
		"type": "object", "minProperties": 1, "additionalProperties": version,
		"propertyNames": object{"pattern": versionPattern},
	}
	return object{
		"type": "object", "propertyNames": object{"minLength": 1},
		"additionalProperties": object{"anyOf": []any{version, lines}},
	}
}

// textPer is the schema of a text, or of one for each of the given keys and for
// the rest; any key will do when none is given.
func textPer(keys ...string) object {
	text := object{"type": "string"}
	s := object{"type": []any{"string", "object"}, "additionalProperties": text, "propertyNames": object{"minLength": 1}}
	if len(keys) > 0 {
		s["propertyNames"] = object{"enum": append(anys(keys), otherwise)}
	}
	return s
}

// texts is the schema of a list of texts, for which one text may stand.
func texts() object {
	text := object{"type": "string", "minLength": 1, "pattern": `\S`}
	return object{"anyOf": []any{text, object{"type": "array", "items": text}}}
}

func messageSchema() object { return object{"type": "string", "minLength": 1} }

func statusNames() []string {
	all := statuses()
	names := make([]string, len(all))
	for i, s := range all {
		names[i] = string(s)
	}
	return names
}

func anys(list []string) []any {
	out := make([]any, len(list))
	for i, s := range list {
		out[i] = s
	}
	return out
}
