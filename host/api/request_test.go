package api_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/host/auth"
	"github.com/postureproject/posture/host/scan"
)

// Malformed addresses, serials and MACs are 400 and name the field, and no
// source hears of them.
func TestInvalid(t *testing.T) {
	t.Parallel()
	tests := []struct{ path, field string }{
		{"/api/v1/posture/ada", "email"},
		{"/api/v1/posture/ada@", "email"},
		{"/api/v1/posture/@example.com", "email"},
		{"/api/v1/posture/ada@@example.com", "email"},
		{"/api/v1/posture/Ada%20%3Cada@example.com%3E", "email"},
		{"/api/v1/posture/%22ada%22@example.com", "email"},
		{"/api/v1/posture/ada@example.com%0a", "email"},
		{"/api/v1/posture/ada%2540example.com", "email"},
		{"/api/v1/posture/" + strings.Repeat("é", 200) + "@example.com", "email"},
		{"/api/v1/devices/merged/ada", "email"},
		{"/api/v1/devices/email/ada", "email"},
		{"/api/v1/devices/jamf/email/ada", "email"},
		{"/api/v1/events/merged/ada", "email"},
		{"/api/v1/account/jamf/email/ada", "email"},
		{"/api/v1/devices/serial/%20", "serial"},
		{"/api/v1/devices/serial/a%0ab", "serial"},
		{"/api/v1/devices/serial/" + strings.Repeat("x", 129), "serial"},
		{"/api/v1/devices/jamf/serial/%7f", "serial"},
		{"/api/v1/devices/macaddr/00:1B:63:84:45", "mac"},
		{"/api/v1/devices/macaddr/00:1B:63:84:45:E6:", "mac"},
		{"/api/v1/devices/macaddr/001B:63844:5E6", "mac"},
		{"/api/v1/devices/jamf/macaddr/" + strings.Repeat("ö", 1000), "mac"},
	}
	s := serve(t, locked(), offering("jamf", source{asked: func(context.Context) { t.Error("a source was asked") }}))
	for _, tt := range tests {
		w := s.do(t, "GET", tt.path, auth.Everyone, "")
		if w.Code != 400 {
			t.Errorf("%s: %d", tt.path, w.Code)
			continue
		}
		f := failureIn(t, w)
		if f.Error.Field != tt.field || f.Error.Code != "invalid" || f.Error.Remedy == "" {
			t.Errorf("%s: %+v", tt.path, f)
		}
		if len(f.Error.Message) > 300 {
			t.Errorf("%s: the message repeats %d bytes", tt.path, len(f.Error.Message))
		}
	}
}

// keys notes what it is asked for.
type keys struct {
	source
	serial string
	mac    device.MAC
}

func (k *keys) DevicesByKeys(_ context.Context, serials []string, macs []device.MAC) ([]device.Device, error) {
	for _, k.serial = range serials {
	}
	for _, k.mac = range macs {
	}
	return nil, nil
}

func TestKeys_Canonical(t *testing.T) {
	t.Parallel()
	for _, written := range []string{mac, "001b638445e6", "00-1b-63-84-45-e6", "001b.6384.45e6"} {
		asked := &keys{}
		s := serve(t, locked(), scan.Source{Name: "jamf", Ask: asked, BySerial: true, ByMAC: true})
		s.do(t, "GET", "/api/v1/devices/macaddr/"+written, auth.Everyone, "")
		s.do(t, "GET", "/api/v1/devices/jamf/serial/"+url.PathEscape(" a/b "), auth.Everyone, "")
		if asked.mac != mac || asked.serial != "a/b" {
			t.Errorf("%s: asked for %q and %q", written, asked.mac, asked.serial)
		}
		if !strings.Contains(s.log.String(), `"what":"view_any","whom":"`+mac+`"`) {
			t.Errorf("the access log does not say what was asked for: %s", s.log)
		}
	}
}

