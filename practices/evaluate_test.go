package practices_test

import (
	"maps"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/practices"
)

var synced = time.Date(2026, 11, 20, 8, 0, 0, 0, time.UTC)

// findings gives a record on a platform with one finding.
func findings(platform, key string, value *bool, details string) device.Device {
	return device.Device{Platform: platform, Practices: map[string]device.Practice{key: {Value: value, Details: details}}}
}

func TestEvaluate_keyPractices(t *testing.T) {
	t.Parallel()
	yes, no := device.Bool(true), device.Bool(false)
	tests := []struct {
		name, raw, key string
		device         device.Device
		status         device.Status
		details        string
	}{
		{"true", "", "encryption", findings("Mac", "encryption", yes, "disk0"), device.OK, "disk0"},
		{"false", "", "encryption", findings("Mac", "encryption", no, "disk0"), device.Warn, "disk0"},
		{"false, by configuration", `{"encryption": {"STATUS_IF_MISSING": "nudge"}}`, "encryption", findings("Mac", "encryption", no, ""), device.Nudge, ""},
		{"null", "", "encryption", findings("Mac", "encryption", nil, "no drive"), device.Unknown, "no drive"},
		{"no record", "", "encryption", device.Device{Platform: "Mac"}, device.Unknown, "No source has reported on this."},
		{"platform not applicable", "", "adbstatus", findings("Mac", "adbstatus", no, ""), device.NA, ""},
		{"platform in another spelling", "", "adbstatus", findings("macOS", "adbstatus", no, ""), device.NA, ""},
		{"platform always ok", "", "encryption", findings("ChromeOS", "encryption", no, ""), device.OK, ""},
		{"platform from the system", "", "encryption", device.Device{OS: "Chrome OS 142"}, device.OK, ""},
		{"na before ok", `{"x": {"NA_PLATFORMS": "Mac", "OK_PLATFORMS": "Mac"}}`, "x", findings("Mac", "x", yes, ""), device.NA, ""},
		{"no platform, required", "", "adbstatus", findings("", "adbstatus", yes, ""), device.NA, ""},
		{"no platform, not required", "", "encryption", findings("", "encryption", yes, ""), device.OK, ""},
		{"by another key", `{"disk": {"KEY": "fde"}}`, "disk", findings("Mac", "fde", yes, ""), device.OK, ""},
		{"not in the policy, true", "", "moat", findings("Mac", "moat", yes, "wet"), device.OK, "wet"},
		{"not in the policy, false", "", "moat", findings("Mac", "moat", no, "dry"), device.Nudge, "dry"},
		{"not in the policy, null", "", "moat", findings("Mac", "moat", nil, ""), device.Unknown, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := evaluate(t, tt.raw, tt.key, tt.device)
			if got.Status != tt.status || got.Details != tt.details {
				t.Errorf("status %s, details %q; want %s, %q", got.Status, got.Details, tt.status, tt.details)
			}
		})
	}
}

func TestEvaluate_unknownKeyKeepsItsFinding(t *testing.T) {
	t.Parallel()
	found := device.Practice{Value: device.Bool(true), Details: "wet", LastUpdated: synced}
	got := evaluate(t, "", "moat", device.Device{Practices: map[string]device.Practice{"moat": found}})
	want := found
	want.Status, want.Title = device.OK, "moat"
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("moat (-want +got):\n%s", diff)
	}
}

func TestEvaluate_gaps(t *testing.T) {
	t.Parallel()
	jamf := practices.Gap{
		Source: "jamf", Practices: []string{"encryption", "uptodate", "remotelogin"}, Software: true,
		Platforms: []string{"Mac"}, Reason: "no answer within 5 s",
	}
	anywhere := practices.Gap{Source: "file", Practices: []string{"encryption", "adbstatus"}}
	const reason = "jamf could not be asked: no answer within 5 s"
	inventory := &device.Software{Installed: []device.Application{{Name: "Other"}}}
	tests := []struct {
		name, key string
		device    device.Device
		status    device.Status
		details   string
	}{
		{"no evidence", "encryption", device.Device{Platform: "Mac"}, device.Unknown, reason + "\nfile could not be asked."},
		{"null is no evidence", "remotelogin", findings("Mac", "remotelogin", nil, "odd"), device.Unknown, reason + "\nodd"},
		{"evidence", "encryption", findings("Mac", "encryption", device.Bool(false), ""), device.Warn, ""},
		{"another platform", "remotelogin", device.Device{Platform: "Windows"}, device.Unknown, "No source has reported on this."},
		{"no platform beats na", "remotelogin", device.Device{}, device.Unknown, reason},
		{"no platform and nobody failed", "unknownsources", device.Device{}, device.NA, ""},
		{"not applicable all the same", "adbstatus", device.Device{Platform: "Mac"}, device.NA, ""},
		{"software without inventory", "sentinel", device.Device{Platform: "Mac"}, device.Unknown, reason},
		{"software without inventory and platform", "sentinel", device.Device{}, device.Unknown, reason},
		{"software with inventory", "sentinel", device.Device{Platform: "Mac", Software: inventory}, device.Nudge, ""},
		{"system without version", "uptodate", device.Device{Platform: "Mac"}, device.Unknown, reason},
		{"system with version", "uptodate", device.Device{Platform: "Mac", OSVersion: "27.2"}, device.OK, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := evaluate(t, "", tt.key, tt.device, jamf, anywhere)
			if got.Status != tt.status || got.Details != tt.details {
				t.Errorf("status %s, details %q; want %s, %q", got.Status, got.Details, tt.status, tt.details)
			}
		})
	}
}

