package api_test

import (
	"fmt"
	"os"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/host/auth"
)

const (
	page  = "../../docs/api.md"
	begin = "<!-- routes: written by go test ./host/api -update -->\n"
	end   = "<!-- end of routes -->\n"
)

// The page's table of routes is the table that the server works by.
func TestDocs_Routes(t *testing.T) {
	t.Parallel()
	have, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	before, rest, opened := strings.Cut(string(have), begin)
	_, after, closed := strings.Cut(rest, end)
	if !opened || !closed {
		t.Fatalf("%s has no place for the routes", page)
	}
	_, doc := described(t)
	want := before + begin + routesTable(serve(t, locked()), doc) + end + after
	if *update {
		if err := os.WriteFile(page, []byte(want), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	if diff := cmp.Diff(want, string(have)); diff != "" {
		t.Errorf("the table of routes is out of date; run go test ./host/api -update (-want +got):\n%s", diff)
	}
}

func routesTable(s *service, doc document) string {
	who := map[auth.Action][3]string{
		auth.Public:       {"yes", "yes", "yes"},
		auth.ViewPerson:   {"no", "own address", "yes"},
		auth.ViewAny:      {"no", "no", "yes"},
		auth.SendFeedback: {"no", "own answers", "yes"},
		auth.Administer:   {"no", "no", "yes"},

		auth.ViewAdministration:   {"no", "no", "yes"},
		auth.ChangeAdministration: {"no", "no", "yes"},
	}
	var b strings.Builder
	b.WriteString("| route | answer | action | without a token | person | administrator |\n|---|---|---|---|---|---|\n")
	line := func(pattern string, action auth.Action) {
		method, path, _ := strings.Cut(pattern, " ")
		w := who[action]
		fmt.Fprintf(&b, "| `%s` | %s | `%s` | %s | %s | %s |\n", pattern, doc.Paths[path][strings.ToLower(method)].Summary, action, w[0], w[1], w[2])
	}
	for _, l := range s.table {
		line(l.Pattern, l.Action)
	}
	for _, pattern := range []string{"GET /healthcheck", "GET /readyz", "GET /metrics"} {
		line(pattern, auth.Public)
	}
	return b.String()
}
