package transforms_test

import (
	"bytes"
	"encoding/json"
	"errors"
	"maps"
	"slices"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/santhosh-tekuri/jsonschema/v6"

	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/transforms"
)

// problem is what a field of an Invalid error should say.
type problem struct{ name, reason, remedy string }

func wantProblems(t *testing.T, err error, want ...problem) {
	t.Helper()
	var e *fault.Error
	if !errors.As(err, &e) || e.Kind != fault.Invalid || len(e.Fields) != len(want) {
		t.Fatalf("error %v, want %d Invalid fields", err, len(want))
	}
	for i, f := range e.Fields {
		if f.Name != want[i].name || !strings.Contains(f.Reason, want[i].reason) || !strings.Contains(f.Remedy, want[i].remedy) {
			t.Errorf("field %+v, want %+v", f, want[i])
		}
	}
}

// construct makes a transform by name and keeps only the error.
func construct(name, raw string) error {
	var err error
	switch name {
	case transforms.NameREFilter:
		_, err = transforms.NewREFilter(json.RawMessage(raw))
	case transforms.NameMACManufacturer:
		_, err = transforms.NewMACManufacturer(json.RawMessage(raw))
	case transforms.NameVPNLabeler:
		_, err = transforms.NewVPNLabeler(json.RawMessage(raw))
	}
	return err
}

func TestSchemas(t *testing.T) {
	t.Parallel()
	schemas := transforms.Schemas()
	if diff := cmp.Diff(slices.Sorted(maps.Keys(transforms.Summaries())), slices.Sorted(maps.Keys(schemas))); diff != "" {
		t.Errorf("summaries and schemas (-summaries +schemas):\n%s", diff)
	}
	tests := map[string][]string{
		transforms.NameREFilter: {
			`{}`, `[]`, `{"PATTERN_MAP": {}}`, `{"PATTERN_MAP": {"model": "x", "identifiers.serial": "y"}}`, `{"PATTERN_MAP": {"model": 1}}`,
			`{"PATTERN_MAP": {"colour": "x"}}`, `{"PATTERN_MAP": []}`, `{"PATTERN_MAP": null}`, `{"PATTERN_MAP": {"model": null}}`, `{"X": 1}`,
		},
		transforms.NameMACManufacturer: {`{}`, `{"OUI_FILE": ""}`, `{"OUI_FILE": 1}`, `{"OUI_FILE": null}`, `{"X": 1}`, `[]`},
		transforms.NameVPNLabeler: {
			`{}`, `{"VPN_CIDRS": []}`, `{"VPN_CIDRS": ["192.0.2.0/24"]}`, `{"VPN_CIDRS": "192.0.2.0/24"}`, `{"VPN_CIDRS": [1]}`,
			`{"VPN_CIDRS": {}}`, `{"VPN_CIDRS": null}`, `{"X": 1}`,
		},
	}
	for name, inputs := range tests {
		doc, err := jsonschema.UnmarshalJSON(bytes.NewReader(schemas[name]))
		if err != nil {
			t.Fatal(err)
		}
		c := jsonschema.NewCompiler()
		if err := c.AddResource(name, doc); err != nil {
			t.Fatal(err)
		}
		s := c.MustCompile(name)
		for _, input := range inputs {
			v, err := jsonschema.UnmarshalJSON(strings.NewReader(input))
			if err != nil {
				t.Fatal(err)
			}
			bySchema, byNew := s.Validate(v), construct(name, input)
			if (bySchema == nil) != (byNew == nil) {
				t.Errorf("%s %s\n schema: %v\n constructor: %v", name, input, bySchema, byNew)
			}
		}
	}
}

