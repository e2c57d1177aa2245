package config

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"sync"
	"unicode/utf8"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/timespan"
)

// durationFormat marks a length of time in a schema.
const durationFormat = "posture-duration"

// schema is the JSON Schema of a block: read, for its keys' spellings, secrets
// and descriptions, and compiled, for validation.
type schema struct {
	root     map[string]any
	compiled *jsonschema.Schema
}

// newSchema reads a JSON Schema; nothing at all stands for one that allows
// everything. The error is about the schema, not about a configuration.
func newSchema(owner string, raw []byte) (*schema, error) {
	if len(bytes.TrimSpace(raw)) == 0 {
		raw = []byte("{}")
	}
	bad := func(err error) error {
		return &fault.Error{
			Kind: fault.BadResponse, Source: owner, Op: "read configuration schema",
			Message: "it is not a valid JSON Schema", Remedy: "this is a defect of " + owner + ", not of the configuration", Err: err,
		}
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		return nil, bad(err)
	}
	compiler := jsonschema.NewCompiler()
	compiler.DefaultDraft(jsonschema.Draft2020)
	compiler.AssertFormat()
	compiler.RegisterFormat(&jsonschema.Format{Name: durationFormat, Validate: validDuration})
	compiler.UseLoader(jsonschema.SchemeURLLoader{}) // a schema stands alone: nothing is fetched or read for it
	const address = "posture:configuration"
	if err := compiler.AddResource(address, doc); err != nil {
		return nil, bad(err)
	}
	compiled, err := compiler.Compile(address)
	if err != nil {
		return nil, bad(err)
	}
	root, _ := doc.(map[string]any)
	return &schema{root: root, compiled: compiled}, nil
}

func validDuration(v any) error {
	switch v := v.(type) {
	case string:
		_, err := timespan.Parse(v)
		return err
	case nil, bool, []any, map[string]any:
		return nil // the type says it
	default:
		text, err := json.Marshal(v)
		if err != nil {
			return err
		}
		_, err = timespan.Parse(string(text))
		return err
	}
}

// shape is what a schema says about one value: the schema objects that apply to
// it, references and alternatives included.
type shape struct {
	root   map[string]any
	all    []map[string]any
	always []map[string]any // those that apply whichever alternative does
}

func (s *schema) shape() shape { return expand(s.root, []any{s.root}) }

// expand follows local references and gathers alternatives.
func expand(root map[string]any, from []any) shape {
	sh := shape{root: root}
	for _, v := range from {
		sh.gather(v, true)
	}
	return sh
}

func (sh *shape) gather(v any, certain bool) {
	const most = 200 // a schema that refers to itself ends here
	m, ok := v.(map[string]any)
	if !ok || len(sh.all) >= most {
		return
	}
	sh.all = append(sh.all, m)
	if certain {
		sh.always = append(sh.always, m)
	}
	if ref, ok := m["$ref"].(string); ok {
		sh.gather(resolve(sh.root, ref), certain)
	}
	for _, combined := range []string{"allOf", "anyOf", "oneOf"} {
		list, _ := m[combined].([]any)
		for _, one := range list {
			sh.gather(one, certain && combined == "allOf")
		}
	}
}

// resolve follows a reference such as #/$defs/name within the schema.
func resolve(root map[string]any, ref string) any {
	var at any = root
	pointer, local := strings.CutPrefix(ref, "#")
	if !local {
		return nil
	}
	for token := range strings.SplitSeq(strings.TrimPrefix(pointer, "/"), "/") {
		if token == "" {
			continue
		}
		m, ok := at.(map[string]any)
		if !ok {
			return nil
		}
		at = m[strings.NewReplacer("~1", "/", "~0", "~").Replace(token)]
	}
	return at
}

// rule says how a schema knows a key.
type rule uint8

const (
	undeclared rule = iota // not at all
	general                // by a rule for any key of its kind
	named
)

// property gives the schema's spelling of a key, what it says about its value,
// and how it knows the key. A key that it does not name keeps its spelling.
func (sh shape) property(key string) (canonical string, of shape, known rule) {
	canonical = key
	var found []any
	for _, m := range sh.all {
		properties, _ := m["properties"].(map[string]any)
		for name, p := range properties {
			if fold(name) == fold(key) {
				canonical, found = name, append(found, p)
			}
		}
	}
	if found != nil {
		return canonical, expand(sh.root, found), named
	}
	for _, m := range sh.all {
		patterns, _ := m["patternProperties"].(map[string]any)
		for pattern, p := range patterns {
			if matched, err := regexp.MatchString(pattern, key); err == nil && matched {
				found = append(found, p)
			}
		}
		if rest, ok := m["additionalProperties"].(map[string]any); ok && found == nil {
			found = append(found, rest)
		}
	}
	if found != nil {
		return sh.keySpelling(key), expand(sh.root, found), general
	}
	return canonical, shape{root: sh.root}, undeclared
}

