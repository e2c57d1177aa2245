package store

import (
	"cmp"
	"context"
	"database/sql"
	"encoding/json"
	"runtime"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/postureproject/posture/batch"
	"github.com/postureproject/posture/device"
)

// rowsAtOnce bounds how many rows one statement inserts.
const rowsAtOnce = 500

// AddPeople implements [batch.PeopleStore].
func (s *Store) AddPeople(ctx context.Context, run string, people []string) error {
	if len(people) == 0 {
		return nil
	}
	return s.write(ctx, "add people", func(ctx context.Context, tx *sql.Tx) error { return addPeople(ctx, tx, run, people) })
}

func addPeople(ctx context.Context, tx *sql.Tx, run string, people []string) error {
	for some := range slices.Chunk(people, rowsAtOnce) {
		values, args := make([]byte, 0, 32*len(some)), []any{run, string(batch.Pending)}
		for i, email := range some {
			if i > 0 {
				values = append(values, ',')
			}
			args = append(args, email)
			values = append(values, "($1, "+placeholders(len(args), 1)+", $2, 0, '{}')"...)
		}
		query := "INSERT INTO batch_people (run, email, state, devices, statistics) VALUES " + string(values) +
			" ON CONFLICT (run, email) DO NOTHING"
		if _, err := tx.ExecContext(ctx, query, args...); err != nil {
			return err
		}
	}
	return nil
}

// People implements [batch.PeopleStore].
func (s *Store) People(ctx context.Context, run, after string, n int) ([]batch.Person, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT email, state, devices, statistics, NULL FROM batch_people
WHERE run = $1 AND email > $2 ORDER BY email LIMIT $3`, run, after, n)
	return s.people(rows, err, run)
}

// PeopleBetween implements [batch.PeopleStore].
func (s *Store) PeopleBetween(ctx context.Context, run string, state batch.State, first, last string) ([]batch.Person, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT email, state, devices, statistics, gathered FROM batch_people
WHERE run = $1 AND state = $2 AND email BETWEEN $3 AND $4 ORDER BY email`, run, string(state), first, last)
	return s.people(rows, err, run)
}

func (s *Store) people(rows *sql.Rows, err error, run string) ([]batch.Person, error) {
	const op = "read people of run"
	if err != nil {
		return nil, s.fault(err, op, run)
	}
	defer func() { _ = rows.Close() }()
	var people []batch.Person
	for rows.Next() {
		var (
			p          batch.Person
			statistics string
			gathered   []byte
		)
		err := rows.Scan(&p.Email, &p.State, &p.Devices, &statistics, &gathered)
		if err == nil {
			err = json.Unmarshal([]byte(statistics), &p.Statistics)
		}
		if err == nil && len(gathered) > 0 {
			p.Gathered = &batch.Gathered{}
			err = s.unpack(gathered, p.Gathered)
		}
		if err != nil {
			return nil, s.fault(err, op, run)
		}
		people = append(people, p)
	}
	return people, s.fault(rows.Err(), op, run)
}

// finishing is a settled person, packed before the transaction that writes it.
type finishing struct {
	batch.Finished
	place      int // among those given
	row        personRow
	statistics string
	gathered   []byte
	queued     queued
}

// finishing packs what is known of a settled person.
func (s *Store) finishing(place int, f batch.Finished) (finishing, error) {
	out := finishing{Finished: f, place: place}
	var err error
	if out.row, err = s.personRow(Saved{Posture: f.Posture, Collections: f.Collections}); err != nil {
		return out, err
	}
	statistics, err := json.Marshal(f.Statistics)
	if err != nil {
		return out, err
	}
	out.statistics = string(statistics)
	if f.Gathered != nil {
		if out.gathered, err = s.pack(f.Gathered); err != nil {
			return out, err
		}
	}
	out.queued, err = s.queued(f.Sinks, f.Deliveries)
	return out, err
}

// FinishPeople implements [batch.PeopleStore].
func (s *Store) FinishPeople(ctx context.Context, run string, finished []batch.Finished) ([]bool, error) {
	const op = "settle people"
	all := make([]finishing, len(finished))
	// Packing takes longer than writing, and only one may write.
	var group errgroup.Group
	group.SetLimit(runtime.GOMAXPROCS(0))
	for i, f := range finished {
		group.Go(func() (err error) {
			all[i], err = s.finishing(i, f)
			return s.fault(err, op, f.Email)
		})
	}
	if err := group.Wait(); err != nil {
		return nil, err
	}
	slices.SortStableFunc(all, func(a, b finishing) int { return cmp.Compare(a.Email, b.Email) })
	here := make([]bool, len(all))
	err := s.write(ctx, op, func(ctx context.Context, tx *sql.Tx) error {
		clear(here)
		to := s.repeating(tx)
		for _, f := range all {
			settled, err := s.finish(ctx, tx, to, run, f)
			if err != nil {
				return err
			}
			here[f.place] = settled
		}
		return nil
	})
	return here, err
}

