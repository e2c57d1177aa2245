package acceptance_test

import (
	"bytes"
	"encoding/json"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/host"
	"github.com/postureproject/posture/internal/simulator/simhttp"
	"github.com/postureproject/posture/internal/simulator/tds"
)

// trial is one misbehaviour of one source's vendor.
type trial struct {
	name string
	http simhttp.Fault
	tds  tds.Fault
	// kinds are the kinds of failure that may be told; none means that the
	// source must answer as if nothing had happened.
	kinds []string
	// part marks a failure that befalls only part of what the source reports.
	part bool
	// atLeast and atMost bound how long the whole scan may take; zero: any time.
	atLeast, atMost time.Duration
}

// httpTrials are what befalls every vendor that speaks HTTP.
func httpTrials(paths *regexp.Regexp) []trial {
	bad := []string{"bad_response"}
	return []trial{
		{name: "401", http: simhttp.Fault{Status: 401}, kinds: []string{"unauthenticated"}},
		{name: "403", http: simhttp.Fault{Path: paths, Status: 403}, kinds: []string{"forbidden", "unauthenticated"}},
		{name: "429", http: simhttp.Fault{Path: paths, Status: 429}, kinds: []string{"rate_limited"}},
		{name: "429 for two minutes", http: simhttp.Fault{Path: paths, Status: 429, RetryAfter: "120"}, kinds: []string{"rate_limited"}, atMost: 2 * time.Second},
		{name: "429 for a second", http: simhttp.Fault{Path: paths, Status: 429, RetryAfter: "1", Times: 1}, atLeast: 900 * time.Millisecond},
		{name: "500", http: simhttp.Fault{Path: paths, Status: 500}, kinds: []string{"unavailable"}},
		{name: "500 once", http: simhttp.Fault{Path: paths, Status: 500, Times: 1}},
		{name: "connection dropped once", http: simhttp.Fault{Path: paths, Drop: true, Times: 1}},
		{name: "connection dropped", http: simhttp.Fault{Path: paths, Drop: true}, kinds: []string{"unavailable"}},
		{name: "slow", http: simhttp.Fault{Path: paths, Latency: 100 * time.Millisecond}, atLeast: 100 * time.Millisecond},
		{name: "hangs", http: simhttp.Fault{Path: paths, Hang: true}, kinds: []string{"timeout"}, atLeast: time.Second},
		{name: "never ends", http: simhttp.Fault{Path: paths, Endless: true}, kinds: []string{"timeout", "bad_response"}},
		{name: "truncated", http: simhttp.Fault{Path: paths, Truncate: true}, kinds: bad},
		{name: "malformed", http: simhttp.Fault{Path: paths, Body: `{"data": [{`}, kinds: bad},
		{name: "a web page", http: simhttp.Fault{Path: paths, Body: "<html>log in first</html>"}, kinds: bad},
		{name: "absurdly large", http: simhttp.Fault{Path: paths, Huge: 70 << 20}, kinds: []string{"bad_response", "timeout"}},
	}
}

// TestFaults makes one source after the other misbehave while the host runs, and
// looks at the whole answer: the source's failure is told with its kind and what
// to do, what it would have reported reads unknown, and everything else is as if
// nothing had happened.
func TestFaults(t *testing.T) {
	t.Parallel()
	for source, paths := range map[string]string{
		"google": "^/admin/", "jamf": "^/JSSResource/", "bitfit": "/(users|assets)", "es_notifications": "_search",
	} {
		t.Run(source, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, 3)
			trials := httpTrials(regexp.MustCompile(paths))
			if source != "jamf" { // whose Classic API says so of people whom it does not know
				trials = append(trials, trial{name: "404", http: simhttp.Fault{Path: regexp.MustCompile(paths), Status: 404}, kinds: []string{"bad_response"}})
			}
			runTrials(t, s, source, trials)
		})
	}
	t.Run("landesk", func(t *testing.T) {
		t.Parallel()
		runTrials(t, newSite(t, 3), "landesk", tdsTrials())
	})
}

func tdsTrials() []trial {
	failure := func(number int32, class byte, message string) *tds.Error {
		return &tds.Error{Number: number, State: 1, Class: class, Message: message}
	}
	return []trial{
		{name: "no permission", tds: tds.Fault{Error: failure(229, 14, "The SELECT permission was denied on the object 'Computer'.")}, kinds: []string{"forbidden"}},
		{name: "no such table", tds: tds.Fault{Error: failure(208, 16, "Invalid object name 'Computer'.")}, kinds: []string{"bad_response", "invalid", "internal"}},
		{name: "deadlock once", tds: tds.Fault{Error: failure(1205, 13, "Transaction was deadlocked."), Times: 1}},
		{name: "connection dropped once", tds: tds.Fault{Drop: true, Times: 1}},
		{name: "connection dropped", tds: tds.Fault{Drop: true}, kinds: []string{"unavailable", "bad_response"}},
		{name: "slow", tds: tds.Fault{Latency: 50 * time.Millisecond}, atLeast: 50 * time.Millisecond},
		{name: "hangs", tds: tds.Fault{Hang: true}, kinds: []string{"timeout"}, atLeast: time.Second},
		{name: "deaf", tds: tds.Fault{Deaf: true}, kinds: []string{"timeout"}, atLeast: time.Second},
		{name: "never ends", tds: tds.Fault{Endless: true}, kinds: []string{"timeout", "bad_response"}},
		{name: "garbage", tds: tds.Fault{Garbage: []byte("HTTP/1.1 400 Bad Request\r\n\r\n")}, kinds: []string{"unavailable", "bad_response"}},
		{name: "breaks off", tds: tds.Fault{FailAfter: 1, Match: regexp.MustCompile(`(?i)AppSoftwareSuites`)}, kinds: []string{"unavailable", "bad_response"}, part: true},
	}
}

