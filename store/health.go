package store

import (
	"context"
	"database/sql"
	"errors"
	"sync"
	"time"

	"github.com/postureproject/posture/fault"
)

const (
	// healthySince is how long writing must have gone well after a failure until
	// the database counts as well: on a full disk small writes find room now and
	// then.
	healthySince = 5 * time.Second
	// probeEvery is how often a database that failed is tried anew for whoever asks.
	probeEvery = time.Second
)

// health is how writing has gone lately.
type health struct {
	mu       sync.Mutex
	failure  error // the last one, until writing goes well
	failedAt time.Time
	probedAt time.Time
}

// wrote notes how a transaction ended for the database. That somebody gave up
// waiting, or wrote what conflicts, says nothing about it.
func (s *Store) wrote(ctx context.Context, err error) {
	h := &s.health
	h.mu.Lock()
	defer h.mu.Unlock()
	switch {
	case err == nil && h.failure != nil && time.Since(h.failedAt) >= healthySince:
		h.failure = nil
		s.logger.InfoContext(ctx, "the database can be written again")
	case err != nil && fault.KindOf(err) != fault.Conflict && !errors.Is(err, context.Canceled):
		if h.failure == nil {
			s.logger.ErrorContext(ctx, "the database cannot be written; what is stored is still read", "error", err.Error(), "remedy", fault.RemedyOf(err))
		}
		h.failure, h.failedAt = err, time.Now()
	}
}

// Writable reports whether the database takes what is written: nil, or the last
// failure. After a failure it tries a small write itself, at most once a second,
// so that it notices when the trouble is over although nobody writes.
func (s *Store) Writable(ctx context.Context) error {
	h := &s.health
	h.mu.Lock()
	failure, probe := h.failure, h.failure != nil && time.Since(h.probedAt) >= probeEvery
	if probe {
		h.probedAt = time.Now()
	}
	h.mu.Unlock()
	if !probe {
		return failure
	}
	_ = s.write(ctx, "try the database", func(ctx context.Context, tx *sql.Tx) error { // which notes how it ended
		_, err := tx.ExecContext(ctx, `INSERT INTO admin_event_settings (name, value) VALUES ('last_tried', $1)
			ON CONFLICT (name) DO UPDATE SET value = excluded.value`, micros(s.now()))
		return err
	})
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.failure
}
