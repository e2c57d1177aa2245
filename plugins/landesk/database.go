package landesk

import (
	"context"
	"database/sql"
	"database/sql/driver"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	mssql "github.com/microsoft/go-mssqldb"

	"github.com/postureproject/posture/fault"
)

const (
	minBackoff = 100 * time.Millisecond
	maxBackoff = 5 * time.Second
)

// database runs statements, each with a time limit and retries.
type database struct {
	pool    *sql.DB
	config  config
	timeout time.Duration
}

// statement is one SELECT.
type statement struct {
	op      string // for errors, such as "read BoundAdapter"
	subject string // for errors
	text    string // without any value in it: values are args
	args    []any  // @p1, @p2, …
	columns int    // that the answer must have
	limit   int    // rows at most; more are a BadResponse
}

// collect runs a statement and reads every row; cells belong to read only until
// it returns.
func collect[T any](ctx context.Context, db *database, st statement, read func(cells []any) T) ([]T, error) {
	var all []T
	err := db.retry(ctx, st, func(ctx context.Context) (stale bool, err error) {
		all = nil
		return db.attempt(ctx, st, func(cells []any) { all = append(all, read(cells)) })
	})
	if err != nil {
		return nil, err
	}
	return all, nil
}

// connect makes sure that there is a connection.
func (db *database) connect(ctx context.Context, st statement) error {
	return db.retry(ctx, st, func(ctx context.Context) (stale bool, err error) {
		conn, err := db.pool.Conn(ctx)
		if err != nil {
			return false, err
		}
		return false, conn.Close()
	})
}

// retry tries again after what may pass, within the time limit, and classifies
// what does not.
func (db *database) retry(ctx context.Context, st statement, attempt func(context.Context) (stale bool, err error)) error {
	ctx, cancel := context.WithTimeout(ctx, db.timeout)
	defer cancel()
	for tries := 0; ; {
		stale, err := attempt(ctx)
		switch {
		case err == nil:
			return nil
		case ctx.Err() != nil || !transient(err):
			return db.classify(ctx, err, st)
		case stale:
			continue // an idle connection had died: that says nothing about the server
		case tries >= db.config.Retries || !pause(ctx, tries):
			return db.classify(ctx, err, st)
		}
		tries++
	}
}

// pause waits before the next try, exponentially longer each time and with full
// jitter. It is false when the context ends first.
func pause(ctx context.Context, tries int) bool {
	ceiling := min(maxBackoff, minBackoff<<min(tries, 10))
	t := time.NewTimer(ceiling/2 + rand.N(ceiling/2+1)) //nolint:gosec // jitter
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-ctx.Done():
		return false
	}
}

// attempt runs a statement once. stale is true when it failed because a
// connection from the pool turned out to be dead, which the pool then forgets.
func (db *database) attempt(ctx context.Context, st statement, visit func(cells []any)) (stale bool, err error) {
	conn, err := db.pool.Conn(ctx)
	if err != nil {
		return false, err
	}
	defer func() { _ = conn.Close() }()
	var c *connection
	if err := conn.Raw(func(driverConn any) error {
		c, _ = driverConn.(*connection)
		return nil
	}); err != nil || c == nil {
		return false, errors.Join(err, errNonsense)
	}
	reused := c.used
	c.used = true
	c.socket.allow(maxAnswer)
	err = read(ctx, conn, c.socket, st, visit)
	if c.socket.exceeded() {
		err = fmt.Errorf("%w: more than %d MiB", errTooLarge, maxAnswer>>20)
	}
	if !clean(err) {
		// What the connection is in the middle of is unknown: away with it.
		_ = conn.Raw(func(any) error { return driver.ErrBadConn })
	}
	return reused && ctx.Err() == nil && broken(err), err
}

// read queries and visits the rows.
func read(ctx context.Context, conn *sql.Conn, s *socket, st statement, visit func(cells []any)) (err error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	release := s.guard(ctx)
	defer release()
	rows, err := conn.QueryContext(ctx, st.text, st.args...)
	if err != nil {
		return err
	}
	defer func() {
		if err != nil {
			cancel() // so that closing does not wait for rows that nobody wants
		}
		if closeErr := rows.Close(); err == nil {
			err = closeErr
		}
	}()
	return scan(rows, st, visit)
}

func scan(rows *sql.Rows, st statement, visit func(cells []any)) error {
	names, err := rows.Columns()
	if err != nil {
		return err
	}
	if len(names) != st.columns {
		return fmt.Errorf("%w: %d columns instead of %d", errNonsense, len(names), st.columns)
	}
	cells, targets := make([]any, len(names)), make([]any, len(names))
	for i := range cells {
		targets[i] = &cells[i]
	}
	for n := 0; rows.Next(); n++ {
		if n == st.limit {
			return fmt.Errorf("%w: more than %d rows", errTooLarge, st.limit)
		}
		if err := rows.Scan(targets...); err != nil {
			return err
		}
		visit(cells)
	}
	return rows.Err()
}

// clean reports whether a connection can be used after an error: after none, and
// after one that the server itself sent in good order.
func clean(err error) bool {
	var (
		refused mssql.Error
		fatal   mssql.ServerError
	)
	return err == nil || errors.As(err, &refused) && !errors.As(err, &fatal) && !errors.Is(err, context.Canceled) &&
		!errors.Is(err, errTooLarge) && !errors.Is(err, errNonsense)
}

// failed makes a classified error about a statement.
func (st statement) failed(kind fault.Kind, err error, message, remedy string) *fault.Error {
	return &fault.Error{Kind: kind, Source: Name, Op: st.op, Subject: st.subject, Message: message, Remedy: remedy, Err: err}
}