func runTrials(t *testing.T, s *site, source string, trials []trial) {
	t.Helper()
	s.set(source, "TIMEOUT", "2s")
	s.write(t, nil)
	h := s.open(t)
	baseline := s.ask(t, h)
	for _, o := range baseline.Sources {
		if !o.OK {
			t.Fatalf("before any fault: %+v", o)
		}
	}
	for _, tt := range trials {
		t.Run(tt.name, func(t *testing.T) {
			s.misbehave(source, tt)
			began := time.Now()
			got := s.ask(t, h)
			took := time.Since(began)
			s.behave(source)
			switch {
			case took < tt.atLeast:
				t.Errorf("the scan took %v: the fault did not bite", took)
			case tt.atMost > 0 && took > tt.atMost:
				t.Errorf("the scan took %v, want at most %v", took, tt.atMost)
			case took > 10*time.Second:
				t.Errorf("the scan took %v", took)
			}
			if len(tt.kinds) == 0 {
				if diff := cmp.Diff(comparable(t, baseline), comparable(t, got)); diff != "" {
					t.Errorf("the answer is another one (-before +now):\n%s", diff)
				}
				return
			}
			checkFailure(t, got, source, tt.kinds)
			if !tt.part {
				checkLost(t, got, source)
			}
			checkOthers(t, baseline, got, source)
		})
	}
	t.Run("afterwards all is well", func(t *testing.T) {
		if diff := cmp.Diff(comparable(t, baseline), comparable(t, s.ask(t, h))); diff != "" {
			t.Errorf("the answer is another one (-before +now):\n%s", diff)
		}
		for _, status := range h.Status() {
			if status.Restarts > 0 {
				t.Errorf("%s had to be started again %d times: %s", status.Name, status.Restarts, status.LastError)
			}
		}
	})
}

func (s *site) misbehave(source string, tt trial) {
	if faults := s.Faults(source); faults != nil {
		faults.Add(tt.http)
		return
	}
	s.Landesk.Faults.Add(tt.tds)
}

func (s *site) behave(source string) {
	if faults := s.Faults(source); faults != nil {
		faults.Clear()
		return
	}
	s.Landesk.Faults.Clear()
}

// checkFailure looks at what a user is told about a source that failed.
func checkFailure(t *testing.T, a device.Posture, source string, kinds []string) {
	t.Helper()
	outcomes := outcomesOf(a, source)
	if len(outcomes) == 0 {
		t.Fatalf("%s is not among the outcomes", source)
	}
	for _, o := range outcomes {
		if o.OK || o.Error == nil || !slices.Contains(kinds, o.Kind) {
			t.Errorf("outcome %+v, want a failure of kind %v", o, kinds)
			continue
		}
		if !strings.Contains(*o.Error, source) || o.Remedy == "" {
			t.Errorf("the error does not name its source, or there is no advice: %q, %q", *o.Error, o.Remedy)
		}
	}
}

// checkLost looks at the practices that only the failed source reports.
func checkLost(t *testing.T, a device.Posture, source string) {
	t.Helper()
	for _, d := range a.Devices {
		for _, key := range lostPractices(source, d) {
			if p := d.Practices[key]; p.Status != device.Unknown || !strings.Contains(p.Details, source+" could not be asked") {
				t.Errorf("%s of %s is %q (%s), want unknown with the reason", key, d.Name, p.Status, p.Details)
			}
		}
	}
}

// lostPractices names practices of a device that nobody but a source reports.
func lostPractices(source string, d device.Device) []string {
	switch {
	case source == "jamf" && d.Platform == "Mac", source == "landesk" && d.Platform == "Windows":
		return []string{"encryption", "firewall", "screenlock", "autoupdate"}
	default:
		return nil
	}
}

