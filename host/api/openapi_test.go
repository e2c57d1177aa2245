package api_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"maps"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/getkin/kin-openapi/openapi3"
	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/host/auth"
	"github.com/postureproject/posture/host/scan"
)

// document is what these tests need of an OpenAPI document.
type document struct {
	OpenAPI    string                          `json:"openapi"`
	Paths      map[string]map[string]operation `json:"paths"`
	Components struct {
		Schemas map[string]json.RawMessage `json:"schemas"`
	} `json:"components"`
}

type operation struct {
	ID        string                     `json:"operationId"`
	Summary   string                     `json:"summary"`
	Action    auth.Action                `json:"x-posture-action"`
	Security  *[]any                     `json:"security"`
	Responses map[string]json.RawMessage `json:"responses"`
}

func described(t *testing.T) ([]byte, document) {
	t.Helper()
	w := serve(t, locked()).do(t, "GET", "/api/v1/openapi.json", "", "")
	var doc document
	if err := json.Unmarshal(w.Body.Bytes(), &doc); err != nil {
		t.Fatal(err)
	}
	return w.Body.Bytes(), doc
}

func TestOpenAPI_Valid(t *testing.T) {
	t.Parallel()
	body, doc := described(t)
	if !strings.HasPrefix(doc.OpenAPI, "3.1.") {
		t.Errorf("openapi is %q", doc.OpenAPI)
	}
	loader := openapi3.NewLoader()
	parsed, err := loader.LoadFromData(body)
	if err != nil {
		t.Fatal(err)
	}
	if err := parsed.Validate(loader.Context); err != nil {
		t.Error(err)
	}
	c := compiler(t, body)
	for name := range doc.Components.Schemas {
		if _, err := c.Compile(at("/components/schemas/" + name)); err != nil {
			t.Error(err)
		}
	}
}

// Every route is described with its action, and nothing else is.
func TestOpenAPI_Routes(t *testing.T) {
	t.Parallel()
	_, doc := described(t)
	want := map[string]auth.Action{"GET /healthcheck": auth.Public, "GET /readyz": auth.Public, "GET /metrics": auth.Public}
	for _, line := range serve(t, locked()).table {
		want[line.Pattern] = line.Action
	}
	got := map[string]auth.Action{}
	ids := map[string]string{}
	for path, operations := range doc.Paths {
		for method, op := range operations {
			route := strings.ToUpper(method) + " " + path
			got[route] = op.Action
			if op.Security != nil && len(*op.Security) == 0 {
				got[route] = auth.Public
			}
			if other, taken := ids[op.ID]; taken || op.ID == "" {
				t.Errorf("%s has the operationId %q of %q", route, op.ID, other)
			}
			ids[op.ID] = route
			if _, ok := op.Responses["401"]; ok == (got[route] == auth.Public) {
				t.Errorf("%s: 401 described: %v", route, ok)
			}
		}
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("routes (-table +document):\n%s", diff)
	}
}

const location = "https://posture.example/openapi.json"

func at(pointer string) string { return location + "#" + pointer }

func compiler(t *testing.T, body []byte) *jsonschema.Compiler {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	c.DefaultDraft(jsonschema.Draft2020)
	c.AssertFormat()
	if err := c.AddResource(location, doc); err != nil {
		t.Fatal(err)
	}
	return c
}

// escape makes a part of a JSON pointer that stands in a URL.
func escape(part string) string {
	return strings.NewReplacer("~", "~0", "/", "~1", "{", "%7B", "}", "%7D").Replace(part)
}

// conforms holds an answer to what the document says about its route.
func conforms(t *testing.T, body []byte, doc document, pattern string, w *httptest.ResponseRecorder) {
	t.Helper()
	method, path, _ := strings.Cut(pattern, " ")
	status := fmt.Sprint(w.Code)
	described, ok := doc.Paths[path][strings.ToLower(method)].Responses[status]
	if !ok {
		t.Fatalf("%s answered %s, of which the document says nothing: %s", pattern, status, w.Body)
	}
	pointer := "/paths/" + escape(path) + "/" + strings.ToLower(method) + "/responses/" + status
	var ref struct {
		Ref string `json:"$ref"`
	}
	if json.Unmarshal(described, &ref) == nil && ref.Ref != "" {
		pointer = strings.TrimPrefix(ref.Ref, "#")
	}
	c := compiler(t, body)
	if w.Header().Get("Content-Type") == "text/event-stream" {
		eventsConform(t, c, pattern, w)
		return
	}
	check(t, c, pointer+"/content/application~1json/schema", pattern, w.Body.Bytes())
	if sources := w.Header().Get("Posture-Sources"); sources != "" {
		check(t, c, "/components/headers/PostureSources/schema/contentSchema", pattern+" header", []byte(sources))
	} else if w.Code == 200 && bytes.Contains(described, []byte("Posture-Sources")) {
		t.Errorf("%s has no Posture-Sources", pattern)
	}
}

// eventsConform holds the data of server-sent outcomes to what the document says
// of outcomes.
func eventsConform(t *testing.T, c *jsonschema.Compiler, what string, w *httptest.ResponseRecorder) {
	t.Helper()
	for event := range strings.SplitSeq(w.Body.String(), "\n\n") {
		if data, ok := strings.CutPrefix(event, "event: outcome\ndata: "); ok {
			check(t, c, "/components/schemas/Outcome", what, []byte(data))
		}
	}
}

