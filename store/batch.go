package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/postureproject/posture/batch"
	"github.com/postureproject/posture/fault"
)

var _ batch.Store = (*Store)(nil)

// runDoc is what of a run nobody searches for.
type runDoc struct {
	People      int              `json:"people"`
	Devices     int              `json:"devices"`
	Complete    int              `json:"complete"`
	Partial     int              `json:"partial"`
	Failed      int              `json:"failed"`
	Statistics  batch.Statistics `json:"statistics"`
	Resumed     bool             `json:"resumed,omitempty"`
	CollectOnly bool             `json:"collect_only,omitempty"`
	Plan        string           `json:"plan,omitempty"`
}

func encodeRun(r batch.Run) (string, error) {
	text, err := json.Marshal(runDoc{
		r.People, r.Devices, r.Complete, r.Partial, r.Failed, r.Statistics, r.Resumed, r.CollectOnly, r.Plan,
	})
	return string(text), err
}

// CreateBatchRun implements [batch.RunStore].
func (s *Store) CreateBatchRun(ctx context.Context, r batch.Run, people []string) error {
	doc, err := encodeRun(r)
	if err != nil {
		return s.fault(err, "create run", r.ID)
	}
	return s.write(ctx, "create run", func(ctx context.Context, tx *sql.Tx) error {
		if _, err := tx.ExecContext(ctx, `INSERT INTO batch_runs (id, phase, started_at, finished_at, given, scheduled, sent, doc)
VALUES ($1, $2, $3, 0, $4, $5, '', $6)`, r.ID, int(r.Phase), micros(r.StartedAt), flag(r.Given), flag(r.Scheduled), doc); err != nil {
			return err
		}
		return addPeople(ctx, tx, r.ID, people)
	})
}

func flag(b bool) int {
	if b {
		return 1
	}
	return 0
}

const selectRun = "SELECT id, phase, started_at, finished_at, given, scheduled, sent, doc FROM batch_runs"

type scanner interface{ Scan(dest ...any) error }

func readRun(row scanner) (batch.Run, error) {
	var (
		r                 batch.Run
		started, finished int64
		given, scheduled  int
		text              string
		doc               runDoc
	)
	if err := row.Scan(&r.ID, &r.Phase, &started, &finished, &given, &scheduled, &r.Sent, &text); err != nil {
		return r, err
	}
	if err := json.Unmarshal([]byte(text), &doc); err != nil {
		return r, err
	}
	r.People, r.Devices, r.Complete, r.Partial, r.Failed = doc.People, doc.Devices, doc.Complete, doc.Partial, doc.Failed
	r.Statistics, r.Resumed, r.CollectOnly, r.Plan = doc.Statistics, doc.Resumed, doc.CollectOnly, doc.Plan
	r.Given, r.Scheduled, r.StartedAt = given == 1, scheduled == 1, fromMicros(started)
	if r.Statistics == nil {
		r.Statistics = batch.Statistics{}
	}
	if finished != 0 {
		at := fromMicros(finished)
		r.FinishedAt = &at
	}
	return r, nil
}

// BatchRun implements [batch.RunStore].
func (s *Store) BatchRun(ctx context.Context, id string) (batch.Run, error) {
	r, err := readRun(s.db.QueryRowContext(ctx, selectRun+" WHERE id = $1", text(id)))
	if errors.Is(err, sql.ErrNoRows) {
		return r, &fault.Error{
			Kind: fault.NotFound, Op: "read run", Subject: id, Message: "there is no such run", Remedy: "posture batch list shows them",
		}
	}
	return r, s.fault(err, "read run", id)
}

// BatchRuns implements [batch.RunStore].
func (s *Store) BatchRuns(ctx context.Context, before string, n int) ([]batch.Run, error) {
	const op = "list runs"
	query, args := selectRun, []any{n}
	if before != "" {
		query, args = query+" WHERE id < $2", append(args, text(before))
	}
	rows, err := s.db.QueryContext(ctx, query+" ORDER BY id DESC LIMIT $1", args...)
	if err != nil {
		return nil, s.fault(err, op, "")
	}
	defer func() { _ = rows.Close() }()
	runs := []batch.Run{}
	for rows.Next() {
		r, err := readRun(rows)
		if err != nil {
			return nil, s.fault(err, op, "")
		}
		runs = append(runs, r)
	}
	return runs, s.fault(rows.Err(), op, "")
}

// LastScheduledRun gives when the last run that the schedule started did start,
// zero when none has.
func (s *Store) LastScheduledRun(ctx context.Context) (time.Time, error) {
	var started sql.NullInt64
	err := s.db.QueryRowContext(ctx, "SELECT max(started_at) FROM batch_runs WHERE scheduled = 1").Scan(&started)
	return fromMicros(started.Int64), s.fault(err, "read last scheduled run", "")
}

// AdvanceBatchRun implements [batch.RunStore].
func (s *Store) AdvanceBatchRun(ctx context.Context, r batch.Run, shards []batch.Shard) error {
	doc, err := encodeRun(r)
	if err != nil {
		return s.fault(err, "advance run", r.ID)
	}
	return s.write(ctx, "advance run", func(ctx context.Context, tx *sql.Tx) error {
		moved, err := changed(tx.ExecContext(ctx,
			"UPDATE batch_runs SET phase = $1, doc = $2 WHERE id = $3 AND phase <= $1 AND finished_at = 0", int(r.Phase), doc, r.ID))
		if err != nil || !moved {
			return err
		}
		return addShards(ctx, tx, r.ID, shards)
	})
}

