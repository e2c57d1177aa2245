package adminevent_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/adminevent"
	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
)

func ok(plugin string) device.Outcome {
	return device.Outcome{Plugin: plugin, Namespace: "sources.devices", OK: true}
}

func failed(plugin string, err error) device.Outcome {
	text := err.Error()
	return device.Outcome{
		Plugin: plugin, Namespace: "sources.devices", Error: &text, Kind: fault.KindOf(err).String(), Remedy: fault.RemedyOf(err), Failure: err,
	}
}

func TestFromPosture(t *testing.T) {
	t.Parallel()
	failure := &fault.Error{
		Kind: fault.Timeout, Source: "jamf", Op: "get https://jamf.example/api?token=s3cret", Subject: "ada@example.com", Remedy: "raise TIMEOUT",
	}
	c := adminevent.Context{Trigger: adminevent.TriggerCLI, Operation: "scan", AdHoc: true, Actor: "root", RequestID: "R1"}
	got := adminevent.FromPosture(device.Posture{
		Email: "Ada@Example.com", Sources: []device.Outcome{ok("google"), failed("jamf", failure)},
	}, c)
	want := []adminevent.Event{{
		Type: adminevent.TypeGeneric, Level: adminevent.LevelError, Domain: "Posture Checks",
		Resource: adminevent.Resource{Type: "User", ID: "ada@example.com", Name: "Ada@Example.com"},
		Code:     "source-timeout", Source: "jamf", Trigger: "cli", Operation: "scan", AdHoc: true, LastActor: "root", RequestID: "R1",
		Message: "jamf failed for Ada@Example.com: jamf: get https://jamf.example/api ada@example.com", NumOccurrences: 1,
		Hint: "- raise TIMEOUT\n" + adminevent.HintFor("Posture Checks", "User", "source-timeout"),
	}}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestFromOutcomes(t *testing.T) {
	t.Parallel()
	fails := func(plugin string, k fault.Kind) device.Outcome { return failed(plugin, fault.New(k, "why")) }
	readBack := fails("jamf", fault.RateLimited)
	readBack.Failure = nil
	tests := []struct {
		name     string
		outcomes []device.Outcome
		want     []string // source, code, level
	}{
		{"nothing asked", nil, nil},
		{"all well", []device.Outcome{ok("jamf"), ok("google")}, nil},
		{"timeout", []device.Outcome{fails("jamf", fault.Timeout)}, []string{"jamf source-timeout ERROR"}},
		{"unreachable", []device.Outcome{fails("jamf", fault.Unavailable)}, []string{"jamf source-unreachable ERROR"}},
		{"credentials", []device.Outcome{fails("jamf", fault.Unauthenticated)}, []string{"jamf source-auth-failed ERROR"}},
		{"rights", []device.Outcome{fails("jamf", fault.Forbidden)}, []string{"jamf source-auth-failed ERROR"}},
		{"quota", []device.Outcome{fails("jamf", fault.RateLimited)}, []string{"jamf source-rate-limited WARNING"}},
		{"nonsense", []device.Outcome{fails("jamf", fault.BadResponse)}, []string{"jamf source-bad-response ERROR"}},
		{"ambiguous", []device.Outcome{fails("jamf", fault.Conflict)}, []string{"jamf subject-ambiguous WARNING"}},
		{"defect", []device.Outcome{failed("jamf", errors.New("nil pointer"))}, []string{"jamf internal-error ERROR"}},
		{"malformed request", []device.Outcome{fails("jamf", fault.Invalid)}, nil},
		{"called off", []device.Outcome{failed("jamf", fmt.Errorf("get: %w", context.Canceled))}, nil},
		{"called off by way of a plugin", []device.Outcome{failed("jamf", &fault.Error{Kind: fault.Unavailable, Err: context.Canceled})}, nil},
		{"our own limit", []device.Outcome{failed("jamf", fmt.Errorf("get: %w", context.DeadlineExceeded))}, []string{"jamf source-timeout ERROR"}},
		{"unknown to all", []device.Outcome{fails("jamf", fault.NotFound), ok("google")}, []string{"jamf subject-not-found WARNING"}},
		{"unknown to those who answered", []device.Outcome{fails("jamf", fault.NotFound), fails("google", fault.Timeout)}, []string{"google source-timeout ERROR"}},
		{"one reason in several things asked", []device.Outcome{fails("jamf", fault.Timeout), fails("jamf", fault.Timeout)}, []string{"jamf source-timeout ERROR"}},
		{"several reasons", []device.Outcome{fails("jamf", fault.Timeout), fails("jamf", fault.BadResponse)}, []string{"jamf source-timeout ERROR", "jamf source-bad-response ERROR"}},
		{"several sources", []device.Outcome{fails("jamf", fault.Timeout), ok("bitfit"), fails("google", fault.Timeout)}, []string{"jamf source-timeout ERROR", "google source-timeout ERROR"}},
		{"read back from a document", []device.Outcome{readBack}, []string{"jamf source-rate-limited WARNING"}},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var got []string
			for _, e := range adminevent.FromOutcomes(adminevent.Device("C02XG2JHJGH5"), tt.outcomes, adminevent.Context{}) {
				got = append(got, e.Source+" "+e.Code+" "+e.Level.Word())
				if e.Message == "" || e.Hint == "" || e.Resource.Type != adminevent.ResourceDevice {
					t.Errorf("incomplete: %+v", e)
				}
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// Every kind of failure has been thought of.
func TestFromOutcomes_EveryKind(t *testing.T) {
	t.Parallel()
	for _, k := range fault.Kinds() {
		events := adminevent.FromOutcomes(adminevent.User("ada@example.com"), []device.Outcome{failed("jamf", fault.New(k, "why"))}, adminevent.Context{})
		if (len(events) == 0) != (k == fault.Invalid) {
			t.Errorf("%s: %+v", k, events)
		}
		for _, e := range events {
			if k != fault.Internal && e.Code == adminevent.CodeInternalError {
				t.Errorf("%s is nobody's fault but ours", k)
			}
		}
	}
}

func TestHintFor(t *testing.T) {
	t.Parallel()
	specific := adminevent.HintFor(adminevent.DomainChecks, adminevent.ResourceUser, adminevent.CodeSourceTimeout)
	for _, key := range [][3]string{
		{"Posture Checks", "User", "nobody-knows"}, {"Posture Checks", "Nothing", ""}, {"Data Sources", "", "nobody-knows"}, {"", "", ""}, {"x", "y", "z"},
	} {
		if hint := adminevent.HintFor(key[0], key[1], key[2]); !strings.HasPrefix(hint, "- ") || hint == specific {
			t.Errorf("%q: %q", key, hint)
		}
	}
	if other := adminevent.HintFor("x", "y", adminevent.CodeSourceTimeout); other != specific {
		t.Errorf("a known code elsewhere: %q", other)
	}
}

func TestFingerprint(t *testing.T) {
	t.Parallel()
	base := slow(1)
	same := base
	same.Level, same.Message, same.Hint, same.LastActor, same.RequestID, same.Trigger = adminevent.LevelWarning, "request 77 failed", "x", "eve", "R2", "web"
	same.Operation, same.NumOccurrences, same.AffectedCount, same.Resource.Name = "rescan", 9, 9, "Another Name"
	if adminevent.Fingerprint(base) != adminevent.Fingerprint(same) {
		t.Error("what changes from one occurrence to the next changes the identity")
	}
	if got, want := adminevent.Fingerprint(base), "82af1e90-8703-5233-96f8-8e1830e2f97c"; got != want {
		t.Errorf("fingerprint %s, want %s: rows that are stored would be split", got, want)
	}
	seen := map[string]string{adminevent.Fingerprint(base): "base"}
	for name, change := range map[string]func(*adminevent.Event){
		"domain":        func(e *adminevent.Event) { e.Domain = "x" },
		"type":          func(e *adminevent.Event) { e.Type = adminevent.TypeLogMessage },
		"code":          func(e *adminevent.Event) { e.Code = "x" },
		"resource type": func(e *adminevent.Event) { e.Resource.Type = "x" },
		"resource":      func(e *adminevent.Event) { e.Resource.ID = "x" },
		"source":        func(e *adminevent.Event) { e.Source = "x" },
		"ad hoc":        func(e *adminevent.Event) { e.AdHoc = false },
		"cut elsewhere": func(e *adminevent.Event) { e.Domain, e.Code = e.Domain+e.Code[:1], e.Code[1:] },
		"with commas":   func(e *adminevent.Event) { e.Resource.ID, e.Source = "p1@example.com,jamf", "" },
	} {
		e := base
		change(&e)
		key := adminevent.Fingerprint(e)
		if other, taken := seen[key]; taken {
			t.Errorf("%s has the identity of %s", name, other)
		}
		seen[key] = name
	}
	named := base
	named.Resource = adminevent.Resource{Type: "User", Name: "P1@Example.com"}
	if adminevent.Fingerprint(named) != adminevent.Fingerprint(base) {
		t.Error("a resource that is only named is another in another case")
	}
}
