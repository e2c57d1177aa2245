package main

import (
	"fmt"
	"log/slog"
	"os"
	"os/signal"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/postureproject/posture/config"
	"github.com/postureproject/posture/host"
	"github.com/postureproject/posture/store"
)

func newServe(env *environment) *cobra.Command {
	var listen string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the daemon: the HTTP API, probes and metrics",
		Long: `Run the daemon. SIGHUP reads the configuration again and restarts only the
plugins whose configuration changed; SIGTERM and SIGINT end it in an orderly way.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if listen != "" {
				env.environ = append(env.environ, "POSTURE_LISTEN="+listen)
			}
			ctx := cmd.Context()
			file, load, err := env.loadOnce()
			if err != nil {
				return err
			}
			hangup := make(chan os.Signal, 1)
			signal.Notify(hangup, syscall.SIGHUP)
			defer signal.Stop(hangup)
			started := time.Now()
			logger := daemonLogger(env, file.Settings())
			kept, err := openStore(ctx, file.Settings(), store.Options{Logger: logger})
			if err != nil {
				return err
			}
			defer func() {
				if err := kept.Close(); err != nil {
					logger.Warn("close the store", "error", err.Error())
				}
			}()
			options := env.options(load, logger)
			options.Store = kept
			h, err := host.Open(ctx, options)
			if err != nil {
				return err
			}
			defer h.Close()
			listener, err := h.Listen(ctx)
			if err != nil {
				return err
			}
			defer func() { _ = listener.Close() }()
			logger.Info("ready", "version", version, "address", "http://"+listener.Addr().String(), "config", file.Name(),
				"plugins", len(h.Status()), "took", time.Since(started).Round(time.Millisecond))
			if err := notifySystemd(env.getenv("NOTIFY_SOCKET"), "READY=1"); err != nil {
				logger.Warn("cannot notify systemd", "error", err.Error())
			}
			if err := h.Serve(ctx, listener, version, hangup); err != nil {
				return fmt.Errorf("serve: %w", err)
			}
			logger.Info("stopped")
			return nil
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "", "listen on `HOST:PORT` instead of the configured address")
	return cmd
}

func daemonLogger(env *environment, s config.Settings) *slog.Logger {
	options := &slog.HandlerOptions{Level: s.LogLevel}
	if env.verbose {
		options.Level = slog.LevelDebug
	}
	if s.LogFormat == "json" {
		return slog.New(slog.NewJSONHandler(env.stderr, options))
	}
	return slog.New(slog.NewTextHandler(env.stderr, options))
}
