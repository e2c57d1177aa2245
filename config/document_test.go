package config_test

import (
	"bytes"
	"encoding/json"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/santhosh-tekuri/jsonschema/v6"
	"go.yaml.in/yaml/v3"

	"github.com/postureproject/posture/config"
)

func docs(t testing.TB) (list []config.Doc, practices []byte) {
	t.Helper()
	schemas, practices := pluginSchemas(t)
	for name, schema := range schemas {
		list = append(list, config.Doc{Name: name, Summary: "What " + name + " is for", Schema: schema})
	}
	slices.SortFunc(list, func(a, b config.Doc) int { return strings.Compare(a.Name, b.Name) })
	return list, practices
}

// switchedOn removes the # of every setting of an example.
func switchedOn(example []byte) []byte {
	return regexp.MustCompile(`(?m)^( *)#(\S)`).ReplaceAll(example, []byte("$1$2"))
}

func TestExample(t *testing.T) {
	t.Parallel()
	list, practices := docs(t)
	schemas, _ := pluginSchemas(t)
	example, err := config.Example(list, practices)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/example.golden", string(example))
	for i, line := range strings.Split(string(example), "\n") {
		if strings.HasSuffix(line, " ") || strings.HasPrefix(strings.TrimSpace(line), "# ") && len(line) > 80 {
			t.Errorf("line %d is too long or ends with a space: %q", i+1, line)
		}
	}

	t.Run("as it is", func(t *testing.T) {
		t.Parallel()
		f, err := config.Parse("posture.yaml", example, nil)
		if err != nil {
			t.Fatal(err)
		}
		if err := f.Check(schemas, practices); err != nil {
			t.Error(err)
		}
		if len(f.Plugins()) > 0 {
			t.Errorf("plugins %v are on", f.Plugins())
		}
	})
	t.Run("everything on", func(t *testing.T) {
		t.Parallel()
		on := switchedOn(example)
		secrets := map[string]string{}
		for _, m := range regexp.MustCompile(`file:(secrets/\w+)`).FindAllSubmatch(on, -1) {
			secrets[string(m[1])] = `{"some": "secret"}`
		}
		secrets["secrets/store_dsn"] = "sqlite:other.db"
		if len(secrets) < 5 {
			t.Errorf("secrets %v", secrets)
		}
		dir := folder(t, secrets, 0o600)
		f, err := config.Parse(filepath.Join(dir, "posture.yaml"), on, nil)
		if err != nil {
			t.Fatalf("%v\n%s", err, on)
		}
		if err := f.Check(schemas, practices); err != nil {
			t.Errorf("%v\n%s", err, on)
		}
		if got := len(f.Plugins()); got != len(list) {
			t.Errorf("%d plugins, want %d", got, len(list))
		}
		for _, d := range list {
			if _, err := f.Plugin(d.Name, d.Schema); err != nil {
				t.Errorf("%s: %v", d.Name, err)
			}
		}
	})
}

func TestEditorSchema(t *testing.T) {
	t.Parallel()
	list, practices := docs(t)
	raw, err := config.EditorSchema(list, practices)
	if err != nil {
		t.Fatal(err)
	}
	doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(raw))
	if err != nil {
		t.Fatal(err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("editor.json", doc); err != nil {
		t.Fatal(err)
	}
	schema, err := compiler.Compile("editor.json")
	if err != nil {
		t.Fatal(err)
	}
	example, err := config.Example(list, practices)
	if err != nil {
		t.Fatal(err)
	}
	full, err := os.ReadFile("testdata/full.yaml")
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name, data string
		ok         bool
	}{
		{"example", string(example), true},
		{"example, everything on", string(switchedOn(example)), true},
		{"full", string(full), true},
		{"any case", "LISTEN: a\nPlugins: {JAMF: {jamf_api_username: a, timeout: 5s}, other: {A: 1}}\nPRACTICES: {UpToDate: {display: false}}", true},
		{"references", "debug: env:DEBUG\nmax_concurrent_scans: file:x\nlog_level: env:LEVEL\nplugins: {es: {CONCURRENCY: env:N, ELASTICSEARCH_HOSTS: env:HOSTS}}", true},
		{"nulls", "debug:\nplugins:\npractices:\n", true},
		{"unknown key", "listn: a", false},
		{"unknown key of a plugin", "plugins: {jamf: {JAMF_API_USERNAM: a}}", false},
		{"unknown key of a practice", "practices: {uptodate: {REQUIRED_VERSION: {}}}", false},
		{"unknown key of an own practice", "practices: {own: {REQUIRED_VERSION: {}}}", false},
		{"wrong type", "debug: maybe", false},
		{"wrong type in a plugin", "plugins: {Landesk: {landesk_sql_hostport: many}}", false},
		{"wrong value", "log_level: loud", false},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			var value any
			if err := yaml.Unmarshal([]byte(test.data), &value); err != nil {
				t.Fatal(err)
			}
			if err := schema.Validate(value); (err == nil) != test.ok {
				t.Errorf("got %v, want ok %t", err, test.ok)
			}
		})
	}
}

func TestReference(t *testing.T) {
	t.Parallel()
	list, practices := docs(t)
	got, err := config.Reference(list, practices)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/reference.golden.md", string(got))
	for _, d := range list {
		var schema struct{ Properties map[string]any }
		if err := json.Unmarshal(d.Schema, &schema); err != nil {
			t.Fatal(err)
		}
		for key := range schema.Properties {
			if !strings.Contains(string(got), "| `"+key+"` |") {
				t.Errorf("%s of %s is not described", key, d.Name)
			}
		}
	}
}

func TestDocuments_BadSchema(t *testing.T) {
	t.Parallel()
	bad := []config.Doc{{Name: "bad", Schema: []byte(`{"type": 5}`)}}
	for name, write := range map[string]func([]config.Doc, []byte) ([]byte, error){
		"example": config.Example, "editor": config.EditorSchema, "reference": config.Reference,
	} {
		if _, err := write(bad, nil); err == nil || !strings.Contains(err.Error(), "bad") {
			t.Errorf("%s: got %v", name, err)
		}
		if out, err := write(nil, nil); err != nil || len(out) == 0 {
			t.Errorf("%s of nothing: %v", name, err)
		}
	}
}
