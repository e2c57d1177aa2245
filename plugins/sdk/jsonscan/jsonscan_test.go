package jsonscan

import (
	"bytes"
	"encoding/json"
	"strings"
	"testing"
)

// value reads any JSON value through the scanner into what encoding/json would
// make of it, numbers kept as text.
func (s *Scanner) value() any {
	switch s.Peek() {
	case '{':
		m := map[string]any{}
		for ok := s.Enter('{'); ok; ok = s.More('}') {
			k := s.Key()
			m[k] = s.value()
		}
		return m
	case '[':
		list := []any{}
		for ok := s.Enter('['); ok; ok = s.More(']') {
			list = append(list, s.value())
		}
		return list
	case '"':
		return s.quoted()
	default:
		return json.RawMessage(s.Raw())
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
		skipping := New(doc)
		skipping.Skip()
		if ok, want := skipping.End() == nil, json.Valid(doc); ok != want {
			t.Fatalf("%q: valid is %v, want %v", doc, ok, want)
		}
		if !json.Valid(doc) {
			return
		}
		s := New(doc)
		got := s.value()
		if err := s.End(); err != nil {
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
	s := New([]byte(deep))
	s.Skip()
	if s.End() == nil {
		t.Error("a million brackets are no document")
	}
	fine := strings.Repeat("[", maxDepth) + strings.Repeat("]", maxDepth)
	s = New([]byte(fine))
	s.Skip()
	if err := s.End(); err != nil {
		t.Errorf("%d brackets: %v", maxDepth, err)
	}
}
