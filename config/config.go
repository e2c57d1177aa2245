// Package config reads Posture's configuration: one YAML file, and environment
// variables over it. Keys are the same in upper and lower case. The blocks of
// plugins and practices stay raw for their owners, who hand in a JSON Schema;
// everything that is wrong is reported at once, with its place and what to do,
// and no report ever shows a value that may be a secret.
//
// A text value may be `file:PATH` (the content of the file, without its last line
// break; a relative path starts at the configuration file's folder) or `env:NAME`
// (an environment variable), so that secrets need not stand in the file.
// `literal:` before a text gives the text as it is.
//
// The package imports fault and nothing else of Posture.
package config

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"sync"

	"github.com/postureproject/posture/fault"
)

// File is a configuration that was read. It is safe for concurrent use and never
// prints a value.
type File struct {
	name     string
	dir      string // where relative paths start
	shared   bool   // every user of the machine may read it
	environ  map[string]string
	root     *node
	top      *node // the settings as their schema spells them
	blocks   []*block
	practice *node
	settings Settings
	schemas  schemas

	mu       sync.Mutex
	warnings Problems
}

// block is what is said about one plugin.
type block struct {
	name      string
	node      *node
	variables []variable
}

// Load reads the file at path, or standard input when path is "-", and the
// environment as [os.Environ] gives it over it. The names of known are those of
// plugins that environment variables may configure without a block in the file.
//
// The error is [Problems] when the content is wrong. Where the text is readable
// as YAML the File is given beside them, so that the plugins' blocks can be
// checked as well; it must not be used for anything else then.
func Load(path string, environ []string, known ...string) (*File, error) {
	if path == "-" {
		data, err := io.ReadAll(io.LimitReader(os.Stdin, maxBytes+1))
		if err != nil {
			return nil, fault.Wrap(err, "read configuration", "standard input")
		}
		return parse("standard input", data, environ, known, false)
	}
	file, err := os.Open(path) //nolint:gosec // the administrator names the file
	if err != nil {
		return nil, openError(path, err)
	}
	defer func() { _ = file.Close() }()
	info, err := file.Stat()
	if err != nil {
		return nil, openError(path, err)
	}
	if info.IsDir() {
		return nil, openError(path, fmt.Errorf("it is a folder"))
	}
	data, err := io.ReadAll(io.LimitReader(file, maxBytes+1))
	if err != nil {
		return nil, openError(path, err)
	}
	return parse(path, data, environ, known, info.Mode().IsRegular() && info.Mode().Perm()&0o004 != 0)
}

func openError(path string, err error) error {
	e := &fault.Error{
		Kind: fault.Invalid, Op: "read configuration", Subject: path,
		Remedy: "name a file that posture may read with --config", Err: err,
	}
	switch {
	case os.IsNotExist(err):
		e.Kind, e.Message, e.Err = fault.NotFound, "the file does not exist", nil
		e.Remedy = "name another with --config, or make one: posture config example > " + path
	case os.IsPermission(err):
		e.Kind, e.Message, e.Err = fault.Forbidden, "posture is not allowed to read the file", nil
		e.Remedy = "let the user that runs posture read it"
	}
	return e
}

// Parse reads a configuration from data, as [Load] does. The name is that of the
// file in problems, and its folder is where relative paths start.
func Parse(name string, data []byte, environ []string, known ...string) (*File, error) {
	return parse(name, data, environ, known, false)
}

func parse(name string, data []byte, environ, known []string, shared bool) (*File, error) {
	f := &File{name: name, dir: filepath.Dir(name), shared: shared, environ: environMap(environ)}
	root, problems := readYAML(name, data)
	if root == nil {
		return nil, problems.orNil()
	}
	f.root = root
	rest := *root
	rest.fields = nil
	for _, section := range root.fields {
		switch fold(section.key) {
		case "plugins":
			problems = append(problems, f.readBlocks(section)...)
		case "practices":
			problems = append(problems, f.readPractices(section)...)
		default:
			rest.fields = append(rest.fields, section)
		}
	}
	if f.practice == nil {
		f.practice = &node{kind: kindMap}
	}
	variables, more := f.assign(known)
	problems = append(problems, more...)
	problems = append(problems, f.readSettings(&rest, variables)...)
	return f, problems.orNil()
}

