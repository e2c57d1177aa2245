package elastic_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	simulator "github.com/postureproject/posture/internal/simulator/elastic"
	"github.com/postureproject/posture/internal/simulator/simhttp"
	"github.com/postureproject/posture/plugins/sdk/sdktest"
	"github.com/postureproject/posture/sinks/elastic"
)

func TestDeliver(t *testing.T) {
	t.Parallel()
	s, url := newCluster(t, simulator.Options{})
	sink := batch(t, url)
	other := laptop("b")
	other.At = november.Add(time.Minute)
	other.Body = json.RawMessage("{\n\"name\": \"<b>\",\n\"_raw\": {\"secret\": 1}, \"large\": 12345678901234567890\n}")
	checkErrors(t, deliver(t, sink, laptop("a"), other), "", "")

	got := map[string]map[string]json.RawMessage{}
	for _, index := range s.Indices() {
		got[index] = s.Documents(index)
	}
	want := map[string]map[string]string{
		prefix + "202611": {"a": `{"email":"ada@example.com","name":"a","report_date":"2026-11-30T22:00:00Z","run":"r1"}`},
		prefix + "202612": {"b": `{"large":12345678901234567890,"name":"\u003cb\u003e","report_date":"2026-12-01T00:00:00Z"}`},
	}
	for index, documents := range want {
		for id, body := range documents {
			if diff := cmp.Diff(body, string(got[index][id])); diff != "" {
				t.Errorf("%s/%s (-want +got):\n%s", index, id, diff)
			}
		}
	}
	if len(got) != len(want) {
		t.Errorf("indices %v", s.Indices())
	}
}

// A repeated delivery is accepted, and changes nothing.
func TestDeliver_again(t *testing.T) {
	t.Parallel()
	s, url := newCluster(t, simulator.Options{})
	sink := batch(t, url)
	changed := laptop("a")
	changed.Body = json.RawMessage(`{"name":"changed"}`)
	checkErrors(t, deliver(t, sink, laptop("a"), laptop("a"), laptop("b")), "", "", "")
	checkErrors(t, deliver(t, sink, changed, laptop("c")), "", "")
	documents := s.Documents(prefix + "202611")
	if len(documents) != 3 || strings.Contains(string(documents["a"]), "changed") {
		t.Errorf("documents %s", documents)
	}
}

// What can never be a document is refused without troubling the cluster, and
// costs the others nothing.
func TestDeliver_unsuitable(t *testing.T) {
	t.Parallel()
	s, url := newCluster(t, simulator.Options{})
	sink := batch(t, url)
	tests := map[string]func(*device.Delivery){
		"kind":          func(d *device.Delivery) { d.Kind = device.DeliverAccess },
		"no identifier": func(d *device.Delivery) { d.ID = "" },
		"no time":       func(d *device.Delivery) { d.At = time.Time{} },
		"list":          func(d *device.Delivery) { d.Body = json.RawMessage(`[1]`) },
		"null":          func(d *device.Delivery) { d.Body = json.RawMessage(`null`) },
		"not JSON":      func(d *device.Delivery) { d.Body = json.RawMessage("{}\n{\"create\":{}}\n{}") },
		"nothing":       func(d *device.Delivery) { d.Body = nil },
	}
	for name, change := range tests {
		d := laptop("bad")
		change(&d)
		checkErrors(t, deliver(t, sink, d), "invalid")
		checkErrors(t, deliver(t, sink, d, laptop(strings.ReplaceAll(name, " ", "-"))), "invalid", "")
	}
	if n := len(s.Documents(prefix + "202611")); n != len(tests) || slices.ContainsFunc(s.Bulks(), func(n int) bool { return n != 1 }) {
		t.Errorf("%d documents in requests of %v", n, s.Bulks())
	}
}

// Whatever the identifier is, it neither breaks the request nor meets another.
func TestDeliver_oddIdentifiers(t *testing.T) {
	t.Parallel()
	s, url := newCluster(t, simulator.Options{})
	sink := batch(t, url)
	long := strings.Repeat("x", 512)
	ids := []string{long, long + "1", long + "2", "a\nb", `"`, "\\", "ä<&>\u2028", "a/b?c#d", " "}
	var deliveries []device.Delivery
	for _, id := range ids {
		d := laptop("n")
		d.ID = id
		deliveries = append(deliveries, d)
	}
	for range 2 {
		checkErrors(t, deliver(t, sink, deliveries...), make([]string, len(ids))...)
	}
	documents := s.Documents(prefix + "202611")
	if _, kept := documents[long]; len(documents) != len(ids) || !kept || documents["a\nb"] == nil {
		t.Errorf("%d documents of %d", len(documents), len(ids))
	}
}

