package google_test

import (
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	simulator "github.com/postureproject/posture/internal/simulator/google"
	"github.com/postureproject/posture/plugins/google"
)

func TestEventsByEmail_golden(t *testing.T) {
	t.Parallel()
	b := setup(t, simulator.Options{LoginDays: 5})
	events, err := b.open(t, nil).EventsByEmail(t.Context(), ada)
	if err != nil {
		t.Fatal(err)
	}
	golden(t, "testdata/events.golden.json", events)
}

func TestEventsByEmail_newestFirstAndBounded(t *testing.T) {
	t.Parallel()
	b := setup(t, simulator.Options{LoginDays: 400, PageSize: 90})
	events, err := b.open(t, nil).EventsByEmail(t.Context(), ada)
	if err != nil {
		t.Fatal(err)
	}
	if len(events) != 500 {
		t.Errorf("%d events, want 500", len(events))
	}
	if !slices.IsSortedFunc(events, func(a, b device.Event) int { return b.Timestamp.Compare(a.Timestamp) }) {
		t.Error("not newest first")
	}
	if n := b.sim.Faults.RequestsTo(loginPath); n != 6 {
		t.Errorf("%d requests, want the 6 pages that hold 500", n)
	}
	successes := 0
	for _, e := range events {
		if *e.Success {
			successes++
		} else if e.Reason == "" {
			t.Errorf("a failure without a reason: %v", e)
		}
	}
	if successes == 0 || successes == len(events) {
		t.Errorf("%d of %d succeeded; want both kinds", successes, len(events))
	}
}

func TestEventsByEmail_unknownPersonHasNone(t *testing.T) {
	t.Parallel()
	b := setup(t, simulator.Options{})
	events, err := b.open(t, nil).EventsByEmail(t.Context(), "nobody@example.com")
	if err != nil || len(events) != 0 {
		t.Errorf("got %v, %v; want nothing", events, err)
	}
}

// "all" is everybody at Google: it must never get there.
func TestEventsByEmail_addressesOnly(t *testing.T) {
	t.Parallel()
	b := setup(t, simulator.Options{})
	client := b.open(t, nil)
	for _, key := range []string{"all", "1000000", "", "../all"} {
		if events, err := client.EventsByEmail(t.Context(), key); fault.KindOf(err) != fault.Invalid || len(events) > 0 {
			t.Errorf("%q: %d events, error %v; want Invalid", key, len(events), err)
		}
	}
	if n := b.sim.Faults.Requests(); n != 0 {
		t.Errorf("%d requests", n)
	}
}

func TestEventsByEmail_addressIsEscaped(t *testing.T) {
	t.Parallel()
	paths := make(chan string, 1)
	b := answers(t, map[string]http.HandlerFunc{"/admin/reports/": func(w http.ResponseWriter, r *http.Request) {
		paths <- r.URL.EscapedPath()
		_, _ = w.Write([]byte(`{}`))
	}})
	if _, err := b.open(t, nil).EventsByEmail(t.Context(), "a/../b?x#y%z@example.com"); err != nil {
		t.Fatal(err)
	}
	if got := <-paths; !strings.Contains(got, "/users/a%2F..%2Fb%3Fx%23y%25z@example.com/applications/login") {
		t.Errorf("path %s", got)
	}
}

