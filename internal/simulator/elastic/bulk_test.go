package elastic_test

import (
	"encoding/json"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/internal/elastictest"
	"github.com/postureproject/posture/internal/simulator/elastic"
	"github.com/postureproject/posture/internal/simulator/fleet"
)

// verdict is what of an answer must be alike.
type verdict struct {
	Status int
	Error  string   // its type
	Items  []string // verb, status and the error's type of each document
}

func readVerdict(t *testing.T, status int, body []byte) verdict {
	t.Helper()
	type problem struct {
		Type string `json:"type"`
	}
	var answer struct {
		Error json.RawMessage `json:"error"`
		Items []map[string]struct {
			Status int     `json:"status"`
			Error  problem `json:"error"`
		} `json:"items"`
	}
	if err := json.Unmarshal(body, &answer); err != nil {
		t.Fatalf("%v: %.300s", err, body)
	}
	v := verdict{Status: status}
	var p problem
	if json.Unmarshal(answer.Error, &p) == nil {
		v.Error = p.Type
	}
	for _, item := range answer.Items {
		for verb, result := range item {
			v.Items = append(v.Items, strings.TrimSpace(verb+" "+http.StatusText(result.Status)+" "+result.Error.Type))
		}
	}
	return v
}

// The simulated cluster answers writers as the real one does.
func TestServer_writesAsTheRealOne(t *testing.T) {
	t.Parallel()
	real := elastictest.Start(t)
	prefix := real.Prefix(t)
	s := httptest.NewServer(elastic.New(fleet.New(fleet.Options{}), elastic.Options{}))
	t.Cleanup(s.Close)
	action := func(verb, id string) string {
		return `{"` + verb + `":{"_index":"` + prefix + `202611","_id":"` + id + `"}}` + "\n"
	}
	steps := []struct{ name, method, path, body string }{
		{"no template", http.MethodGet, "/_index_template/" + prefix, ""},
		{"malformed template", http.MethodPut, "/_index_template/" + prefix, `[]`},
		{"template", http.MethodPut, "/_index_template/" + prefix, `{"index_patterns":["` + prefix + `2*"],"version":3}`},
		{"template again", http.MethodGet, "/_index_template/" + prefix, ""},
		{"create", http.MethodPost, "/_bulk", action("create", "a") + "{\"x\":1}\n" + action("create", "a") + "{\"x\":2}\n"},
		{"index", http.MethodPost, "/_bulk", action("index", "a") + "{\"x\":3}\n" + action("index", "b") + "{\"x\":3}\n"},
		{"list", http.MethodPost, "/_bulk", action("create", "c") + "[]\n" + action("create", "d") + "{\"x\":4}\n"},
		{"half a document", http.MethodPost, "/_bulk", action("create", "c") + "{\"x\":\n" + action("create", "d") + "{\"x\":4}\n"},
		{"malformed action", http.MethodPost, "/_bulk", "{\"create\":[]}\n{}\n"},
		{"unknown action", http.MethodPost, "/_bulk", "{\"make\":{\"_index\":\"x\"}}\n{}\n"},
		{"no newline", http.MethodPost, "/_bulk", strings.TrimSpace(action("create", "e") + "{}")},
		{"long identifier", http.MethodPost, "/_bulk", action("create", strings.Repeat("x", 513)) + "{}\n"},
		{"longest identifier", http.MethodPost, "/_bulk", action("create", strings.Repeat("x", 512)) + "{}\n"},
		{"privileges without security", http.MethodPost, "/_security/user/_has_privileges", `{}`},
	}
	for _, step := range steps {
		status, body := real.Do(t, step.method, step.path, step.body)
		want := readVerdict(t, status, body)
		status, text := ask(t.Context(), t, step.method, s.URL+step.path, step.body)
		if diff := cmp.Diff(want, readVerdict(t, status, []byte(text))); diff != "" {
			t.Errorf("%s (-real +simulated):\n%s\nreal: %.300s", step.name, diff, body)
		}
	}
}
