package pgtest

import (
	"bufio"
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"strconv"
	"strings"
	"syscall"
	"testing"
	"time"
)

const holding = "POSTURE_TEST_PG_HOLD"

// TestHold is what a further process runs: it starts a server and waits.
func TestHold(t *testing.T) {
	if os.Getenv(holding) == "" {
		return
	}
	server, err := start(Options{})
	if err != nil {
		t.Fatal(err)
	}
	pid, err := os.ReadFile(filepath.Join(server.data(), "postmaster.pid"))
	if err != nil {
		t.Fatal(err)
	}
	first, _, _ := strings.Cut(string(pid), "\n")
	fmt.Println("holds", first, server.folder)
	select {}
}

// A test process that is killed leaves neither server nor files.
func TestServer_orphaned(t *testing.T) {
	t.Parallel()
	if !Enabled() {
		return
	}
	cmd := exec.Command(os.Args[0], "-test.run=^TestHold$")
	cmd.Env = append(os.Environ(), holding+"=1")
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	lines := bufio.NewScanner(out)
	var pid int
	var folder string
	for lines.Scan() {
		if _, err := fmt.Sscanf(lines.Text(), "holds %d %s", &pid, &folder); err == nil {
			break
		}
	}
	_ = cmd.Process.Kill()
	_ = cmd.Wait()
	if pid == 0 {
		t.Fatal("no server was started")
	}
	for deadline := time.Now().Add(30 * time.Second); ; time.Sleep(20 * time.Millisecond) {
		_, statErr := os.Stat(folder)
		if syscall.Kill(pid, 0) != nil && os.IsNotExist(statErr) {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("process %s or folder %s is left", strconv.Itoa(pid), folder)
		}
	}
}

// Neither does one that is killed while its server is being made.
func TestServer_orphanedEarly(t *testing.T) {
	t.Parallel()
	if !Enabled() {
		return
	}
	temporary := t.TempDir()
	for folder := temporary; folder != filepath.Dir(folder); folder = filepath.Dir(folder) {
		if err := os.Chmod(folder, 0o777); err != nil || folder == filepath.Dir(temporary) {
			break // the server's user must get there
		}
	}
	for wait := 20 * time.Millisecond; wait < 2*time.Second; wait *= 3 {
		cmd := exec.Command(os.Args[0], "-test.run=^TestHold$")
		cmd.Env = append(os.Environ(), holding+"=1", "TMPDIR="+temporary)
		if err := cmd.Start(); err != nil {
			t.Fatal(err)
		}
		time.Sleep(wait) // a moment in between
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
	}
	for deadline := time.Now().Add(60 * time.Second); ; time.Sleep(50 * time.Millisecond) {
		left, err := filepath.Glob(filepath.Join(temporary, "posture-pg-*"))
		if err == nil && len(left) == 0 {
			return
		}
		if time.Now().After(deadline) {
			t.Fatalf("left: %v, %v", left, err)
		}
	}
}

func TestServer_stopsAndStarts(t *testing.T) {
	t.Parallel()
	if !Enabled() {
		return
	}
	s := New(t, Options{})
	for _, end := range []func(testing.TB){s.Stop, s.Kill} {
		end(t)
		if s.running() {
			t.Error("runs on")
		}
		s.Start(t)
		if err := s.admin("SELECT 1"); err != nil {
			t.Error(err)
		}
	}
}
