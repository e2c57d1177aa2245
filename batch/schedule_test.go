package batch_test

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postureproject/posture/batch"
	"github.com/postureproject/posture/fault"
)

func TestTimetable_Next(t *testing.T) {
	t.Parallel()
	tests := []struct{ name, expression, zone, after, want string }{
		{"every night", "0 2 * * *", "Europe/Berlin", "2026-01-10T12:00:00+01:00", "2026-01-11T02:00:00+01:00"},
		{"zone in the expression", "CRON_TZ=Asia/Tokyo 30 1 * * *", "Europe/Berlin", "2026-01-10T00:00:00Z", "2026-01-10T16:30:00Z"},
		{"never the same instant", "0 2 * * *", "UTC", "2026-01-10T02:00:00Z", "2026-01-11T02:00:00Z"},
		{"skipped by the clock", "30 2 * * *", "Europe/Berlin", "2026-03-28T12:00:00+01:00", "2026-03-29T03:30:00+02:00"},
		{"after the skipped one", "30 2 * * *", "Europe/Berlin", "2026-03-29T03:30:00+02:00", "2026-03-30T02:30:00+02:00"},
		{"repeated by the clock", "30 2 * * *", "Europe/Berlin", "2026-10-24T12:00:00+02:00", "2026-10-25T02:30:00+02:00"},
		{"not a second time", "30 2 * * *", "Europe/Berlin", "2026-10-25T02:30:00+02:00", "2026-10-26T02:30:00+01:00"},
		{"from within the second hour", "30 2 * * *", "Europe/Berlin", "2026-10-25T02:10:00+01:00", "2026-10-26T02:30:00+01:00"},
		{"skipped in New York", "30 2 * * *", "America/New_York", "2026-03-07T12:00:00-05:00", "2026-03-08T03:30:00-04:00"},
		{"every hour over the gap", "0 * * * *", "Europe/Berlin", "2026-03-29T01:00:00+01:00", "2026-03-29T03:00:00+02:00"},
		{"a day that is rare", "0 0 29 2 *", "UTC", "2026-01-01T00:00:00Z", "2028-02-29T00:00:00Z"},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			timetable, err := batch.ParseTimetable(test.expression, test.zone)
			if err != nil {
				t.Fatal(err)
			}
			if got, want := timetable.Next(at(t, test.after)), at(t, test.want); !got.Equal(want) {
				t.Errorf("after %s comes %s, want %s", test.after, got.Format(time.RFC3339), test.want)
			}
		})
	}
}

func at(t *testing.T, text string) time.Time {
	t.Helper()
	parsed, err := time.Parse(time.RFC3339, text)
	if err != nil {
		t.Fatal(err)
	}
	return parsed
}

// A nightly timetable gives one run for each night of the year, in whatever zone.
func TestTimetable_Next_every_night(t *testing.T) {
	t.Parallel()
	for _, zone := range []string{"Europe/Berlin", "America/New_York", "Australia/Lord_Howe", "America/Santiago", "Africa/Cairo", "UTC"} {
		for _, expression := range []string{"0 0 * * *", "30 1 * * *", "15 2 * * *", "59 2 * * *", "0 3 * * *"} {
			timetable, err := batch.ParseTimetable(expression, zone)
			if err != nil {
				t.Fatal(err)
			}
			n, next := 0, time.Date(2025, 12, 31, 12, 0, 0, 0, time.UTC)
			for end := next.AddDate(1, 0, 0); ; n++ {
				previous := next
				if next = timetable.Next(next); next.After(end) {
					break
				}
				if gap := next.Sub(previous); n > 0 && (gap < 22*time.Hour || gap > 26*time.Hour) {
					t.Errorf("%s in %s: %s between runs at %s", expression, zone, gap, next)
				}
			}
			if n != 365 {
				t.Errorf("%s in %s: %d runs a year, want 365", expression, zone, n)
			}
		}
	}
}

