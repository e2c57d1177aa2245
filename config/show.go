package config

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"strings"

	"go.yaml.in/yaml/v3"
)

// Show gives the configuration that is in force as YAML: what the file and the
// environment set, and the defaults for the rest, each marked with where it comes
// from when that is not the file. Secrets, values that came by a reference, and
// everything that no schema describes read "[redacted]". The schemas are those of
// the plugins and transforms by name; without one, all values of a block are
// redacted. What is wrong with a block does not keep it from being shown.
func (f *File) Show(schemas map[string][]byte, practices []byte) ([]byte, error) {
	document := &yaml.Node{Kind: yaml.MappingNode}
	if err := f.showTop(document); err != nil {
		return nil, err
	}
	plugins := &yaml.Node{Kind: yaml.MappingNode}
	for _, b := range f.blocks {
		shown, err := f.showPlugin(b, schemas)
		if err != nil {
			return nil, err
		}
		plugins.Content = append(plugins.Content, scalarYAML(b.name), shown)
	}
	document.Content = append(document.Content, scalarYAML("plugins"), plugins)

	s, err := f.schemas.get("practices", practices)
	if err != nil {
		return nil, err
	}
	a := &applier{file: f, show: true}
	applied := a.apply(f.practice, s.shape(), "practices", false)
	document.Content = append(document.Content, scalarYAML("practices"), showNode(applied))

	var out bytes.Buffer
	encoder := yaml.NewEncoder(&out)
	encoder.SetIndent(2)
	if err := encoder.Encode(document); err != nil {
		return nil, err
	}
	return out.Bytes(), encoder.Close()
}

func (f *File) showTop(document *yaml.Node) error {
	s, err := f.tableSchema(topLevel())
	if err != nil {
		return err
	}
	settled := map[string]any{ // defaults that depend on the rest or on the machine
		"state_dir":         f.settings.StateDir,
		"device_transforms": anyList(f.settings.DeviceTransforms),
		"event_transforms":  anyList(f.settings.EventTransforms),
	}
	showOrdered(document, f.top, s.shape(), settled)
	return nil
}

func anyList(texts []string) []any {
	values := make([]any, len(texts))
	for i, t := range texts {
		values[i] = t
	}
	return values
}

func (f *File) showPlugin(b *block, schemas map[string][]byte) (*yaml.Node, error) {
	var raw []byte
	for name, of := range schemas {
		if fold(name) == b.name {
			raw = of
		}
	}
	own, err := f.schemas.get(b.name, raw)
	if err != nil {
		if own, err = f.schemas.get(b.name, nil); err != nil {
			return nil, err
		}
	}
	e, err := f.open(b, own, true)
	if err != nil {
		return nil, err
	}
	e.applyOwn()
	made := &yaml.Node{Kind: yaml.MappingNode}
	showOrdered(made, e.own, e.ownSchema.shape(), nil)
	showOrdered(made, e.hosts, e.hostSchema.shape(), map[string]any{"TIMEOUT": f.settings.DefaultTimeout.String()})
	return made, nil
}

// showOrdered adds the keys that a schema names, in its order, set or by default,
// and then what else is set. A key that is there already stays.
func showOrdered(to *yaml.Node, n *node, sh shape, settled map[string]any) {
	for _, key := range sh.properties() {
		_, of, _ := sh.property(key)
		if len(of.properties()) > 0 {
			showSection(to, key, n.child(key), of)
			continue
		}
		v, known := of.lookup("default")
		if s, ok := settled[key]; ok {
			v, known = s, true
		}
		if set := n.child(key); set != nil {
			showField(to, field{key: key, value: set})
		} else if known && !of.secret() && !hasYAML(to, key) {
			to.Content = append(to.Content, scalarYAML(key), remark(valueYAML(v), "default"))
		}
	}
	for _, f := range n.fields {
		showField(to, f)
	}
}

// showSection adds a section with its defaults, unless it has none and is empty.
func showSection(to *yaml.Node, key string, n *node, sh shape) {
	if n == nil || n.kind != kindMap {
		n = &node{kind: kindMap}
	}
	made := &yaml.Node{Kind: yaml.MappingNode}
	showOrdered(made, n, sh, nil)
	if len(made.Content) > 0 && !hasYAML(to, key) {
		to.Content = append(to.Content, scalarYAML(key), made)
	}
}

