package main

import (
	"testing"

	"charm.land/lipgloss/v2"
	"github.com/google/go-cmp/cmp"
)

func TestStyles_directions(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ text, want string }{
		"one sentence":   {"Ask **our desk**.", "  What to do: Ask “our desk”."},
		"long sentence":  {"Ask your help desk to reinstall it soon.", "  What to do: Ask your help desk\n  to reinstall it soon."},
		"steps":          {"1. Open **Settings**.\n2. Switch the firewall on, now.", "  What to do:\n    1. Open “Settings”.\n    2. Switch the firewall on,\n       now."},
		"list":           {"- One\n* Two", "  What to do:\n    • One\n    • Two"},
		"step goes on":   {"1. One\n   goes on", "  What to do:\n    1. One\n       goes on"},
		"text and steps": {"First:\n\n1. One\n\nThen rest.", "  What to do: First:\n    1. One\n  Then rest."},
		"link and code":  {"See [help](https://x.org/a) or `run`.", "  What to do: See help\n  (https://x.org/a) or run."},
		"lone stars":     {"2 ** 3 and *.txt", "  What to do: 2 ** 3 and *.txt"},
		"nothing":        {" \n", ""},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if diff := cmp.Diff(tt.want, styles{plain: true}.directions(tt.text, "  ", 32)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
	t.Run("in colour", func(t *testing.T) {
		t.Parallel()
		bold := lipgloss.NewStyle().Bold(true)
		got := styles{heading: bold}.directions("Ask the **help desk**.", "", 40)
		if want := "What to do: Ask the " + bold.Render("help") + " " + bold.Render("desk") + "."; got != want {
			t.Errorf("got %q, want %q", got, want)
		}
	})
}
