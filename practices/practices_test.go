package practices_test

import (
	"encoding/json"
	"errors"
	"fmt"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/practices"
)

// policy makes a policy of the defaults with raw laid over them.
func policy(t testing.TB, raw string) *practices.Policy {
	t.Helper()
	p, err := practices.New(json.RawMessage(raw), practices.Options{})
	if err != nil {
		t.Fatalf("New: %v", err)
	}
	return p
}

// evaluate gives one practice of a device.
func evaluate(t testing.TB, raw, key string, d device.Device, gaps ...practices.Gap) device.Practice {
	t.Helper()
	policy(t, raw).Evaluate(&d, gaps)
	p, ok := d.Practices[key]
	if !ok {
		t.Fatalf("no practice %q in %v", key, d.Practices)
	}
	return p
}

func TestNew_defaults(t *testing.T) {
	t.Parallel()
	want := []string{
		"jailed", "encryption", "uptodate", "autoupdate", "firewall", "remotelogin", "screenlock",
		"sentinel", "carbonblack", "unknownsources", "adbstatus",
	}
	for _, raw := range []string{"", "null", " {} "} {
		if diff := cmp.Diff(want, policy(t, raw).Keys()); diff != "" {
			t.Errorf("Keys of %q (-want +got):\n%s", raw, diff)
		}
	}
	p, err := practices.New(practices.Defaults(), practices.Options{})
	if err != nil {
		t.Fatalf("New(Defaults()): %v", err)
	}
	if diff := cmp.Diff(want, p.Keys()); diff != "" {
		t.Errorf("Keys of the defaults laid over themselves (-want +got):\n%s", diff)
	}
}

// Every default practice has texts for everybody who may have to follow it.
func TestDefaults_texts(t *testing.T) {
	t.Parallel()
	systems := map[string]string{
		"Mac": "macOS", "Windows": "Windows 11", "iOS": "iOS", "Android": "Android", "ChromeOS": "ChromeOS", "Linux": "Ubuntu",
	}
	p := policy(t, "")
	for platform, os := range systems {
		d := device.Device{Platform: platform, OS: os}
		p.Evaluate(&d, nil)
		for key, got := range d.Practices {
			if got.Title == "" || got.Title == key || got.Description == "" || got.Directions == "" {
				t.Errorf("%s on %s lacks a text: %+v", key, platform, got)
			}
			if got.Display == nil || !*got.Display {
				t.Errorf("%s on %s is hidden", key, platform)
			}
		}
	}
}

func TestNew_addsAndReplaces(t *testing.T) {
	t.Parallel()
	p := policy(t, `{
		"zebra": {"DISPLAY_TITLE": "Zebra", "status_if_missing": "warn"},
		"Encryption": {"display_title": "Disk", "Link": "https://help.example.com/disk"},
		"apple": {"KEY": "fruit", "DISPLAY_TITLE": {"warn": "No apple", "default": "Apple"}}
	}`)
	keys := p.Keys()
	if diff := cmp.Diff([]string{"adbstatus", "zebra", "apple"}, keys[len(keys)-3:]); diff != "" {
		t.Errorf("order of added practices (-want +got):\n%s", diff)
	}
	d := device.Device{Platform: "Mac", Practices: map[string]device.Practice{
		"zebra": {Value: device.Bool(false)}, "fruit": {Value: device.Bool(false)}, "encryption": {Value: device.Bool(false)},
	}}
	p.Evaluate(&d, nil)
	if got := d.Practices["zebra"]; got.Status != device.Warn || got.Title != "Zebra" {
		t.Errorf("zebra = %+v", got)
	}
	if got := d.Practices["apple"]; got.Status != device.Nudge || got.Title != "Apple" {
		t.Errorf("apple = %+v", got)
	}
	got := d.Practices["encryption"]
	if got.Title != "Disk" || got.Link != "https://help.example.com/disk" {
		t.Errorf("encryption was not replaced: %+v", got)
	}
	if got.Status != device.Warn || !strings.Contains(got.Directions, "FileVault") {
		t.Errorf("encryption lost defaults that were not given: %+v", got)
	}
	if _, ok := d.Practices["fruit"]; ok {
		t.Error("the finding that apple judges shows twice")
	}
}