func TestDeliver_requestsAreBounded(t *testing.T) {
	t.Parallel()
	s, url := newCluster(t, simulator.Options{})
	sink := batch(t, url)
	checkErrors(t, deliver(t, sink, laptops(2001)...), make([]string, 2001)...)
	if diff := cmp.Diff([]int{1000, 1000, 1}, s.Bulks()); diff != "" {
		t.Errorf("documents in each request (-want +got):\n%s", diff)
	}
	large := laptops(4)
	for i := range large {
		large[i].ID += "-large"
		large[i].Body = json.RawMessage(fmt.Sprintf(`{"notes":[%q]}`, strings.Repeat("x", 2<<20)))
	}
	checkErrors(t, deliver(t, sink, large...), "", "", "", "")
	if diff := cmp.Diff([]int{2, 2}, s.Bulks()[3:]); diff != "" {
		t.Errorf("large documents in each request (-want +got):\n%s", diff)
	}
}

// A request that is too large is divided, and later ones are smaller from the start.
func TestDeliver_tooLarge(t *testing.T) {
	t.Parallel()
	s, url := newCluster(t, simulator.Options{})
	s.SetMaxBulk(200 << 10)
	sink := batch(t, url)
	deliveries := laptops(40)
	for i := range deliveries {
		deliveries[i].Body = json.RawMessage(fmt.Sprintf(`{"notes":[%q]}`, strings.Repeat("x", 10<<10)))
	}
	deliveries[7].Body = json.RawMessage(fmt.Sprintf(`{"notes":[%q]}`, strings.Repeat("x", 300<<10)))
	want := make([]string, len(deliveries))
	want[7] = "invalid"
	errs := deliver(t, sink, deliveries...)
	checkErrors(t, errs, want...)
	if !strings.Contains(fault.RemedyOf(errs[7]), "http.max_content_length") {
		t.Errorf("remedy %q", fault.RemedyOf(errs[7]))
	}
	if n := len(s.Documents(prefix + "202611")); n != 39 {
		t.Errorf("%d documents", n)
	}
	before := s.Faults.RequestsTo("/_bulk")
	again := laptops(10)
	for i := range again {
		again[i].ID += "-again"
		again[i].Body = deliveries[0].Body
	}
	checkErrors(t, deliver(t, sink, again...), make([]string, 10)...)
	if n := s.Faults.RequestsTo("/_bulk") - before; n > 2 {
		t.Errorf("%d requests for what is known to need two", n)
	}
}

