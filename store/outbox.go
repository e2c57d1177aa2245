package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"fmt"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/outbox"
)

// The states of a row of the outbox.
const (
	outboxWaiting  = 0
	outboxAccepted = 1
	outboxDead     = 2
)

// EnqueueDeliveries implements [outbox.Store].
func (s *Store) EnqueueDeliveries(ctx context.Context, sink string, deliveries []device.Delivery) error {
	const op = "queue deliveries"
	q, err := s.queued([]string{sink}, deliveries)
	if err != nil {
		return s.fault(err, op, "")
	}
	return s.write(ctx, op, func(ctx context.Context, tx *sql.Tx) error { return s.enqueueTx(ctx, tx, tx, q) })
}

// queued are deliveries for some sinks as the database keeps them, packed before
// the transaction that writes them.
type queued struct {
	sinks      []string
	deliveries []device.Delivery
	packed     [][]byte
	bytes      int64
}

func (s *Store) queued(sinks []string, deliveries []device.Delivery) (queued, error) {
	q := queued{sinks: sinks, deliveries: deliveries, packed: make([][]byte, len(deliveries))}
	if len(sinks) == 0 {
		return queued{}, nil
	}
	for i, d := range deliveries {
		for _, sink := range sinks {
			if err := checkDelivery(sink, d); err != nil {
				return q, err
			}
		}
		q.packed[i] = s.packText(d.Body)
		q.bytes += int64(len(q.packed[i]))
	}
	return q, nil
}

// enqueueAtOnce is how many rows one statement inserts.
const enqueueAtOnce = 100

// enqueueTx puts deliveries into the queues of their sinks as a part of the
// caller's transaction, by way of to. Those whose ID a queue knows are left out.
func (s *Store) enqueueTx(ctx context.Context, tx *sql.Tx, to execer, q queued) error {
	if len(q.deliveries) == 0 {
		return nil
	}
	now := micros(s.now())
	for _, sink := range q.sinks {
		if err := s.outboxFits(ctx, tx, sink, q.bytes); err != nil {
			return err
		}
		for start := 0; start < len(q.deliveries); start += enqueueAtOnce {
			end := min(start+enqueueAtOnce, len(q.deliveries))
			args := make([]any, 0, 9*(end-start))
			for i, d := range q.deliveries[start:end] {
				body := q.packed[start+i]
				args = append(args, sink, d.ID, d.Kind, d.Key, micros(d.At), len(d.Body), len(body), now, body)
			}
			_, err := to.ExecContext(ctx, `INSERT INTO outbox (sink, delivery_id, kind, key, at, size, stored, queued_at, body,
				state, attempts, next_at, done_at, error_kind, error, remedy) VALUES `+
				rowsOf(end-start, 9, `, 0, 0, 0, 0, '', '', ''`)+` ON CONFLICT (sink, delivery_id) DO NOTHING`, args...)
			if err != nil {
				return err
			}
		}
		s.outbox.add(sink, q.bytes)
	}
	return nil
}

// rowsOf gives n rows of placeholders, each with further literal values.
func rowsOf(n, columns int, literals string) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteString(", ")
		}
		b.WriteString("(" + placeholders(i*columns+1, columns) + literals + ")")
	}
	return b.String()
}

// placeholders lists n of them, the first one $first.
func placeholders(first, n int) string {
	var b strings.Builder
	for i := range n {
		if i > 0 {
			b.WriteByte(',')
		}
		_, _ = fmt.Fprintf(&b, "$%d", first+i)
	}
	return b.String()
}

// checkDelivery refuses what no sink could ever take.
func checkDelivery(sink string, d device.Delivery) error {
	for name, text := range map[string]string{"sink": sink, "id": d.ID, "kind": d.Kind, "key": d.Key} {
		if text == "" && name != "key" || len(text) > 1000 || !utf8.ValidString(text) || strings.ContainsRune(text, 0) {
			return fault.InvalidField(name, fmt.Sprintf("%.100q", text), "is empty, too long or no text", "")
		}
	}
	if len(d.Body) == 0 || len(d.Body) > device.MaxDelivery {
		return &fault.Error{
			Kind: fault.Invalid, Subject: d.ID,
			Message: fmt.Sprintf("a document of %d bytes cannot be delivered; at most %d can", len(d.Body), device.MaxDelivery),
		}
	}
	return nil
}

// packText is pack for what is JSON already.
func (s *Store) packText(text []byte) []byte {
	if len(text) <= packAbove {
		return append([]byte{formatJSON}, text...)
	}
	return s.codec.encoder.EncodeAll(text, append(make([]byte, 0, len(text)/3), formatZstd))
}

const outboxColumns = `seq, sink, delivery_id, kind, key, at, state, size, queued_at, attempts, next_at, error_kind, error, remedy`

func scanEntry(rows *sql.Rows) (outbox.Entry, error) {
	var (
		e                    outbox.Entry
		at, queued, next, st int64
	)
	err := rows.Scan(&e.Number, &e.Sink, &e.ID, &e.Kind, &e.Key, &at, &st, &e.Size, &queued, &e.Attempts, &next, &e.ErrorKind, &e.Error, &e.Remedy)
	e.At, e.QueuedAt, e.NextAt = fromMicros(at), fromMicros(queued), fromMicros(next)
	if e.State = outbox.Waiting; st == outboxDead {
		e.State = outbox.Dead
	}
	return e, err
}

