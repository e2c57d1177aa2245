// Package elastictest gives tests a real Elasticsearch: one node on a free
// loopback port, put together from the jars that its makers publish. It needs a
// JDK of version 17 or newer and Maven, with access to its repository the first
// time; the parts are kept in the user's cache folder from then on. The node has
// neither security nor TLS, which are published nowhere: tests of these use the
// simulator or a proxy in front. It imports nothing of Posture.
package elastictest

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"
)

// Without is the environment variable that, when it is not empty, skips the tests
// that need the server, for machines that cannot have one.
const Without = "POSTURE_TEST_WITHOUT_ELASTICSEARCH"

// startLimit bounds the wait for a node that starts; a cold one on two busy cores
// takes about 15 s.
const startLimit = 90 * time.Second

// Server is a running node.
type Server struct {
	URL string // such as http://127.0.0.1:40123

	prefixes atomic.Int64
	input    *os.File // kept open, as the node ends when it closes
}

// shared is the test process's node. The system ends it with the process, in
// whatever way that ends.
var shared = sync.OnceValues(start)

// Start gives the test process's node, which the first call starts.
func Start(t testing.TB) *Server {
	t.Helper()
	if os.Getenv(Without) != "" {
		t.Skipf("%s is set", Without)
	}
	s, err := shared()
	if err != nil {
		t.Fatalf("no Elasticsearch for this test: %v\n(set %s=1 to leave such tests out)", err, Without)
	}
	return s
}

// Prefix gives a name that no other test's indices begin with. The indices and
// index templates whose names contain it are deleted when the test ends.
func (s *Server) Prefix(t testing.TB) string {
	t.Helper()
	prefix := fmt.Sprintf("t%03d-", s.prefixes.Add(1))
	t.Cleanup(func() {
		// The test's own context has ended.
		s.request(t, context.Background(), http.MethodDelete, "/"+strings.Join(s.indices(t, prefix), ","), "")
		s.request(t, context.Background(), http.MethodDelete, "/_index_template/*"+prefix+"*", "")
	})
	return prefix
}

// indices lists the indices whose names begin with prefix; as deleting needs
// whole names, a name that does not exist stands for none.
func (s *Server) indices(t testing.TB, prefix string) []string {
	t.Helper()
	_, body := s.request(t, context.Background(), http.MethodGet, "/"+prefix+"*/_settings?filter_path=*.settings.index.uuid", "")
	var found map[string]any
	if err := json.Unmarshal(body, &found); err != nil {
		t.Errorf("list indices: %v: %.200s", err, body)
	}
	names := []string{prefix + "none"}
	if len(found) > 0 {
		names = names[:0]
	}
	for name := range found {
		names = append(names, name)
	}
	return names
}

// Do sends one request, with a JSON or NDJSON body unless it is empty, and gives
// status and answer.
func (s *Server) Do(t testing.TB, method, path, body string) (int, []byte) {
	t.Helper()
	return s.request(t, t.Context(), method, path, body)
}

func (s *Server) request(t testing.TB, ctx context.Context, method, path, body string) (int, []byte) { //nolint:revive // the test comes first
	t.Helper()
	status, answer, err := s.send(ctx, method, path, body)
	if err != nil {
		t.Fatalf("%s %s: %v", method, path, err)
	}
	return status, answer
}

func (s *Server) send(ctx context.Context, method, path, body string) (int, []byte, error) {
	ctx, cancel := context.WithTimeout(ctx, 30*time.Second)
	defer cancel()
	var content io.Reader
	if body != "" {
		content = strings.NewReader(body)
	}
	req, err := http.NewRequestWithContext(ctx, method, s.URL+path, content)
	if err != nil {
		return 0, nil, err
	}
	if body != "" {
		req.Header.Set("Content-Type", "application/json")
	}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		return 0, nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	answer, err := io.ReadAll(resp.Body)
	return resp.StatusCode, answer, err
}

// start runs a node and waits until it answers.
func start() (*Server, error) {
	dir, err := assemble()
	if err != nil {
		return nil, err
	}
	data, err := os.MkdirTemp("", "posture-elasticsearch-")
	if err != nil {
		return nil, err
	}
	s, err := run(dir, data)
	if err != nil {
		_ = os.RemoveAll(data)
	}
	return s, err
}

// run starts the node's process. Nobody waits for it: it ends when this process's
// end of its standard input closes, as it does when this process ends, and then
// removes the folder data.
func run(dir, data string) (*Server, error) {
	log, err := os.Create(filepath.Join(data, "output.log"))
	if err != nil {
		return nil, err
	}
	defer func() { _ = log.Close() }()
	stdin, input, err := os.Pipe()
	if err != nil {
		return nil, err
	}
	defer func() { _ = stdin.Close() }()
	output, stdout, err := os.Pipe()
	if err != nil {
		return nil, errors.Join(err, input.Close())
	}
	defer func() { _ = output.Close() }()
	cmd := exec.Command("java", "-Xms128m", "-Xmx512m", "-XX:+UseSerialGC", "-XX:TieredStopAtLevel=1", "-Xshare:auto",
		"-Djava.io.tmpdir="+data, "--module-path", filepath.Join(dir, "lib"),
		"--add-modules=jdk.net,jdk.management,java.management", "--add-modules=ALL-MODULE-PATH",
		"-cp", filepath.Join(dir, "node"), "Main", filepath.Join(dir, "home"), data)
	cmd.Stdin, cmd.Stdout, cmd.Stderr = stdin, stdout, log
	err = cmd.Start()
	_ = stdout.Close()
	if err != nil {
		return nil, errors.Join(fmt.Errorf("start java: %w", err), input.Close())
	}
	s := &Server{input: input}
	if err := s.await(output); err != nil {
		_ = cmd.Process.Kill()
		_ = cmd.Wait()
		said, _ := os.ReadFile(log.Name())
		return nil, errors.Join(fmt.Errorf("%w; the node said:\n%s", err, tail(said)), input.Close())
	}
	return s, nil
}

// await reads the port that the node tells, and asks it whether it is well.
func (s *Server) await(output *os.File) error {
	if err := output.SetReadDeadline(time.Now().Add(startLimit)); err != nil {
		return err
	}
	port, err := bufio.NewReader(output).ReadString('\n')
	if err != nil {
		return fmt.Errorf("the node did not start within %s or ended: %w", startLimit, err)
	}
	s.URL = "http://127.0.0.1:" + strings.TrimSpace(port)
	status, body, err := s.send(context.Background(), http.MethodGet, "/_cluster/health?wait_for_status=yellow&timeout=25s", "")
	if err == nil && status != http.StatusOK {
		err = fmt.Errorf("the node is not well: %d %s", status, tail(body))
	}
	return err
}

// tail gives the end of a log.
func tail(log []byte) []byte {
	return log[max(0, len(log)-4000):]
}
