package acceptance_test

import (
	"context"
	"log/slog"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postureproject/posture/config"
	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/host"
	"github.com/postureproject/posture/host/scan"
	"github.com/postureproject/posture/plugins/builtin"
)

// skipPython is the environment variable that leaves out the plugin in Python,
// for machines without Python or without a package index.
const skipPython = "POSTURE_TEST_SKIP_PYTHON"

// installPython puts the plugin into a plugin folder as a program of its own.
func installPython(t *testing.T, pluginDir string) {
	t.Helper()
	source, err := filepath.Abs(filepath.Join("testdata", "pyplugin"))
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(t.Context(), filepath.Join(source, "setup.sh"))
	var stderr strings.Builder
	cmd.Stderr = &stderr
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("prepare Python (set %s=1 to leave this test out): %v\n%s", skipPython, err, stderr.String())
	}
	venv := strings.TrimSpace(string(out))
	writeFile(t, filepath.Join(pluginDir, "posture-plugin-pydemo"), `#!`+venv+`/bin/python
import runpy, sys
sys.path[:0] = ["`+source+`", "`+venv+`/generated"]
runpy.run_path("`+source+`/plugin.py", run_name="__main__")
`, 0o700)
}

// TestPythonPlugin runs a plugin that shares no code with the host: it is made of
// the protocol's definition and docs/plugin-protocol.md alone.
func TestPythonPlugin(t *testing.T) {
	t.Parallel()
	if os.Getenv(skipPython) == "1" {
		t.Log("left out, as " + skipPython + " is 1")
		return
	}
	const token = "hush-hush-hush"
	dir := t.TempDir()
	installPython(t, filepath.Join(dir, "plugins"))
	configure(t, dir, "  pydemo:\n    PYDEMO_TOKEN: "+token+"\n    PYDEMO_MODEL: Difference engine\n")

	t.Run("described", func(t *testing.T) {
		stdout, stderr, status := posture(t, dir, "plugin", "info", "pydemo")
		for _, want := range []string{"pydemo 1.0.0 (external)", "devices_by_email", "PYDEMO_MODEL", "encryption", "Linux"} {
			if status != 0 || !strings.Contains(stdout, want) {
				t.Errorf("exit status %d, want 0 and %q:\n%s%s", status, want, stdout, stderr)
			}
		}
	})
	t.Run("records", func(t *testing.T) {
		answer := scanOne(t, dir, "ada@example.com", 0)
		if o := outcome(t, answer, "pydemo"); !o.OK || o.Count != 1 {
			t.Fatalf("outcome %+v", o)
		}
		var engine device.Device
		for _, d := range answer.Devices {
			if d.Serial == "PY-0001" {
				engine = d
			}
		}
		e := engine.Practices["encryption"]
		if engine.Model != "Difference engine" || engine.Platform != "Linux" || len(engine.Identifiers.MACAddresses) != 1 ||
			!engine.LastSync.Equal(time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)) {
			t.Errorf("the device is %+v", engine)
		}
		if e.Value == nil || *e.Value || e.Details != "brass does not encrypt" {
			t.Errorf("encryption is %+v", e)
		}
	})
	t.Run("unknown person", func(t *testing.T) {
		if o := outcome(t, scanOne(t, dir, "nobody@example.com", 0), "pydemo"); !o.OK || o.Count != 0 {
			t.Errorf("outcome %+v", o)
		}
	})
	t.Run("part of an answer", func(t *testing.T) {
		answer := scanOne(t, dir, "half.ada@example.com", 2)
		o := outcome(t, answer, "pydemo")
		if o.OK || o.Count != 1 || o.Kind != "rate_limited" || o.Remedy != "wait a little" || !strings.Contains(*o.Error, "second half was refused") {
			t.Errorf("outcome %+v", o)
		}
		if len(answer.Devices) != 1 {
			t.Errorf("devices %q", deviceNames(answer.Devices))
		}
	})
	t.Run("configuration refused", func(t *testing.T) {
		other := t.TempDir()
		installPython(t, filepath.Join(other, "plugins"))
		configure(t, other, "  pydemo:\n    PYDEMO_TOKEN: "+token+"\n    PYDEMO_COLOUR: brass\n")
		_, stderr, status := posture(t, other, "config", "check")
		if status != 1 || !strings.Contains(stderr, "PYDEMO_COLOUR") || strings.Contains(stderr, token) {
			t.Errorf("exit status %d\n%s", status, stderr)
		}
	})
	t.Run("process", func(t *testing.T) { testPythonProcess(t, dir, token) })
}

// testPythonProcess checks what only a running host shows: that the plugin's log
// arrives, and that the process ends when it is told to.
func testPythonProcess(t *testing.T, dir, token string) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	var log lockedBuilder
	h, err := host.Open(ctx, host.Options{
		Load: func() (*config.File, error) {
			return config.Load(filepath.Join(dir, "posture.yaml"), nil, builtin.Names()...)
		},
		Logger:     slog.New(slog.NewTextHandler(&log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Executable: postureProgram(t), Builtin: builtin.Names(), Only: []string{"pydemo"},
	})
	if err != nil {
		t.Fatal(err)
	}
	closeHost := sync.OnceFunc(h.Close)
	defer closeHost()
	if p := h.Pipeline().Scan(ctx, scan.Request{Email: "ada@example.com"}); len(p.Devices) != 1 {
		t.Fatalf("%d devices, outcomes %+v", len(p.Devices), p.Sources)
	}
	pid := h.Status()[0].PID
	if pid == 0 {
		t.Fatalf("status %+v", h.Status())
	}
	began := time.Now()
	closeHost()
	if took := time.Since(began); took > 10*time.Second {
		t.Errorf("the plugin took %v to end", took)
	}
	if _, err := os.Stat("/proc/self"); err == nil {
		if _, err := os.Stat(filepath.Join("/proc", strconv.Itoa(pid))); err == nil {
			t.Errorf("process %d is still there", pid)
		}
	}
	text := log.String()
	if !strings.Contains(text, "level=INFO msg=configured plugin=pydemo") || !strings.Contains(text, "timeout_ms=") {
		t.Errorf("the plugin's log did not arrive:\n%s", text)
	}
	if !strings.Contains(text, "malformed log line: {") {
		t.Errorf("the malformed line did not arrive:\n%s", text)
	}
	if strings.Contains(text, "signal: killed") {
		t.Errorf("the plugin had to be killed:\n%s", text)
	}
	if strings.Contains(text, token) {
		t.Error("the token shows in the log")
	}
}

// lockedBuilder is a log that is read while it is written.
type lockedBuilder struct {
	mu sync.Mutex
	b  strings.Builder
}

func (l *lockedBuilder) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *lockedBuilder) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
