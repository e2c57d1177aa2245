// Package riverqueue carries the shards of runs through River, a job queue in
// PostgreSQL, to workers on any number of machines. A job names a shard and holds
// nothing of it: whose a shard is, and whether it is done, is in the run's own
// tables, so a job that is lost, late or doubled does no harm.
package riverqueue

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/jackc/pgx/v5"
	"github.com/jackc/pgx/v5/pgxpool"
	"github.com/riverqueue/river"
	"github.com/riverqueue/river/riverdriver/riverpgxv5"
	"github.com/riverqueue/river/rivermigrate"
	"github.com/riverqueue/river/rivertype"

	"github.com/postureproject/posture/batch"
	"github.com/postureproject/posture/fault"
)

// connections is how many connections one process takes for its queue at most:
// one listens, the others fetch, insert and note what is done.
const connections = 5

// keepJobs is how long jobs stay in their table when they are over. Nothing is
// read from them.
const keepJobs = time.Hour

// keepOffers is how long a job waits for a worker. A shard that is still free then
// is offered again.
const keepOffers = 24 * time.Hour

// Queue is a [batch.Carrier]. It is safe for concurrent use.
type Queue struct {
	pool   *pgxpool.Pool
	logger *slog.Logger

	mu    sync.Mutex
	ready bool // its tables are known to exist
	offer *river.Client[pgx.Tx]
}

var _ batch.Carrier = (*Queue)(nil)

// New makes a queue in the database of a connection string, without connecting
// to it yet. A nil logger discards.
func New(dsn string, logger *slog.Logger) (*Queue, error) {
	config, err := pgxpool.ParseConfig(dsn)
	if err != nil {
		// The parser's own words may repeat the password.
		return nil, fault.InvalidField("store.dsn", "", "is no connection string that PostgreSQL understands",
			"write postgres://USER:PASSWORD@HOST:PORT/DATABASE, with special characters of the password as %XX")
	}
	config.MaxConns = connections
	if config.ConnConfig.RuntimeParams["application_name"] == "" {
		config.ConnConfig.RuntimeParams["application_name"] = "posture queue"
	}
	if config.ConnConfig.ConnectTimeout == 0 {
		config.ConnConfig.ConnectTimeout = 10 * time.Second
	}
	pool, err := pgxpool.NewWithConfig(context.Background(), config)
	if err != nil {
		return nil, failed(err, "open")
	}
	if logger == nil {
		logger = slog.New(slog.DiscardHandler)
	}
	return &Queue{pool: pool, logger: slog.New(warnings{logger.Handler()})}, nil
}

// Close gives the connections back.
func (q *Queue) Close() { q.pool.Close() }

// migrateLock is the advisory lock that whoever makes River's tables holds.
const migrateLock = 0x7269766572 // "river"

// Migrate makes River's tables, or brings them up to date.
func (q *Queue) Migrate(ctx context.Context) error {
	const op = "migrate"
	migrator, err := rivermigrate.New(riverpgxv5.New(q.pool), &rivermigrate.Config{Logger: q.logger})
	if err != nil {
		return failed(err, op)
	}
	if valid, err := migrator.Validate(ctx, nil); err != nil || valid.OK {
		return failed(err, op)
	}
	conn, err := q.pool.Acquire(ctx)
	if err != nil {
		return failed(err, op)
	}
	// The connection is closed, not given back, so that the lock goes whatever happens.
	defer func() { _ = conn.Hijack().Close(context.WithoutCancel(ctx)) }()
	if _, err := conn.Exec(ctx, "SELECT pg_advisory_lock($1)", int64(migrateLock)); err != nil {
		return failed(err, op)
	}
	_, err = migrator.Migrate(ctx, rivermigrate.DirectionUp, nil)
	return failed(err, op)
}

// failed gives an error of the queue its kind: whoever asks tries again.
func failed(err error, op string) error {
	if err == nil {
		return nil
	}
	return &fault.Error{
		Kind: fault.Unavailable, Source: "job queue", Op: op, Err: err,
		Remedy: "See that the database of store.dsn answers; its role must be able to make tables the first time, else run posture db migrate with one that is.",
	}
}

// shardJob is a job's arguments: which shard is free, and as of when.
type shardJob struct {
	Run    string `json:"run"`
	Round  int    `json:"round"`
	Number int    `json:"number"`
	Beat   int64  `json:"beat"`
}

// Kind implements [river.JobArgs].
func (shardJob) Kind() string { return "posture_batch_shard" }

// queueOf names the queue of a plan.
func queueOf(plan string) string { return "posture_batch_" + plan }

