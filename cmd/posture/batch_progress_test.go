package main

import (
	"strings"
	"testing"
	"time"

	"github.com/postureproject/posture/batch"
)

// Who waits for the second try is through with the first, and not through with the
// second.
func TestRunProgress_line(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		before int
		now    batch.Progress
		want   string
		not    string
	}{
		"reading":               {now: batch.Progress{Listed: 1200}, want: "1200 devices", not: "people"},
		"read":                  {now: batch.Progress{Listed: 3, People: 1}, want: "3 devices, 1 person"},
		"first try":             {now: batch.Progress{Phase: batch.Scanning, People: 100, Complete: 30, Waiting: 20}, want: ": 50 of 100 people, 20 to be tried again, 5.0 a second, 10s left"},
		"second try":            {before: 80, now: batch.Progress{Phase: batch.Retrying, People: 100, Complete: 80, Partial: 10, Waiting: 10}, want: ": 90 of 100 people, 10 to be tried again, 10 partial, 1.0 a second, 10s left"},
		"second try, none done": {before: 80, now: batch.Progress{Phase: batch.Retrying, People: 100, Complete: 80, Waiting: 20}, want: ": 80 of 100 people, 20 to be tried again", not: "left"},
	}
	for name, test := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			p := &runProgress{before: test.before, since: time.Now().Add(-10 * time.Second)}
			got := p.line(test.now)
			if !strings.Contains(got, test.want) || test.not != "" && strings.Contains(got, test.not) {
				t.Errorf("got %q, want %q in it and not %q", got, test.want, test.not)
			}
		})
	}
}
