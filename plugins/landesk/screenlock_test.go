package landesk

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
)

func TestScreenLockLines(t *testing.T) {
	t.Parallel()
	const (
		saver    = "The screen saver is not enabled for user "
		timeout  = "The screen saver time out value for user "
		password = "The screen saver password protection setting is not enabled for user "
	)
	tests := []struct {
		name, reason string
		want         []string
	}{
		{"nothing", "", nil},
		{"space", " \r\n ", nil},
		{"one", saver + "zoidberg.", []string{"zoidberg has no screen saver."}},
		{"without the dot", saver + "zoidberg", []string{"zoidberg has no screen saver."}},
		{
			"run together", saver + "fry." + timeout + "leela is longer than 15 minutes" + password + "PLANET\\bender.",
			[]string{"fry has no screen saver.", "leela has a screen saver that waits longer than 15 minutes.", "PLANET\\bender has a screen saver that asks for no password."},
		},
		{"a name with dots", saver + "ada.lovelace." + saver + "a.turing", []string{"ada.lovelace has no screen saver.", "a.turing has no screen saver."}},
		{"a name with spaces", password + "Amy Wong.", []string{"Amy Wong has a screen saver that asks for no password."}},
		{"line breaks", saver + "fry.\r\n" + timeout + "fry is longer than 1 minute.\n", []string{"fry has no screen saver.", "fry has a screen saver that waits longer than 1 minutes."}},
		{"twice", saver + "fry." + saver + "fry.", []string{"fry has no screen saver."}},
		{"in capitals", strings.ToUpper(saver) + "fry", []string{"fry has no screen saver."}},
		{"a dollar in a name", saver + "$1 ${2} PC$", []string{"$1 ${2} PC$ has no screen saver."}},
		{"another sentence", "Registry unreadable. " + saver + "fry.", []string{"Registry unreadable.", "fry has no screen saver."}},
		{"an unknown finding", "The screen saver is ugly." + saver + "fry.", []string{"The screen saver is ugly.", "fry has no screen saver."}},
		{"nobody", saver, []string{strings.TrimSpace(saver)}},
	}
	for _, tt := range tests {
		if diff := cmp.Diff(tt.want, newScreenLockFindings().lines(tt.reason)); diff != "" {
			t.Errorf("%s (-want +got):\n%s", tt.name, diff)
		}
	}
}

func FuzzScreenLockLines(f *testing.F) {
	for _, seed := range []string{
		"", "The screen saver is not enabled for user fry.The screen saver time out value for user leela is longer than 15 minutes",
		"The screen saver password protection setting is not enabled for user ${1}.", "The screen saver The screen saver ", "\xff\x00.",
	} {
		f.Add(seed, "zoidberg")
	}
	findings := newScreenLockFindings()
	f.Fuzz(func(t *testing.T, reason, user string) {
		lines := findings.lines(reason)
		for i, line := range lines {
			if strings.TrimSpace(line) == "" || strings.ContainsAny(line, "\r\n") || slices.Contains(lines[:i], line) {
				t.Errorf("%q among %q", line, lines)
			}
		}
		if blank := len(strings.Fields(reason)) == 0; blank != (len(lines) == 0) {
			t.Errorf("%q became %q", reason, lines)
		}
		// What precedes and follows must not hide a finding about an ordinary name.
		plain := strings.IndexFunc(user, func(r rune) bool { return (r < 'a' || r > 'z') && r != '.' }) < 0 && user != "" && !strings.HasSuffix(user, ".")
		if plain {
			const next = "The screen saver is not enabled for user x."
			all := findings.lines(reason + "The screen saver password protection setting is not enabled for user " + user + "." + next)
			if !slices.Contains(all, user+" has a screen saver that asks for no password.") {
				t.Errorf("%s is not found in %q", user, all)
			}
		}
	})
}

func FuzzMoment(f *testing.F) {
	for _, seed := range []string{"20260228", "2/28/2026", "2026-02-28T10:00:00Z", "99999999", "0001-01-01", ""} {
		f.Add(seed)
	}
	zone, err := time.LoadLocation("America/Los_Angeles")
	if err != nil {
		f.Fatal(err)
	}
	f.Fuzz(func(t *testing.T, s string) {
		m, ok := moment(s, zone)
		if !ok && !m.IsZero() {
			t.Errorf("%q is %v and unreadable", s, m)
		}
		if !m.IsZero() {
			if _, err := m.MarshalJSON(); err != nil {
				t.Errorf("%q is %v, which cannot be written: %v", s, m, err)
			}
		}
		if n, ok := number(s); ok && (n != n) {
			t.Errorf("%q is %v", s, n)
		}
	})
}