func check(t *testing.T, c *jsonschema.Compiler, pointer, what string, value []byte) {
	t.Helper()
	schema, err := c.Compile(at(pointer))
	if err != nil {
		t.Fatal(err)
	}
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(value))
	if err != nil {
		t.Fatalf("%s: %v in %s", what, err, value)
	}
	if err := schema.Validate(v); err != nil {
		t.Errorf("%s: %v\n%s", what, err, value)
	}
}

// What is really answered is what the document describes, down to the last
// field: its schemas allow no others.
func TestOpenAPI_Answers(t *testing.T) {
	t.Parallel()
	body, doc := described(t)
	refused := &fault.Error{Kind: fault.Unauthenticated, Source: "jamf", Op: "get user", Message: "refused “you”\x7f", Remedy: "check the password"}
	external := scan.Source{Name: "down", Down: fault.New(fault.Unavailable, "not started")}
	partial := full("google")
	partial.err = fault.New(fault.Timeout, "half of it took too long")
	cases := map[string][]scan.Source{
		"full":    {offering("jamf", full("jamf")), offering("google", full("google"))},
		"partial": {offering("jamf", full("jamf")), offering("google", partial), external},
		"empty":   {offering("jamf", source{})},
		"failing": {offering("jamf", source{err: refused}), offering("google", source{err: refused})},
		"slow":    {offering("jamf", source{err: fault.New(fault.Timeout, "too slow")})},
		"gone":    {offering("jamf", source{err: fault.New(fault.Unavailable, "refused")})},
		"defect":  {offering("jamf", source{err: errors.New("a defect")})},
		"none":    {},
	}
	for name, sources := range cases {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, locked(), sources...)
			patterns := []string{"GET /healthcheck", "GET /readyz"}
			for _, line := range s.table {
				patterns = append(patterns, line.Pattern)
			}
			for _, pattern := range patterns {
				method, path := concrete(pattern)
				w := s.do(t, method, path, auth.Everyone, `{"user_id":"`+ada+`","id":"n1","feedback":"mine"}`)
				conforms(t, body, doc, pattern, w)
			}
		})
	}
}

// Refusals are described, too.
func TestOpenAPI_Refusals(t *testing.T) {
	t.Parallel()
	body, doc := described(t)
	s := serve(t, locked(), offering("jamf", full("jamf")))
	for _, line := range s.table {
		if line.Action == auth.Public {
			continue
		}
		method, path := concrete(line.Pattern)
		for _, subject := range []string{"", "eve@example.com"} {
			conforms(t, body, doc, line.Pattern, s.do(t, method, path, subject, `{"user_id":"`+ada+`","id":"n1","feedback":"mine"}`))
		}
		bad := strings.NewReplacer(ada, "ada", serial, "%00", mac, "00:1B").Replace(path)
		conforms(t, body, doc, line.Pattern, s.do(t, method, bad, auth.Everyone, `{`))
		if strings.Contains(line.Pattern, "{plugin}") {
			w := s.do(t, method, strings.Replace(path, "jamf", "nope", 1), auth.Everyone, `{"user_id":"`+ada+`","id":"n1","feedback":"mine"}`)
			if conforms(t, body, doc, line.Pattern, w); w.Code != 404 {
				t.Errorf("%s of an unknown plugin: %d", line.Pattern, w.Code)
			}
		}
	}
}

// The full answer has every field that the document knows: what nobody can
// receive is not documented.
func TestOpenAPI_NothingInvented(t *testing.T) {
	t.Parallel()
	_, doc := described(t)
	partial := full("google")
	partial.err = &fault.Error{Kind: fault.Timeout, Message: "half", Remedy: "wait"}
	s := serve(t, locked(), offering("jamf", full("jamf")), offering("google", partial))
	seen := map[string]bool{}
	for _, line := range s.table {
		if line.Pattern == "GET /api/v1/openapi.json" || line.Pattern == "GET /api/v1/posture/{email}/rescan" {
			continue
		}
		method, path := concrete(line.Pattern)
		var answer any
		if err := json.Unmarshal(s.do(t, method, path, auth.Everyone, `{`).Body.Bytes(), &answer); err != nil {
			t.Fatal(err)
		}
		names(answer, seen)
	}
	since := now().Add(-time.Hour)
	if err := s.keeper.SavePosture(t.Context(), device.Posture{Email: ada, Sources: []device.Outcome{{KeptFrom: &since}}, GeneratedAt: now()}, nil); err != nil {
		t.Fatal(err)
	}
	var kept any
	if err := json.Unmarshal(s.do(t, "GET", "/api/v1/posture/"+ada+"?max_age=1h", auth.Everyone, "").Body.Bytes(), &kept); err != nil {
		t.Fatal(err)
	}
	names(kept, seen)
	var summary any
	if err := json.Unmarshal(s.do(t, "GET", "/api/v1/administration/events/summary?by=resourceType,resourceName", auth.Everyone, "").Body.Bytes(), &summary); err != nil {
		t.Fatal(err)
	}
	names(summary, seen)
	for name, raw := range doc.Components.Schemas {
		if slices.Contains([]string{"Feedback", "Health", "Ready", "NotReady", "SinkState", "Accepted", "RPCStatus"}, name) {
			continue
		}
		var schema struct {
			Properties map[string]any `json:"properties"`
		}
		if err := json.Unmarshal(raw, &schema); err != nil {
			t.Fatal(err)
		}
		for property := range maps.Keys(schema.Properties) {
			if !seen[property] {
				t.Errorf("no answer has the field %s of %s", property, name)
			}
		}
	}
}

func names(v any, seen map[string]bool) {
	switch v := v.(type) {
	case map[string]any:
		for name, value := range v {
			seen[name] = true
			names(value, seen)
		}
	case []any:
		for _, value := range v {
			names(value, seen)
		}
	}
}
