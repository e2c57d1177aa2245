package elastictest_test

import (
	"bufio"
	"context"
	"fmt"
	"net"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"

	"github.com/postureproject/posture/internal/elastictest"
)

// child makes this program a test process that starts a node and waits.
const child = "POSTURE_ELASTICTEST_CHILD"

// A node ends with the test process that started it, even when that is killed.
func TestStart_endsWithTheProcess(t *testing.T) {
	t.Parallel()
	if os.Getenv(child) != "" {
		fmt.Printf("\nURL %s\n", elastictest.Start(t).URL)
		_, _ = os.Stdin.Read(make([]byte, 1))
		return
	}
	elastictest.Start(t) // says what is missing, if so
	cmd := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^TestStart_endsWithTheProcess$")
	cmd.Env = append(os.Environ(), child+"=1")
	stdin, err := cmd.StdinPipe()
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = stdin.Close() }()
	stdout, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	if err := cmd.Start(); err != nil {
		t.Fatal(err)
	}
	address := ""
	for lines := bufio.NewScanner(stdout); address == "" && lines.Scan(); {
		if url, ok := strings.CutPrefix(lines.Text(), "URL http://"); ok {
			address = url
		}
	}
	if address == "" || !listens(t, address) {
		t.Fatalf("no node at %q", address)
	}
	if err := cmd.Process.Kill(); err != nil {
		t.Fatal(err)
	}
	_ = cmd.Wait()
	deadline := time.Now().Add(30 * time.Second)
	for listens(t, address) {
		if time.Now().After(deadline) {
			t.Fatal("the node outlives the process that started it")
		}
		time.Sleep(20 * time.Millisecond) // a process of others tells nobody when it ends
	}
}

func listens(t *testing.T, address string) bool {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	conn, err := new(net.Dialer).DialContext(ctx, "tcp", address)
	if err == nil {
		_ = conn.Close()
	}
	return err == nil
}