func (s *Store) entries(ctx context.Context, op, query string, args ...any) ([]outbox.Entry, error) {
	rows, err := s.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, s.fault(err, op, "")
	}
	defer func() { _ = rows.Close() }()
	var out []outbox.Entry
	for rows.Next() {
		e, err := scanEntry(rows)
		if err != nil {
			return nil, s.fault(err, op, "")
		}
		out = append(out, e)
	}
	return out, s.fault(rows.Err(), op, "")
}

// WaitingDeliveries implements [outbox.Store].
func (s *Store) WaitingDeliveries(ctx context.Context, sink string, above int64, n int) ([]outbox.Entry, error) {
	// That state <> 1 follows from state = 0; SQLite uses the index only if told so.
	return s.entries(ctx, "read outbox", `SELECT `+outboxColumns+` FROM outbox
		WHERE sink = $1 AND state = 0 AND state <> 1 AND seq > $2 ORDER BY seq LIMIT $3`, sink, above, n)
}

// DeliveryBodies implements [outbox.Store].
func (s *Store) DeliveryBodies(ctx context.Context, numbers []int64) (map[int64]json.RawMessage, error) {
	out := make(map[int64]json.RawMessage, len(numbers))
	if len(numbers) == 0 {
		return out, nil
	}
	rows, err := s.db.QueryContext(ctx, `SELECT seq, body FROM outbox WHERE state = 0 AND seq IN (`+placeholders(1, len(numbers))+`)`, anys(numbers)...)
	if err != nil {
		return nil, s.fault(err, "read outbox", "")
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var (
			number int64
			doc    []byte
		)
		if err := rows.Scan(&number, &doc); err != nil {
			return nil, s.fault(err, "read outbox", "")
		}
		text, err := s.codec.text(doc)
		if err != nil {
			s.logger.ErrorContext(ctx, "a document in the outbox is damaged", "id", number, "error", err)
			text = nil
		}
		out[number] = text
	}
	return out, s.fault(rows.Err(), "read outbox", "")
}

func anys[T any](values []T) []any {
	out := make([]any, len(values))
	for i, v := range values {
		out[i] = v
	}
	return out
}

// SettleDeliveries implements [outbox.Store].
func (s *Store) SettleDeliveries(ctx context.Context, results []outbox.Result) error {
	groups, order := groupResults(results)
	now := micros(s.now())
	return s.write(ctx, "record deliveries", func(ctx context.Context, tx *sql.Tx) error {
		for _, what := range order {
			for numbers := range slices.Chunk(groups[what], 1000) {
				if err := settle(ctx, tx, what, numbers, now); err != nil {
					return err
				}
			}
		}
		return nil
	})
}

// settled is what a result says beside its number.
type settled struct {
	accepted, dead      bool
	next                int64
	kind, error, remedy string
}

// groupResults puts together what one statement can record.
func groupResults(results []outbox.Result) (groups map[settled][]int64, order []settled) {
	groups = make(map[settled][]int64)
	for _, r := range results {
		what := settled{accepted: r.Err == nil, dead: r.Dead, next: micros(r.NextAt)}
		if r.Err != nil {
			what.kind, what.error, what.remedy = fault.KindOf(r.Err).String(), shortText(r.Err.Error()), shortText(fault.RemedyOf(r.Err))
		}
		if _, known := groups[what]; !known {
			order = append(order, what)
		}
		groups[what] = append(groups[what], r.Number)
	}
	return groups, order
}

// shortText makes a text fit for a column: not long, and nothing PostgreSQL refuses.
func shortText(text string) string {
	text = strings.ReplaceAll(strings.ToValidUTF8(text, "\uFFFD"), "\x00", "")
	if len(text) > 2000 {
		text = strings.ToValidUTF8(text[:2000], "") + "…"
	}
	return text
}

func settle(ctx context.Context, tx *sql.Tx, what settled, numbers []int64, now int64) error {
	var (
		query string
		args  []any
	)
	switch {
	case what.accepted:
		// Accepted is accepted, whatever somebody else has noted meanwhile.
		query, args = `UPDATE outbox SET state = 1, body = $1, stored = 0, done_at = $2, error_kind = '', error = '', remedy = '' WHERE state <> 1`,
			[]any{[]byte{}, now}
	case what.dead:
		query, args = `UPDATE outbox SET state = 2, done_at = $1, attempts = attempts + 1, next_at = 0, error_kind = $2, error = $3, remedy = $4 WHERE state = 0`,
			[]any{now, what.kind, what.error, what.remedy}
	default:
		query, args = `UPDATE outbox SET attempts = attempts + 1, next_at = $1, error_kind = $2, error = $3, remedy = $4 WHERE state = 0`,
			[]any{what.next, what.kind, what.error, what.remedy}
	}
	query += ` AND seq IN (` + placeholders(len(args)+1, len(numbers)) + `)`
	_, err := tx.ExecContext(ctx, query, append(args, anys(numbers)...)...)
	return err
}

// ForgetDelivered implements [outbox.Store].
func (s *Store) ForgetDelivered(ctx context.Context, before time.Time, n int) (int, error) {
	return s.affect(ctx, "forget deliveries", `DELETE FROM outbox WHERE seq IN
		(SELECT seq FROM outbox WHERE state = 1 AND done_at < $1 ORDER BY done_at LIMIT $2)`, micros(before), n)
}

// affect runs one statement and counts the rows that it changed.
func (s *Store) affect(ctx context.Context, op, query string, args ...any) (int, error) {
	var n int64
	err := s.write(ctx, op, func(ctx context.Context, tx *sql.Tx) error {
		r, err := tx.ExecContext(ctx, query, args...)
		if err != nil {
			return err
		}
		n, err = r.RowsAffected()
		return err
	})
	return int(n), err
}
