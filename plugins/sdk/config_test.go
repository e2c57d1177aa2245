package sdk_test

import (
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/plugins/sdk"
)

type shared struct {
	CAFile string `json:"CA_FILE" doc:"A file" example:"/etc/ca.pem"`
}

type settings struct {
	shared

	Host     string            `json:"HOST" doc:"Where" required:"true"`
	Hosts    sdk.Strings       `json:"HOSTS" doc:"Several" default:"[\"a\",\"b\"]"`
	Password sdk.Secret        `json:"PASSWORD" doc:"Kept" required:"true"`
	Key      sdk.SecretJSON    `json:"KEY" doc:"Kept, too"`
	Wait     sdk.Duration      `json:"WAIT" doc:"How long" default:"90s"`
	Size     int               `json:"SIZE" doc:"How many" default:"7" example:"9"`
	Ratio    float64           `json:"RATIO" default:"0.5"`
	On       bool              `json:"ON" default:"true"`
	Mode     string            `json:"MODE" enum:"fast,slow" default:"fast"`
	Map      map[string]string `json:"MAP"`
	Inner    struct {
		X []int `json:"X"`
	} `json:"INNER"`
	Optional *int   `json:"OPTIONAL"`
	Token    string `json:"TOKEN" secret:"true"`
	Ignored  string `json:"-"`
	private  string //nolint:unused // a field without a key must be ignored
}

func defaults() settings {
	return settings{
		Host: "h", Password: "p", Hosts: sdk.Strings{"a", "b"}, Wait: sdk.Duration(90 * time.Second), Size: 7, Ratio: 0.5, On: true, Mode: "fast",
	}
}

