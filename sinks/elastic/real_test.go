package elastic_test

import (
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/internal/elastictest"
	"github.com/postureproject/posture/plugins/sdk"
	"github.com/postureproject/posture/plugins/sdk/sdktest"
	"github.com/postureproject/posture/sinks/elastic"
)

// real is a real server with indices of one test's own, and a sink for them. It
// differs from production's in that it has one node, no security and no TLS, and
// takes requests of 8 MB instead of 100.
type real struct {
	*elastictest.Server
	prefix string
	sink   *sdk.Client
}

func newReal(t *testing.T, plugin sdk.Plugin) real {
	t.Helper()
	s := elastictest.Start(t)
	prefix := s.Prefix(t)
	sink := sdktest.Open(t, plugin, with(s.URL, map[string]any{"ELASTICSEARCH_INDEX_PREFIX": prefix}), sdktest.WithTimeout(time.Minute))
	return real{Server: s, prefix: prefix, sink: sink}
}

// ask makes a request that must succeed.
func (r real) ask(t *testing.T, method, path, body string) []byte {
	t.Helper()
	status, answer := r.Do(t, method, path, body)
	if status < 200 || status > 299 {
		t.Fatalf("%s %s answered %d: %.400s", method, path, status, answer)
	}
	return answer
}

// find gives the identifiers of the documents that a query finds, sorted.
func (r real) find(t *testing.T, query string) []string {
	t.Helper()
	r.ask(t, http.MethodPost, "/"+r.prefix+"*/_refresh", "")
	var answer struct {
		Hits struct {
			Hits []struct {
				ID string `json:"_id"`
			} `json:"hits"`
		} `json:"hits"`
	}
	if err := json.Unmarshal(r.ask(t, http.MethodPost, "/"+r.prefix+"*/_search?size=1000", `{"query":`+query+`}`), &answer); err != nil {
		t.Fatal(err)
	}
	ids := []string{}
	for _, h := range answer.Hits.Hits {
		ids = append(ids, h.ID)
	}
	slices.Sort(ids)
	return ids
}

// full is a device with every field that the sources fill.
func full(t testing.TB, id string, at time.Time) device.Delivery {
	t.Helper()
	d := device.Device{
		Name: "Ada's MacBook", Model: "MacBookPro18,1", Manufacturer: "Apple", Type: "laptop", Serial: "C02XX", Status: "active", Email: "Ada@Example.com",
		Platform: "Mac", OS: "macOS", OSVersion: "14.1", OSBuild: "23B74", OSRelease: "Sonoma", LastSync: at.Add(-time.Hour), HWRelease: at.AddDate(-3, 0, 0),
		PhotoURL: "https://example.com/p.png", UserAgent: "Mozilla/5.0",
		Identifiers: device.Identifiers{Serial: "C02XX", UDID: "0B31", IMEI: "35", MEID: "A1", GoogleDeviceID: "g", MACAddresses: []device.MAC{"02:00:5e:00:00:01"}},
		Practices: map[string]device.Practice{
			"encryption": {Value: device.Bool(true), Status: device.OK, LastUpdated: at, Title: "Disk encryption", Directions: "Open **Settings**", Display: device.Bool(true)},
			"uptodate":   {Status: device.Warn, Details: "two versions behind", Version: "14.1"},
		},
		Software: &device.Software{LastScan: at, Installed: []device.Application{{Name: "Slack", Version: "4.0", Publisher: "Slack", InstallDate: at}}, Services: []device.Service{{Name: "sshd"}}},
		Sources:  []string{"jamf", "google"}, Notes: []string{"a date does not parse"}, Joined: []device.Join{{Source: "google", With: "jamf", Identifier: "serial", Value: "C02XX"}},
		Ambiguous: []device.Ambiguity{{Identifier: "mac_address", Value: "02:00:5e:00:00:01", Reason: "shared"}}, Rating: device.RatingCritical,
	}
	body, err := json.Marshal(struct {
		device.Device
		ReportDate time.Time `json:"report_date"`
		Run        string    `json:"run"`
	}{d, at, "run-1"})
	if err != nil {
		t.Fatal(err)
	}
	return device.Delivery{ID: id, Kind: device.DeliverDevice, Key: d.Email, At: at, Body: body}
}

