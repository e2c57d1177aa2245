package supervise_test

import (
	"context"
	"log/slog"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/host/supervise"
	"github.com/postureproject/posture/plugins/sdk"
)

// progressOnly is a journal that keeps only progress.
type progressOnly struct {
	sdk.Journal // for what is not called

	mu   sync.Mutex
	logs map[string]sdk.JournalProgress
	down error
}

func (j *progressOnly) Progress(_ context.Context, log string) (sdk.JournalProgress, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	return j.logs[log], j.down
}

func (j *progressOnly) Append(_ context.Context, log string, b sdk.JournalBatch) (sdk.JournalAppended, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	p := j.logs[log]
	if b.Progress != nil {
		p.Document = slices.Clone(b.Progress.Document)
	}
	p.Version++
	j.logs[log] = p
	return sdk.JournalAppended{Version: p.Version}, j.down
}

func (j *progressOnly) fail(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.down = err
}

func journalOf(t *testing.T, mode string, j *progressOnly) (*supervise.Supervisor, *supervise.Plugin) {
	t.Helper()
	o := supervise.Options{
		Logger: slog.New(slog.DiscardHandler), StateDir: t.TempDir(),
		Limits: supervise.Limits{BreakerFailures: 1 << 20, MaxBackoff: 20 * time.Millisecond},
	}
	if j != nil {
		o.Journal = func(plugin string) sdk.Journal {
			if plugin != "fake" {
				t.Errorf("the journal of %q was asked for", plugin)
			}
			return j
		}
	}
	sup := supervise.New(o)
	t.Cleanup(sup.Close)
	if _, err := sup.Apply(t.Context(), []supervise.Item{{Program: fakeProgram(t, mode), Configure: configured("one")}}); err != nil {
		t.Fatal(err)
	}
	plugin, _ := sup.Plugin("fake")
	return sup, plugin
}

// A plugin that asks for a journal reaches the host's, in all of its processes:
// after a crash, and until the end of the last one.
func TestJournal(t *testing.T) {
	t.Parallel()
	kept := &progressOnly{logs: map[string]sdk.JournalProgress{}}
	sup, plugin := journalOf(t, "keeper", kept)
	keep := func() string {
		t.Helper()
		for deadline := time.Now().Add(20 * time.Second); ; {
			devices, err := plugin.DevicesByEmail(t.Context(), "keep@example.com")
			switch {
			case err == nil && len(devices) == 1:
				return devices[0].Name
			case time.Now().After(deadline):
				t.Fatalf("keep: %v", err)
			}
			time.Sleep(10 * time.Millisecond) // the process is being started again
		}
	}
	if one, two := keep(), keep(); one != "x" || two != "xx" {
		t.Errorf("kept %q, then %q", one, two)
	}
	_, _ = plugin.DevicesByEmail(t.Context(), "crash@example.com")
	if got := keep(); got != "xxx" {
		t.Errorf("after a crash kept %q", got)
	}
	kept.fail(&fault.Error{Kind: fault.Unavailable, Message: "the disk is full", Remedy: "make room"})
	if _, err := plugin.DevicesByEmail(t.Context(), "keep@example.com"); fault.KindOf(err) != fault.Unavailable || fault.RemedyOf(err) != "make room" {
		t.Errorf("a full disk: %v", err)
	}
	kept.fail(nil)
	sup.Close()
	if p, err := kept.Progress(t.Context(), "closed"); err != nil || p.Version != 1 {
		t.Errorf("the plugin could not use its journal while it was closed: %+v, %v", p, err)
	}
}

// Where there is no store the plugin starts all the same, and its answers say why
// they are missing.
func TestJournal_none(t *testing.T) {
	t.Parallel()
	_, plugin := journalOf(t, "keeper", nil)
	if _, err := plugin.DevicesByEmail(t.Context(), "keep@example.com"); fault.KindOf(err) != fault.Unavailable || fault.RemedyOf(err) == "" {
		t.Errorf("without a store: %v", err)
	}
}

// A plugin that does not ask for a journal has none.
func TestJournal_notAskedFor(t *testing.T) {
	t.Parallel()
	_, plugin := journalOf(t, "serve", &progressOnly{logs: map[string]sdk.JournalProgress{}})
	if _, err := plugin.DevicesByEmail(t.Context(), "keep@example.com"); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("without asking: %v", err)
	}
}
