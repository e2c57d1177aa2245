package store

import (
	"context"
	"database/sql"
	"errors"
	"math/rand/v2"
	"time"

	"github.com/jackc/pgx/v5/pgconn"

	"github.com/postureproject/posture/fault"
)

// attempts is how often a transaction is tried that another one got in the way of.
const attempts = 8

// write runs fn in one transaction and commits it; an error of fn or of the
// database undoes everything. On SQLite one write runs at a time. On PostgreSQL
// a transaction that lost against another one is repeated, so fn may run more
// than once and must not keep anything from a run that failed. op says what is
// being done, for the error.
func (s *Store) write(ctx context.Context, op string, fn func(ctx context.Context, tx *sql.Tx) error) error {
	for attempt := 1; ; attempt++ {
		err := s.transact(ctx, fn)
		if err == nil {
			s.wrote(ctx, nil)
			return nil
		}
		if attempt == attempts || !lostRace(err) || ctx.Err() != nil {
			failure := s.fault(err, op, "")
			if !errors.As(err, new(*fault.Error)) { // else it is fn that failed
				s.wrote(ctx, failure)
			}
			return failure
		}
		s.logger.DebugContext(ctx, "transaction repeated", "op", op, "attempt", attempt, "error", err)
		// Those who met once shall not meet again: wait a random, growing while.
		wait := time.Millisecond << attempt
		select {
		case <-ctx.Done():
		case <-time.After(wait/2 + rand.N(wait)): //nolint:gosec // spreads, keeps no secret
		}
	}
}

func (s *Store) transact(ctx context.Context, fn func(ctx context.Context, tx *sql.Tx) error) error {
	tx, err := s.writer.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := fn(ctx, tx); err != nil {
		// What made it fail is what matters; a connection that cannot even undo
		// is given up, which undoes.
		_ = tx.Rollback()
		return err
	}
	return tx.Commit()
}

// lostRace reports whether PostgreSQL ended a transaction because of another one
// (serialization_failure, deadlock_detected): it did nothing and may be repeated.
func lostRace(err error) bool {
	var e *pgconn.PgError
	return errors.As(err, &e) && (e.Code == "40001" || e.Code == "40P01")
}

// execer is a transaction as far as it changes something.
type execer interface {
	ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error)
}

// preparer is a transaction that reads each different statement once only, which
// is worth it where the same ones run many times.
type preparer struct {
	tx         *sql.Tx
	statements map[string]*sql.Stmt // closed with the transaction
}

// repeating makes the most of a transaction that runs the same statements many
// times. PostgreSQL's driver remembers statements by itself, for longer than a
// transaction.
func (s *Store) repeating(tx *sql.Tx) execer {
	if s.engine.name() == "postgres" {
		return tx
	}
	return preparing(tx)
}

func preparing(tx *sql.Tx) preparer {
	return preparer{tx: tx, statements: map[string]*sql.Stmt{}}
}

// ExecContext is that of [sql.Tx].
func (p preparer) ExecContext(ctx context.Context, query string, args ...any) (sql.Result, error) {
	statement, ok := p.statements[query]
	if !ok {
		var err error
		if statement, err = p.tx.PrepareContext(ctx, query); err != nil {
			return nil, err
		}
		p.statements[query] = statement
	}
	return statement.ExecContext(ctx, args...)
}
