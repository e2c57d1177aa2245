package acceptance_test

import (
	"context"
	"net/http"
	"path/filepath"
	"strings"
	"syscall"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/host"
	"github.com/postureproject/posture/host/scan"
	"github.com/postureproject/posture/internal/simulator/simhttp"
)

func pidOf(t testing.TB, h *host.Host, plugin string) int {
	t.Helper()
	for _, s := range h.Status() {
		if s.Name == plugin {
			return s.PID
		}
	}
	t.Fatalf("no plugin %s", plugin)
	return 0
}

func kill(t testing.TB, pid int) {
	t.Helper()
	if pid == 0 {
		t.Fatal("the plugin has no process")
	}
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
}

// TestPluginKilled ends a plugin's process by force. The person who asks next, or
// is just asking, gets the whole answer all the same.
func TestPluginKilled(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3)
	s.write(t, nil)
	h := s.open(t)
	before := s.ask(t, h)
	for _, plugin := range []string{"jamf", "bitfit", "landesk", "duo", "file"} {
		t.Run("between calls/"+plugin, func(t *testing.T) {
			pid := pidOf(t, h, plugin)
			kill(t, pid)
			if diff := cmp.Diff(comparable(t, before), comparable(t, s.ask(t, h))); diff != "" {
				t.Errorf("the answer is another one (-before +now):\n%s", diff)
			}
			if now := pidOf(t, h, plugin); now == pid || now == 0 {
				t.Errorf("process %d, before %d", now, pid)
			}
		})
	}
}

// TestPluginKilledInACall does the same while the plugin waits for its vendor.
func TestPluginKilledInACall(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3)
	s.write(t, nil)
	h := s.open(t)
	before := s.ask(t, h)
	pid, requests := pidOf(t, h, "jamf"), s.Jamf.Faults.Requests()
	s.Jamf.Faults.Add(simhttp.Fault{Hang: true, Times: 1})
	got := make(chan device.Posture, 1)
	go func() {
		got <- h.Pipeline().Scan(context.WithoutCancel(t.Context()), scan.Request{Email: s.ada()})
	}()
	await(t, "Jamf is not asked", func() bool { return s.Jamf.Faults.Requests() > requests })
	kill(t, pid)
	select {
	case answer := <-got:
		for _, o := range outcomesOf(answer, "jamf") {
			if !o.OK {
				t.Errorf("%s: %s", o.Namespace, *o.Error)
			}
		}
		if diff := cmp.Diff(comparable(t, before), comparable(t, answer)); diff != "" {
			t.Errorf("the answer is another one (-before +now):\n%s", diff)
		}
	case <-time.After(patience):
		t.Fatal("the scan does not end")
	}
}

// TestPluginDoesNotStart has programs in the plugin folder that are no plugins of
// this host's, and looks at what people are told where they look.
func TestPluginDoesNotStart(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3)
	programs := map[string]string{
		"otherversion": "#!/bin/sh\necho '1|99|tcp|127.0.0.1:1|grpc|'\nexec sleep 60\n",
		"crashes":      "#!/bin/sh\necho 'no licence found' >&2\nexit 3\n",
		"swapped":      "#!/bin/sh\nexit 0\n",
	}
	for name, text := range programs {
		writeFile(t, filepath.Join(s.dir, "plugins", name), text, 0o700)
		s.Plugins[name] = map[string]any{}
	}
	s.set("swapped", "SHA256", strings.Repeat("ab", 32))
	s.write(t, map[string]any{"plugin_dir": "plugins"}, "file", "otherversion", "crashes", "swapped")
	told := map[string][2]string{ // a part of the error, and of the advice
		"otherversion": {"incompatible", "protocol version"},
		"crashes":      {"no licence found", "Posture plugin"},
		"swapped":      {"not the pinned " + strings.Repeat("ab", 32), "checksum"},
	}
	check := func(t *testing.T, a device.Posture) {
		t.Helper()
		for name, want := range told {
			o := outcome(t, a, name)
			if o.OK || o.Error == nil || !strings.Contains(*o.Error, want[0]) {
				t.Errorf("%s: outcome %+v (%s), want %q", name, o, *o.Error, want[0])
			}
			if o.Namespace != scan.NamespaceSources || !strings.Contains(o.Remedy, want[1]) {
				t.Errorf("%s: namespace %q, advice %q, want %q in it", name, o.Namespace, o.Remedy, want[1])
			}
		}
		if o := outcome(t, a, "file"); !o.OK || o.Count != 1 {
			t.Errorf("outcome %+v", o)
		}
	}
	t.Run("scan", func(t *testing.T) { check(t, scanOne(t, s.dir, s.ada(), 2)) })
	t.Run("API", func(t *testing.T) {
		d := s.serve(t)
		var answer device.Posture
		d.getJSON(t, "/api/v1/posture/"+s.ada(), &answer)
		check(t, answer)
		if status, body := d.get(t, "/readyz"); status != http.StatusOK {
			t.Errorf("/readyz: %d %s", status, body)
		}
	})
	t.Run("config check", func(t *testing.T) {
		_, stderr, status := posture(t, s.dir, "config", "check")
		for name := range told {
			if status != 1 || !strings.Contains(stderr, name+": does not start") {
				t.Errorf("exit status %d, want 1 and %s:\n%s", status, name, stderr)
			}
		}
	})
}

// TestPluginNeverShakesHands has a program that does not speak at all.
func TestPluginNeverShakesHands(t *testing.T) {
	t.Parallel()
	s := newSite(t, 3)
	writeFile(t, filepath.Join(s.dir, "plugins", "silent"), "#!/bin/sh\nexec sleep 60\n", 0o700)
	s.Plugins["silent"] = map[string]any{}
	s.write(t, map[string]any{"plugin_dir": "plugins"}, "file", "silent")
	h := s.open(t, func(o *host.Options) { o.Limits.StartTimeout = 2 * time.Second })
	o := outcome(t, s.ask(t, h), "silent")
	if o.OK || o.Error == nil || !strings.Contains(*o.Error, "handshake in time") || o.Kind != "unavailable" && o.Kind != "timeout" {
		t.Errorf("outcome %+v", o)
	}
}