func TestSettings_problems(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, raw string
		want      problem
	}{
		{transforms.NameREFilter, ``, problem{"PATTERN_MAP", "is required", "VMware"}},
		{transforms.NameREFilter, `{"PATTERNS": {}}`, problem{"PATTERNS", "not a setting", "PATTERN_MAP"}},
		{transforms.NameREFilter, `[]`, problem{"", "must be an object", ""}},
		{transforms.NameREFilter, `{"pattern_map": {}, "PATTERN_MAP": {}}`, problem{"PATTERN_MAP", "twice", ""}},
		{transforms.NameREFilter, `{"PATTERN_MAP": "x"}`, problem{"PATTERN_MAP", "must be an object", ""}},
		{transforms.NameREFilter, `{"PATTERN_MAP": {"colour": "x"}}`, problem{"PATTERN_MAP.colour", "not a text field", "identifiers.serial"}},
		{transforms.NameREFilter, `{"PATTERN_MAP": {"model": "x", "MODEL": "y"}}`, problem{"PATTERN_MAP.model", "twice", ""}},
		{transforms.NameREFilter, `{"PATTERN_MAP": {"model": ["x"]}}`, problem{"PATTERN_MAP.model", "must be a text", ""}},
		{transforms.NameREFilter, `{"PATTERN_MAP": {"model": "("}}`, problem{"PATTERN_MAP.model", "missing closing )", ""}},
		{transforms.NameREFilter, `{"PATTERN_MAP": {"model": "^(?!Mac)"}}`, problem{"PATTERN_MAP.model", "uses (?!", "look-ahead"}},
		{transforms.NameREFilter, `{"PATTERN_MAP": {"model": "(a)\\1"}}`, problem{"PATTERN_MAP.model", "escape", ""}},
		{transforms.NameMACManufacturer, `{"OUI": "x"}`, problem{"OUI", "not a setting", "OUI_FILE"}},
		{transforms.NameMACManufacturer, `{"OUI_FILE": 7}`, problem{"OUI_FILE", "must be the path", ""}},
		{transforms.NameMACManufacturer, `{"OUI_FILE": "testdata/missing"}`, problem{"OUI_FILE", "no such file", "built-in"}},
		{transforms.NameMACManufacturer, `{"OUI_FILE": "transforms_test.go"}`, problem{"OUI_FILE", "line 1", "manuf"}},
		{transforms.NameVPNLabeler, `null`, problem{"VPN_CIDRS", "is required", "192.0.2.0/24"}},
		{transforms.NameVPNLabeler, `{"CIDRS": []}`, problem{"CIDRS", "not a setting", "VPN_CIDRS"}},
		{transforms.NameVPNLabeler, `{"VPN_CIDRS": 7}`, problem{"VPN_CIDRS", "must be a list", ""}},
		{transforms.NameVPNLabeler, `{"VPN_CIDRS": ["192.0.2.0/24", "vpn.example.com"]}`, problem{"VPN_CIDRS.1", "not a network", ""}},
		{transforms.NameVPNLabeler, `{"VPN_CIDRS": ["192.0.2.0/33"]}`, problem{"VPN_CIDRS.0", "too large", ""}},
		{transforms.NameVPNLabeler, `{"VPN_CIDRS": ["192.0.2.0/-1"]}`, problem{"VPN_CIDRS.0", "not a", ""}},
		{transforms.NameVPNLabeler, `{"VPN_CIDRS": ["192.0.2.0/x"]}`, problem{"VPN_CIDRS.0", "no prefix length", ""}},
		{transforms.NameVPNLabeler, `{"VPN_CIDRS": ["192.0.2.0/255.0.255.0"]}`, problem{"VPN_CIDRS.0", "gaps", ""}},
		{transforms.NameVPNLabeler, `{"VPN_CIDRS": ["::ffff:192.0.2.0/64"]}`, problem{"VPN_CIDRS.0", "spans", ""}},
		{transforms.NameVPNLabeler, `{"VPN_CIDRS": ["192.0.2.9-192.0.2.1"]}`, problem{"VPN_CIDRS.0", "not a range", ""}},
		{transforms.NameVPNLabeler, `{"VPN_CIDRS": ["192.0.2.1-2001:db8::1"]}`, problem{"VPN_CIDRS.0", "not a range", ""}},
	}
	for _, tt := range tests {
		t.Run(tt.name+" "+tt.raw, func(t *testing.T) {
			t.Parallel()
			wantProblems(t, construct(tt.name, tt.raw), tt.want)
		})
	}
}

func TestSettings_allProblemsAtOnce(t *testing.T) {
	t.Parallel()
	wantProblems(t, construct(transforms.NameREFilter, `{"PATTERN_MAP": {"model": "(", "colour": "", "name": "a"}}`),
		problem{name: "PATTERN_MAP.colour"}, problem{name: "PATTERN_MAP.model"})
	wantProblems(t, construct(transforms.NameVPNLabeler, `{"VPN_CIDRS": ["a", "192.0.2.1", "b"]}`),
		problem{name: "VPN_CIDRS.0"}, problem{name: "VPN_CIDRS.2"})
}
