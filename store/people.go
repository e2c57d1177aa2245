package store

import (
	"context"
	"time"
)

// KnownPerson is a line of the list of people.
type KnownPerson struct {
	Email       string    `json:"email"`
	GeneratedAt time.Time `json:"generated_at"`
	Devices     int       `json:"devices"`
	Failed      int       `json:"failed"` // sources that did not answer
}

// KnownPeople gives up to n people of whom there is a posture, in the order of
// their addresses, beginning after one; "" begins with the first.
func (s *Store) KnownPeople(ctx context.Context, after string, n int) ([]KnownPerson, error) {
	const op = "list people"
	if after != "" {
		var err error
		if after, err = addressKey(after); err != nil {
			return nil, err
		}
	}
	rows, err := s.db.QueryContext(ctx,
		"SELECT email, generated_at, devices, failed FROM people WHERE email > $1 ORDER BY email LIMIT $2", after, n)
	if err != nil {
		return nil, s.fault(err, op, "")
	}
	defer func() { _ = rows.Close() }()
	var people []KnownPerson
	for rows.Next() {
		var p KnownPerson
		var at int64
		if err := rows.Scan(&p.Email, &at, &p.Devices, &p.Failed); err != nil {
			return nil, s.fault(err, op, "")
		}
		p.GeneratedAt = fromMicros(at)
		people = append(people, p)
	}
	return people, s.fault(rows.Err(), op, "")
}

// Counts are the sizes of what is known.
type Counts struct {
	People  int       `json:"people"`
	Devices int       `json:"devices"`
	Partial int       `json:"partial"` // people of whom some source did not answer
	Oldest  time.Time `json:"oldest,omitzero"`
	Newest  time.Time `json:"newest,omitzero"`
}

// Counts counts people and devices, and tells when the oldest and the newest
// posture were made.
func (s *Store) Counts(ctx context.Context) (Counts, error) {
	var c Counts
	var oldest, newest int64
	err := s.db.QueryRowContext(ctx, `SELECT count(*), CAST(coalesce(sum(devices), 0) AS BIGINT),
	count(CASE WHEN failed > 0 THEN 1 END), coalesce(min(generated_at), 0), coalesce(max(generated_at), 0) FROM people`).
		Scan(&c.People, &c.Devices, &c.Partial, &oldest, &newest)
	c.Oldest, c.Newest = fromMicros(oldest), fromMicros(newest)
	return c, s.fault(err, "count people", "")
}
