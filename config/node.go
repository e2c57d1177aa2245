package config

import (
	"strconv"
	"strings"
)

// nodeKind is what sort of value a node is.
type nodeKind uint8

const (
	kindNull nodeKind = iota
	kindBool
	kindNumber
	kindText
	kindList
	kindMap
)

// node is a value of the configuration with the place that it came from. Aliases
// and merges of the YAML text are resolved in it.
type node struct {
	kind   nodeKind
	line   int // zero when it does not come from the file
	column int
	origin string // the environment variable that it comes from
	scalar any    // bool, int, int64, uint64, float64 or string
	source string // a scalar as it was written
	items  []*node
	fields []field

	// What applying a schema adds.
	shape     shape
	reference string // file:… or env:… that the value came from
	broken    bool   // already reported; what a schema says about it is noise
}

// field is one key of a mapping.
type field struct {
	key          string
	line, column int
	value        *node
	undeclared   bool // no schema knows the key, so its value may be a secret
}

// fold makes keys comparable without case.
func fold(key string) string { return strings.ToLower(key) }

// get finds a key without regard to case.
func (n *node) get(key string) *node {
	if n == nil {
		return nil
	}
	for _, f := range n.fields {
		if fold(f.key) == fold(key) {
			return f.value
		}
	}
	return nil
}

// text gives a text value, or "".
func (n *node) text() string {
	if n == nil || n.kind != kindText {
		return ""
	}
	s, _ := n.scalar.(string)
	return s
}

// plain gives the value in the form that encoding/json makes and takes.
func (n *node) plain() any {
	switch n.kind {
	case kindList:
		list := make([]any, len(n.items))
		for i, item := range n.items {
			list[i] = item.plain()
		}
		return list
	case kindMap:
		object := make(map[string]any, len(n.fields))
		for _, f := range n.fields {
			object[f.key] = f.value.plain()
		}
		return object
	default:
		return n.scalar
	}
}

// at follows the tokens of a JSON location as far as they exist, and stops at a
// secret, as what is inside it is not to be told. It gives the node reached, the
// dotted path to it, and how many tokens are left.
func (n *node) at(location []string) (reached *node, path string, left int) {
	reached = n
	for i, token := range location {
		next := reached.child(token)
		if next == nil || reached.shape.secret() {
			return reached, path, len(location) - i
		}
		reached, path = next, join(path, token)
	}
	return reached, path, 0
}

// child gives the exact key of a mapping or the position in a list.
func (n *node) child(token string) *node {
	switch n.kind {
	case kindMap:
		for _, f := range n.fields {
			if f.key == token {
				return f.value
			}
		}
	case kindList:
		if i, err := strconv.Atoi(token); err == nil && i >= 0 && i < len(n.items) {
			return n.items[i]
		}
	}
	return nil
}

func join(path, key string) string {
	if path == "" {
		return key
	}
	return path + "." + key
}

// locate walks a dotted path whose keys may themselves contain dots, preferring
// the longest key that fits, and gives the place of the innermost key that it
// reaches; found is false when not even the first exists.
func (n *node) locate(path string) (line, column int, found bool) {
	if path == "" {
		return 0, 0, false
	}
	var next *node
	var rest string
	switch n.kind {
	case kindMap:
		longest := -1
		for _, f := range n.fields {
			if hasKey(path, f.key) && len(f.key) > longest {
				longest, line, column, next, rest = len(f.key), f.line, f.column, f.value, path[len(f.key):]
			}
		}
	case kindList:
		index, _, _ := strings.Cut(path, ".")
		if next = n.child(index); next != nil {
			line, column, rest = next.line, next.column, path[len(index):]
		}
	}
	if next == nil {
		return 0, 0, false
	}
	if l, c, ok := next.locate(strings.TrimPrefix(rest, ".")); ok {
		return l, c, true
	}
	return line, column, true
}

func hasKey(path, key string) bool {
	return len(path) >= len(key) && fold(path[:len(key)]) == fold(key) && (len(path) == len(key) || path[len(key)] == '.')
}
