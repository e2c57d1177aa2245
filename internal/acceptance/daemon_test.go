package acceptance_test

import (
	"bytes"
	"maps"
	"net/http"
	"os/exec"
	"regexp"
	"slices"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/internal/simulator/simhttp"
)

func TestDaemon_reload(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3)
	s.write(t, nil)
	d := s.serve(t)
	before := d.plugins(t)
	if d.metric(t, "posture_config_last_reload_successful") != 1 {
		t.Error("a configuration just loaded does not count as loaded")
	}

	// One plugin's block changes: only its process is another one.
	s.set("jamf", "TIMEOUT", "9s")
	s.write(t, nil)
	d.signal(t, syscall.SIGHUP)
	d.log.await(t, regexp.MustCompile(`configuration reloaded.*changed_plugins=\[jamf\]`))
	after := d.plugins(t)
	for name, pid := range before {
		if same := after[name] == pid; same == (name == "jamf") {
			t.Errorf("%s: process %d, before %d", name, after[name], pid)
		}
	}
	awaitGone(t, []int{before["jamf"]})

	// A bad file changes nothing and is told.
	writeFile(t, s.configFile(), "plugins:\n  jamf:\n    JAMF_API_HOSTADRR: x\n", 0o600)
	d.signal(t, syscall.SIGHUP)
	d.log.await(t, regexp.MustCompile(`(?s)reload failed; the old configuration stays in force.*posture\.yaml:3.*JAMF_API_HOSTADDR`))
	if d.metric(t, "posture_config_last_reload_successful") != 0 {
		t.Error("the failed reload does not show in the metrics")
	}
	if diff := cmp.Diff(after, d.plugins(t)); diff != "" {
		t.Errorf("processes (-before +after the failed reload):\n%s", diff)
	}
	var answer device.Posture
	d.getJSON(t, "/api/v1/posture/"+s.ada(), &answer)
	if len(answer.Devices) != 6 {
		t.Errorf("%d devices after a failed reload", len(answer.Devices))
	}

	// What is taken out is ended; the good file counts again.
	s.write(t, nil, "file", "jamf")
	d.signal(t, syscall.SIGHUP)
	await(t, "the last configuration is not in force", func() bool { return len(d.plugins(t)) == 2 })
	if d.metric(t, "posture_config_last_reload_successful") != 1 {
		t.Error("the good reload does not show in the metrics")
	}
	delete(after, "file")
	delete(after, "jamf")
	awaitGone(t, slices.Collect(maps.Values(after)))
}

func TestDaemon_end(t *testing.T) {
	t.Parallel()
	t.Run("SIGTERM lets a running answer finish", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, 3)
		s.write(t, nil)
		d := s.serve(t)
		pids := slices.Collect(maps.Values(d.plugins(t)))
		s.Jamf.Faults.Add(simhttp.Fault{Latency: 300 * time.Millisecond, Times: 1})
		requests := s.Jamf.Faults.Requests()
		status := make(chan int, 1)
		go func() {
			resp, err := http.Get(d.url + "/api/v1/posture/" + s.ada())
			if err != nil {
				status <- 0
				return
			}
			defer resp.Body.Close()
			status <- resp.StatusCode
		}()
		await(t, "Jamf is not asked", func() bool { return s.Jamf.Faults.Requests() > requests })
		d.signal(t, syscall.SIGTERM)
		if got := <-status; got != http.StatusOK {
			t.Errorf("the running request was answered %d", got)
		}
		if code := d.wait(t); code != 0 {
			t.Errorf("exit status %d\n%s", code, d.log)
		}
		for _, pid := range pids {
			if alive(pid) {
				t.Errorf("process %d has outlived its host", pid)
			}
		}
		if !strings.Contains(d.log.String(), "msg=stopped") {
			t.Errorf("the log does not say so:\n%s", d.log)
		}
	})
	t.Run("SIGKILL leaves no orphan", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, 3)
		s.write(t, nil)
		d := s.serve(t)
		pids := children(t, d.cmd.Process.Pid)
		if len(pids) != 7 {
			t.Fatalf("%d children, want 7", len(pids))
		}
		d.signal(t, syscall.SIGKILL)
		d.wait(t)
		awaitGone(t, pids)
	})
}

