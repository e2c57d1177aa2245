package duo_test

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/plugins/duo"
)

func TestMapping(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 5, 31, 8, 30, 0, 0, time.UTC)
	const when = `"txid":"t","timestamp":1780216200`
	tests := map[string]struct {
		document string
		want     device.Event
	}{
		"nothing but a time": {`{` + when + `}`, device.Event{Timestamp: at}},
		"microseconds": {
			`{` + when + `,"isotimestamp":"2026-05-31T08:30:00.123456+00:00"}`, device.Event{Timestamp: at.Add(123456 * time.Microsecond)},
		},
		"malformed microseconds": {`{` + when + `,"isotimestamp":"yesterday"}`, device.Event{Timestamp: at}},
		"seconds as text":        {`{"txid":"t","timestamp":"1780216200"}`, device.Event{Timestamp: at}},
		"success":                {`{` + when + `,"result":"SUCCESS"}`, device.Event{Timestamp: at, Success: device.Bool(true), Details: map[string]string{"result": "SUCCESS"}}},
		"fraud":                  {`{` + when + `,"result":"fraud"}`, device.Event{Timestamp: at, Success: device.Bool(false), Details: map[string]string{"result": "fraud"}}},
		"denied for a reason": {
			`{` + when + `,"result":"denied","reason":"user_mistake"}`,
			device.Event{Timestamp: at, Success: device.Bool(false), Reason: "user_mistake", Details: map[string]string{"result": "denied"}},
		},
		"factor": {
			`{` + when + `,"factor":"duo_push","event_type":"authentication"}`,
			device.Event{Timestamp: at, Type: "duo_push", Details: map[string]string{"factor": "duo_push", "event_type": "authentication"}},
		},
		"no factor": {
			`{` + when + `,"factor":"not_available","event_type":"enrollment"}`,
			device.Event{Timestamp: at, Type: "enrollment", Details: map[string]string{"event_type": "enrollment"}},
		},
		"person": {
			`{` + when + `,"email":" Ada@Example.com ","user":{"name":" Ada "}}`, device.Event{Timestamp: at, Email: "Ada@Example.com", Username: "Ada"},
		},
		"no address": {`{` + when + `,"email":"None"}`, device.Event{Timestamp: at}},
		"access device": {
			`{` + when + `,"access_device":{"ip":"192.0.2.7","browser":"Chrome","browser_version":"1.2","os":"Mac OS X","os_version":null,
			 "hostname":"ada-mac","location":{"city":"Ann Arbor","state":"","country":"United States"}}}`,
			device.Event{Timestamp: at, IPAddress: "192.0.2.7", Details: map[string]string{
				"browser": "Chrome 1.2", "os": "Mac OS X", "hostname": "ada-mac", "location": "Ann Arbor, United States",
			}},
		},
		"IPv6":            {`{` + when + `,"access_device":{"ip":"2001:DB8:0::1"}}`, device.Event{Timestamp: at, IPAddress: "2001:db8::1"}},
		"no IP address":   {`{` + when + `,"access_device":{"ip":null}}`, device.Event{Timestamp: at}},
		"odd IP address":  {`{` + when + `,"access_device":{"ip":"behind a proxy"}}`, device.Event{Timestamp: at, Details: map[string]string{"ip_address_as_given": "behind a proxy"}}},
		"markup is data":  {`{` + when + `,"application":{"name":"<b>VPN</b>"}}`, device.Event{Timestamp: at, Details: map[string]string{"application": "<b>VPN</b>"}}},
		"alias":           {`{` + when + `,"alias":"al"}`, device.Event{Timestamp: at, Details: map[string]string{"alias": "al"}}},
		"confirmed where": {`{` + when + `,"auth_device":{"name":"Phone","location":{"country":"France"}}}`, device.Event{Timestamp: at, Details: map[string]string{"auth_device": "Phone", "auth_device_location": "France"}}},
		"nulls": {
			`{` + when + `,"isotimestamp":null,"event_type":null,"factor":null,"result":null,"reason":null,"email":null,"alias":null,"user":null,
			 "application":null,"access_device":null,"auth_device":null}`, device.Event{Timestamp: at},
		},
		"wrong types": {
			`{` + when + `,"isotimestamp":5,"event_type":{},"factor":[],"result":{"a":1},"reason":[1],"email":{},"alias":[],"user":"ada",
			 "application":"vpn","access_device":["x"],"auth_device":7}`, device.Event{Timestamp: at},
		},
		"too long": {
			`{` + when + `,"reason":"` + strings.Repeat("é", 2000) + `"}`, device.Event{Timestamp: at, Reason: strings.Repeat("é", 512)},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			id, got, ok := duo.ParseEntry([]byte(tt.document))
			if !ok || id != "t" {
				t.Fatalf("id %q, ok %v", id, ok)
			}
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestMapping_LeftOut(t *testing.T) {
	t.Parallel()
	for _, document := range []string{
		`null`, `7`, `"x"`, `[]`, `{}`, `{"txid":"t"}`, `{"timestamp":null}`, `{"timestamp":"soon"}`, `{"timestamp":-5}`, `{"timestamp":1e300}`,
		`{"timestamp":"NaN"}`, `{"isotimestamp":"0001-01-01T00:00:00Z"}`, `{"timestamp":`,
	} {
		if _, event, ok := duo.ParseEntry([]byte(document)); ok {
			t.Errorf("%s gives %+v", document, event)
		}
	}
}

func TestMapping_NoID(t *testing.T) {
	t.Parallel()
	one, _, _ := duo.ParseEntry([]byte(`{"timestamp":1780216200,"reason":"a"}`))
	same, _, _ := duo.ParseEntry([]byte(`{"timestamp":1780216200,"reason":"a"}`))
	other, _, _ := duo.ParseEntry([]byte(`{"timestamp":1780216200,"reason":"b"}`))
	if one == "" || one != same || one == other {
		t.Errorf("ids are %q, %q and %q", one, same, other)
	}
}

func FuzzEntry(f *testing.F) {
	f.Add([]byte(`{"txid":"t","timestamp":1780216200,"isotimestamp":"2026-05-31T08:30:00.123456+00:00","email":"a@b.c","user":{"name":"a"}}`))
	f.Add([]byte(`{"timestamp":"1e9","access_device":{"ip":"::1","location":{"city":7}},"factor":null}`))
	f.Add([]byte("{\"timestamp\":1780216200,\"reason\":\"\xff\"}"))
	f.Fuzz(func(t *testing.T, document []byte) {
		id, event, ok := duo.ParseEntry(document)
		if !ok {
			return
		}
		if id == "" || event.Timestamp.Year() < 2000 || event.Timestamp.Year() > 2200 {
			t.Errorf("id %q at %v", id, event.Timestamp)
		}
		for _, s := range []string{event.Type, event.Reason, event.Username, event.Email, event.Details["ip_address_as_given"]} {
			if !utf8.ValidString(s) || len(s) > 1<<10 {
				t.Errorf("text of %d bytes: %q", len(s), s)
			}
		}
	})
}

func FuzzPage(f *testing.F) {
	f.Add([]byte(`{"stat":"OK","response":{"authlogs":[{}],"metadata":{"next_offset":["1","a"]}}}`))
	f.Add([]byte(`{"stat":"OK","response":{"authlogs":[]},"metadata":{"next_offset":"1,a"}}`))
	f.Add([]byte(`{"stat":"FAIL","code":40103,"message":"x"}`))
	f.Fuzz(func(t *testing.T, body []byte) {
		logs, next, err := duo.DecodePage(body)
		if err != nil && (logs != 0 || next != "") {
			t.Errorf("%d entries and offset %q beside error %v", logs, next, err)
		}
	})
}

func FuzzProgress(f *testing.F) {
	f.Add([]byte(`{"format":1,"high_water":1780216200000000,"success":1780216200000000}`))
	f.Add([]byte(`{"format":1,"window_from":1,"window_to":2,"next_offset":"1,a","holder":"x","held_at":3,"held_ms":10000,"waits":true}`))
	f.Add([]byte(`{"format":2}`))
	f.Add([]byte(`{"format":1,"held_ms":9223372036854775807,"success":-9223372036854775808}`))
	f.Add([]byte(`[`))
	f.Fuzz(func(t *testing.T, document []byte) {
		once, err := duo.Progress(document)
		if err != nil {
			return
		}
		if twice, err := duo.Progress(once); err != nil || string(twice) != string(once) {
			t.Errorf("%s is kept as %s, %v", once, twice, err)
		}
	})
}

func TestPage(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		body string
		logs int
		next string
		err  string
	}{
		"last":            {`{"stat":"OK","response":{"authlogs":[{},{}],"metadata":{"next_offset":null}}}`, 2, "", ""},
		"list":            {`{"stat":"OK","response":{"authlogs":[{}],"metadata":{"next_offset":["1547486297000","5bea"]}}}`, 1, "1547486297000,5bea", ""},
		"list of numbers": {`{"stat":"OK","response":{"authlogs":[{}],"metadata":{"next_offset":[1547486297000,"5bea"]}}}`, 1, "1547486297000,5bea", ""},
		"text":            {`{"stat":"OK","response":{"authlogs":[{}],"metadata":{"next_offset":"1547486297000,5bea"}}}`, 1, "1547486297000,5bea", ""},
		"empty list":      {`{"stat":"OK","response":{"authlogs":[],"metadata":{"next_offset":[]}}}`, 0, "", ""},
		"beside":          {`{"stat":"OK","response":{"authlogs":[{}]},"metadata":{"next_offset":["1","a"]}}`, 1, "1,a", ""},
		"no metadata":     {`{"stat":"OK","response":{"authlogs":[{}]}}`, 1, "", ""},
		"odd metadata":    {`{"stat":"OK","response":{"authlogs":[{}],"metadata":[]}}`, 1, "", ""},
		"failed":          {`{"stat":"FAIL","code":40002,"message":"Invalid","message_detail":"mintime"}`, 0, "", "40002: Invalid: mintime"},
		"no log":          {`{"stat":"OK","response":{}}`, 0, "", "holds no log"},
		"null":            {`null`, 0, "", "holds no log"},
		"a list":          {`[]`, 0, "", "JSON"},
		"a web page":      {`<html>`, 0, "", "JSON"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			logs, next, err := duo.DecodePage([]byte(tt.body))
			if logs != tt.logs || next != tt.next || (err != nil) != (tt.err != "") {
				t.Errorf("got %d entries, offset %q and error %v", logs, next, err)
			}
			if err != nil && !strings.Contains(err.Error(), tt.err) {
				t.Errorf("error does not say %q: %v", tt.err, err)
			}
		})
	}
}
