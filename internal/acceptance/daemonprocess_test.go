package acceptance_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/postureproject/posture/host/supervise"
)

// patience bounds every wait for another process.
const patience = 2 * time.Minute

// daemon is a running posture serve, or another command that goes on until it is
// told to end.
type daemon struct {
	cmd   *exec.Cmd
	url   string
	log   *watchedLog
	ended chan struct{} // closed when it has ended and its log is complete
}

// serve starts posture serve on the site's configuration and waits until it is
// ready.
func (s *site) serve(t testing.TB, environ ...string) *daemon {
	t.Helper()
	d := s.start(t, environ, "serve")
	d.url = d.log.await(t, regexp.MustCompile(`msg=ready .*address=(http://\S+)`))[1]
	return d
}

// start starts a command of posture on the site's configuration.
func (s *site) start(t testing.TB, environ []string, args ...string) *daemon {
	t.Helper()
	args = append(args, "--config", s.configFile())
	d := &daemon{cmd: exec.Command(postureProgram(t), args...), log: newWatchedLog(), ended: make(chan struct{})}
	d.cmd.Env = append(os.Environ(), environ...)
	d.cmd.Stdout, d.cmd.Stderr = d.log, d.log
	if err := d.cmd.Start(); err != nil {
		t.Fatal(err)
	}
	go func() {
		defer close(d.ended)
		_ = d.cmd.Wait()
		d.log.end()
	}()
	t.Cleanup(func() {
		_ = d.cmd.Process.Kill()
		<-d.ended
	})
	return d
}

// signal sends a signal.
func (d *daemon) signal(t testing.TB, s syscall.Signal) {
	t.Helper()
	if err := d.cmd.Process.Signal(s); err != nil {
		t.Fatal(err)
	}
}

// wait waits for its end and gives its exit status.
func (d *daemon) wait(t testing.TB) int {
	t.Helper()
	select {
	case <-d.ended:
	case <-time.After(patience):
		t.Fatalf("the daemon does not end:\n%s", d.log)
	}
	return d.cmd.ProcessState.ExitCode()
}

// get asks for a path and gives status and body.
func (d *daemon) get(t testing.TB, path string, header ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, d.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i+1 < len(header); i += 2 {
		req.Header.Set(header[i], header[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

// getJSON asks for a path and decodes the answer, which must be a good one.
func (d *daemon) getJSON(t testing.TB, path string, out any) {
	t.Helper()
	status, body := d.get(t, path)
	if status != http.StatusOK {
		t.Fatalf("%s: %d\n%s", path, status, body)
	}
	if err := json.Unmarshal([]byte(body), out); err != nil {
		t.Fatalf("%s: %v\n%s", path, err, body)
	}
}

// plugins gives every plugin's process by name.
func (d *daemon) plugins(t testing.TB) map[string]int {
	t.Helper()
	var statuses []supervise.Status
	d.getJSON(t, "/api/v1/plugins", &statuses)
	pids := make(map[string]int, len(statuses))
	for _, s := range statuses {
		pids[s.Name] = s.PID
	}
	return pids
}

// metric gives the value of one series of /metrics, named with its labels.
func (d *daemon) metric(t testing.TB, series string) float64 {
	t.Helper()
	_, body := d.get(t, "/metrics")
	for line := range strings.Lines(body) {
		if rest, ok := strings.CutPrefix(line, series+" "); ok {
			v, err := strconv.ParseFloat(strings.TrimSpace(rest), 64)
			if err != nil {
				t.Fatal(err)
			}
			return v
		}
	}
	t.Fatalf("no series %s in\n%s", series, body)
	return 0
}

// children gives the processes that a process has started, from /proc.
func children(t testing.TB, parent int) []int {
	t.Helper()
	files, err := filepath.Glob(fmt.Sprintf("/proc/%d/task/*/children", parent))
	if err != nil || len(files) == 0 {
		t.Fatalf("children of %d: %v", parent, err)
	}
	var pids []int
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			continue // that thread has ended
		}
		for field := range strings.FieldsSeq(string(text)) {
			pid, err := strconv.Atoi(field)
			if err != nil {
				t.Fatal(err)
			}
			pids = append(pids, pid)
		}
	}
	return pids
}

// awaitGone waits until none of the processes is left.
func awaitGone(t testing.TB, pids []int) {
	t.Helper()
	await(t, fmt.Sprintf("processes %v are still there", pids), func() bool {
		for _, pid := range pids {
			if alive(pid) {
				return false
			}
		}
		return true
	})
}

// alive reports whether a process runs; one that only waits to be reaped does not.
func alive(pid int) bool {
	stat, err := os.ReadFile(fmt.Sprintf("/proc/%d/stat", pid))
	if err != nil {
		return false
	}
	_, after, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(after, "Z")
}

// await waits for what no signal tells.
func await(t testing.TB, complaint string, done func() bool) {
	t.Helper()
	awaitFor(t, patience, complaint, done)
}

// awaitFor waits for what takes its time.
func awaitFor(t testing.TB, limit time.Duration, complaint string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(limit); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal(complaint)
		}
	}
}

// watchedLog is a log that can be waited for.
type watchedLog struct {
	mu      sync.Mutex
	b       bytes.Buffer
	changed chan struct{} // closed and replaced at every write
	over    bool
}

func newWatchedLog() *watchedLog { return &watchedLog{changed: make(chan struct{})} }

func (l *watchedLog) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	close(l.changed)
	l.changed = make(chan struct{})
	return l.b.Write(p)
}

func (l *watchedLog) end() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.over = true
	close(l.changed)
	l.changed = make(chan struct{})
}

func (l *watchedLog) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}

// await waits for a line that matches and gives the match.
func (l *watchedLog) await(t testing.TB, re *regexp.Regexp) []string {
	t.Helper()
	timeout := time.After(patience)
	for {
		l.mu.Lock()
		match, changed, over, text := re.FindStringSubmatch(l.b.String()), l.changed, l.over, l.b.String()
		l.mu.Unlock()
		if match != nil {
			return match
		}
		if over {
			t.Fatalf("the process ended without %s:\n%s", re, text)
		}
		select {
		case <-changed:
		case <-timeout:
			t.Fatalf("no %s in\n%s", re, text)
		}
	}
}
