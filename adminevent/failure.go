package adminevent

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
)

// Context says in which circumstances something was scanned.
type Context struct {
	Trigger   string // by what way it was asked for
	Operation string // what was being done, such as "scan"
	AdHoc     bool   // whether somebody asked for it
	Actor     string // who
	RequestID string // to be found in the log
}

// User names a person as a resource.
func User(email string) Resource {
	return Resource{Type: ResourceUser, ID: strings.ToLower(email), Name: email}
}

// Device names a device as a resource, by its serial number or MAC address.
func Device(key string) Resource { return Resource{Type: ResourceDevice, ID: key, Name: key} }

// Source names a source as a resource, where it failed as a whole.
func Source(name string) Resource { return Resource{Type: ResourceSource, ID: name, Name: name} }

// FromPosture makes the events of an answer about a person; see [FromOutcomes].
func FromPosture(p device.Posture, c Context) []Event {
	return FromOutcomes(User(p.Email), p.Sources, c)
}

// FromOutcomes makes an event for each source that failed, one for each of its
// reasons. Sources that answered make none; neither do refusals of the request
// itself, nor what was called off by whoever asked. That nobody knows the subject
// counts only when all sources could say so.
func FromOutcomes(about Resource, outcomes []device.Outcome, c Context) []Event {
	events, _ := fromOutcomes(about, outcomes, c)
	return events
}

// fromOutcomes also tells for each outcome which of the events tells of it; -1
// when none does.
func fromOutcomes(about Resource, outcomes []device.Outcome, c Context) (events []Event, of []int) {
	allAnswered := !slices.ContainsFunc(outcomes, func(o device.Outcome) bool { return !o.OK && kindOf(o) != fault.NotFound })
	type reason struct{ source, code string }
	seen := map[reason]int{}
	of = make([]int, len(outcomes))
	domain, failedFor := DomainChecks, " failed for "+cmp.Or(about.Name, about.ID)
	if about.Type == ResourceSource {
		domain, failedFor = DomainSources, " failed"
	}
	for i, o := range outcomes {
		of[i] = -1
		if o.OK || errors.Is(o.Err(), context.Canceled) {
			continue
		}
		code, level, recorded := classify(kindOf(o))
		if !recorded || code == CodeSubjectNotFound && !allAnswered {
			continue
		}
		if first, known := seen[reason{o.Plugin, code}]; known {
			of[i] = first
			continue
		}
		of[i], seen[reason{o.Plugin, code}] = len(events), len(events)
		events = append(events, Event{
			Type: TypeGeneric, Level: level, Domain: domain, Resource: about, Code: code, Source: o.Plugin,
			Message: Clean(o.Plugin + failedFor + ": " + textOf(o)),
			Hint:    withRemedy(o.Remedy, HintFor(domain, about.Type, code)),
			Trigger: c.Trigger, Operation: c.Operation, AdHoc: c.AdHoc, LastActor: c.Actor, RequestID: c.RequestID,
			NumOccurrences: 1,
		})
	}
	return events, of
}

// kindOf gives the kind of a failure, also of one that was read back.
func kindOf(o device.Outcome) fault.Kind {
	if err := o.Err(); err != nil {
		return fault.KindOf(err)
	}
	for _, k := range fault.Kinds() {
		if k.String() == o.Kind {
			return k
		}
	}
	return fault.Internal
}

func textOf(o device.Outcome) string {
	switch {
	case o.Error != nil:
		return *o.Error
	case o.Err() != nil:
		return o.Err().Error()
	default:
		return kindOf(o).String()
	}
}
