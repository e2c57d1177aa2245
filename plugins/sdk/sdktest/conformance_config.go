package sdktest

import (
	"bytes"
	"encoding/json"
	"maps"
	"regexp"
	"slices"
	"strings"
	"sync"
	"testing"
	"unicode"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/plugins/sdk"
)

func platforms() []string {
	return []string{"Mac", "Windows", "Android", "iOS", "ChromeOS", "Linux"}
}

// schema is what the checks read of a configuration's JSON Schema.
type schema struct {
	Type       string              `json:"type"`
	Required   []string            `json:"required"`
	Properties map[string]property `json:"properties"`
}

type property struct {
	Description string          `json:"description"`
	Secret      bool            `json:"x-secret"`
	Default     json.RawMessage `json:"default"`
	Type        json.RawMessage `json:"type"`
}

func (s *suite) schema(t *testing.T) schema {
	t.Helper()
	var out schema
	if err := json.Unmarshal(s.about.ConfigSchema, &out); err != nil {
		t.Fatalf("the configuration schema is not JSON: %v", err)
	}
	return out
}

func (s *suite) description(t *testing.T) {
	d := s.about
	key := regexp.MustCompile(`^[a-z][a-z0-9_]*$`)
	if !key.MatchString(d.Name) {
		t.Errorf("the name %q is not of lower-case letters, digits and underscores", d.Name)
	}
	if d.Version == "" || strings.ContainsFunc(d.Version, unicode.IsSpace) {
		t.Errorf("version %q", d.Version)
	}
	if d.Summary == "" || strings.ContainsAny(d.Summary, "\r\n") {
		t.Errorf("the summary %q is not one line", d.Summary)
	}
	if len(d.Capabilities) == 0 {
		t.Error("the plugin can do nothing")
	}
	finds := d.Has(sdk.CapDevicesByEmail) || d.Has(sdk.CapDevicesBySerial) || d.Has(sdk.CapDevicesByMAC) || d.Has(sdk.CapListDevices)
	if !finds && (len(d.Practices) > 0 || len(d.Platforms) > 0 || d.Software) {
		t.Error("it describes device records and finds no devices")
	}
	if d.Ownership && !d.Has(sdk.CapDevicesByEmail) {
		t.Error("it claims to know owners, but finds no devices by e-mail")
	}
	for _, p := range d.Practices {
		if !key.MatchString(p) {
			t.Errorf("practice key %q", p)
		}
	}
	for _, p := range d.Platforms {
		if !slices.Contains(platforms(), p) {
			t.Errorf("platform %q is none of %v", p, platforms())
		}
	}
	for _, list := range [][]string{d.Practices, d.Platforms} {
		if sorted := slices.Sorted(slices.Values(list)); len(slices.Compact(sorted)) != len(list) {
			t.Errorf("something stands twice in %v", list)
		}
	}
	s.checkSchema(t)
	over, err := Dial(t, s.plugin).Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(d, over, cmp.Transformer("schema", func(b []byte) string { return string(b) })); diff != "" {
		t.Errorf("the description changes on its way or from call to call:\n%s", diff)
	}
}

func (s *suite) checkSchema(t *testing.T) {
	t.Helper()
	document, err := jsonschema.UnmarshalJSON(bytes.NewReader(s.about.ConfigSchema))
	if err != nil {
		t.Fatalf("the configuration schema is not JSON: %v", err)
	}
	compiler := jsonschema.NewCompiler()
	if err := compiler.AddResource("config.json", document); err != nil {
		t.Fatalf("the configuration schema: %v", err)
	}
	compiled, err := compiler.Compile("config.json")
	if err != nil {
		t.Fatalf("the configuration schema is no JSON Schema: %v", err)
	}
	text, err := json.Marshal(s.Settings)
	if err != nil {
		t.Fatal(err)
	}
	settings, err := jsonschema.UnmarshalJSON(bytes.NewReader(text))
	if err != nil {
		t.Fatal(err)
	}
	if err := compiled.Validate(settings); err != nil {
		t.Errorf("the case's settings do not fit the schema: %v", err)
	}
	sch := s.schema(t)
	if sch.Type != "object" {
		t.Errorf("the schema is of type %q", sch.Type)
	}
	for name, p := range sch.Properties {
		if p.Description == "" {
			t.Errorf("%s has no description", name)
		}
		if p.Secret && len(p.Default) > 0 {
			t.Errorf("the secret %s has a default", name)
		}
	}
}