func TestNew_problems(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, raw, path, reason, remedy string }{
		{"not an object", `[]`, "practices", "must be an object", ""},
		{"broken", `{"a":`, "practices", "must be an object", ""},
		{"practice not an object", `{"encryption": true}`, "practices.encryption", "not true or false", ""},
		{"practice null", `{"encryption": null}`, "practices.encryption", "not empty", ""},
		{"practice twice", `{"firewall": {}, "Firewall": {}}`, "practices.Firewall", "given twice", ""},
		{"practice without key", `{" ": {}}`, "practices. ", "must have a key", ""},
		{"unknown setting", `{"encryption": {"DISPLAY_TITEL": "x"}}`, "practices.encryption.DISPLAY_TITEL", "not a setting", "did you mean DISPLAY_TITLE?"},
		{"far-off setting", `{"encryption": {"zzz": "x"}}`, "practices.encryption.zzz", "not a setting", "use one of KEY, "},
		{"setting twice", `{"encryption": {"LINK": "/a", "link": "/b"}}`, "practices.encryption.link", "given twice", ""},
		{"setting null", `{"encryption": {"LINK": null}}`, "practices.encryption.LINK", "is empty", "leave it out"},
		{"empty key", `{"encryption": {"KEY": ""}}`, "practices.encryption.KEY", "must not be empty", ""},
		{"title of a number", `{"encryption": {"DISPLAY_TITLE": 1}}`, "practices.encryption.DISPLAY_TITLE", "not a number", ""},
		{"title for no status", `{"encryption": {"DISPLAY_TITLE": {"good": "x"}}}`, "practices.encryption.DISPLAY_TITLE.good", "not a status", ""},
		{"title not text", `{"encryption": {"DISPLAY_TITLE": {"ok": []}}}`, "practices.encryption.DISPLAY_TITLE.ok", "not a list", ""},
		{"description", `{"encryption": {"DESCRIPTION": {}}}`, "practices.encryption.DESCRIPTION", "not an object", ""},
		{"directions twice", `{"encryption": {"DIRECTIONS": {"OS X": "a", "macOS": "b"}}}`, "practices.encryption.DIRECTIONS.macOS", "same as another", ""},
		{"directions for nobody", `{"encryption": {"DIRECTIONS": {"": "a"}}}`, "practices.encryption.DIRECTIONS.", "must name", ""},
		{"link", `{"encryption": {"LINK": "javascript:alert(1)"}}`, "practices.encryption.LINK", "not an address", "https://"},
		{"display", `{"encryption": {"DISPLAY": "yes"}}`, "practices.encryption.DISPLAY", "not a text", ""},
		{"status", `{"encryption": {"STATUS_IF_MISSING": "bad"}}`, "practices.encryption.STATUS_IF_MISSING", "not a status", "ok, nudge, warn"},
		{"platforms", `{"encryption": {"NA_PLATFORMS": {"a": 1}}}`, "practices.encryption.NA_PLATFORMS", "not an object", ""},
		{"platform entry", `{"encryption": {"NA_PLATFORMS": ["Mac", 3]}}`, "practices.encryption.NA_PLATFORMS.1", "not a number", ""},
		{"empty name", `{"sentinel": {"SOFTWARE_NAMES": ["a", " "]}}`, "practices.sentinel.SOFTWARE_NAMES.1", "empty entry", ""},
		{"versions not per system", `{"uptodate": {"REQUIRED_VERSIONS": "26"}}`, "practices.uptodate.REQUIRED_VERSIONS", "not a text", `{"macOS": "26.7"}`},
		{"version", `{"uptodate": {"REQUIRED_VERSIONS": {"macOS": "Tahoe"}}}`, "practices.uptodate.REQUIRED_VERSIONS.macOS", "not a version", "26.7.2"},
		{"version with a build", `{"uptodate": {"REQUIRED_VERSIONS": {"macOS": "26.1 (25B78)"}}}`, "practices.uptodate.REQUIRED_VERSIONS.macOS", "not a version", ""},
		{"version a number", `{"uptodate": {"REQUIRED_VERSIONS": {"macOS": 15.1}}}`, "practices.uptodate.REQUIRED_VERSIONS.macOS", "must not be a number", `"15.10"`},
		{"version a list", `{"uptodate": {"REQUIRED_VERSIONS": {"macOS": ["26"]}}}`, "practices.uptodate.REQUIRED_VERSIONS.macOS", "not a list", ""},
		{"no lines", `{"uptodate": {"REQUIRED_VERSIONS": {"macOS": {}}}}`, "practices.uptodate.REQUIRED_VERSIONS.macOS", "no line", ""},
		{"line name", `{"uptodate": {"REQUIRED_VERSIONS": {"macOS": {"26.x": "26.7"}}}}`, "practices.uptodate.REQUIRED_VERSIONS.macOS.26.x", "not the beginning", ""},
		{"system twice", `{"uptodate": {"REQUIRED_VERSIONS": {"Mac OS X": "15", "macOS": "26"}}}`, "practices.uptodate.REQUIRED_VERSIONS.macOS", "same as another", ""},
		{"placeholder", `{"uptodate": {"UNSUPPORTED_MSG": "{os} {version}"}}`, "practices.uptodate.UNSUPPORTED_MSG", "not filled in", "{os}, {current}"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			_, err := practices.New(json.RawMessage(tt.raw), practices.Options{})
			var e *fault.Error
			if !errors.As(err, &e) || e.Kind != fault.Invalid || len(e.Fields) != 1 {
				t.Fatalf("New: %v, want one Invalid field", err)
			}
			f := e.Fields[0]
			if f.Name != tt.path || !strings.Contains(f.Reason, tt.reason) || !strings.Contains(f.Remedy, tt.remedy) {
				t.Errorf("field = %+v, want %s: %s; %s", f, tt.path, tt.reason, tt.remedy)
			}
		})
	}
}