// What was written can be found by what people look for.
func TestReal_search(t *testing.T) {
	t.Parallel()
	r := newReal(t, elastic.PluginBatch())
	checkErrors(t, deliver(t, r.sink, full(t, "nov", november), full(t, "dec", november.Add(time.Hour)), laptop("small")), "", "", "")
	tests := map[string]struct {
		query string
		want  []string
	}{
		"everything":        {`{"match_all":{}}`, []string{"dec", "nov", "small"}},
		"email in any case": {`{"term":{"email":"ADA@example.com"}}`, []string{"dec", "nov", "small"}},
		"a part of email":   {`{"match":{"email":"ada"}}`, []string{}},
		"practice":          {`{"term":{"practices.uptodate.status":"warn"}}`, []string{"dec", "nov"}},
		"finding":           {`{"term":{"practices.encryption.value":true}}`, []string{"dec", "nov"}},
		"details":           {`{"match":{"practices.uptodate.details":"behind"}}`, []string{"dec", "nov"}},
		"word of the name":  {`{"match":{"name":"macbook"}}`, []string{"dec", "nov"}},
		"MAC address":       {`{"term":{"identifiers.mac_addresses":"02:00:5E:00:00:01"}}`, []string{"dec", "nov"}},
		"software":          {`{"term":{"software.installed.name":"Slack"}}`, []string{"dec", "nov"}},
		"day of the report": {`{"range":{"report_date":{"gte":"2026-12-01"}}}`, []string{"dec"}},
		"not for search":    {`{"term":{"practices.encryption.directions":"Open **Settings**"}}`, []string{}},
	}
	for name, tc := range tests {
		if diff := cmp.Diff(tc.want, r.find(t, tc.query)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", name, diff)
		}
	}
	for index, id := range map[string]string{"202611": "nov", "202612": "dec"} {
		r.ask(t, http.MethodGet, "/"+r.prefix+index+"/_doc/"+id, "")
	}
}

// The indices have the template's types, and guess none.
func TestReal_mapping(t *testing.T) {
	t.Parallel()
	r := newReal(t, elastic.PluginBatch())
	odd := laptop("odd")
	odd.Body = json.RawMessage(`{"email":"x@example.com","new_field":{"a":1},"practices":{"p":{"status":"ok","invented":"x"}}}`)
	checkErrors(t, deliver(t, r.sink, full(t, "a", november), odd), "", "")
	var answer map[string]struct {
		Mappings struct {
			Properties map[string]any `json:"properties"`
		} `json:"mappings"`
	}
	if err := json.Unmarshal(r.ask(t, http.MethodGet, "/"+r.prefix+"202611/_mapping", ""), &answer); err != nil {
		t.Fatal(err)
	}
	properties := answer[r.prefix+"202611"].Mappings.Properties
	if _, guessed := properties["new_field"]; guessed {
		t.Error("a field that nobody declared is mapped")
	}
	practice := map[string]any{
		"dynamic": "false", "properties": map[string]any{
			"value": map[string]any{"type": "boolean"}, "status": map[string]any{"type": "keyword", "ignore_above": 256.0},
			"last_updated": map[string]any{"type": "date"}, "details": map[string]any{"type": "text"},
			"version": map[string]any{"type": "keyword", "ignore_above": 256.0},
		},
	}
	want := map[string]any{"dynamic": "true", "properties": map[string]any{"encryption": practice, "uptodate": practice, "p": practice}}
	if diff := cmp.Diff(want, properties["practices"]); diff != "" {
		t.Errorf("practices (-want +got):\n%s", diff)
	}
}

// Attempts that are repeated leave one document, as it was first written.
func TestReal_again(t *testing.T) {
	t.Parallel()
	r := newReal(t, elastic.PluginBatch())
	for range 3 {
		checkErrors(t, deliver(t, r.sink, laptops(50)...), make([]string, 50)...)
	}
	if got := r.find(t, `{"match_all":{}}`); len(got) != 50 {
		t.Errorf("%d documents", len(got))
	}
	var document struct {
		Version int `json:"_version"`
	}
	if err := json.Unmarshal(r.ask(t, http.MethodGet, "/"+r.prefix+"202611/_doc/d007", ""), &document); err != nil || document.Version != 1 {
		t.Errorf("version %d, %v", document.Version, err)
	}
}

func TestReal_oddIdentifiers(t *testing.T) {
	t.Parallel()
	r := newReal(t, elastic.PluginBatch())
	var deliveries []device.Delivery
	for _, id := range []string{strings.Repeat("x", 512), strings.Repeat("x", 513), "a\nb", `"`, "ä<&>\u2028", "a/b?c#d", " "} {
		d := laptop("n")
		d.ID = id
		deliveries = append(deliveries, d)
	}
	for range 2 {
		checkErrors(t, deliver(t, r.sink, deliveries...), make([]string, len(deliveries))...)
	}
	if got := r.find(t, `{"match_all":{}}`); len(got) != len(deliveries) {
		t.Errorf("%d documents of %d: %q", len(got), len(deliveries), got)
	}
}

// A document that does not suit the mapping is refused alone.
func TestReal_mappingErrors(t *testing.T) {
	t.Parallel()
	r := newReal(t, elastic.PluginBatch())
	practices := make([]string, 400)
	for i := range practices {
		practices[i] = fmt.Sprintf(`"p%d":{"status":"ok"}`, i)
	}
	bodies := map[string]string{
		"date": `{"last_sync":"yesterday"}`, "object": `{"identifiers":"C02XX"}`, "boolean": `{"practices":{"p":{"value":"perhaps"}}}`,
		"metadata": `{"_id":"x"}`, "too many practices": `{"practices":{` + strings.Join(practices, ",") + `}}`,
		"deep": strings.Repeat(`{"a":`, 2000) + "1" + strings.Repeat("}", 2000),
	}
	for name, body := range bodies {
		d := laptop(strings.ReplaceAll(name, " ", "-"))
		d.Body = json.RawMessage(body)
		errs := deliver(t, r.sink, laptop("before-"+name), d, laptop("after-"+name))
		checkErrors(t, errs, "", "invalid", "")
		if errs[1] != nil && fault.RemedyOf(errs[1]) == "" && name != "deep" {
			t.Errorf("%s: no remedy with %v", name, errs[1])
		}
	}
	if got := r.find(t, `{"match_all":{}}`); len(got) != 2*len(bodies) {
		t.Errorf("%d documents, want %d", len(got), 2*len(bodies))
	}
}