// An answer without records never hides that nobody could be asked.
func TestLists_AllFailed(t *testing.T) {
	t.Parallel()
	failing := func(kind fault.Kind) source {
		return source{err: &fault.Error{Kind: kind, Source: "jamf", Message: "the secret reason", Remedy: "do that"}}
	}
	owner := func(s source) scan.Source {
		return scan.Source{Name: "bitfit", Ask: s, ByEmail: true, Ownership: true}
	}
	partial := full("google")
	partial.err = errors.New("half")
	drop := scan.Stage[scan.DeviceStage]{Name: "drop", External: true, Apply: dropAll{}}
	const merged = "/api/v1/devices/merged/" + ada
	tests := []struct {
		name, path string
		sources    []scan.Source
		stages     []scan.Stage[scan.DeviceStage]
		want       int
	}{
		{"unavailable", merged, []scan.Source{offering("jamf", failing(fault.Unavailable))}, nil, 503},
		{"rate limited", merged, []scan.Source{offering("jamf", failing(fault.RateLimited))}, nil, 503},
		{"timeout", merged, []scan.Source{offering("jamf", failing(fault.Timeout))}, nil, 504},
		{"bad response", merged, []scan.Source{offering("jamf", failing(fault.BadResponse))}, nil, 502},
		{"refused by the source", merged, []scan.Source{offering("jamf", failing(fault.Unauthenticated))}, nil, 502},
		{"forbidden by the source", merged, []scan.Source{offering("jamf", failing(fault.Forbidden))}, nil, 502},
		{"defect of the source", merged, []scan.Source{offering("jamf", failing(fault.Internal))}, nil, 502},
		{"both", merged, []scan.Source{offering("jamf", failing(fault.Timeout)), offering("google", failing(fault.Unavailable))}, nil, 504},
		{"one of two", merged, []scan.Source{offering("jamf", failing(fault.Timeout)), offering("google", source{})}, nil, 200},
		{"only ownership answered", merged, []scan.Source{owner(source{}), offering("jamf", failing(fault.Timeout))}, nil, 504},
		{"only ownership failed", merged, []scan.Source{owner(failing(fault.Timeout)), offering("jamf", source{})}, nil, 200},
		{"records beside a failure", merged, []scan.Source{offering("google", partial)}, nil, 200},
		{"records beside a failure all dropped", merged, []scan.Source{offering("google", partial)}, []scan.Stage[scan.DeviceStage]{drop}, 502},
		{"no source", merged, nil, nil, 200},
		{"never started", merged, []scan.Source{{Name: "x", Down: fault.New(fault.Unavailable, "no file")}}, nil, 503},
		{"by serial", "/api/v1/devices/serial/x", []scan.Source{offering("jamf", failing(fault.Timeout))}, nil, 504},
		{"of one", "/api/v1/devices/jamf/serial/x", []scan.Source{offering("jamf", failing(fault.Timeout))}, nil, 504},
		{"of one that never started", "/api/v1/devices/x/serial/x", []scan.Source{{Name: "x", Down: fault.New(fault.Unavailable, "no file")}}, nil, 503},
		{"events", "/api/v1/events/merged/" + ada, []scan.Source{offering("jamf", failing(fault.Timeout))}, nil, 504},
		{"events of one", "/api/v1/events/jamf/email/" + ada, []scan.Source{offering("jamf", failing(fault.Timeout))}, nil, 504},
		{"accounts", "/api/v1/accounts/merged/" + ada, []scan.Source{offering("jamf", failing(fault.Timeout))}, nil, 504},
		{"notifications", "/api/v1/notifications/merged/" + ada, []scan.Source{offering("jamf", failing(fault.Timeout))}, nil, 504},
		{"the whole answer", "/api/v1/posture/" + ada, []scan.Source{offering("jamf", failing(fault.Timeout))}, nil, 200},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, locked(), tt.sources...)
			s.pipeline.DeviceStages = tt.stages
			w := s.do(t, "GET", tt.path, auth.Everyone, "")
			if w.Code != tt.want {
				t.Fatalf("%d, want %d: %s", w.Code, tt.want, w.Body)
			}
			if tt.want != 200 {
				failureIn(t, w)
			}
			if !strings.Contains(tt.path, "/posture/") && w.Header().Get("Posture-Sources") == "" {
				t.Error("no Posture-Sources")
			}
		})
	}
}

