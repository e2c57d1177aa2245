package practices

import (
	"slices"
	"strconv"
	"strings"

	"github.com/postureproject/posture/device"
)

// Evaluate judges every practice of the policy on d and puts a new map with the
// verdicts into d.Practices; the old map and the findings in it stay as they
// are. Where the record holds no evidence about a practice, it is unknown and
// its details say why: which of the gaps would have told, or that nobody did.
// Findings that no practice of the policy judges are kept under their own keys.
//
// Evaluating the result again gives the same result.
func (p *Policy) Evaluate(d *device.Device, gaps []Gap) {
	s := subject{device: d, system: identify(d), gaps: gaps}
	s.platform = platformOf(d, &s.system)
	var room [8]match
	s.matches = p.catalog.match(d.Software, &s.system, room[:0])
	judged := make(map[string]device.Practice, len(p.rules))
	for i := range p.rules {
		r := &p.rules[i]
		finding, ok := d.Practices[r.key]
		if !ok {
			finding = d.Practices[r.name] // judged before, when key and name differ
		}
		judged[r.name] = r.evaluate(&s, finding)
	}
	for key, finding := range d.Practices {
		if _, done := judged[key]; !done && !p.reads[key] {
			finding.Status = byValue(finding.Value, device.Nudge)
			finding.Title = key
			judged[key] = finding
		}
	}
	d.Practices = judged
}

// subject is a device while it is being judged.
type subject struct {
	device   *device.Device
	system   system
	platform string // by [platformKey]; "" when not known
	matches  []match
	gaps     []Gap
}

// verdict is what a rule says about a subject.
type verdict struct {
	status   device.Status
	details  string
	version  string
	evidence bool // whether the record says anything about the practice
}

// evaluate gives a finding its verdict and its texts.
func (r *rule) evaluate(s *subject, finding device.Practice) device.Practice {
	v := r.verdict(s, &finding)
	finding.Status, finding.Details, finding.Version = v.status, v.details, v.version
	finding.Title, finding.Description, finding.Link = r.title(v.status), r.description, r.link
	finding.Directions, _ = forSystem(r.directions, &s.system)
	finding.Display = r.display
	return finding
}

func (r *rule) verdict(s *subject, finding *device.Practice) verdict {
	switch {
	case s.platform == "":
	case r.na[s.platform]:
		return verdict{status: device.NA, details: finding.Details}
	case r.ok[s.platform]:
		return verdict{status: device.OK, details: finding.Details}
	}
	v := r.judge(s, finding)
	if !v.evidence {
		v.status = device.Unknown
		if reason := r.gapReason(s); reason != "" {
			v.details = lines(reason, finding.Details)
			return v
		}
		v.details = finding.Details
		if v.details == "" {
			v.details = r.silence()
		}
	}
	if s.platform == "" && r.platformRequired {
		return verdict{status: device.NA, details: finding.Details}
	}
	return v
}

func (r *rule) judge(s *subject, finding *device.Practice) verdict {
	switch r.kind {
	case kindSystem:
		return r.judgeSystem(s, finding)
	case kindSoftware:
		return r.judgeSoftware(s, finding)
	default:
		return r.judgeFinding(finding)
	}
}

func (r *rule) judgeFinding(finding *device.Practice) verdict {
	return verdict{
		status: byValue(finding.Value, r.missing), details: finding.Details,
		version: finding.Version, evidence: finding.Value != nil,
	}
}

func byValue(value *bool, missing device.Status) device.Status {
	switch {
	case value == nil:
		return device.Unknown
	case *value:
		return device.OK
	default:
		return missing
	}
}

// judgeSystem judges by the operating system's version and by the source's own
// finding; the worse of the two holds, and both tell their details.
func (r *rule) judgeSystem(s *subject, finding *device.Practice) verdict {
	own := r.judgeFinding(finding)
	v := r.judgeVersion(s)
	if !v.evidence {
		own.version = s.system.text
		return own
	}
	if finding.Value == nil && finding.LastUpdated.IsZero() {
		finding.LastUpdated = s.device.LastSync
	}
	if own.evidence && badness(own.status) > badness(v.status) {
		v.status = own.status
	}
	v.details = lines(v.details, own.details)
	return v
}

// judgeVersion judges by the operating system's version alone; without evidence
// when the policy has no rule for the system, or the version is not known.
func (r *rule) judgeVersion(s *subject) verdict {
	sys := &s.system
	v := verdict{version: sys.text, evidence: true}
	if sys.key != "" && (r.unsupported[sys.key] || r.unsupported[sys.family]) {
		v.status, v.details = device.Warn, r.unsupportedText(sys.name, sys.text)
		return v
	}
	required, recommended := r.versions.forSystem(sys)
	if !required.asks() && !recommended.asks() || sys.text == "" {
		return verdict{}
	}
	if !sys.parsed {
		v.status, v.details = device.Unknown, "The version "+sys.text+" of "+sys.name+" cannot be compared."
		return v
	}
	status, suggested, ended := compareTo(sys.version, required, recommended)
	v.status = status
	switch {
	case ended:
		v.details = r.unsupportedText(sys.name+" "+sys.line(required), sys.text)
	case status != device.OK:
		v.details = r.recommendedText(sys.name, suggested, sys.text)
	}
	return v
}

// line gives as much of the version as tells its line from the minimum's lines.
func (s *system) line(m minimum) string {
	n := m.lines[0].prefix.n
	parts := make([]string, 0, n)
	for _, part := range s.version.parts[:min(n, s.version.n)] {
		parts = append(parts, strconv.FormatUint(part, 10))
	}
	return strings.Join(parts, ".")
}

// compareTo judges a version by the minimums; suggested is the version to move
// to, and ended tells that the version's line is no longer supported.
func compareTo(v version, required, recommended minimum) (status device.Status, suggested string, ended bool) {
	least, tooOld, ended := required.below(v)
	suggested, behind, _ := recommended.below(v)
	if suggested == "" {
		suggested = least
	}
	switch {
	case tooOld:
		return device.Warn, suggested, ended
	case behind:
		return device.Nudge, suggested, false
	default:
		return device.OK, suggested, false
	}
}

// badness orders statuses for the question which of two is worse.
func badness(s device.Status) int {
	return slices.Index([]device.Status{device.NA, device.OK, device.Unknown, device.Nudge, device.Warn}, s)
}

// gapReason tells which of the gaps would have reported the practice, and why
// they did not; "" when none would.
func (r *rule) gapReason(s *subject) string {
	reason := ""
	for i := range s.gaps {
		g := &s.gaps[i]
		if !slices.Contains(g.Practices, r.key) && (r.kind != kindSoftware || !g.Software) {
			continue
		}
		if s.platform != "" && len(g.Platforms) > 0 &&
			!slices.ContainsFunc(g.Platforms, func(p string) bool { return platformKey(p) == s.platform }) {
			continue
		}
		text := g.Source + " could not be asked."
		if g.Reason != "" {
			text = g.Source + " could not be asked: " + g.Reason
		}
		reason = lines(reason, text)
	}
	return reason
}

// silence says that nobody reported on the practice.
func (r *rule) silence() string {
	switch r.kind {
	case kindSoftware:
		return "No source has reported what is installed."
	case kindSystem:
		return "No source has reported the version of the system."
	default:
		return "No source has reported on this."
	}
}

// lines joins two details, each on its own line. What the second already says
// is not said again.
func lines(first, second string) string {
	switch {
	case first == "" || strings.Contains(second, first):
		return second
	case second == "":
		return first
	default:
		return first + "\n" + second
	}
}
