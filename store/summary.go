package store

import (
	"encoding/json"
	"maps"
	"slices"
	"strings"

	"github.com/postureproject/posture/device"
)

// Summary counts devices by practice, platform and verdict: what is kept of a
// posture for good.
type Summary map[string]map[string]map[device.Status]int

// Summarise counts the verdicts on devices, also on those that are folded away.
func Summarise(devices []device.Device) Summary {
	s := Summary{}
	for _, d := range devices {
		for practice, p := range d.Practices {
			if p.Status != "" {
				s.add(text(practice), text(d.Platform), device.Status(text(string(p.Status))), 1)
			}
		}
	}
	return s
}

// Add adds what another has counted, a number of times.
func (s Summary) Add(other Summary, times int) {
	for practice, platforms := range other {
		for platform, statuses := range platforms {
			for status, n := range statuses {
				s.add(practice, platform, status, n*times)
			}
		}
	}
}

func (s Summary) add(practice, platform string, status device.Status, n int) {
	if s[practice] == nil {
		s[practice] = map[string]map[device.Status]int{}
	}
	if s[practice][platform] == nil {
		s[practice][platform] = map[device.Status]int{}
	}
	s[practice][platform][status] += n
}

// Statuses counts the devices of all platforms by verdict.
func (s Summary) Statuses(practice string) map[device.Status]int {
	total := map[device.Status]int{}
	for _, statuses := range s[practice] {
		for status, n := range statuses {
			total[status] += n
		}
	}
	return total
}

// Practices lists the practices counted, sorted.
func (s Summary) Practices() []string { return slices.Sorted(maps.Keys(s)) }

// encode gives the summary as kept; equal summaries give equal text.
func (s Summary) encode() (string, error) {
	b, err := json.Marshal(s)
	return string(b), err
}

func decodeSummary(kept string) (Summary, error) {
	s := Summary{}
	err := json.Unmarshal([]byte(kept), &s)
	return s, err
}

// text makes a name from outside one that every database can hold.
func text(s string) string {
	return strings.ReplaceAll(strings.ToValidUTF8(s, "\uFFFD"), "\x00", "")
}
