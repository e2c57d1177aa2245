package config_test

import (
	"strings"
	"testing"

	"github.com/postureproject/posture/config"
)

func TestFile_Show(t *testing.T) {
	t.Parallel()
	schemas, practices := pluginSchemas(t)
	f, err := config.Load("testdata/full.yaml", []string{
		"POSTURE_DEBUG=no", "POSTURE_PLUGINS_JAMF_RETRIES=7", "POSTURE_PLUGINS_JAMF_JAMF_API_USERNAME=from-environment",
		"POSTURE_PLUGINS_RE_FILTER_PATTERN_MAP={serial: Parallels}", "POSTURE_ADMINS=a,b", "POSTURE_STATE_DIR=/srv/posture",
	})
	if err != nil {
		t.Fatal(err)
	}
	got, err := f.Show(schemas, practices)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/show.golden", string(got))
}

func TestFile_ShowIsAConfiguration(t *testing.T) {
	t.Parallel()
	schemas, practices := pluginSchemas(t)
	f, err := config.Load("testdata/full.yaml", nil)
	if err != nil {
		t.Fatal(err)
	}
	shown, err := f.Show(schemas, practices)
	if err != nil {
		t.Fatal(err)
	}
	again, err := config.Parse("shown.yaml", []byte(strings.ReplaceAll(string(shown), "[redacted]", "something-long-enough")), nil)
	if err != nil {
		t.Fatalf("%v in\n%s", err, shown)
	}
	if err := again.Check(schemas, practices); err != nil {
		t.Errorf("%v in\n%s", err, shown)
	}
}

func TestFile_ShowComments(t *testing.T) {
	t.Parallel()
	f := parse(t, "plugins: {a: {X: \"file:a\\nlisten: 0.0.0.0:1\"}}")
	shown, err := f.Show(nil, nil)
	if err != nil {
		t.Fatal(err)
	}
	if strings.Contains(string(shown), "\nlisten: 0.0.0.0") {
		t.Errorf("a value breaks out of its comment:\n%s", shown)
	}
}