// While an index takes no documents they wait; none is given up.
func TestReal_indexTakesNoDocuments(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		before, after func(t *testing.T, r real)
	}{
		"blocked": {
			func(t *testing.T, r real) {
				r.ask(t, http.MethodPut, "/"+r.prefix+"202611/_settings", `{"index.blocks.write":true}`)
			},
			func(t *testing.T, r real) {
				r.ask(t, http.MethodPut, "/"+r.prefix+"202611/_settings", `{"index.blocks.write":false}`)
			},
		},
		"closed": {
			func(t *testing.T, r real) { r.ask(t, http.MethodPost, "/"+r.prefix+"202611/_close", "") },
			func(t *testing.T, r real) { r.ask(t, http.MethodPost, "/"+r.prefix+"202611/_open", "") },
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := newReal(t, elastic.PluginBatch())
			next := laptop("next")
			next.At = november.AddDate(0, 0, 5)
			checkErrors(t, deliver(t, r.sink, laptop("a")), "")
			tc.before(t, r)
			errs := deliver(t, r.sink, laptop("b"), next)
			checkErrors(t, errs, "unavailable", "")
			tc.after(t, r)
			checkErrors(t, deliver(t, r.sink, laptop("b"), next), "", "")
			if diff := cmp.Diff([]string{"a", "b", "next"}, r.find(t, `{"match_all":{}}`)); diff != "" {
				t.Error(diff)
			}
		})
	}
}

// The server's own limit is met with smaller requests, and a document beyond it
// is refused.
func TestReal_tooLarge(t *testing.T) {
	t.Parallel()
	r := newReal(t, elastic.PluginBatch())
	checkErrors(t, deliver(t, r.sink, laptop("first")), "")
	huge := laptop("huge")
	huge.Body = json.RawMessage(fmt.Sprintf(`{"notes":[%q]}`, strings.Repeat("x", 9<<20)))
	checkErrors(t, deliver(t, r.sink, laptop("before"), huge, laptop("after")), "", "invalid", "")
	if diff := cmp.Diff([]string{"after", "before", "first"}, r.find(t, `{"match_all":{}}`)); diff != "" {
		t.Error(diff)
	}
}

func TestReal_template(t *testing.T) {
	t.Parallel()
	r := newReal(t, elastic.PluginBatch())
	path := "/_index_template/posture-device-" + r.prefix
	r.ask(t, http.MethodPut, path, `{"index_patterns":["`+r.prefix+`2*"],"priority":300,"version":0,"template":{"mappings":{"dynamic":"strict"}}}`)
	checkErrors(t, deliver(t, r.sink, laptop("a")), "")
	if answer := r.ask(t, http.MethodGet, path, ""); !strings.Contains(string(answer), `"version":1`) {
		t.Errorf("the older template was not replaced: %s", answer)
	}
	detail, err := r.sink.TestConnectivity(t.Context())
	if want := `cluster "posture-test", Elasticsearch 8.14.3`; err != nil || !strings.HasPrefix(detail, want) || !strings.Contains(detail, "of version 1") {
		t.Errorf("connectivity %q, %v", detail, err)
	}
}

// Accesses hold whatever was shown, of whatever shape.
func TestReal_logger(t *testing.T) {
	t.Parallel()
	r := newReal(t, elastic.PluginLogger())
	var deliveries []device.Delivery
	for i, data := range []string{`[{"name":"a"}]`, `{"name":{"first":1}}`, `"text"`, `null`, `{"name":[true]}`, `12`} {
		deliveries = append(deliveries, device.Delivery{
			ID: fmt.Sprint(i), Kind: device.DeliverAccess, At: november,
			Body: json.RawMessage(`{"timestamp":"2026-11-30T23:59:00Z","user":"Admin@example.com","method":"GET","path":"/api/v1/devices","email":"ada@example.com","status":200,"remote":"[::1]:1","request_id":"r","data":` + data + `}`),
		})
	}
	checkErrors(t, deliver(t, r.sink, deliveries...), make([]string, len(deliveries))...)
	if got := r.find(t, `{"bool":{"filter":[{"term":{"user":"admin@example.com"}},{"term":{"email":"ada@example.com"}},{"range":{"timestamp":{"gte":"2026-11-30"}}},{"term":{"status":200}}]}}`); len(got) != len(deliveries) {
		t.Errorf("found %v", got)
	}
	if answer := r.ask(t, http.MethodGet, "/"+r.prefix+"202611/_doc/1", ""); !strings.Contains(string(answer), `"data":{"name":{"first":1}}`) {
		t.Errorf("the data are not kept: %s", answer)
	}
}
