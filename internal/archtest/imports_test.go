package archtest_test

import (
	"maps"
	"os"
	"path"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// rule is one line of the table in ARCHITECTURE.md. Packages are named by their
// path in the module; a * stands for one folder.
type rule struct {
	packages string
	imports  []string // what its code may import
	tests    []string // what its tests may import beside that and itself
}

const heading = "## Who may import whom"

// rules reads the table.
func rules(t *testing.T) []rule {
	t.Helper()
	text, err := os.ReadFile(root + "/ARCHITECTURE.md")
	if err != nil {
		t.Fatal(err)
	}
	_, section, ok := strings.Cut(string(text), "\n"+heading+"\n")
	if !ok {
		t.Fatalf("ARCHITECTURE.md has no section %q", heading)
	}
	section, _, _ = strings.Cut(section, "\n## ")
	quoted := regexp.MustCompile("`([^`]+)`")
	names := func(cell string) (out []string) {
		for _, m := range quoted.FindAllStringSubmatch(cell, -1) {
			out = append(out, m[1])
		}
		return out
	}
	var all []rule
	for line := range strings.Lines(section) {
		cells := strings.Split(strings.TrimSpace(line), "|")
		if len(cells) != 5 {
			continue
		}
		for _, name := range names(cells[1]) {
			all = append(all, rule{name, names(cells[2]), names(cells[3])})
		}
	}
	if len(all) == 0 {
		t.Fatalf("the section %q of ARCHITECTURE.md has no table", heading)
	}
	return all
}

func matches(patterns []string, name string) bool {
	return slices.ContainsFunc(patterns, func(p string) bool {
		ok, err := path.Match(p, name)
		return ok && err == nil
	})
}

// ruleFor finds a package's line: its own, else the one whose pattern it fits.
func ruleFor(all []rule, name string) (rule, bool) {
	for _, exact := range []bool{true, false} {
		for _, r := range all {
			if r.packages == name || !exact && matches([]string{r.packages}, name) {
				return r, true
			}
		}
	}
	return rule{}, false
}

func TestImports(t *testing.T) {
	t.Parallel()
	table := rules(t)
	all, _ := packages(t)
	for _, p := range all {
		r, ok := ruleFor(table, p.path)
		if !ok {
			t.Errorf("ARCHITECTURE.md does not say what %s may import", p.path)
			continue
		}
		for _, f := range p.files {
			for _, imported := range f.imports {
				switch {
				case matches(r.imports, imported):
				case f.test && (imported == p.path || matches(r.tests, imported)):
				default:
					t.Errorf("%s may not import %s: see ARCHITECTURE.md", f.path, imported)
				}
			}
		}
	}
}

// The table allows nothing that nobody needs: what it names exists and is
// imported, so that it shows the house as it is.
func TestImports_TableIsTrue(t *testing.T) {
	t.Parallel()
	table := rules(t)
	all, _ := packages(t)
	type use struct {
		line, imported string
		test           bool
	}
	used, lines := map[use]bool{}, map[string]int{}
	for _, p := range all {
		r, _ := ruleFor(table, p.path)
		lines[r.packages]++
		for _, f := range p.files {
			for _, imported := range f.imports {
				used[use{r.packages, imported, f.test}] = true
			}
		}
	}
	uses := slices.Collect(maps.Keys(used))
	needed := func(r rule, pattern string, test bool) bool {
		return slices.ContainsFunc(uses, func(u use) bool {
			return u.line == r.packages && u.test == test && matches([]string{pattern}, u.imported)
		})
	}
	for _, r := range table {
		if lines[r.packages] == 0 {
			t.Errorf("ARCHITECTURE.md has a line for %s, which does not exist", r.packages)
			continue
		}
		for _, pattern := range r.imports {
			if !needed(r, pattern, false) {
				t.Errorf("ARCHITECTURE.md lets %s import %s, which it does not", r.packages, pattern)
			}
		}
		for _, pattern := range r.tests {
			if !needed(r, pattern, true) {
				t.Errorf("ARCHITECTURE.md lets the tests of %s import %s, which they do not", r.packages, pattern)
			}
		}
	}
}

// Simulators and tests stay out of what is shipped, whatever the table says.
// Packages whose name ends in "test" are suites of tests.
func TestImports_InternalStaysInternal(t *testing.T) {
	t.Parallel()
	for _, r := range rules(t) {
		for _, imported := range r.imports {
			if strings.HasPrefix(imported, "internal/") && !strings.HasPrefix(r.packages, "internal/") && !strings.HasSuffix(r.packages, "test") {
				t.Errorf("ARCHITECTURE.md lets %s import %s", r.packages, imported)
			}
		}
	}
}

// What holds data and rules reads and writes nothing.
func TestImports_NoIO(t *testing.T) {
	t.Parallel()
	pure := []string{"fault", "device", "practices"}
	forbidden := []string{"os", "os/*", "net", "net/http", "io/ioutil", "database/sql", "log", "log/slog", "syscall"}
	all, _ := packages(t)
	seen := 0
	for _, p := range all {
		if !slices.Contains(pure, p.path) {
			continue
		}
		seen++
		for _, f := range p.files {
			for _, imported := range f.others {
				if !f.test && matches(forbidden, imported) {
					t.Errorf("%s imports %s, but the package has no input and output", f.path, imported)
				}
			}
		}
	}
	if seen != len(pure) {
		t.Errorf("only %d of %v exist", seen, pure)
	}
}
