package batch

import (
	"context"
	"log/slog"
	"strings"
	"time"

	"github.com/robfig/cron/v3"

	"github.com/postureproject/posture/fault"
)

// Timetable says at which times of the wall clock somewhere a run starts.
type Timetable struct {
	spec cron.Schedule
	zone *time.Location
}

// ParseTimetable reads a cron expression: minute, hour, day of month, month, day
// of week, or @daily and the like. zone is the name of a time zone, such as
// Europe/Berlin; empty means the machine's. "CRON_TZ=ZONE " before the expression
// names the zone too.
func ParseTimetable(expression, zone string) (Timetable, error) {
	const remedy = "Write such as 0 2 * * * for every night at two, and a zone such as Europe/Berlin."
	rest := strings.TrimSpace(expression)
	for _, prefix := range []string{"CRON_TZ=", "TZ="} {
		if after, ok := strings.CutPrefix(rest, prefix); ok {
			zone, rest, _ = strings.Cut(after, " ")
		}
	}
	location := time.Local
	if zone != "" {
		var err error
		if location, err = time.LoadLocation(zone); err != nil {
			return Timetable{}, fault.InvalidField("batch.schedule", zone, "is not a time zone that this machine knows", remedy)
		}
	}
	spec, err := cron.ParseStandard(strings.TrimSpace(rest))
	if err != nil {
		return Timetable{}, fault.InvalidField("batch.schedule", expression, "is not a cron expression: "+err.Error(), remedy)
	}
	if s, ok := spec.(*cron.SpecSchedule); ok {
		s.Location = time.UTC // wall clock times are reckoned as if the clock were never changed
	}
	t := Timetable{spec: spec, zone: location}
	if t.Next(time.Now()).IsZero() {
		return Timetable{}, fault.InvalidField("batch.schedule", expression, "never comes", remedy)
	}
	return t, nil
}

// Next gives the first time after one, zero when there is none. A time that the
// change to summer time skips comes as much later as the clock jumps; one that
// the change back repeats comes once.
func (t Timetable) Next(after time.Time) time.Time {
	wall := asUTC(after.In(t.zone))
	for {
		next := t.spec.Next(wall)
		if next.IsZero() {
			return time.Time{}
		}
		if at := t.instant(next); at.After(after) {
			return at
		}
		wall = next
	}
}

// asUTC gives the time in UTC at which clocks show the same.
func asUTC(t time.Time) time.Time {
	return time.Date(t.Year(), t.Month(), t.Day(), t.Hour(), t.Minute(), t.Second(), t.Nanosecond(), time.UTC)
}

// instant gives the first instant at which the zone's clock shows a time, reckoned
// with the offset of the day before if it never does.
func (t Timetable) instant(wall time.Time) time.Time {
	_, before := wall.Add(-24 * time.Hour).In(t.zone).Zone()
	_, after := wall.Add(24 * time.Hour).In(t.zone).Zone()
	first := wall.Add(-time.Duration(before) * time.Second).In(t.zone)
	if asUTC(first).Equal(wall) {
		return first
	}
	if second := wall.Add(-time.Duration(after) * time.Second).In(t.zone); asUTC(second).Equal(wall) {
		return second
	}
	return first
}

// Schedule starts runs by a timetable.
type Schedule struct {
	Timetable Timetable
	// Start makes the run that was due at a time, and returns when it has ended.
	Start func(ctx context.Context, due time.Time) (Run, error)
	// Last gives when the last scheduled run started, zero when there was none.
	Last func(ctx context.Context) (time.Time, error)
	// CatchUp starts a run at once if one was missed while the program was down.
	CatchUp bool
	// Resume, when set, goes on with a scheduled run that was interrupted, in this
	// process or another one that is gone; false when there is none. It is called at
	// the beginning and from time to time.
	Resume func(ctx context.Context) (Run, bool, error)
	Logger *slog.Logger
	Now    func() time.Time // time.Now when nil
}

