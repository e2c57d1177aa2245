// Package adminevent keeps the story of what failed: which scan, at which
// source, why, how often. It makes events out of a scan's outcomes, gives each an
// identity under which repetitions are counted, and records them through a
// [Store] without losing or inventing an occurrence. A success makes no event,
// and neither does a scan that did not take place.
//
// It imports device and fault; how events are kept and shown is for others.
package adminevent

import (
	"fmt"
	"strings"
	"time"

	"github.com/postureproject/posture/fault"
)

// Event is one sort of failure of one subject at one source, with all its
// occurrences within an episode. Names in JSON follow the administration events
// of StackRox, of which this is a superset.
type Event struct {
	ID       string   `json:"id"` // a UUID; given by the store
	Type     Type     `json:"type"`
	Level    Level    `json:"level"`
	Message  string   `json:"message"` // of the latest occurrence; holds no secret
	Hint     string   `json:"hint"`    // what to do; lines that begin with "- "
	Domain   string   `json:"domain"`
	Resource Resource `json:"resource"` // what failed

	Code      string `json:"code"`      // why, for programs
	Source    string `json:"source"`    // the plugin at fault; "" when none is
	Trigger   string `json:"trigger"`   // by what way it was asked for, of the latest occurrence
	Operation string `json:"operation"` // what was being done, of the latest occurrence
	AdHoc     bool   `json:"adHoc"`     // whether somebody asked for it, in contrast to a run by itself
	LastActor string `json:"lastActor"` // who asked for it last
	RequestID string `json:"requestId"` // of the latest occurrence, to be found in the log
	// AffectedCount is how many people one collapsed event stands for, in the
	// latest run; 0 for an event about a single subject.
	AffectedCount int64 `json:"affectedCount"`

	NumOccurrences int64     `json:"numOccurrences"`
	CreatedAt      time.Time `json:"createdAt"`      // the first occurrence
	LastOccurredAt time.Time `json:"lastOccurredAt"` // the latest one
}

// Resource is what an event is about. ID or Name may be empty, not both.
type Resource struct {
	Type string `json:"type"`
	ID   string `json:"id"`
	Name string `json:"name"`
}

// The domains: which part of Posture an event concerns.
const (
	DomainChecks  = "Posture Checks"
	DomainSources = "Data Sources"
)

// The types of resources.
const (
	ResourceUser     = "User"
	ResourceDevice   = "Device"
	ResourceSource   = "Data Source"
	ResourceBatchRun = "Batch Run"
)

// The triggers: by what way a scan was asked for.
const (
	TriggerCLI     = "cli"
	TriggerAPI     = "api"
	TriggerWeb     = "web"
	TriggerNightly = "nightly"
)

// Type says how an event came about.
type Type uint8

// The types of events. Scans make generic ones.
const (
	TypeUnknown Type = iota
	TypeGeneric
	TypeLogMessage
)

// Level says how bad an event is.
type Level uint8

// The levels of events.
const (
	LevelUnknown Level = iota
	LevelInfo
	LevelSuccess
	LevelWarning
	LevelError
)

const (
	typePrefix  = "ADMINISTRATION_EVENT_TYPE_"
	levelPrefix = "ADMINISTRATION_EVENT_LEVEL_"
)

func typeNames() []string  { return []string{"UNKNOWN", "GENERIC", "LOG_MESSAGE"} }
func levelNames() []string { return []string{"UNKNOWN", "INFO", "SUCCESS", "WARNING", "ERROR"} }

// String gives the name as it stands in JSON.
func (t Type) String() string { return typePrefix + nameOf(int(t), typeNames()) }

// MarshalText implements [encoding.TextMarshaler].
func (t Type) MarshalText() ([]byte, error) { return []byte(t.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler]. It takes the name with or
// without its prefix, in any case.
func (t *Type) UnmarshalText(text []byte) error {
	i, err := parseName("type", string(text), typePrefix, typeNames())
	*t = Type(i)
	return err
}

// String gives the name as it stands in JSON.
func (l Level) String() string { return levelPrefix + l.Word() }

// Word gives the name without its prefix, such as ERROR.
func (l Level) Word() string { return nameOf(int(l), levelNames()) }

// MarshalText implements [encoding.TextMarshaler].
func (l Level) MarshalText() ([]byte, error) { return []byte(l.String()), nil }

// UnmarshalText implements [encoding.TextUnmarshaler]. It takes the name with or
// without its prefix, in any case.
func (l *Level) UnmarshalText(text []byte) error {
	i, err := parseName("level", string(text), levelPrefix, levelNames())
	*l = Level(i)
	return err
}

func nameOf(i int, names []string) string {
	if i < len(names) {
		return names[i]
	}
	return names[0]
}

func parseName(field, text, prefix string, names []string) (int, error) {
	bare := strings.TrimPrefix(strings.ToUpper(strings.TrimSpace(text)), prefix)
	for i, name := range names {
		if bare == name {
			return i, nil
		}
	}
	return 0, fault.InvalidField(field, clip(text, 80), "is not known", fmt.Sprintf("write one of %s", strings.Join(names, ", ")))
}

// check tells what an event lacks to be recorded.
func (e Event) check() error {
	for _, f := range []struct{ name, value string }{
		{"domain", e.Domain},
		{"code", e.Code},
		{"message", e.Message},
		{"resource.type", e.Resource.Type},
		{"resource.id", e.Resource.ID + e.Resource.Name},
	} {
		if f.value == "" {
			return fault.InvalidField(f.name, "", "is empty", "")
		}
	}
	return nil
}
