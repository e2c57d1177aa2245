package adminevent_test

import (
	"context"
	"fmt"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/adminevent"
	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
)

// outcomes are those of three sources: two failed, one of them twice alike.
func outcomes() []device.Outcome {
	failed := func(plugin, namespace string, kind fault.Kind) device.Outcome {
		text := plugin + " failed"
		return device.Outcome{Plugin: plugin, Namespace: namespace, Kind: kind.String(), Error: &text}
	}
	return []device.Outcome{
		{Plugin: "google", Namespace: "sources.devices", OK: true},
		failed("jamf", "sources.devices", fault.Timeout),
		failed("duo", "sources.events", fault.Unauthenticated),
		failed("jamf", "sources.notifications", fault.Timeout),
		failed("jamf", "sources.accounts", fault.Unavailable),
		{Plugin: "bitfit", Namespace: "sources.predevices", Failure: context.Canceled},
	}
}

func idsOf(outcomes []device.Outcome) []string {
	ids := make([]string, len(outcomes))
	for i, o := range outcomes {
		ids[i] = o.EventID
	}
	return ids
}

// Each failed outcome has the id of the event that tells of it, also one that
// another outcome's reason explains; what makes no event has none.
func TestRecordOutcomes(t *testing.T) {
	t.Parallel()
	k, c := newKept(), newClock()
	r := adminevent.New(adminevent.Options{Store: k, Now: c.now})
	got := outcomes()
	r.RecordOutcomes(t.Context(), adminevent.User("Ada@example.com"), got, adminevent.Context{AdHoc: true})
	ids := idsOf(got)
	if ids[0] != "" || ids[5] != "" || ids[1] != ids[3] {
		t.Errorf("ids %q", ids)
	}
	for i, want := range map[int]string{1: adminevent.CodeSourceTimeout, 2: adminevent.CodeSourceAuthFailed, 4: adminevent.CodeSourceUnreachable} {
		if e, err := r.Get(t.Context(), ids[i]); err != nil || e.Code != want || e.Source != got[i].Plugin || e.NumOccurrences != 1 {
			t.Errorf("outcome %d: event %+v, %v", i, e, err)
		}
	}
	again := device.Posture{Email: "ada@EXAMPLE.com", Sources: outcomes()}
	r.RecordPosture(t.Context(), again, adminevent.Context{AdHoc: true})
	if diff := cmp.Diff(ids, idsOf(again.Sources)); diff != "" {
		t.Errorf("a repetition has other ids (-first +again):\n%s", diff)
	}
}

// Where nothing is saved there is no id: while the store is down, and when such
// failures are not recorded.
func TestRecordOutcomes_None(t *testing.T) {
	t.Parallel()
	down := newKept()
	down.down = fault.New(fault.Unavailable, "down")
	for name, o := range map[string]adminevent.Options{"down": {Store: down}, "left out": {Store: newKept(), SkipAdHoc: true}} {
		got, r := outcomes(), adminevent.New(o)
		r.RecordOutcomes(t.Context(), adminevent.User("ada@example.com"), got, adminevent.Context{AdHoc: true})
		if diff := cmp.Diff(make([]string, len(got)), idsOf(got)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
		if want := map[string]int{"down": 3}[name]; r.Pending() != want {
			t.Errorf("%s: %d events in memory, want %d", name, r.Pending(), want)
		}
	}
}

// When too many people fail alike, the id is that of the event about the source.
func TestRecordOutcomes_Storm(t *testing.T) {
	t.Parallel()
	r := adminevent.New(adminevent.Options{Store: newKept(), StormLimit: 2, Now: newClock().now})
	for person := range 4 {
		got := outcomes()[1:2]
		r.RecordOutcomes(t.Context(), adminevent.User(fmt.Sprintf("p%d@example.com", person)), got, adminevent.Context{AdHoc: true})
		e, err := r.Get(t.Context(), got[0].EventID)
		want := adminevent.ResourceUser
		if person >= 2 {
			want = adminevent.ResourceSource
		}
		if err != nil || e.Resource.Type != want {
			t.Errorf("person %d: event %+v, %v", person, e, err)
		}
	}
}