const (
	// lookAround is how often the clock is looked at, which may be changed, or stand
	// still while the machine sleeps, and whether another process has left a run
	// behind.
	lookAround = 15 * time.Second
	// longestLookAway is how long a run is left alone at most that cannot be gone
	// on with.
	longestLookAway = 30 * time.Minute
)

// Run starts runs until ctx ends, never two at once: a time that comes while a run
// goes on is left out.
func (s Schedule) Run(ctx context.Context) error {
	if s.Now == nil {
		s.Now = time.Now
	}
	if s.Logger == nil {
		s.Logger = slog.New(slog.DiscardHandler)
	}
	left := orphans{Schedule: s}
	left.adopt(ctx)
	if s.CatchUp && ctx.Err() == nil {
		if due := s.missed(ctx); !due.IsZero() {
			s.Logger.InfoContext(ctx, "a scheduled run was missed and starts now")
			s.start(ctx, due)
		}
	}
	done := s.Now() // up to when all times are dealt with
	for ctx.Err() == nil {
		next := s.Timetable.Next(done)
		if next.IsZero() {
			<-ctx.Done()
			break
		}
		if s.wait(ctx, next, &left) {
			s.start(ctx, next)
			done = next
		}
		// A clock set back must not bring the same time again.
		if now := s.Now(); now.After(done) {
			done = now
		}
	}
	return nil
}

// wait returns true when a time has come, and false when ctx has ended or a run
// has gone on meanwhile.
func (s Schedule) wait(ctx context.Context, until time.Time, left *orphans) bool {
	for {
		wait := until.Sub(s.Now())
		if wait <= 0 {
			return ctx.Err() == nil
		}
		timer := time.NewTimer(min(wait, lookAround))
		select {
		case <-ctx.Done():
			timer.Stop()
			return false
		case <-timer.C:
		}
		if wait > lookAround && left.adopt(ctx) {
			return false
		}
	}
}

func (s Schedule) start(ctx context.Context, due time.Time) {
	run, err := s.Start(ctx, due)
	s.ended(ctx, run, err)
}

// orphans are runs that processes which are gone have left behind.
type orphans struct {
	Schedule
	pause   time.Duration // after a failure
	notTill time.Time     // of the process's own clock
}

// adopt goes on with a run that was left behind, and tells whether one did.
func (o *orphans) adopt(ctx context.Context) bool {
	if o.Resume == nil || time.Now().Before(o.notTill) {
		return false
	}
	run, found, err := o.Resume(ctx)
	switch {
	case fault.KindOf(err) == fault.Conflict && err != nil: // it is not left behind
		return false
	case err != nil:
		o.pause = min(max(2*o.pause, lookAround), longestLookAway)
		o.notTill = time.Now().Add(o.pause)
	default:
		o.pause, o.notTill = 0, time.Time{}
	}
	if found || err != nil {
		o.ended(ctx, run, err)
	}
	return found
}

func (s Schedule) ended(ctx context.Context, run Run, err error) {
	switch {
	case err == nil:
		s.Logger.InfoContext(ctx, "scheduled run finished", "run", run.ID, "people", run.People, "partial", run.Partial, "failed", run.Failed)
	case ctx.Err() != nil:
	case fault.KindOf(err) == fault.Conflict:
		s.Logger.WarnContext(ctx, "the scheduled run was left out", "reason", err.Error())
	default:
		s.Logger.ErrorContext(ctx, "the scheduled run failed", "run", run.ID, "error", err.Error(), "remedy", fault.RemedyOf(err))
	}
}

// missed gives when a run was due that should have started since the last one
// did, zero when none was.
func (s Schedule) missed(ctx context.Context) time.Time {
	last, err := s.Last(ctx)
	if err != nil {
		s.Logger.WarnContext(ctx, "whether a run was missed is not known", "error", err)
		return time.Time{}
	}
	if last.IsZero() {
		return time.Time{}
	}
	next := s.Timetable.Next(last)
	if next.After(s.Now()) {
		return time.Time{}
	}
	return next
}
