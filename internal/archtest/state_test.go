package archtest_test

import (
	"go/ast"
	"go/parser"
	"go/token"
	"path"
	"slices"
	"strings"
	"testing"
)

// A package is named for what it is about, not for being of use.
func TestNames(t *testing.T) {
	t.Parallel()
	forbidden := []string{"util", "utils", "common", "helper", "helpers", "types", "model", "models", "misc", "shared", "lib"}
	all, _ := packages(t)
	for _, p := range all {
		for _, name := range []string{p.name, path.Base(p.path)} {
			if slices.Contains(forbidden, strings.TrimSuffix(name, "_test")) {
				t.Errorf("the package %s says nothing about what it holds", p.path)
			}
		}
	}
}

// Nothing happens because a package was imported, and nothing is kept between
// calls but by those who were made to keep it.
func TestNoPackageState(t *testing.T) {
	t.Parallel()
	all, fset := packages(t)
	for _, p := range all {
		if strings.HasPrefix(p.path, "internal/") {
			continue // developers' programs
		}
		for _, f := range p.files {
			if f.test || ast.IsGenerated(f.file) {
				continue
			}
			for _, found := range packageState(f.file) {
				t.Errorf("%s: %s", fset.Position(found.Pos()), describe(found))
			}
		}
	}
}

func describe(n ast.Node) string {
	if name, ok := n.(*ast.Ident); ok && name.Name != "init" {
		return "the variable " + name.Name + " belongs to a value, or is a constant or a function"
	}
	return "init runs unasked; let main call what must run"
}

// packageState finds what a package may not have: init, and variables other than
// embedded files, errors that never change, the version that the linker sets, and
// the assertion that a type implements an interface.
func packageState(file *ast.File) (found []ast.Node) {
	for _, decl := range file.Decls {
		switch d := decl.(type) {
		case *ast.FuncDecl:
			if d.Recv == nil && d.Name.Name == "init" {
				found = append(found, d.Name)
			}
		case *ast.GenDecl:
			if d.Tok != token.VAR {
				continue
			}
			for _, spec := range d.Specs {
				found = append(found, variables(file, d, spec.(*ast.ValueSpec))...)
			}
		}
	}
	return found
}

func variables(file *ast.File, d *ast.GenDecl, v *ast.ValueSpec) (found []ast.Node) {
	if isEmbedded(d.Doc) || isEmbedded(v.Doc) {
		return nil
	}
	for i, name := range v.Names {
		var value ast.Expr
		if i < len(v.Values) {
			value = v.Values[i]
		}
		switch {
		case name.Name == "_":
		case isSentinel(name.Name, value):
		case name.Name == "version" && file.Name.Name == "main" && isText(value):
		default:
			found = append(found, name)
		}
	}
	return found
}

func isEmbedded(doc *ast.CommentGroup) bool {
	return doc != nil && slices.ContainsFunc(doc.List, func(c *ast.Comment) bool { return strings.HasPrefix(c.Text, "//go:embed ") })
}

func isText(e ast.Expr) bool {
	literal, ok := e.(*ast.BasicLit)
	return ok && literal.Kind == token.STRING
}

// isSentinel tells an error to compare with.
func isSentinel(name string, value ast.Expr) bool {
	call, ok := value.(*ast.CallExpr)
	if !ok || !strings.HasPrefix(strings.ToLower(name), "err") {
		return false
	}
	function, ok := call.Fun.(*ast.SelectorExpr)
	if !ok {
		return false
	}
	from, ok := function.X.(*ast.Ident)
	return ok && slices.Contains([]string{"errors.New", "fmt.Errorf"}, from.Name+"."+function.Sel.Name)
}

func TestPackageState(t *testing.T) {
	t.Parallel()
	for code, want := range map[string]string{
		"func init() {}":                              "init",
		"type T struct{}; func (T) init() {}":         "",
		"var cache = map[string]int{}":                "cache",
		"var a, b int":                                "a b",
		"var ( ErrX = errors.New(\"x\"); count int )": "count",
		"var errY = fmt.Errorf(\"y %d\", 1)":          "",
		"var errZ error":                              "errZ",
		"var broken = errors.New(\"x\")":              "broken",
		"var _ io.Reader = (*T)(nil)":                 "",
		"var version = \"dev\"":                       "",
		"var version = read()":                        "version",
		"//go:embed x\nvar x string":                  "",
		"var (\n//go:embed x\nx string\n)":            "",
		"const c = 1":                                 "",
		"var pattern = regexp.MustCompile(\"x\")":     "pattern",
	} {
		file, err := parser.ParseFile(token.NewFileSet(), "x.go", "package main\n\n"+code, parser.ParseComments|parser.SkipObjectResolution)
		if err != nil {
			t.Fatalf("%s: %v", code, err)
		}
		var names []string
		for _, n := range packageState(file) {
			names = append(names, n.(*ast.Ident).Name)
		}
		if got := strings.Join(names, " "); got != want {
			t.Errorf("%s: found %q, want %q", code, got, want)
		}
	}
}
