package sinktest

import (
	"bytes"
	"encoding/json"
	"maps"
	"net/http"
	"net/http/httptest"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/internal/simulator/simhttp"
	"github.com/postureproject/posture/plugins/sdk"
	"github.com/postureproject/posture/plugins/sdk/sdktest"
)

func kinds() []string {
	return []string{device.DeliverDevice, device.DeliverAccess, device.DeliverSummary, device.DeliverFeedback, device.DeliverFailure}
}

// description: the sink says what it is, as every plugin must.
func (s *suite) description(t *testing.T) {
	if !s.about.Has(sdk.CapDeliver) || !s.about.Has(sdk.CapTestConnectivity) || len(s.about.Accepts) == 0 {
		t.Fatalf("capabilities %v, accepts %v", s.about.Capabilities, s.about.Accepts)
	}
	for _, kind := range s.about.Accepts {
		if !slices.Contains(kinds(), kind) {
			t.Errorf("it accepts %q, which there is not", kind)
		}
	}
	sdktest.Conformance(t, s.Plugin, sdktest.Case{Settings: s.New(t).Settings})
}

func (s *suite) accepts(t *testing.T) {
	b := s.bench(t)
	var all []device.Delivery
	for _, kind := range s.about.Accepts {
		for n := range 5 {
			all = append(all, s.delivery(kind, n))
		}
	}
	if errs := b.deliver(all...); failed(errs) {
		t.Errorf("errors %v", errs)
	}
	b.stored(all...)
}

func (s *suite) otherKinds(t *testing.T) {
	b := s.bench(t)
	good := s.deliveries(1)[0]
	for _, kind := range append(kinds(), "no such kind", "") {
		if slices.Contains(s.about.Accepts, kind) {
			continue
		}
		odd := good
		odd.ID, odd.Kind = "odd", kind
		if errs := b.deliver(odd); !device.Refused(errs[0]) {
			t.Errorf("kind %q: %v", kind, errs[0])
		}
	}
	odd := good
	odd.ID, odd.Body = "broken", json.RawMessage(`{"half`)
	if errs := b.deliver(odd, good); !device.Refused(errs[0]) || errs[1] != nil {
		t.Errorf("a document that is no JSON, and a good one: %v", errs)
	}
	b.stored(good)
}

func (s *suite) eachForItself(t *testing.T) {
	b := s.bench(t)
	ds := s.deliveries(7)
	b.Refuse(ds[3].ID)
	errs := b.deliver(ds...)
	for i, err := range errs {
		if refused := i == 3; refused != device.Refused(err) || !refused && err != nil {
			t.Errorf("document %d: %v", i, err)
		}
	}
	if err := errs[3]; err != nil && !strings.Contains(err.Error(), ds[3].ID) {
		t.Errorf("the error does not name the document: %v", err)
	}
	b.stored(slices.Delete(slices.Clone(ds), 3, 4)...)
}

func (s *suite) repeated(t *testing.T) {
	b := s.bench(t)
	ds := s.deliveries(4)
	for range 3 {
		if errs := b.deliver(ds...); failed(errs) {
			t.Errorf("errors %v", errs)
		}
	}
	b.stored(ds...)
}

// tooLarge: what is too large together arrives in parts.
func (s *suite) tooLarge(t *testing.T) {
	b := s.bench(t)
	ds := s.deliveries(16)
	size := 0
	for _, d := range ds {
		size = max(size, len(d.Body))
	}
	b.Limit(4 * (size + 400)) // room for a few with what surrounds each
	if errs := b.deliver(ds...); failed(errs) {
		t.Errorf("errors %v", errs)
	}
	b.stored(ds...)
}

// tooLargeAlone: what is too large by itself is refused, and the rest arrives.
func (s *suite) tooLargeAlone(t *testing.T) {
	b := s.bench(t)
	ds := s.deliveries(5)
	// White space grows a document without changing it; a sink that strips it
	// delivers it all the same.
	var object map[string]any
	if err := json.Unmarshal(ds[2].Body, &object); err != nil {
		t.Fatal(err)
	}
	object["notes"] = strings.Repeat("x", 8000)
	ds[2].Body, _ = json.Marshal(object)
	b.Limit(6000)
	errs := b.deliver(ds...)
	for i, err := range errs {
		if i != 2 && err != nil {
			t.Errorf("document %d: %v", i, err)
		}
	}
	if errs[2] != nil && !device.Refused(errs[2]) {
		t.Errorf("too large a document is tried for ever: %v", errs[2])
	}
}

