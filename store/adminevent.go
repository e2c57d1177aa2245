package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/postureproject/posture/adminevent"
	"github.com/postureproject/posture/fault"
)

var _ adminevent.Store = (*Store)(nil)

// An episode ends when its latest occurrence is longer ago than the window. At
// most one row of a fingerprint is current, so that programs that save at the
// same time add to one.
const (
	endEpisode = `UPDATE admin_events SET current = 0 WHERE fingerprint = $1 AND current = 1 AND last_at < $2`

	addOccurrences = `
INSERT INTO admin_events (id, fingerprint, current, type, level, domain, resource_type, resource_id, resource_name, id_key, name_key,
	source, code, ad_hoc, occurrences, affected, created_at, last_at, detail)
VALUES ($1, $2, 1, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15, $16, $17, $18)
ON CONFLICT (fingerprint) WHERE current = 1 DO UPDATE SET
	occurrences = admin_events.occurrences + excluded.occurrences,
	created_at = CASE WHEN excluded.created_at < admin_events.created_at THEN excluded.created_at ELSE admin_events.created_at END,
	last_at = CASE WHEN excluded.last_at > admin_events.last_at THEN excluded.last_at ELSE admin_events.last_at END,
	level = CASE WHEN excluded.last_at >= admin_events.last_at THEN excluded.level ELSE admin_events.level END,
	detail = CASE WHEN excluded.last_at >= admin_events.last_at THEN excluded.detail ELSE admin_events.detail END,
	resource_name = CASE WHEN excluded.last_at >= admin_events.last_at THEN excluded.resource_name ELSE admin_events.resource_name END,
	name_key = CASE WHEN excluded.last_at >= admin_events.last_at THEN excluded.name_key ELSE admin_events.name_key END,
	affected = CASE WHEN excluded.last_at >= admin_events.last_at AND excluded.affected > 0 THEN excluded.affected ELSE admin_events.affected END`
)

// adminEventDetail is what of an event is only shown.
type adminEventDetail struct {
	Message   string `json:"message"`
	Hint      string `json:"hint"`
	Trigger   string `json:"trigger,omitempty"`
	Operation string `json:"operation,omitempty"`
	Actor     string `json:"actor,omitempty"`
	RequestID string `json:"request,omitempty"`
}

// SaveAdminEvents implements [adminevent.Store].
func (s *Store) SaveAdminEvents(ctx context.Context, b adminevent.Batch) error {
	return s.write(ctx, "save administration events", func(ctx context.Context, tx *sql.Tx) error {
		done, err := tx.ExecContext(ctx, `INSERT INTO admin_event_batches (id, at) VALUES ($1, $2) ON CONFLICT (id) DO NOTHING`, b.ID, micros(b.At))
		if err != nil {
			return err
		}
		if n, err := done.RowsAffected(); err != nil || n == 0 {
			return err // saved before
		}
		return addAdminEvents(ctx, tx, b)
	})
}

func addAdminEvents(ctx context.Context, tx *sql.Tx, b adminevent.Batch) (err error) {
	end, err := tx.PrepareContext(ctx, endEpisode)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, end.Close()) }()
	add, err := tx.PrepareContext(ctx, addOccurrences)
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, add.Close()) }()
	for _, e := range b.Ordered() {
		if _, err := end.ExecContext(ctx, e.Fingerprint, micros(e.CreatedAt.Add(-b.Window))); err != nil {
			return err
		}
		detail, err := json.Marshal(adminEventDetail{e.Message, e.Hint, e.Trigger, e.Operation, e.LastActor, e.RequestID})
		if err != nil {
			return err
		}
		_, err = add.ExecContext(ctx, adminevent.IDFor(e.Event, b.ID), e.Fingerprint, int64(e.Type), int64(e.Level), e.Domain,
			e.Resource.Type, e.Resource.ID, e.Resource.Name, adminEventKey(e.Resource.ID), adminEventKey(e.Resource.Name),
			e.Source, e.Code, zeroOrOne(e.AdHoc), e.NumOccurrences, e.AffectedCount, micros(e.CreatedAt), micros(e.LastOccurredAt), string(detail))
		if err != nil {
			return err
		}
	}
	return nil
}

func zeroOrOne(b bool) int64 {
	if b {
		return 1
	}
	return 0
}

const selectAdminEvents = `SELECT id, type, level, domain, resource_type, resource_id, resource_name, source, code, ad_hoc,
	occurrences, affected, created_at, last_at, detail FROM admin_events`

// AdminEvents implements [adminevent.Store].
func (s *Store) AdminEvents(ctx context.Context, q adminevent.Query) ([]adminevent.Event, error) {
	const op = "list administration events"
	column, ok := adminEventColumn(q.Sort)
	if !ok {
		return nil, fault.InvalidField("sort", string(q.Sort), "is nothing to order by", "")
	}
	direction := " DESC"
	if q.Ascending {
		direction = ""
	}
	condition := adminEventsWhere(q.Filter)
	text := selectAdminEvents + condition.text() + " ORDER BY " + column + direction + ", id" + direction +
		" LIMIT " + condition.bind(q.Limit) + " OFFSET " + condition.bind(q.Offset)
	rows, err := s.db.QueryContext(ctx, text, condition.args...)
	if err != nil {
		return nil, s.fault(err, op, "")
	}
	defer func() { _ = rows.Close() }()
	events := []adminevent.Event{}
	for rows.Next() {
		e, err := scanAdminEvent(rows)
		if err != nil {
			return nil, s.fault(err, op, "")
		}
		events = append(events, e)
	}
	return events, s.fault(rows.Err(), op, "")
}

