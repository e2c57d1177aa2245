package practices_test

import (
	"testing"

	"github.com/postureproject/posture/device"
)

const linesPolicy = `{"uptodate": {
	"REQUIRED_VERSIONS": {
		"Mac OS X": {"26": "26.1", "15": "15.7", "14": "14.8"}, "Windows 11": "10.0.22631", "Android": 13, "Ubuntu": "22.04",
		"iOS": "18", "iPadOS": "17", "default": "2"
	},
	"RECOMMENDED_VERSIONS": {"macOS": {"26": "26.2", "15": "15.7.1"}, "Windows 11": "10.0.26100", "Android": "14"},
	"UNSUPPORTED_OS": ["Windows 7", "Windows 8", "Windows 10"]
}}`

func TestEvaluate_systemVersion(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name, os, version, build string
		status                   device.Status
		details, about           string
	}{
		{"newest line", "macOS", "26.2", "", device.OK, "", "26.2"},
		{"numeric, not by letter", "macOS", "26.10", "", device.OK, "", "26.10"},
		{"behind recommended", "macOS", "26.1", "", device.Nudge, "The recommended version of macOS is 26.2.", "26.1"},
		{"below required", "macOS", "26.0.1", "", device.Warn, "The recommended version of macOS is 26.2.", "26.0.1"},
		{"patched older line", "macOS", "15.7.1", "", device.OK, "", "15.7.1"},
		{"older line behind", "OS X", "15.7", "", device.Nudge, "The recommended version of macOS is 15.7.1.", "15.7"},
		{"line older than all recommended", "macOS", "14.8.1", "", device.Nudge, "The recommended version of macOS is 15.7.1.", "14.8.1"},
		{"ended line", "Mac OS X", "13.7.8", "", device.Warn, "macOS 13 is no longer supported.", "13.7.8"},
		{"ancient", "Mac OS X", "10.15.7", "", device.Warn, "macOS 10 is no longer supported.", "10.15.7"},
		{"between lines", "macOS", "16.0", "", device.Warn, "The recommended version of macOS is 26.2.", "16.0"},
		{"newer than all", "macOS", "28.0", "", device.OK, "", "28.0"},
		{"with a build", "macOS", "15.7.1 (24G231)", "", device.OK, "", "15.7.1 (24G231)"},
		{"with a word", "macOS", "Version 15.7.1 (Build 24G231)", "", device.OK, "", "Version 15.7.1 (Build 24G231)"},
		{"version behind the name", "macOS 15.6", "", "", device.Warn, "The recommended version of macOS is 15.7.1.", "15.6"},
		{"name before the version", "macOS", "macOS 15.6", "", device.Warn, "The recommended version of macOS is 15.7.1.", "macOS 15.6"},
		{"only a build", "macOS", "24G231", "", device.Unknown, "The version 24G231 of macOS cannot be compared.", "24G231"},
		{"nonsense", "macOS", "Sequoia", "", device.Unknown, "The version Sequoia of macOS cannot be compared.", "Sequoia"},
		{"no version", "macOS", "", "", device.Unknown, "No source has reported the version of the system.", ""},
		{"unsupported family", "Windows 7", "6.1.7601", "", device.Warn, "Windows 7 is no longer supported.", "6.1.7601"},
		{"unsupported family by version", "Windows", "6.2.9200", "", device.Warn, "Windows 8 is no longer supported.", "6.2.9200"},
		{"unsupported family without version", "Windows 10 Pro", "", "", device.Warn, "Windows 10 is no longer supported.", ""},
		{"windows 10 by build", "Windows 11", "10.0.19045", "", device.Warn, "Windows 10 is no longer supported.", "10.0.19045"},
		{"windows 11 by build", "Microsoft Windows 10 Enterprise Edition, 64-bit", "10.0.26100.4061", "", device.OK, "", "10.0.26100.4061"},
		{"windows 11 behind", "Windows 11", "10.0.22631", "", device.Nudge, "The recommended version of Windows 11 is 10.0.26100.", "10.0.22631"},
		{"windows 11 below", "Windows 11", "10.0.22000", "", device.Warn, "The recommended version of Windows 11 is 10.0.26100.", "10.0.22000"},
		{"windows by build alone", "Windows", "26100", "", device.OK, "", "10.0.26100"},
		{"windows with build elsewhere", "Windows 11 Pro", "23H2", "22631.4037", device.Nudge, "The recommended version of Windows 11 is 10.0.26100.", "10.0.22631"},
		{"windows with the old kernel number", "Windows 10", "6.3", "26100", device.OK, "", "10.0.26100"},
		{"windows without build", "Windows 11", "10.0", "", device.Unknown, "The version 10.0 of Windows 11 cannot be compared.", "10.0"},
		{"windows with a wordy build", "Windows 11", "10.0 (Build 22631)", "", device.Nudge, "The recommended version of Windows 11 is 10.0.26100.", "10.0.22631"},
		{"windows server is another system", "Windows Server 2025", "10.0.26100", "", device.OK, "", "10.0.26100"},
		{"a number in the configuration", "Android", "12.0.0", "", device.Warn, "The recommended version of Android is 14.", "12.0.0"},
		{"android", "Android 13", "", "", device.Nudge, "The recommended version of Android is 14.", "13"},
		{"ipad by its own entry", "iPadOS", "17.7", "", device.OK, "", "17.7"},
		{"iphone os", "iPhone OS", "17.7", "", device.Warn, "The recommended version of iOS is 18.", "17.7"},
		{"distribution", "Ubuntu 24.04.1 LTS", "", "", device.OK, "", "24.04.1 LTS"},
		{"the rest", "Haiku", "1.9", "", device.Warn, "The recommended version of Haiku is 2.", "1.9"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := evaluate(t, linesPolicy, "uptodate", device.Device{OS: tt.os, OSVersion: tt.version, OSBuild: tt.build, LastSync: synced})
			if got.Status != tt.status || got.Details != tt.details || got.Version != tt.about {
				t.Errorf("status %s, details %q, version %q; want %s, %q, %q", got.Status, got.Details, got.Version, tt.status, tt.details, tt.about)
			}
			if judged := got.Status != device.Unknown || tt.version != ""; judged && !got.LastUpdated.Equal(synced) {
				t.Errorf("last updated %v, want the time of the last synchronisation", got.LastUpdated)
			}
		})
	}
}