// Single documents fail within an answer 200; the others arrive.
func TestDeliver_itemFaults(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		fault simulator.ItemFault
		kind  string
	}{
		"busy":             {simulator.ItemFault{Status: 429, Type: "es_rejected_execution_exception", Reason: "queue is full"}, "rate_limited"},
		"disk full":        {simulator.ItemFault{Status: 429, Type: "cluster_block_exception", Reason: "disk usage exceeded flood-stage watermark"}, "rate_limited"},
		"read-only":        {simulator.ItemFault{Status: 403, Type: "cluster_block_exception", Reason: "index read-only"}, "unavailable"},
		"privilege":        {simulator.ItemFault{Status: 403, Type: "security_exception", Reason: "unauthorized"}, "forbidden"},
		"log-in":           {simulator.ItemFault{Status: 401, Type: "security_exception", Reason: "expired"}, "unauthenticated"},
		"mapping":          {simulator.ItemFault{Status: 400, Type: "document_parsing_exception", Reason: "failed to parse field"}, "invalid"},
		"older mapping":    {simulator.ItemFault{Status: 400, Type: "mapper_parsing_exception", Reason: "failed to parse"}, "invalid"},
		"too many shards":  {simulator.ItemFault{Status: 400, Type: "validation_exception", Reason: "this action would add [2] shards"}, "unavailable"},
		"closed index":     {simulator.ItemFault{Status: 400, Type: "index_closed_exception", Reason: "closed"}, "unavailable"},
		"no index created": {simulator.ItemFault{Status: 404, Type: "index_not_found_exception", Reason: "no such index"}, "unavailable"},
		"shard away":       {simulator.ItemFault{Status: 503, Type: "unavailable_shards_exception", Reason: "primary shard is not active"}, "unavailable"},
		"server's defect":  {simulator.ItemFault{Status: 500, Type: "null_pointer_exception", Reason: "null"}, "unavailable"},
		"no status at all": {simulator.ItemFault{}, "unavailable"},
		"already there":    {simulator.ItemFault{Status: 409, Type: "version_conflict_engine_exception", Reason: "exists"}, ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, url := newCluster(t, simulator.Options{})
			sink := batch(t, url)
			tc.fault.ID = "b"
			s.FailItems(tc.fault)
			errs := deliver(t, sink, laptop("a"), laptop("b"), laptop("c"))
			checkErrors(t, errs, "", tc.kind, "")
			if err := errs[1]; err != nil && (!strings.Contains(err.Error(), tc.fault.Reason) || fault.RemedyOf(err) == "") {
				t.Errorf("error %v, remedy %q", err, fault.RemedyOf(err))
			}
			s.ClearItemFaults()
			if tc.kind != "" {
				checkErrors(t, deliver(t, sink, laptop("b")), "")
				if n := len(s.Documents(prefix + "202611")); n != 3 {
					t.Errorf("%d documents after the second attempt", n)
				}
			}
		})
	}
}

// A failure of the whole request is never a document's fault: all of them are to
// be tried again, and arrive once when the cluster is well.
func TestDeliver_requestFaults(t *testing.T) {
	t.Parallel()
	html := "<html><title>Sign in</title></html>"
	tests := map[string]struct {
		fault simhttp.Fault
		kind  string
	}{
		"429":                 {simhttp.Fault{Status: 429, RetryAfter: "7"}, "rate_limited"},
		"500":                 {simhttp.Fault{Status: 500}, "unavailable"},
		"502":                 {simhttp.Fault{Status: 502, Body: html}, "unavailable"},
		"400 of a proxy":      {simhttp.Fault{Status: 400, Body: html}, "unavailable"},
		"404 of a proxy":      {simhttp.Fault{Status: 404, Body: html}, "unavailable"},
		"409 of a proxy":      {simhttp.Fault{Status: 409, Body: html}, "unavailable"},
		"302 to a log-in":     {simhttp.Fault{Status: 302}, "unavailable"},
		"401":                 {simhttp.Fault{Status: 401}, "unauthenticated"},
		"403":                 {simhttp.Fault{Status: 403}, "forbidden"},
		"HTML":                {simhttp.Fault{Body: html}, "unavailable"},
		"other JSON":          {simhttp.Fault{Body: `{"items":{}}`}, "unavailable"},
		"null":                {simhttp.Fault{Body: `null`}, "unavailable"},
		"too few results":     {simhttp.Fault{Body: `{"items":[{"create":{"_id":"a","status":201}}]}`}, "unavailable"},
		"too many results":    {simhttp.Fault{Body: `{"items":[{},{},{}]}`}, "unavailable"},
		"others' results":     {simhttp.Fault{Body: `{"items":[{"create":{"_id":"x","status":201}},{"create":{"_id":"y","status":201}}]}`}, "unavailable"},
		"empty results":       {simhttp.Fault{Body: `{"items":[{},null]}`}, "unavailable"},
		"dropped":             {simhttp.Fault{Drop: true}, "unavailable"},
		"broken off":          {simhttp.Fault{Truncate: true}, "unavailable"},
		"never answers":       {simhttp.Fault{Hang: true}, "timeout"},
		"answers for ever":    {simhttp.Fault{Endless: true}, ""}, // too large or too slow, whatever comes first
		"too large":           {simhttp.Fault{Huge: 20 << 20}, "unavailable"},
		"cluster's own doubt": {simhttp.Fault{Status: 400, Body: `{"error":{"type":"some_new_exception","reason":"?"}}`}, "unavailable"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, url := newCluster(t, simulator.Options{})
			sink := batch(t, url)
			checkErrors(t, deliver(t, sink, laptop("first")), "")
			s.Faults.Add(tc.fault)
			trying := sink
			if tc.fault.Hang || tc.fault.Endless {
				trying = sdktest.Open(t, elastic.PluginBatch(), with(url), sdktest.WithTimeout(time.Second))
			}
			errs := deliver(t, trying, laptop("a"), laptop("b"))
			if tc.kind != "" {
				checkErrors(t, errs, tc.kind, tc.kind)
			}
			if errs[0] == nil || device.Refused(errs[0]) || device.Refused(errs[1]) {
				t.Errorf("accepted or dead letters: %v", errs)
			}
			if tc.fault.RetryAfter != "" && fault.RetryAfterOf(errs[0]) != 7*time.Second {
				t.Errorf("retry after %v", fault.RetryAfterOf(errs[0]))
			}
			s.Faults.Clear()
			checkErrors(t, deliver(t, sink, laptop("a"), laptop("b")), "", "")
			if n := len(s.Documents(prefix + "202611")); n != 3 {
				t.Errorf("%d documents, want 3", n)
			}
		})
	}
}