func addShards(ctx context.Context, tx *sql.Tx, run string, shards []batch.Shard) error {
	for some := range slices.Chunk(shards, rowsAtOnce) {
		args := make([]any, 0, 5*len(some))
		for _, s := range some {
			args = append(args, run, s.Round, s.Number, s.First, s.Last)
		}
		if _, err := tx.ExecContext(ctx, "INSERT INTO batch_shards (run, round, number, first_email, last_email, worker, beat, done) VALUES "+
			rowsOf(len(some), 5, ", '', 0, 0")+" ON CONFLICT (run, round, number) DO NOTHING", args...); err != nil {
			return err
		}
	}
	return nil
}

// changed reports whether a statement changed a row.
func changed(result sql.Result, err error) (bool, error) {
	if err != nil {
		return false, err
	}
	n, err := result.RowsAffected()
	return n > 0, err
}

// aggregateDays is how old the answers may be that make a day's aggregate when
// the run was not about everybody.
const aggregateDays = 7

// FinishBatchRun implements [batch.RunStore].
func (s *Store) FinishBatchRun(ctx context.Context, r batch.Run) error {
	doc, err := encodeRun(r)
	if err != nil {
		return s.fault(err, "finish run", r.ID)
	}
	since := r.StartedAt
	if r.Given {
		since = since.AddDate(0, 0, -aggregateDays)
	}
	census, err := s.Census(ctx, since)
	if err != nil {
		return err
	}
	err = s.write(ctx, "finish run", func(ctx context.Context, tx *sql.Tx) error {
		moved, err := changed(tx.ExecContext(ctx,
			"UPDATE batch_runs SET phase = $1, finished_at = $2, doc = $3 WHERE id = $4 AND finished_at = 0",
			int(r.Phase), micros(*r.FinishedAt), doc, r.ID))
		if err != nil || !moved {
			return err
		}
		return s.recordDay(ctx, tx, r.StartedAt.Local(), census)
	})
	if err != nil {
		return err
	}
	return s.dropPeople(ctx, r.ID)
}

// dropAtOnce is how many rows one transaction drops, so that others can write
// between.
const dropAtOnce = 1000

// dropPeople forgets what is needed only until a run is finished: how far each
// person is, what was staged, and who has which shard.
func (s *Store) dropPeople(ctx context.Context, run string) error {
	for _, rows := range []struct{ table, key string }{
		{"batch_pieces", "source, person"}, {"batch_people", "email"}, {"batch_shards", "round, number"},
	} {
		query := "DELETE FROM " + rows.table + " WHERE run = $1 AND (" + rows.key + ") IN (SELECT " + rows.key +
			" FROM " + rows.table + " WHERE run = $1 ORDER BY " + rows.key + " LIMIT $2)"
		for more := true; more; {
			err := s.write(ctx, "drop people of run", func(ctx context.Context, tx *sql.Tx) (err error) {
				more, err = changed(tx.ExecContext(ctx, query, run, dropAtOnce))
				return err
			})
			if err != nil {
				return err
			}
		}
	}
	return nil
}

// PruneBatchRuns forgets runs, and counts them: finished ones that started before a
// time, and those that started before another and were interrupted for good. The
// one that goes on stays. What runs found out about people stays, too.
func (s *Store) PruneBatchRuns(ctx context.Context, finished, interrupted time.Time) (n int64, err error) {
	err = s.write(ctx, "prune runs", func(ctx context.Context, tx *sql.Tx) error {
		result, err := tx.ExecContext(ctx, `DELETE FROM batch_runs WHERE finished_at > 0 AND started_at < $1
OR finished_at = 0 AND started_at < $2 AND id NOT IN (SELECT run FROM batch_lease)`, micros(finished), micros(interrupted))
		if err != nil {
			return err
		}
		if n, err = result.RowsAffected(); err != nil || n == 0 {
			return err
		}
		_, err = tx.ExecContext(ctx, "DELETE FROM batch_listings WHERE run NOT IN (SELECT id FROM batch_runs)")
		return err
	})
	if err != nil {
		return n, err
	}
	left, err := s.leftBehind(ctx)
	for _, run := range left {
		if err = s.dropPeople(ctx, run); err != nil {
			break
		}
	}
	return n, err
}

// leftBehind gives runs that are finished, or pruned, and of which there is still
// what is needed only before: whoever finished them was killed before it was dropped.
func (s *Store) leftBehind(ctx context.Context) ([]string, error) {
	const op = "find what runs left behind"
	rows, err := s.db.QueryContext(ctx, `SELECT run FROM (SELECT run FROM batch_pieces UNION SELECT run FROM batch_people UNION SELECT run FROM batch_shards) AS kept
WHERE run NOT IN (SELECT id FROM batch_runs WHERE finished_at = 0)`)
	if err != nil {
		return nil, s.fault(err, op, "")
	}
	defer func() { _ = rows.Close() }()
	var left []string
	for rows.Next() {
		var run string
		if err := rows.Scan(&run); err != nil {
			return nil, s.fault(err, op, "")
		}
		left = append(left, run)
	}
	return left, s.fault(rows.Err(), op, "")
}
