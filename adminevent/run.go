package adminevent

import (
	"cmp"
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
	people   int64
	failed   int64
	failures map[failureKey]*failures
}

type failureKey struct{ source, code string }

// failures are those of one source with one code.
type failures struct {
	people int64
	single []Event // nil once there are too many
	latest Event
}

// NewRun starts gathering for the run of an id.
func (r *Recorder) NewRun(id string, c Context) *Run {
	return &Run{recorder: r, id: id, context: c, failures: map[failureKey]*failures{}}
}

// Add takes the answer about one person. Each person is to be added once, when
// nothing more is tried for them.
func (n *Run) Add(p device.Posture) {
	events := FromPosture(p, n.context)
	now := n.recorder.o.Now()
	n.mu.Lock()
	defer n.mu.Unlock()
	n.people++
	if len(events) > 0 {
		n.failed++
	}
	for _, e := range events {
		e.CreatedAt, e.LastOccurredAt = now, now
		key := failureKey{e.Source, e.Code}
		f := n.failures[key]
		if f == nil {
			f = &failures{}
			n.failures[key] = f
		}
		f.people++
		f.latest = e
		if f.people < CollapseAt {
			f.single = append(f.single, e)
		} else {
			f.single = nil
		}
	}
}

// Close records what the run gathered, and empties it. A run in which nothing
// failed leaves nothing.
func (n *Run) Close(ctx context.Context) {
	n.mu.Lock()
	events := n.events()
	n.failures, n.people, n.failed = map[failureKey]*failures{}, 0, 0
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
	if n.failed == 0 {
		return nil
	}
	var (
		events []Event
		counts = map[string]int64{}
		latest Event
	)
	for key, f := range n.failures {
		counts[key.source] += f.people
		if latest.LastOccurredAt.Before(f.latest.LastOccurredAt) {
			latest = f.latest
		}
		if f.people < CollapseAt {
			events = append(events, f.single...)
			continue
		}
		e := fold(f.latest)
		e.Message = clip(fmt.Sprintf("%s failed for %d people in one run; the latest: %s", e.Source, f.people, f.latest.Message), maxMessage)
		e.Hint = HintFor(e.Domain, e.Resource.Type, e.Code)
		e.NumOccurrences, e.AffectedCount = f.people, f.people
		events = append(events, e)
	}
	return append(events, n.summary(counts, latest))
}

// summary makes the event about the run as a whole.
func (n *Run) summary(counts map[string]int64, latest Event) Event {
	var sources []string
	for source, people := range counts {
		sources = append(sources, fmt.Sprintf("%s for %d", source, people))
	}
	slices.SortFunc(sources, func(a, b string) int { return cmp.Compare(a, b) })
	return Event{
		Type: TypeGeneric, Level: LevelWarning, Domain: DomainChecks, Code: CodeRunIncomplete,
		Resource: Resource{Type: ResourceBatchRun, ID: n.id, Name: n.id},
		Message:  clip(fmt.Sprintf("%d of %d people are incomplete: failed %s", n.failed, n.people, strings.Join(sources, ", ")), maxMessage),
		Trigger:  n.context.Trigger, Operation: n.context.Operation, AdHoc: n.context.AdHoc, LastActor: n.context.Actor, RequestID: n.context.RequestID,
		AffectedCount: n.failed, CreatedAt: latest.CreatedAt, LastOccurredAt: latest.LastOccurredAt,
	}
}
