package landesk

import (
	"regexp"
	"slices"
	"strings"
)

// screenLockFindings knows the sentences of which LANDESK's "Screen Saver with
// Password enabled setting check" makes up its reason.
type screenLockFindings struct {
	start   *regexp.Regexp
	phrases []screenLockPhrase
}

type screenLockPhrase struct {
	pattern *regexp.Regexp
	plain   string // what it means, with the pattern's groups
}

func newScreenLockFindings() screenLockFindings {
	phrase := func(pattern, plain string) screenLockPhrase {
		return screenLockPhrase{regexp.MustCompile(`(?i)^the screen saver ` + pattern + `$`), plain}
	}
	return screenLockFindings{
		start: regexp.MustCompile(`(?i)the screen saver `),
		phrases: []screenLockPhrase{
			phrase(`is not enabled for user (.+)`, "${1} has no screen saver."),
			phrase(`time ?out value for user (.+) is longer than ([0-9]+) minutes?`, "${1} has a screen saver that waits longer than ${2} minutes."),
			phrase(`password protection setting is not enabled for user (.+)`, "${1} has a screen saver that asks for no password."),
		},
	}
}

// lines splits a reason, in which LANDESK puts one sentence right after the
// other, into lines that say who lacks what. A sentence of another kind stays
// as it is. No line is empty, and none comes twice.
func (f screenLockFindings) lines(reason string) []string {
	reason = strings.Join(strings.Fields(reason), " ")
	var lines []string
	add := func(sentence string) {
		line := f.plain(strings.TrimSpace(sentence))
		if line != "" && !slices.Contains(lines, line) {
			lines = append(lines, line)
		}
	}
	from := 0
	for _, at := range f.start.FindAllStringIndex(reason, -1) {
		add(reason[from:at[0]])
		from = at[0]
	}
	add(reason[from:])
	return lines
}

func (f screenLockFindings) plain(sentence string) string {
	bare := strings.TrimRight(sentence, ".,; ")
	for _, p := range f.phrases {
		if m := p.pattern.FindStringSubmatchIndex(bare); m != nil {
			return string(p.pattern.ExpandString(nil, p.plain, bare, m))
		}
	}
	return sentence
}