// keySpelling gives the spelling of a key that only a list of allowed names
// knows.
func (sh shape) keySpelling(key string) string {
	for _, allowed := range sh.keyNames() {
		if fold(allowed) == fold(key) {
			return allowed
		}
	}
	return key
}

// keys gives what is said about the names of a mapping's keys.
func (sh shape) keys() shape {
	var names []any
	for _, m := range sh.all {
		names = append(names, m["propertyNames"])
	}
	return expand(sh.root, names)
}

// keyNames gives the names that a mapping allows when it lists them.
func (sh shape) keyNames() []string { return sh.keys().enum() }

// allowsKey reports whether a key has a form that the mapping allows.
func (sh shape) allowsKey(key string) bool {
	for _, m := range sh.keys().always {
		if list, ok := m["enum"].([]any); ok && !slices.Contains(list, any(key)) {
			return false
		}
		if pattern, ok := m["pattern"].(string); ok {
			if matched, err := regexp.MatchString(pattern, key); err == nil && !matched {
				return false
			}
		}
		if least, err := parseWhole(m["minLength"]); err == nil && utf8.RuneCountInString(key) < least {
			return false
		}
	}
	return true
}

// properties gives the keys in the order that the schema asks for.
func (sh shape) properties() []string {
	var names []string
	add := func(name string) {
		if !slices.Contains(names, name) {
			names = append(names, name)
		}
	}
	for _, m := range sh.all {
		properties, _ := m["properties"].(map[string]any)
		order, _ := m["x-order"].([]any)
		for _, name := range order {
			if text, ok := name.(string); ok && properties[text] != nil {
				add(text)
			}
		}
		rest := make([]string, 0, len(properties))
		for name := range properties {
			rest = append(rest, name)
		}
		slices.Sort(rest)
		for _, name := range rest {
			add(name)
		}
	}
	return names
}

// element gives what is said about the entries of a list.
func (sh shape) element() shape {
	var found []any
	for _, m := range sh.all {
		found = append(found, m["items"])
	}
	return expand(sh.root, found)
}

func (sh shape) secret() bool {
	for _, m := range sh.all {
		if m["x-secret"] == true {
			return true
		}
	}
	return false
}

// types gives the type names that are allowed; empty means any.
func (sh shape) types() []string {
	var names []string
	for _, m := range sh.all {
		switch t := m["type"].(type) {
		case string:
			names = append(names, t)
		case []any:
			for _, one := range t {
				if text, ok := one.(string); ok {
					names = append(names, text)
				}
			}
		}
	}
	slices.Sort(names)
	return slices.Compact(names)
}

func (sh shape) duration() bool {
	for _, m := range sh.all {
		if m["format"] == durationFormat {
			return true
		}
	}
	return false
}

// enum gives the allowed texts.
func (sh shape) enum() []string {
	var texts []string
	for _, m := range sh.all {
		list, _ := m["enum"].([]any)
		for _, v := range list {
			if text, ok := v.(string); ok {
				texts = append(texts, text)
			}
		}
	}
	return texts
}

// lookup gives the first value of a keyword, such as default.
func (sh shape) lookup(keyword string) (any, bool) {
	for _, m := range sh.all {
		if v, ok := m[keyword]; ok {
			return v, true
		}
	}
	return nil, false
}

func (sh shape) description() string {
	v, _ := sh.lookup("description")
	text, _ := v.(string)
	return text
}

// example gives the first example.
func (sh shape) example() (any, bool) {
	v, _ := sh.lookup("examples")
	if list, ok := v.([]any); ok && len(list) > 0 {
		return list[0], true
	}
	return nil, false
}

// required gives the keys that must be there and not be empty.
func (sh shape) required() []string {
	var names []string
	for _, m := range sh.always {
		list, _ := m["required"].([]any)
		for _, v := range list {
			if text, ok := v.(string); ok && !slices.Contains(names, text) {
				names = append(names, text)
			}
		}
	}
	return names
}

// schemas keeps what was read of each raw schema, as the same ones are used for
// checking, showing and starting.
type schemas struct {
	mu   sync.Mutex
	read map[string]*schema
}

func (c *schemas) get(owner string, raw []byte) (*schema, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if s := c.read[string(raw)]; s != nil {
		return s, nil
	}
	s, err := newSchema(owner, raw)
	if err != nil {
		return nil, err
	}
	if c.read == nil {
		c.read = map[string]*schema{}
	}
	c.read[string(raw)] = s
	return s, nil
}