// open is the states of jobs that still lead to a call: a shard is offered once
// while it is free, and again each time that it is free anew.
func open() []rivertype.JobState {
	return []rivertype.JobState{
		rivertype.JobStateAvailable, rivertype.JobStatePending, rivertype.JobStateRetryable,
		rivertype.JobStateRunning, rivertype.JobStateScheduled,
	}
}

// Offer implements [batch.Carrier].
func (q *Queue) Offer(ctx context.Context, plan string, shards []batch.Shard) error {
	client, err := q.prepare(ctx)
	if err != nil {
		return err
	}
	jobs := make([]river.InsertManyParams, len(shards))
	for i, s := range shards {
		jobs[i] = river.InsertManyParams{
			Args:       shardJob{Run: s.Run, Round: s.Round, Number: s.Number, Beat: s.Beat},
			InsertOpts: &river.InsertOpts{Queue: queueOf(plan), UniqueOpts: river.UniqueOpts{ByArgs: true, ByState: open()}},
		}
	}
	_, err = client.InsertMany(ctx, jobs)
	return failed(err, "offer shards")
}

// prepare gives a client that inserts; the first time it looks after the tables.
func (q *Queue) prepare(ctx context.Context) (*river.Client[pgx.Tx], error) {
	q.mu.Lock()
	defer q.mu.Unlock()
	if !q.ready {
		if err := q.Migrate(ctx); err != nil {
			return nil, err
		}
		q.ready = true
	}
	if q.offer == nil {
		client, err := river.NewClient(riverpgxv5.New(q.pool), &river.Config{Logger: q.logger})
		if err != nil {
			return nil, failed(err, "open")
		}
		q.offer = client
	}
	return q.offer, nil
}

// Work implements [batch.Carrier].
func (q *Queue) Work(ctx context.Context, plan string, n int, do func(batch.Shard)) error {
	if _, err := q.prepare(ctx); err != nil {
		if ctx.Err() != nil {
			return nil //nolint:nilerr // it was told to end before it began
		}
		return err
	}
	q.sweep(ctx)
	workers := river.NewWorkers()
	if err := river.AddWorkerSafely(workers, &worker{do: do}); err != nil {
		return fmt.Errorf("prepare worker: %w", err)
	}
	client, err := river.NewClient(riverpgxv5.New(q.pool), &river.Config{
		Queues:  map[string]river.QueueConfig{queueOf(plan): {MaxWorkers: n}},
		Workers: workers,
		// A shard takes as long as its people's sources do. Who is silent is found by
		// the run's leader, not by the age of a job.
		JobTimeout:                  -1,
		RescueStuckJobsAfter:        keepJobs,
		CompletedJobRetentionPeriod: keepJobs,
		DiscardedJobRetentionPeriod: keepJobs,
		Logger:                      q.logger,
	})
	if err != nil {
		return failed(err, "open")
	}
	if err := client.Start(ctx); err != nil {
		if ctx.Err() != nil {
			return nil //nolint:nilerr // it was told to end before it began
		}
		return failed(err, "start worker")
	}
	<-client.Stopped()
	if ctx.Err() == nil {
		return failed(errors.New("it stopped by itself"), "work")
	}
	return nil
}

// sweep deletes jobs that nobody took for long: those of a plan by which no worker
// goes any more would stay for ever. If one should be needed after all, it is
// offered again.
func (q *Queue) sweep(ctx context.Context) {
	_, err := q.pool.Exec(ctx, "DELETE FROM river_job WHERE kind = $1 AND state <> 'running' AND created_at < now() - $2 * interval '1 second'",
		shardJob{}.Kind(), keepOffers.Seconds())
	if err != nil && ctx.Err() == nil {
		q.logger.WarnContext(ctx, "old jobs could not be deleted", "error", err.Error())
	}
}

// worker hands shards on.
type worker struct {
	river.WorkerDefaults[shardJob]
	do func(batch.Shard)
}

// Work implements [river.Worker]. It never fails: a shard that was not finished is
// offered again.
func (w *worker) Work(_ context.Context, job *river.Job[shardJob]) error {
	w.do(batch.Shard{Run: job.Args.Run, Round: job.Args.Round, Number: job.Args.Number, Beat: job.Args.Beat})
	return nil
}

// warnings passes on what matters: each start of a client tells more than an
// administrator wants to know.
type warnings struct{ slog.Handler }

// Enabled implements [slog.Handler].
func (w warnings) Enabled(ctx context.Context, level slog.Level) bool {
	return level >= slog.LevelWarn && w.Handler.Enabled(ctx, level)
}

// WithAttrs implements [slog.Handler].
func (w warnings) WithAttrs(attrs []slog.Attr) slog.Handler {
	return warnings{w.Handler.WithAttrs(attrs)}
}

// WithGroup implements [slog.Handler].
func (w warnings) WithGroup(name string) slog.Handler { return warnings{w.Handler.WithGroup(name)} }