// ill: whatever nonsense the other side answers, no document is given up for it.
func (s *suite) ill(t *testing.T) {
	for name, c := range map[string]struct {
		fault simhttp.Fault
		kinds []fault.Kind
		fine  bool // a sink that goes by the status alone takes it for acceptance
	}{
		"500":             {fault: simhttp.Fault{Status: 500, Body: "oops"}, kinds: []fault.Kind{fault.Unavailable}},
		"502":             {fault: simhttp.Fault{Status: 502, Body: "<html>"}, kinds: []fault.Kind{fault.Unavailable}},
		"503":             {fault: simhttp.Fault{Status: 503}, kinds: []fault.Kind{fault.Unavailable}},
		"401":             {fault: simhttp.Fault{Status: 401}, kinds: []fault.Kind{fault.Unauthenticated}},
		"403":             {fault: simhttp.Fault{Status: 403}, kinds: []fault.Kind{fault.Forbidden}},
		"404":             {fault: simhttp.Fault{Status: 404, Body: "<html>no such page</html>"}},
		"405":             {fault: simhttp.Fault{Status: 405}},
		"418":             {fault: simhttp.Fault{Status: 418}},
		"dropped":         {fault: simhttp.Fault{Drop: true}},
		"truncated":       {fault: simhttp.Fault{Truncate: true}, fine: true},
		"a web page":      {fault: simhttp.Fault{Body: "<html>log in here</html>"}, fine: true},
		"other JSON":      {fault: simhttp.Fault{Body: `{"hello":[1,2,{"errors":"no"}]}`}, fine: true},
		"a list":          {fault: simhttp.Fault{Body: `[]`}, fine: true},
		"null":            {fault: simhttp.Fault{Body: `null`}, fine: true},
		"half the answer": {fault: simhttp.Fault{Rewrite: func(b []byte) []byte { return b[:len(b)/2] }}, fine: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := s.bench(t)
			b.Faults.Add(c.fault)
			errs := b.deliver(s.deliveries(4)...)
			if c.fine && !s.Bulk && !failed(errs) {
				return
			}
			b.later(errs, c.kinds...)
		})
	}
}

func (s *suite) slowDown(t *testing.T) {
	for name, c := range map[string]struct {
		header   string
		from, to time.Duration
	}{
		"told": {header: "120", from: 120 * time.Second, to: 120 * time.Second},
		"date": {header: time.Now().Add(10 * time.Minute).UTC().Format(http.TimeFormat), from: 8 * time.Minute, to: 10 * time.Minute},
		"not":  {},
		"odd":  {header: "soon"},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := s.bench(t)
			b.Faults.Add(simhttp.Fault{Status: 429, RetryAfter: c.header})
			errs := b.deliver(s.deliveries(3)...)
			b.later(errs, fault.RateLimited)
			for _, err := range errs {
				if after := fault.RetryAfterOf(err); after < c.from || after > c.to {
					t.Errorf("wait %s, want %s to %s", after, c.from, c.to)
				}
			}
		})
	}
}

// inTime checks that a call is over when the sink's time is.
func inTime(t *testing.T, do func()) {
	t.Helper()
	started := time.Now()
	do()
	if took := time.Since(started); took > timeout+promptly {
		t.Errorf("it took %s with a limit of %s", took, timeout)
	}
}

func (s *suite) neverAnswering(t *testing.T) {
	b := s.bench(t, sdktest.WithTimeout(timeout))
	b.Faults.Add(simhttp.Fault{Hang: true})
	inTime(t, func() { b.later(b.deliver(s.deliveries(30)...), fault.Timeout) })
}

func (s *suite) oversizedAnswer(t *testing.T) {
	for name, f := range map[string]simhttp.Fault{"endless": {Endless: true}, "huge": {Huge: 96 << 20}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := s.bench(t, sdktest.WithTimeout(timeout))
			b.Faults.Add(f)
			inTime(t, func() {
				if errs := b.deliver(s.deliveries(2)...); s.Bulk || failed(errs) {
					b.later(errs)
				}
			})
		})
	}
}

func (s *suite) refusedConnection(t *testing.T) {
	b := s.New(t)
	nobody := httptest.NewServer(nil)
	address := nobody.Listener.Addr().String()
	nobody.Close()
	client := sdktest.Open(t, s.Plugin, pointed(b.Settings, address))
	errs, err := client.Deliver(t.Context(), s.deliveries(3))
	if err != nil {
		t.Fatal(err)
	}
	(&bench{t: t}).later(errs, fault.Unavailable)
	if _, err := client.TestConnectivity(t.Context()); fault.KindOf(err) != fault.Unavailable || fault.RemedyOf(err) == "" {
		t.Errorf("connectivity test: %v", err)
	}
}

