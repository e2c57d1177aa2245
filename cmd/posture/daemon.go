package main

import (
	"context"
	"fmt"
	"log/slog"
	"net"
	"os"
	"sync"
	"time"

	"github.com/postureproject/posture/config"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/host"
	"github.com/postureproject/posture/store"
)

// daemon is what `posture serve` runs: a host with its store, or without one for
// as long as the store cannot be opened.
type daemon struct {
	env      *environment
	file     *config.File
	load     func() (*config.File, error)
	logger   *slog.Logger
	hangup   <-chan os.Signal
	started  time.Time
	address  string // where it listens, once it does
	notified bool   // systemd knows that it is ready
}

// openAgain is how long to wait until a store that cannot be opened is tried again.
const openAgain = 5 * time.Second

// run answers requests until the context ends. A store that cannot be reached at
// the start, be it that its server is down or its disk full, is no reason not to:
// people are asked about without it, and it is tried again until it opens.
func (d *daemon) run(ctx context.Context) error {
	kept, err := openStore(ctx, d.file.Settings(), store.Options{Logger: d.logger})
	if err != nil && fault.KindOf(err) == fault.Unavailable && ctx.Err() == nil {
		d.logger.Error("the store cannot be opened; nothing is kept until it can", "error", err.Error(), "remedy", fault.RemedyOf(err))
		kept, err = d.withoutStore(ctx)
	}
	if err != nil || kept == nil {
		return err
	}
	defer func() {
		if err := kept.Close(); err != nil {
			d.logger.Warn("close the store", "error", err.Error())
		}
	}()
	carrier, closeCarrier, err := openCarrier(d.file.Settings(), d.logger)
	if err != nil {
		return err
	}
	defer closeCarrier()
	return d.serve(ctx, func(o *host.Options) { o.Store, o.Carrier = kept, carrier })
}

// withoutStore answers requests until the store opens, and gives it then; nil when
// the context ends before.
func (d *daemon) withoutStore(ctx context.Context) (*store.Store, error) {
	serving, stop := context.WithCancel(ctx)
	var (
		opened  *store.Store
		opening sync.WaitGroup
	)
	opening.Go(func() {
		if opened = d.awaitStore(serving); opened != nil {
			d.logger.Info("the store is open; starting anew with it")
			stop()
		}
	})
	err := d.serve(serving, func(o *host.Options) { o.StoreDown = true })
	stop()
	opening.Wait()
	if opened != nil && ctx.Err() != nil {
		return nil, opened.Close()
	}
	return opened, err
}

// awaitStore tries to open the store until it succeeds; nil when the context ends
// before.
func (d *daemon) awaitStore(ctx context.Context) *store.Store {
	tick := time.NewTicker(openAgain)
	defer tick.Stop()
	for {
		select {
		case <-tick.C:
		case <-ctx.Done():
			return nil
		}
		kept, err := openStore(ctx, d.file.Settings(), store.Options{Logger: d.logger})
		if err == nil {
			return kept
		}
		if ctx.Err() == nil {
			d.logger.Warn("the store still cannot be opened", "error", err.Error())
		}
	}
}

// serve runs one host until the context ends.
func (d *daemon) serve(ctx context.Context, change func(*host.Options)) error {
	load := d.load
	if again := d.address != ""; again && d.env.configPath == "-" {
		load = func() (*config.File, error) { return d.file, nil } // it can be read only once
	}
	options := d.env.options(load, d.logger)
	change(&options)
	h, err := host.Open(ctx, options)
	if err != nil {
		return err
	}
	defer h.Close()
	listener, err := d.listen(ctx, h)
	if err != nil {
		return err
	}
	defer func() { _ = listener.Close() }()
	d.logger.Info("ready", "version", version, "address", "http://"+d.address, "config", d.file.Name(),
		"plugins", len(h.Status()), "took", time.Since(d.started).Round(time.Millisecond))
	if !d.notified {
		d.notified = true
		if err := notifySystemd(d.env.getenv("NOTIFY_SOCKET"), "READY=1"); err != nil {
			d.logger.Warn("cannot notify systemd", "error", err.Error())
		}
	}
	if err := h.Serve(ctx, listener, version, d.hangup); err != nil {
		return fmt.Errorf("serve: %w", err)
	}
	return nil
}

// listen opens the configured address, and the second time the very same one.
func (d *daemon) listen(ctx context.Context, h *host.Host) (net.Listener, error) {
	if d.address != "" {
		var lc net.ListenConfig
		return lc.Listen(ctx, "tcp", d.address)
	}
	listener, err := h.Listen(ctx)
	if err == nil {
		d.address = listener.Addr().String()
	}
	return listener, err
}
