package main

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/host/scan"
)

// report writes the answers for people.
func (e *environment) report(answers []device.Posture) error {
	r := reporter{styles: e.styles(), width: e.width()}
	for i, a := range answers {
		if i > 0 {
			r.line("")
		}
		r.person(a)
	}
	_, err := fmt.Fprint(e.stdout, r.b.String())
	return err
}

type reporter struct {
	styles styles
	width  int
	b      strings.Builder
}

func (r *reporter) line(format string, args ...any) {
	r.b.WriteString(strings.TrimRight(fmt.Sprintf(format, args...), " ") + "\n")
}

func (r *reporter) person(a device.Posture) {
	shown, folded := 0, 0
	for _, d := range a.Devices {
		if d.Folded == "" {
			shown++
		} else {
			folded++
		}
	}
	r.line("%s   %s", r.styles.render(r.styles.heading, printable(a.Email)), plural(shown, "device"))
	r.line("")
	for _, d := range a.Devices {
		if d.Folded == "" {
			r.device(d, a.GeneratedAt)
		}
	}
	if folded > 0 {
		r.folded(a, folded)
	}
	if len(a.Devices) == 0 {
		r.line("  No devices%s.", ifSomeFailed(a, ", as far as could be asked"))
		r.line("")
	}
	r.rest(a)
	r.sources(a)
}

func ifSomeFailed(a device.Posture, text string) string {
	if slices.ContainsFunc(a.Sources, func(o device.Outcome) bool { return !o.OK }) {
		return text
	}
	return ""
}

func plural(n int, what string) string {
	if n == 1 {
		return "1 " + what
	}
	return fmt.Sprintf("%d %ss", n, what)
}

func (r *reporter) device(d device.Device, now time.Time) {
	title := cmp.Or(d.Name, d.Model, d.Serial, "unnamed device")
	r.line("  %s  %s", r.styles.rating(d.Rating), r.styles.render(r.styles.heading, printable(title)))
	facts := []string{}
	for _, f := range []string{d.Model, strings.TrimSpace(d.OS + " " + d.OSVersion), d.Serial} {
		if f != "" && f != title {
			facts = append(facts, printable(f))
		}
	}
	if !d.LastSync.IsZero() {
		facts = append(facts, "seen "+age(now.Sub(d.LastSync)))
	}
	if len(d.Sources) > 0 {
		facts = append(facts, "from "+strings.Join(d.Sources, ", "))
	}
	r.line("%s", r.styles.render(r.styles.faint, wrap(strings.Join(facts, " · "), "      ", r.width)))
	for _, status := range []device.Status{device.Warn, device.Nudge} {
		for _, p := range practicesWith(d, status) {
			r.practice(p)
		}
	}
	r.unknown(practicesWith(d, device.Unknown))
	if done := practicesWith(d, device.OK); len(done) > 0 {
		titles := make([]string, len(done))
		for i, p := range done {
			titles[i] = printable(p.Title)
		}
		r.line("%s", hang(strings.Join(titles, ", "), "      "+r.styles.render(r.styles.ok, "✓")+" ", "        ", r.width))
	}
	for _, a := range d.Ambiguous {
		r.line("%s", wrap(fmt.Sprintf("note: %s %s: %s", a.Identifier, printable(a.Value), printable(a.Reason)), "      ", r.width))
	}
	r.line("")
}

// practicesWith gives the shown practices of a device with a status, by title.
func practicesWith(d device.Device, s device.Status) []device.Practice {
	var out []device.Practice
	for _, p := range d.Practices {
		if p.Status == s && (p.Display == nil || *p.Display) {
			out = append(out, p)
		}
	}
	slices.SortFunc(out, func(a, b device.Practice) int { return cmp.Compare(a.Title, b.Title) })
	return out
}

func (r *reporter) practice(p device.Practice) {
	mark, style := "!", r.styles.warning
	if p.Status == device.Warn {
		mark, style = "✗", r.styles.critical
	}
	r.line("      %s %s", r.styles.render(style, mark), printable(p.Title))
	if p.Details != "" {
		r.line("%s", r.styles.render(r.styles.faint, wrap(printable(p.Details), "          ", r.width)))
	}
	if p.Directions != "" {
		r.line("%s", r.styles.directions(printable(p.Directions), "          ", r.width))
	}
}

