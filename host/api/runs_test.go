package api_test

import (
	"context"
	"encoding/json"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/batch"
	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/host/auth"
)

// runID is of the newest of the runs that every service of these tests has.
const (
	runID    = "20260301T020000.000-1f2e3d4c"
	olderID  = "20260228T020000.000-00000002"
	oldestID = "20260227T020000.000-00000001"
)

// ledger is a record of runs.
type ledger struct {
	runs     []batch.Run // newest first
	people   []batch.Person
	listings []batch.Listing
	fails    error
	asked    int // of how many runs at once, the last time
}

// threeRuns gives one run that is going on, one that is finished, and one that
// nobody went on with.
func threeRuns() *ledger {
	refused, finished := "jamf: refused", now().Add(-24*time.Hour)
	return &ledger{
		runs: []batch.Run{
			{ID: runID, StartedAt: now(), Phase: batch.Scanning, Scheduled: true, Statistics: batch.Statistics{}},
			{
				ID: olderID, StartedAt: finished.Add(-time.Minute), FinishedAt: &finished, Phase: batch.Over, People: 2, Devices: 3, Complete: 1, Failed: 1,
				Resumed: true, CollectOnly: true, Statistics: batch.Statistics{"encryption": {device.OK: 2, device.Warn: 1}},
			},
			{ID: oldestID, StartedAt: now().Add(-48 * time.Hour), Phase: batch.Sending, Statistics: batch.Statistics{}},
		},
		people: []batch.Person{
			{Email: ada, State: batch.Done, Devices: 2, Statistics: batch.Statistics{"encryption": {device.OK: 2}}},
			{Email: "eve@example.com", State: batch.Pending},
		},
		listings: []batch.Listing{
			{Source: "google", Attempt: 1, Tried: 1, Round: 1, Devices: 7, Users: 3, Nobodys: 1, At: now()},
			{Source: "jamf", Tried: 1, Round: 1, Failure: &device.Outcome{
				Plugin: "jamf", Namespace: "sources.users", Error: &refused, Kind: fault.Forbidden.String(), Remedy: "grant it",
			}},
		},
	}
}

func (l *ledger) BatchRun(_ context.Context, id string) (batch.Run, error) {
	for _, r := range l.runs {
		if r.ID == id {
			return r, l.fails
		}
	}
	return batch.Run{}, fault.New(fault.NotFound, "there is no such run")
}

func (l *ledger) BatchRuns(_ context.Context, before string, n int) ([]batch.Run, error) {
	l.asked = n
	older := slices.DeleteFunc(slices.Clone(l.runs), func(r batch.Run) bool { return before != "" && r.ID >= before })
	return older[:min(n, len(older))], l.fails
}

func (l *ledger) Listings(context.Context, string) ([]batch.Listing, error) {
	return l.listings, l.fails
}

func (l *ledger) People(_ context.Context, _, after string, _ int) ([]batch.Person, error) {
	return slices.DeleteFunc(slices.Clone(l.people), func(p batch.Person) bool { return p.Email <= after }), l.fails
}

func (l *ledger) PeopleByState(_ context.Context, run string) (map[batch.State]int, error) {
	states := map[batch.State]int{}
	if run == runID {
		for _, p := range l.people {
			states[p.State]++
		}
	}
	return states, l.fails
}

func (l *ledger) BatchLease(context.Context) (batch.Lease, error) {
	return batch.Lease{Run: runID, Holder: "somebody"}, l.fails
}

