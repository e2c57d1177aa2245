package practices_test

import (
	"bytes"
	"encoding/json"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/postureproject/posture/practices"
)

func schema(t testing.TB) *jsonschema.Schema {
	t.Helper()
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(practices.Schema()))
	if err != nil {
		t.Fatal(err)
	}
	c := jsonschema.NewCompiler()
	if err := c.AddResource("practices.json", doc); err != nil {
		t.Fatal(err)
	}
	s, err := c.Compile("practices.json")
	if err != nil {
		t.Fatal(err)
	}
	return s
}

// Schema and New accept and refuse the same values of every setting.
func TestSchema_agreesWithNew(t *testing.T) {
	t.Parallel()
	s := schema(t)
	values := []string{
		`null`, `true`, `false`, `0`, `14`, `15.5`, `-1`, `""`, `"x"`, `"nudge"`, `"26.7"`, `"26.x"`, `"/help"`, `"https://a.example"`, `"ftp://a"`,
		`[]`, `["Mac"]`, `["Mac", 1]`, `[""]`, `[" "]`, `{}`, `{"ok": "x"}`, `{"default": "x"}`, `{"ok": 1}`, `{"macOS": "26.7"}`,
		`{"macOS": 26}`, `{"macOS": 26.7}`, `{"macOS": -26}`, `{"macOS": {"26": "26.7"}}`, `{"macOS": {"26": 26}}`, `{"macOS": {"26.x": "26.7"}}`,
		`{"macOS": {}}`, `{"macOS": ["26.7"]}`, `{"macOS": {"26": null}}`, `{"": "26.7"}`, `{"macOS": "1.2.3.4.5.6.7.8"}`,
		`{"macOS": "1.2.3.4.5.6.7.8.9"}`, `{"macOS": "1234567890123456789"}`, `{"macOS": "1,2"}`, `{"macOS": ".1"}`, `{"macOS": "1."}`, `{"macOS": ""}`,
	}
	var document struct {
		Defs struct {
			Practice struct {
				Order []string `json:"x-order"`
			} `json:"practice"`
		} `json:"$defs"`
	}
	if err := json.Unmarshal(practices.Schema(), &document); err != nil {
		t.Fatal(err)
	}
	names := document.Defs.Practice.Order
	if len(names) != 17 {
		t.Fatalf("the schema describes %d settings: %v", len(names), names)
	}
	inputs := []string{`{}`, `[]`, `{"x": {}}`, `{"x": null}`, `{"x": []}`, `{"x": {"NO_SETTING": 1}}`, `{"": {}}`}
	for _, name := range names {
		for _, value := range values {
			inputs = append(inputs, `{"uptodate": {"`+name+`": `+value+`}}`)
		}
	}
	for _, input := range inputs {
		v, err := jsonschema.UnmarshalJSON(strings.NewReader(input))
		if err != nil {
			t.Fatal(err)
		}
		bySchema := s.Validate(v)
		_, byNew := practices.New(json.RawMessage(input), practices.Options{})
		if (bySchema == nil) != (byNew == nil) {
			t.Errorf("%s\n schema: %v\n New: %v", input, bySchema, byNew)
		}
	}
}

// The defaults satisfy the schema, which shows them all, and every setting is
// described.
func TestSchema_describesEverything(t *testing.T) {
	t.Parallel()
	v, err := jsonschema.UnmarshalJSON(bytes.NewReader(practices.Defaults()))
	if err != nil {
		t.Fatal(err)
	}
	if err := schema(t).Validate(v); err != nil {
		t.Errorf("the defaults break the schema: %v", err)
	}
	type node struct {
		Description string
		Default     json.RawMessage
		Order       []string `json:"x-order"`
		Properties  map[string]node
	}
	var document struct {
		node
		Defs map[string]node `json:"$defs"`
	}
	if err := json.Unmarshal(practices.Schema(), &document); err != nil {
		t.Fatal(err)
	}
	if want := policy(t, "").Keys(); !slices.Equal(document.Order, want) {
		t.Errorf("x-order = %v, want %v", document.Order, want)
	}
	for _, part := range []node{document.node, document.Defs["practice"]} {
		if len(part.Order) != len(part.Properties) {
			t.Errorf("x-order lists %d of %d", len(part.Order), len(part.Properties))
		}
		for name, p := range part.Properties {
			if p.Description == "" {
				t.Errorf("%s has no description", name)
			}
		}
	}
	for name, p := range document.Properties {
		if len(p.Default) == 0 {
			t.Errorf("%s shows no defaults", name)
		}
	}
}
