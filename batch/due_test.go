package batch_test

import (
	"testing"
	"time"

	"github.com/postureproject/posture/batch"
	"github.com/postureproject/posture/fault"
)

// Of several processes with one timetable one makes the run that is due, however
// soon it is through with it; clocks may differ somewhat, or have been wrong once.
func TestEngine_Run_due_once(t *testing.T) {
	t.Parallel()
	b := setup(t, 3)
	clock := today()
	b.options.Now = func() time.Time { return clock }
	request := func(due time.Duration) batch.Request { return batch.Request{Scheduled: true, Due: today().Add(due)} }
	b.mustRun(request(0))
	for _, test := range []struct {
		name       string
		clock, due time.Duration
		made       bool
	}{
		{"at the same time", 0, 0, false},
		{"a slow clock", -5 * time.Minute, 0, false},
		{"a fast clock", 5 * time.Minute, 0, false},
		{"a missed one, made up for by both", 0, -20 * time.Hour, false},
		{"the next one", 24 * time.Hour, 24 * time.Hour, true},
		{"after a clock that was a day ahead", 2 * time.Hour, 2 * time.Hour, true},
	} {
		clock = today().Add(test.clock)
		_, err := batch.New(b.options).Run(t.Context(), request(test.due))
		if made := err == nil; made != test.made || !made && fault.KindOf(err) != fault.Conflict {
			t.Errorf("%s: %v; want it made: %v", test.name, err, test.made)
		}
	}
	if run := b.mustRun(batch.Request{}); run.Complete != 3 {
		t.Errorf("a run that somebody asked for: %+v", run)
	}
}
