package config

import (
	"encoding/json"
	"net/url"
	"slices"
	"strings"
	"unicode"
)

// EditorSchema gives the JSON Schema of the whole file, for editors that complete
// and check YAML by one. It takes keys in any case, and nothing is required in
// it, as the environment may set any key. Plugins that it does not know are
// allowed.
func EditorSchema(docs []Doc, practices []byte) ([]byte, error) {
	read, err := readDocs(docs)
	if err != nil {
		return nil, err
	}
	e := &editor{defs: map[string]any{}}
	e.root = schemaOf(topLevel())
	file := e.object("settings", e.root, 0)
	hosts := schemaOf(hostKeys())

	blocks := map[string]any{}
	for _, d := range read {
		whole := map[string]any{}
		for k, v := range d.shape.root {
			whole[k] = v
		}
		properties := map[string]any{}
		for _, table := range []map[string]any{hosts, d.shape.root} {
			own, _ := table["properties"].(map[string]any)
			for key, p := range own {
				properties[key] = p
			}
		}
		whole["type"], whole["properties"], whole["description"] = "object", properties, d.Summary
		e.root, e.owner = d.shape.root, d.Name
		blocks[d.Name] = e.value("plugins."+d.Name, whole, 0)
	}
	policy, err := newSchema("practices", practices)
	if err != nil {
		return nil, err
	}
	e.root, e.owner = policy.root, "practices"
	e.add(file, "plugins", map[string]any{
		"description": "Where devices, events and accounts come from, what they pass, and where they go.",
		"type":        []any{"object", "null"}, "properties": blocks, "patternProperties": caseless(blocks),
		"additionalProperties": map[string]any{"type": []any{"object", "null"}},
	})
	section := e.value("practices", policy.root, 0)
	if len(policy.root) == 0 {
		section = map[string]any{"type": []any{"object", "null"}}
	}
	section["description"] = "What is asked of devices."
	e.add(file, "practices", section)
	file["$schema"] = "https://json-schema.org/draft/2020-12/schema"
	file["title"] = "Posture configuration"
	file["$defs"] = e.defs
	return json.MarshalIndent(file, "", "  ")
}

// editor rewrites schemas for an editor.
type editor struct {
	root  map[string]any // what local references of the schema at hand point into
	owner string         // whose schema that is
	defs  map[string]any // each key's schema, as both spellings of the key use it
}

// annotations are the keywords that explain and do not restrict.
func annotations() []string {
	return []string{"title", "description", "default", "examples", "deprecated"}
}

const deepest = 12 // a schema that refers to itself is open below this

// value rewrites the schema of one value, which may also be absent or a
// reference.
func (e *editor) value(path string, given any, depth int) map[string]any {
	from, ok := given.(map[string]any)
	if !ok || depth > deepest {
		return map[string]any{}
	}
	if ref, isRef := from["$ref"].(string); isRef {
		return e.referred(ref, from, depth)
	}
	made, core := map[string]any{}, e.object(path, from, depth)
	for _, keyword := range annotations() {
		if v, ok := core[keyword]; ok {
			made[keyword] = v
			delete(core, keyword)
		}
	}
	forms := []any{core, map[string]any{"type": "null"}, map[string]any{"type": "string", "pattern": "^(file|env|literal):"}}
	if allowed := texts(core["enum"]); len(allowed) > 0 {
		forms = append(forms, anyCase(allowed))
		if slices.Contains(allowed, "true") || slices.Contains(allowed, "false") {
			forms = append(forms, map[string]any{"type": "boolean"})
		}
	}
	made["anyOf"] = forms
	return made
}

// referred rewrites a schema that refers to another: the other becomes a
// definition, and what explains this one stays beside the reference.
func (e *editor) referred(ref string, from map[string]any, depth int) map[string]any {
	name := e.owner + ref
	if _, done := e.defs[name]; !done {
		e.defs[name] = map[string]any{} // so that a schema that refers to itself ends
		e.defs[name] = e.value(name, resolve(e.root, ref), depth+1)
	}
	made := pointTo(name)
	for _, keyword := range annotations() {
		if v, ok := from[keyword]; ok {
			made[keyword] = v
		}
	}
	return made
}

