package scan_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/host/scan"
)

// What was collected and kept as a document makes the same answer as the scan.
func TestAssemble_IsScan(t *testing.T) {
	t.Parallel()
	yes := true
	stock := &fake{records: []device.Device{record("stock", ada, "S1", macA), record("stock", ada, "S2")}}
	jamf := &fake{records: []device.Device{record("jamf", "", "S1", macA)}, events: []device.Event{{Source: "jamf", Type: "login", Timestamp: now()}}}
	jamf.records[0].Practices = map[string]device.Practice{"encryption": {Value: &yes}}
	p := pipeline(t, owner("stock", stock), everything("jamf", jamf))
	want := p.Scan(t.Context(), scan.Request{Email: ada})
	collections, outcomes := p.Collect(t.Context(), scan.Request{Email: ada})
	for range 2 { // which leaves the collections as they are
		got := p.Assemble(ada, collections, outcomes)
		if diff := cmp.Diff(withoutTimes(want), withoutTimes(got), cmpopts.IgnoreFields(device.Outcome{}, "Failure")); diff != "" {
			t.Errorf("(-scan +assembled):\n%s", diff)
		}
	}
}

// Devices that are known already are not asked for, and what belongs to the
// person is looked up in those that are.
func TestCollect_Skip(t *testing.T) {
	t.Parallel()
	stock := &fake{records: []device.Device{record("stock", ada, "S1")}}
	jamf := &fake{records: []device.Device{record("jamf", "", "S1")}}
	p := pipeline(t, owner("stock", stock), everything("jamf", jamf))
	collections, _ := p.Collect(t.Context(), scan.Request{
		Email: ada, Skip: func(source, namespace string) bool { return source == "stock" && namespace == scan.NamespaceOwnership }, Owned: stock.records,
	})
	if asked := stock.questions(); len(asked) > 0 {
		t.Errorf("asked %v", asked)
	}
	if len(collections) != 1 || collections[0].Plugin != "jamf" || len(collections[0].Devices) != 1 {
		t.Errorf("collected %+v", collections)
	}
}

// A failure takes the last known records along, with the time of their answer,
// and what else the same source said stays new.
func TestKeepLast(t *testing.T) {
	t.Parallel()
	before := now().Add(-24 * time.Hour)
	last := []device.Collection{{
		Plugin: "jamf", FetchedAt: before, Devices: []device.Device{record("jamf", ada, "S1")}, Events: []device.Event{{Source: "jamf", Type: "old"}},
	}}
	down := &fake{records: nil, events: []device.Event{{Source: "jamf", Type: "new"}}, answer: func(_ context.Context, question string) error {
		if question == "email "+ada {
			return errors.New("down")
		}
		return nil
	}}
	p := pipeline(t, everything("jamf", down))
	check := func(last []device.Collection) []device.Collection {
		t.Helper()
		collections, outcomes := p.Collect(t.Context(), scan.Request{Email: ada})
		collections, outcomes = scan.KeepLast(collections, outcomes, last)
		got := p.Assemble(ada, collections, outcomes)
		if diff := cmp.Diff([]string{"S1"}, serials(got.Devices)); diff != "" {
			t.Errorf("devices (-want +got):\n%s", diff)
		}
		if len(got.Events) != 1 || got.Events[0].Type != "new" {
			t.Errorf("events %+v", got.Events)
		}
		for _, o := range got.Sources {
			if kept := o.KeptFrom != nil; kept != (o.Namespace == scan.NamespaceDevices) || kept && !o.KeptFrom.Equal(before) {
				t.Errorf("outcome %+v", o)
			}
		}
		return collections
	}
	check(check(last)) // the age is that of the records, however often they are kept
}
