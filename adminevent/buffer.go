package adminevent

import (
	"cmp"
	"slices"
	"time"
)

// buffer holds what is not saved yet: occurrences of one fingerprint together, as
// long as they follow one another within the window. How much it holds is
// bounded; what goes beyond is counted on its source. It is not safe for
// concurrent use.
type buffer struct {
	window time.Duration
	most   int // events
	open   map[string]*Event
	sealed []Event // earlier episodes of what is open again
	storms storms
}

func newBuffer(o Options) *buffer {
	return &buffer{window: o.DedupeWindow, most: o.MaxPending, open: map[string]*Event{}, storms: newStorms(o.DedupeWindow, o.StormLimit)}
}

func (b *buffer) len() int { return len(b.open) + len(b.sealed) }

// add takes an event in, and tells whether it had to be counted on its source,
// and under which fingerprint it counts.
func (b *buffer) add(e Event) (key string, folded bool) {
	key = Fingerprint(e)
	if _, pending := b.open[key]; e.Resource.Type != ResourceSource && (b.storms.exceeds(e, key) || !pending && b.len() >= b.most) {
		e, folded = fold(e), true
		key = Fingerprint(e)
	}
	have, pending := b.open[key]
	switch {
	case !pending:
		b.open[key] = &e
	case e.CreatedAt.Sub(have.LastOccurredAt) > b.window && b.len() < b.most:
		b.sealed = append(b.sealed, *have)
		b.open[key] = &e
	default:
		have.merge(e)
	}
	return key, folded
}

// merge adds the occurrences of a further event. What may change from one to the
// next is the latest one's.
func (e *Event) merge(other Event) {
	created, n, affected := e.CreatedAt, e.NumOccurrences+other.NumOccurrences, e.AffectedCount
	if !other.LastOccurredAt.Before(e.LastOccurredAt) {
		*e = other
		e.AffectedCount = cmp.Or(other.AffectedCount, affected)
	}
	if created.Before(other.CreatedAt) {
		e.CreatedAt = created
	} else {
		e.CreatedAt = other.CreatedAt
	}
	e.NumOccurrences = n
}

// take empties the buffer up to so many events.
func (b *buffer) take(most int) []Event {
	n := min(most, len(b.sealed))
	taken := slices.Clone(b.sealed[:n])
	b.sealed = slices.Delete(b.sealed, 0, n)
	for key, e := range b.open { // an episode comes after those before it
		if len(taken) >= most {
			break
		}
		taken = append(taken, *e)
		delete(b.open, key)
	}
	return taken
}

// storms notices when one source fails for so many subjects that to list them
// singly would help nobody. It remembers, for every source and code, the first
// ones within a window; these go on to be counted singly.
type storms struct {
	window time.Duration
	limit  int
	seen   map[stormKey]*storm
}

// maxStorms bounds how many pairs of source and code are watched. More would
// mean that somebody invents them.
const maxStorms = 1000

type stormKey struct {
	source, code string
	adHoc        bool
}

type storm struct {
	since time.Time
	keys  map[string]struct{}
}

func newStorms(window time.Duration, limit int) storms {
	return storms{window: window, limit: limit, seen: map[stormKey]*storm{}}
}

// exceeds reports whether an event is one too many to be kept by itself.
func (s *storms) exceeds(e Event, key string) bool {
	pair := stormKey{e.Source, e.Code, e.AdHoc}
	now := e.LastOccurredAt
	st := s.seen[pair]
	if st == nil || now.Sub(st.since) > s.window || now.Before(st.since.Add(-s.window)) {
		if st == nil && len(s.seen) >= maxStorms {
			clear(s.seen)
		}
		st = &storm{since: now, keys: map[string]struct{}{}}
		s.seen[pair] = st
	}
	if _, known := st.keys[key]; known {
		return false
	}
	if len(st.keys) >= s.limit {
		return true
	}
	st.keys[key] = struct{}{}
	return false
}

// fold makes of an event about a subject one about its source.
func fold(e Event) Event {
	name := cmp.Or(e.Source, "posture")
	e.Domain, e.Resource = DomainSources, Resource{Type: ResourceSource, ID: name, Name: name}
	e.Message = clip("more subjects failed alike than are listed singly; the latest: "+e.Message, maxMessage)
	return e
}
