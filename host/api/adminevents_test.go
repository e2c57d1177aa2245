package api_test

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"net/url"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/adminevent"
	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/host/auth"
	"github.com/postureproject/posture/store"
)

// event is one that every service of these tests has.
func event() adminevent.Event {
	return adminevent.Event{
		Type: adminevent.TypeGeneric, Level: adminevent.LevelError, Domain: adminevent.DomainChecks, Resource: adminevent.User(ada),
		Code: adminevent.CodeSourceTimeout, Source: "jamf", Trigger: adminevent.TriggerAPI, Operation: "scan", AdHoc: true,
		Message: "too slow", Hint: "- wait", LastActor: "root@example.com", RequestID: "R1",
		NumOccurrences: 3, CreatedAt: now().Add(-time.Minute), LastOccurredAt: now(),
	}
}

const eventBatch = "the first"

func eventID() string { return adminevent.IDFor(event(), eventBatch) }

// eventRecorder makes a recorder of a store that holds one event.
func eventRecorder(t *testing.T) *adminevent.Recorder {
	t.Helper()
	// Not the test's context: it ends before what is opened here.
	s, err := store.Open(context.Background(), store.Options{DSN: "sqlite:" + filepath.Join(t.TempDir(), "posture.db"), Now: now})
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	b := adminevent.Batch{ID: eventBatch, At: now(), Window: time.Hour, Events: []adminevent.Event{event()}}
	if err := s.SaveAdminEvents(t.Context(), b); err != nil {
		t.Fatal(err)
	}
	return adminevent.New(adminevent.Options{Store: s, Now: now, WriteTimeout: time.Minute}) // however busy the machine is
}

// bodyFor gives a body that a route takes.
func bodyFor(pattern string) string {
	if strings.HasPrefix(pattern, "PUT ") {
		return `{"retentionDurationDays":4}`
	}
	return `{"user_id":"` + ada + `","id":"n1","feedback":"mine"}`
}

// answered decodes an answer that must be one.
func answered[T any](t *testing.T, w *httptest.ResponseRecorder) T {
	t.Helper()
	var v T
	if err := json.Unmarshal(w.Body.Bytes(), &v); err != nil || w.Code != http.StatusOK {
		t.Fatalf("%d %s: %v", w.Code, w.Body, err)
	}
	return v
}

type eventsAnswer struct{ Events []adminevent.Event }

func both(path string) []string { return []string{"/v1" + path, "/api/v1" + path} }

func TestAdminEvents_Shapes(t *testing.T) {
	t.Parallel()
	s := serve(t, locked())
	want := event()
	want.ID = eventID()
	for _, path := range both("/administration/events") {
		w := s.do(t, "GET", path, auth.Everyone, "")
		if diff := cmp.Diff([]adminevent.Event{want}, answered[eventsAnswer](t, w).Events); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
		for _, text := range []string{`"numOccurrences":3`, `"level":"ADMINISTRATION_EVENT_LEVEL_ERROR"`, `"lastOccurredAt":"2026-03-01T12:00:00Z"`, `"resource":{"type":"User","id":"ada@example.com"`} {
			if !strings.Contains(w.Body.String(), text) {
				t.Errorf("%s: %s lacks %s", path, w.Body, text)
			}
		}
	}
	for _, path := range both("/administration/events/" + eventID()) {
		got := answered[struct{ Event adminevent.Event }](t, s.do(t, "GET", path, auth.Everyone, "")).Event
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", path, diff)
		}
	}
	for _, path := range both("/count/administration/events?pagination.limit=1&pagination.offset=9") {
		if got := s.do(t, "GET", path, auth.Everyone, "").Body.String(); got != "{\"count\":1}\n" {
			t.Errorf("%s: %s", path, got)
		}
	}
	for _, path := range both("/administration/events?pagination.offset=9") {
		if got := s.do(t, "GET", path, auth.Everyone, "").Body.String(); got != "{\"events\":[]}\n" {
			t.Errorf("%s: %s", path, got)
		}
	}
}

