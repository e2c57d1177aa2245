package supervise_test

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/host/supervise"
	"github.com/postureproject/posture/plugins/sdk"
)

// soon fails the test when f does not return.
func soon(t *testing.T, what string, f func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		f()
	}()
	select {
	case <-done:
	case <-time.After(20 * time.Second):
		t.Fatalf("%s does not return", what)
	}
}

// Probes and metrics ask for the plugins while a slow one starts.
func TestSupervisor_tellsItsPluginsWhileApplying(t *testing.T) {
	t.Parallel()
	b := setup(t, "serve", supervise.Limits{})
	slow := fakeProgram(t, "serve")
	slow.Name = "slow"
	starting, release := make(chan struct{}), make(chan struct{})
	applied := make(chan error, 1)
	go func() {
		_, err := b.sup.Apply(t.Context(), []supervise.Item{
			{Program: fakeProgram(t, "serve"), Configure: configured("one")},
			{Program: slow, Configure: func(d sdk.Description) (supervise.Settings, error) {
				close(starting)
				<-release
				return configured("slow")(d)
			}},
		})
		applied <- err
	}()
	<-starting
	soon(t, "Plugins", func() {
		if n := len(b.sup.Plugins()); n != 1 {
			t.Errorf("%d plugins, want the one in force", n)
		}
	})
	close(release)
	if err := <-applied; err != nil {
		t.Fatal(err)
	}
	if n := len(b.sup.Plugins()); n != 2 {
		t.Errorf("%d plugins, want 2", n)
	}
}

// A start that is under way with old settings when new ones come must not take
// the place of the process that has them, nor leave a process behind.
func TestSupervisor_applyOvertakesStart(t *testing.T) {
	t.Parallel()
	b := setup(t, "serve", supervise.Limits{})
	program := fakeProgram(t, "serve")
	program.Name = "late"
	var starts atomic.Int32
	starting, release := make(chan struct{}), make(chan struct{})
	old := func(d sdk.Description) (supervise.Settings, error) {
		if starts.Add(1) == 1 {
			return supervise.Settings{}, fault.New(fault.Unavailable, "not yet")
		}
		close(starting)
		<-release
		return configured("old")(d)
	}
	apply := func(configure supervise.Configure) {
		t.Helper()
		if _, err := b.sup.Apply(t.Context(), []supervise.Item{{Program: program, Configure: configure}}); err != nil {
			t.Fatal(err)
		}
	}
	apply(old)
	<-starting
	apply(configured("new"))
	close(release)
	b.observer.until(t, "the end of the old start", func(r *recorder) bool { return r.restarts == 1 })
	p, _ := b.sup.Plugin("late")
	devices, err := p.DevicesByEmail(t.Context(), "ada@example.com")
	if err != nil || devices[0].Name != "new" {
		t.Errorf("got %v, %v; want an answer with the new settings", devices, err)
	}
	soon(t, "Close", b.sup.Close)
}

// A trial call whose caller gives up has shown nothing: the breaker neither
// closes nor opens.
func TestPlugin_trialGivenUpLeavesTheBreaker(t *testing.T) {
	t.Parallel()
	b := setup(t, "serve", supervise.Limits{BreakerFailures: 1, BreakerOpen: 50 * time.Millisecond})
	if _, err := b.ask("unavailable@example.com"); err == nil {
		t.Fatal("no error")
	}
	for deadline := time.Now().Add(20 * time.Second); ; {
		ctx, cancel := context.WithTimeout(t.Context(), 30*time.Millisecond)
		_, err := b.plugin.DevicesByEmail(ctx, "slow@example.com")
		cancel()
		if err == nil {
			t.Fatal("no error")
		}
		if !strings.Contains(err.Error(), "not asked") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("no trial call was let through")
		}
	}
	if s := b.plugin.Status(); s.Breaker != "half-open" {
		t.Errorf("the breaker is %s", s.Breaker)
	}
	b.eventuallyAnswers()
	if s := b.plugin.Status(); s.Breaker != "closed" {
		t.Errorf("the breaker is %s after a trial that succeeded", s.Breaker)
	}
}

// A program that cannot be run is tried again and again, which must not fill the
// disk with what each try began with.
func TestSupervisor_failedStartsLeaveNoFiles(t *testing.T) {
	temporary := t.TempDir()
	t.Setenv("TMPDIR", temporary)
	program := fakeProgram(t, "serve")
	program.Path = filepath.Join(t.TempDir(), "no-program")
	if err := os.WriteFile(program.Path, []byte("not an executable\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	sup := supervise.New(supervise.Options{Logger: slog.New(slog.DiscardHandler), StateDir: t.TempDir(), Limits: supervise.Limits{StopTimeout: time.Second}})
	if _, err := sup.Apply(t.Context(), []supervise.Item{{Program: program, Configure: configured("one")}}); err != nil {
		t.Fatal(err)
	}
	if p, _ := sup.Plugin("fake"); p.Status().State == "ready" {
		t.Error("it runs")
	}
	sup.Close()
	left, err := os.ReadDir(temporary)
	if err != nil || len(left) != 0 {
		t.Errorf("left behind: %v, %v", left, err)
	}
}
