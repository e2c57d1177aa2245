package practices

import (
	"slices"
	"strings"
	"unicode/utf8"

	"github.com/postureproject/posture/device"
)

// catalog is the software that the rules look for, so that an inventory is
// walked once for all of them.
type catalog struct {
	wanted   []versions // by a rule's place
	apps     names
	services names
}

// names finds which rules look for a name.
type names struct {
	exact    map[string][]int // by name in lower case
	prefixes []prefixName
}

type prefixName struct {
	prefix string // in lower case
	rule   int
}

// match is the installed software that answers a rule best.
type match struct {
	found     bool
	status    device.Status
	version   string
	suggested string // the version to have; "" when any will do
}

// merit orders matches for the question which of two is better.
func (m *match) merit() int {
	return slices.Index([]device.Status{device.Unknown, device.Nudge, device.Warn, device.OK}, m.status)
}

func (c *catalog) add(s *settings) int {
	place := len(c.wanted)
	c.wanted = append(c.wanted, versions{s.required, s.recommended})
	c.apps.add(s.software, place)
	c.services.add(s.service, place)
	return place
}

func (n *names) add(list []string, rule int) {
	for _, name := range list {
		name = strings.ToLower(name)
		if prefix, ok := strings.CutSuffix(name, "*"); ok {
			n.prefixes = append(n.prefixes, prefixName{prefix, rule})
			continue
		}
		if n.exact == nil {
			n.exact = map[string][]int{}
		}
		n.exact[name] = append(n.exact[name], rule)
	}
}

// match finds the best match of every rule, by the rule's place.
func (c *catalog) match(inventory *device.Software, s *system, room []match) []match {
	for range c.wanted {
		room = append(room, match{})
	}
	if inventory == nil || len(c.wanted) == 0 {
		return room
	}
	for i := range inventory.Installed {
		app := &inventory.Installed[i]
		c.apps.find(app.Name, func(rule int) { room[rule].improve(c.wanted[rule], s, strings.TrimSpace(app.Version)) })
	}
	for i := range inventory.Services {
		c.services.find(inventory.Services[i].Name, func(rule int) { room[rule].improve(c.wanted[rule], s, "") })
	}
	return room
}

// improve takes a found version if it is better than what was found before: by
// status, then by being newer.
func (m *match) improve(wanted versions, s *system, text string) {
	required, recommended := wanted.forSystem(s)
	found := match{found: true, status: device.OK, version: text}
	v, parsed := parseVersion(text)
	if required.asks() || recommended.asks() {
		var ended bool
		found.status, found.suggested, ended = compareTo(v, required, recommended)
		if ended && !recommended.asks() {
			found.suggested = required.newest()
		}
		if !parsed {
			found.status = device.Unknown
		}
	}
	if m.found {
		if better := found.merit() - m.merit(); better < 0 {
			return
		} else if old, ok := parseVersion(m.version); better == 0 && (!parsed || ok && old.compare(v) >= 0) {
			return
		}
	}
	*m = found
}

// judgeSoftware judges by the inventory: the best match decides; without one,
// what a source found under the practice's key; and only then its absence from
// an inventory that would hold it.
func (r *rule) judgeSoftware(s *subject, finding *device.Practice) verdict {
	inventory := s.device.Software
	m := &s.matches[r.software]
	listed := inventory != nil && (r.wantsApps && len(inventory.Installed) > 0 || r.wantsServices && len(inventory.Services) > 0)
	switch {
	case !m.found && finding.Value != nil:
		return r.judgeFinding(finding)
	case !m.found && !listed:
		return verdict{}
	}
	if finding.Value == nil && finding.LastUpdated.IsZero() {
		finding.LastUpdated = inventory.LastScan
	}
	if !m.found {
		return verdict{status: r.missing, details: finding.Details, evidence: true}
	}
	return verdict{status: m.status, details: lines(m.details(), finding.Details), version: m.version, evidence: true}
}

// details tells which version there should be, and which there is.
func (m *match) details() string {
	yours := m.version
	if yours == "" && m.suggested != "" {
		yours = "not reported"
	}
	switch {
	case yours == "":
		return ""
	case m.suggested == "":
		return "Your Version: " + yours
	default:
		return "Suggested Version: " + m.suggested + "\nYour Version: " + yours
	}
}

// find calls yield for each rule that looks for name.
func (n *names) find(name string, yield func(rule int)) {
	var room [64]byte
	lower := lowerCase(strings.TrimSpace(name), room[:0])
	for _, rule := range n.exact[string(lower)] {
		yield(rule)
	}
	for i := range n.prefixes {
		if p := &n.prefixes[i]; len(lower) >= len(p.prefix) && string(lower[:len(p.prefix)]) == p.prefix {
			yield(p.rule)
		}
	}
}

// lowerCase appends s in lower case to room, without allocating for the short
// ASCII names that most are.
func lowerCase(s string, room []byte) []byte {
	for i := range len(s) {
		c := s[i]
		if c >= utf8.RuneSelf {
			return []byte(strings.ToLower(s))
		}
		if 'A' <= c && c <= 'Z' {
			c |= 0x20
		}
		room = append(room, c)
	}
	return room
}