// Errors have the shape that clients of the path expect, and tell the field.
func TestAdminEvents_Errors(t *testing.T) {
	t.Parallel()
	tests := []struct {
		path, subject string
		status, code  int
		name, field   string
	}{
		{"/administration/events", "", 401, 16, "unauthenticated", ""},
		{"/administration/events", ada, 403, 7, "forbidden", ""},
		{"/administration/events/" + eventID(), ada, 403, 7, "forbidden", ""},
		{"/count/administration/events", ada, 403, 7, "forbidden", ""},
		{"/count/administration/events", "", 401, 16, "unauthenticated", ""},
		{"/administration/events/5d1cbb0e-6f5f-4c0c-9a55-0d2c1c9d0c8f", auth.Everyone, 404, 5, "not_found", ""},
		{"/administration/events/nothing", auth.Everyone, 400, 3, "invalid", "id"},
		{"/administration/events?filter.level=FATAL", auth.Everyone, 400, 3, "invalid", "filter.level"},
		{"/administration/events?filter.type=X", auth.Everyone, 400, 3, "invalid", "filter.type"},
		{"/count/administration/events?level=FATAL", auth.Everyone, 400, 3, "invalid", "filter.level"},
		{"/administration/events?filter.from=yesterday", auth.Everyone, 400, 3, "invalid", "filter.from"},
		{"/administration/events?pagination.limit=-1", auth.Everyone, 400, 3, "invalid", "pagination.limit"},
		{"/administration/events?pagination.offset=x", auth.Everyone, 400, 3, "invalid", "pagination.offset"},
		{"/administration/events?pagination.sortOption.field=Message", auth.Everyone, 400, 3, "invalid", "pagination.sortOption.field"},
		{"/administration/events?pagination.sortOption.reversed=maybe", auth.Everyone, 400, 3, "invalid", "pagination.sortOption.reversed"},
		{"/administration/events?filter.adHoc=maybe", auth.Everyone, 400, 3, "invalid", "filter.adHoc"},
		{"/administration/events?filter.resourse=x", auth.Everyone, 400, 3, "invalid", "filter.resourse"},
		{"/administration/events?source=%00", auth.Everyone, 400, 3, "invalid", "filter.source"},
	}
	s := serve(t, locked())
	for _, tt := range tests {
		for _, path := range both(tt.path) {
			w := s.do(t, "GET", path, tt.subject, "")
			f := failureIn(t, w)
			if w.Code != tt.status {
				t.Errorf("%s: %d, want %d: %s", path, w.Code, tt.status, w.Body)
			}
			if strings.HasPrefix(path, "/v1/") {
				var got map[string]any
				_ = json.Unmarshal(w.Body.Bytes(), &got)
				if details, ok := got["details"].([]any); f.Code != tt.code || len(got) != 3 || !ok || len(details) != 0 {
					t.Errorf("%s: %s", path, w.Body)
				}
			} else if f.Error.Code != tt.name || f.Error.Field != tt.field {
				t.Errorf("%s: %s", path, w.Body)
			}
		}
	}
	s.recorder = nil
	for _, path := range both("/administration/events") {
		if w := s.do(t, "GET", path, auth.Everyone, ""); w.Code != http.StatusServiceUnavailable {
			t.Errorf("without a store: %d %s", w.Code, w.Body)
		}
	}
}

// A scan that failed is an event at once, by whatever name the parameters go.
func TestAdminEvents_Filters(t *testing.T) {
	t.Parallel()
	s := serve(t, locked())
	for i := range 3 {
		text := "refused"
		s.recorder.RecordPosture(t.Context(), device.Posture{Email: fmt.Sprintf("P%d@example.com", i), Sources: []device.Outcome{
			{Plugin: "google", Error: &text, Kind: fault.Unavailable.String()}, {Plugin: "jamf", OK: true},
		}}, adminevent.Context{Trigger: adminevent.TriggerCLI, AdHoc: i != 2})
	}
	tests := []struct {
		query string
		want  int
	}{
		{"", 4},
		{"filter.source=google", 3},
		{"source=google", 3},
		{"source=google&filter.source=jamf", 4},
		{"filter.source=google&filter.adHoc=false", 1},
		{"filter.resource_type=User&filter.level=ERROR&type=generic&domain=Posture+Checks", 4},
		{"filter.resourceType=Device", 0},
		{"filter.resourceName=p0@EXAMPLE.com&filter.resourceName=p1@example.com", 2},
		{"resourceId=p0@example.com", 1},
		{"code=source-unreachable&level=WARNING", 0},
		{"filter.until=2026-03-01T12:00:00Z", 4},
		{"filter.from=2026-03-01T12:00:00Z", 4},
		{"filter.from=2026-03-01T13:00:00%2B01:00&filter.until=2026-03-01T12:00:00Z", 4},
		{"filter.from=2026-03-01T12:00:00.000001Z", 0},
		{"filter.until=2026-03-01T11:59:59.999999Z", 0},
		{"filter.domain=", 4},
	}
	for _, tt := range tests {
		for _, prefix := range both("") {
			events := answered[eventsAnswer](t, s.do(t, "GET", prefix+"/administration/events?"+tt.query, auth.Everyone, "")).Events
			count := answered[struct{ Count int }](t, s.do(t, "GET", prefix+"/count/administration/events?"+tt.query, auth.Everyone, "")).Count
			if len(events) != tt.want || count != tt.want {
				t.Errorf("%s %s: %d listed, %d counted, want %d", prefix, tt.query, len(events), count, tt.want)
			}
		}
	}
	groups := answered[struct{ Groups []adminevent.Group }](t, s.do(t, "GET", "/api/v1/administration/events/summary?by=source&by=adHoc&source=google", auth.Everyone, "")).Groups
	if len(groups) != 2 || *groups[0].Source != "google" || !*groups[0].AdHoc || groups[0].Events != 2 || groups[0].NumOccurrences != 2 || groups[0].Code != nil {
		t.Errorf("summary: %+v", groups)
	}
	for _, bad := range []string{"by=message", "by=code,code", "by=code&nothing=1"} {
		if w := s.do(t, "GET", "/api/v1/administration/events/summary?"+bad, auth.Everyone, ""); w.Code != http.StatusBadRequest {
			t.Errorf("%s: %d", bad, w.Code)
		}
	}
}

