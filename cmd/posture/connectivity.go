package main

import (
	"context"
	"fmt"
	"log/slog"
	"os"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/host"
)

func newConnectivity(env *environment) *cobra.Command {
	var (
		plugins, namespaces []string
		asJSON              bool
		debugLog            string
	)
	cmd := &cobra.Command{
		Use:   "connectivity",
		Short: "Test whether every source can be reached and lets us in",
		Long: `Load every configured plugin and run its own test, side by side: the network,
the log-in, the permissions. Exit status: 0 all passed, 1 usage or configuration,
2 some failed, 3 all failed.

Namespaces: ` + strings.Join(host.Namespaces(), ", "),
		Example: "  posture connectivity\n  posture connectivity --plugins jamf google\n  posture connectivity --namespaces sources.devices --json",
		// The seed's form is "--plugins a b", so words that follow belong to it.
		Args: cobra.ArbitraryArgs,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := spread(cmd, args, &plugins, &namespaces); err != nil {
				return err
			}
			for _, n := range namespaces {
				if !slices.Contains(host.Namespaces(), n) {
					return fault.InvalidField("--namespaces", n, "is no namespace", "there are "+strings.Join(host.Namespaces(), ", "))
				}
			}
			checks, err := env.connectivity(cmd.Context(), plugins, namespaces, debugLog)
			if err != nil {
				return err
			}
			if asJSON {
				err = env.writeJSON(checks)
			} else {
				err = env.reportChecks(checks)
			}
			if err != nil {
				return err
			}
			return statusOfChecks(checks)
		},
	}
	cmd.Flags().StringSliceVar(&plugins, "plugins", nil, "test only the plugins `NAME...`")
	cmd.Flags().StringSliceVar(&namespaces, "namespaces", nil, "test only plugins in one of the namespaces `NS...`")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON array")
	cmd.Flags().StringVar(&debugLog, "debug-log", "", "write a debug log to `FILE`")
	completeFlag(cmd, "plugins", env.completeConfigured)
	completeFlag(cmd, "namespaces", completeNamespaces)
	return cmd
}

// connectivity runs the tests.
func (e *environment) connectivity(ctx context.Context, plugins, namespaces []string, debugLog string) ([]host.Check, error) {
	logger, closeLog, err := e.debugLogger(debugLog)
	if err != nil {
		return nil, err
	}
	defer closeLog()
	file, load, err := e.loadOnce()
	if err != nil {
		return nil, err
	}
	options := e.options(load, logger)
	options.Only = plugins
	// A plugin that needs the store and has none says so in its own test.
	kept, closeStore, _ := e.openStoreIfPossible(ctx, file.Settings())
	defer closeStore()
	options.Store = kept
	progress := e.newProgress()
	defer progress.done()
	progress.say("starting plugins")
	h, err := host.Open(ctx, options)
	if err != nil {
		return nil, err
	}
	defer h.Close()
	progress.say("testing")
	checks, err := h.Connectivity(ctx, plugins, namespaces, func(c host.Check) {
		logger.Debug("connectivity", "plugin", c.Plugin, "outcome", c.Outcome, "error", c.Error, "took_ms", c.DurationMS)
	})
	switch {
	case err != nil:
		return nil, err
	case len(checks) == 0 && len(namespaces) > 0:
		return nil, fault.InvalidField("--namespaces", strings.Join(namespaces, ", "), "no configured plugin is in them", "see posture plugin list")
	case len(checks) == 0:
		return nil, fault.InvalidField("plugins", "", "no plugin is configured", "see posture config example")
	}
	return checks, nil
}

// spread gives the words that stand behind --plugins or --namespaces to the one
// that was given.
func spread(cmd *cobra.Command, args []string, plugins, namespaces *[]string) error {
	if len(args) == 0 {
		return nil
	}
	p, n := cmd.Flags().Changed("plugins"), cmd.Flags().Changed("namespaces")
	switch {
	case p && !n:
		*plugins = append(*plugins, args...)
	case n && !p:
		*namespaces = append(*namespaces, args...)
	default:
		return fault.InvalidField("argument", args[0], "belongs to no option", "write --plugins NAME,NAME or --namespaces NS,NS")
	}
	return nil
}

func (e *environment) debugLogger(path string) (*slog.Logger, func(), error) {
	if path == "" {
		return e.logger(), func() {}, nil
	}
	f, err := os.OpenFile(path, os.O_CREATE|os.O_WRONLY|os.O_TRUNC, 0o600) //nolint:gosec // the user names it
	if err != nil {
		return nil, nil, fault.InvalidField("--debug-log", path, "cannot be written", "name a file that you may write")
	}
	return slog.New(slog.NewTextHandler(f, &slog.HandlerOptions{Level: slog.LevelDebug})), func() { _ = f.Close() }, nil
}

func (e *environment) reportChecks(checks []host.Check) error {
	s := e.styles()
	var b strings.Builder
	w := tabwriter.NewWriter(&b, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "PLUGIN\tNAMESPACES\tOUTCOME\tTIME\t")
	for _, c := range checks {
		_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%d ms\t%s\n", c.Plugin, strings.Join(c.Namespaces, " "), outcomeWords(c), c.DurationMS, printable(c.Detail))
	}
	_ = w.Flush()
	for _, c := range checks {
		if c.Outcome == "failed" {
			_, _ = fmt.Fprintf(&b, "\n%s\n", s.render(s.critical, wrap(c.Plugin+": "+printable(c.Error), "", e.width())))
			if c.Remedy != "" {
				_, _ = fmt.Fprintln(&b, wrap("→ "+printable(c.Remedy), "  ", e.width()))
			}
		}
	}
	_, err := fmt.Fprint(e.stdout, b.String())
	return err
}

func outcomeWords(c host.Check) string {
	if c.Outcome == "no_test" {
		return "has no test"
	}
	return c.Outcome
}

func statusOfChecks(checks []host.Check) error {
	passed, failed := 0, 0
	for _, c := range checks {
		switch c.Outcome {
		case "ok":
			passed++
		case "failed":
			failed++
		}
	}
	switch {
	case failed == 0:
		return nil
	case passed == 0:
		return exitStatus(exitAllFailed)
	default:
		return exitStatus(exitSomeFailed)
	}
}