func TestDecodeConfig(t *testing.T) {
	t.Parallel()
	seven := 7
	tests := map[string]struct {
		config string // beside HOST and PASSWORD
		change func(*settings)
	}{
		"defaults":         {``, func(*settings) {}},
		"lower-case keys":  {`,"ca_file":"f","Size":1`, func(s *settings) { s.CAFile, s.Size = "f", 1 }},
		"list":             {`,"HOSTS":["x","y"]`, func(s *settings) { s.Hosts = sdk.Strings{"x", "y"} }},
		"text for a list":  {`,"HOSTS":"x"`, func(s *settings) { s.Hosts = sdk.Strings{"x"} }},
		"empty list":       {`,"HOSTS":[]`, func(s *settings) { s.Hosts = sdk.Strings{} }},
		"empty text":       {`,"HOSTS":""`, func(s *settings) { s.Hosts = nil }},
		"seconds":          {`,"WAIT":2.5`, func(s *settings) { s.Wait = sdk.Duration(2500 * time.Millisecond) }},
		"seconds as text":  {`,"WAIT":"12"`, func(s *settings) { s.Wait = sdk.Duration(12 * time.Second) }},
		"duration":         {`,"WAIT":"1h30m"`, func(s *settings) { s.Wait = sdk.Duration(90 * time.Minute) }},
		"zero":             {`,"WAIT":0`, func(s *settings) { s.Wait = 0 }},
		"switched off":     {`,"ON":false,"SIZE":0`, func(s *settings) { s.On, s.Size = false, 0 }},
		"nulls":            {`,"CA_FILE":null,"HOSTS":null,"WAIT":null,"SIZE":null,"ON":null,"KEY":null,"MAP":null,"OPTIONAL":null`, func(s *settings) {}},
		"inner and others": {`,"INNER":{"X":[1,2]},"MAP":{"a":"b"},"OPTIONAL":7`, func(s *settings) { s.Inner.X, s.Map, s.Optional = []int{1, 2}, map[string]string{"a": "b"}, &seven }},
		"empty secret":     {`,"KEY":""`, func(*settings) {}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := sdk.DecodeConfig[settings]([]byte(`{"HOST":"h","PASSWORD":"p"` + tc.config + `}`))
			if err != nil {
				t.Fatal(err)
			}
			want := defaults()
			tc.change(&want)
			options := cmp.Options{cmp.AllowUnexported(settings{}, shared{}), cmp.Comparer(func(a, b sdk.SecretJSON) bool { return a.IsZero() == b.IsZero() })}
			if diff := cmp.Diff(want, got, options); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestDecodeConfig_mistakes(t *testing.T) {
	t.Parallel()
	const secret = "hunter2"
	tests := map[string]struct {
		config string
		fields []string
		says   string
	}{
		"nothing":           {``, []string{"HOST", "PASSWORD"}, "is required"},
		"missing":           {`{"HOST":"h"}`, []string{"PASSWORD"}, "is required"},
		"empty and null":    {`{"HOST":"","PASSWORD":null}`, []string{"HOST", "PASSWORD"}, "is required"},
		"unknown":           {`{"HOST":"h","PASSWORD":"hunter2","HOTS":"x"}`, []string{"HOTS"}, "not a key of this plugin"},
		"ignored field":     {`{"HOST":"h","PASSWORD":"hunter2","-":"x","private":"x"}`, []string{"-", "private"}, "not a key of this plugin"},
		"several at once":   {`{"PASSWORD":["hunter2"],"SIZE":"hunter2","ON":1,"NO":1}`, []string{"NO", "ON", "PASSWORD", "SIZE"}, "must be a whole number, not a string"},
		"list":              {`{"HOSTS":[1]}`, []string{"HOSTS"}, "a text or a list of texts"},
		"duration":          {`{"WAIT":"soon"}`, []string{"WAIT"}, "is not a duration"},
		"negative duration": {`{"WAIT":-1}`, []string{"WAIT"}, "is not a duration"},
		"endless duration":  {`{"WAIT":1e300}`, []string{"WAIT"}, "is not a duration"},
		"no number":         {`{"WAIT":"NaN"}`, []string{"WAIT"}, "is not a duration"},
		"secret document":   {`{"KEY":"hunter2"}`, []string{"KEY"}, "not a JSON object"},
		"secret list":       {`{"KEY":["hunter2"]}`, []string{"KEY"}, "not a JSON object"},
		"fraction":          {`{"SIZE":1.5}`, []string{"SIZE"}, "whole number"},
		"inner":             {`{"INNER":{"X":"hunter2"}}`, []string{"INNER"}, "must be a list"},
		"unknown inner":     {`{"INNER":{"Y":1}}`, []string{"INNER"}, "not a key"},
		"list as a whole":   {`["hunter2"]`, nil, "must be an object"},
		"no JSON":           {`{"PASSWORD":"hunter2"`, nil, "unexpected EOF"},
		"more behind":       {`{"HOST":"h","PASSWORD":"hunter2"} {}`, nil, "not an object"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, err := sdk.DecodeConfig[settings]([]byte(tc.config))
			if fault.KindOf(err) != fault.Invalid || err == nil {
				t.Fatalf("error %v, want an invalid one", err)
			}
			var (
				e      *fault.Error
				fields []string
			)
			if !errors.As(err, &e) {
				t.Fatalf("%T is no fault", err)
			}
			for _, f := range e.Fields {
				fields = append(fields, f.Name)
			}
			if diff := cmp.Diff(tc.fields, fields); diff != "" {
				t.Errorf("fields (-want +got):\n%s", diff)
			}
			if !strings.Contains(err.Error(), tc.says) {
				t.Errorf("%q does not say %q", err, tc.says)
			}
			if strings.Contains(err.Error(), secret) {
				t.Errorf("a secret shows in %q", err)
			}
		})
	}
}

func TestSecretJSON(t *testing.T) {
	t.Parallel()
	for _, form := range []string{`{"a":1}`, `"{\"a\":1}"`, ` "  {\"a\":1} "`} {
		got, err := sdk.DecodeConfig[struct {
			Key sdk.SecretJSON `json:"KEY" required:"true"`
		}]([]byte(`{"KEY":` + form + `}`))
		if err != nil || got.Key.IsZero() || string(got.Key.Reveal()) != `{"a":1}` {
			t.Errorf("%s gives %q, %v", form, got.Key.Reveal(), err)
		}
	}
}

func TestSchema(t *testing.T) {
	t.Parallel()
	schema, err := sdk.Schema[settings]()
	if err != nil {
		t.Fatal(err)
	}
	var pretty any
	if err := json.Unmarshal(schema, &pretty); err != nil {
		t.Fatal(err)
	}
	text, err := json.MarshalIndent(pretty, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, '\n')
	golden := filepath.Join("testdata", "schema.golden.json")
	if *update {
		if err := os.WriteFile(golden, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(text)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("c.json", pretty); err != nil {
		t.Fatal(err)
	}
	compiled, err := compiler.Compile("c.json")
	if err != nil {
		t.Fatalf("not a JSON Schema: %v", err)
	}
	if err := compiled.Validate(map[string]any{"HOST": "h", "PASSWORD": "p", "WAIT": "90s", "HOSTS": "x"}); err != nil {
		t.Error(err)
	}
	if compiled.Validate(map[string]any{"HOST": "h"}) == nil || compiled.Validate(map[string]any{"HOST": "h", "PASSWORD": "p", "X": "y"}) == nil {
		t.Error("the schema accepts a missing or an unknown key")
	}
}

func TestSchema_impossible(t *testing.T) {
	t.Parallel()
	if _, err := sdk.Schema[struct {
		C chan int `json:"C"`
	}](); err == nil {
		t.Error("a channel has a schema")
	}
	if _, err := sdk.Schema[int](); err == nil {
		t.Error("a number has a configuration schema")
	}
	if _, err := sdk.DecodeConfig[struct {
		N int `json:"N" default:"many"`
	}](nil); err == nil {
		t.Error("a default of the wrong type is accepted")
	}
}

func FuzzDecodeConfig(f *testing.F) {
	for _, seed := range []string{`{}`, `{"HOST":"h","PASSWORD":"p","WAIT":1e300}`, `{"HOSTS":[null],"KEY":"{}","MAP":{"a":null}}`, `[]`, `null`, `{"wait":"-0","Wait":null}`, `{"OPTIONAL":1} x`} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		c, err := sdk.DecodeConfig[settings](data)
		switch {
		case err != nil && fault.KindOf(err) != fault.Invalid:
			t.Errorf("%q fails as %s: %v", data, fault.KindOf(err), err)
		case err == nil && (c.Host == "" || c.Password == "" || c.Wait < 0):
			t.Errorf("%q gives %#v", data, c)
		}
	})
}