func TestRuns_List(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		query string
		want  []string
		asked int
	}{
		{"", []string{runID, olderID, oldestID}, 50},
		{"?limit=1", []string{runID}, 1},
		{"?limit=500", []string{runID, olderID, oldestID}, 500},
		{"?limit=1&before=" + runID, []string{olderID}, 1},
		{"?before=" + oldestID, []string{}, 50},
	} {
		s, kept := serve(t, locked()), threeRuns()
		s.runs = kept
		w := s.do(t, "GET", "/api/v1/batch/runs"+tt.query, auth.Everyone, "")
		var answer struct{ Runs []batch.Detail }
		if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != http.StatusOK || answer.Runs == nil {
			t.Errorf("%s: %d %s, %v", tt.query, w.Code, w.Body, err)
		}
		ids := []string{}
		for _, r := range answer.Runs {
			ids = append(ids, r.ID)
			if r.Listings != nil {
				t.Errorf("%s: the list has listings of %s", tt.query, r.ID)
			}
		}
		if diff := cmp.Diff(tt.want, ids); diff != "" || kept.asked != tt.asked {
			t.Errorf("%s: asked for %d (-want +got):\n%s", tt.query, kept.asked, diff)
		}
	}
}

func TestRuns_Show(t *testing.T) {
	t.Parallel()
	s := serve(t, locked())
	show := func(id string) batch.Detail {
		t.Helper()
		w := s.do(t, "GET", "/api/v1/batch/runs/"+id, auth.Everyone, "")
		var d batch.Detail
		if err := json.Unmarshal(w.Body.Bytes(), &d); err != nil || w.Code != http.StatusOK {
			t.Fatalf("%s: %d %s, %v", id, w.Code, w.Body, err)
		}
		return d
	}
	running := show(runID)
	if running.State != "running" || running.Phase != "scanning" || running.FinishedAt != nil || running.People != 2 || running.Complete != 1 || running.Devices != 2 ||
		running.Statistics["encryption"][device.OK] != 2 || len(running.Listings) != 2 || running.Listings[1].Failure == nil {
		t.Errorf("the run that is going on: %+v", running)
	}
	if done := show(olderID); done.State != "finished" || done.People != 2 || done.Failed != 1 || !done.Resumed || !done.CollectOnly || done.FinishedAt == nil {
		t.Errorf("the finished run: %+v", done)
	}
	if left := show(oldestID); left.State != "interrupted" || left.Phase != "sending" {
		t.Errorf("the interrupted run: %+v", left)
	}
}

func TestRuns_Refused(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		path, field, value string
		status             int
	}{
		{"?limit=0", "limit", `"0"`, 400},
		{"?limit=501", "limit", `"501"`, 400},
		{"?limit=-1", "limit", `"-1"`, 400},
		{"?limit=ten", "limit", `"ten"`, 400},
		{"?limit=", "limit", "", 400},
		{"?limit=99999999999999999999", "limit", `"99999999999999999999"`, 400},
		{"?before=yesterday", "before", `"yesterday"`, 400},
		{"?before=", "before", "", 400},
		{"?before=" + strings.Repeat("x", 1000), "before", "x…", 400},
		{"/20260301T020000.000-ffffffff", "", "", 404},
		{"/nonsense", "", "", 404},
		{"/%27%3B%20DROP%20TABLE", "", "", 404},
	} {
		s := serve(t, locked())
		w := s.do(t, "GET", "/api/v1/batch/runs"+tt.path, auth.Everyone, "")
		f := failureIn(t, w)
		if w.Code != tt.status || f.Error.Field != tt.field || !strings.Contains(f.Error.Message, tt.value) || tt.status == 400 && f.Error.Remedy == "" {
			t.Errorf("%s: %d %+v", tt.path, w.Code, f)
		}
	}
}

// Without a store, and with one that does not answer, the failure is told.
func TestRuns_Unavailable(t *testing.T) {
	t.Parallel()
	for name, runs := range map[string]batch.Viewer{"no store": nil, "down": &ledger{runs: threeRuns().runs, fails: fault.New(fault.Unavailable, "down")}} {
		s := serve(t, locked())
		s.runs = runs
		for _, path := range []string{"", "/" + runID} {
			if w := s.do(t, "GET", "/api/v1/batch/runs"+path, auth.Everyone, ""); w.Code != http.StatusServiceUnavailable || failureIn(t, w).Error.Code != "unavailable" {
				t.Errorf("%s: %d %s", name, w.Code, w.Body)
			}
		}
	}
}