// AdminEvent implements [adminevent.Store].
func (s *Store) AdminEvent(ctx context.Context, id string) (adminevent.Event, error) {
	const op = "read administration event"
	e, err := scanAdminEvent(s.db.QueryRowContext(ctx, selectAdminEvents+" WHERE id = $1", id))
	if errors.Is(err, sql.ErrNoRows) {
		return e, &fault.Error{
			Kind: fault.NotFound, Op: op, Subject: id, Message: "there is no such event",
			Remedy: "it may be older than the retention; list the events",
		}
	}
	return e, s.fault(err, op, id)
}

func scanAdminEvent(row interface{ Scan(dest ...any) error }) (adminevent.Event, error) {
	var (
		e                    adminevent.Event
		adHoc, created, last int64
		text                 string
		detail               adminEventDetail
	)
	err := row.Scan(&e.ID, &e.Type, &e.Level, &e.Domain, &e.Resource.Type, &e.Resource.ID, &e.Resource.Name, &e.Source, &e.Code, &adHoc,
		&e.NumOccurrences, &e.AffectedCount, &created, &last, &text)
	if err != nil {
		return adminevent.Event{}, err
	}
	if err := json.Unmarshal([]byte(text), &detail); err != nil {
		return adminevent.Event{}, err
	}
	e.AdHoc, e.CreatedAt, e.LastOccurredAt = adHoc != 0, fromMicros(created), fromMicros(last)
	e.Message, e.Hint, e.Trigger, e.Operation = detail.Message, detail.Hint, detail.Trigger, detail.Operation
	e.LastActor, e.RequestID = detail.Actor, detail.RequestID
	return e, nil
}

// CountAdminEvents implements [adminevent.Store].
func (s *Store) CountAdminEvents(ctx context.Context, f adminevent.Filter) (n int64, err error) {
	condition := adminEventsWhere(f)
	err = s.db.QueryRowContext(ctx, "SELECT COUNT(*) FROM admin_events"+condition.text(), condition.args...).Scan(&n)
	return n, s.fault(err, "count administration events", "")
}

// keepBatches is how long a batch that is sent again is known.
const keepBatches = 30 * 24 * time.Hour

// pruneEventsAtOnce bounds one transaction, so that others need not wait for long.
const pruneEventsAtOnce = 5000

// PruneAdminEvents implements [adminevent.Store].
func (s *Store) PruneAdminEvents(ctx context.Context, before time.Time, most int) (deleted int64, err error) {
	const op = "delete outdated administration events"
	if _, err := s.deleteAdminEvents(ctx, op, `DELETE FROM admin_event_batches WHERE id IN
		(SELECT id FROM admin_event_batches WHERE at < $1 LIMIT $2)`, micros(s.now().Add(-keepBatches))); err != nil {
		return 0, err
	}
	deleted, err = s.deleteAdminEvents(ctx, op, `DELETE FROM admin_events WHERE id IN
		(SELECT id FROM admin_events WHERE last_at < $1 ORDER BY last_at, id LIMIT $2)`, micros(before))
	if err != nil {
		return deleted, err
	}
	n, err := s.CountAdminEvents(ctx, adminevent.Filter{})
	for excess := n - int64(most); excess > 0 && err == nil; {
		var gone int64
		err = s.write(ctx, op, func(ctx context.Context, tx *sql.Tx) error {
			gone, err = affected(tx.ExecContext(ctx, `DELETE FROM admin_events WHERE id IN
				(SELECT id FROM admin_events ORDER BY last_at, id LIMIT $1)`, min(excess, pruneEventsAtOnce)))
			return err
		})
		if gone == 0 {
			break // somebody else was faster
		}
		deleted, excess = deleted+gone, excess-gone
	}
	return deleted, err
}

// deleteAdminEvents deletes all rows that a statement chooses by $1, at most $2
// of them at a time.
func (s *Store) deleteAdminEvents(ctx context.Context, op, statement string, arg int64) (deleted int64, err error) {
	for {
		var n int64
		err := s.write(ctx, op, func(ctx context.Context, tx *sql.Tx) (err error) {
			n, err = affected(tx.ExecContext(ctx, statement, arg, pruneEventsAtOnce))
			return err
		})
		deleted += n
		if err != nil || n < pruneEventsAtOnce {
			return deleted, err
		}
	}
}

// affected tells how many rows a statement changed.
func affected(result sql.Result, err error) (int64, error) {
	if err != nil {
		return 0, err
	}
	return result.RowsAffected()
}

const retentionDays = "retention_days"

// AdminEventRetention implements [adminevent.Store].
func (s *Store) AdminEventRetention(ctx context.Context) (days int, err error) {
	err = s.db.QueryRowContext(ctx, `SELECT value FROM admin_event_settings WHERE name = $1`, retentionDays).Scan(&days)
	if errors.Is(err, sql.ErrNoRows) {
		return 0, nil
	}
	return days, s.fault(err, "read the retention of administration events", "")
}

// SetAdminEventRetention implements [adminevent.Store].
func (s *Store) SetAdminEventRetention(ctx context.Context, days int) error {
	return s.write(ctx, "set the retention of administration events", func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO admin_event_settings (name, value) VALUES ($1, $2)
			ON CONFLICT (name) DO UPDATE SET value = excluded.value`, retentionDays, days)
		return err
	})
}
