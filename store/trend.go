package store

import (
	"context"
	"database/sql"
	"fmt"
	"strings"
	"time"

	"github.com/postureproject/posture/device"
)

// Census is the state of everybody, counted.
type Census struct {
	People  int
	Devices int
	Summary Summary
}

// Census counts everybody whose posture was made at a time or later; those not
// heard of for longer do not count. It reads one small row per person.
func (s *Store) Census(ctx context.Context, since time.Time) (Census, error) {
	const op = "count devices"
	c := Census{Summary: Summary{}}
	rows, err := s.db.QueryContext(ctx, "SELECT devices, summary FROM people WHERE generated_at >= $1", micros(since))
	if err != nil {
		return c, s.fault(err, op, "")
	}
	defer func() { _ = rows.Close() }()
	alike := map[string]int{} // how many people have a summary
	for rows.Next() {
		var devices int
		var kept string
		if err := rows.Scan(&devices, &kept); err != nil {
			return c, s.fault(err, op, "")
		}
		c.People++
		c.Devices += devices
		if alike[kept]++; len(alike) == summariesAtOnce {
			if err := c.Summary.addKept(alike); err != nil {
				return c, s.fault(err, op, "")
			}
			clear(alike)
		}
	}
	if err := rows.Err(); err != nil {
		return c, s.fault(err, op, "")
	}
	return c, s.fault(c.Summary.addKept(alike), op, "")
}

// summariesAtOnce bounds how many different summaries wait to be read. Most
// people's are like somebody else's, so reading each only once saves most work.
const summariesAtOnce = 10_000

func (s Summary) addKept(alike map[string]int) error {
	for kept, people := range alike {
		summary, err := decodeSummary(kept)
		if err != nil {
			return err
		}
		s.Add(summary, people)
	}
	return nil
}

// RecordDay keeps the census as the state on a day, the calendar day of the time
// in its own zone, in place of what was recorded for that day before.
func (s *Store) RecordDay(ctx context.Context, day time.Time, c Census) error {
	return s.write(ctx, "record day", func(ctx context.Context, tx *sql.Tx) error {
		return s.recordDay(ctx, tx, day, c)
	})
}

// recordDay is RecordDay within a transaction.
func (s *Store) recordDay(ctx context.Context, tx *sql.Tx, day time.Time, c Census) error {
	n := dayNumber(day)
	// The row of the day comes first: two that record one day wait for each other.
	if _, err := tx.ExecContext(ctx, `INSERT INTO trend_days (day, people, devices) VALUES ($1, $2, $3)
ON CONFLICT (day) DO UPDATE SET people = excluded.people, devices = excluded.devices`, n, c.People, c.Devices); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, "DELETE FROM trend_practices WHERE day = $1", n); err != nil {
		return err
	}
	for _, practice := range c.Summary.Practices() {
		if err := recordPractice(ctx, tx, n, practice, c.Summary[practice]); err != nil {
			return err
		}
	}
	return nil
}

func recordPractice(ctx context.Context, tx *sql.Tx, day int64, practice string, platforms map[string]map[device.Status]int) error {
	args := []any{day, practice}
	var values strings.Builder
	for platform, statuses := range platforms {
		for status, devices := range statuses {
			if len(args) > 2 {
				values.WriteByte(',')
			}
			_, _ = fmt.Fprintf(&values, "($1,$2,$%d,$%d,$%d)", len(args)+1, len(args)+2, len(args)+3)
			args = append(args, platform, string(status), devices)
		}
	}
	if len(args) == 2 {
		return nil
	}
	_, err := tx.ExecContext(ctx, "INSERT INTO trend_practices (day, practice, platform, status, devices) VALUES "+values.String(), args...)
	return err
}

// TrendPoint is how many devices had a verdict on a practice on a day.
type TrendPoint struct {
	Day      time.Time     `json:"day"` // midnight, UTC
	Practice string        `json:"practice"`
	Platform string        `json:"platform"`
	Status   device.Status `json:"status"`
	Devices  int           `json:"devices"`
}

// Trend gives what was recorded from one day to another, both included, for all
// practices or those named, ordered by practice, day, platform and status.
func (s *Store) Trend(ctx context.Context, from, to time.Time, practices ...string) ([]TrendPoint, error) {
	const op = "read trend"
	query := "SELECT day, practice, platform, status, devices FROM trend_practices WHERE day BETWEEN $1 AND $2"
	args := []any{dayNumber(from), dayNumber(to)}
	if len(practices) > 0 {
		query += " AND practice IN (" + placeholders(3, len(practices)) + ")"
		for _, p := range practices {
			args = append(args, text(p))
		}
	}
	rows, err := s.db.QueryContext(ctx, query+" ORDER BY practice, day, platform, status", args...)
	if err != nil {
		return nil, s.fault(err, op, "")
	}
	defer func() { _ = rows.Close() }()
	var points []TrendPoint
	for rows.Next() {
		var p TrendPoint
		var day int64
		if err := rows.Scan(&day, &p.Practice, &p.Platform, &p.Status, &p.Devices); err != nil {
			return nil, s.fault(err, op, "")
		}
		p.Day = dayTime(day)
		points = append(points, p)
	}
	return points, s.fault(rows.Err(), op, "")
}

// DayTotal is how many people and devices a recorded day was about.
type DayTotal struct {
	Day     time.Time `json:"day"` // midnight, UTC
	People  int       `json:"people"`
	Devices int       `json:"devices"`
}

// Days gives the recorded days from one to another, both included.
func (s *Store) Days(ctx context.Context, from, to time.Time) ([]DayTotal, error) {
	const op = "read days"
	rows, err := s.db.QueryContext(ctx, "SELECT day, people, devices FROM trend_days WHERE day BETWEEN $1 AND $2 ORDER BY day",
		dayNumber(from), dayNumber(to))
	if err != nil {
		return nil, s.fault(err, op, "")
	}
	defer func() { _ = rows.Close() }()
	var days []DayTotal
	for rows.Next() {
		var d DayTotal
		var day int64
		if err := rows.Scan(&day, &d.People, &d.Devices); err != nil {
			return nil, s.fault(err, op, "")
		}
		d.Day = dayTime(day)
		days = append(days, d)
	}
	return days, s.fault(rows.Err(), op, "")
}

const secondsPerDay = 24 * 60 * 60

// dayNumber counts calendar days since 1970.
func dayNumber(t time.Time) int64 {
	year, month, day := t.Date()
	return time.Date(year, month, day, 0, 0, 0, 0, time.UTC).Unix() / secondsPerDay
}

func dayTime(n int64) time.Time { return time.Unix(n*secondsPerDay, 0).UTC() }
