package elastic_test

import (
	"encoding/json"
	"regexp"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/fault"
	simulator "github.com/postureproject/posture/internal/simulator/elastic"
	"github.com/postureproject/posture/internal/simulator/simhttp"
)

const templateName = "posture-device-" + prefix

func TestTemplate(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		installed string // before; empty: none
		puts      bool
	}{
		"none":  {puts: true},
		"older": {installed: `{"index_patterns":["x"],"version":0}`, puts: true},
		"same":  {installed: `{"index_patterns":["x"],"version":1}`},
		"newer": {installed: `{"index_patterns":["x"],"version":7}`},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, url := newCluster(t, simulator.Options{})
			if tc.installed != "" {
				s.PutTemplate(templateName, json.RawMessage(tc.installed))
			}
			checkErrors(t, deliver(t, batch(t, url), laptop("a")), "")
			var got struct {
				Patterns []string `json:"index_patterns"`
				Version  int      `json:"version"`
			}
			if err := json.Unmarshal(s.Template(templateName), &got); err != nil {
				t.Fatal(err)
			}
			if ours := cmp.Equal([]string{prefix + "2*"}, got.Patterns); ours != tc.puts {
				t.Errorf("installed %s", s.Template(templateName))
			}
		})
	}
}

// A cluster that is made anew while Posture runs gets the template again before
// any document, so that no index is made without it.
func TestTemplate_afterTheClusterWasAway(t *testing.T) {
	t.Parallel()
	s, url := newCluster(t, simulator.Options{})
	sink := batch(t, url)
	checkErrors(t, deliver(t, sink, laptop("a")), "")
	s.RemoveTemplate(templateName)
	checkErrors(t, deliver(t, sink, laptop("b")), "")
	if s.Template(templateName) != nil {
		t.Error("the template is asked for at every delivery")
	}
	s.Faults.Add(simhttp.Fault{Drop: true, Times: 1})
	checkErrors(t, deliver(t, sink, laptop("c")), "unavailable")
	checkErrors(t, deliver(t, sink, laptop("c")), "")
	if s.Template(templateName) == nil {
		t.Error("no template")
	}
}

// Without its template nothing is written: an index with guessed types would have
// to be made anew by hand.
func TestTemplate_cannotBeInstalled(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		fault  simhttp.Fault
		kind   string
		remedy string
	}{
		"forbidden": {simhttp.Fault{Status: 403, Body: `{"error":{"type":"security_exception","reason":"unauthorized"}}`}, "forbidden", "manage_index_templates"},
		"refused":   {simhttp.Fault{Status: 400, Body: `{"error":{"type":"illegal_argument_exception","reason":"same priority"}}`}, "unavailable", ""},
		"garbage":   {simhttp.Fault{Body: "<html>"}, "unavailable", ""},
		"down":      {simhttp.Fault{Status: 503}, "unavailable", ""},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, url := newCluster(t, simulator.Options{})
			tc.fault.Path = regexp.MustCompile(`^/_index_template/`)
			s.Faults.Add(tc.fault)
			sink := batch(t, url)
			errs := deliver(t, sink, laptop("a"), laptop("b"))
			checkErrors(t, errs, tc.kind, tc.kind)
			if !strings.Contains(fault.RemedyOf(errs[0]), tc.remedy) {
				t.Errorf("remedy %q", fault.RemedyOf(errs[0]))
			}
			if len(s.Indices()) != 0 {
				t.Errorf("indices %v without a template", s.Indices())
			}
			left := batch(t, url, map[string]any{"ELASTICSEARCH_TEMPLATE": false})
			checkErrors(t, deliver(t, left, laptop("a")), "")
			s.Faults.Clear()
			checkErrors(t, deliver(t, sink, laptop("a"), laptop("b")), "", "")
		})
	}
}

func TestConnectivity(t *testing.T) {
	t.Parallel()
	const password, key = "hunter2hunter2", "c2VjcmV0LWtleQ=="
	user := map[string]any{"ELASTICSEARCH_USERNAME": "posture", "ELASTICSEARCH_PASSWORD": password}
	secured := simulator.Options{Username: "posture", Password: password}
	denied := func(privileges ...string) simulator.Options {
		o := secured
		o.Denied = privileges
		return o
	}
	head := `cluster "simulated", Elasticsearch 8.19.0, indices "stethoscope_devices-*", `
	coming := `, index template "` + templateName + `" comes with the first document`
	tests := map[string]struct {
		o        simulator.Options
		settings map[string]any
		fault    simhttp.Fault
		detail   string
		kind     fault.Kind
		text     string
	}{
		"no security":     {detail: head + "no privileges to check, as security is off" + coming},
		"password":        {o: secured, settings: user, detail: head + "privileges suffice" + coming},
		"key":             {o: simulator.Options{APIKey: key}, settings: map[string]any{"ELASTICSEARCH_API_KEY": key}, detail: head + "privileges suffice" + coming},
		"wrong key":       {o: simulator.Options{APIKey: "other"}, settings: map[string]any{"ELASTICSEARCH_API_KEY": key}, kind: fault.Unauthenticated, text: "401"},
		"no log-in":       {o: secured, kind: fault.Unauthenticated, text: "401"},
		"may not write":   {o: denied("create_doc", "auto_configure"), settings: user, kind: fault.Forbidden, text: "auto_configure, create_doc"},
		"no templates":    {o: denied("manage_index_templates"), settings: user, kind: fault.Forbidden, text: "manage_index_templates"},
		"other software":  {o: simulator.Options{Foreign: true}, kind: fault.BadResponse, text: "does not say that it is Elasticsearch"},
		"down":            {fault: simhttp.Fault{Status: 503}, kind: fault.Unavailable, text: "503"},
		"privileges fail": {o: secured, settings: user, fault: simhttp.Fault{Path: regexp.MustCompile("has_privileges"), Status: 500}, kind: fault.Unavailable, text: "500"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s, url := newCluster(t, tc.o)
			if tc.fault.Status != 0 {
				s.Faults.Add(tc.fault)
			}
			detail, err := batch(t, url, tc.settings).TestConnectivity(t.Context())
			if detail != tc.detail {
				t.Errorf("detail %q, want %q", detail, tc.detail)
			}
			if (tc.detail == "") != (err != nil) {
				t.Errorf("error %v", err)
			}
			if err != nil {
				checkError(t, err, tc.kind, tc.text)
				if strings.Contains(err.Error(), password) || strings.Contains(err.Error(), key) {
					t.Errorf("a secret shows in %v", err)
				}
			}
			if len(s.Indices()) != 0 {
				t.Errorf("the test wrote into %v", s.Indices())
			}
		})
	}
}

// A template that an administrator looks after needs no privilege and no request.
func TestConnectivity_templateLeftAlone(t *testing.T) {
	t.Parallel()
	s, url := newCluster(t, simulator.Options{APIKey: "k", Denied: []string{"manage_index_templates"}})
	settings := map[string]any{"ELASTICSEARCH_API_KEY": "k", "ELASTICSEARCH_TEMPLATE": false}
	detail, err := batch(t, url, settings).TestConnectivity(t.Context())
	if err != nil || !strings.HasSuffix(detail, "index template left to the administrator") {
		t.Errorf("%q, %v", detail, err)
	}
	if n := s.Faults.RequestsMatching(regexp.MustCompile("_index_template")); n != 0 {
		t.Errorf("%d requests for a template", n)
	}
}