// checkOthers compares everything that does not hang on a source with the answer
// that was given before the source failed.
func checkOthers(t *testing.T, before, now device.Posture, source string) {
	t.Helper()
	others := func(a device.Posture) []device.Outcome {
		return slices.DeleteFunc(slices.Clone(a.Sources), func(o device.Outcome) bool { return o.Plugin == source })
	}
	if diff := cmp.Diff(comparable(t, others(before)), comparable(t, others(now))); diff != "" {
		t.Errorf("other sources' outcomes differ (-before +now):\n%s", diff)
	}
	for _, want := range before.Devices {
		if slices.Equal(want.Sources, []string{source}) {
			continue // nobody else knows it
		}
		sources := slices.DeleteFunc(slices.Clone(want.Sources), func(s string) bool { return s == source })
		i := slices.IndexFunc(now.Devices, func(d device.Device) bool {
			return strings.EqualFold(d.Identifiers.Serial, want.Identifiers.Serial)
		})
		if i < 0 {
			t.Errorf("%s (%s) of %v is lost", want.Name, want.Identifiers.Serial, want.Sources)
			continue
		}
		have := slices.DeleteFunc(slices.Clone(now.Devices[i].Sources), func(s string) bool { return s == source })
		if diff := cmp.Diff(sources, have); diff != "" {
			t.Errorf("%s: sources (-want +got):\n%s", want.Name, diff)
		}
	}
	keep := func(events []device.Event) []device.Event {
		return slices.DeleteFunc(slices.Clone(events), func(e device.Event) bool { return e.Source == source })
	}
	if diff := cmp.Diff(keep(before.Events), keep(now.Events)); diff != "" {
		t.Errorf("other sources' events differ (-before +now):\n%s", diff)
	}
}

// rewriteValues makes a fault that changes every text in a JSON answer.
func rewriteValues(f func(key string, v any) any) func([]byte) []byte {
	return func(body []byte) []byte {
		var v any
		dec := json.NewDecoder(bytes.NewReader(body))
		dec.UseNumber()
		if dec.Decode(&v) != nil {
			return body
		}
		out, err := json.Marshal(walk(v, f))
		if err != nil {
			return body
		}
		return out
	}
}

// TestOddAnswers lets vendors answer in good form with odd contents. No answer
// may end a plugin or cost another source's records, and a single odd field does
// not cost a device.
func TestOddAnswers(t *testing.T) {
	t.Parallel()
	mac := regexp.MustCompile(`(?i)^([0-9a-f]{2}[:-]?){5}[0-9a-f]{2}$`)
	moment := regexp.MustCompile(`^\d{4}-\d\d-\d\d([T ]\d\d:\d\d.*)?$`)
	version := regexp.MustCompile(`^\d+\.\d+(\.\d+)*$`)
	leaf := func(f func(any) any) func(string, any) any {
		return func(_ string, v any) any {
			switch v.(type) {
			case map[string]any, []any:
				return v
			}
			return f(v)
		}
	}
	text := func(re *regexp.Regexp, odd string) func(string, any) any {
		return leaf(func(v any) any {
			if s, ok := v.(string); ok && re.MatchString(s) {
				return odd
			}
			return v
		})
	}
	rewrites := []struct {
		name     string
		f        func(string, any) any
		complete bool // every device of the source must be there
	}{
		{"null in every field", leaf(func(any) any { return nil }), false},
		{"numbers for texts", leaf(func(any) any { return json.Number("7") }), false},
		{"texts for everything", leaf(func(any) any { return "x" }), false},
		{"lists for fields", leaf(func(v any) any { return []any{v} }), false},
		{"objects for fields", leaf(func(v any) any { return map[string]any{"value": v} }), false},
		{"invalid MAC addresses", text(mac, "no:ma:ca:dd:re:ss"), true},
		{"invalid times", text(moment, "the day before yesterday"), true},
		{"invalid versions", text(version, "one point two"), true},
	}
	for source, paths := range map[string]string{
		"google": "^/admin/directory", "jamf": "^/JSSResource/computers", "bitfit": "/assets/", "es_notifications": "_search",
	} {
		t.Run(source, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, 3)
			s.write(t, nil)
			h := s.open(t)
			before := s.ask(t, h)
			for _, r := range rewrites {
				t.Run(r.name, func(t *testing.T) {
					s.Faults(source).Add(simhttp.Fault{Path: regexp.MustCompile(paths), Rewrite: rewriteValues(r.f)})
					now := s.ask(t, h)
					s.Faults(source).Clear()
					checkOthers(t, before, now, source)
					checkOdd(t, before, now, source, r.complete)
				})
			}
			checkNoRestart(t, h)
		})
	}
}

func checkNoRestart(t *testing.T, h *host.Host) {
	t.Helper()
	for _, status := range h.Status() {
		if status.Restarts > 0 || status.State != "ready" {
			t.Errorf("%s is %s after %d restarts: %s", status.Name, status.State, status.Restarts, status.LastError)
		}
	}
}

// checkOdd looks at what a source made of odd answers: all of its devices, or as
// good an answer as could be, or an error that says what is wrong.
func checkOdd(t *testing.T, before, now device.Posture, source string, complete bool) {
	t.Helper()
	for _, o := range outcomesOf(now, source) {
		if !o.OK && (complete || o.Kind != "bad_response" || !strings.Contains(*o.Error, source)) {
			t.Errorf("outcome %+v", o)
		}
	}
	if !complete {
		return
	}
	count := func(a device.Posture) (n int) {
		for _, d := range a.Devices {
			if slices.Contains(d.Sources, source) {
				n++
			}
		}
		return n
	}
	if count(now) != count(before) {
		t.Errorf("%d devices of %s, want %d", count(now), source, count(before))
	}
}