func TestParseTimetable_refuses(t *testing.T) {
	t.Parallel()
	for _, bad := range [][2]string{{"", ""}, {"nonsense", ""}, {"61 * * * *", ""}, {"0 2 * * *", "Mars/Olympus"}, {"0 0 31 2 *", "UTC"}, {"CRON_TZ=Nowhere 0 2 * * *", ""}, {"TZ=UTC", ""}} {
		if _, err := batch.ParseTimetable(bad[0], bad[1]); fault.KindOf(err) != fault.Invalid {
			t.Errorf("%q in %q gave %v, want an invalid field", bad[0], bad[1], err)
		}
	}
}

func FuzzParseTimetable(f *testing.F) {
	f.Add("0 2 * * *", "Europe/Berlin")
	f.Add("CRON_TZ=UTC */5 1-3 * * MON", "")
	f.Add("@daily", "")
	f.Add("@every 1h", "UTC")
	f.Fuzz(func(t *testing.T, expression, zone string) {
		timetable, err := batch.ParseTimetable(expression, zone)
		if err != nil {
			return
		}
		after := time.Date(2026, 3, 29, 0, 30, 0, 0, time.UTC)
		for range 5 {
			next := timetable.Next(after)
			if next.IsZero() {
				return
			}
			if !next.After(after) {
				t.Fatalf("%q in %q: %s comes after %s", expression, zone, next, after)
			}
			after = next
		}
	})
}

// scheduled runs a schedule within a bubble and gives when it started runs.
func scheduled(t *testing.T, s batch.Schedule, during, took time.Duration) (starts []string) {
	t.Helper()
	timetable, err := batch.ParseTimetable("0 2 * * *", "UTC")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), during)
	defer cancel()
	s.Timetable = timetable
	s.Start = func(ctx context.Context, _ time.Time) (batch.Run, error) {
		starts = append(starts, time.Now().UTC().Format("01-02 15:04"))
		select {
		case <-ctx.Done():
		case <-time.After(took):
		}
		return batch.Run{}, ctx.Err()
	}
	if err := s.Run(ctx); err != nil {
		t.Error(err)
	}
	return starts
}

func TestSchedule_Run(t *testing.T) {
	t.Parallel()
	// A bubble begins at midnight of 2000-01-01, UTC.
	tests := []struct {
		name         string
		schedule     batch.Schedule
		during, took time.Duration
		want         []string
	}{
		{"each night", batch.Schedule{}, 60 * time.Hour, time.Hour, []string{"01-01 02:00", "01-02 02:00", "01-03 02:00"}},
		{"never two at once", batch.Schedule{}, 60 * time.Hour, 30 * time.Hour, []string{"01-01 02:00", "01-03 02:00"}},
		{"missed while down", batch.Schedule{CatchUp: true, Last: last("1999-12-29T02:00:00Z")}, 12 * time.Hour, time.Hour, []string{"01-01 00:00", "01-01 02:00"}},
		{"missed, but not wanted", batch.Schedule{Last: last("1999-12-29T02:00:00Z")}, 12 * time.Hour, time.Hour, []string{"01-01 02:00"}},
		{"not missed", batch.Schedule{CatchUp: true, Last: last("1999-12-31T02:00:10Z")}, 12 * time.Hour, time.Hour, []string{"01-01 02:00"}},
		{"never run before", batch.Schedule{CatchUp: true, Last: last("0001-01-01T00:00:00Z")}, 12 * time.Hour, time.Hour, []string{"01-01 02:00"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				if got := scheduled(t, test.schedule, test.during, test.took); !slices.Equal(got, test.want) {
					t.Errorf("started at %v, want %v", got, test.want)
				}
			})
		})
	}
}

func last(text string) func(context.Context) (time.Time, error) {
	return func(context.Context) (time.Time, error) { return time.Parse(time.RFC3339, text) }
}

