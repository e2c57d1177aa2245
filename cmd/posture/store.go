package main

import (
	"context"
	"os"
	"path/filepath"
	"strings"

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
	return store.Open(ctx, o)
}
