package adminevent

import (
	"context"
	"fmt"
	"slices"
	"strings"
	"sync"

	"github.com/postureproject/posture/device"
)

// CollapseAt is how many people a source must fail for alike, in one run, for
// these failures to become one event about the source.
const CollapseAt = 25

// Run gathers the failures of one run over many people. Until a source has failed
// for [CollapseAt] of them with one code, they are events of their own; from then
// on they are one event about the source that says how many people it affects.
// Its memory does not grow with the number of people. It is safe for concurrent
// use.
type Run struct {
	recorder *Recorder
	id       string
	context  Context

	mu       sync.Mutex
	failed   int64 // people
	people   recent
	failures map[failureKey]*failures
}

type failureKey struct{ source, code string }

// failures are those of one source with one code.
type failures struct {
	people int64
	recent recent
	single []Event // of people; nil once there are too many
	listed *Event  // about the source itself
	latest Event
}

// NewRun starts gathering for the run of an id.
func (r *Recorder) NewRun(id string, c Context) *Run {
	return &Run{recorder: r, id: id, context: c, failures: map[failureKey]*failures{}}
}

// Add takes the answer about one person, when nothing more is tried for them.
func (n *Run) Add(p device.Posture) { n.Fail(User(p.Email), p.Sources...) }

// Fail takes outcomes of one person, or of a source that was asked about everybody
// at once; those that are no failures are passed over. However many outcomes of a
// person one reason explains, they count once, provided that they come before
// those of a thousand others.
func (n *Run) Fail(about Resource, outcomes ...device.Outcome) {
	events := FromOutcomes(about, outcomes, n.context)
	if len(events) == 0 {
		return
	}
	now := n.recorder.o.Now()
	n.mu.Lock()
	defer n.mu.Unlock()
	person := about.Type != ResourceSource
	if person && n.people.add(subjectOf(about)) {
		n.failed++
	}
	for _, e := range events {
		e.CreatedAt, e.LastOccurredAt = now, now
		key := failureKey{e.Source, e.Code}
		if n.failures[key] == nil {
			n.failures[key] = &failures{}
		}
		n.failures[key].add(e, person)
	}
}

func (f *failures) add(e Event, person bool) {
	f.latest = e
	switch {
	case !person:
		f.listed = &e
	case !f.recent.add(subjectOf(e.Resource)):
	case f.people+1 < CollapseAt:
		f.people++
		f.single = append(f.single, e)
	default:
		f.people++
		f.single = nil
	}
}

// remembered is how many subjects a [recent] knows.
const remembered = 1024

// recent remembers the latest subjects.
type recent struct {
	ring  []string
	next  int
	known map[string]struct{}
}

// add remembers a subject, and tells whether it was not known.
func (r *recent) add(subject string) bool {
	if _, known := r.known[subject]; known {
		return false
	}
	if r.known == nil {
		r.known = map[string]struct{}{}
	}
	if len(r.ring) < remembered {
		r.ring = append(r.ring, subject)
	} else {
		delete(r.known, r.ring[r.next])
		r.ring[r.next] = subject
		r.next = (r.next + 1) % remembered
	}
	r.known[subject] = struct{}{}
	return true
}

// Close records what the run gathered, and empties it. A run in which nothing
// failed leaves nothing.
func (n *Run) Close(ctx context.Context) {
	n.mu.Lock()
	events := n.events()
	n.failures, n.people, n.failed = map[failureKey]*failures{}, recent{}, 0
	n.mu.Unlock()
	n.recorder.Record(ctx, events...)
	if len(events) == 0 {
		return
	}
	if err := n.recorder.Flush(ctx); err != nil {
		n.recorder.o.Logger.WarnContext(ctx, "the run's administration events stay in memory for now", "run", n.id, "error", err.Error())
	}
}

// events gives what is to be recorded: of each source and code, and of the run.
func (n *Run) events() []Event {
	var (
		events []Event
		latest Event
		counts []string
	)
	for key, f := range n.failures {
		if latest.LastOccurredAt.Before(f.latest.LastOccurredAt) {
			latest = f.latest
		}
		if f.people > 0 {
			counts = append(counts, fmt.Sprintf("%s for %d (%s)", key.source, f.people, key.code))
		}
		if f.people >= CollapseAt {
			events = append(events, f.collapsed())
			continue
		}
		events = append(events, f.single...)
		if f.listed != nil {
			events = append(events, *f.listed)
		}
	}
	if n.failed == 0 {
		return events
	}
	slices.Sort(counts)
	return append(events, Event{
		Type: TypeGeneric, Level: LevelWarning, Domain: DomainChecks, Code: CodeRunIncomplete,
		Resource: Resource{Type: ResourceBatchRun, ID: n.id, Name: n.id},
		Message:  clip(fmt.Sprintf("%d people are incomplete; what failed: %s", n.failed, strings.Join(counts, ", ")), maxMessage),
		Trigger:  n.context.Trigger, Operation: n.context.Operation, AdHoc: n.context.AdHoc, LastActor: n.context.Actor, RequestID: n.context.RequestID,
		AffectedCount: n.failed, CreatedAt: latest.CreatedAt, LastOccurredAt: latest.LastOccurredAt,
	})
}

// collapsed makes one event about the source of what failed for many people.
func (f *failures) collapsed() Event {
	e := fold(f.latest)
	e.Message = clip(fmt.Sprintf("%s failed for %d people in one run; the latest: %s", e.Source, f.people, f.latest.Message), maxMessage)
	e.Hint = HintFor(e.Domain, e.Resource.Type, e.Code)
	e.NumOccurrences, e.AffectedCount = f.people, f.people
	return e
}