type dropAll struct{}

func (dropAll) TransformDevices(context.Context, []device.Device) ([]device.Device, error) {
	return nil, nil
}

// Empty lists are lists.
func TestLists_Empty(t *testing.T) {
	t.Parallel()
	s := serve(t, locked(), offering("jamf", source{}))
	for _, path := range []string{
		"/devices/merged/" + ada, "/devices/staged/" + ada, "/devices/email/" + ada, "/devices/serial/x", "/devices/jamf/email/" + ada,
		"/events/merged/" + ada, "/accounts/merged/" + ada, "/notifications/merged/" + ada,
	} {
		if w := s.do(t, "GET", "/api/v1"+path, auth.Everyone, ""); w.Body.String() != "[]\n" {
			t.Errorf("%s: %d %s", path, w.Code, w.Body)
		}
	}
}

// The header is one line of ASCII however odd the failure, and says the same.
func TestSourcesHeader(t *testing.T) {
	t.Parallel()
	odd := "“quoted”\r\nSet-Cookie: x=y\x7f \U0001F512 " + strings.Repeat("é", 300)
	s := serve(t, locked(), offering("jamf", source{}), offering("google", source{err: &fault.Error{Kind: fault.BadResponse, Message: odd, Remedy: "remedy"}}))
	w := s.do(t, "GET", "/api/v1/devices/merged/"+ada, auth.Everyone, "")
	header := w.Header().Get("Posture-Sources")
	for _, c := range []byte(header) {
		if c < ' ' || c > '~' {
			t.Fatalf("the header holds the byte %#x: %s", c, header)
		}
	}
	var got []device.Outcome
	if err := json.Unmarshal([]byte(header), &got); err != nil {
		t.Fatal(err)
	}
	if len(got) != 2 || !got[0].OK || got[0].Error != nil || got[1].OK || got[1].Error == nil || got[1].Remedy != "" || got[1].Kind != "bad_response" {
		t.Fatalf("header %s", header)
	}
	if text := *got[1].Error; !strings.HasPrefix(odd, strings.TrimSuffix(text, "…")) || len(text) > 170 || !strings.Contains(text, "\U0001F512") {
		t.Errorf("the failure reads %q", text)
	}
}

// The pipeline's failures of its own: which plugins there are.
func TestUnknownPlugin(t *testing.T) {
	t.Parallel()
	s := serve(t, locked(), scan.Source{Name: "duo", Ask: source{}, Events: true})
	for _, path := range []string{"/devices/duo/email/" + ada, "/devices/nope/serial/x", "/account/duo/email/" + ada, "/events/nope/email/" + ada, "/notifications/duo/email/" + ada} {
		w := s.do(t, "GET", "/api/v1"+path, auth.Everyone, "")
		if f := failureIn(t, w); w.Code != 404 || f.Error.Code != "not_found" || !strings.Contains(f.Error.Remedy, "duo") {
			t.Errorf("%s: %d %+v", path, w.Code, f)
		}
	}
	if w := s.do(t, "GET", "/api/v1/events/duo/email/"+ada, ada, ""); w.Code != 200 {
		t.Errorf("events of duo: %d", w.Code)
	}
}

