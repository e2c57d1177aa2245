package store

import (
	"context"
	"database/sql"
	"errors"
	"time"
)

// Snapshot is the summary of a person's devices from a time on, until the next
// snapshot.
type Snapshot struct {
	At      time.Time `json:"at"`
	Summary Summary   `json:"summary"`
}

// History tells how a person's summary developed between two times, oldest
// first. The first snapshot is the one that held at the beginning, if any.
func (s *Store) History(ctx context.Context, email string, from, to time.Time) ([]Snapshot, error) {
	const op = "read history"
	key, err := addressKey(email)
	if err != nil {
		return nil, err
	}
	rows, err := s.db.QueryContext(ctx, `SELECT at, summary FROM history
WHERE email = $1 AND at <= $3 AND at >= coalesce((SELECT max(at) FROM history WHERE email = $1 AND at <= $2), $2)
ORDER BY at`, key, micros(from), micros(to))
	if err != nil {
		return nil, s.fault(err, op, key)
	}
	defer func() { _ = rows.Close() }()
	var snapshots []Snapshot
	for rows.Next() {
		var at int64
		var kept string
		if err := rows.Scan(&at, &kept); err != nil {
			return nil, s.fault(err, op, key)
		}
		summary, err := decodeSummary(kept)
		if err != nil {
			return nil, s.fault(err, op, key)
		}
		snapshots = append(snapshots, Snapshot{At: fromMicros(at), Summary: summary})
	}
	return snapshots, s.fault(rows.Err(), op, key)
}

// historyAtOnce is how many history entries one transaction removes, so that
// others may write in between.
const historyAtOnce = 5000

// KeepDays is how many recorded days are kept: enough to plot a year.
const KeepDays = 400

// Prune removes what is older than the last n days that [Store.RecordDay] has
// recorded, and reports how many days and history entries those were. It counts
// recorded days instead of asking the clock: a clock that jumps ahead costs
// nothing that is worth keeping. Of each person the entry that held at the limit
// stays, so that the rest still begins somewhere.
func (s *Store) Prune(ctx context.Context, n int) (days, entries int64, err error) {
	var limit sql.NullInt64
	err = s.db.QueryRowContext(ctx,
		"SELECT min(day) FROM (SELECT day FROM trend_days ORDER BY day DESC LIMIT $1) AS kept HAVING count(*) = $1", n).Scan(&limit)
	if err != nil && !errors.Is(err, sql.ErrNoRows) {
		return 0, 0, s.fault(err, "prune history", "")
	}
	if !limit.Valid {
		return 0, 0, nil
	}
	err = s.write(ctx, "prune trend", func(ctx context.Context, tx *sql.Tx) error {
		days, err = affected(tx.ExecContext(ctx, "DELETE FROM trend_days WHERE day < $1", limit.Int64))
		return err
	})
	for more := err == nil; more; {
		var removed int64
		err = s.write(ctx, "prune history", func(ctx context.Context, tx *sql.Tx) (err error) {
			removed, err = affected(tx.ExecContext(ctx, `DELETE FROM history WHERE (email, at) IN (
	SELECT h.email, h.at FROM history AS h WHERE h.at < $1
	AND EXISTS (SELECT 1 FROM history AS later WHERE later.email = h.email AND later.at > h.at AND later.at <= $1)
	LIMIT $2)`, micros(dayTime(limit.Int64)), historyAtOnce))
			return err
		})
		entries += removed
		more = err == nil && removed == historyAtOnce
	}
	return days, entries, err
}
