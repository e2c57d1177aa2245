package esnotifications_test

import (
	"bytes"
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/internal/simulator/elastic"
	"github.com/postureproject/posture/internal/simulator/simhttp"
	"github.com/postureproject/posture/plugins/esnotifications"
	"github.com/postureproject/posture/plugins/sdk/sdktest"
)

const ada = "ada.lovelace@example.com"

func ids(notifications []device.Notification) []string {
	var out []string
	for _, n := range notifications {
		out = append(out, n.ID)
	}
	return out
}

func TestNotificationsByEmail_golden(t *testing.T) {
	t.Parallel()
	c := newCluster(t, elastic.Options{})
	got, err := sdktest.Open(t, esnotifications.Plugin(), c.settings()).NotificationsByEmail(t.Context(), ada)
	if err != nil {
		t.Fatal(err)
	}
	text, err := json.MarshalIndent(got, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	text = append(text, '\n')
	golden := filepath.Join("testdata", "person0.golden.json")
	if *update {
		if err := os.WriteFile(golden, text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(text)); diff != "" {
		t.Errorf("differs from %s (-want +got):\n%s", golden, diff)
	}
}

// A match query on an analysed field finds everybody who shares the words.
func TestNotificationsByEmail_onlyThePersonsOwn(t *testing.T) {
	t.Parallel()
	c := newCluster(t, elastic.Options{})
	at := c.fleet.Now()
	put := func(id, email string) {
		t.Helper()
		c.Put(id, email, at, fmt.Sprintf(`{"email":%q,"timestamp":%q}`, email, at.Format(time.RFC3339)))
	}
	put("mine", "x-y@example.com")
	put("upper", "X-Y@Example.COM")
	put("swapped", "y-x@example.com")
	put("longer", "x-y@example.com.y-x")
	put("list", "x-y@example.com, someone@else.org")
	c.Put("several", "x-y@example.com", at, `{"email":["someone@else.org"," x-y@example.com "]}`)
	c.Put("elsewhere", "x-y@example.com", at, `{"Email":"x-y@example.com","to":"x-y@example.com"}`)
	c.Put("number", "x-y@example.com", at, `{"email":7}`)

	client := sdktest.Open(t, esnotifications.Plugin(), c.settings())
	for _, email := range []string{"x-y@example.com", "X-y@example.com", " x-y@example.com "} {
		got, err := client.NotificationsByEmail(t.Context(), email)
		if err != nil {
			t.Fatal(err)
		}
		if diff := cmp.Diff([]string{"mine", "upper", "several"}, ids(got)); diff != "" {
			t.Errorf("%q (-want +got):\n%s", email, diff)
		}
	}
}

func TestNotificationsByEmail_keywordMapping(t *testing.T) {
	t.Parallel()
	c := newCluster(t, elastic.Options{Keyword: true})
	client := sdktest.Open(t, esnotifications.Plugin(), c.settings())
	for _, email := range []string{ada, "Ada.Lovelace@Example.com"} {
		got, err := client.NotificationsByEmail(t.Context(), email)
		if err != nil || len(got) != 3 {
			t.Errorf("%s: %d notifications, error %v; want 3", email, len(got), err)
		}
	}
}

// Other people's hits must not use up the limit.
func TestNotificationsByEmail_foreignHitsFillAPage(t *testing.T) {
	t.Parallel()
	c := newCluster(t, elastic.Options{})
	at := c.fleet.Now()
	for i := range 25 {
		c.Put(fmt.Sprintf("foreign-%02d", i), "b-a@example.com", at, `{"email":"b-a@example.com"}`)
	}
	c.Put("mine", "a-b@example.com", at.Add(-time.Hour), `{"email":"a-b@example.com"}`)
	for limit, found := range map[int]int{3: 1, 2: 0} {
		got, err := sdktest.Open(t, esnotifications.Plugin(), c.settings(map[string]any{"MAX_NOTIFICATIONS": limit})).
			NotificationsByEmail(t.Context(), "a-b@example.com")
		if len(got) != found {
			t.Errorf("limit %d: got %v, want %d", limit, ids(got), found)
		}
		if tooMany := fault.KindOf(err) == fault.BadResponse && err != nil; tooMany != (found == 0) {
			t.Errorf("limit %d: error %v", limit, err)
		}
	}
}

func TestNotificationsByEmail_newestFirst(t *testing.T) {
	t.Parallel()
	day := time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)
	doc := func(field, value string) string { return fmt.Sprintf(`{"email":"a@b.org",%q:%s}`, field, value) }
	tests := map[string]struct {
		o        elastic.Options
		settings map[string]any
		docs     map[string]string // id → source; the index sorts by id within one time
		want     []string
	}{
		"formats": {
			docs: map[string]string{
				"a": doc("timestamp", `"2026-05-01T10:00:00Z"`), "b": doc("timestamp", `"2026-05-01T13:00:00+02:00"`), "c": doc("timestamp", `1777636800000`),
				"d": doc("timestamp", `"1777640400000"`), "e": doc("timestamp", `"2026-05-01 14:00:00"`), "f": doc("timestamp", `"2026-05-01"`),
			},
			want: []string{"e", "d", "c", "b", "a", "f"},
		},
		"without a time last, ties by id": {
			docs: map[string]string{
				"a": doc("x", `1`), "c": doc("timestamp", `"2026-05-01"`), "b": doc("timestamp", `"2026-05-01"`), "d": doc("timestamp", `"soon"`), "e": doc("timestamp", `null`),
			},
			want: []string{"b", "c", "a", "d", "e"},
		},
		"other usual fields": {
			docs: map[string]string{"a": doc("@timestamp", `"2026-05-01"`), "b": doc("event_timestamp", `"2026-05-02"`)},
			want: []string{"b", "a"},
		},
		"configured field, a path": {
			settings: map[string]any{"ELASTICSEARCH_TIME_FIELD": "event.created"},
			docs:     map[string]string{"a": doc("event", `{"created":"2026-05-01"}`), "b": doc("event.created", `"2026-05-02"`), "c": doc("timestamp", `"2026-05-03"`)},
			want:     []string{"b", "a", "c"},
		},
		"cluster refuses to sort by text": {
			o:    elastic.Options{TextTime: true},
			docs: map[string]string{"a": doc("timestamp", `"2026-05-01"`), "b": doc("timestamp", `"2026-05-02"`)},
			want: []string{"b", "a"},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, tc.o)
			for id, source := range tc.docs {
				c.Put(id, "a@b.org", day, source)
			}
			got, err := sdktest.Open(t, esnotifications.Plugin(), c.settings(tc.settings)).NotificationsByEmail(t.Context(), "a@b.org")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, ids(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

// The limit keeps the newest, which only the cluster can choose.
func TestNotificationsByEmail_limitKeepsTheNewest(t *testing.T) {
	t.Parallel()
	c := newCluster(t, elastic.Options{})
	for i := range 9 {
		at := c.fleet.Now().Add(time.Duration(i) * time.Hour)
		c.Put(fmt.Sprintf("n%d", i), "a@b.org", at, fmt.Sprintf(`{"email":"a@b.org","timestamp":%q}`, at.Format(time.RFC3339)))
	}
	got, err := sdktest.Open(t, esnotifications.Plugin(), c.settings(map[string]any{"MAX_NOTIFICATIONS": 2})).NotificationsByEmail(t.Context(), "a@b.org")
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff([]string{"n8", "n7"}, ids(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func answerOf(shards, rest string, hits ...string) string {
	return `{"took":1,"timed_out":false,"_shards":` + shards + `,` + rest + `"hits":{"hits":[` + strings.Join(hits, ",") + `]}}`
}

const (
	allShards = `{"total":5,"successful":5,"failed":0}`
	goodHit   = `{"_id":"good","_index":"i","_source":{"email":"ada.lovelace@example.com"}}`
)

func TestNotificationsByEmail_oddAnswers(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		body string
		want []string
		kind fault.Kind
		text string // of the error; empty: none
	}{
		"broken hits cost only themselves": {
			body: answerOf(allShards, "", `7`, `null`, `{}`, `{"_id":"x"}`, `{"_id":"x","_source":null}`, `{"_id":"x","_source":[1]}`, `{"_id":"x","_source":"text"}`,
				`{"_id":9,"_source":{"email":"ada.lovelace@example.com"}}`, goodHit),
			want: []string{"good"},
		},
		"all hits broken":   {body: answerOf(allShards, "", `{"_id":"x"}`), kind: fault.BadResponse, text: "none of 1 hits"},
		"a hit twice":       {body: answerOf(allShards, "", goodHit, goodHit), want: []string{"good"}},
		"failed shards":     {body: answerOf(`{"total":5,"failed":2,"failures":[{"reason":{"type":"t","reason":"disk gone"}}]}`, "", goodHit), want: []string{"good"}, kind: fault.Unavailable, text: "2 of 5 shards failed"},
		"no shards at all":  {body: answerOf(`{"total":0,"failed":0}`, ""), kind: fault.BadResponse, text: "does not exist"},
		"nulls":             {body: `{"took":null,"timed_out":null,"_shards":null,"hits":null}`, kind: fault.BadResponse, text: "does not exist"},
		"not JSON":          {body: `<html>`, kind: fault.BadResponse, text: "not the expected JSON"},
		"wrong types":       {body: `{"hits":[]}`, kind: fault.BadResponse, text: "not the expected JSON"},
		"nothing":           {body: answerOf(allShards, "")},
		"sort refused part": {body: answerOf(`{"total":5,"failed":1,"failures":[{"reason":{"type":"t","reason":"no sorting on text"}}]}`, "", goodHit), want: []string{"good"}, kind: fault.Unavailable, text: "1 of 5"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			c := newCluster(t, elastic.Options{})
			c.Faults.Add(simhttp.Fault{Body: tc.body})
			got, err := sdktest.Open(t, esnotifications.Plugin(), c.settings()).NotificationsByEmail(t.Context(), ada)
			if diff := cmp.Diff(tc.want, ids(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			checkError(t, err, tc.kind, tc.text)
		})
	}
}

func checkError(t *testing.T, err error, kind fault.Kind, text string) {
	t.Helper()
	switch {
	case text == "" && err != nil:
		t.Errorf("error %v", err)
	case text == "":
	case err == nil:
		t.Errorf("no error, want one with %q", text)
	case fault.KindOf(err) != kind || !strings.Contains(err.Error(), text):
		t.Errorf("error of kind %s: %v; want %s with %q", fault.KindOf(err), err, kind, text)
	case fault.RemedyOf(err) == "":
		t.Errorf("no remedy in %v", err)
	case !strings.HasPrefix(err.Error(), esnotifications.Name+": "):
		t.Errorf("%q does not name the source", err)
	}
}

func TestNotificationsByEmail_timedOutAnswerIsPartial(t *testing.T) {
	t.Parallel()
	c := newCluster(t, elastic.Options{})
	c.SetPartial(0, true)
	got, err := sdktest.Open(t, esnotifications.Plugin(), c.settings()).NotificationsByEmail(t.Context(), ada)
	if len(got) != 3 {
		t.Errorf("%d notifications, want 3", len(got))
	}
	checkError(t, err, fault.Timeout, "ran out of time")
}

func TestUnknownPersonIsAnEmptyAnswer(t *testing.T) {
	t.Parallel()
	c := newCluster(t, elastic.Options{})
	got, err := sdktest.Open(t, esnotifications.Plugin(), c.settings()).NotificationsByEmail(t.Context(), "nobody@example.com")
	if err != nil || len(got) != 0 {
		t.Errorf("got %v, %v", got, err)
	}
}

func FuzzAnswer(f *testing.F) {
	f.Add([]byte(answerOf(allShards, "", goodHit)))
	f.Add([]byte(`{"hits":{"hits":[{"_id":"x","_source":{"email":["ada.lovelace@example.com"],"timestamp":1e300}}]},"_shards":{"total":1}}`))
	f.Add([]byte(`{"error":{"root_cause":[{}]}}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		alerts := esnotifications.ReadAnswer(body, ada)
		for _, a := range alerts {
			if a.ID == "" || !json.Valid(a.Source) || !bytes.HasPrefix(bytes.TrimSpace(a.Source), []byte("{")) {
				t.Errorf("unusable notification %+v", a)
			}
		}
	})
}