// pointed gives settings whose addresses lead elsewhere.
func pointed(settings map[string]any, host string) map[string]any {
	out := maps.Clone(settings)
	for key, value := range out {
		switch v := value.(type) {
		case string:
			if scheme, rest, ok := strings.Cut(v, "://"); ok {
				_, path, _ := strings.Cut(rest, "/")
				out[key] = scheme + "://" + host + "/" + path
			}
		case []string:
			out[key] = []string{"http://" + host}
		}
	}
	out["RETRIES"] = 0
	return out
}

// recovers: after any trouble, the same documents arrive, each once.
func (s *suite) recovers(t *testing.T) {
	b := s.bench(t)
	ds := s.deliveries(6)
	b.Faults.Add(simhttp.Fault{Status: 503, Times: 2})
	b.Faults.Add(simhttp.Fault{Truncate: true, Times: 2})
	b.Faults.Add(simhttp.Fault{Drop: true, Times: 2})
	for range 20 {
		if !failed(b.deliver(ds...)) {
			break
		}
	}
	b.stored(ds...)
}

func (s *suite) connectivity(t *testing.T) {
	b := s.bench(t)
	if detail, err := b.client.TestConnectivity(t.Context()); err != nil || detail == "" {
		t.Errorf("it works, but: %q, %v", detail, err)
	}
	if n := len(b.Stored()); n != 0 {
		t.Errorf("the test stored %d documents", n)
	}
	for status, kind := range map[int]fault.Kind{401: fault.Unauthenticated, 403: fault.Forbidden, 503: fault.Unavailable} {
		b.Faults.Clear()
		b.Faults.Add(simhttp.Fault{Status: status})
		if _, err := b.client.TestConnectivity(t.Context()); fault.KindOf(err) != kind || fault.RemedyOf(err) == "" {
			t.Errorf("answered %d: %v", status, err)
		}
	}
	schema := string(s.about.ConfigSchema)
	if !strings.Contains(schema, `"HEALTHCHECK_URL"`) {
		t.Error("there is no HEALTHCHECK_URL")
	}
	s.healthcheck(t)
}

// healthcheck: with HEALTHCHECK_URL the test asks there.
func (s *suite) healthcheck(t *testing.T) {
	t.Helper()
	b := s.New(t)
	health := newHealth(t)
	b.Settings["RETRIES"], b.Settings["HEALTHCHECK_URL"] = 0, health.url
	client := sdktest.Open(t, s.Plugin, b.Settings)
	if detail, err := client.TestConnectivity(t.Context()); err != nil || detail == "" || health.asked.Load() == 0 {
		t.Errorf("well: %q, %v; asked %d times", detail, err, health.asked.Load())
	}
	health.status.Store(503)
	if detail, err := client.TestConnectivity(t.Context()); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("ill: %q, %v", detail, err)
	}
}

// secrets: nothing that the schema calls secret shows, whatever fails.
func (s *suite) secrets(t *testing.T) {
	var schema struct {
		Properties map[string]struct {
			Secret bool `json:"x-secret"`
		} `json:"properties"`
	}
	if err := json.Unmarshal(s.about.ConfigSchema, &schema); err != nil {
		t.Fatal(err)
	}
	for _, f := range []simhttp.Fault{{}, {Status: 401}, {Status: 500}, {Status: 400, Body: `{"error":"no"}`}, {Drop: true}, {Body: "<html>"}, {Hang: true}} {
		b := s.New(t)
		b.Faults.Add(f)
		var out log
		b.Settings["RETRIES"] = 0
		client, err := sdktest.OpenLog(t, s.Plugin, &out, b.Settings, sdktest.WithTimeout(timeout))
		if err != nil {
			t.Fatal(err)
		}
		var text bytes.Buffer
		errs, err := client.Deliver(t.Context(), s.deliveries(3))
		detail, testErr := client.TestConnectivity(t.Context())
		for _, err := range append(errs, err, testErr) {
			if err != nil {
				text.WriteString(err.Error() + fault.RemedyOf(err) + "\n")
			}
		}
		for key, value := range b.Settings {
			secret, ok := value.(string)
			if !ok || !schema.Properties[key].Secret {
				continue
			}
			if strings.Contains(text.String()+detail, secret) || strings.Contains(out.String(), secret) {
				t.Errorf("%s shows in an error or in the log", key)
			}
		}
	}
}
