package acceptance_test

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"testing"
	"time"

	gocmp "github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/batch"
	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/host"
	"github.com/postureproject/posture/host/scan"
	"github.com/postureproject/posture/internal/simulator/simhttp"
	"github.com/postureproject/posture/store"
	"github.com/postureproject/posture/store/storetest"
)

const runPeople = 120 // of whom some share a dongle

// A run over everybody, which reads the sources' lists once, finds out of each
// person what asking every source about that person does: the same records, the
// same verdicts, the same outcomes.
func TestBatch_bulk_is_per_user(t *testing.T) {
	t.Parallel()
	s := newSite(t, runPeople)
	s.write(t, nil)
	kept := storetest.Open(t, storetest.SQLite(t), nil)
	h := s.open(t, func(o *host.Options) { o.Store = kept })
	ctx, cancel := context.WithTimeout(t.Context(), 90*time.Second)
	defer cancel()
	run, err := h.Night(ctx, host.NightOptions{}, batch.Request{})
	if err != nil {
		t.Fatal(err)
	}
	if run.People != runPeople || run.Complete != runPeople || !run.Finished() {
		t.Errorf("run %+v, want %d people, all complete", run, runPeople)
	}
	devices, statistics := 0, batch.Statistics{}
	for i := range runPeople {
		email := s.Fleet.Person(i).Email
		live := h.Pipeline().Scan(ctx, scan.Request{Email: email})
		bulk := storedPosture(t, kept, email)
		if diff := gocmp.Diff(comparable(t, sameOrder(live)), comparable(t, sameOrder(bulk))); diff != "" {
			t.Fatalf("%s, asked live and in bulk (-live +bulk):\n%s", email, diff)
		}
		devices += len(bulk.Devices)
		statistics.Add(batch.Count(bulk.Devices))
	}
	if run.Devices != devices {
		t.Errorf("the run counts %d devices, people have %d", run.Devices, devices)
	}
	if diff := gocmp.Diff(statistics, run.Statistics); diff != "" {
		t.Errorf("statistics (-people +run):\n%s", diff)
	}
}

func storedPosture(t *testing.T, s *store.Store, email string) device.Posture {
	t.Helper()
	p, err := s.Posture(t.Context(), email)
	if err != nil {
		t.Fatal(err)
	}
	return p
}

// sameOrder sorts what a posture lists in the order in which sources were asked.
func sameOrder(p device.Posture) device.Posture {
	for i := range p.Devices {
		d := &p.Devices[i]
		slices.Sort(d.Identifiers.MACAddresses)
		slices.SortFunc(d.Joined, func(a, b device.Join) int {
			return cmp.Or(strings.Compare(a.Source, b.Source), strings.Compare(a.Identifier, b.Identifier), strings.Compare(a.Value, b.Value))
		})
	}
	slices.SortFunc(p.Sources, func(a, b device.Outcome) int {
		return cmp.Or(strings.Compare(a.Plugin, b.Plugin), strings.Compare(a.Namespace, b.Namespace))
	})
	return p
}

// A source that is down for a whole run costs nobody what was known of it.
func TestBatch_source_down(t *testing.T) {
	t.Parallel()
	s := newSite(t, 10)
	s.set("jamf", "RETRIES", 0)
	s.write(t, nil)
	kept := storetest.Open(t, storetest.SQLite(t), nil)
	h := s.open(t, func(o *host.Options) { o.Store = kept })
	first, err := h.Night(t.Context(), host.NightOptions{}, batch.Request{})
	if err != nil {
		t.Fatal(err)
	}
	before := storedPosture(t, kept, s.ada())
	s.Faults("jamf").Add(simhttp.Fault{Status: 503})
	second, err := h.Night(t.Context(), host.NightOptions{}, batch.Request{})
	if err != nil {
		t.Fatal(err)
	}
	if second.Partial != 10 || second.Devices != first.Devices {
		t.Errorf("second run %+v, want all partial and %d devices", second, first.Devices)
	}
	after := storedPosture(t, kept, s.ada())
	if diff := gocmp.Diff(comparable(t, before.Devices), comparable(t, after.Devices)); diff != "" {
		t.Errorf("devices (-before +after):\n%s", diff)
	}
	for _, o := range outcomesOf(after, "jamf") {
		if o.OK || o.KeptFrom == nil {
			t.Errorf("outcome %+v, want a failure with what is kept", o)
		}
	}
}
