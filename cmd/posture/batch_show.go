package main

import (
	"cmp"
	"context"
	"fmt"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/postureproject/posture/batch"
	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
)

func newBatchList(env *environment) *cobra.Command {
	var (
		asJSON bool
		limit  int
		before string
	)
	cmd := &cobra.Command{
		Use:     "list",
		Short:   "List runs, newest first",
		Example: "  posture batch list\n  posture batch list --limit 5 --json",
		Args:    cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if limit < 1 {
				return fault.InvalidField("--limit", fmt.Sprint(limit), "is too small", "write 1 or more")
			}
			kept, err := env.openStore(cmd.Context())
			if err != nil {
				return err
			}
			defer func() { _ = kept.Close() }()
			runs, err := batch.List(cmd.Context(), kept, before, limit)
			if err != nil {
				return err
			}
			if asJSON {
				return env.writeJSON(runs)
			}
			return env.reportRuns(runs)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON array")
	cmd.Flags().IntVar(&limit, "limit", 20, "show at most `N` runs")
	cmd.Flags().StringVar(&before, "before", "", "show runs older than `RUN`")
	completeFlag(cmd, "before", env.completeRuns)
	return cmd
}

func newBatchShow(env *environment) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use:     "show RUN",
		Short:   "Show one run: how far it is, what failed, the verdicts",
		Example: "  posture batch show 20260301T020000.000-1f2e3d4c --json",
		Args:    cobra.ExactArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			kept, err := env.openStore(cmd.Context())
			if err != nil {
				return err
			}
			defer func() { _ = kept.Close() }()
			run, err := batch.Show(cmd.Context(), kept, args[0])
			if err != nil {
				return err
			}
			if asJSON {
				return env.writeJSON(run)
			}
			return env.reportRun(run)
		},
		ValidArgsFunction: func(cmd *cobra.Command, args []string, typed string) ([]string, cobra.ShellCompDirective) {
			if len(args) > 0 {
				return nil, cobra.ShellCompDirectiveNoFileComp
			}
			return env.completeRuns(cmd, args, typed)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON object")
	return cmd
}

// completeRuns offers the newest runs.
func (e *environment) completeRuns(_ *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
	return e.completeRunsThat(begun, func(batch.Run) bool { return true })
}

// completeUnfinished offers the newest runs that can be resumed.
func (e *environment) completeUnfinished(_ *cobra.Command, _ []string, begun string) ([]string, cobra.ShellCompDirective) {
	return e.completeRunsThat(begun, func(r batch.Run) bool { return !r.Finished() })
}

func (e *environment) completeRunsThat(begun string, fit func(batch.Run) bool) ([]string, cobra.ShellCompDirective) {
	ctx, cancel := context.WithTimeout(context.Background(), 2*time.Second)
	defer cancel()
	kept, err := e.openStore(ctx)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	defer func() { _ = kept.Close() }()
	runs, err := kept.BatchRuns(ctx, "", 20)
	if err != nil {
		return nil, cobra.ShellCompDirectiveNoFileComp
	}
	var ids []string
	for _, r := range runs {
		if fit(r) {
			ids = append(ids, r.ID)
		}
	}
	return beginning(ids, begun)
}

// reportRuns writes runs for people, one per line.
func (e *environment) reportRuns(runs []batch.Detail) error {
	if len(runs) == 0 {
		_, err := fmt.Fprintln(e.stdout, "No run has been made yet: posture batch makes one.")
		return err
	}
	_, err := fmt.Fprintf(e.stdout, "%-28s  %-11s  %-16s  %8s  %8s  %8s  %8s\n", "RUN", "STATE", "STARTED", "PEOPLE", "COMPLETE", "PARTIAL", "FAILED")
	for _, r := range runs {
		_, writeErr := fmt.Fprintf(e.stdout, "%-28s  %-11s  %-16s  %8d  %8d  %8d  %8d\n", r.ID, r.State,
			r.StartedAt.Local().Format("2006-01-02 15:04"), r.People, r.Complete, r.Partial, r.Failed)
		err = cmp.Or(err, writeErr)
	}
	return err
}

// reportRun writes one run for people.
func (e *environment) reportRun(r batch.Detail) error {
	out := &reporter{styles: e.styles(), width: e.width()}
	state := r.State
	if state != "finished" {
		state += ", " + r.Phase
	}
	out.line("%s   %s", out.styles.render(out.styles.heading, r.ID), state)
	out.line("")
	out.line("  %s, %s: %d complete, %d partial, %d failed", people(r.People), plural(r.Devices, "device"), r.Complete, r.Partial, r.Failed)
	took := "started " + r.StartedAt.Local().Format("2006-01-02 15:04:05")
	if r.FinishedAt != nil {
		took += ", took " + r.FinishedAt.Sub(r.StartedAt).Round(time.Second).String()
	}
	if r.Resumed {
		took += ", resumed"
	}
	if r.CollectOnly {
		took += ", nothing was sent"
	}
	out.line("  %s", took)
	if len(r.Statistics) > 0 {
		out.line("")
		out.statistics(r.Statistics)
	}
	out.failedListings(r.Listings)
	if r.Partial+r.Failed > 0 {
		out.line("")
		out.line("  What failed, for how many, and what to do: posture events list")
	}
	_, err := fmt.Fprint(e.stdout, out.b.String())
	return err
}

// failedListings writes which lists could not be read; those of one source that
// failed alike, its devices and its users, together.
func (r *reporter) failedListings(listings []batch.Listing) {
	told := map[string]bool{}
	for _, l := range listings {
		if l.Failure == nil || l.Failure.Error == nil || told[*l.Failure.Error] {
			continue
		}
		told[*l.Failure.Error] = true
		r.line("")
		r.line("%s", r.styles.render(r.styles.critical, wrap(fmt.Sprintf("Failed: what %s lists: %s", l.Failure.Plugin, printable(*l.Failure.Error)), "  ", r.width)))
		if l.Failure.Remedy != "" {
			r.line("%s", wrap("→ "+printable(l.Failure.Remedy), "    ", r.width))
		}
	}
}

// statistics writes how many devices have which verdict on each practice.
func (r *reporter) statistics(s batch.Statistics) {
	statuses := []device.Status{device.OK, device.Nudge, device.Warn, device.Unknown, device.NA}
	header := fmt.Sprintf("  %-20s", "")
	for _, status := range statuses {
		header += fmt.Sprintf(" %8s", status)
	}
	r.line("%s", r.styles.render(r.styles.faint, strings.TrimRight(header, " ")))
	for _, key := range s.Practices() {
		line := fmt.Sprintf("  %-20s", printable(key))
		for _, status := range statuses {
			line += fmt.Sprintf(" %8d", s[key][status])
		}
		r.line("%s", line)
	}
}
