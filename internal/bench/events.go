package main

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"path/filepath"
	"slices"
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
	distinct, storm := 20_000, 500_000
	if o.quick {
		distinct, storm = 5_000, 50_000
	}
	t := table{
		Title:  "Administration events recorded",
		Header: []string{"", "events", "events/s", "rows", "rows/s written bare", "times that"},
		Notes: []string{
			fmt.Sprintf("SQLite. Bare are the same rows inserted into the same table, or the one row counted up, by database/sql, %d in a transaction.", eventsAtOnce),
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
		bare, err := writeEvents(ctx, path, what.name, min(what.n, distinct))
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

// eventColumns are all of the table of events.
const eventColumns = `id, fingerprint, current, type, level, domain, resource_type, resource_id, resource_name, id_key, name_key, source, code, ad_hoc,
	occurrences, affected, created_at, last_at, detail`

// writeEvents writes the rows that a recorder has left about one operation into
// an empty database of the same schema; where that is one row alone, it is counted
// up n times. It gives the rate of statements.
func writeEvents(ctx context.Context, path, name string, n int) (rate float64, err error) {
	fresh := path + ".raw"
	if err := removeDatabase(fresh); err != nil {
		return 0, err
	}
	w, closeAll, err := openRaw(ctx, path, fresh)
	if err != nil {
		return 0, err
	}
	defer func() { err = errors.Join(err, closeAll()) }()
	rows, err := w.read(ctx, copied{"admin_events", eventColumns, "detail LIKE $1 AND $2 = ''"}, "%"+name+"%", "")
	if err != nil || len(rows) == 0 {
		return 0, errors.Join(err, fmt.Errorf("%d rows were recorded", len(rows)))
	}
	key := rows[0][1]
	statements := len(rows)
	for some := range slices.Chunk(rows, eventsAtOnce) {
		if err := w.write(ctx, map[string][][]any{"admin_events (" + eventColumns + ")": some}, nil); err != nil {
			return 0, err
		}
	}
	for i := len(rows); len(rows) == 1 && i < n; i += eventsAtOnce {
		statements += eventsAtOnce
		if err := w.timed(ctx, func(tx *sql.Tx) error { return countUp(ctx, tx, key) }); err != nil {
			return 0, err
		}
	}
	return float64(statements) / w.took.Seconds(), nil
}

// countUp counts one event up, as often as a transaction does.
func countUp(ctx context.Context, tx *sql.Tx, fingerprint any) (err error) {
	statement, err := tx.PrepareContext(ctx, "UPDATE admin_events SET occurrences = occurrences + 1, last_at = $1 WHERE fingerprint = $2 AND current = 1")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, statement.Close()) }()
	for range eventsAtOnce {
		if _, err := statement.ExecContext(ctx, time.Now().UnixMicro(), fingerprint); err != nil {
			return err
		}
	}
	return nil
}