// Pages hold 1000 events at most, whatever is asked for; order is kept over pages.
func TestAdminEvents_Pages(t *testing.T) {
	t.Parallel()
	s := serve(t, locked())
	s.recorder.RecordPosture(t.Context(), device.Posture{}, adminevent.Context{})
	var events []adminevent.Event
	for i := range 1005 {
		e := event()
		e.Resource, e.AdHoc, e.NumOccurrences = adminevent.User(fmt.Sprintf("p%d@example.com", i)), i%2 == 0, int64(i%10+1)
		events = append(events, e)
	}
	s.recorder.Record(t.Context(), events...)
	list := func(query string) []adminevent.Event {
		return answered[eventsAnswer](t, s.do(t, "GET", "/v1/administration/events?"+query, auth.Everyone, "")).Events
	}
	for query, want := range map[string]int{
		"": 1000, "pagination.limit=0": 1000, "pagination.limit=5000": 1000, "limit=7": 7,
		"pagination.offset=1000": 6, "pagination.offset=1006": 0, "offset=2000000000": 0,
	} {
		if got := len(list(query)); got != want {
			t.Errorf("%q: %d events, want %d", query, got, want)
		}
	}
	sorted := "pagination.sortOption.field=" + url.QueryEscape("Event Occurrence")
	up, down := list(sorted), list(sorted+"&pagination.sortOption.reversed=true")
	if up[0].NumOccurrences != 1 || down[0].NumOccurrences != 10 {
		t.Errorf("from %d up, from %d down", up[0].NumOccurrences, down[0].NumOccurrences)
	}
	first, second := list(sorted+"&limit=600"), list(sorted+"&limit=400&offset=600")
	if diff := cmp.Diff(up, append(first, second...)); diff != "" {
		t.Errorf("page by page (-whole +pages):\n%s", diff)
	}
}

func TestAdminEvents_Config(t *testing.T) {
	t.Parallel()
	const path = "/api/v1/config/administration-events"
	s := serve(t, locked())
	for _, tt := range []struct {
		body   string
		status int
		days   int // afterwards
	}{
		{``, 400, 4},
		{`{}`, 400, 4},
		{`[]`, 400, 4},
		{`{"retentionDurationDays":"7"}`, 400, 4},
		{`{"retentionDurationDays":7.5}`, 400, 4},
		{`{"retentionDurationDays":7}{}`, 400, 4},
		{`{"retentionDurationDays":7,"other":1}`, 400, 4},
		{`{"retentionDurationDays":0}`, 422, 4},
		{`{"retentionDurationDays":-1}`, 422, 4},
		{`{"retentionDurationDays":366}`, 422, 4},
		{`{"retentionDurationDays":7}`, 200, 7},
		{`{"retentionDurationDays":365}`, 200, 365},
		{`{"retentionDurationDays":1}`, 200, 1},
	} {
		w := s.do(t, "PUT", path, auth.Everyone, tt.body)
		if w.Code != tt.status {
			t.Errorf("%s: %d, want %d: %s", tt.body, w.Code, tt.status, w.Body)
		}
		if tt.status != 200 {
			failureIn(t, w)
		}
		want := fmt.Sprintf("{\"retentionDurationDays\":%d}\n", tt.days)
		if got := s.do(t, "GET", path, auth.Everyone, "").Body.String(); got != want {
			t.Errorf("after %s: %s", tt.body, got)
		}
	}
	if w := s.do(t, "PUT", path, ada, `{"retentionDurationDays":7}`); w.Code != 403 {
		t.Errorf("a person: %d", w.Code)
	}
}