// configuration checks that mistakes are refused and named.
func (s *suite) configuration(t *testing.T) {
	sch := s.schema(t)
	refused := func(what string, settings map[string]any, names ...string) {
		t.Helper()
		err := Dial(t, s.plugin).Configure(t.Context(), configuration(t, settings, s.Options).Configuration)
		if err == nil {
			t.Errorf("%s is accepted", what)
			return
		}
		if fault.KindOf(err) != fault.Invalid {
			t.Errorf("%s fails as %s: %v", what, fault.KindOf(err), err)
		}
		for _, name := range names {
			if !strings.Contains(err.Error(), name) {
				t.Errorf("%s: the error does not name %s: %v", what, name, err)
			}
		}
	}
	changed := func(key string, value any) map[string]any {
		settings := maps.Clone(s.Settings)
		if settings == nil {
			settings = map[string]any{}
		}
		if settings[key] = value; value == nil {
			delete(settings, key)
		}
		return settings
	}
	refused("an unknown key", changed("NO_SUCH_KEY", "x"), "NO_SUCH_KEY")
	for _, key := range sch.Required {
		refused("a configuration without "+key, changed(key, nil), key)
		refused("an empty "+key, changed(key, ""), key)
	}
	if len(sch.Required) > 0 {
		refused("an empty configuration", map[string]any{}, sch.Required...)
	}
	for key, p := range sch.Properties {
		wrong := any(map[string]any{"x": []any{1}})
		if strings.Contains(string(p.Type), "object") {
			wrong = 7
		}
		refused("a wrong type of "+key, changed(key, wrong), key)
	}
}

// secrets checks that no secret shows in an error or a log line.
func (s *suite) secrets(t *testing.T) {
	var hidden []string
	sch := s.schema(t)
	for _, settings := range append([]map[string]any{s.Settings}, s.Failing...) {
		for key, p := range sch.Properties {
			if p.Secret {
				hidden = append(hidden, leaves(settings[key])...)
			}
		}
	}
	check := func(where, text string) {
		t.Helper()
		for _, secret := range hidden {
			if strings.Contains(text, secret) {
				t.Errorf("a secret shows in %s", where)
			}
		}
	}
	for i, settings := range append([]map[string]any{s.Settings}, s.Failing...) {
		log := &syncBuffer{}
		client := dial(t, s.plugin, log, NewJournal())
		failed := false
		note := func(err error) {
			t.Helper()
			if err != nil {
				failed = true
				check("an error", err.Error()+" "+fault.RemedyOf(err))
			}
		}
		err := client.Configure(t.Context(), configuration(t, settings, s.Options).Configuration)
		note(err)
		if err == nil {
			for _, c := range s.lookUps(client, s.Email, s.Serial, s.MAC) {
				_, err := c.do(t.Context())
				note(err)
			}
			if s.about.Has(sdk.CapTestConnectivity) {
				detail, err := client.TestConnectivity(t.Context())
				check("the connectivity test", detail)
				note(err)
			}
			if s.about.Has(sdk.CapListDevices) {
				note(client.ListDevices(t.Context(), promptly, ignore))
			}
		}
		check("the log", log.String())
		if i > 0 && !failed {
			t.Errorf("nothing fails with failing configuration %d", i)
		}
	}
}

// leaves gives the texts within a secret that are worth hiding.
func leaves(value any) []string {
	const shortest = 4 // a shorter text is found everywhere
	switch v := value.(type) {
	case string:
		var object map[string]any
		if json.Unmarshal([]byte(v), &object) == nil && object != nil {
			return leaves(object)
		}
		if len(v) >= shortest {
			return []string{v}
		}
	case map[string]any:
		var out []string
		for name, inner := range v {
			if strings.Contains(name, "key") || strings.Contains(name, "secret") || strings.Contains(name, "password") {
				out = append(out, leaves(inner)...)
			}
		}
		return out
	}
	return nil
}

// syncBuffer is a buffer for several writers.
type syncBuffer struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (b *syncBuffer) Write(p []byte) (int, error) {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.Write(p)
}

func (b *syncBuffer) String() string {
	b.mu.Lock()
	defer b.mu.Unlock()
	return b.buf.String()
}
