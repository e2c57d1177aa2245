package config

import (
	"errors"
	"fmt"
	"math/big"
	"slices"
	"strconv"
	"strings"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"github.com/santhosh-tekuri/jsonschema/v6/kind"

	"github.com/postureproject/posture/timespan"
)

// checker turns what a schema finds wrong into problems.
type checker struct {
	*applier
	root  *node
	path  string   // of the root
	extra []string // keys that are known at the root beside the schema's
	env   string   // what comes before a key in an environment variable
}

// validate reports everything that s finds wrong with an applied block.
func (c checker) validate(s *schema) {
	err := s.compiled.Validate(c.root.plain())
	var invalid *jsonschema.ValidationError
	if errors.As(err, &invalid) {
		c.explain(invalid)
	} else if err != nil {
		c.report(c.root, c.path, "the block cannot be checked", "")
	}
}

// explain reports the leaves of an error.
func (c checker) explain(e *jsonschema.ValidationError) {
	switch e.ErrorKind.(type) {
	case *kind.AnyOf, *kind.OneOf:
		c.alternatives(e)
		return
	case *kind.PropertyNames:
		c.misnamed(c.root, c.path)
		return
	}
	if len(e.Causes) == 0 {
		c.leaf(e.InstanceLocation, e.ErrorKind)
		return
	}
	for _, cause := range e.Causes {
		c.explain(cause)
	}
}

// alternatives reports why none of several forms fits: the types that would have
// fitted, or what is wrong with the one whose type does fit.
func (c checker) alternatives(e *jsonschema.ValidationError) {
	mismatch := &kind.Type{}
	for _, cause := range e.Causes {
		t := typeMismatch(cause, len(e.InstanceLocation))
		if t == nil {
			c.explain(cause)
			return
		}
		mismatch.Got, mismatch.Want = t.Got, append(mismatch.Want, t.Want...)
	}
	if len(e.Causes) == 0 {
		c.leaf(e.InstanceLocation, e.ErrorKind)
		return
	}
	c.leaf(e.InstanceLocation, mismatch)
}

// typeMismatch finds that a whole alternative is of another type.
func typeMismatch(e *jsonschema.ValidationError, depth int) *kind.Type {
	if t, ok := e.ErrorKind.(*kind.Type); ok && len(e.InstanceLocation) == depth {
		return t
	}
	for _, cause := range e.Causes {
		if t := typeMismatch(cause, depth); t != nil {
			return t
		}
	}
	return nil
}

func (c checker) leaf(location []string, k jsonschema.ErrorKind) {
	n, inner, left := c.root.at(location)
	if n.broken {
		return
	}
	path := c.path
	if inner != "" {
		path = join(c.path, inner)
	}
	secret := n.shape.secret()
	if left > 0 && secret {
		c.report(n, path, "does not have the form that is expected", exampleOf(n, secret))
		return
	}
	switch k := k.(type) {
	case *kind.AdditionalProperties:
		for _, key := range k.Properties {
			c.unknown(n, path, key, inner == "")
		}
	case *kind.Required:
		for _, key := range k.Missing {
			if misspelt(n, key) {
				continue
			}
			_, of, _ := n.shape.property(key)
			c.report(n, join(path, key), "the key is required", remedyOf(of))
		}
	default:
		message, suggestion := describe(n, k, secret)
		c.report(n, path, message, suggestion)
	}
}

// misspelt reports whether a key is there in a spelling that is reported as
// unknown with the right one beside it.
func misspelt(n *node, key string) bool {
	return slices.ContainsFunc(n.fields, func(f field) bool {
		return f.undeclared && nearest(f.key, n.shape.properties()) == key
	})
}

// misnamed reports the keys, from n down, whose form their mapping does not allow.
// They are looked for anew, as the library's place of such an error may be wrong.
func (c checker) misnamed(n *node, path string) {
	if n.broken || n.shape.secret() {
		return
	}
	for i, item := range n.items {
		c.misnamed(item, join(path, strconv.Itoa(i)))
	}
	for _, f := range n.fields {
		c.misnamed(f.value, join(path, f.key))
		if n.shape.allowsKey(f.key) {
			continue
		}
		at := &node{line: f.line, column: f.column, origin: f.value.origin}
		if names := n.shape.keyNames(); len(names) > 0 {
			c.report(at, join(path, f.key), "unknown key", unknownRemedy(f.key, names))
		} else {
			c.report(at, join(path, f.key), "the key does not have the form that is expected", "compare with posture config example")
		}
	}
}

// unknown reports a key that a mapping does not have.
func (c checker) unknown(n *node, path, key string, top bool) {
	known := n.shape.properties()
	if top {
		known = append(known, c.extra...)
	}
	for _, f := range n.fields {
		if f.key != key {
			continue
		}
		if origin := f.value.origin; origin != "" && top {
			c.report(f.value, "", "unknown key", variableRemedy(c.env, nearest(key, known)))
			return
		}
		at := &node{line: f.line, column: f.column, origin: f.value.origin}
		c.report(at, join(path, key), "unknown key", unknownRemedy(key, known))
	}
}