// A request that the cluster refuses for what is in it is divided until the
// document that is at fault stands alone.
func TestDeliver_poison(t *testing.T) {
	t.Parallel()
	s, url := newCluster(t, simulator.Options{})
	sink := batch(t, url)
	checkErrors(t, deliver(t, sink, laptop("first")), "")
	refusal := simhttp.Fault{Status: 400, Times: 3, Body: `{"error":{"type":"illegal_argument_exception","reason":"odd"},"status":400}`}
	s.Faults.Add(refusal) // both, the first half of both, and the first half of that
	errs := deliver(t, sink, laptops(4)...)
	checkErrors(t, errs, "invalid", "", "", "")
	checkError(t, errs[0], fault.Invalid, "odd")
	if n := len(s.Documents(prefix + "202611")); n != 4 {
		t.Errorf("%d documents, want 4", n)
	}
}

// When the first of several requests fails, the others are not even tried.
func TestDeliver_downIsAskedOnce(t *testing.T) {
	t.Parallel()
	s, url := newCluster(t, simulator.Options{})
	sink := batch(t, url)
	checkErrors(t, deliver(t, sink, laptop("first")), "")
	s.Faults.Add(simhttp.Fault{Status: 503})
	before := s.Faults.Requests()
	for i, err := range deliver(t, sink, laptops(2500)...) {
		if fault.KindOf(err) != fault.Unavailable || err == nil {
			t.Fatalf("result %d: %v", i, err)
		}
	}
	if n := s.Faults.Requests() - before; n != 1 {
		t.Errorf("%d requests to a cluster that is down", n)
	}
}

func TestDeliver_concurrently(t *testing.T) {
	t.Parallel()
	s, url := newCluster(t, simulator.Options{})
	sink := batch(t, url)
	var wg sync.WaitGroup
	for range 8 {
		wg.Go(func() { checkErrors(t, deliver(t, sink, laptops(50)...), make([]string, 50)...) })
	}
	wg.Wait()
	if n := len(s.Documents(prefix + "202611")); n != 50 {
		t.Errorf("%d documents, want 50", n)
	}
	if n := s.Faults.RequestsTo("/_index_template/posture-device-" + prefix); n != 2 {
		t.Errorf("the template was asked for and put in %d requests, want 2", n)
	}
}

func TestLogger(t *testing.T) {
	t.Parallel()
	s, url := newCluster(t, simulator.Options{})
	sink := sdktest.Open(t, elastic.PluginLogger(), with(url, map[string]any{"ELASTICSEARCH_INDEX_PREFIX": "accesses-"}))
	d := device.Delivery{ID: "1", Kind: device.DeliverAccess, At: november, Body: json.RawMessage(`{"user":"ada@example.com","data":[{"name":"a"}]}`)}
	checkErrors(t, deliver(t, sink, d, laptop("device")), "", "invalid")
	want := `{"data":[{"name":"a"}],"timestamp":"2026-11-30T23:59:00Z","user":"ada@example.com"}`
	if got := string(s.Documents("accesses-202611")["1"]); got != want {
		t.Errorf("got %s, want %s", got, want)
	}
	if s.Template("posture-access-accesses-") == nil {
		t.Error("no template")
	}
}