// A defect on our side is told to the log, not to the asker.
func TestInternal(t *testing.T) {
	t.Parallel()
	broken := source{notifications: []device.Notification{{ID: "n1", Source: []byte("{no JSON")}}}
	s := serve(t, locked(), offering("jamf", broken))
	w := s.do(t, "GET", "/api/v1/notifications/merged/"+ada, ada, "")
	if f := failureIn(t, w); w.Code != 500 || f.Error.Code != "internal" || strings.Contains(w.Body.String(), "encode") {
		t.Errorf("%d %s", w.Code, w.Body)
	}
	if !strings.Contains(s.log.String(), "encode the answer") {
		t.Errorf("the log does not tell why: %s", s.log)
	}
}

// Scans beyond the limit wait; those that waited too long are sent away.
func TestScans_Bounded(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		var running, most atomic.Int32
		release := make(chan struct{})
		s := serve(t, locked(), offering("jamf", source{asked: func(context.Context) {
			if n := running.Add(1); n > most.Load() {
				most.Store(n)
			}
			<-release
			running.Add(-1)
		}}))
		var group sync.WaitGroup
		answers := make([]*httptest.ResponseRecorder, 6)
		for i := range answers {
			group.Go(func() { answers[i] = s.do(t, "GET", "/api/v1/events/merged/"+ada, ada, "") })
		}
		synctest.Wait()
		if w := s.do(t, "GET", "/api/v1/plugins", auth.Everyone, ""); w.Code != 200 {
			t.Errorf("what asks no source must not wait: %d", w.Code)
		}
		late := s.do(t, "GET", "/api/v1/events/merged/"+ada, ada, "") // waits its ten seconds
		close(release)
		group.Wait()
		if late.Code != 503 || late.Header().Get("Retry-After") != "10" {
			t.Errorf("beyond the limit: %d, Retry-After %q", late.Code, late.Header().Get("Retry-After"))
		}
		if got := most.Load(); got != 4 {
			t.Errorf("%d scans ran at once, want 4", got)
		}
		codes := map[int]int{}
		for _, w := range answers {
			codes[w.Code]++
		}
		if diff := cmp.Diff(map[int]int{200: 4, 503: 2}, codes); diff != "" {
			t.Errorf("answers (-want +got):\n%s", diff)
		}
	})
}

// Whose data was seen, and by whom, stands in the log.
func TestAccessLog(t *testing.T) {
	t.Parallel()
	s := serve(t, locked(), offering("jamf", source{}))
	s.do(t, "GET", "/api/v1/posture/"+ada, "root@example.com", "")
	s.do(t, "GET", "/api/v1/posture/"+ada, "eve@example.com", "")
	s.do(t, "POST", "/api/v1/feedback/jamf", auth.Everyone, `{"user_id":"`+ada+`","id":"n1","feedback":1}`)
	for _, want := range []string{
		`"who":"root@example.com","what":"view_person","whom":"` + ada + `"`,
		`"who":"eve@example.com","what":"view_person","whom":"` + ada + `"`,
		`"who":"*","what":"send_feedback","whom":"` + ada + `"`,
		`"status":403`,
	} {
		if !strings.Contains(s.log.String(), want) {
			t.Errorf("the log has no %s:\n%s", want, s.log)
		}
	}
}

// What is wrong with a body is said in JSON's words, not in those of the program.
func TestUnreadableBody(t *testing.T) {
	t.Parallel()
	s := serve(t, locked(), scan.Source{Name: "duo", Ask: source{}, Events: true})
	for body, want := range map[string]string{
		`{"id":7}`:         "id cannot be a JSON number",
		`[]`:               "it is a JSON array",
		``:                 "it is empty",
		`{"id":`:           "it breaks off",
		`{"identity":"n"}`: `unknown field "identity"`,
	} {
		w := s.do(t, "POST", "/api/v1/feedback/restful_feedback", auth.Everyone, body)
		f := failureIn(t, w)
		if w.Code != 400 || !strings.Contains(f.Error.Message, want) || strings.Contains(f.Error.Message, "Go ") {
			t.Errorf("%s: %d %q", body, w.Code, f.Error.Message)
		}
	}
}