func TestMapActivity(t *testing.T) {
	t.Parallel()
	const head = `{"id":{"time":"2026-05-01T10:00:00.5Z"},"ipAddress":"2001:db8::1","actor":{"email":"ada@example.com"},"events":`
	event := device.Event{IPAddress: "2001:db8::1", Email: "ada@example.com", Timestamp: time.Date(2026, 5, 1, 10, 0, 0, 5e8, time.UTC)}
	for _, tt := range []struct {
		name, raw string
		want      func(device.Event) []device.Event
	}{
		{"success", head + `[{"name":"login_success","parameters":[{"name":"login_type","value":"saml"}]}]}`, func(e device.Event) []device.Event {
			e.Type, e.Success, e.Details = "saml", device.Bool(true), map[string]string{"login_type": "saml", "event_name": "login_success"}
			return []device.Event{e}
		}},
		{"failure", head + `[{"name":"login_failure","parameters":[{"name":"login_type","value":"exchange"},{"name":"login_failure_type","value":"bad"}]}]}`, func(e device.Event) []device.Event {
			e.Type, e.Success, e.Reason = "exchange", device.Bool(false), "bad"
			e.Details = map[string]string{"login_type": "exchange", "login_failure_type": "bad", "event_name": "login_failure"}
			return []device.Event{e}
		}},
		{"logout", head + `[{"name":"logout","parameters":[{"name":"login_type","value":"saml"}]}]}`, func(e device.Event) []device.Event {
			e.Type, e.Success, e.Details = "logout", device.Bool(true), map[string]string{"login_type": "saml", "event_name": "logout"}
			return []device.Event{e}
		}},
		{"no parameters", head + `[{"name":"login_success"}]}`, func(e device.Event) []device.Event {
			e.Type, e.Success, e.Details = "login_success", device.Bool(true), map[string]string{"event_name": "login_success"}
			return []device.Event{e}
		}},
		{"others say nothing of success", head + `[{"name":"2sv_disable"}]}`, func(e device.Event) []device.Event {
			e.Type, e.Details = "2sv_disable", map[string]string{"event_name": "2sv_disable"}
			return []device.Event{e}
		}},
		{
			"kinds of values", head + `[{"name":"login_challenge","parameters":[
			{"name":"a","multiValue":["x",null,"y"]},{"name":"b","boolValue":false},{"name":"c","intValue":"7"},{"name":"d","multiIntValue":["1",2]},
			{"name":"e","messageValue":{"parameter":[ {"name":"k","value":"v"} ]}},{"name":"f","value":null},{"name":null,"value":"z"},null,3,{"name":"g","value":"<b>"}]}]}`,
			func(e device.Event) []device.Event {
				e.Type, e.Details = "login_challenge", map[string]string{
					"a": "x, y", "b": "false", "c": "7", "d": "1, 2", "e": `{"parameter":[{"name":"k","value":"v"}]}`, "g": "<b>", "event_name": "login_challenge",
				}
				return []device.Event{e}
			},
		},
		{"several events, one odd", head + `[null,{"name":"logout"},5,{"name":"login_success"}]}`, func(e device.Event) []device.Event {
			out, in := e, e
			out.Type, out.Success, out.Details = "logout", device.Bool(true), map[string]string{"event_name": "logout"}
			in.Type, in.Success, in.Details = "login_success", device.Bool(true), map[string]string{"event_name": "login_success"}
			return []device.Event{out, in}
		}},
		{"nothing known", `{"id":null,"actor":null,"ipAddress":null,"events":[{"name":null,"parameters":null}]}`, func(device.Event) []device.Event {
			return []device.Event{{Email: "asked@example.com", Details: map[string]string{}}}
		}},
		{"odd time", `{"id":{"time":"now"},"events":{"name":"logout"}}`, func(device.Event) []device.Event {
			return []device.Event{{Email: "asked@example.com", Type: "logout", Success: device.Bool(true), Details: map[string]string{"event_name": "logout"}}}
		}},
		{"no events", head + `null}`, func(device.Event) []device.Event { return []device.Event{} }},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want(event), google.MapActivity([]byte(tt.raw), "asked@example.com")); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestEventsByEmail_oddActivitiesCostOnlyThemselves(t *testing.T) {
	t.Parallel()
	b := answers(t, map[string]http.HandlerFunc{loginPath: says(fmt.Sprintf(`{"items":[null,[],"x",%s]}`, `{"events":[{"name":"login_success"}]}`))})
	events, err := b.open(t, nil).EventsByEmail(t.Context(), ada)
	if err != nil || len(events) != 1 {
		t.Errorf("%d events, error %v; want 1", len(events), err)
	}
}
