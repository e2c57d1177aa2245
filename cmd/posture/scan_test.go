package main

import (
	"bytes"
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/host/scan"
)

// posture runs a command line on a configuration, without the environment.
func posture(t *testing.T, configuration string, args ...string) (status int, stdout, stderr string) {
	t.Helper()
	file := filepath.Join(t.TempDir(), "posture.yaml")
	if err := os.WriteFile(file, []byte(configuration), 0o600); err != nil {
		t.Fatal(err)
	}
	var out, problems bytes.Buffer
	status = run(t.Context(), args, environment{
		stdin: strings.NewReader(""), stdout: &out, stderr: &problems,
		getenv: func(name string) string { return map[string]string{"POSTURE_CONFIG": file}[name] },
	})
	return status, out.String(), problems.String()
}

// Where nobody is asked, no answer may read as "no devices".
func TestScan_nobodyToAsk(t *testing.T) {
	t.Parallel()
	const transformOnly = "plugins:\n  re_filter:\n    PATTERN_MAP: {model: Virtual}\n"
	for name, tt := range map[string]struct {
		configuration string
		args          []string
		want          string
	}{
		"no plugins":       {"default_timeout: 5s\n", []string{"scan", "ada@example.com"}, "no source is configured"},
		"only a transform": {transformOnly, []string{"scan", "--json", "ada@example.com"}, "no source is configured"},
		"a transform":      {transformOnly, []string{"scan", "--source", "re_filter", "ada@example.com"}, "is not enabled, or no source"},
		"an unknown one":   {transformOnly, []string{"scan", "--source", "jamf", "ada@example.com"}, "is not configured"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, stdout, stderr := posture(t, tt.configuration, tt.args...)
			if status != exitUsage || stdout != "" || !strings.Contains(stderr, tt.want) {
				t.Errorf("status %d, said %q and %q; want status 1 and %q", status, stdout, stderr, tt.want)
			}
		})
	}
}

func TestStatusOf(t *testing.T) {
	t.Parallel()
	ok, failed := device.Outcome{Namespace: scan.NamespaceDevices, OK: true}, device.Outcome{Namespace: scan.NamespaceDevices}
	transform := device.Outcome{Namespace: scan.NamespaceDeviceStages, OK: true}
	for name, tt := range map[string]struct {
		outcomes []device.Outcome
		want     error
	}{
		"all answered":              {[]device.Outcome{ok, ok, transform}, nil},
		"one failed":                {[]device.Outcome{ok, failed}, exitStatus(exitSomeFailed)},
		"all failed":                {[]device.Outcome{failed, failed}, exitStatus(exitAllFailed)},
		"only a transform answered": {[]device.Outcome{failed, transform}, exitStatus(exitAllFailed)},
		"only a transform failed":   {[]device.Outcome{ok, {Namespace: scan.NamespaceDeviceStages}}, exitStatus(exitSomeFailed)},
	} {
		if got := statusOf([]device.Posture{{Sources: tt.outcomes}}); got != tt.want { //nolint:errorlint // the value itself
			t.Errorf("%s: %v, want %v", name, got, tt.want)
		}
	}
}

func TestCompletion(t *testing.T) {
	t.Parallel()
	const configuration = "plugins:\n  jamf: {}\n  bitfit: {}\n"
	for name, tt := range map[string]struct {
		args []string
		want string
	}{
		"sources":        {[]string{"scan", "--source", ""}, "jamf bitfit :4"},
		"addresses":      {[]string{"scan", ""}, ":4"},
		"plugins":        {[]string{"connectivity", "--plugins", "j"}, "jamf :4"},
		"another plugin": {[]string{"connectivity", "--plugins", "jamf,b"}, "jamf,bitfit :4"},
		"namespaces":     {[]string{"connectivity", "--namespaces", "sources.de"}, "sources.devices :4"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			_, stdout, _ := posture(t, configuration, append([]string{"__complete"}, tt.args...)...)
			if got := strings.Join(strings.Fields(stdout), " "); got != tt.want {
				t.Errorf("suggests %q, want %q", got, tt.want)
			}
		})
	}
}
