package store

import (
	"context"
	"database/sql"
	"errors"
	"time"

	"github.com/postureproject/posture/batch"
)

// BatchLease implements [batch.Leases].
func (s *Store) BatchLease(ctx context.Context) (batch.Lease, error) {
	var l batch.Lease
	err := s.db.QueryRowContext(ctx, "SELECT holder, run, beat FROM batch_lease WHERE id = 1").Scan(&l.Holder, &l.Run, &l.Beat)
	return l, s.fault(err, "read lease", "")
}

// TakeBatchLease implements [batch.Leases].
func (s *Store) TakeBatchLease(ctx context.Context, seen, mine batch.Lease) (taken bool, err error) {
	err = s.write(ctx, "take lease", func(ctx context.Context, tx *sql.Tx) error {
		taken, err = changed(tx.ExecContext(ctx,
			"UPDATE batch_lease SET holder = $1, run = $2, beat = beat + 1 WHERE id = 1 AND holder = $3 AND beat = $4",
			mine.Holder, mine.Run, seen.Holder, seen.Beat))
		return err
	})
	return taken, err
}

// BeatBatchLease implements [batch.Leases].
func (s *Store) BeatBatchLease(ctx context.Context, holder string) (mine bool, err error) {
	err = s.write(ctx, "keep lease", func(ctx context.Context, tx *sql.Tx) error {
		mine, err = changed(tx.ExecContext(ctx, "UPDATE batch_lease SET beat = beat + 1 WHERE id = 1 AND holder = $1", holder))
		return err
	})
	return mine, err
}

// LeaveBatchLease implements [batch.Leases].
func (s *Store) LeaveBatchLease(ctx context.Context, holder string) error {
	return s.write(ctx, "leave lease", func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE batch_lease SET holder = '', run = '', beat = beat + 1 WHERE id = 1 AND holder = $1", holder)
		return err
	})
}

// TakeShard implements [batch.Queue].
func (s *Store) TakeShard(ctx context.Context, run string, round int, worker string, now, until time.Time) (batch.Shard, bool, int, error) {
	shard := batch.Shard{Run: run, Round: round}
	var left, free int
	taken := false
	err := s.write(ctx, "take shard", func(ctx context.Context, tx *sql.Tx) error {
		for taken = false; ; {
			// The outer conditions hold for the row as it is when it is written, also if
			// another worker was faster after the inner query chose it.
			const open = "run = $3 AND round = $4 AND done = 0 AND (worker = '' OR worker = $1 OR leased_until < $5)"
			err := tx.QueryRowContext(ctx, `UPDATE batch_shards SET worker = $1, leased_until = $2
WHERE `+open+` AND number = (SELECT min(number) FROM batch_shards WHERE `+open+`)
RETURNING number, first_email, last_email`, worker, micros(until), run, round, micros(now)).Scan(&shard.Number, &shard.First, &shard.Last)
			taken = err == nil
			if taken || !errors.Is(err, sql.ErrNoRows) {
				return err
			}
			err = tx.QueryRowContext(ctx, `SELECT count(*), coalesce(sum(CASE WHEN worker = '' OR worker = $3 OR leased_until < $4 THEN 1 ELSE 0 END), 0)
FROM batch_shards WHERE run = $1 AND round = $2 AND done = 0`, run, round, worker, micros(now)).Scan(&left, &free)
			if err != nil || free == 0 {
				return err
			}
		}
	})
	return shard, taken, left, err
}

// KeepShard implements [batch.Queue].
func (s *Store) KeepShard(ctx context.Context, shard batch.Shard, worker string, until time.Time) (mine bool, err error) {
	err = s.write(ctx, "keep shard", func(ctx context.Context, tx *sql.Tx) error {
		mine, err = changed(tx.ExecContext(ctx,
			"UPDATE batch_shards SET leased_until = $1 WHERE run = $2 AND round = $3 AND number = $4 AND worker = $5 AND done = 0",
			micros(until), shard.Run, shard.Round, shard.Number, worker))
		return err
	})
	return mine, err
}

// ShardDone implements [batch.Queue].
func (s *Store) ShardDone(ctx context.Context, shard batch.Shard) error {
	return s.write(ctx, "end shard", func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE batch_shards SET done = 1 WHERE run = $1 AND round = $2 AND number = $3",
			shard.Run, shard.Round, shard.Number)
		return err
	})
}

// FreeShards implements [batch.Queue].
func (s *Store) FreeShards(ctx context.Context, run string) error {
	return s.write(ctx, "free shards", func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE batch_shards SET worker = '' WHERE run = $1 AND done = 0", run)
		return err
	})
}
