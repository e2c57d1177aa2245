package store

import (
	"context"
	"database/sql"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/outbox"
)

// DefaultOutboxLimit is how many bytes of documents, as kept, may wait for one
// sink.
const DefaultOutboxLimit = 1 << 30

// How long a measured size holds: while there is plenty of room, and when there
// is none.
const (
	roomAge     = 5 * time.Second
	fullRoomAge = 200 * time.Millisecond
)

// outboxRoom knows about how many bytes each sink's queue takes. It is measured
// now and then, and counted up in between.
type outboxRoom struct {
	mu    sync.Mutex
	limit int64
	used  map[string]measured
}

type measured struct {
	bytes int64
	at    time.Time
}

// LimitOutbox sets how many bytes may wait for one sink; 0 means
// [DefaultOutboxLimit].
func (s *Store) LimitOutbox(bytes int64) {
	s.outbox.mu.Lock()
	defer s.outbox.mu.Unlock()
	s.outbox.limit = bytes
}

func (r *outboxRoom) bound() int64 {
	if r.limit <= 0 {
		return DefaultOutboxLimit
	}
	return r.limit
}

func (r *outboxRoom) read(sink string) (used measured, limit int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.used[sink], r.bound()
}

func (r *outboxRoom) set(sink string, m measured) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.used == nil {
		r.used = make(map[string]measured)
	}
	r.used[sink] = m
}

// add counts what a transaction puts in; if it comes to nothing, the next
// measuring corrects it.
func (r *outboxRoom) add(sink string, bytes int64) {
	r.mu.Lock()
	defer r.mu.Unlock()
	m := r.used[sink]
	m.bytes += bytes
	r.used[sink] = m
}

// outboxFits refuses documents when the queue of their sink is full, so that a
// sink that is down for weeks cannot fill the disk.
func (s *Store) outboxFits(ctx context.Context, tx *sql.Tx, sink string, more int64) error {
	used, limit := s.outbox.read(sink)
	age := time.Since(used.at)
	if age > roomAge || used.bytes+more > limit && age > fullRoomAge {
		err := tx.QueryRowContext(ctx, `SELECT COALESCE(SUM(stored), 0) FROM outbox WHERE sink = $1 AND state <> 1`, sink).Scan(&used.bytes)
		if err != nil {
			return err
		}
		used.at = time.Now()
		s.outbox.set(sink, used)
	}
	if used.bytes+more <= limit {
		return nil
	}
	return &fault.Error{
		Kind: fault.Unavailable, Subject: sink, Message: fmt.Sprintf("the outbox is full: %d of %d bytes wait for this sink", used.bytes, limit),
		Remedy: "see with posture outbox list why the sink takes nothing; repair it, or give the outbox more room",
	}
}

// OutboxLease implements [outbox.Store].
func (s *Store) OutboxLease(ctx context.Context, sink string) (outbox.Lease, error) {
	var l outbox.Lease
	err := s.db.QueryRowContext(ctx, `SELECT holder, beat FROM outbox_leases WHERE sink = $1`, sink).Scan(&l.Holder, &l.Beat)
	if errors.Is(err, sql.ErrNoRows) {
		return outbox.Lease{}, nil
	}
	return l, s.fault(err, "read lease", sink)
}

// TakeOutboxLease implements [outbox.Store].
func (s *Store) TakeOutboxLease(ctx context.Context, sink string, seen, next outbox.Lease) (bool, error) {
	if seen == (outbox.Lease{}) {
		n, err := s.affect(ctx, "take lease", `INSERT INTO outbox_leases (sink, holder, beat) VALUES ($1, $2, $3)
			ON CONFLICT (sink) DO NOTHING`, sink, next.Holder, next.Beat)
		return n > 0, err
	}
	n, err := s.affect(ctx, "take lease", `UPDATE outbox_leases SET holder = $1, beat = $2 WHERE sink = $3 AND holder = $4 AND beat = $5`,
		next.Holder, next.Beat, sink, seen.Holder, seen.Beat)
	return n > 0, err
}

