package config

import (
	"bytes"
	"errors"
	"fmt"
	"io"
	"math"
	"unicode/utf8"

	"go.yaml.in/yaml/v3"
)

// The bounds of a configuration file. They are far above any honest one.
const (
	maxBytes = 1 << 20
	maxNodes = 50_000 // after aliases are put in place
	maxDepth = 64
)

// readYAML reads the one document of a file. It gives nil and the problems when
// the text is not a mapping; else the tree, and the problems inside it.
func readYAML(name string, data []byte) (*node, Problems) {
	fail := func(line, column int, message, suggestion string) (*node, Problems) {
		return nil, Problems{{File: name, Line: line, Column: column, Message: message, Suggestion: suggestion}}
	}
	if len(data) > maxBytes {
		return fail(0, 0, "the file is larger than 1 MiB", "name the configuration file; data such as device exports belong into files of their own")
	}
	if line, column, bad := badText(data); bad {
		return fail(line, column, "the file is not UTF-8 text", "save it as UTF-8")
	}
	decoder := yaml.NewDecoder(bytes.NewReader(data))
	var document yaml.Node
	err := decoder.Decode(&document)
	if errors.Is(err, io.EOF) {
		return &node{kind: kindMap, line: 1, column: 1}, nil
	}
	if err != nil {
		return nil, Problems{syntaxProblem(name, data, err)}
	}
	var second yaml.Node
	if err := decoder.Decode(&second); err == nil {
		return fail(second.Line, second.Column, "the file holds more than one YAML document", "remove the line --- and keep one document")
	} else if !errors.Is(err, io.EOF) {
		return nil, Problems{syntaxProblem(name, data, err)}
	}
	b := builder{file: name, open: map[*yaml.Node]bool{}}
	root := b.build(document.Content[0], "", 0)
	switch {
	case root.kind == kindNull && len(b.problems) == 0:
		return &node{kind: kindMap, line: 1, column: 1}, nil
	case root.kind != kindMap && len(b.problems) == 0:
		return fail(root.line, root.column, "the file must consist of lines such as `listen: 127.0.0.1:5000`", "posture config example prints a complete one")
	case root.kind != kindMap:
		return nil, b.problems
	}
	return root, b.problems
}

// badText finds the first byte that is not UTF-8, or is NUL.
func badText(data []byte) (line, column int, bad bool) {
	line, column = 1, 1
	for i := 0; i < len(data); {
		r, size := utf8.DecodeRune(data[i:])
		if r == 0 || r == utf8.RuneError && size == 1 {
			return line, column, true
		}
		column++
		if r == '\n' {
			line, column = line+1, 1
		}
		i += size
	}
	return 0, 0, false
}

// builder turns the YAML library's tree into ours.
type builder struct {
	file     string
	nodes    int
	open     map[*yaml.Node]bool // being built, to find an alias within its own anchor
	problems Problems
}

func (b *builder) problem(y *yaml.Node, path, message, suggestion string) {
	b.problems = append(b.problems, Problem{File: b.file, Line: y.Line, Column: y.Column, Path: path, Message: message, Suggestion: suggestion})
}

// refuse reports a value and stands in for it.
func (b *builder) refuse(y *yaml.Node, path, message, suggestion string) *node {
	b.problem(y, path, message, suggestion)
	return &node{line: y.Line, column: y.Column, broken: true}
}

func (b *builder) build(y *yaml.Node, path string, depth int) *node {
	if b.nodes++; b.nodes > maxNodes {
		if b.nodes == maxNodes+1 {
			b.problem(y, "", fmt.Sprintf("the file holds more than %d values, counting those that aliases repeat", maxNodes), "write it with fewer aliases")
		}
		return &node{line: y.Line, column: y.Column, broken: true}
	}
	if depth > maxDepth {
		return b.refuse(y, path, fmt.Sprintf("values are nested more than %d deep", maxDepth), "")
	}
	if b.open[y] {
		return b.refuse(y, path, "an alias refers to a value that contains it", "remove the alias")
	}
	b.open[y] = true
	defer delete(b.open, y)
	switch y.Kind {
	case yaml.AliasNode:
		return b.build(y.Alias, path, depth+1)
	case yaml.SequenceNode:
		n := &node{kind: kindList, line: y.Line, column: y.Column}
		for i, item := range y.Content {
			n.items = append(n.items, b.build(item, join(path, fmt.Sprint(i)), depth+1))
		}
		return n
	case yaml.MappingNode:
		return b.mapping(y, path, depth)
	default:
		return b.scalar(y, path)
	}
}

