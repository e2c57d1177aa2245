package config_test

import (
	"errors"
	"flag"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/config"
	"github.com/postureproject/posture/fault"
)

var update = flag.Bool("update", false, "write the golden files")

// golden compares with a file of testdata.
func golden(t *testing.T, path, got string) {
	t.Helper()
	if *update {
		if err := os.WriteFile(path, []byte(got), 0o600); err != nil {
			t.Fatal(err)
		}
		return
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), got); diff != "" {
		t.Errorf("%s differs (-want +got):\n%s", path, diff)
	}
}

// pluginSchemas reads the schemas of testdata; that of the practices apart.
func pluginSchemas(t testing.TB) (plugins map[string][]byte, practices []byte) {
	t.Helper()
	files, err := filepath.Glob("testdata/schemas/*.json")
	if err != nil || len(files) == 0 {
		t.Fatalf("no schemas: %v", err)
	}
	plugins = map[string][]byte{}
	for _, file := range files {
		data, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		plugins[strings.TrimSuffix(filepath.Base(file), ".json")] = data
	}
	practices = plugins["practices"]
	delete(plugins, "practices")
	return plugins, practices
}

func TestProblems(t *testing.T) {
	t.Parallel()
	schemas, practices := pluginSchemas(t)
	files, err := filepath.Glob("testdata/problems/*.yaml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no files: %v", err)
	}
	for _, file := range files {
		t.Run(strings.TrimSuffix(filepath.Base(file), ".yaml"), func(t *testing.T) {
			t.Parallel()
			data, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			var lines []string
			f, err := config.Parse("posture.yaml", data, nil)
			if err != nil {
				lines = append(lines, err.Error())
			}
			if f != nil {
				if err := f.Check(schemas, practices); err != nil {
					lines = append(lines, err.Error())
				}
			}
			if len(lines) == 0 {
				t.Fatal("nothing is wrong")
			}
			got := strings.Join(lines, "\n") + "\n"
			if strings.Contains(got, "hunter2") {
				t.Errorf("a secret shows:\n%s", got)
			}
			golden(t, strings.TrimSuffix(file, ".yaml")+".golden", got)
		})
	}
}

func TestProblems_Fault(t *testing.T) {
	t.Parallel()
	_, err := config.Parse("posture.yaml", []byte("listn: x\nlog_level: loud\n"), nil)
	if got := fault.KindOf(err); got != fault.Invalid {
		t.Errorf("kind %v, want invalid", got)
	}
	var problems config.Problems
	if !errors.As(err, &problems) || len(problems) != 2 {
		t.Fatalf("got %v, want two problems", err)
	}
	want := config.Problem{
		File: "posture.yaml", Line: 1, Column: 1, Path: "listn", Message: "unknown key", Suggestion: "did you mean listen?",
	}
	if diff := cmp.Diff(want, problems[0]); diff != "" {
		t.Error(diff)
	}
	var e *fault.Error
	if !errors.As(err, &e) {
		t.Fatal("no fault.Error in the chain")
	}
	wantField := fault.Field{Name: "listn", Reason: "unknown key", Remedy: "did you mean listen?"}
	if diff := cmp.Diff(wantField, e.Fields[0]); diff != "" {
		t.Error(diff)
	}
	if kind := fault.KindOf(fault.Wrap(err, "start", "")); kind != fault.Invalid {
		t.Errorf("wrapped kind %v", kind)
	}
}

func TestParse_Bounds(t *testing.T) {
	t.Parallel()
	bomb := "a: &a [x,x,x,x,x,x,x,x,x,x]\n"
	for c := 'b'; c <= 'j'; c++ {
		p := string(c - 1)
		bomb += string(c) + ": &" + string(c) + " [" + strings.Repeat("*"+p+",", 10) + "]\n"
	}
	for name, test := range map[string]struct{ data, want string }{
		"too large":       {strings.Repeat("# filling\n", 120_000), "posture.yaml: the file is larger than 1 MiB"},
		"not UTF-8":       {"debug: true\nstate_dir: \xff\n", "posture.yaml:2:12: the file is not UTF-8 text"},
		"NUL":             {"debug: true\x00\n", "posture.yaml:1:12: the file is not UTF-8 text"},
		"alias bomb":      {bomb, "more than 50000 values"},
		"deep flow":       {"a: " + strings.Repeat("[", 200) + strings.Repeat("]", 200), "nested more than 64 deep"},
		"very deep":       {strings.Repeat("[", 20_000), "nested too deep"},
		"alias of itself": {"a: &a [*a]\n", "an alias refers to a value that contains it"},
		"empty key":       {"\"\": 1\n", "a key is empty"},
		"second broken":   {"a: 1\n---\n\"\n", "a quoted text is not closed"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := config.Parse("posture.yaml", []byte(test.data), nil)
			if err == nil || !strings.Contains(err.Error(), test.want) {
				t.Errorf("got %.300v, want %q", err, test.want)
			}
		})
	}
}

func TestCheck_GoodFileHasNoProblems(t *testing.T) {
	t.Parallel()
	schemas, practices := pluginSchemas(t)
	f, err := config.Load("testdata/full.yaml", []string{"JAMF_PASSWORD=hunter2secret"})
	if err != nil {
		t.Fatal(err)
	}
	if err := f.Check(schemas, practices); err != nil {
		t.Error(err)
	}
}

func TestSchemaOfAPluginIsBad(t *testing.T) {
	t.Parallel()
	f, err := config.Parse("posture.yaml", []byte("plugins: {a: {}}"), nil)
	if err != nil {
		t.Fatal(err)
	}
	for name, schema := range map[string]string{
		"no JSON": `{`, "no schema": `{"type": 5}`, "foreign": `{"$ref": "file:///etc/passwd"}`, "net": `{"$ref": "https://example.com/s.json"}`,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if _, err := f.Plugin("a", []byte(schema)); fault.KindOf(err) != fault.BadResponse {
				t.Errorf("got %v, want a bad response", err)
			}
		})
	}
}