// unknown writes the practices that nobody knows about, those with the same
// reason together: one failed source would else fill the screen.
func (r *reporter) unknown(list []device.Practice) {
	for len(list) > 0 {
		reason := list[0].Details
		var titles []string
		list = slices.DeleteFunc(list, func(p device.Practice) bool {
			if p.Details != reason {
				return false
			}
			titles = append(titles, printable(p.Title))
			return true
		})
		r.line("%s", hang(strings.Join(titles, ", "), "      "+r.styles.render(r.styles.faint, "?")+" ", "        ", r.width))
		if reason != "" {
			r.line("%s", r.styles.render(r.styles.faint, wrap(printable(reason), "          ", r.width)))
		}
	}
}

// folded names the devices that are out of use, which are never left out.
func (r *reporter) folded(a device.Posture, n int) {
	r.line("  %s", r.styles.render(r.styles.faint, plural(n, "more device")+" not in use:"))
	for _, d := range a.Devices {
		if d.Folded == "" {
			continue
		}
		why := "retired"
		if d.Folded == "stale" {
			why = "not seen for a long time, last " + age(a.GeneratedAt.Sub(d.LastSync))
		}
		r.line("%s", r.styles.render(r.styles.faint, fmt.Sprintf("      %s (%s)", printable(cmp.Or(d.Name, d.Model, d.Serial)), why)))
	}
	r.line("")
}

// rest sums up what is not about devices.
func (r *reporter) rest(a device.Posture) {
	failedLogins := 0
	for _, e := range a.Events {
		if e.Success != nil && !*e.Success {
			failedLogins++
		}
	}
	if len(a.Events) > 0 {
		r.line("  Log-ins: %d recent, %d failed; the latest %s%s", len(a.Events), failedLogins,
			age(a.GeneratedAt.Sub(a.Events[0].Timestamp)), fromWhere(a.Events[0]))
	}
	for _, account := range a.Accounts {
		r.line("  Account: %s (%s)%s", printable(cmp.Or(account.Name, account.Email, a.Email)), account.Source, twoStep(account))
	}
	if len(a.Notifications) > 0 {
		r.line("  Notifications: %d", len(a.Notifications))
	}
	if len(a.Events)+len(a.Accounts)+len(a.Notifications) > 0 {
		r.line("")
	}
}

func fromWhere(e device.Event) string {
	s := ""
	if e.IPAddress != "" {
		s = " from " + printable(e.IPAddress)
	}
	if e.VPN != nil && *e.VPN {
		s += " (VPN)"
	}
	return s
}

func twoStep(a device.Account) string {
	enrolled, ok := a.UserUsage["accounts:is_2sv_enrolled"].(bool)
	switch {
	case !ok:
		return ""
	case enrolled:
		return ": 2-step verification is on"
	default:
		return ": 2-step verification is OFF; turn it on in the account's security settings"
	}
}

// sources tells who answered, and at length who did not.
func (r *reporter) sources(a device.Posture) {
	var answered []string
	for _, o := range a.Sources {
		if o.OK && !slices.Contains(answered, o.Plugin) {
			answered = append(answered, o.Plugin)
		}
	}
	if len(answered) > 0 {
		r.line("%s", r.styles.render(r.styles.faint, wrap("Answered: "+strings.Join(answered, ", "), "  ", r.width)))
	}
	var told []string // events, of which one may tell of several failures
	for _, o := range a.Sources {
		if o.OK {
			continue
		}
		r.line("%s", r.styles.render(r.styles.critical, wrap(fmt.Sprintf("Failed: %s (%s): %s", o.Plugin, inWords(o.Namespace), printable(*o.Error)), "  ", r.width)))
		if o.Remedy != "" {
			r.line("%s", wrap("→ "+printable(o.Remedy), "    ", r.width))
		}
		if o.EventID != "" && !slices.Contains(told, o.EventID) {
			told = append(told, o.EventID)
			r.line("%s", r.styles.render(r.styles.faint, "    recorded as event "+printable(o.EventID)))
		}
	}
}

// inWords says what a namespace holds.
func inWords(namespace string) string {
	switch namespace {
	case scan.NamespaceOwnership:
		return "ownership"
	case scan.NamespaceEvents:
		return "log-ins"
	case scan.NamespaceSources:
		return "everything"
	default:
		_, what, _ := strings.Cut(namespace, ".")
		return cmp.Or(what, namespace)
	}
}

// age says how long ago something was, in the words people use.
func age(d time.Duration) string {
	switch {
	case d < time.Minute: // also a clock that is ahead
		return "just now"
	case d < time.Hour:
		return plural(int(d/time.Minute), "minute") + " ago"
	case d < 48*time.Hour:
		return plural(int(d/time.Hour), "hour") + " ago"
	default:
		return plural(int(d/(24*time.Hour)), "day") + " ago"
	}
}
