package jamf

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
	"time"
)

// value reads any JSON value through the scanner into what encoding/json would
// make of it, numbers kept as text.
func (s *scanner) value() any {
	switch s.peek() {
	case '{':
		m := map[string]any{}
		for ok := s.enter('{'); ok; ok = s.more('}') {
			k := s.key()
			m[k] = s.value()
		}
		return m
	case '[':
		list := []any{}
		for ok := s.enter('['); ok; ok = s.more(']') {
			list = append(list, s.value())
		}
		return list
	case '"':
		return s.quoted()
	default:
		return json.RawMessage(s.raw())
	}
}

func documents() []string {
	return []string{
		`{}`, `[]`, `null`, `true`, `false`, `0`, `-1.5e+10`, `""`, ` [ 1 , "a" , null , {"b" : [ ] } ] `,
		`"\u00e9\ud83d\ude00\ud83dx\n\"\\\/"`, `{"a":{"a":[[[{}]]]}}`, `{"a":1,"a":2}`,
		`[`, `{`, `"`, `"\`, `"\u12`, `"\x"`, `{"a"}`, `{"a":}`, `{a:1}`, `[1,]`, `{"a":1,}`, `01`, `1.`, `.5`, `-`, `1e`, `tru`, `nulll`, `1 2`, `[}`, "\"\x01\"",
		"\"\xff\"", `[1}`, `{"a":1]`, `"\u00zz"`, "", " ", `+1`, `NaN`, "\ufeff{}", `"a` + "\n" + `"`, `"\ud800\u0041"`, `"\udc00"`,
	}
}

// The scanner must take exactly what encoding/json takes, and read the same.
func FuzzScanner(f *testing.F) {
	for _, d := range documents() {
		f.Add([]byte(d))
	}
	f.Fuzz(func(t *testing.T, doc []byte) {
		doc = bytes.ToValidUTF8(doc, []byte("\ufffd")) // encoding/json replaces byte by byte, the scanner run by run
		if strings.Count(string(doc), "[")+strings.Count(string(doc), "{") > maxDepth {
			return
		}
		skipping := newScanner(doc)
		skipping.skip()
		if ok, want := skipping.end() == nil, json.Valid(doc); ok != want {
			t.Fatalf("%q: valid is %v, want %v", doc, ok, want)
		}
		if !json.Valid(doc) {
			return
		}
		s := newScanner(doc)
		got := s.value()
		if err := s.end(); err != nil {
			t.Fatalf("%q: %v", doc, err)
		}
		var want any
		dec := json.NewDecoder(strings.NewReader(string(doc)))
		dec.UseNumber()
		if err := dec.Decode(&want); err != nil {
			t.Fatal(err)
		}
		if g, w := marshal(t, got), marshal(t, want); g != w {
			t.Fatalf("%q reads %s, want %s", doc, g, w)
		}
	})
}

func marshal(t *testing.T, v any) string {
	t.Helper()
	b, err := json.Marshal(v)
	if err != nil {
		t.Fatal(err)
	}
	return string(b)
}

func TestScanner_depth(t *testing.T) {
	t.Parallel()
	deep := strings.Repeat("[", 1_000_000)
	s := newScanner([]byte(deep))
	s.skip()
	if s.end() == nil {
		t.Error("a million brackets are no document")
	}
	fine := strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth)
	s = newScanner([]byte(fine))
	s.skip()
	if err := s.end(); err != nil {
		t.Errorf("%d brackets: %v", maxDepth, err)
	}
}

// Whatever Jamf answers, reading ends, and gives a computer or an error.
func FuzzDocuments(f *testing.F) {
	f.Add([]byte(`{"computer":{"general":{"id":1,"name":"a","report_date_utc":"2026-05-30T10:11:12.000+0000"},"hardware":{"storage":[{"disk":"disk0","drive_capacity_mb":1,"partitions":[{"name":"M","filevault2_status":"Encrypted"}]}]},"software":{"available_software_updates":["a"],"running_services":["s"],"applications":[{"name":"a","version":"1"}]},"extension_attributes":[{"name":"Firewall Status","value":"1"}]}}`))
	f.Add([]byte(`{"totalCount":1,"results":[{"id":"1","udid":"U","general":{"reportDate":"x"},"hardware":{"serialNumber":"S"},"storage":{"disks":[{"partitions":[{"fileVault2State":"éNCRYPTED"}]}]},"extensionAttributes":[{"name":"Remote Login","values":["Off"]}]}]}`))
	f.Add([]byte(`{"user":{"links":{"computers":[{"id":1},{"computer":{"id":2}}]}}}`))
	f.Fuzz(func(t *testing.T, doc []byte) {
		check := func(c computer) {
			d := c.record(owners{domains: []string{"example.com"}})
			if _, err := json.Marshal(d); err != nil {
				t.Fatalf("%q: %v", doc, err)
			}
		}
		if c, err := readClassic(doc, true); err == nil {
			check(c)
		}
		if p, err := readInventory(doc, true); err == nil {
			for _, c := range p.computers {
				check(c)
			}
		}
		_, _ = readClassicUsers(doc)
		_, _ = readClassicIDs(doc, "computers", "computer")
	})
}

func TestParseDate(t *testing.T) {
	t.Parallel()
	const want = "2026-05-30T10:11:12Z"
	for _, text := range []string{
		"2026-05-30T10:11:12.000+0000", "2026-05-30T10:11:12.987+0000", "2026-05-30T10:11:12+0000", "2026-05-30T10:11:12Z", "2026-05-30T10:11:12.5Z",
		"2026-05-30T12:11:12+02:00", "2026-05-30T03:11:12.000-0700", "2026-05-30T10:11:12", "2026-05-30 10:11:12", "2026-05-30 10:11:12 +0000",
		"2026-05-30 10:11:12+0000", "1780135872000", "1780135872987", "1780135872",
	} {
		got, ok := parseDate(text)
		if !ok || got.Format(time.RFC3339Nano) != want {
			t.Errorf("%s reads %v, %v", text, got, ok)
		}
	}
	if got, ok := parseDate("0"); !ok || !got.IsZero() {
		t.Errorf("0, which is never, reads %v, %v", got, ok)
	}
	for _, text := range []string{"soon", "", "12", "-1780135872000", "99999999999999999999", "2026-13-40T10:11:12Z", "30/05/2026"} {
		if got, ok := parseDate(text); ok || !got.IsZero() {
			t.Errorf("%q reads %v, %v", text, got, ok)
		}
	}
}

func TestBaseURL(t *testing.T) {
	t.Parallel()
	for addr, want := range map[string]string{
		"https://example.jamfcloud.com/JSSResource": "https://example.jamfcloud.com", "https://example.jamfcloud.com/JSSResource/": "https://example.jamfcloud.com",
		"https://example.jamfcloud.com": "https://example.jamfcloud.com", " https://example.jamfcloud.com/ ": "https://example.jamfcloud.com",
		"example.jamfcloud.com": "https://example.jamfcloud.com", "https://jss.example.com:8443/jss/JSSResource": "https://jss.example.com:8443/jss",
		"http://127.0.0.1:1": "http://127.0.0.1:1", "HTTPS://h/jssresource": "https://h", "https://h/myJSSResource": "https://h/myJSSResource",
	} {
		if got, err := baseURL(addr); err != nil || got != want {
			t.Errorf("%q gives %q, %v; want %q", addr, got, err, want)
		}
	}
}