func showField(to *yaml.Node, f field) {
	if hasYAML(to, f.key) {
		return
	}
	value := showNode(f.value)
	if f.undeclared {
		value = scalarYAML(redacted)
	}
	to.Content = append(to.Content, scalarYAML(f.key), value)
}

func hasYAML(mapping *yaml.Node, key string) bool {
	for i := 0; i < len(mapping.Content); i += 2 {
		if fold(mapping.Content[i].Value) == fold(key) {
			return true
		}
	}
	return false
}

// showNode gives a value without what may not be seen.
func showNode(n *node) *yaml.Node {
	switch {
	case n.reference != "":
		return remark(scalarYAML(redacted), "from "+oneLine(n.reference))
	case n.shape.secret():
		return remarkOrigin(scalarYAML(redacted), n)
	}
	var made *yaml.Node
	switch n.kind {
	case kindMap:
		made = &yaml.Node{Kind: yaml.MappingNode}
		for _, f := range n.fields {
			showField(made, f)
		}
	case kindList:
		made = &yaml.Node{Kind: yaml.SequenceNode}
		for _, item := range n.items {
			made.Content = append(made.Content, showNode(item))
		}
		flowWhenPlain(made)
	case kindText:
		made = scalarYAML(n.written())
	default:
		made = scalarYAML(n.scalar)
	}
	return remarkOrigin(made, n)
}

// written gives a text as one would write it.
func (n *node) written() string {
	text := n.text()
	switch {
	case n.shape.duration() && n.source != "":
		return n.source
	case isReference(text) || strings.HasPrefix(text, literalPrefix):
		return literalPrefix + text
	default:
		return text
	}
}

// flowWhenPlain writes a list of scalars in one line.
func flowWhenPlain(list *yaml.Node) {
	for _, item := range list.Content {
		if item.Kind != yaml.ScalarNode || item.LineComment != "" || strings.Contains(item.Value, "\n") {
			return
		}
	}
	list.Style = yaml.FlowStyle
}

func remarkOrigin(y *yaml.Node, n *node) *yaml.Node {
	if n.origin == "" {
		return y
	}
	return remark(y, "from "+oneLine(n.origin))
}

// remark adds a comment at the end of the line, which a list or mapping then is
// written in; what is inside it has no room for comments of its own.
func remark(y *yaml.Node, text string) *yaml.Node {
	inOneLine(y)
	y.LineComment = "# " + text
	return y
}

func inOneLine(y *yaml.Node) {
	y.LineComment = ""
	if y.Kind == yaml.ScalarNode {
		if strings.Contains(y.Value, "\n") {
			y.Style = yaml.DoubleQuotedStyle
		}
		return
	}
	y.Style = yaml.FlowStyle
	for _, inner := range y.Content {
		inOneLine(inner)
	}
}

// oneLine keeps a text within its line.
func oneLine(text string) string {
	if quoted := strconv.Quote(text); quoted != `"`+text+`"` {
		return quoted
	}
	return text
}

// scalarYAML gives a value that YAML reads back as the same.
func scalarYAML(v any) *yaml.Node {
	var y yaml.Node
	if err := y.Encode(v); err != nil {
		y.SetString(fmt.Sprint(v))
	}
	return &y
}

// valueYAML gives a value that encoding/json or a schema made.
func valueYAML(v any) *yaml.Node {
	switch v := v.(type) {
	case json.Number:
		if n, err := v.Int64(); err == nil {
			return scalarYAML(n)
		}
		n, _ := v.Float64()
		return scalarYAML(n)
	case []any:
		list := &yaml.Node{Kind: yaml.SequenceNode, Style: yaml.FlowStyle}
		for _, item := range v {
			list.Content = append(list.Content, valueYAML(item))
		}
		return list
	case map[string]any:
		mapping := &yaml.Node{Kind: yaml.MappingNode, Style: yaml.FlowStyle}
		for _, key := range sortedKeys(v) {
			mapping.Content = append(mapping.Content, scalarYAML(key), valueYAML(v[key]))
		}
		return mapping
	default:
		return scalarYAML(v)
	}
}
