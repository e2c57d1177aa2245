package acceptance_test

import (
	"context"
	"database/sql"
	"regexp"
	"testing"

	"github.com/postureproject/posture/internal/pgtest"
)

// A database server that takes statements and never ends them costs whoever asks
// some seconds, not the answer: that a look cannot be passed on is logged.
func TestDaemon_OutboxHangs(t *testing.T) {
	t.Parallel()
	if !pgtest.Enabled() {
		return
	}
	s, posts := newSite(t, 1), newReceiver(t)
	s.Plugins["es_logger"] = map[string]any{
		"ELASTICSEARCH_HOSTS": posts.url, "ELASTICSEARCH_INDEX_PREFIX": "access-", "RETRIES": 0, "TIMEOUT": "2s",
	}
	dsn := pgtest.Database(t)
	s.write(t, map[string]any{"store": map[string]any{"dsn": dsn}}, "file", "es_logger")
	d := s.serve(t)
	d.answer(t, s.ada(), "")
	db, err := sql.Open("pgx", dsn)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = db.Close() }()
	tx, err := db.BeginTx(t.Context(), nil)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = tx.Rollback() }()
	if _, err := tx.ExecContext(t.Context(), "LOCK TABLE outbox IN ACCESS EXCLUSIVE MODE"); err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	answered := make(chan struct{})
	go func() {
		defer close(answered)
		d.answer(t, s.ada(), "")
	}()
	select {
	case <-answered:
	case <-ctx.Done():
		t.Errorf("no answer within %v", patience)
		_ = tx.Rollback()
		<-answered
	}
	d.log.await(t, regexp.MustCompile(`an access was not passed on to the sinks`))
}
