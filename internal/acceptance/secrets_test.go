package acceptance_test

import (
	"bytes"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"syscall"
	"testing"

	"github.com/postureproject/posture/internal/simulator/company"
	"github.com/postureproject/posture/internal/simulator/simhttp"
)

// secretsOf gives what nobody may see, by the plugin that it belongs to.
func (s *site) secretsOf() map[string]string {
	account, _ := s.Plugins["google"]["GOOGLE_API_SECRETS"].(map[string]any)
	key, _ := account["private_key"].(string)
	lines := strings.Split(key, "\n")
	return map[string]string{
		"jamf": company.JamfPassword, "landesk": company.LandeskPassword, "bitfit": company.BitfitToken, "duo": company.DuoSecret,
		"google": lines[1], // any line of it gives it away
	}
}

// TestSecretsStaySecret looks everywhere that somebody could: outputs, logs on
// their most talkative level, metrics, arguments and environments of processes,
// and what is kept on disk; while all is well and while everything fails.
func TestSecretsStaySecret(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3)
	secrets := s.secretsOf()
	for plugin, secret := range secrets {
		if len(secret) < 10 {
			t.Fatalf("%s: no secret to look for", plugin)
		}
	}
	s.write(t, map[string]any{"log_level": "debug", "debug": true})
	inspect := func(where, text string) {
		t.Helper()
		for plugin, secret := range secrets {
			if strings.Contains(text, secret) {
				t.Errorf("%s's secret shows in %s", plugin, where)
			}
		}
	}
	d := s.serve(t)
	for _, plugin := range []string{"", "google", "jamf", "bitfit", "duo", "es_notifications"} {
		if plugin != "" {
			s.Faults(plugin).Add(simhttp.Fault{Status: 401, Body: "no: " + secrets[plugin]})
		}
		for _, path := range []string{"/api/v1/posture/" + s.ada(), "/api/v1/devices/merged/" + s.ada(), "/api/v1/plugins", "/metrics", "/healthcheck", "/readyz"} {
			_, body := d.get(t, path)
			inspect(path, body)
		}
	}
	for _, args := range [][]string{
		{"scan", "-v", s.ada()},
		{"scan", "--json", s.ada()},
		{"connectivity", "-v"},
		{"connectivity", "--json", "--debug-log", "debug.log"},
		{"config", "show"},
		{"config", "check", "-v"},
		{"plugin", "list"},
		{"plugin", "info", "jamf"},
		{"plugin", "info", "google", "--json"},
	} {
		stdout, stderr, _ := posture(t, s.dir, args...)
		inspect("posture "+strings.Join(args, " "), stdout+stderr)
		if stdout+stderr == "" {
			t.Errorf("posture %v says nothing", args)
		}
	}
	for _, pid := range append(children(t, d.cmd.Process.Pid), d.cmd.Process.Pid) {
		for _, file := range []string{"cmdline", "environ"} {
			text, err := os.ReadFile(fmt.Sprintf("/proc/%d/%s", pid, file))
			if err != nil {
				t.Fatal(err)
			}
			inspect(fmt.Sprintf("%s of process %d", file, pid), string(text))
		}
	}
	d.signal(t, syscall.SIGTERM)
	d.wait(t)
	inspect("the daemon's log", d.log.String())
	for _, place := range []string{"state", "debug.log"} {
		err := filepath.WalkDir(filepath.Join(s.dir, place), func(path string, entry os.DirEntry, err error) error {
			if err != nil || entry.IsDir() {
				return err
			}
			text, err := os.ReadFile(path)
			inspect(path, string(text))
			return err
		})
		if err != nil {
			t.Error(err)
		}
	}
}

// TestSecretsFromTheEnvironment gives secrets in environment variables, by
// reference and by name: plugins' processes do not inherit them.
func TestSecretsFromTheEnvironment(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3)
	s.set("jamf", "JAMF_API_PASSWORD", "env:OUR_JAMF_PASSWORD")
	delete(s.Plugins["bitfit"], "BITFIT_API_TOKEN")
	s.write(t, map[string]any{"log_level": "debug"}, "jamf", "bitfit", "file")
	d := s.serve(t, "OUR_JAMF_PASSWORD="+company.JamfPassword, "POSTURE_PLUGINS_BITFIT_BITFIT_API_TOKEN="+company.BitfitToken)
	for _, source := range []string{"jamf", "bitfit"} {
		if d.metric(t, `posture_plugin_up{plugin="`+source+`",version="1.0.0"}`) != 1 {
			t.Errorf("%s does not run", source)
		}
	}
	if _, body := d.get(t, "/api/v1/posture/"+s.ada()); !strings.Contains(body, "C020000001") || strings.Contains(body, `"ok":false`) {
		t.Errorf("the sources did not answer: %s", body)
	}
	for _, pid := range children(t, d.cmd.Process.Pid) {
		text, err := os.ReadFile(fmt.Sprintf("/proc/%d/environ", pid))
		if err != nil {
			t.Fatal(err)
		}
		if bytes.Contains(text, []byte(company.JamfPassword)) || bytes.Contains(text, []byte(company.BitfitToken)) {
			t.Errorf("process %d has inherited a secret", pid)
		}
	}
	show := exec.CommandContext(t.Context(), postureProgram(t), "config", "show", "--config", s.configFile())
	show.Env = append(os.Environ(), "OUR_JAMF_PASSWORD="+company.JamfPassword, "POSTURE_PLUGINS_BITFIT_BITFIT_API_TOKEN="+company.BitfitToken)
	text, err := show.CombinedOutput()
	if err != nil || bytes.Contains(text, []byte(company.JamfPassword)) || bytes.Contains(text, []byte(company.BitfitToken)) {
		t.Errorf("config show: %v\n%s", err, text)
	}
}
