package scaffold_test

import (
	"go/parser"
	"go/token"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"

	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/plugins/sdk/scaffold"
)

func TestWrite(t *testing.T) {
	t.Parallel()
	checkout := t.TempDir()
	for name, text := range map[string]string{"go.mod": "module " + scaffold.PostureModule + "\n", "go.sum": "sums\n"} {
		if err := os.WriteFile(filepath.Join(checkout, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	tests := []struct {
		name    string
		options scaffold.Options
		has     []string // in go.mod
		hasNot  string
		sums    bool
	}{
		{"bare", scaffold.Options{Name: "acme"}, []string{"module example.com/posture-plugin-acme\n"}, "require", false},
		{"module", scaffold.Options{Name: "acme", Module: "git.example.com/me/acme"}, []string{"module git.example.com/me/acme\n"}, "replace", false},
		{"released", scaffold.Options{Name: "acme", PostureVersion: "v1.2.0"}, []string{"require " + scaffold.PostureModule + " v1.2.0"}, "replace", false},
		{"checkout", scaffold.Options{Name: "a_1", PostureDir: checkout}, []string{"replace " + scaffold.PostureModule + ` => "` + checkout + `"`}, "v1", true},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "deep", "made")
			names, err := scaffold.Write(dir, tt.options)
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range []string{".gitignore", "Makefile", "README.md", "go.mod", "main.go", "source.go", "source_test.go"} {
				if !slices.Contains(names, want) {
					t.Errorf("%s is not among %v", want, names)
				}
			}
			if slices.Contains(names, "go.sum") != tt.sums {
				t.Errorf("files %v", names)
			}
			checkFiles(t, dir, names)
			mod, err := os.ReadFile(filepath.Join(dir, "go.mod"))
			if err != nil {
				t.Fatal(err)
			}
			for _, want := range tt.has {
				if !strings.Contains(string(mod), want) {
					t.Errorf("no %q in go.mod:\n%s", want, mod)
				}
			}
			if strings.Contains(string(mod), tt.hasNot) {
				t.Errorf("%q in go.mod:\n%s", tt.hasNot, mod)
			}
		})
	}
}

// checkFiles checks that no template is left unfilled and that Go files parse.
func checkFiles(t *testing.T, dir string, names []string) {
	t.Helper()
	for _, name := range names {
		path := filepath.Join(dir, name)
		text, err := os.ReadFile(path)
		if err != nil {
			t.Error(err)
		}
		if strings.Contains(string(text), "<<") || strings.Contains(string(text), "no value") {
			t.Errorf("%s is not filled in", name)
		}
		if filepath.Ext(name) == ".go" {
			if _, err := parser.ParseFile(token.NewFileSet(), path, nil, parser.SkipObjectResolution); err != nil {
				t.Error(err)
			}
		}
	}
}

func TestWrite_refuses(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		options scaffold.Options
		field   string
	}{
		{"no name", scaffold.Options{}, "name"},
		{"upper case", scaffold.Options{Name: "Acme"}, "name"},
		{"digit first", scaffold.Options{Name: "1acme"}, "name"},
		{"path", scaffold.Options{Name: "a/../b"}, "name"},
		{"too long", scaffold.Options{Name: strings.Repeat("a", 41)}, "name"},
		{"keyword", scaffold.Options{Name: "range"}, "name"},
		{"module with a break", scaffold.Options{Name: "a", Module: "x\nreplace y => z"}, "module"},
		{"module from above", scaffold.Options{Name: "a", Module: "/x"}, "module"},
		{"no checkout", scaffold.Options{Name: "a", PostureDir: "no such folder"}, "posture-dir"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			dir := filepath.Join(t.TempDir(), "made")
			_, err := scaffold.Write(dir, tt.options)
			if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), tt.field+": ") {
				t.Errorf("got %v, want Invalid about %s", err, tt.field)
			}
			if _, err := os.Stat(dir); err == nil {
				t.Error("it wrote something")
			}
		})
	}
}

func TestWrite_overwritesNothing(t *testing.T) {
	t.Parallel()
	dir := t.TempDir()
	if _, err := scaffold.Write(dir, scaffold.Options{Name: "acme"}); err != nil {
		t.Fatalf("an empty folder is refused: %v", err)
	}
	before, err := os.ReadFile(filepath.Join(dir, "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	if _, err := scaffold.Write(dir, scaffold.Options{Name: "other"}); fault.KindOf(err) != fault.Conflict {
		t.Errorf("got %v, want a conflict", err)
	}
	if after, err := os.ReadFile(filepath.Join(dir, "go.mod")); err != nil || string(after) != string(before) {
		t.Errorf("go.mod is now %q, error %v", after, err)
	}
}

// TestGoVersion checks that plugins ask for the Go version that Posture does.
func TestGoVersion(t *testing.T) {
	t.Parallel()
	mod, err := os.ReadFile(filepath.Join("..", "..", "..", "go.mod"))
	if err != nil {
		t.Fatal(err)
	}
	if !strings.Contains(string(mod), "\ngo "+scaffold.GoVersion+"\n") {
		t.Errorf("Posture's go.mod does not ask for Go %s", scaffold.GoVersion)
	}
}
