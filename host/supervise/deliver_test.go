package supervise_test

import (
	"log/slog"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/host/supervise"
)

// Documents are handed over once per call, whatever becomes of the process: what
// is sent again, and when, is decided where they are kept.
func TestPlugin_deliver(t *testing.T) {
	t.Parallel()
	stateDir := t.TempDir()
	sup := supervise.New(supervise.Options{Logger: slog.New(slog.DiscardHandler), StateDir: stateDir})
	t.Cleanup(sup.Close)
	if _, err := sup.Apply(t.Context(), []supervise.Item{{Program: fakeProgram(t, "serve"), Configure: configured("one")}}); err != nil {
		t.Fatal(err)
	}
	plugin, _ := sup.Plugin("fake")
	calls := func() int {
		marks, err := os.ReadFile(filepath.Join(stateDir, "plugins", "fake", "calls"))
		if err != nil {
			t.Fatal(err)
		}
		return len(marks)
	}
	errs, err := plugin.Deliver(t.Context(), []device.Delivery{{ID: "a"}, {ID: "b", Kind: "refuse"}, {ID: "c"}})
	if err != nil || len(errs) != 3 || errs[0] != nil || !device.Refused(errs[1]) || errs[2] != nil {
		t.Fatalf("%v, %v", errs, err)
	}
	recovered := func() error {
		deadline := time.Now().Add(20 * time.Second)
		for {
			errs, err := plugin.Deliver(t.Context(), []device.Delivery{{ID: "e"}})
			if err == nil {
				return errs[0]
			}
			if time.Now().After(deadline) {
				return err
			}
			time.Sleep(20 * time.Millisecond)
		}
	}
	for _, kind := range []string{"crash", "hang"} {
		before := calls()
		if errs, err := plugin.Deliver(t.Context(), []device.Delivery{{ID: "d", Kind: kind}}); errs != nil || err == nil || device.Refused(err) {
			t.Errorf("%s: %v, %v", kind, errs, err)
		}
		if n := calls() - before; n != 1 {
			t.Errorf("%s: handed over %d times", kind, n)
		}
		// It recovers as after any other call.
		if err := recovered(); err != nil {
			t.Errorf("%s: not recovered: %v: %s", kind, err, fault.KindOf(err))
		}
	}
}
