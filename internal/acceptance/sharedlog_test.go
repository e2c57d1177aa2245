package acceptance_test

import (
	"encoding/json"
	"os/exec"
	"syscall"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/store/storetest"
)

// Two daemons and commands beside them that share a store share the copy of Duo's
// log in it: it is read once for all of them, and outlives whoever read it.
func TestSharedLog(t *testing.T) {
	t.Parallel()
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		s := newSite(t, 3)
		s.set("duo", "DUO_FIRST_PULL", "48h")
		s.write(t, map[string]any{"store": map[string]any{"dsn": dsn}, "max_age": 0}, "duo", "file")
		one, two := s.serve(t), s.serve(t)
		events := func(a device.Posture) []device.Event {
			t.Helper()
			if o := outcome(t, a, "duo"); !o.OK || o.Count == 0 {
				t.Errorf("outcome %+v", o)
			}
			return a.Events
		}
		var answers [2]device.Posture
		for i, d := range []*daemon{one, two} {
			d.getJSON(t, "/api/v1/posture/"+s.ada(), &answers[i])
		}
		want := events(answers[0])
		if diff := cmp.Diff(want, events(answers[1])); diff != "" {
			t.Errorf("events (-one daemon +the other):\n%s", diff)
		}
		one.signal(t, syscall.SIGKILL)
		two.signal(t, syscall.SIGKILL)
		one.wait(t)
		two.wait(t)
		out, err := exec.CommandContext(t.Context(), postureProgram(t), "scan", s.ada(), "--json", "--config", s.configFile()).Output()
		if err != nil {
			t.Fatalf("scan: %v\n%s", err, out)
		}
		var scanned []device.Posture
		if err := json.Unmarshal(out, &scanned); err != nil || len(scanned) != 1 {
			t.Fatalf("%d answers, %v", len(scanned), err)
		}
		if diff := cmp.Diff(want, events(scanned[0])); diff != "" {
			t.Errorf("events (-daemons +scan after them):\n%s", diff)
		}
		if got := s.Duo.Faults.Requests(); got != 1 {
			t.Errorf("Duo was asked %d times, want once", got)
		}
	})
}