func TestDaemon_probesAndMetrics(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3)
	s.write(t, nil)
	d := s.serve(t)
	var answer device.Posture
	d.getJSON(t, "/api/v1/posture/"+s.ada()+"?max_age=0", &answer)
	for _, path := range []string{"/readyz", "/healthcheck"} {
		if status, body := d.get(t, path); status != http.StatusOK || !strings.Contains(body, `"status"`) {
			t.Errorf("%s: %d %s", path, status, body)
		}
	}
	operations := map[string]string{
		"bitfit": "devices_by_email", "duo": "events", "es_notifications": "notifications", "file": "devices_by_email",
		"google": "accounts", "jamf": "devices_by_email", "landesk": "devices_by_email",
	}
	for plugin, operation := range operations {
		labels := `{operation="` + operation + `",plugin="` + plugin + `"}`
		if n := d.metric(t, "posture_source_calls_total"+labels); n != 1 {
			t.Errorf("%s: %v calls, want 1", plugin, n)
		}
		if n := d.metric(t, "posture_source_call_seconds_count"+labels); n != 1 {
			t.Errorf("%s: %v measured calls, want 1", plugin, n)
		}
		if up := d.metric(t, `posture_plugin_up{plugin="`+plugin+`",version="1.0.0"}`); up != 1 {
			t.Errorf("%s: up is %v", plugin, up)
		}
		if closed := d.metric(t, `posture_source_breaker_state{plugin="`+plugin+`",state="closed"}`); closed != 1 {
			t.Errorf("%s: closed breaker is %v", plugin, closed)
		}
		if n := d.metric(t, `posture_plugin_restarts_total{plugin="`+plugin+`"}`); n != 0 {
			t.Errorf("%s: %v restarts", plugin, n)
		}
	}
	s.Jamf.Faults.Add(simhttp.Fault{Status: http.StatusForbidden})
	d.getJSON(t, "/api/v1/posture/"+s.ada()+"?max_age=0", &answer)
	if n := d.metric(t, `posture_source_errors_total{kind="forbidden",plugin="jamf"}`); n < 1 {
		t.Errorf("%v errors of jamf", n)
	}
}

// TestDaemon_remoteWithoutLogin has the daemon refuse to show everybody's devices
// to whoever reaches it.
func TestDaemon_remoteWithoutLogin(t *testing.T) {
	t.Parallel()
	for _, listen := range []string{"0.0.0.0:0", ":0", "[::]:0"} {
		t.Run(listen, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, 1)
			s.write(t, map[string]any{"listen": listen}, "file")
			var out bytes.Buffer
			cmd := exec.CommandContext(t.Context(), postureProgram(t), "serve", "--config", s.configFile())
			cmd.Stdout, cmd.Stderr = &out, &out
			if err := cmd.Run(); err == nil || cmd.ProcessState.ExitCode() != 1 {
				t.Errorf("exit status %d, want 1", cmd.ProcessState.ExitCode())
			}
			for _, want := range []string{"posture.yaml:", "listen", "allow_remote_without_login"} {
				if !strings.Contains(out.String(), want) {
					t.Errorf("no %q in\n%s", want, out.String())
				}
			}
		})
	}
	t.Run("unless told otherwise", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, 1)
		s.write(t, map[string]any{"listen": "0.0.0.0:0", "allow_remote_without_login": true}, "file")
		d := s.serve(t)
		d.signal(t, syscall.SIGTERM)
		if code := d.wait(t); code != 0 {
			t.Errorf("exit status %d", code)
		}
	})
	t.Run("or with tokens", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, 1)
		s.write(t, map[string]any{"jwt_secret_key": "a-key-that-is-long-enough"}, "file")
		d := s.serve(t)
		if status, _ := d.get(t, "/api/v1/posture/"+s.ada()); status != http.StatusUnauthorized {
			t.Errorf("without a token: %d", status)
		}
		for sub, want := range map[string]int{"*": http.StatusOK, s.ada(): http.StatusOK, "grace.hopper@example.com": http.StatusForbidden} {
			token, _, _ := posture(t, s.dir, "token", "--sub", sub)
			if status, body := d.get(t, "/api/v1/posture/"+s.ada(), "Authorization", "Bearer "+strings.TrimSpace(token)); status != want {
				t.Errorf("token of %s: %d, want %d\n%s", sub, status, want, body)
			}
		}
	})
}
