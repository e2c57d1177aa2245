package supervise_test

import (
	"context"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"log/slog"
	"os"
	"path/filepath"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/host/supervise"
	"github.com/postureproject/posture/plugins/sdk"
)

func TestPlugin_answers(t *testing.T) {
	t.Parallel()
	b := setup(t, "serve", supervise.Limits{})
	name, err := b.ask("ada@example.com")
	if err != nil || name != "one" {
		t.Fatalf("got %q, %v", name, err)
	}
	if d, ok := b.plugin.Description(); !ok || d.Version != "0.1.0" || !d.Has(sdk.CapDevicesByEmail) || !d.Has(sdk.CapTestConnectivity) || d.Has(sdk.CapEvents) {
		t.Errorf("description %+v", d)
	}
	if s := b.plugin.Status(); s.State != "ready" || s.Breaker != "closed" || s.LastSuccess.IsZero() {
		t.Errorf("status %+v", s)
	}
	if devices, err := b.plugin.DevicesByEmail(t.Context(), "notfound@example.com"); err != nil || len(devices) != 0 {
		t.Errorf("not found gave %v, %v; want an empty answer", devices, err)
	}
}

// A plugin must see nothing of the host: not its environment, not its terminal,
// and its own configuration only over the wire.
func TestPlugin_isolation(t *testing.T) {
	t.Setenv("POSTURE_TEST_PASSWORD", "visible")
	b := setup(t, "serve", supervise.Limits{})
	devices, err := b.plugin.DevicesByEmail(t.Context(), "environment@example.com")
	if err != nil {
		t.Fatal(err)
	}
	for line := range strings.SplitSeq(devices[0].Name, "\n") {
		key, _, _ := strings.Cut(line, "=")
		if key != sdk.MagicCookieKey && key != sdk.LifelineKey && !strings.HasPrefix(key, "PLUGIN_") && !strings.HasPrefix(line, "-") && strings.Contains(line, "visible") {
			t.Errorf("the plugin sees %s", line)
		}
	}
	for _, forbidden := range []string{"visible", "s3cr3t-value", "HOME=", "PATH="} {
		if strings.Contains(devices[0].Name, forbidden) || strings.Contains(devices[0].Model, forbidden) {
			t.Errorf("the plugin's environment or arguments show %s", forbidden)
		}
	}
	if name, err := b.ask("stdin@example.com"); err != nil || name != "0" {
		t.Errorf("standard input gave %q, %v; want it empty", name, err)
	}
}

func TestPlugin_faults(t *testing.T) {
	t.Parallel()
	tests := []struct {
		email     string
		kind      fault.Kind
		text      string
		survivors string // the answer that came beside the error
	}{
		{"crash@example.com", fault.Unavailable, "went away", ""},
		{"hang@example.com", fault.Timeout, "did not answer", ""},
		{"slow@example.com", fault.Timeout, "the vendor is slow", "found before"},
		{"panic@example.com", fault.Internal, "panicked", ""},
		{"flood@example.com", fault.BadResponse, "more than 10000 records", ""},
		{"huge@example.com", fault.BadResponse, "larger", ""},
		{"unavailable@example.com", fault.Unavailable, "vendor down", ""},
	}
	for _, tt := range tests {
		t.Run(tt.email, func(t *testing.T) {
			t.Parallel()
			b := setup(t, "serve", supervise.Limits{})
			devices, err := b.plugin.DevicesByEmail(t.Context(), tt.email)
			if fault.KindOf(err) != tt.kind || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("got %v (%s), want kind %s with %q", err, fault.KindOf(err), tt.kind, tt.text)
			}
			var e *fault.Error
			if !errors.As(err, &e) || e.Source != "fake" {
				t.Errorf("the error does not name its source: %#v", err)
			}
			if tt.survivors != "" && (len(devices) == 0 || devices[0].Name != tt.survivors) {
				t.Errorf("what was found before the failure is gone: %v", devices)
			}
			// It cost only its own answer: the next one comes.
			b.eventuallyAnswers()
		})
	}
}