// A clock that is set back brings no run a second time; one set forward past a run
// brings it once.
func TestSchedule_Run_clock_jumps(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		begun := time.Now()
		now := func() time.Time {
			switch since := time.Since(begun); {
			case since < 3*time.Hour:
				return time.Now()
			case since < 5*time.Hour: // set back over the run at two
				return time.Now().Add(-2 * time.Hour)
			default: // set forward over that of the next day
				return time.Now().Add(30 * time.Hour)
			}
		}
		got := scheduled(t, batch.Schedule{Now: now}, 8*time.Hour, time.Minute)
		if len(got) != 2 {
			t.Errorf("started at %v, want two runs: one at two, one after the jump", got)
		}
	})
}

// Runs that were left behind are gone with at the beginning and whenever one is
// noticed; what cannot be gone on with is tried ever less often, and what is not
// left behind is left alone.
func TestSchedule_Run_resumes(t *testing.T) {
	t.Parallel()
	conflict := fault.New(fault.Conflict, "a run is going on already")
	tests := []struct {
		name      string
		resume    func(call int) (found bool, took time.Duration, err error)
		least     int // calls
		most      int
		successes int
		want      []string // starts
	}{
		{"at the beginning", func(call int) (bool, time.Duration, error) { return call == 1, time.Minute, nil }, 600, 800, 1, []string{"01-01 02:00"}},
		{"later", func(call int) (bool, time.Duration, error) { return call == 9, time.Minute, nil }, 600, 800, 1, []string{"01-01 02:00"}},
		{"beyond the time of the next", func(call int) (bool, time.Duration, error) { return call == 9, 2 * time.Hour, nil }, 100, 300, 1, nil},
		{"alive", func(int) (bool, time.Duration, error) { return true, 3 * time.Second, conflict }, 500, 800, 0, []string{"01-01 02:00"}},
		{"hopeless", func(int) (bool, time.Duration, error) { return true, time.Second, errors.New("no") }, 8, 14, 0, nil},
		{"store away", func(int) (bool, time.Duration, error) { return false, time.Second, errors.New("no") }, 8, 14, 0, []string{"01-01 02:00"}},
	}
	for _, test := range tests {
		t.Run(test.name, func(t *testing.T) {
			t.Parallel()
			synctest.Test(t, func(t *testing.T) {
				calls, successes := 0, 0
				s := batch.Schedule{Resume: func(context.Context) (batch.Run, bool, error) {
					calls++
					found, took, err := test.resume(calls)
					if found {
						time.Sleep(took)
					}
					if found && err == nil {
						successes++
					}
					return batch.Run{ID: "r"}, found, err
				}}
				got := scheduled(t, s, 3*time.Hour, 10*time.Minute)
				if calls < test.least || calls > test.most || successes != test.successes {
					t.Errorf("resumed in %d of %d calls, want %d of %d to %d", successes, calls, test.successes, test.least, test.most)
				}
				if test.want != nil && !slices.Equal(got, test.want) || test.name == "beyond the time of the next" && len(got) != 0 {
					t.Errorf("started at %v, want %v", got, test.want)
				}
			})
		})
	}
}

// A run knows when it was due, also one that was missed.
func TestSchedule_Run_due(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		timetable, err := batch.ParseTimetable("0 2 * * *", "UTC")
		if err != nil {
			t.Fatal(err)
		}
		ctx, cancel := context.WithTimeout(t.Context(), 12*time.Hour)
		defer cancel()
		var due []string
		s := batch.Schedule{
			Timetable: timetable, CatchUp: true, Last: last("1999-12-29T02:00:00Z"),
			Start: func(_ context.Context, at time.Time) (batch.Run, error) {
				due = append(due, at.Format(time.RFC3339))
				return batch.Run{}, nil
			},
		}
		if err := s.Run(ctx); err != nil {
			t.Error(err)
		}
		if want := []string{"1999-12-30T02:00:00Z", "2000-01-01T02:00:00Z"}; !slices.Equal(due, want) {
			t.Errorf("due %v, want %v", due, want)
		}
	})
}