// pointTo refers to a definition.
func pointTo(name string) map[string]any {
	escaped := strings.NewReplacer("~", "~0", "/", "~1").Replace(name)
	return map[string]any{"$ref": "#/$defs/" + url.PathEscape(escaped)}
}

// object rewrites the parts of a schema.
func (e *editor) object(path string, from map[string]any, depth int) map[string]any {
	made := map[string]any{}
	for keyword, v := range from {
		switch {
		case strings.HasPrefix(keyword, "x-"), slices.Contains([]string{"$schema", "$id", "$defs", "definitions", "required"}, keyword):
		case keyword == "format" && v == durationFormat:
		case keyword == "properties":
			properties, _ := v.(map[string]any)
			shared := make(map[string]any, len(properties))
			for name, p := range properties {
				shared[name] = e.define(join(path, name), p, depth)
			}
			made["properties"] = shared
			made["patternProperties"] = caseless(shared)
		case keyword == "propertyNames":
			made[keyword] = v
			names, _ := v.(map[string]any)
			if allowed := texts(names["enum"]); len(allowed) > 0 {
				made[keyword] = anyCase(allowed)
			}
		case keyword == "patternProperties":
			e.patterns(path, made, v, depth)
		case keyword == "additionalProperties" || keyword == "items":
			made[keyword] = v
			if inner, ok := v.(map[string]any); ok {
				made[keyword] = e.value(join(path, keyword), inner, depth+1)
			}
		case keyword == "anyOf" || keyword == "oneOf" || keyword == "allOf":
			list, _ := v.([]any)
			forms := make([]any, 0, len(list))
			for _, form := range list {
				forms = append(forms, e.value(path, form, depth+1))
			}
			if keyword == "oneOf" {
				keyword = "anyOf" // every form also takes a reference, so that several may fit
			}
			made[keyword] = forms
		default:
			made[keyword] = v
		}
	}
	return made
}

func (e *editor) patterns(path string, made map[string]any, v any, depth int) {
	patterns, _ := v.(map[string]any)
	merged, _ := made["patternProperties"].(map[string]any)
	if merged == nil {
		merged = map[string]any{}
	}
	for pattern, p := range patterns {
		merged[pattern] = e.value(path, p, depth+1)
	}
	made["patternProperties"] = merged
}

// define puts a key's schema where both of its spellings find it.
func (e *editor) define(path string, p any, depth int) map[string]any {
	value := e.value(path, p, depth+1)
	e.defs[path] = value
	return pointTo(path)
}

// add puts a section beside the settings.
func (e *editor) add(file map[string]any, name string, section map[string]any) {
	e.defs[name] = section
	ref := pointTo(name)
	properties, _ := file["properties"].(map[string]any)
	properties[name] = ref
	for pattern, p := range caseless(map[string]any{name: ref}) {
		patterns, _ := file["patternProperties"].(map[string]any)
		patterns[pattern] = p
	}
}

// texts gives the texts of an enumeration.
func texts(enum any) []string {
	list, _ := enum.([]any)
	var all []string
	for _, v := range list {
		if text, ok := v.(string); ok {
			all = append(all, text)
		}
	}
	return all
}

// anyCase is the schema of some texts in any case.
func anyCase(allowed []string) map[string]any {
	patterns := make([]string, len(allowed))
	for i, text := range allowed {
		patterns[i] = caselessPattern(text)
	}
	return map[string]any{"type": "string", "pattern": "^(" + strings.Join(patterns, "|") + ")$"}
}

// caseless gives for each key a pattern that matches it in any case. Editors
// offer properties for completion and take what the patterns match.
func caseless(properties map[string]any) map[string]any {
	patterns := make(map[string]any, len(properties))
	for name, p := range properties {
		patterns["^"+caselessPattern(name)+"$"] = p
	}
	return patterns
}

func caselessPattern(text string) string {
	var b strings.Builder
	for _, r := range text {
		upper, lower := unicode.ToUpper(r), unicode.ToLower(r)
		switch {
		case upper != lower:
			b.WriteString("[" + string(upper) + string(lower) + "]")
		case strings.ContainsRune(`.+*?()|[]{}^$\/`, r):
			b.WriteString(`\` + string(r))
		default:
			b.WriteRune(r)
		}
	}
	return b.String()
}
