package adminevent_test

import (
	"fmt"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/postureproject/posture/adminevent"
	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
)

// counted gives the value of a metric's only series.
func counted(t *testing.T, r *adminevent.Recorder, name string) float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(r.Metrics())
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		if f.GetName() == name && len(f.GetMetric()) == 1 {
			return f.GetMetric()[0].GetCounter().GetValue()
		}
	}
	t.Fatalf("no metric %s with one series", name)
	return 0
}

func TestMetrics(t *testing.T) {
	t.Parallel()
	k := newKept()
	r := recorder(k, newClock(), nil)
	r.Record(t.Context(), slow(1), slow(1), slow(2), nightly(3))
	registry := prometheus.NewPedanticRegistry()
	registry.MustRegister(r.Metrics())
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	var text strings.Builder
	for _, f := range families {
		fmt.Fprintln(&text, f)
	}
	for _, want := range []string{`value:"Posture Checks"`, `value:"error"`, `value:"User"`, `value:"jamf"`, `value:"source-timeout"`, "value:4"} {
		if !strings.Contains(strings.ReplaceAll(text.String(), ": ", ":"), want) {
			t.Errorf("the metrics lack %s:\n%s", want, text.String())
		}
	}
	if strings.Contains(text.String(), "@example.com") {
		t.Errorf("the metrics name people:\n%s", text.String())
	}
}

func answer(person int, outcomes ...device.Outcome) device.Posture {
	return device.Posture{Email: fmt.Sprintf("p%d@example.com", person), Sources: outcomes}
}

// Few people who fail alike are told one by one, many as one event about the
// source; either way every failure counts.
func TestRun(t *testing.T) {
	t.Parallel()
	down := fault.New(fault.Unavailable, "refused")
	late := fault.New(fault.Timeout, "late")
	tests := []struct {
		name               string
		jamfDown, jamfLate int
		rows               int
		affected           int64 // of the event about the source
	}{
		{"none", 0, 0, 0, 0},
		{"one", 1, 0, 1 + 1, 0},
		{"just few enough", 24, 0, 24 + 1, 0},
		{"just too many", 25, 0, 1 + 1, 25},
		{"many", 500, 0, 1 + 1, 500},
		{"many of one code, few of another", 30, 24, 1 + 24 + 1, 30},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			k := newKept()
			r := recorder(k, newClock(), nil)
			run := r.NewRun("run-1", adminevent.Context{Trigger: adminevent.TriggerNightly, Operation: "batch", RequestID: "run-1"})
			for i := range 600 {
				outcomes := []device.Outcome{ok("google"), ok("jamf")}
				switch {
				case i < tt.jamfDown:
					outcomes[1] = failed("jamf", down)
				case i < tt.jamfDown+tt.jamfLate:
					outcomes[1] = failed("jamf", late)
				}
				run.Add(answer(i, outcomes...))
			}
			run.Close(t.Context())
			run.Close(t.Context()) // tells nothing twice
			failures := int64(tt.jamfDown + tt.jamfLate)
			var about int64
			events, _ := k.AdminEvents(t.Context(), adminevent.Query{})
			for _, e := range events {
				if e.AdHoc || e.Trigger != adminevent.TriggerNightly || e.Hint == "" {
					t.Errorf("%+v", e)
				}
				switch e.Resource.Type {
				case adminevent.ResourceBatchRun:
					if e.Level != adminevent.LevelWarning || e.AffectedCount != failures || !strings.Contains(e.Message, fmt.Sprintf("%d people are incomplete", failures)) {
						t.Errorf("of the run: %+v", e)
					}
					continue
				case adminevent.ResourceSource:
					if e.Domain != adminevent.DomainSources || e.Resource.ID != "jamf" || e.Code != adminevent.CodeSourceUnreachable || e.AffectedCount != tt.affected {
						t.Errorf("of the source: %+v", e)
					}
				}
				about += e.NumOccurrences
			}
			if rows, _ := k.total(); rows != tt.rows || about != failures {
				t.Errorf("%d rows, %d failures; want %d and %d", rows, about, tt.rows, failures)
			}
		})
	}
}

// A run may tell outcome by outcome, of a person and of a source as a whole.
func TestRun_Fail(t *testing.T) {
	t.Parallel()
	down := failed("jamf", fault.New(fault.Unavailable, "refused"))
	for _, tt := range []struct {
		people, rows int
		occurrences  int64
	}{
		{0, 1, 1},           // the source
		{3, 3 + 1 + 1, 5},   // people, the source, the run
		{2000, 1 + 1, 2001}, // the source, the run
	} {
		t.Run(fmt.Sprint(tt.people), func(t *testing.T) {
			t.Parallel()
			k := newKept()
			run := recorder(k, newClock(), nil).NewRun("run-1", adminevent.Context{})
			run.Fail(adminevent.Source("jamf"), down)
			for person := range tt.people {
				about := adminevent.User(fmt.Sprintf("p%d@example.com", person))
				for range 3 { // things asked for
					run.Fail(about, down)
					run.Fail(about, ok("google"))
				}
			}
			run.Close(t.Context())
			if rows, n := k.total(); rows != tt.rows || n != tt.occurrences {
				t.Errorf("%d rows, %d occurrences; want %d and %d", rows, n, tt.rows, tt.occurrences)
			}
			events, _ := k.AdminEvents(t.Context(), adminevent.Query{})
			for _, e := range events {
				if e.Resource.Type == adminevent.ResourceSource && (e.Domain != adminevent.DomainSources || tt.people == 2000 && e.AffectedCount != 2000) {
					t.Errorf("%+v", e)
				}
			}
		})
	}
}
