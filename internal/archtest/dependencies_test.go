package archtest_test

import (
	"encoding/json"
	"errors"
	"io"
	"maps"
	"os"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
)

// Every module that our code imports is in docs/dependencies.md with its reason
// and its licence, under the heading that says whether it is in the binary.
func TestDependencies(t *testing.T) {
	t.Parallel()
	shipped := modules(t, "./cmd/posture")
	rest := modules(t, "-test", "./...")
	for m := range shipped {
		delete(rest, m)
	}
	sections := documented(t)
	for heading, want := range map[string]map[string]bool{
		"In the binary": shipped, "For tests, benchmarks and simulators only": rest,
	} {
		if diff := cmp.Diff(slices.Sorted(maps.Keys(want)), slices.Sorted(maps.Keys(sections[heading]))); diff != "" {
			t.Errorf("docs/dependencies.md, %s (-imported +documented):\n%s", heading, diff)
		}
	}
}

// modules gives the modules that our packages import, among what the arguments
// of go list name and all that these need.
func modules(t *testing.T, args ...string) map[string]bool {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), "go", append([]string{"list", "-deps", "-json=ImportPath,Imports,Module"}, args...)...)
	cmd.Dir = root
	cmd.Stderr = os.Stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("go list: %v", err)
	}
	of, imported := map[string]string{}, map[string]bool{}
	for dec := json.NewDecoder(strings.NewReader(string(out))); ; {
		var p struct {
			ImportPath string
			Imports    []string
			Module     *struct {
				Path string
				Main bool
			}
		}
		if err := dec.Decode(&p); errors.Is(err, io.EOF) {
			break
		} else if err != nil {
			t.Fatal(err)
		}
		switch {
		case p.Module == nil: // the standard library, and the programs that run tests
		case p.Module.Main:
			for _, i := range p.Imports {
				imported[i] = true
			}
		default:
			of[p.ImportPath] = p.Module.Path
		}
	}
	found := map[string]bool{}
	for i := range imported {
		if module, ok := of[i]; ok {
			found[module] = true
		}
	}
	return found
}

// documented gives the modules by heading. A line needs all its cells.
func documented(t *testing.T) map[string]map[string]bool {
	t.Helper()
	text, err := os.ReadFile(root + "/docs/dependencies.md")
	if err != nil {
		t.Fatal(err)
	}
	line := regexp.MustCompile("(?m)^\\| `([^`]+)` \\| [^|]+ \\| [^|]+ \\|$")
	sections := map[string]map[string]bool{}
	for _, section := range strings.Split(string(text), "\n## ")[1:] {
		heading, body, _ := strings.Cut(section, "\n")
		sections[heading] = map[string]bool{}
		for _, m := range line.FindAllStringSubmatch(body, -1) {
			sections[heading][m[1]] = true
		}
	}
	return sections
}
