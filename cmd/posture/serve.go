package main

import (
	"errors"
	"log/slog"
	"os"
	"os/signal"
	"slices"
	"syscall"
	"time"

	"github.com/spf13/cobra"

	"github.com/postureproject/posture/config"
)

func newServe(env *environment) *cobra.Command {
	var listen string
	cmd := &cobra.Command{
		Use:   "serve",
		Short: "Run the daemon: the HTTP API, probes and metrics",
		Long: `Run the daemon. SIGHUP reads the configuration again and restarts only the
plugins whose configuration changed; SIGTERM and SIGINT end it in an orderly way.
While the store cannot be opened it answers without one, and says so at /readyz.`,
		Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if listen != "" {
				env.environ = append(env.environ, "POSTURE_LISTEN="+listen)
			}
			ctx := cmd.Context()
			file, load, err := env.loadOnce()
			if err != nil {
				return blameOption(err, "POSTURE_LISTEN", "--listen", listen)
			}
			hangup := make(chan os.Signal, 1)
			signal.Notify(hangup, syscall.SIGHUP)
			defer signal.Stop(hangup)
			d := daemon{env: env, file: file, load: load, logger: daemonLogger(env, file.Settings()), hangup: hangup, started: time.Now()}
			if err := d.run(ctx); err != nil {
				return err
			}
			d.logger.Info("stopped")
			return nil
		},
	}
	cmd.Flags().StringVar(&listen, "listen", "", "listen on `HOST:PORT` instead of the configured address")
	return cmd
}

// blameOption names the option instead of the variable that it was passed on in,
// where it was given.
func blameOption(err error, variable, option, given string) error {
	var problems config.Problems
	if given == "" || !errors.As(err, &problems) {
		return err
	}
	problems = slices.Clone(problems)
	for i, p := range problems {
		if p.Path == variable {
			problems[i].File, problems[i].Path = "command line", option
		}
	}
	return problems
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
