package main

import (
	"context"
	"log/slog"
	"os"
	"path/filepath"
	"strings"
	"time"

	"github.com/postureproject/posture/batch"
	"github.com/postureproject/posture/batch/riverqueue"
	"github.com/postureproject/posture/config"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/store"
)

// openStore opens the configured store without starting any plugin.
func (e *environment) openStore(ctx context.Context) (*store.Store, error) {
	file, err := e.load()
	if err != nil {
		return nil, err
	}
	return openStore(ctx, file.Settings(), store.Options{Logger: e.logger()})
}

// openStore opens the store that the settings name; the folder of a file is made
// if it is not there.
func openStore(ctx context.Context, s config.Settings, o store.Options) (*store.Store, error) {
	o.DSN = s.StoreDSN.Reveal()
	if path, isFile := strings.CutPrefix(o.DSN, "sqlite:"); isFile {
		if err := os.MkdirAll(filepath.Dir(path), 0o700); err != nil {
			return nil, &fault.Error{
				Kind: fault.Unavailable, Op: "open the store", Subject: path, Err: err,
				Remedy: "set store.dsn or state_dir to a place that this user may write to",
			}
		}
	}
	kept, err := store.Open(ctx, o)
	if err != nil {
		return nil, err
	}
	kept.LimitOutbox(s.OutboxBytes)
	return kept, nil
}

// openLimit bounds how long a command that can do without the store waits for it.
const openLimit = 5 * time.Second

// openStoreIfPossible opens the store for a command that does its work without
// one, too. closeStore is never nil.
func (e *environment) openStoreIfPossible(ctx context.Context, s config.Settings) (kept *store.Store, closeStore func(), err error) {
	ctx, cancel := context.WithTimeout(ctx, openLimit)
	defer cancel()
	kept, err = openStore(ctx, s, store.Options{Logger: e.logger()})
	if err != nil {
		return nil, func() {}, err
	}
	return kept, func() { _ = kept.Close() }, nil
}

// openCarrier gives what brings parts of a run to workers on other machines: on a
// database server the job queue beside the store, nil on a file.
func openCarrier(s config.Settings, logger *slog.Logger) (carrier batch.Carrier, closeCarrier func(), err error) {
	dsn := s.StoreDSN.Reveal()
	if strings.HasPrefix(dsn, "sqlite:") {
		return nil, func() {}, nil
	}
	queue, err := riverqueue.New(dsn, logger)
	if err != nil {
		return nil, nil, err
	}
	return queue, queue.Close, nil
}
