package store

import (
	"context"
	"database/sql"
	"errors"

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

// OpenShards implements [batch.Queue].
func (s *Store) OpenShards(ctx context.Context, run string, round, n int) (free, taken []batch.Shard, left int, err error) {
	const op = "read shards"
	const open = " FROM batch_shards WHERE run = $1 AND round = $2 AND done = 0"
	if err := s.db.QueryRowContext(ctx, "SELECT count(*)"+open, run, round).Scan(&left); err != nil || left == 0 {
		return nil, nil, left, s.fault(err, op, run)
	}
	const columns = "SELECT number, first_email, last_email, worker, beat" + open
	if free, err = s.shards(ctx, run, round, columns+" AND worker = '' ORDER BY number LIMIT $3", run, round, n); err == nil {
		taken, err = s.shards(ctx, run, round, columns+" AND worker <> '' ORDER BY number", run, round)
	}
	return free, taken, left, s.fault(err, op, run)
}

func (s *Store) shards(ctx context.Context, run string, round int, query string, args ...any) ([]batch.Shard, error) {
	rows, err := s.db.QueryContext(ctx, query, args...)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var shards []batch.Shard
	for rows.Next() {
		shard := batch.Shard{Run: run, Round: round}
		if err := rows.Scan(&shard.Number, &shard.First, &shard.Last, &shard.Worker, &shard.Beat); err != nil {
			return nil, err
		}
		shards = append(shards, shard)
	}
	return shards, rows.Err()
}

const thisShard = " WHERE run = $1 AND round = $2 AND number = $3"

// shard changes one shard, and reports whether it was as the condition demands.
func (s *Store) shard(ctx context.Context, op string, shard batch.Shard, set, condition string, args ...any) (done bool, err error) {
	args = append([]any{shard.Run, shard.Round, shard.Number}, args...)
	err = s.write(ctx, op, func(ctx context.Context, tx *sql.Tx) error {
		done, err = changed(tx.ExecContext(ctx, "UPDATE batch_shards SET "+set+thisShard+condition, args...))
		return err
	})
	return done, err
}

// TakeShard implements [batch.Queue].
func (s *Store) TakeShard(ctx context.Context, shard batch.Shard, worker string) (batch.Shard, bool, error) {
	taken := false
	err := s.write(ctx, "take shard", func(ctx context.Context, tx *sql.Tx) error {
		err := tx.QueryRowContext(ctx, "UPDATE batch_shards SET worker = $4, beat = beat + 1"+thisShard+
			" AND done = 0 AND worker = '' AND beat = $5 RETURNING first_email, last_email, worker, beat",
			shard.Run, shard.Round, shard.Number, worker, shard.Beat).Scan(&shard.First, &shard.Last, &shard.Worker, &shard.Beat)
		taken = err == nil
		if errors.Is(err, sql.ErrNoRows) {
			return nil
		}
		return err
	})
	return shard, taken, err
}

// BeatShard implements [batch.Queue].
func (s *Store) BeatShard(ctx context.Context, shard batch.Shard, worker string) (bool, error) {
	return s.shard(ctx, "keep shard", shard, "beat = beat + 1", " AND done = 0 AND worker = $4", worker)
}

// FreeShard implements [batch.Queue].
func (s *Store) FreeShard(ctx context.Context, seen batch.Shard) (bool, error) {
	return s.shard(ctx, "free shard", seen, "worker = '', beat = beat + 1", " AND done = 0 AND worker = $4 AND beat = $5", seen.Worker, seen.Beat)
}

// FreeShards implements [batch.Queue].
func (s *Store) FreeShards(ctx context.Context, run, worker string) error {
	return s.write(ctx, "free shards", func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE batch_shards SET worker = '', beat = beat + 1 WHERE run = $1 AND done = 0 AND worker = $2", run, worker)
		return err
	})
}

// ShardDone implements [batch.Queue].
func (s *Store) ShardDone(ctx context.Context, shard batch.Shard) error {
	_, err := s.shard(ctx, "end shard", shard, "done = 1", "")
	return err
}
