package riverqueue_test

import (
	"context"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/jackc/pgx/v5"
	"go.uber.org/goleak"

	"github.com/postureproject/posture/batch"
	"github.com/postureproject/posture/batch/riverqueue"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/internal/pgtest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func open(t *testing.T, dsn string) *riverqueue.Queue {
	t.Helper()
	q, err := riverqueue.New(dsn, nil)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(q.Close)
	return q
}

// caught is what workers were given.
type caught struct {
	mu     sync.Mutex
	shards []batch.Shard
}

func (c *caught) take(s batch.Shard) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.shards = append(c.shards, s)
}

func (c *caught) all() []batch.Shard {
	c.mu.Lock()
	defer c.mu.Unlock()
	return append([]batch.Shard{}, c.shards...)
}

func until(t *testing.T, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(30 * time.Second); !done(); time.Sleep(10 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatal("waited in vain")
		}
	}
}

// What waits is offered once, each plan to its own workers, and once more when it
// is free anew.
func TestQueue(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Database(t)
	leader, worker := open(t, dsn), open(t, dsn)
	ours, others := batch.Shard{Run: "r", Round: 1, Number: 7, Beat: 2}, batch.Shard{Run: "s", Round: 2, Number: 1}
	for range 3 {
		if err := leader.Offer(t.Context(), "plan", []batch.Shard{ours}); err != nil {
			t.Fatal(err)
		}
	}
	if err := leader.Offer(t.Context(), "another", []batch.Shard{others}); err != nil {
		t.Fatal(err)
	}
	var got caught
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- worker.Work(ctx, "plan", 2, got.take) }()
	until(t, func() bool { return len(got.all()) == 1 })
	// Who had it has given it back: it counts as another offer.
	again := ours
	again.Beat++
	for range 2 {
		if err := leader.Offer(t.Context(), "plan", []batch.Shard{again}); err != nil {
			t.Fatal(err)
		}
	}
	until(t, func() bool { return len(got.all()) >= 2 })
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
	shards := got.all()
	if shards[0] != ours || shards[1] != again {
		t.Errorf("got %+v, want %+v and %+v", shards, ours, again)
	}
	for _, s := range shards {
		if s.Run == "s" {
			t.Error("a shard of another plan arrived")
		}
	}
}

// Many processes that start at once make the tables once.
func TestQueue_Migrate(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Database(t)
	var group sync.WaitGroup
	for range 4 {
		q := open(t, dsn)
		group.Go(func() {
			if err := q.Migrate(t.Context()); err != nil {
				t.Error(err)
			}
		})
	}
	group.Wait()
	if err := open(t, dsn).Offer(t.Context(), "plan", []batch.Shard{{Run: "r"}}); err != nil {
		t.Error(err)
	}
}

// A server that is away is a fault that passes, and no error shows a password.
func TestQueue_away(t *testing.T) {
	t.Parallel()
	const secret = "hunter2"
	q := open(t, "postgres://posture:"+secret+"@127.0.0.1:1/posture")
	err := q.Offer(t.Context(), "plan", []batch.Shard{{Run: "r"}})
	if fault.KindOf(err) != fault.Unavailable || fault.RemedyOf(err) == "" || strings.Contains(err.Error(), secret) {
		t.Errorf("offer: %v", err)
	}
	if err := q.Work(t.Context(), "plan", 1, func(batch.Shard) {}); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("work: %v", err)
	}
	_, err = riverqueue.New("postgres://posture:"+secret+"@:port/x", nil)
	if fault.KindOf(err) != fault.Invalid || strings.Contains(err.Error(), secret) {
		t.Errorf("a connection string that is none: %v", err)
	}
}

// Jobs that nobody will ever take do not stay: those of a plan that is given up.
func TestQueue_Work_sweeps(t *testing.T) {
	t.Parallel()
	dsn := pgtest.Database(t)
	q := open(t, dsn)
	for plan, shards := range map[string][]batch.Shard{"old": {{Run: "r", Number: 1}, {Run: "r", Number: 2}}, "other": {{Run: "s"}}} {
		if err := q.Offer(t.Context(), plan, shards); err != nil {
			t.Fatal(err)
		}
	}
	conn, err := pgx.Connect(t.Context(), dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = conn.Close(context.Background()) }()
	if _, err := conn.Exec(t.Context(), "UPDATE river_job SET created_at = now() - interval '2 days' WHERE queue = 'posture_batch_old'"); err != nil {
		t.Fatal(err)
	}
	ctx, stop := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- q.Work(ctx, "new", 1, func(batch.Shard) {}) }()
	left := func() (old, other int) {
		err := conn.QueryRow(t.Context(), "SELECT count(*) FILTER (WHERE queue = 'posture_batch_old'), count(*) FILTER (WHERE queue = 'posture_batch_other') FROM river_job").Scan(&old, &other)
		if err != nil {
			t.Fatal(err)
		}
		return old, other
	}
	until(t, func() bool { old, _ := left(); return old == 0 })
	if _, other := left(); other != 1 {
		t.Error("a job was deleted that is wanted")
	}
	stop()
	if err := <-ended; err != nil {
		t.Error(err)
	}
}

// Who is told to end before it could begin has not failed, also when the server
// cannot be reached.
func TestQueue_Work_ended_before(t *testing.T) {
	t.Parallel()
	ctx, stop := context.WithCancel(t.Context())
	stop()
	for _, dsn := range []string{pgtest.Database(t), "postgres://posture@127.0.0.1:1/posture"} {
		if err := open(t, dsn).Work(ctx, "plan", 1, func(batch.Shard) {}); err != nil {
			t.Errorf("work: %v", err)
		}
	}
}