// However many calls come while a plugin pauses before its next start, they show
// nothing about it, and do not open its breaker.
func TestPlugin_pauseDoesNotOpenTheBreaker(t *testing.T) {
	t.Parallel()
	b := setup(t, "serve", supervise.Limits{BreakerFailures: 20})
	paused := func(err error) bool { return err != nil && strings.Contains(err.Error(), "the next start is in") }
	refused := 0
	for crashes := 0; crashes < 8 && refused == 0; crashes++ { // each makes the next pause longer
		if _, err := b.ask("crash@example.com"); paused(err) {
			refused++
		}
	}
	for range 100 {
		if _, err := b.ask("ada@example.com"); paused(err) {
			refused++
		}
	}
	if state := b.plugin.Status().Breaker; state != "closed" || refused < 20 {
		t.Errorf("the breaker is %s after %d refusals", state, refused)
	}
	b.eventuallyAnswers()
}

func TestPlugin_killedBetweenCalls(t *testing.T) {
	t.Parallel()
	b := setup(t, "serve", supervise.Limits{})
	pid := b.plugin.Status().PID
	if err := syscall.Kill(pid, syscall.SIGKILL); err != nil {
		t.Fatal(err)
	}
	if name, err := b.ask("ada@example.com"); err != nil || name != "one" {
		t.Fatalf("got %q, %v", name, err)
	}
	b.observer.until(t, "a restart", func(r *recorder) bool { return r.restarts == 1 })
	if s := b.plugin.Status(); s.Restarts != 1 || s.PID == pid || !strings.Contains(s.LastError, "killed") {
		t.Errorf("status %+v", s)
	}
}

func TestPlugin_lostOnceIsAskedAgain(t *testing.T) {
	t.Parallel()
	b := setup(t, "serve", supervise.Limits{})
	if name, err := b.ask("crashonce@example.com"); err != nil || name != "one" {
		t.Fatalf("got %q, %v", name, err)
	}
}

func TestPlugin_restartsByItself(t *testing.T) {
	t.Parallel()
	b := setup(t, "serve", supervise.Limits{})
	for i := range 3 {
		if err := syscall.Kill(b.plugin.Status().PID, syscall.SIGKILL); err != nil {
			t.Fatal(err)
		}
		b.observer.until(t, "a restart", func(r *recorder) bool { return r.restarts == i+1 })
	}
	if s := b.plugin.Status(); s.State != "ready" {
		t.Errorf("status %+v", s)
	}
}

func TestPlugin_breakerOpensAndCloses(t *testing.T) {
	t.Parallel()
	b := setup(t, "serve", supervise.Limits{BreakerFailures: 3, BreakerOpen: 300 * time.Millisecond})
	for range 3 {
		if _, err := b.ask("unavailable@example.com"); !strings.Contains(err.Error(), "vendor down") {
			t.Fatalf("got %v", err)
		}
	}
	_, err := b.ask("ada@example.com")
	if fault.KindOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "not asked") || !strings.Contains(err.Error(), "vendor down") {
		t.Fatalf("an open breaker says %v", err)
	}
	if s := b.plugin.Status(); s.Breaker != "open" {
		t.Errorf("status %+v", s)
	}
	if _, err := b.plugin.TransformDevices(t.Context(), nil); err == nil || strings.Contains(err.Error(), "not asked") {
		t.Errorf("the breaker of look-ups stops other calls: %v", err)
	}
	if detail, err := b.plugin.TestConnectivity(t.Context()); err != nil || detail != "reached" {
		t.Errorf("the connectivity test gave %q, %v; it must go out with the breaker open", detail, err)
	}
	b.eventuallyAnswers()
	b.observer.mu.Lock()
	defer b.observer.mu.Unlock()
	if got := strings.Join(b.observer.breaker, " "); got != "closed open half-open closed" {
		t.Errorf("the observer saw %s", got)
	}
}

func TestPlugin_callersGivingUpDoNotOpenTheBreaker(t *testing.T) {
	t.Parallel()
	b := setup(t, "serve", supervise.Limits{BreakerFailures: 2})
	for range 4 {
		ctx, cancel := context.WithTimeout(t.Context(), 20*time.Millisecond)
		_, err := b.plugin.DevicesByEmail(ctx, "slow@example.com")
		cancel()
		if err == nil {
			t.Fatal("no error")
		}
	}
	if s := b.plugin.Status(); s.Breaker != "closed" {
		t.Errorf("breaker is %s", s.Breaker)
	}
}

