package config

import (
	"fmt"
	"slices"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"

	"github.com/postureproject/posture/timespan"
)

// applier gives the values of a block the form that their schema describes: keys
// in its spelling, references replaced by what they stand for, texts of the
// environment as the type that is wanted.
type applier struct {
	file     *File
	show     bool // for showing: references stay unread
	problems Problems
}

// report adds a problem at a value.
func (a *applier) report(n *node, path, message, suggestion string) {
	if n.origin != "" {
		a.problems = append(a.problems, Problem{File: environment, Path: n.origin, Message: message, Suggestion: suggestion})
		return
	}
	a.problems = append(a.problems, Problem{
		File: a.file.name, Line: n.line, Column: n.column, Path: path, Message: message, Suggestion: suggestion,
	})
}

// apply gives n as sh describes it. The tree it is given stays as it is.
func (a *applier) apply(n *node, sh shape, path string, secret bool) *node {
	secret = secret || sh.secret()
	made := *n
	made.shape = sh
	switch n.kind {
	case kindMap:
		made.fields = a.fields(n, sh, path, secret)
		a.requireText(&made, path)
	case kindList:
		made.items = make([]*node, len(n.items))
		for i, item := range n.items {
			made.items[i] = a.apply(item, sh.element(), join(path, strconv.Itoa(i)), secret)
		}
	case kindText:
		a.text(&made, path, secret)
	}
	normalise(&made)
	return &made
}

func (a *applier) fields(n *node, sh shape, path string, secret bool) []field {
	fields := make([]field, 0, len(n.fields))
	for _, f := range n.fields {
		name, of, known := sh.property(f.key)
		if f.value.kind == kindNull && !f.value.broken && known == named {
			continue // a key without a value is as good as absent
		}
		f.key, f.undeclared = name, known == undeclared
		f.value = a.apply(f.value, of, join(path, name), secret)
		fields = append(fields, f)
	}
	return fields
}

// requireText reports keys that must be given and are given as empty text.
func (a *applier) requireText(n *node, path string) {
	for _, key := range n.shape.required() {
		v := n.child(key)
		if v != nil && v.kind == kindText && v.text() == "" && !v.broken {
			a.report(v, join(path, key), "the key is required, and its value is empty", remedyOf(v.shape))
			v.broken = true
		}
	}
}

// text replaces a reference by what it stands for, and reads a text that comes
// from outside the file as the type that is wanted.
func (a *applier) text(n *node, path string, secret bool) {
	given := n.text()
	if literal, ok := strings.CutPrefix(given, literalPrefix); ok {
		n.scalar = literal
		return
	}
	if isReference(given) {
		n.reference = given
		if a.show {
			n.broken = true
			return
		}
		text, exposed, t := a.file.dereference(given)
		if t != nil {
			a.report(n, path, t.message, t.remedy)
			n.broken = true
			return
		}
		if exposed && secret {
			a.file.warn(n, path, given+" may be read by every user of this machine", "chmod 0600 the file")
		}
		n.become(fromText(text, n.shape))
		return
	}
	if n.origin != "" {
		n.become(fromText(given, n.shape))
	} else if secret && a.file.shared && given != "" {
		a.file.warn(n, path, "the secret stands in a file that every user of this machine may read", "chmod 0600 the file, or write file:PATH or env:NAME instead of the secret")
	}
}

// become takes over a value and keeps the place.
func (n *node) become(v *node) {
	n.kind, n.scalar, n.source, n.items, n.fields = v.kind, v.scalar, v.source, v.items, v.fields
	n.inherit(n.origin, n.line, n.column)
}

func (n *node) inherit(origin string, line, column int) {
	n.origin, n.line, n.column = origin, line, column
	for _, item := range n.items {
		item.inherit(origin, line, column)
	}
	for _, f := range n.fields {
		f.value.inherit(origin, line, column)
	}
}

// normalise writes a value as its schema spells it: allowed texts in their
// spelling, true and 1 as text where only the text is allowed, and lengths of
// time in the units that every reader knows.
func normalise(n *node) {
	if n.broken || n.kind == kindNull || n.kind == kindList || n.kind == kindMap {
		return
	}
	if text := n.text(); n.kind == kindText && n.shape.duration() {
		if d, err := timespan.Parse(text); err == nil {
			n.scalar = d.String()
		}
		return
	}
	written := n.text()
	if n.kind != kindText {
		if !slices.Equal(n.shape.types(), []string{"string"}) {
			return
		}
		written = n.source
	}
	for _, allowed := range n.shape.enum() {
		if fold(allowed) == fold(written) {
			n.kind, n.scalar = kindText, allowed
			return
		}
	}
}

// fromText reads a text as the type that its schema wants. What does not fit
// stays text, for the schema to refuse.
func fromText(text string, sh shape) *node {
	types := sh.types()
	wants := func(name string) bool { return slices.Contains(types, name) }
	trimmed := strings.TrimSpace(text)
	asText := &node{kind: kindText, scalar: text, source: text}
	switch {
	case wants("array"):
		if n := yamlValue(trimmed, kindList); n != nil {
			return n
		}
		if wants("string") && !strings.Contains(text, ",") {
			return asText
		}
		list := &node{kind: kindList}
		for item := range strings.SplitSeq(text, ",") {
			if item = strings.TrimSpace(item); item != "" {
				list.items = append(list.items, fromText(item, sh.element()))
			}
		}
		return list
	case wants("object"):
		if sh.secret() && wants("string") {
			return asText // its owner reads the document
		}
		if n := yamlValue(trimmed, kindMap); n != nil {
			return n
		}
		return asText
	case wants("string"):
		return asText
	}
	if wants("boolean") {
		if v, ok := boolean(trimmed); ok {
			return &node{kind: kindBool, scalar: v, source: trimmed}
		}
	}
	if wants("integer") || wants("number") {
		if v, err := strconv.ParseInt(trimmed, 10, 64); err == nil {
			return &node{kind: kindNumber, scalar: v, source: trimmed}
		}
		if v := yamlValue(trimmed, kindNumber); v != nil {
			return v
		}
	}
	return asText
}

func boolean(text string) (value, ok bool) {
	switch fold(text) {
	case "true", "yes", "on", "1":
		return true, true
	case "false", "no", "off", "0":
		return false, true
	}
	return false, false
}

// yamlValue reads a text as a YAML value of one kind, or gives nil.
func yamlValue(text string, want nodeKind) *node {
	var document yaml.Node
	if err := yaml.Unmarshal([]byte(text), &document); err != nil || len(document.Content) == 0 {
		return nil
	}
	b := builder{open: map[*yaml.Node]bool{}}
	n := b.build(document.Content[0], "", 0)
	if n.kind != want || len(b.problems) > 0 {
		return nil
	}
	return n
}

// remedyOf says what a key is for, for whoever has to fill it in.
func remedyOf(sh shape) string {
	if doc := sh.description(); doc != "" {
		return "add it (" + strings.TrimSuffix(doc, ".") + ")"
	}
	return "add it"
}

// typeWords says a JSON type in people's words.
func typeWords(name string) string {
	switch name {
	case "string":
		return "text"
	case "boolean":
		return "true or false"
	case "integer":
		return "a whole number"
	case "number":
		return "a number"
	case "array":
		return "a list"
	case "object":
		return "a section with keys of its own"
	case "null":
		return "empty"
	default:
		return fmt.Sprintf("a %s", name)
	}
}