// The worse of the version's verdict and the source's finding holds, and both
// tell their details.
func TestEvaluate_systemAndFinding(t *testing.T) {
	t.Parallel()
	yes, no := device.Bool(true), device.Bool(false)
	tests := []struct {
		name, os, version string
		value             *bool
		status            device.Status
		details           string
	}{
		{"good version, updates pending", "macOS", "26.2", no, device.Warn, "from source"},
		{"good version, none pending", "macOS", "26.2", yes, device.OK, "from source"},
		{"good version, nothing found", "macOS", "26.2", nil, device.OK, "from source"},
		{"behind, none pending", "macOS", "26.1", yes, device.Nudge, "The recommended version of macOS is 26.2.\nfrom source"},
		{"behind, updates pending", "macOS", "26.1", no, device.Warn, "The recommended version of macOS is 26.2.\nfrom source"},
		{"ended, none pending", "macOS", "12", yes, device.Warn, "macOS 12 is no longer supported.\nfrom source"},
		{"unreadable, none pending", "macOS", "Tahoe", yes, device.Unknown, "The version Tahoe of macOS cannot be compared.\nfrom source"},
		{"unreadable, updates pending", "macOS", "Tahoe", no, device.Warn, "The version Tahoe of macOS cannot be compared.\nfrom source"},
		{"no version, none pending", "macOS", "", yes, device.OK, "from source"},
		{"not listed, none pending", "ChromeOS", "142", yes, device.OK, "from source"},
		{"not listed, updates pending", "ChromeOS", "142", no, device.Warn, "from source"},
		{"not listed, nothing found", "ChromeOS", "142", nil, device.Unknown, "from source"},
	}
	const raw = `{"uptodate": {"REQUIRED_VERSIONS": {"macOS": {"26": "26.0", "14": "14.0"}}, "RECOMMENDED_VERSIONS": {"macOS": "26.2"}}}`
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := findings("", "uptodate", tt.value, "from source")
			d.OS, d.OSVersion = tt.os, tt.version
			got := evaluate(t, raw, "uptodate", d)
			if got.Status != tt.status || got.Details != tt.details {
				t.Errorf("status %s, details %q; want %s, %q", got.Status, got.Details, tt.status, tt.details)
			}
		})
	}
}

func TestEvaluate_messages(t *testing.T) {
	t.Parallel()
	const raw = `{"uptodate": {
		"REQUIRED_VERSIONS": {"macOS": {"26": "26.1"}}, "RECOMMENDED_VERSIONS": {}, "UNSUPPORTED_MSG": "{os} ended; you have {current}.",
		"RECOMMENDED_MSG": "Go from {current} to {version} of {os}."
	}}`
	for version, want := range map[string]string{
		"15.1": "macOS 15 ended; you have 15.1.", "26.0": "Go from 26.0 to 26.1 of macOS.",
	} {
		if got := evaluate(t, raw, "uptodate", device.Device{OS: "macOS", OSVersion: version}); got.Details != want {
			t.Errorf("details of %s = %q, want %q", version, got.Details, want)
		}
	}
}

// The default policy knows the systems of late 2026.
func TestDefaults_versions(t *testing.T) {
	t.Parallel()
	tests := []struct {
		os, version string
		status      device.Status
	}{
		{"macOS", "27.2", device.OK},
		{"macOS", "26.7.2", device.OK},
		{"macOS", "15.8.2", device.OK},
		{"macOS", "26.7", device.Nudge},
		{"macOS", "26.1", device.Warn},
		{"macOS", "14.8.8", device.Warn},
		{"iOS", "27.1", device.OK},
		{"iPadOS", "26.7", device.OK},
		{"iOS", "18.7.10", device.Nudge},
		{"iOS", "17.7", device.Warn},
		{"Windows", "10.0.26200", device.OK},
		{"Windows", "10.0.26300", device.OK},
		{"Windows", "10.0.26100", device.Nudge},
		{"Windows", "10.0.22631", device.Warn},
		{"Windows", "10.0.19045", device.Warn},
		{"Android", "17", device.OK},
		{"Android", "14.0.0", device.Nudge},
		{"Android", "13.0.0", device.Warn},
		{"ChromeOS", "156.0.8000", device.OK},
		{"ChromeOS", "120.0", device.Warn},
		{"Ubuntu", "24.04", device.OK},
		{"Ubuntu", "20.04", device.Warn},
		{"Debian GNU/Linux", "13", device.OK},
		{"Fedora", "43", device.Unknown},
	}
	for _, tt := range tests {
		if got := evaluate(t, "", "uptodate", device.Device{OS: tt.os, OSVersion: tt.version}); got.Status != tt.status {
			t.Errorf("%s %s is %s (%s), want %s", tt.os, tt.version, got.Status, got.Details, tt.status)
		}
	}
}
