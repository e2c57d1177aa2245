// Package scaffold writes the beginning of a source plugin that lives outside
// Posture's own repository: a Go module that builds, passes its tests, and is
// meant to be changed. It imports only the standard library and package fault.
package scaffold

import (
	"bytes"
	"embed"
	"errors"
	"fmt"
	"go/format"
	"go/token"
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"text/template"

	"github.com/postureproject/posture/fault"
)

//go:embed template/*.tmpl
var templates embed.FS

// PostureModule is the module that plugins are built with.
const PostureModule = "github.com/postureproject/posture"

// GoVersion is the Go version that a plugin's module asks for: Posture's own.
const GoVersion = "1.26.0"

// Options say what to write.
type Options struct {
	// Name is what the plugin is called in a configuration; required.
	Name string
	// Module is the plugin's module path; "example.com/posture-plugin-NAME" when
	// empty.
	Module string
	// PostureVersion is the version of Posture to require, such as "v1.2.0". When
	// it is empty the requirement is left to go get.
	PostureVersion string
	// PostureDir is a checkout of Posture to build with instead of a published
	// version; absolute, or relative to the working folder. "" for none.
	PostureDir string
}

// Check reports what is wrong with the options, as an Invalid error that names
// the fields "name", "module" and "posture-dir".
func (o Options) Check() error {
	e := &fault.Error{Kind: fault.Invalid}
	add := func(name, value, reason, remedy string) {
		e.Fields = append(e.Fields, fault.Field{Name: name, Value: value, Reason: reason, Remedy: remedy})
	}
	switch {
	case !regexp.MustCompile(`^[a-z][a-z0-9_]{0,39}$`).MatchString(o.Name):
		add("name", o.Name, "must be of lower-case letters, digits and underscores, start with a letter, and have at most 40 of them",
			"write the vendor's name, such as acme_mdm")
	case token.IsKeyword(o.Name):
		add("name", o.Name, "is a word of the Go language", "add to it, such as "+o.Name+"_mdm")
	}
	if o.Module != "" && !regexp.MustCompile(`^[A-Za-z0-9][A-Za-z0-9._~-]*(/[A-Za-z0-9._~-]+)*$`).MatchString(o.Module) {
		add("module", o.Module, "is not a module path", "write where the plugin's repository is, such as git.example.com/me/posture-plugin-acme")
	}
	if o.PostureDir != "" {
		if err := isPosture(o.PostureDir); err != nil {
			add("posture-dir", o.PostureDir, err.Error(), "name the folder that holds Posture's go.mod")
		}
	}
	if len(e.Fields) == 0 {
		return nil
	}
	return e
}

// isPosture reports why dir is not a checkout of Posture.
func isPosture(dir string) error {
	mod, err := os.ReadFile(filepath.Join(dir, "go.mod")) //nolint:gosec // the user names the folder
	if err != nil {
		return errors.New("has no go.mod that can be read")
	}
	for line := range strings.Lines(string(mod)) {
		if fields := strings.Fields(line); len(fields) == 2 && fields[0] == "module" && fields[1] == PostureModule {
			return nil
		}
	}
	return fmt.Errorf("is not the module %s", PostureModule)
}

// facts are what the templates see.
type facts struct {
	Options

	Upper     string // the prefix of environment variables
	Program   string // the executable's file name
	GoVersion string
	Posture   string // the module
}

// Write makes the folder dir, which must not exist or be empty, and gives the
// names of the files in it, sorted. When it fails halfway, what it wrote stays.
func Write(dir string, o Options) ([]string, error) {
	if err := o.Check(); err != nil {
		return nil, err
	}
	f, err := o.facts()
	if err != nil {
		return nil, err
	}
	if err := prepare(dir); err != nil {
		return nil, err
	}
	entries, err := fs.ReadDir(templates, "template")
	if err != nil {
		return nil, fault.Wrap(err, "read templates", "")
	}
	var names []string
	for _, entry := range entries {
		name := strings.TrimSuffix(entry.Name(), ".tmpl")
		if name == "gitignore" {
			name = ".gitignore"
		}
		text, err := f.render(entry.Name())
		if err != nil {
			return nil, err
		}
		if err := create(filepath.Join(dir, name), text); err != nil {
			return nil, err
		}
		names = append(names, name)
	}
	if o.PostureDir == "" {
		return names, nil
	}
	// The checkout's sums spare a build with it the network.
	sums, err := os.ReadFile(filepath.Join(f.PostureDir, "go.sum"))
	if err != nil {
		return nil, cannotWrite(err, f.PostureDir)
	}
	return append(names, "go.sum"), create(filepath.Join(dir, "go.sum"), sums)
}

func (o Options) facts() (facts, error) {
	f := facts{Options: o, Upper: strings.ToUpper(o.Name), Program: Program(o.Name), GoVersion: GoVersion, Posture: PostureModule}
	if f.Module == "" {
		f.Module = "example.com/" + f.Program
	}
	if f.PostureDir == "" {
		return f, nil
	}
	dir, err := filepath.Abs(f.PostureDir)
	if err != nil {
		return f, cannotWrite(err, f.PostureDir)
	}
	f.PostureDir = dir
	return f, nil
}

// Program is the file name by which the host finds the plugin's executable in a
// plugin folder.
func Program(name string) string { return "posture-plugin-" + name }

func (f facts) render(name string) ([]byte, error) {
	t, err := template.New(name).Option("missingkey=error").Delims("<<", ">>").ParseFS(templates, "template/"+name)
	if err != nil {
		return nil, fault.Wrap(err, "read template", name)
	}
	var out bytes.Buffer
	if err := t.Execute(&out, f); err != nil {
		return nil, fault.Wrap(err, "fill template", name)
	}
	if !strings.HasSuffix(name, ".go.tmpl") {
		return out.Bytes(), nil
	}
	// The names' lengths differ, and with them the alignment.
	formatted, err := format.Source(out.Bytes())
	if err != nil {
		return nil, fault.Wrap(err, "format template", name)
	}
	return formatted, nil
}

// prepare makes an empty folder, or takes one that is empty.
func prepare(dir string) error {
	entries, err := os.ReadDir(dir)
	switch {
	case err == nil && len(entries) > 0:
		return &fault.Error{
			Kind: fault.Conflict, Op: "write plugin", Subject: dir, Message: "the folder exists and is not empty",
			Remedy: "name another folder with --dir; nothing is ever overwritten",
		}
	case err == nil:
		return nil
	case !errors.Is(err, fs.ErrNotExist):
		return cannotWrite(err, dir)
	}
	if err := os.MkdirAll(dir, 0o755); err != nil { //nolint:gosec // source code is no secret
		return cannotWrite(err, dir)
	}
	return nil
}

// create writes a file that must not exist yet.
func create(path string, text []byte) (err error) {
	f, err := os.OpenFile(path, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o644) //nolint:gosec // source code is no secret
	if err != nil {
		return cannotWrite(err, path)
	}
	_, writeErr := f.Write(text)
	if err := errors.Join(writeErr, f.Close()); err != nil {
		return cannotWrite(err, path)
	}
	return nil
}

func cannotWrite(err error, path string) error {
	return &fault.Error{Kind: fault.Unavailable, Op: "write plugin", Subject: path, Err: err, Remedy: "check that the folder may be written to"}
}
