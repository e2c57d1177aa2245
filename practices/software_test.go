package practices_test

import (
	"testing"

	"github.com/postureproject/posture/device"
)

const agentPolicy = `{
	"agent": {
		"SOFTWARE_NAMES": ["Agent", "Agent Pro*"], "SERVICE_NAMES": "agentd", "STATUS_IF_MISSING": "warn",
		"REQUIRED_VERSIONS": {"macOS": "1.9", "Windows": {"3": "3.1", "2": "2.5"}}, "RECOMMENDED_VERSIONS": {"macOS": "1.10.2", "Linux": "4"}
	},
	"free": {"SOFTWARE_NAMES": ["Ägent"]}
}`

func app(name, version string) device.Application {
	return device.Application{Name: name, Version: version}
}

func TestEvaluate_software(t *testing.T) {
	t.Parallel()
	none := []device.Application(nil)
	tests := []struct {
		name, os string
		apps     []device.Application
		services []string
		status   device.Status
		details  string
		version  string
	}{
		{"good", "macOS", []device.Application{app("Agent", "1.10.2")}, nil, device.OK, "Suggested Version: 1.10.2\nYour Version: 1.10.2", "1.10.2"},
		{"behind", "macOS", []device.Application{app("Agent", "1.10")}, nil, device.Nudge, "Suggested Version: 1.10.2\nYour Version: 1.10", "1.10"},
		{"below", "macOS", []device.Application{app("Agent", "1.8.7")}, nil, device.Warn, "Suggested Version: 1.10.2\nYour Version: 1.8.7", "1.8.7"},
		{"unreadable", "macOS", []device.Application{app("Agent", "beta")}, nil, device.Unknown, "Suggested Version: 1.10.2\nYour Version: beta", "beta"},
		{"no version", "macOS", []device.Application{app("Agent", "")}, nil, device.Unknown, "Suggested Version: 1.10.2\nYour Version: not reported", ""},
		{"only recommended", "Ubuntu", []device.Application{app("Agent", "3")}, nil, device.Nudge, "Suggested Version: 4\nYour Version: 3", "3"},
		{"lines by family", "Windows 11", []device.Application{app("Agent", "2.6")}, nil, device.OK, "Suggested Version: 2.5\nYour Version: 2.6", "2.6"},
		{"ended line", "Windows 11", []device.Application{app("Agent", "1.0")}, nil, device.Warn, "Suggested Version: 3.1\nYour Version: 1.0", "1.0"},
		{"nothing required", "Haiku", []device.Application{app("Agent", "0.1")}, nil, device.OK, "Your Version: 0.1", "0.1"},
		{"nothing required, no version", "Haiku", []device.Application{app("Agent", "")}, nil, device.OK, "", ""},
		{"service, nothing required", "Haiku", none, []string{"AgentD"}, device.OK, "", ""},
		{"service cannot show its version", "macOS", none, []string{"agentd"}, device.Unknown, "Suggested Version: 1.10.2\nYour Version: not reported", ""},
		{"case and space", "macOS", []device.Application{app(" aGENT ", "2")}, nil, device.OK, "Suggested Version: 1.10.2\nYour Version: 2", "2"},
		{"by beginning", "macOS", []device.Application{app("agent PRO 7", "2")}, nil, device.OK, "Suggested Version: 1.10.2\nYour Version: 2", "2"},
		{"whole names only", "macOS", []device.Application{app("Agent Helper", "2"), app("An Agent", "2")}, nil, device.Warn, "", ""},
		{"no match", "macOS", []device.Application{app("Other", "1")}, nil, device.Warn, "", ""},
		{"empty inventory", "macOS", none, nil, device.Unknown, "No source has reported what is installed.", ""},
		{"best of several", "macOS", []device.Application{app("Agent", "1.0"), app("Agent Pro", "1.10"), app("Agent", "1.11")}, []string{"agentd"}, device.OK, "Suggested Version: 1.10.2\nYour Version: 1.11", "1.11"},
		{"a known failure before a suggestion", "macOS", []device.Application{app("Agent", "1.10"), app("Agent Pro", "1.0")}, nil, device.Warn, "Suggested Version: 1.10.2\nYour Version: 1.0", "1.0"},
		{"newest of equals", "macOS", []device.Application{app("Agent", "1.11"), app("Agent", "1.12"), app("Agent", "1.2")}, nil, device.OK, "Suggested Version: 1.10.2\nYour Version: 1.12", "1.12"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			software := &device.Software{LastScan: synced, Installed: tt.apps}
			for _, name := range tt.services {
				software.Services = append(software.Services, device.Service{Name: name})
			}
			d := device.Device{OS: tt.os, Software: software}
			if tt.os == "Ubuntu" {
				d.Platform = "Linux"
			}
			got := evaluate(t, agentPolicy, "agent", d)
			if got.Status != tt.status || got.Details != tt.details || got.Version != tt.version {
				t.Errorf("status %s, details %q, version %q; want %s, %q, %q", got.Status, got.Details, got.Version, tt.status, tt.details, tt.version)
			}
			if listed := len(tt.apps)+len(tt.services) > 0; listed != got.LastUpdated.Equal(synced) {
				t.Errorf("last updated %v", got.LastUpdated)
			}
		})
	}
}

func TestEvaluate_softwareEvidence(t *testing.T) {
	t.Parallel()
	services := &device.Software{Services: []device.Service{{Name: "cron"}}}
	tests := []struct {
		name, key string
		device    device.Device
		status    device.Status
	}{
		{"no inventory", "agent", device.Device{OS: "macOS"}, device.Unknown},
		{"a finding instead of an inventory", "agent", findings("Mac", "agent", device.Bool(true), ""), device.OK},
		{"a finding against", "agent", findings("Mac", "agent", device.Bool(false), ""), device.Warn},
		{"services do not list applications", "free", device.Device{OS: "macOS", Software: services}, device.Unknown},
		{"services list services", "agent", device.Device{OS: "macOS", Software: services}, device.Warn},
		{"letters beyond ASCII", "free", device.Device{OS: "macOS", Software: &device.Software{Installed: []device.Application{app("ÄGENT", "")}}}, device.OK},
		{"default sensors", "carbonblack", device.Device{Platform: "Mac", Software: &device.Software{Installed: []device.Application{app("CbOsxSensorService", "7.3.1")}}}, device.OK},
		{"default sensors missing", "sentinel", device.Device{Platform: "Windows", Software: &device.Software{Installed: []device.Application{app("Word", "16")}}}, device.Nudge},
		{"no sensors on phones", "sentinel", device.Device{Platform: "iOS"}, device.NA},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := evaluate(t, agentPolicy, tt.key, tt.device); got.Status != tt.status {
				t.Errorf("status %s (%s), want %s", got.Status, got.Details, tt.status)
			}
		})
	}
}
