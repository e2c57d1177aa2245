package supervise_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"log/slog"
	"os"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/host/supervise"
	"github.com/postureproject/posture/plugins/sdk"
)

// bundle is a supervisor with one fake plugin, and what it logs and reports.
type bundle struct {
	t        *testing.T
	sup      *supervise.Supervisor
	plugin   *supervise.Plugin
	log      *syncBuffer
	observer *recorder
}

type syncBuffer struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (s *syncBuffer) Write(p []byte) (int, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.Write(p)
}

func (s *syncBuffer) String() string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.b.String()
}

type recorder struct {
	mu       sync.Mutex
	calls    map[string]int // by kind, "" for success
	restarts int
	breaker  []string
	changed  chan struct{}
}

func (r *recorder) note(f func()) {
	r.mu.Lock()
	defer r.mu.Unlock()
	f()
	select {
	case r.changed <- struct{}{}:
	default:
	}
}

func (r *recorder) CallDone(_, _ string, _ time.Duration, err error) {
	r.note(func() {
		kind := ""
		if err != nil {
			kind = fault.KindOf(err).String()
		}
		r.calls[kind]++
	})
}
func (r *recorder) Restarted(string) { r.note(func() { r.restarts++ }) }
func (r *recorder) BreakerChanged(_, state string) {
	r.note(func() { r.breaker = append(r.breaker, state) })
}

// until waits for what the recorder is told.
func (r *recorder) until(t *testing.T, what string, ok func(*recorder) bool) {
	t.Helper()
	deadline := time.After(20 * time.Second)
	for {
		r.mu.Lock()
		done := ok(r)
		r.mu.Unlock()
		if done {
			return
		}
		select {
		case <-r.changed:
		case <-deadline:
			t.Fatalf("never happened: %s", what)
		}
	}
}

func fakeProgram(t *testing.T, mode string) supervise.Program {
	t.Helper()
	exe, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	return supervise.Program{Name: "fake", Path: exe, Args: []string{"fake", mode}}
}

func configured(text string) supervise.Configure {
	return func(sdk.Description) (supervise.Settings, error) {
		config, err := json.Marshal(map[string]string{"TEXT": text, "SECRET": "s3cr3t-value"})
		return supervise.Settings{Config: config, Secrets: []string{"s3cr3t-value"}, Timeout: 2 * time.Second, Concurrency: 4}, err
	}
}

func setup(t *testing.T, mode string, limits supervise.Limits) *bundle {
	t.Helper()
	b := &bundle{t: t, log: &syncBuffer{}, observer: &recorder{calls: map[string]int{}, changed: make(chan struct{}, 1)}}
	b.sup = supervise.New(supervise.Options{
		Logger:   slog.New(slog.NewTextHandler(io.MultiWriter(b.log, t.Output()), &slog.HandlerOptions{Level: slog.LevelInfo})),
		StateDir: t.TempDir(), Observer: b.observer, Limits: limits,
	})
	t.Cleanup(b.sup.Close)
	if _, err := b.sup.Apply(t.Context(), []supervise.Item{{Program: fakeProgram(t, mode), Configure: configured("one")}}); err != nil {
		t.Fatalf("apply: %v", err)
	}
	b.plugin, _ = b.sup.Plugin("fake")
	return b
}

func (b *bundle) ask(email string) (string, error) {
	devices, err := b.plugin.DevicesByEmail(b.t.Context(), email)
	if len(devices) == 0 {
		return "", err
	}
	return devices[0].Name, err
}

// eventuallyAnswers asks until the plugin is well again.
func (b *bundle) eventuallyAnswers() {
	b.t.Helper()
	var name string
	err := errors.New("never asked")
	for deadline := time.Now().Add(20 * time.Second); time.Now().Before(deadline); time.Sleep(10 * time.Millisecond) {
		if name, err = b.ask("ada@example.com"); err == nil && name == "one" {
			return
		}
	}
	b.t.Fatalf("never well again: %q, %v", name, err)
}

// gone waits until a process has ended.
func gone(t *testing.T, pid int) {
	t.Helper()
	deadline := time.Now().Add(10 * time.Second)
	for alive(pid) {
		if time.Now().After(deadline) {
			t.Fatalf("process %d is still there", pid)
		}
		time.Sleep(10 * time.Millisecond)
	}
}

// alive is false for zombies too: nobody in the test reaps a grandchild.
func alive(pid int) bool {
	stat, err := os.ReadFile("/proc/" + strconv.Itoa(pid) + "/stat")
	if err != nil {
		return false
	}
	_, rest, _ := strings.Cut(string(stat), ") ")
	return !strings.HasPrefix(rest, "Z")
}
