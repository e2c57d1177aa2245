// Package practices is the policy: it judges what sources found on a device,
// practice by practice, and rates the device for people. Everything it needs is
// compiled once by [New]; evaluating is pure, quick and safe for concurrent use.
// It has no I/O and imports only device and fault.
package practices

import (
	_ "embed"
	"encoding/json"
	"strings"
	"time"

	"github.com/postureproject/posture/device"
)

// DefaultStaleAfter is how long a device may stay silent before it is folded
// away, unless [Options] say otherwise.
const DefaultStaleAfter = 30 * 24 * time.Hour

//go:embed defaults.json
var defaults string

// Options are the rules about whole devices. The zero value is usable.
type Options struct {
	// StaleAfter is how long after its last synchronisation a device is folded
	// away; 30 days when zero, never when negative.
	StaleAfter time.Duration
	// RetiredStatuses are the statuses, compared without case, of devices that
	// are out of use; only "E-Waste" when nil.
	RetiredStatuses []string
}

// Gap is a source that failed, and what it would have reported.
type Gap struct {
	Source    string   // its name
	Practices []string // the keys it reports
	Software  bool     // whether it reports installed software
	Platforms []string // the platforms it knows; all of them when empty
	Reason    string   // why it failed, for people; never a secret
}

// Policy is a compiled set of practices.
type Policy struct {
	rules   []rule
	reads   map[string]bool // the findings that some rule judges
	catalog catalog         // the software that some rule looks for
	stale   time.Duration   // never when negative
	retired map[string]bool // statuses, in lower case
}

// New lays raw, a JSON object of practice key → settings that may be empty, over
// the default practices and compiles the result. A setting that is given
// replaces the whole default of that setting; a key that no default has defines
// a new practice. Names of practices and settings match without case.
//
// Every problem is reported at once, as an Invalid error whose Fields name the
// setting by path, such as "practices.uptodate.REQUIRED_VERSIONS.macOS".
func New(raw json.RawMessage, o Options) (*Policy, error) {
	all, err := configure(raw)
	if err != nil {
		return nil, err
	}
	p := &Policy{
		rules: make([]rule, 0, len(all)), reads: make(map[string]bool, len(all)),
		stale: o.StaleAfter, retired: map[string]bool{},
	}
	if p.stale == 0 {
		p.stale = DefaultStaleAfter
	}
	if o.RetiredStatuses == nil {
		o.RetiredStatuses = []string{"E-Waste"}
	}
	for _, status := range o.RetiredStatuses {
		p.retired[strings.ToLower(strings.TrimSpace(status))] = true
	}
	for _, s := range all {
		r := compile(s)
		if r.kind == kindSoftware {
			r.software = p.catalog.add(s)
		}
		p.reads[r.key] = true
		p.rules = append(p.rules, r)
	}
	return p, nil
}

// Keys lists the practices in the order in which people should see them: the
// defaults in theirs, then the added ones as given.
func (p *Policy) Keys() []string {
	keys := make([]string, len(p.rules))
	for i := range p.rules {
		keys[i] = p.rules[i].name
	}
	return keys
}

// Defaults gives the default practices, in the form that [New] takes.
func Defaults() json.RawMessage { return json.RawMessage(defaults) }

// statuses are all verdicts; a rule keeps its titles in this order.
func statuses() [5]device.Status {
	return [5]device.Status{device.OK, device.Nudge, device.Warn, device.NA, device.Unknown}
}
