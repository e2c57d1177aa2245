package batch

import (
	"crypto/rand"
	"encoding/hex"
	"maps"
	"slices"
	"time"

	"github.com/postureproject/posture/device"
)

// Phase says what a run is busy with. Phases follow one another and are durable:
// a resumed run goes on with the one that it was in.
type Phase int

// The phases.
const (
	Reading  Phase = iota // listings and people
	Scanning              // everybody once
	Retrying              // those whose sources failed, once more
	Sending               // the summary
	Over
)

// String gives the phase's name, as commands and the API show it.
func (p Phase) String() string {
	names := [...]string{"listing", "scanning", "retrying", "sending", "finished"}
	if p < 0 || int(p) >= len(names) {
		return "unknown"
	}
	return names[p]
}

// State is how far a person is.
type State string

// The states.
const (
	Pending State = "pending"
	// Waiting is whoever had a failed source in the first round, until the second.
	Waiting State = "waiting"
	Done    State = "done"
	Partial State = "partial" // some source failed, also the second time
	Failed  State = "failed"  // every source failed
)

// Settled reports whether a person is through with.
func (s State) Settled() bool { return s == Done || s == Partial || s == Failed }

// Statistics counts devices by practice and status.
type Statistics map[string]map[device.Status]int

// Count counts the verdicts on devices. All devices count, also those that are
// folded away.
func Count(devices []device.Device) Statistics {
	s := Statistics{}
	for _, d := range devices {
		for key, p := range d.Practices {
			if p.Status == "" {
				continue
			}
			if s[key] == nil {
				s[key] = map[device.Status]int{}
			}
			s[key][p.Status]++
		}
	}
	return s
}

// Add adds what another has counted.
func (s Statistics) Add(other Statistics) {
	for key, counts := range other {
		if s[key] == nil {
			s[key] = map[device.Status]int{}
		}
		for status, n := range counts {
			s[key][status] += n
		}
	}
}

// Clone gives a copy.
func (s Statistics) Clone() Statistics {
	c := Statistics{}
	c.Add(s)
	return c
}

// Practices lists the practices counted, sorted.
func (s Statistics) Practices() []string { return slices.Sorted(maps.Keys(s)) }

// Run is one run over many people. Its JSON is what `posture batch --json` ends
// with; the further fields are in [Detail].
type Run struct {
	ID         string     `json:"run"`
	People     int        `json:"people"`
	Devices    int        `json:"devices"`
	Complete   int        `json:"complete"`
	Partial    int        `json:"partial"`
	Failed     int        `json:"failed"`
	Statistics Statistics `json:"statistics"`
	StartedAt  time.Time  `json:"started_at"`
	// FinishedAt is nil while the run is not finished.
	FinishedAt *time.Time `json:"finished_at"`
	// Resumed reports whether the run was interrupted at least once.
	Resumed bool `json:"resumed"`

	Phase Phase `json:"-"`
	// Given reports whether the people were named by the caller; else they are
	// those whom sources list and who own devices.
	Given       bool `json:"-"`
	CollectOnly bool `json:"-"`
	Scheduled   bool `json:"-"` // started by the schedule
	// Plan stands for the sources, sinks and settings that the run goes by; only
	// workers with the same take its shards.
	Plan string `json:"-"`
	// Sent is the address up to which the summary was sent.
	Sent string `json:"-"`
}

// Settled counts the people who are through.
func (r Run) Settled() int { return r.Complete + r.Partial + r.Failed }

// Finished reports whether nothing is left to do.
func (r Run) Finished() bool { return r.FinishedAt != nil }

// take counts one person.
func (r *Run) take(p Person) {
	r.People++
	r.Devices += p.Devices
	r.Statistics.Add(p.Statistics)
	switch p.State {
	case Done:
		r.Complete++
	case Partial, Waiting:
		r.Partial++
	case Failed:
		r.Failed++
	case Pending:
	}
}

// Detail is a run with how its listings fared.
type Detail struct {
	Run
	State       string    `json:"state"` // "running", "interrupted" or "finished"
	Phase       string    `json:"phase"`
	CollectOnly bool      `json:"collect_only"`
	Scheduled   bool      `json:"scheduled"`
	Listings    []Listing `json:"listings,omitempty"` // only of one run alone
}

// NewID makes the id of a run that starts now. Ids sort by time.
func NewID(now time.Time) string {
	var random [4]byte
	_, _ = rand.Read(random[:]) // crypto/rand.Read never fails
	return now.UTC().Format("20060102T150405.000Z")[:19] + "-" + hex.EncodeToString(random[:])
}