// OutboxStats implements [outbox.Store].
func (s *Store) OutboxStats(ctx context.Context) ([]outbox.Stats, error) {
	const op = "measure outbox"
	rows, err := s.db.QueryContext(ctx, `SELECT sink, state, COUNT(*), SUM(stored), MIN(seq) FROM outbox WHERE state <> 1
		GROUP BY sink, state ORDER BY sink, state`)
	if err != nil {
		return nil, s.fault(err, op, "")
	}
	defer func() { _ = rows.Close() }()
	_, limit := s.outbox.read("")
	var (
		out    []outbox.Stats
		oldest = make(map[int64]string) // number of a sink's first waiting entry
	)
	for rows.Next() {
		var (
			sink                       string
			state, count, bytes, first int64
		)
		if err := rows.Scan(&sink, &state, &count, &bytes, &first); err != nil {
			return nil, s.fault(err, op, "")
		}
		if len(out) == 0 || out[len(out)-1].Sink != sink {
			out = append(out, outbox.Stats{Sink: sink, Limit: limit})
		}
		last := &out[len(out)-1]
		last.Bytes += bytes
		if state == outboxDead {
			last.Dead = int(count)
		} else {
			last.Waiting, oldest[first] = int(count), sink
		}
	}
	if err := errors.Join(rows.Err(), rows.Close()); err != nil {
		return nil, s.fault(err, op, "")
	}
	return out, s.addOldest(ctx, out, oldest)
}

// addOldest fills in when the first waiting entry of each sink came.
func (s *Store) addOldest(ctx context.Context, stats []outbox.Stats, first map[int64]string) error {
	for number, sink := range first {
		var queued int64
		err := s.db.QueryRowContext(ctx, `SELECT queued_at FROM outbox WHERE seq = $1`, number).Scan(&queued)
		if errors.Is(err, sql.ErrNoRows) {
			continue // dropped meanwhile
		}
		if err != nil {
			return s.fault(err, "measure outbox", sink)
		}
		i := slices.IndexFunc(stats, func(st outbox.Stats) bool { return st.Sink == sink })
		stats[i].Oldest = fromMicros(queued)
	}
	return nil
}

// ListDeliveries implements [outbox.Store].
func (s *Store) ListDeliveries(ctx context.Context, f outbox.Filter) ([]outbox.Entry, error) {
	where, args := selecting(outbox.Selection{Sink: f.Sink, State: f.State})
	if f.Before > 0 {
		args = append(args, f.Before)
		where += fmt.Sprintf(" AND seq < $%d", len(args))
	}
	if f.Limit <= 0 {
		f.Limit = 100
	}
	args = append(args, f.Limit)
	return s.entries(ctx, "list outbox", `SELECT `+outboxColumns+` FROM outbox WHERE `+where+
		fmt.Sprintf(` ORDER BY seq DESC LIMIT $%d`, len(args)), args...)
}

// selecting gives the condition for a selection.
func selecting(sel outbox.Selection) (where string, args []any) {
	conditions := []string{"state <> 1"}
	add := func(format string, value any) {
		args = append(args, value)
		conditions = append(conditions, fmt.Sprintf(format, len(args)))
	}
	if sel.Sink != "" {
		add("sink = $%d", sel.Sink)
	}
	switch sel.State {
	case outbox.Waiting:
		add("state = $%d", outboxWaiting)
	case outbox.Dead:
		add("state = $%d", outboxDead)
	}
	if len(sel.Numbers) > 0 {
		conditions = append(conditions, "seq IN ("+placeholders(len(args)+1, len(sel.Numbers))+")")
		args = append(args, anys(sel.Numbers)...)
	}
	return strings.Join(conditions, " AND "), args
}

// RetryDeliveries implements [outbox.Store].
func (s *Store) RetryDeliveries(ctx context.Context, sel outbox.Selection) (int, error) {
	where, args := selecting(sel)
	return s.affect(ctx, "retry deliveries", `UPDATE outbox SET state = 0, attempts = 0, next_at = 0, done_at = 0 WHERE `+where, args...)
}

// DropDeliveries implements [outbox.Store].
func (s *Store) DropDeliveries(ctx context.Context, sel outbox.Selection) (int, error) {
	where, args := selecting(sel)
	return s.affect(ctx, "drop deliveries", `DELETE FROM outbox WHERE `+where, args...)
}