func (s *Store) finish(ctx context.Context, tx *sql.Tx, to execer, run string, f finishing) (bool, error) {
	settled, err := changed(to.ExecContext(ctx,
		"UPDATE batch_people SET state = $1, devices = $2, statistics = $3, gathered = $4 WHERE run = $5 AND email = $6 AND state = $7",
		string(f.To), f.Devices, f.statistics, f.gathered, run, f.Email, string(f.From)))
	if err != nil || !settled {
		return false, err
	}
	if err := f.row.save(ctx, to); err != nil {
		return false, err
	}
	return true, s.enqueueTx(ctx, tx, to, f.queued)
}

// KnownCollections implements [batch.PeopleStore].
func (s *Store) KnownCollections(ctx context.Context, email string) ([]device.Collection, error) {
	return s.Collections(ctx, email)
}

// KnownOwned implements [batch.PeopleStore].
func (s *Store) KnownOwned(ctx context.Context, plugin, after string, n int) ([]batch.Known, error) {
	const op = "read collections"
	rows, err := s.db.QueryContext(ctx, "SELECT email, doc FROM collections WHERE plugin = $1 AND email > $2 ORDER BY email LIMIT $3",
		text(plugin), after, n)
	if err != nil {
		return nil, s.fault(err, op, plugin)
	}
	defer func() { _ = rows.Close() }()
	var found []batch.Known
	for rows.Next() {
		var (
			k   batch.Known
			doc sql.RawBytes
		)
		if err := rows.Scan(&k.Email, &doc); err != nil {
			return nil, s.fault(err, op, plugin)
		}
		if err := s.unpack(doc, &k.Collection); err != nil {
			return nil, s.fault(err, op, plugin)
		}
		found = append(found, k)
	}
	return found, s.fault(rows.Err(), op, plugin)
}

// LastDevices implements [batch.PeopleStore].
func (s *Store) LastDevices(ctx context.Context, emails []string) (map[string][]device.Device, error) {
	const op = "read postures"
	of := make(map[string][]device.Device, len(emails))
	if len(emails) == 0 {
		return of, nil
	}
	args := make([]any, len(emails))
	for i, email := range emails {
		args[i] = email
	}
	rows, err := s.db.QueryContext(ctx, "SELECT email, doc FROM postures WHERE email IN ("+placeholders(1, len(args))+")", args...)
	if err != nil {
		return nil, s.fault(err, op, "")
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var (
			email string
			doc   sql.RawBytes
			p     struct{ Devices []device.Device }
		)
		if err := rows.Scan(&email, &doc); err != nil {
			return nil, s.fault(err, op, "")
		}
		if err := s.unpack(doc, &p); err != nil {
			return nil, s.fault(err, op, email)
		}
		of[email] = p.Devices
	}
	return of, s.fault(rows.Err(), op, "")
}

// SendSummary implements [batch.PeopleStore].
func (s *Store) SendSummary(ctx context.Context, run, from, to string, sinks []string, deliveries []device.Delivery) error {
	const op = "send summary"
	q, err := s.queued(sinks, deliveries)
	if err != nil {
		return s.fault(err, op, "")
	}
	return s.write(ctx, op, func(ctx context.Context, tx *sql.Tx) error {
		moved, err := changed(tx.ExecContext(ctx, "UPDATE batch_runs SET sent = $1 WHERE id = $2 AND sent = $3", to, run, from))
		if err != nil || !moved {
			return err
		}
		return s.enqueueTx(ctx, tx, tx, q)
	})
}

// EarlierPeople implements [batch.PeopleStore].
func (s *Store) EarlierPeople(ctx context.Context, after string, n int) ([]string, error) {
	known, err := s.KnownPeople(ctx, after, n)
	people := make([]string, len(known))
	for i, p := range known {
		people[i] = p.Email
	}
	return people, err
}

// PeopleByState implements [batch.PeopleStore].
func (s *Store) PeopleByState(ctx context.Context, run string) (map[batch.State]int, error) {
	const op = "count people of run"
	rows, err := s.db.QueryContext(ctx, "SELECT state, count(*) FROM batch_people WHERE run = $1 GROUP BY state", run)
	if err != nil {
		return nil, s.fault(err, op, run)
	}
	defer func() { _ = rows.Close() }()
	counts := map[batch.State]int{}
	for rows.Next() {
		var state batch.State
		var n int
		if err := rows.Scan(&state, &n); err != nil {
			return nil, s.fault(err, op, run)
		}
		counts[state] = n
	}
	return counts, s.fault(rows.Err(), op, run)
}
