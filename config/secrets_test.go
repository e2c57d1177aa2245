package config_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/config"
)

// folder makes a folder of files.
func folder(t testing.TB, files map[string]string, mode os.FileMode) string {
	t.Helper()
	dir := t.TempDir()
	for name, content := range files {
		path := filepath.Join(dir, name)
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(path, []byte(content), mode); err != nil {
			t.Fatal(err)
		}
		if err := os.Chmod(path, mode); err != nil { // whatever the umask says
			t.Fatal(err)
		}
	}
	return dir
}

func TestReferences(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{
		"lf": "value\n", "crlf": "value\r\n", "two": "value\n\n", "none": "value", "sub/spaces": " value \n",
		"empty": "\n", "binary": "\xff\xfe", "number": "7\n", "list": "a, b\n", "document": `{"private_key": "k"}` + "\n",
		"large": strings.Repeat("x", 1<<20+1),
	}, 0o600)
	environ := []string{"SET=value", "EMPTY=", "YES=yes"}
	schema := []byte(`{"type":"object","additionalProperties":false,"properties":{
		"TEXT":{"type":"string"}, "SECRET":{"type":"string","x-secret":true}, "NUMBER":{"type":"integer"}, "BOOL":{"type":"boolean"},
		"LIST":{"type":["array","string"],"items":{"type":"string"}}, "MAP":{"type":"object","additionalProperties":{"type":"string"}},
		"DOCUMENT":{"type":["object","string"],"x-secret":true}}}`)
	for _, test := range []struct{ block, want, problem string }{
		{"TEXT: file:lf", `{"TEXT":"value"}`, ""},
		{"TEXT: file:crlf", `{"TEXT":"value"}`, ""},
		{"TEXT: file:two", `{"TEXT":"value\n"}`, ""},
		{"TEXT: file:none", `{"TEXT":"value"}`, ""},
		{"SECRET: file:sub/spaces", `{"SECRET":" value "}`, ""},
		{"SECRET: file:" + filepath.Join(dir, "lf"), `{"SECRET":"value"}`, ""},
		{"SECRET: env:SET", `{"SECRET":"value"}`, ""},
		{"SECRET: literal:env:SET", `{"SECRET":"env:SET"}`, ""},
		{"SECRET: literal:literal:x", `{"SECRET":"literal:x"}`, ""},
		{"SECRET: literal", `{"SECRET":"literal"}`, ""},
		{"NUMBER: file:number", `{"NUMBER":7}`, ""},
		{"BOOL: env:YES", `{"BOOL":true}`, ""},
		{"LIST: file:list", `{"LIST":["a","b"]}`, ""},
		{"LIST: [x, env:SET]", `{"LIST":["x","value"]}`, ""},
		{"MAP: {x: env:SET}", `{"MAP":{"x":"value"}}`, ""},
		{"DOCUMENT: file:document", `{"DOCUMENT":"{\"private_key\": \"k\"}"}`, ""},
		{"DOCUMENT: {private_key: file:lf}", `{"DOCUMENT":{"private_key":"value"}}`, ""},
		{"NUMBER: env:SET", "", "NUMBER: must be a whole number, not text"},
		{"TEXT: env:EMPTY", "", "env:EMPTY refers to an environment variable that is not set"},
		{"TEXT: file:empty", "", "file:empty is empty"},
		{"TEXT: file:binary", "", "file:binary is not UTF-8 text"},
		{"TEXT: file:large", "", "file:large is larger than 1 MiB"},
		{"TEXT: file:sub", "", "file:sub is not an ordinary file"},
		{"TEXT: file:not/there", "", "file:not/there refers to a file that does not exist"},
		{"NUMBER: file:not/there", "", "file:not/there refers to a file that does not exist"},
	} {
		t.Run(test.block, func(t *testing.T) {
			t.Parallel()
			f, err := config.Parse(filepath.Join(dir, "posture.yaml"), []byte("plugins:\n  a:\n    "+test.block), environ)
			if err != nil {
				t.Fatal(err)
			}
			b, err := f.Plugin("a", schema)
			if test.problem != "" {
				if err == nil || !strings.Contains(err.Error(), test.problem) || strings.Contains(err.Error(), "\n") {
					t.Fatalf("got %v, want %s", err, test.problem)
				}
				return
			}
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(asJSON(t, json.RawMessage(test.want)), asJSON(t, b.JSON)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestWarnings(t *testing.T) {
	t.Parallel()
	schemas, _ := pluginSchemas(t)
	const block = "plugins:\n  jamf: {JAMF_API_USERNAME: file:user, JAMF_API_PASSWORD: %s, JAMF_API_HOSTADDR: x}\n"
	for _, test := range []struct {
		name, password string
		mode           os.FileMode
		want           []string
	}{
		{"all is well", "file:password", 0o600, nil},
		{"literal in a private file", "hunter2", 0o640, nil},
		{"exposed file", "file:password", 0o644, []string{"file:password may be read by every user"}},
		{"exposed configuration", "hunter2", 0o644, []string{"the secret stands in a file that every user"}},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			dir := folder(t, map[string]string{"posture.yaml": fmt.Sprintf(block, test.password), "user": "u", "password": "hunter2"}, test.mode)
			f, err := config.Load(filepath.Join(dir, "posture.yaml"), nil)
			if err != nil {
				t.Fatal(err)
			}
			for range 2 { // the second time nothing is added
				if _, err := f.Plugin("jamf", schemas["jamf"]); err != nil {
					t.Fatal(err)
				}
			}
			got := f.Warnings()
			if len(got) != len(test.want) {
				t.Fatalf("got %v, want %v", got, test.want)
			}
			for i, w := range test.want {
				if !strings.Contains(got[i].Message, w) || got[i].Path != "plugins.jamf.JAMF_API_PASSWORD" || got[i].Line != 2 {
					t.Errorf("got %v, want %s", got[i], w)
				}
			}
		})
	}
}

// everything prints what may be printed of a configuration in every way.
func everything(t testing.TB, f *config.File) string {
	t.Helper()
	schemas, practices := pluginSchemas(t)
	var out bytes.Buffer
	log := slog.New(slog.NewJSONHandler(&out, nil))
	show := func(v any) {
		fmt.Fprintf(&out, "%v %+v %#v %s %d %x %q\n", v, v, v, v, v, v, v)
		log.Info("shown", "value", v)
	}
	show(f)
	show(struct{ F *config.File }{f})
	settings := f.Settings()
	show(settings)
	show(&settings)
	show(settings.JWTSecretKey)
	if err := json.NewEncoder(&out).Encode(settings); err != nil {
		t.Fatal(err)
	}
	for _, name := range f.Plugins() {
		b, err := f.Plugin(name, schemas[name])
		show(err)
		show(b)
		show(&b)
	}
	show(f.Check(schemas, practices))
	for _, known := range []map[string][]byte{schemas, nil} {
		shown, err := f.Show(known, practices)
		if err != nil {
			t.Fatal(err)
		}
		out.Write(shown)
	}
	show(f.Warnings())
	return out.String()
}

func TestNothingShowsASecret(t *testing.T) {
	t.Parallel()
	dir := folder(t, map[string]string{
		"password": "hunter2secret", "document": `{"private_key": "hunter2secret"}`,
		"posture.yaml": `jwt_secret_key: hunter2secret-and-more
admins: env:ADMIN
plugins:
  jamf:
    JAMF_API_USERNAME: env:USER_NAME
    JAMF_API_PASSWORD: file:password
    JAMF_API_HOSTADDR: x
  google: {GOOGLE_API_SECRETS: {private_key: hunter2secret, nested: {a: [hunter2secret]}}, GOOGLE_API_USERNAME: x}
  duo: {DUO_SECRET_KEY: hunter2secret, DUO_INTEGRATION_KEY: 5, DUO_SECRT_KEY: hunter2secret, DUO_API_HOSTNAME: {x: y}}
  landesk: {LANDESK_SQL_PASSWORD: [hunter2secret], LANDESK_SQL_HOSTNAME: x, LANDESK_SQL_ENCRYPT: x}
  unknown: {TOKEN: hunter2secret, DEEP: {A: [hunter2secret]}, TIMEOUT: 5}
  open: {TOKEN: hunter2secret, OTHER: hunter2secret}
practices:
  jamf: {JAMF_API_PASSWORD: hunter2secret}
`,
	}, 0o644)
	f, err := config.Load(filepath.Join(dir, "posture.yaml"), []string{
		"ADMIN=by-reference", "USER_NAME=hunter2secret", "POSTURE_PLUGINS_JAMF_CA_FILE=env:USER_NAME",
		"POSTURE_PLUGINS_UNKNOWN_PASSWORD=hunter2secret", "POSTURE_PLUGINS_DUO_DUO_API_HOSTNAM=hunter2secret",
	})
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.Lines(everything(t, f)) {
		if strings.Contains(line, "hunter2secret") || strings.Contains(line, fmt.Sprintf("%x", "hunter2secret")) {
			t.Errorf("a secret shows in %.200s", line)
		}
	}
	shown, err := f.Show(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(shown), "by-reference") {
		t.Errorf("a value that came by a reference shows in\n%s", shown)
	}
}

func FuzzNothingShowsASecret(f *testing.F) {
	for _, seed := range []string{"", "*", "&", "%", "@", "!", "{", "[", "'", "\"", "|", ">", "a: ", "- ", "\t", "#", "!!binary ", "literal:", "{x: ", "[1, ", "? ", "<<: "} {
		f.Add(seed)
	}
	const secret = "zQ9hunter2"
	f.Fuzz(func(t *testing.T, before string) {
		if strings.ContainsAny(before, "\r\n\u0085\u2028\u2029") || strings.Contains(before, "file:") || strings.Contains(before, "env:") {
			return // the secret would stand on a line of its own, or name a reference
		}
		for _, end := range []string{"", "}", "]", "'", "\"", ": x", ": x}"} {
			data := "plugins:\n  jamf:\n    JAMF_API_PASSWORD: " + before + secret + end + "\n"
			file, err := config.Parse("posture.yaml", []byte(data), nil)
			if err != nil && strings.Contains(err.Error(), secret) {
				t.Fatalf("%q: %v", data, err)
			}
			if file != nil && strings.Contains(everything(t, file), secret) {
				t.Fatalf("%q: it shows", data)
			}
		}
	})
}
