package store

import (
	"context"
	"database/sql"
	"errors"
	"sync"
)

// statements are queries that are asked so often that reading their text would
// cost as much as answering them.
type statements struct {
	mu sync.Mutex
	of map[string]*sql.Stmt
}

// queryOften is QueryContext of the readers' pool for one of a few texts.
// PostgreSQL's driver remembers statements by itself.
func (s *Store) queryOften(ctx context.Context, query string, args ...any) (*sql.Rows, error) {
	if s.engine.name() == "postgres" {
		return s.db.QueryContext(ctx, query, args...)
	}
	statement, err := s.statements.get(ctx, s.db, query) //nolint:sqlclosecheck // it is closed with the store
	if err != nil {
		return nil, err
	}
	return statement.QueryContext(ctx, args...)
}

func (p *statements) get(ctx context.Context, db *sql.DB, query string) (*sql.Stmt, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if statement, ok := p.of[query]; ok {
		return statement, nil
	}
	statement, err := db.PrepareContext(ctx, query) //nolint:sqlclosecheck // by close
	if err != nil {
		return nil, err
	}
	if p.of == nil {
		p.of = map[string]*sql.Stmt{}
	}
	p.of[query] = statement
	return statement, nil
}

func (p *statements) close() error {
	p.mu.Lock()
	defer p.mu.Unlock()
	var errs []error
	for _, statement := range p.of {
		errs = append(errs, statement.Close())
	}
	p.of = nil
	return errors.Join(errs...)
}
