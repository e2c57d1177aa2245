package main

import (
	"fmt"
	"os/signal"
	"syscall"

	"github.com/spf13/cobra"

	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/host"
	"github.com/postureproject/posture/store"
)

func newWorker(env *environment) *cobra.Command {
	var limit int
	cmd := &cobra.Command{
		Use:   "worker",
		Short: "Take part in runs over everybody that other machines lead",
		Long: `Take part in runs over everybody, on as many machines as you like. Whoever makes a
run (posture batch, or the daemon by batch.schedule) reads the listings and hands
out the people in parts; workers scan them and keep the answers. A worker that is
killed costs only its part some seconds: another one finishes it.

It needs a database server (store.dsn: postgres://…) and the same configuration as
the process that leads the run; a run that goes by other sources, sinks or policy
is left to others, and told of in the log. Sinks are fed by the process that leads
the run, or by the daemon. SIGTERM, SIGINT and SIGHUP end a worker in an orderly
way: what it has in hand is finished first.`,
		Example: "  posture worker --config /etc/posture/posture.yaml\n  posture worker --limit 40",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if cmd.Flags().Changed("limit") && limit < 1 {
				return badLimit(limit)
			}
			return env.work(cmd, host.NightOptions{Limit: limit})
		},
	}
	peopleAtOnce(cmd, &limit)
	return cmd
}

// work is a worker until the command's context ends.
func (e *environment) work(cmd *cobra.Command, o host.NightOptions) error {
	// It reads its configuration once: SIGHUP ends it too, for whoever keeps it
	// running to start it with the new one.
	ctx, stop := signal.NotifyContext(cmd.Context(), syscall.SIGHUP)
	defer stop()
	file, load, err := e.loadOnce()
	if err != nil {
		return err
	}
	logger := daemonLogger(e, file.Settings())
	carrier, closeCarrier, err := openCarrier(file.Settings(), logger)
	if err != nil {
		return err
	}
	defer closeCarrier()
	if carrier == nil {
		return fault.InvalidField("store.dsn", "", "names a file, which only one machine can use",
			"set it to postgres://… on every machine; on a file the process that makes a run does all of it")
	}
	kept, err := openStore(ctx, file.Settings(), store.Options{Logger: logger})
	if err != nil {
		return err
	}
	defer func() { _ = kept.Close() }()
	options := e.options(load, logger)
	options.Store, options.Carrier = kept, carrier
	h, err := host.Open(ctx, options)
	if err != nil {
		return err
	}
	defer h.Close()
	logger.Info("ready to work", "version", version, "config", file.Name())
	if err := notifySystemd(e.getenv("NOTIFY_SOCKET"), "READY=1"); err != nil {
		logger.Warn("cannot notify systemd", "error", err.Error())
	}
	if err := h.Work(ctx, o); err != nil {
		return fmt.Errorf("work: %w", err)
	}
	logger.Info("stopped")
	return nil
}
