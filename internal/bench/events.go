package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"time"

	"github.com/postureproject/posture/adminevent"
	"github.com/postureproject/posture/store"
)

// eventsAtOnce is how many events a recorder saves in one transaction.
const eventsAtOnce = 1000

// measureEvents measures how fast administration events are recorded, beside
// writing rows of the same kind.
func measureEvents(ctx context.Context, o options, _ string, _ *simulators, r *report) (err error) {
	path := filepath.Join(o.dir, "events.db")
	s, err := store.Open(ctx, store.Options{DSN: "sqlite:" + path})
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, s.Close()) }()
	distinct, storm := 50_000, 1_000_000
	if o.quick {
		distinct, storm = 5_000, 50_000
	}
	t := table{
		Title:  "Administration events recorded",
		Header: []string{"", "events", "events/s", "rows", "rows/s written bare", "times that"},
		Notes: []string{
			fmt.Sprintf("SQLite. The bare rows are inserted, or one of them counted up, by database/sql, %d in a transaction.", eventsAtOnce),
			"Distinct failures are of different people; the storm is one failure again and again, told one by one. Until all is on disk, counted exactly.",
		},
		Values: map[string]float64{},
	}
	for _, what := range []struct {
		name    string
		n, keys int
	}{{"distinct failures", distinct, distinct}, {"a storm of one failure", storm, 1}} {
		recorded, err := recordEvents(ctx, s, what.name, what.n, what.keys)
		if err != nil {
			return fmt.Errorf("%s: %w", what.name, err)
		}
		bare, err := writeEvents(ctx, path, what.name, min(what.n, distinct), what.keys)
		if err != nil {
			return fmt.Errorf("%s, bare: %w", what.name, err)
		}
		t.Rows = append(t.Rows, []string{
			what.name, fmt.Sprint(what.n), decimal(recorded, 0), fmt.Sprint(what.keys), decimal(bare, 0), decimal(recorded/bare, 2),
		})
		t.Values[what.name], t.Values[what.name+" bare"] = recorded, bare
	}
	r.add(t)
	return nil
}

func failureOf(name string, i int) adminevent.Event {
	return adminevent.Event{
		Level: adminevent.LevelError, Domain: adminevent.DomainSources, Resource: adminevent.User(fmt.Sprintf("person%d@example.com", i)),
		Source: "jamf", Code: "bench", Message: "jamf: look up devices: the server answered 503 Service Unavailable", Trigger: adminevent.TriggerNightly,
		Operation: name,
	}
}

// recordEvents tells a recorder of n failures about so many people, and gives how
// many it took a second until all were on disk.
func recordEvents(ctx context.Context, s *store.Store, name string, n, keys int) (float64, error) {
	recorder := adminevent.New(adminevent.Options{Store: s, StormLimit: n + 1, MaxRows: n + 1})
	began := time.Now()
	for i := range n {
		recorder.Record(ctx, failureOf(name, i%keys))
	}
	if err := recorder.Close(ctx); err != nil {
		return 0, err
	}
	rate := float64(n) / time.Since(began).Seconds()
	events, err := recorder.List(ctx, adminevent.Query{Filter: adminevent.Filter{}, Limit: 1})
	if err != nil {
		return 0, err
	}
	if keys == 1 && (len(events) != 1 || events[0].NumOccurrences < int64(n)) {
		return 0, fmt.Errorf("%d events were counted %+v times", n, events)
	}
	return rate, nil
}

// writeEvents inserts n rows into a table like that of events, or counts n times
// in as many rows as there are keys, and gives the rate.
func writeEvents(ctx context.Context, path, name string, n, keys int) (rate float64, err error) {
	db, err := sql.Open("sqlite", "file:"+path+".raw?_txlock=immediate&_pragma=journal_mode(WAL)&_pragma=synchronous(FULL)")
	if err != nil {
		return 0, err
	}
	db.SetMaxOpenConns(1)
	defer func() { err = errors.Join(err, db.Close()) }()
	if _, err := db.ExecContext(ctx, `CREATE TABLE IF NOT EXISTS events (id TEXT PRIMARY KEY, resource TEXT NOT NULL, source TEXT NOT NULL,
		code TEXT NOT NULL, occurrences BIGINT NOT NULL, last_at BIGINT NOT NULL, detail TEXT NOT NULL) WITHOUT ROWID`); err != nil {
		return 0, err
	}
	w := &rawWriter{to: db}
	began := time.Now()
	for i := 0; i < n; {
		err := w.timed(ctx, func(tx *sql.Tx) (err error) {
			statement, err := tx.PrepareContext(ctx, `INSERT INTO events VALUES ($1, $2, $3, $4, 1, $5, $6)
				ON CONFLICT (id) DO UPDATE SET occurrences = events.occurrences + 1, last_at = excluded.last_at`)
			if err != nil {
				return err
			}
			defer func() { err = errors.Join(err, statement.Close()) }()
			for last := min(i+eventsAtOnce, n); i < last; i++ {
				e := failureOf(name, i%keys)
				_, err := statement.ExecContext(ctx, name+e.Resource.ID, e.Resource.ID, e.Source, e.Code, began.UnixMicro(), e.Message)
				if err != nil {
					return err
				}
			}
			return nil
		})
		if err != nil {
			return 0, err
		}
	}
	return float64(n) / time.Since(began).Seconds(), nil
}