func TestEvaluate_texts(t *testing.T) {
	t.Parallel()
	const raw = `{"x": {
		"DISPLAY_TITLE": {"ok": "Fine", "default": "Not fine"}, "DESCRIPTION": "Why.", "LINK": "/x", "DISPLAY": false,
		"DIRECTIONS": {"Windows 10": "ten", "Windows": "any", "Mac": "mac", "iOS": "i", "Linux": "tux", "default": "rest"}
	}}`
	tests := []struct{ platform, os, version, directions string }{
		{"Windows", "Windows 10", "10.0.19045", "ten"},
		{"Windows", "Windows 11", "10.0.26100", "any"},
		{"Windows", "", "", "any"},
		{"Mac", "Mac OS X", "10.15.7", "mac"},
		{"iOS", "iPadOS", "26.1", "i"},
		{"Linux", "Ubuntu", "24.04", "tux"},
		{"Android", "Android", "16", "rest"},
		{"", "", "", "rest"},
	}
	for _, tt := range tests {
		got := evaluate(t, raw, "x", device.Device{
			Platform: tt.platform, OS: tt.os, OSVersion: tt.version,
			Practices: map[string]device.Practice{"x": {Value: device.Bool(tt.platform != "Mac"), LastUpdated: synced}},
		})
		if got.Directions != tt.directions {
			t.Errorf("directions on %s %s = %q, want %q", tt.platform, tt.os, got.Directions, tt.directions)
		}
		title := map[bool]string{true: "Fine", false: "Not fine"}[tt.platform != "Mac"]
		if got.Title != title || got.Description != "Why." || got.Link != "/x" || *got.Display || !got.LastUpdated.Equal(synced) {
			t.Errorf("texts on %s = %+v", tt.platform, got)
		}
	}
	one := evaluate(t, `{"x": {"DISPLAY_TITLE": "Always", "DIRECTIONS": "Do."}}`, "x", device.Device{})
	if one.Title != "Always" || one.Directions != "Do." {
		t.Errorf("texts = %+v", one)
	}
	if none := evaluate(t, `{"x": {"DISPLAY_TITLE": {"ok": "Fine"}}}`, "x", device.Device{}); none.Title != "x" {
		t.Errorf("title without text = %q, want the key", none.Title)
	}
}

func TestEvaluate_leavesSharedMapsAlone(t *testing.T) {
	t.Parallel()
	shared := map[string]device.Practice{"encryption": {Value: device.Bool(true)}, "moat": {Value: device.Bool(true)}}
	before := maps.Clone(shared)
	d := device.Device{Platform: "Mac", Practices: shared}
	policy(t, "").Evaluate(&d, nil)
	if diff := cmp.Diff(before, shared); diff != "" {
		t.Errorf("the shared map changed (-before +after):\n%s", diff)
	}
}

func TestEvaluate_again(t *testing.T) {
	t.Parallel()
	p := policy(t, `{"disk": {"KEY": "fde"}}`)
	gaps := []practices.Gap{{Source: "jamf", Practices: []string{"firewall"}, Reason: "down"}}
	d := device.Device{
		Platform: "Mac", OS: "macOS", OSVersion: "15.1", LastSync: synced,
		Practices: map[string]device.Practice{"uptodate": {Value: device.Bool(false), Details: "2 updates"}, "moat": {}, "fde": {Value: device.Bool(true)}},
		Software:  &device.Software{Installed: []device.Application{{Name: "SentinelOne", Version: "24.1"}}},
	}
	p.Evaluate(&d, gaps)
	once := maps.Clone(d.Practices)
	if got := once["disk"].Status; got != device.OK {
		t.Errorf("disk is %s", got)
	}
	p.Evaluate(&d, gaps)
	if diff := cmp.Diff(once, d.Practices); diff != "" {
		t.Errorf("the second evaluation changed (-first +second):\n%s", diff)
	}
}
