package config

import (
	"encoding/json"
	"fmt"
	"log/slog"
	"slices"
	"time"
)

// Block is the configuration of one plugin.
type Block struct {
	JSON        json.RawMessage // the plugin's own keys, with secrets: never to be logged
	Timeout     time.Duration   // of one look-up; never zero
	Concurrency int             // look-ups at once; at least 1
	SHA256      string          // of the program of an external plugin, in lower case; "" when not pinned
	Enabled     bool
}

// Format implements [fmt.Formatter], so that no verb shows the plugin's keys.
func (b Block) Format(s fmt.State, _ rune) {
	_, _ = fmt.Fprintf(s, "{JSON:%s Timeout:%s Concurrency:%d SHA256:%s Enabled:%t}", redacted, b.Timeout, b.Concurrency, b.SHA256, b.Enabled)
}

// LogValue implements [slog.LogValuer].
func (b Block) LogValue() slog.Value { return slog.StringValue(fmt.Sprint(b)) }

// Plugin gives the block of a plugin or transform as its schema describes it:
// keys in the schema's spelling, references resolved, environment variables
// applied, the host's keys taken out. A name without a block gives an empty one,
// and [Problems] if the schema requires a key. Of a plugin that is not enabled
// only the host's keys are looked at.
func (f *File) Plugin(name string, schema []byte) (Block, error) {
	b := f.block(name)
	if b == nil {
		b = &block{name: fold(name), node: &node{kind: kindMap, line: f.root.line, column: f.root.column}}
	}
	own, err := f.schemas.get(name, schema)
	if err != nil {
		return Block{}, err
	}
	e, err := f.open(b, own, false)
	if err != nil {
		return Block{}, err
	}
	made := e.block(f.settings.DefaultTimeout)
	if !made.Enabled {
		made.JSON = json.RawMessage("{}")
		return made, e.problems.orNil()
	}
	e.applyOwn()
	if err := e.problems.orNil(); err != nil {
		return Block{}, err
	}
	made.JSON, err = json.Marshal(e.own.plain())
	return made, err
}

// Practices gives the section practices as its schema describes it, as JSON.
func (f *File) Practices(schema []byte) (json.RawMessage, error) {
	s, err := f.schemas.get("practices", schema)
	if err != nil {
		return nil, err
	}
	a := &applier{file: f}
	applied := a.apply(f.practice, s.shape(), "practices", false)
	checker{applier: a, root: applied, path: "practices"}.validate(s)
	if err := a.problems.orNil(); err != nil {
		return nil, err
	}
	return json.Marshal(applied.plain())
}

// Check reports everything that is wrong with the plugins' blocks and the
// practices. The schemas are those of every plugin and transform there is; a
// block of another name is a problem.
func (f *File) Check(schemas map[string][]byte, practices []byte) error {
	var problems Problems
	names := make([]string, 0, len(schemas))
	for name := range schemas {
		names = append(names, name)
	}
	slices.Sort(names)
	for _, b := range f.blocks {
		at := slices.IndexFunc(names, func(n string) bool { return fold(n) == b.name })
		if at < 0 {
			problems = append(problems, f.noPlugin(b, names)...)
			continue
		}
		if _, err := f.Plugin(b.name, schemas[names[at]]); err != nil {
			problems = append(problems, f.asProblems(b.name, err)...)
		}
	}
	if _, err := f.Practices(practices); err != nil {
		problems = append(problems, f.asProblems("practices", err)...)
	}
	return problems.orNil()
}

func (f *File) noPlugin(b *block, names []string) Problems {
	if !f.enabled(b) {
		return nil
	}
	a := &applier{file: f}
	path := join("plugins", b.name)
	at := &node{origin: b.node.origin}
	at.line, at.column = f.Locate(path)
	suggestion := didYouMean(b.name, names)
	if suggestion == "" {
		suggestion = "a plugin that does not come with Posture must be in plugin_dir"
	}
	a.report(at, path, "there is no such plugin", suggestion)
	return a.problems
}

// asProblems keeps problems, and makes one of an error that is about a schema.
func (f *File) asProblems(name string, err error) Problems {
	if p, ok := err.(Problems); ok { //nolint:errorlint // returned bare
		return p
	}
	return Problems{{File: f.name, Path: name, Message: err.Error()}}
}

// entry is a plugin's block while the schemas are applied to it: the host's keys
// at once, the plugin's own when they are needed.
type entry struct {
	applier

	name       string
	hosts, own *node
	hostSchema *schema
	ownSchema  *schema
	given      *node // the plugin's own keys as they were given
}

// open divides a block and applies the schema of the host's keys. A key of the
// host that the plugin's schema names as well goes to both.
func (f *File) open(b *block, own *schema, show bool) (*entry, error) {
	hosts, err := f.tableSchema(hostKeys())
	if err != nil {
		return nil, err
	}
	e := &entry{applier: applier{file: f, show: show}, name: b.name, hostSchema: hosts, ownSchema: own}
	merged := e.overlay(b.node, b.variables, hosts.shape(), own.shape())
	host, rest := *merged, *merged
	host.fields, rest.fields = nil, nil
	for _, field := range merged.fields {
		_, _, byHost := hosts.shape().property(field.key)
		_, _, byPlugin := own.shape().property(field.key)
		if byHost == named {
			host.fields = append(host.fields, field)
		}
		if byHost != named || byPlugin == named {
			rest.fields = append(rest.fields, field)
		}
	}
	e.given = &rest
	e.hosts = e.apply(&host, hosts.shape(), e.path(), false)
	checker{applier: &e.applier, root: e.hosts, path: e.path()}.validate(hosts)
	return e, nil
}

func (e *entry) path() string { return join("plugins", e.name) }

// applyOwn applies the plugin's own schema.
func (e *entry) applyOwn() {
	e.own = e.apply(e.given, e.ownSchema.shape(), e.path(), false)
	checker{
		applier: &e.applier, root: e.own, path: e.path(), extra: e.hostSchema.shape().properties(),
		env: pluginPrefix + variableName(e.name) + "_",
	}.validate(e.ownSchema)
}

// block reads the host's keys.
func (e *entry) block(defaultTimeout time.Duration) Block {
	r := reader{n: e.hosts, shape: e.hostSchema.shape()}
	made := Block{
		Timeout: r.limit("TIMEOUT"), Concurrency: r.integer("CONCURRENCY"),
		SHA256: fold(r.text("SHA256")), Enabled: r.boolean("ENABLED"),
	}
	if made.Timeout == 0 {
		made.Timeout = defaultTimeout
	}
	return made
}

// enabled reports whether a plugin is used, as far as its block can be read.
func (f *File) enabled(b *block) bool {
	nothing, err := f.schemas.get(b.name, nil)
	if err != nil {
		return true
	}
	e, err := f.open(b, nothing, false)
	return err != nil || e.block(0).Enabled
}