func TestNew_allProblemsAtOnce(t *testing.T) {
	t.Parallel()
	_, err := practices.New(json.RawMessage(`{
		"uptodate": {"REQUIRED_VERSIONS": {"macOS": "x", "iOS": "26"}, "LINKS": "", "DISPLAY": 1},
		"firewall": 3
	}`), practices.Options{})
	var e *fault.Error
	if !errors.As(err, &e) {
		t.Fatalf("New: %v", err)
	}
	got := []string{}
	for _, f := range e.Fields {
		got = append(got, f.Name)
	}
	want := []string{
		"practices.uptodate.REQUIRED_VERSIONS.macOS", "practices.uptodate.LINKS", "practices.uptodate.DISPLAY", "practices.firewall",
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("problems (-want +got):\n%s", diff)
	}
}

func FuzzNew(f *testing.F) {
	f.Add([]byte(`{"uptodate": {"REQUIRED_VERSIONS": {"macOS": {"26": "26.7"}, "iOS": 26}}}`))
	f.Add([]byte(`{"x": {"DISPLAY_TITLE": {"ok": "a"}, "SOFTWARE_NAMES": "a*", "NA_PLATFORMS": ["Mac"]}}`))
	f.Add([]byte(`{"a": null, "": [], "A": {"KEY": 1e9}}`))
	f.Add([]byte(practices.Defaults()))
	f.Fuzz(func(t *testing.T, raw []byte) {
		p, err := practices.New(raw, practices.Options{})
		if err != nil {
			var e *fault.Error
			if !errors.As(err, &e) || e.Kind != fault.Invalid || len(e.Fields) == 0 {
				t.Fatalf("New: %v is not about fields", err)
			}
			return
		}
		d := device.Device{Platform: "Mac", OS: "macOS", OSVersion: "26.1", Software: &device.Software{Installed: []device.Application{{Name: "a"}}}}
		p.Evaluate(&d, nil)
		if len(d.Practices) != len(p.Keys()) {
			t.Fatalf("%d practices of %d were judged", len(d.Practices), len(p.Keys()))
		}
	})
}

func BenchmarkPolicy_Evaluate(b *testing.B) {
	p := policy(b, "")
	apps := []device.Application{{Name: "SentinelOne", Version: "24.2.1"}, {Name: "CbOsxSensorService", Version: "7.3.1"}}
	for i := len(apps); i < 50; i++ {
		apps = append(apps, device.Application{Name: fmt.Sprintf("Application %02d", i), Version: "1.2.3"})
	}
	yes, no := device.Bool(true), device.Bool(false)
	record := device.Device{
		Platform: "Mac", OS: "macOS", OSVersion: "26.7.2", Software: &device.Software{Installed: apps},
		Practices: map[string]device.Practice{
			"encryption": {Value: yes, Details: "Macintosh HD: Encrypted (100%)"}, "uptodate": {Value: yes}, "autoupdate": {Value: no},
			"firewall": {Value: yes}, "remotelogin": {Value: yes}, "screenlock": {Value: yes},
		},
	}
	b.ReportAllocs()
	for b.Loop() {
		d := record
		p.Evaluate(&d, nil)
	}
}