// pluginName is what a plugin may be called.
const pluginName = `^[A-Za-z][A-Za-z0-9_.-]*$`

func (f *File) readBlocks(section field) Problems {
	a := applier{file: f}
	if section.value.kind != kindMap {
		f.mustBeSection(&a, section, "plugins", "write each plugin's name below it, and its keys below that")
		return a.problems
	}
	valid := regexp.MustCompile(pluginName)
	for _, p := range section.value.fields {
		path := join("plugins", p.key)
		if !valid.MatchString(p.key) {
			a.report(&node{line: p.line, column: p.column}, path, "this cannot be a plugin's name", "names consist of letters, digits and underscores")
			continue
		}
		b := &block{name: fold(p.key), node: p.value}
		if p.value.kind != kindMap {
			f.mustBeSection(&a, p, path, "write the plugin's keys below its name, each indented and of the form `KEY: value`")
			b.node = &node{kind: kindMap, line: p.line, column: p.column, broken: p.value.kind != kindNull}
		}
		f.blocks = append(f.blocks, b)
	}
	return a.problems
}

func (f *File) readPractices(section field) Problems {
	a := applier{file: f}
	f.practice = section.value
	if section.value.kind != kindMap {
		f.mustBeSection(&a, section, "practices", "write each practice's key below it, and its settings below that")
		f.practice = &node{kind: kindMap, line: section.line, column: section.column}
	}
	return a.problems
}

// mustBeSection reports a value where a section belongs; none at all is fine.
func (f *File) mustBeSection(a *applier, at field, path, suggestion string) {
	if at.value.kind != kindNull && !at.value.broken {
		a.report(at.value, path, "must be a section with keys of its own", suggestion)
	}
}

// block gives the block of a plugin, or nil.
func (f *File) block(name string) *block {
	at := slices.IndexFunc(f.blocks, func(b *block) bool { return b.name == fold(name) })
	if at < 0 {
		return nil
	}
	return f.blocks[at]
}

// Name gives the file's name as it is in problems.
func (f *File) Name() string { return f.name }

// Settings gives the top level, with defaults for what is not set.
func (f *File) Settings() Settings { return f.settings.clone() }

// Plugins gives the names under plugins in lower case, in the order of the file;
// after them those that only the environment configures.
func (f *File) Plugins() []string {
	names := make([]string, len(f.blocks))
	for i, b := range f.blocks {
		names[i] = b.name
	}
	return names
}

// Locate gives the place in the file of a dotted path such as
// plugins.jamf.TIMEOUT, or of the nearest key that encloses it.
func (f *File) Locate(path string) (line, column int) {
	if line, column, found := f.root.locate(path); found {
		return line, column
	}
	return f.root.line, f.root.column
}

// Warnings gives what is allowed and unwise, such as a secret in a file that
// everybody may read, as far as it has been noticed: the blocks of plugins are
// looked at when they are asked for.
func (f *File) Warnings() []Problem {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Clone(f.warnings)
}

func (f *File) warn(n *node, path, message, suggestion string) {
	a := applier{file: f}
	a.report(n, path, message, suggestion)
	f.mu.Lock()
	defer f.mu.Unlock()
	if !slices.Contains(f.warnings, a.problems[0]) {
		f.warnings = append(f.warnings, a.problems[0])
	}
}

// String names the file and nothing in it.
func (f *File) String() string { return "configuration " + f.name }

// Format implements [fmt.Formatter], so that no verb shows a value.
func (f *File) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, f.String()) }

// LogValue implements [slog.LogValuer].
func (f *File) LogValue() slog.Value { return slog.StringValue(f.String()) }