func (b *builder) mapping(y *yaml.Node, path string, depth int) *node {
	n := &node{kind: kindMap, line: y.Line, column: y.Column}
	seen := map[string]field{}
	var merges []*yaml.Node
	for i := 0; i+1 < len(y.Content); i += 2 {
		k, v := y.Content[i], y.Content[i+1]
		if k.Kind == yaml.ScalarNode && k.ShortTag() == "!!merge" {
			merges = append(merges, v)
			continue
		}
		if k.Kind == yaml.AliasNode {
			k = k.Alias
		}
		if k.Kind != yaml.ScalarNode {
			b.problem(y.Content[i], path, "a key must be plain text", "put a value that starts with [ or { in quotes")
			continue
		}
		if k.Value == "" {
			b.problem(y.Content[i], path, "a key is empty", "write the key before the colon")
			continue
		}
		f := field{key: k.Value, line: y.Content[i].Line, column: y.Content[i].Column}
		if first, twice := seen[fold(f.key)]; twice {
			b.duplicate(path, f, first)
			continue
		}
		seen[fold(f.key)] = f
		f.value = b.build(v, join(path, f.key), depth+1)
		n.fields = append(n.fields, f)
	}
	for _, m := range merges {
		b.merge(n, m, path, depth, seen)
	}
	return n
}

func (b *builder) duplicate(path string, f, first field) {
	message := fmt.Sprintf("the key is given twice, first in line %d", first.line)
	if f.key != first.key {
		message = fmt.Sprintf("the key is given twice, first as %s in line %d; keys are the same in upper and lower case", first.key, first.line)
	}
	b.problems = append(b.problems, Problem{
		File: b.file, Line: f.line, Column: f.column, Path: join(path, f.key), Message: message, Suggestion: "remove one of them",
	})
}

// merge adds the keys of a `<<` value that the mapping does not have already.
func (b *builder) merge(n *node, y *yaml.Node, path string, depth int, seen map[string]field) {
	from := b.build(y, path, depth+1)
	sources := []*node{from}
	if from.kind == kindList {
		sources = from.items
	}
	for _, s := range sources {
		if s.kind != kindMap {
			if !s.broken {
				b.problem(y, path, "<< must be followed by an alias of a mapping, or a list of them", "")
			}
			continue
		}
		for _, f := range s.fields {
			if _, have := seen[fold(f.key)]; !have {
				seen[fold(f.key)] = f
				n.fields = append(n.fields, f)
			}
		}
	}
}

func (b *builder) scalar(y *yaml.Node, path string) *node {
	n := &node{line: y.Line, column: y.Column, source: y.Value}
	tag := y.ShortTag()
	switch tag {
	case "!!null":
		return n
	case "!!str", "!!timestamp", "!!merge":
		n.kind, n.scalar = kindText, y.Value
		return n
	case "!!bool", "!!int", "!!float":
	default:
		return b.refuse(y, path, "a value that starts with ! is a YAML tag, and tags have no meaning here", "put the value in quotes")
	}
	if err := y.Decode(&n.scalar); err != nil {
		return b.refuse(y, path, "the value does not fit its YAML tag", "remove the tag that starts with !!")
	}
	switch v := n.scalar.(type) {
	case bool:
		n.kind = kindBool
	case float64:
		if math.IsInf(v, 0) || math.IsNaN(v) {
			return b.refuse(y, path, "the value is not a finite number", "put it in quotes if it is text")
		}
		n.kind = kindNumber
	default:
		n.kind = kindNumber
	}
	return n
}