func TestPlugin_concurrencyIsBounded(t *testing.T) {
	t.Parallel()
	b := setup(t, "serve", supervise.Limits{BreakerFailures: 100})
	started := time.Now()
	var group sync.WaitGroup
	for range 8 { // 4 at once, a second each
		group.Go(func() { _, _ = b.ask("slow@example.com") })
	}
	group.Wait()
	if took := time.Since(started); took < 2*time.Second {
		t.Errorf("8 calls of a second, 4 at once, took only %s", took)
	}
}

func TestPlugin_logsAreBoundedNamedAndClean(t *testing.T) {
	t.Parallel()
	b := setup(t, "serve", supervise.Limits{})
	if _, err := b.ask("log@example.com"); err != nil {
		t.Fatal(err)
	}
	b.sup.Close()
	log := b.log.String()
	if strings.Contains(log, "s3cr3t-value") {
		t.Error("a secret is in the log")
	}
	if n := strings.Count(log, "chatter"); n == 0 || n > 1000 {
		t.Errorf("%d of 5000 lines came through", n)
	}
	if !strings.Contains(log, "plugin=fake secret=[redacted]") {
		t.Error("the lines do not name the plugin, or lost their attributes")
	}
}

func TestSupervisor_badPrograms(t *testing.T) {
	t.Parallel()
	good := fakeProgram(t, "serve")
	content, err := os.ReadFile(good.Path)
	if err != nil {
		t.Fatal(err)
	}
	sum := sha256.Sum256(content)
	pinned, wrong, missing := good, good, good
	pinned.SHA256 = strings.ToUpper(hex.EncodeToString(sum[:]))
	wrong.SHA256 = strings.Repeat("ab", 32)
	missing.Path = filepath.Join(t.TempDir(), "nothing")
	plain := good
	plain.Path = filepath.Join(t.TempDir(), "plain")
	if err := os.WriteFile(plain.Path, []byte("text"), 0o600); err != nil {
		t.Fatal(err)
	}
	tests := []struct {
		name    string
		program supervise.Program
		kind    fault.Kind
		text    string
	}{
		{"pinned", pinned, 0, ""},
		{"wrong checksum", wrong, fault.Unavailable, "not the pinned abab"},
		{"missing", missing, fault.Unavailable, "no such file"},
		{"not executable", plain, fault.Unavailable, "permission denied"},
		{"never shakes hands", fakeProgram(t, "mute"), fault.Timeout, "handshake in time"},
		{"speaks something else", fakeProgram(t, "chatter"), fault.BadResponse, "wrong program"},
		{"wrong protocol version", fakeProgram(t, "old"), fault.BadResponse, "incompatible API version"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			sup := supervise.New(supervise.Options{
				Logger: slog.New(slog.NewTextHandler(t.Output(), nil)), StateDir: t.TempDir(),
				Limits: supervise.Limits{StartTimeout: 2 * time.Second, MaxBackoff: 50 * time.Millisecond},
			})
			defer sup.Close()
			if _, err := sup.Apply(t.Context(), []supervise.Item{{Program: tt.program, Configure: configured("one")}}); err != nil {
				t.Fatalf("one bad plugin stops the others: %v", err)
			}
			p, _ := sup.Plugin("fake")
			_, err := p.DevicesByEmail(t.Context(), "ada@example.com")
			if tt.text == "" {
				if err != nil {
					t.Fatal(err)
				}
				return
			}
			status := p.Status()
			if err == nil || !strings.Contains(status.LastError, tt.text) || status.State == "ready" {
				t.Errorf("got %v and status %+v, want %q", err, status, tt.text)
			}
		})
	}
}

