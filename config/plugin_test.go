package config_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/config"
)

func asJSON(t *testing.T, raw json.RawMessage) map[string]any {
	t.Helper()
	var m map[string]any
	if err := json.Unmarshal(raw, &m); err != nil {
		t.Fatalf("%v in %s", err, raw)
	}
	return m
}

func TestPlugin(t *testing.T) {
	t.Parallel()
	schemas, _ := pluginSchemas(t)
	f, err := config.Load("testdata/full.yaml", []string{"JAMF_PASSWORD=hunter2"})
	if err != nil {
		t.Fatal(err)
	}
	for _, test := range []struct {
		name string
		want config.Block
		json string
	}{
		{
			"jamf",
			config.Block{Timeout: 24 * time.Hour, Concurrency: 3, Enabled: true},
			`{"JAMF_API_USERNAME":"posture","JAMF_API_PASSWORD":"hunter2","JAMF_API_HOSTADDR":"env:odd"}`,
		},
		{
			"es",
			config.Block{Timeout: 7 * time.Second, Concurrency: 10, Enabled: true},
			`{"ELASTICSEARCH_HOSTS":["http://es.example.com:9200"],"ELASTICSEARCH_INDEX":"accesses"}`,
		},
		{
			"ES_Notifications",
			config.Block{Timeout: 7 * time.Second, Concurrency: 10, Enabled: true},
			`{"ELASTICSEARCH_HOSTS":["http://es.example.com:9200"],"ELASTICSEARCH_INDEX":"notifications"}`,
		},
		{
			"google",
			config.Block{Timeout: 7 * time.Second, Concurrency: 10, Enabled: true},
			`{"GOOGLE_API_SECRETS":{"client_email":"a@example.com","private_key":"hunter2secret-key"},"GOOGLE_API_USERNAME":"admin@example.com"}`,
		},
		{
			"landesk",
			config.Block{Timeout: 7 * time.Second, Concurrency: 10, Enabled: true},
			`{"LANDESK_SQL_HOSTNAME":"db.example.com","LANDESK_SQL_PASSWORD":"hunter2secret-literal","LANDESK_SQL_ENCRYPT":"false"}`,
		},
		{"bitfit", config.Block{Timeout: 7 * time.Second, Concurrency: 10}, `{}`},
		{"mac_manufacturer", config.Block{Timeout: 7 * time.Second, Concurrency: 10, Enabled: true}, `{}`},
	} {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			got, err := f.Plugin(test.name, schemas[strings.ToLower(test.name)])
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(asJSON(t, json.RawMessage(test.json)), asJSON(t, got.JSON)); diff != "" {
				t.Error(diff)
			}
			got.JSON = nil
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPlugin_AbsentAndRequired(t *testing.T) {
	t.Parallel()
	schemas, _ := pluginSchemas(t)
	if _, err := parse(t, "").Plugin("re_filter", schemas["re_filter"]); err == nil || !strings.Contains(err.Error(), "plugins.re_filter.PATTERN_MAP: the key is required") {
		t.Errorf("got %v", err)
	}
}

func TestPlugin_Environment(t *testing.T) {
	t.Parallel()
	schemas, _ := pluginSchemas(t)
	const file = `plugins:
  es: {ELASTICSEARCH_HOSTS: [a]}
  es_notifications: {elasticsearch_hosts: [a], TIMEOUT: 3}
  landesk: {LANDESK_SQL_HOSTNAME: a}
  google: {GOOGLE_API_USERNAME: a}
  re_filter:
  open: {LIMIT: 3}
  my-plugin.x: {}
`
	for _, test := range []struct{ plugin, variable, want string }{
		{"es", "POSTURE_PLUGINS_ES_ELASTICSEARCH_HOSTS=http://b,http://c", `{"ELASTICSEARCH_HOSTS":["http://b","http://c"]}`},
		{"es", "POSTURE_PLUGINS_ES_ELASTICSEARCH_HOSTS=[b]", `{"ELASTICSEARCH_HOSTS":["b"]}`},
		{"es", "POSTURE_PLUGINS_ES__ELASTICSEARCH_INDEX=12", `{"ELASTICSEARCH_HOSTS":["a"],"ELASTICSEARCH_INDEX":"12"}`},
		{"es_notifications", "POSTURE_PLUGINS_ES_NOTIFICATIONS_ELASTICSEARCH_HOSTS=b", `{"ELASTICSEARCH_HOSTS":"b"}`},
		{"es_notifications", "POSTURE_PLUGINS__ES_NOTIFICATIONS__ELASTICSEARCH_HOSTS=b", `{"ELASTICSEARCH_HOSTS":"b"}`},
		{"es_notifications", "POSTURE_PLUGINS_es_notifications_elasticsearch_hosts=b", `{"ELASTICSEARCH_HOSTS":"b"}`},
		{"landesk", "POSTURE_PLUGINS_LANDESK_LANDESK_SQL_HOSTPORT=1500", `{"LANDESK_SQL_HOSTNAME":"a","LANDESK_SQL_HOSTPORT":1500}`},
		{"landesk", "POSTURE_PLUGINS_LANDESK_LANDESK_SQL_PASSWORD=literal:env:x", `{"LANDESK_SQL_HOSTNAME":"a","LANDESK_SQL_PASSWORD":"env:x"}`},
		{"landesk", "POSTURE_PLUGINS_LANDESK_LANDESK_SQL_ENCRYPT=STRICT", `{"LANDESK_SQL_HOSTNAME":"a","LANDESK_SQL_ENCRYPT":"strict"}`},
		{"google", `POSTURE_PLUGINS_GOOGLE_GOOGLE_API_SECRETS={"private_key":"k"}`, `{"GOOGLE_API_USERNAME":"a","GOOGLE_API_SECRETS":"{\"private_key\":\"k\"}"}`},
		{"re_filter", "POSTURE_PLUGINS_RE_FILTER_PATTERN_MAP={model: VMware}", `{"PATTERN_MAP":{"model":"VMware"}}`},
		{"open", "POSTURE_PLUGINS_OPEN_LIMIT=1.5", `{"LIMIT":1.5}`},
		{"open", "POSTURE_PLUGINS_OPEN_TIMEOUT=9", `{"LIMIT":3,"TIMEOUT":9}`},
		{"my-plugin.x", "POSTURE_PLUGINS_MY_PLUGIN_X_ANY=b", `{"ANY":"b"}`},
		{"duo", "POSTURE_PLUGINS_DUO_DUO_FIRST_PULL=30d", `{"DUO_FIRST_PULL":"720h0m0s"}`},
	} {
		t.Run(test.variable, func(t *testing.T) {
			t.Parallel()
			f, err := config.Parse("posture.yaml", []byte(file), []string{test.variable}, "jamf", "duo")
			if err != nil {
				t.Fatal(err)
			}
			schema := schemas[test.plugin]
			if test.plugin == "google" || test.plugin == "duo" { // what else they require is not at stake
				schema = []byte(strings.Replace(string(schema), `"required"`, `"x-required"`, 1))
			}
			b, err := f.Plugin(test.plugin, schema)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(asJSON(t, json.RawMessage(test.want)), asJSON(t, b.JSON)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

func TestPlugin_EnvironmentOfHostKeys(t *testing.T) {
	t.Parallel()
	sum := strings.Repeat("AB", 32)
	f := parse(t, "plugins: {own: {timeout: 9, ENABLED: false}}",
		"POSTURE_PLUGINS_OWN_TIMEOUT=2m", "POSTURE_PLUGINS_OWN_ENABLED=on", "POSTURE_PLUGINS_OWN_CONCURRENCY=4", "POSTURE_PLUGINS_OWN_SHA256="+sum)
	got, err := f.Plugin("own", nil)
	if err != nil {
		t.Fatal(err)
	}
	want := config.Block{JSON: json.RawMessage("{}"), Timeout: 2 * time.Minute, Concurrency: 4, SHA256: strings.ToLower(sum), Enabled: true}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Error(diff)
	}
}

func TestPlugin_EnvironmentAddsKnown(t *testing.T) {
	t.Parallel()
	f, err := config.Parse("posture.yaml", []byte("plugins: {duo: {}}"), []string{"POSTURE_PLUGINS_JAMF_URL=x"}, "jamf", "es")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"duo", "jamf"}, f.Plugins()); diff != "" {
		t.Error(diff)
	}
}

func TestPlugin_SameKeyTwiceInTheEnvironment(t *testing.T) {
	t.Parallel()
	f := parse(t, "plugins: {a: {}}", "POSTURE_PLUGINS_A_X=1", "POSTURE_PLUGINS_A__X=2")
	if _, err := f.Plugin("a", nil); err == nil || !strings.Contains(err.Error(), "sets the same key as POSTURE_PLUGINS_A_X") {
		t.Errorf("got %v", err)
	}
}

func TestPlugin_TimeoutZeroIsTheDefault(t *testing.T) {
	t.Parallel()
	b, err := parse(t, "default_timeout: 9s\nplugins: {a: {TIMEOUT: 0}}").Plugin("a", nil)
	if err != nil || b.Timeout != 9*time.Second {
		t.Errorf("got %v, %v", b.Timeout, err)
	}
}

func TestPractices(t *testing.T) {
	t.Parallel()
	_, schema := pluginSchemas(t)
	f, err := config.Load("testdata/full.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	got, err := f.Practices(schema)
	if err != nil {
		t.Fatal(err)
	}
	want := `{"uptodate":{"REQUIRED_VERSIONS":{"iOS":"18.1","macOS":{"26":"26.1"}},"DISPLAY_TITLE":{"ok":"Up to date","default":"Updates"}},"own_practice":{"NA_PLATFORMS":"iOS"}}`
	if diff := cmp.Diff(asJSON(t, json.RawMessage(want)), asJSON(t, got)); diff != "" {
		t.Error(diff)
	}
	empty, err := parse(t, "").Practices(schema)
	if err != nil || string(empty) != "{}" {
		t.Errorf("without practices: %s, %v", empty, err)
	}
}
