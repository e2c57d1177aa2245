package config

import (
	"bytes"
	"fmt"
	"maps"
	"slices"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Doc describes one plugin or transform for the example, the editor's schema and
// the reference.
type Doc struct {
	Name    string
	Summary string
	Schema  []byte // JSON Schema of its keys
}

// documented is a [Doc] whose schema is read.
type documented struct {
	Doc
	shape shape
}

func readDocs(docs []Doc) ([]documented, error) {
	read := make([]documented, len(docs))
	for i, d := range docs {
		s, err := newSchema(d.Name, d.Schema)
		if err != nil {
			return nil, err
		}
		read[i] = documented{Doc: d, shape: s.shape()}
	}
	return read, nil
}

// tableShape gives the shape of one of our tables.
func tableShape(table []setting) (shape, error) {
	f := &File{}
	s, err := f.tableSchema(table)
	if err != nil {
		return shape{}, err
	}
	return s.shape(), nil
}

func sortedKeys(m map[string]any) []string { return slices.Sorted(maps.Keys(m)) }

// defaultText gives the default of a key as one would write it, or in words.
func defaultText(sh shape) string {
	if note, ok := sh.lookup(defaultNote); ok {
		return fmt.Sprint(note)
	}
	v, ok := sh.lookup("default")
	if list, isList := v.([]any); !ok || isList && len(list) == 0 || v == "" {
		return ""
	}
	return inline(v)
}

// readingOrder gives the keys with those first that must be given.
func readingOrder(sh shape) []string {
	keys := sh.properties()
	slices.SortStableFunc(keys, func(a, b string) int { return boolInt(requires(sh, b)) - boolInt(requires(sh, a)) })
	return keys
}

// inline writes a value as YAML in one line.
func inline(v any) string {
	y := valueYAML(v)
	if y.Kind == yaml.ScalarNode && strings.Contains(y.Value, "\n") {
		y.Style = yaml.DoubleQuotedStyle
	}
	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	if err := encoder.Encode(y); err != nil {
		return fmt.Sprintf("%q", fmt.Sprint(v))
	}
	return strings.TrimSpace(out.String())
}

// typeText says in a few words what a key's value is.
func typeText(sh shape) string {
	if sh.duration() {
		return "length of time"
	}
	if allowed := sh.enum(); len(allowed) > 0 {
		return "one of " + strings.Join(allowed, ", ")
	}
	types := sh.types()
	if slices.Equal(types, []string{"array", "string"}) {
		return "list, or one text"
	}
	if sh.secret() && slices.Contains(types, "object") {
		return "section, or JSON text"
	}
	said := make([]string, 0, len(types))
	for _, t := range types {
		switch t {
		case "boolean":
			said = append(said, "true or false")
		case "integer":
			said = append(said, "whole number")
		case "array":
			said = append(said, "list")
		case "object":
			said = append(said, "section")
		case "string":
			said = append(said, "text")
		default:
			said = append(said, t)
		}
	}
	return strings.Join(said, " or ")
}

// sampleValue gives a value to show for a key: an example, the default, or
// something of the right type. A secret refers to a file.
func sampleValue(owner, key string, sh shape) any {
	if sh.secret() {
		name := fold(key)
		if owner != "" && !strings.HasPrefix(name, fold(owner)) {
			name = fold(owner) + "_" + name
		}
		return "file:secrets/" + name
	}
	if v, ok := sh.example(); ok {
		return v
	}
	if v, ok := sh.lookup("default"); ok {
		return v
	}
	if allowed := sh.enum(); len(allowed) > 0 {
		return allowed[0]
	}
	if sh.duration() {
		return "30s"
	}
	switch types := sh.types(); {
	case len(types) == 0 || slices.Contains(types, "string"):
		return "..."
	case slices.Contains(types, "boolean"):
		return false
	case slices.Contains(types, "integer"), slices.Contains(types, "number"):
		return 1
	case slices.Contains(types, "array"):
		return []any{}
	default:
		return map[string]any{}
	}
}

// requires reports whether a key must be given.
func requires(sh shape, key string) bool { return slices.Contains(sh.required(), key) }

// wrap breaks a text into lines of at most width characters.
func wrap(text string, width int) []string {
	var lines []string
	line := ""
	for word := range strings.FieldsSeq(text) {
		if line != "" && len(line)+1+len(word) > width {
			lines, line = append(lines, line), ""
		}
		if line != "" {
			line += " "
		}
		line += word
	}
	if line != "" {
		lines = append(lines, line)
	}
	return lines
}

// sentence ends a text with a full stop.
func sentence(text string) string {
	text = strings.TrimSpace(text)
	if text == "" || strings.HasSuffix(text, ".") || strings.HasSuffix(text, "?") || strings.HasSuffix(text, "!") {
		return text
	}
	return text + "."
}