func variableRemedy(prefix, name string) string {
	if name == "" {
		return "posture config example lists the keys"
	}
	return "did you mean " + prefix + strings.ToUpper(name) + "?"
}

// unknownRemedy names the key that was probably meant, or all when they are few.
func unknownRemedy(key string, known []string) string {
	if s := didYouMean(key, known); s != "" {
		return s
	}
	const few = 12
	switch {
	case len(known) == 0:
		return "remove it"
	case len(known) <= few:
		return "the keys are " + strings.Join(known, ", ")
	default:
		return "posture config example lists the keys"
	}
}

// describe says what is wrong with a value and what to write instead, without
// showing it.
func describe(n *node, k jsonschema.ErrorKind, secret bool) (message, suggestion string) {
	switch k := k.(type) {
	case *kind.Type:
		return describeType(k)
	case *kind.Enum:
		allowed := words(k.Want)
		message = "must be one of " + strings.Join(allowed, ", ")
		if len(allowed) == 1 {
			message = "must be " + allowed[0]
		}
		if !secret && n.kind == kindText {
			suggestion = didYouMean(n.text(), allowed)
		}
		return message, suggestion
	case *kind.Const:
		return "must be " + fmt.Sprint(k.Want), ""
	case *kind.Format:
		if k.Want == durationFormat {
			return "is not a length of time", timespan.ErrForm.Error()
		}
		return "is not a valid " + k.Want, exampleOf(n, secret)
	case *kind.Pattern:
		return "must match the pattern " + k.Want, exampleOf(n, secret)
	case *kind.MinLength:
		return fmt.Sprintf("is too short: at least %d characters are needed", k.Want), ""
	case *kind.MaxLength:
		return fmt.Sprintf("is too long: at most %d characters are allowed", k.Want), ""
	case *kind.MinItems:
		return fmt.Sprintf("must have at least %d entries", k.Want), ""
	case *kind.MaxItems:
		return fmt.Sprintf("must have at most %d entries", k.Want), ""
	case *kind.UniqueItems:
		return fmt.Sprintf("has the same entry twice, at %d and %d", k.Duplicates[0], k.Duplicates[1]), "remove one of them"
	case *kind.Minimum:
		return "must be at least " + number(k.Want), ""
	case *kind.ExclusiveMinimum:
		return "must be more than " + number(k.Want), ""
	case *kind.Maximum:
		return "must be at most " + number(k.Want), ""
	case *kind.ExclusiveMaximum:
		return "must be less than " + number(k.Want), ""
	default:
		return "is not what is expected here (" + strings.Join(k.KeywordPath(), " ") + ")", exampleOf(n, secret)
	}
}

func describeType(k *kind.Type) (message, suggestion string) {
	var wanted []string
	for _, name := range []string{"string", "integer", "number", "boolean", "array", "object", "null"} {
		if slices.Contains(k.Want, name) {
			wanted = append(wanted, name)
		}
	}
	said := make([]string, len(wanted))
	for i, w := range wanted {
		said[i] = typeWords(w)
	}
	got := typeWords(k.Got)
	if k.Got == "boolean" {
		got = "true or false without quotes"
	}
	message = "must be " + strings.Join(said, " or ") + ", not " + got
	wants := func(name string) bool { return slices.Contains(wanted, name) }
	scalar := k.Got == "number" || k.Got == "integer" || k.Got == "boolean"
	switch {
	case wants("string") && scalar:
		suggestion = "put it in quotes"
	case wants("array") && (scalar || k.Got == "string"):
		suggestion = "write it as a list: [first, second]"
	case wants("boolean") && k.Got == "string":
		suggestion = "write true or false, without quotes"
	case (wants("integer") || wants("number")) && k.Got == "string":
		suggestion = "write digits, without quotes"
	case wants("string") && (k.Got == "object" || k.Got == "array"):
		suggestion = "put it in quotes if it is one text that contains `: ` or starts with [ or {"
	case k.Got == "null":
		suggestion = "give a value or remove the key"
	}
	return message, suggestion
}

func words(values []any) []string {
	said := make([]string, 0, len(values))
	for _, v := range values {
		if v != nil {
			said = append(said, fmt.Sprint(v))
		}
	}
	return said
}

func number(r *big.Rat) string {
	if r.IsInt() {
		return r.Num().String()
	}
	return r.FloatString(3)
}

func exampleOf(n *node, secret bool) string {
	if v, ok := n.shape.example(); ok && !secret {
		return "such as " + fmt.Sprint(v)
	}
	return ""
}
