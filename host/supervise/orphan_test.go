package supervise_test

import (
	"bufio"
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/postureproject/posture/host/supervise"
	"github.com/postureproject/posture/plugins/sdk"
)

// hostMain is a host of one plugin that prints the plugin's process id and waits
// to be killed.
func hostMain(stateDir string) {
	sup := supervise.New(supervise.Options{Logger: slog.New(slog.DiscardHandler), StateDir: stateDir})
	program := supervise.Program{Name: "fake", Path: "/proc/self/exe", Args: []string{"fake", "serve"}}
	_, err := sup.Apply(context.Background(), []supervise.Item{{Program: program, Configure: func(sdk.Description) (supervise.Settings, error) {
		return supervise.Settings{Config: json.RawMessage(`{}`), Timeout: time.Second, Concurrency: 1}, nil
	}}})
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	p, _ := sup.Plugin("fake")
	fmt.Println(p.Status().PID)
	select {}
}

func TestSupervisor_killedHostLeavesNoOrphan(t *testing.T) {
	t.Parallel()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	host := exec.CommandContext(t.Context(), exe, "host", t.TempDir())
	out, err := host.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := host.Start(); err != nil {
		t.Fatal(err)
	}
	line, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatal(err)
	}
	pid, err := strconv.Atoi(strings.TrimSpace(line))
	if err != nil {
		t.Fatalf("the host said %q", line)
	}
	if !alive(pid) {
		t.Fatal("the plugin does not run")
	}
	if err := host.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = host.Wait()
	gone(t, pid)
}