func TestSupervisor_apply(t *testing.T) {
	t.Parallel()
	b := setup(t, "serve", supervise.Limits{})
	item := func(name, text string) supervise.Item {
		program := fakeProgram(t, "serve")
		program.Name = name
		return supervise.Item{Program: program, Configure: configured(text)}
	}
	pid := func() int { return b.plugin.Status().PID }
	first := pid()

	changed, err := b.sup.Apply(t.Context(), []supervise.Item{item("fake", "one"), item("other", "x")})
	if err != nil || strings.Join(changed, " ") != "other" || pid() != first {
		t.Fatalf("adding one: %v, %v; pid %d then %d", changed, err, first, pid())
	}
	_, err = b.sup.Apply(t.Context(), []supervise.Item{item("fake", "refuse"), item("other", "y")})
	if fault.KindOf(err) != fault.Invalid || !strings.Contains(err.Error(), "TEXT") || pid() != first {
		t.Fatalf("a refused configuration: %v (%s)", err, fault.KindOf(err))
	}
	if other, _ := b.sup.Plugin("other"); true {
		if devices, err := other.DevicesByEmail(t.Context(), "ada@example.com"); err != nil || devices[0].Name != "x" {
			t.Fatalf("another plugin changed with a refused configuration: %v, %v", devices, err)
		}
	}
	// A call under way survives the change of its plugin's configuration.
	slow, asked := make(chan error, 1), make(chan struct{})
	go func() {
		close(asked)
		_, err := b.ask("slow@example.com")
		slow <- err
	}()
	<-asked
	changed, err = b.sup.Apply(t.Context(), []supervise.Item{item("fake", "two")})
	if err != nil || len(changed) != 2 || pid() == first {
		t.Fatalf("changing one, dropping one: %v, %v", changed, err)
	}
	if name, err := b.ask("ada@example.com"); err != nil || name != "two" {
		t.Fatalf("after the change: %q, %v", name, err)
	}
	if err := <-slow; err == nil || !strings.Contains(err.Error(), "the vendor is slow") {
		t.Errorf("the call under way ended with %v", err)
	}
	if _, ok := b.sup.Plugin("other"); ok {
		t.Error("the dropped plugin is still there")
	}
}

// A plugin that has never started must not hold up the reload of the others.
func TestSupervisor_applyBesideBrokenPlugin(t *testing.T) {
	t.Parallel()
	b := setup(t, "serve", supervise.Limits{StartTimeout: 2 * time.Second})
	broken := fakeProgram(t, "serve")
	broken.Name, broken.Path = "broken", filepath.Join(t.TempDir(), "nothing")
	items := func(text string) []supervise.Item {
		return []supervise.Item{{Program: fakeProgram(t, "serve"), Configure: configured(text)}, {Program: broken, Configure: configured("x")}}
	}
	for _, text := range []string{"one", "two"} {
		if _, err := b.sup.Apply(t.Context(), items(text)); err != nil {
			t.Fatal(err)
		}
		if name, err := b.ask("ada@example.com"); err != nil || name != text {
			t.Fatalf("got %q, %v; want %q", name, err, text)
		}
	}
	if p, _ := b.sup.Plugin("broken"); !strings.Contains(p.Status().LastError, "no such file") {
		t.Errorf("status %+v", p.Status())
	}
}

func TestSupervisor_closeLeavesNothing(t *testing.T) {
	t.Parallel()
	b := setup(t, "serve", supervise.Limits{StopTimeout: 500 * time.Millisecond})
	grandchild, err := b.ask("grandchild@example.com")
	if err != nil {
		t.Fatal(err)
	}
	hanging := make(chan error, 1)
	go func() {
		_, err := b.ask("hang@example.com")
		hanging <- err
	}()
	pid := b.plugin.Status().PID
	b.sup.Close()
	if err := <-hanging; err == nil {
		t.Error("a call on a closed plugin succeeded")
	}
	gone(t, pid)
	n, _ := strconv.Atoi(grandchild)
	gone(t, n)
}

// A process that is there but does nothing any more is found by its health.
func TestPlugin_stoppedProcessIsReplaced(t *testing.T) {
	t.Parallel()
	b := setup(t, "serve", supervise.Limits{HealthInterval: 100 * time.Millisecond, HealthTimeout: time.Second})
	pid := b.plugin.Status().PID
	if err := syscall.Kill(pid, syscall.SIGSTOP); err != nil {
		t.Fatal(err)
	}
	b.observer.until(t, "a restart", func(r *recorder) bool { return r.restarts == 1 })
	gone(t, pid)
	if name, err := b.ask("ada@example.com"); err != nil || name != "one" {
		t.Errorf("got %q, %v", name, err)
	}
}
