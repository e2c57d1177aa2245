package device

import "time"

// The weights of what a record says about a practice, see [Practice.weight].
const (
	weightNone       = iota // nothing
	weightNAByChance        // does not apply, but only because the record has no platform
	weightDetails           // unknown, with the reason
	weightNA                // does not apply
	weightValue             // the source's finding, of which the policy could make nothing
	weightVerdict           // a verdict, or a finding not yet judged
)

// weight says how much a record of a device with this platform knows about a practice.
func (p *Practice) weight(platform string) int {
	switch {
	case p.Status == OK, p.Status == Nudge, p.Status == Warn:
		return weightVerdict
	case p.Value != nil && p.Status == "":
		return weightVerdict
	case p.Value != nil:
		return weightValue
	case p.Status == NA && platform != "":
		return weightNA
	case p.Status == NA:
		return weightNAByChance
	case p.Details != "":
		return weightDetails
	default:
		return weightNone
	}
}

// severity orders verdicts, and findings not yet judged, by how bad they are.
func (p *Practice) severity() int {
	switch {
	case p.Status == Warn:
		return 3
	case p.Status == Nudge, p.Status == "" && p.Value != nil && !*p.Value:
		return 2
	case p.Status == OK, p.Status == "" && p.Value != nil:
		return 1
	default:
		return 0
	}
}

// finding is the best evidence on one practice so far.
type finding struct {
	best   Practice // with the time that counts
	weight int
	dated  bool // the practice itself had a time
	// value is the newest finding of a source, for a verdict that came without one.
	value   *bool
	valueAt time.Time
}

// consider takes over what another record, last heard from at synced, says when
// it is better evidence. Of equals the first stays.
func (f *finding) consider(p *Practice, weight int, synced time.Time) {
	dated := !p.LastUpdated.IsZero()
	if !dated {
		p.LastUpdated = synced
	}
	if p.Value != nil {
		c := p.LastUpdated.Compare(f.valueAt)
		if f.value == nil || c > 0 || (c == 0 && *f.value && !*p.Value) {
			f.value, f.valueAt = p.Value, p.LastUpdated
		}
	}
	if f.yieldsTo(p, weight) {
		f.best, f.weight, f.dated = *p, weight, dated
	}
}

func (f *finding) yieldsTo(p *Practice, weight int) bool {
	if weight != f.weight {
		return weight > f.weight
	}
	if c := p.LastUpdated.Compare(f.best.LastUpdated); c != 0 {
		return c > 0
	}
	return p.severity() > f.best.severity()
}

// practice gives the outcome for a device last heard from at synced. A practice
// without a time of its own is as old as its record: it gets the record's time
// when the device has a newer one.
func (f *finding) practice(synced time.Time) Practice {
	p := f.best
	if !f.dated && p.LastUpdated.Equal(synced) {
		p.LastUpdated = time.Time{}
	}
	if p.Value == nil {
		p.Value = f.value
	}
	return p
}

// practices gives, for each practice that one of the records has, the best
// evidence.
func (b *builder) practices(records []int32, synced time.Time) map[string]Practice {
	b.findings.reset()
	for _, rec := range records {
		r := &b.ix.records[rec]
		for key, p := range r.Practices {
			b.findings.of(key).consider(&p, p.weight(r.Platform), r.LastSync)
		}
	}
	n := len(b.findings.keys)
	if n == 0 {
		return nil
	}
	out := make(map[string]Practice, n)
	bools := make([]bool, 0, 2*n)
	own := func(p *bool) *bool {
		if p == nil {
			return nil
		}
		bools = append(bools, *p)
		return &bools[len(bools)-1]
	}
	for i, key := range b.findings.keys {
		p := b.findings.list[i].practice(synced)
		p.Value, p.Display = own(p.Value), own(p.Display)
		out[key] = p
	}
	return out
}

// findings holds a finding for each practice. A few, as is usual, are found
// faster by looking through all than by a map.
type findings struct {
	keys  []string
	list  []finding
	byKey map[string]int
}

const fewFindings = 24

func (f *findings) reset() {
	f.keys, f.list = f.keys[:0], f.list[:0]
	clear(f.byKey)
}

// of gives the finding for a practice. It is valid until the next call.
func (f *findings) of(key string) *finding {
	for i, k := range f.keys[:min(len(f.keys), fewFindings)] {
		if k == key {
			return &f.list[i]
		}
	}
	n := len(f.keys)
	if n >= fewFindings {
		if i, found := f.byKey[key]; found {
			return &f.list[i]
		}
		if f.byKey == nil {
			f.byKey = make(map[string]int)
		}
		f.byKey[key] = n
	}
	f.keys = append(f.keys, key)
	f.list = append(f.list, finding{weight: -1})
	return &f.list[n]
}
