package main

import (
	"bufio"
	"cmp"
	"context"
	"fmt"
	"os"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/outbox"
	"github.com/postureproject/posture/store"
)

func newOutbox(env *environment) *cobra.Command {
	return group(&cobra.Command{
		Use: "outbox", Short: "See which documents wait for sinks, and decide on those set aside",
		Long: `See which documents wait for the sinks, such as Elasticsearch, and decide on those
that were set aside because their sink refuses them. Whatever waits is delivered
by the daemon, or by the next run, as soon as its sink takes it.`,
	}, newOutboxList(env), newOutboxRetry(env), newOutboxDrop(env))
}

// outboxReport is what `posture outbox list --json` prints.
type outboxReport struct {
	Sinks      []outbox.Stats `json:"sinks"`
	Deliveries []outbox.Entry `json:"deliveries"` // newest first
}

func newOutboxList(env *environment) *cobra.Command {
	var (
		filter       outbox.Filter
		dead, asJSON bool
	)
	cmd := &cobra.Command{
		Use: "list", Short: "List what waits, and what was set aside", Args: cobra.NoArgs,
		Example: `  posture outbox list
  posture outbox list --dead --sink batch_es
  posture outbox list --dead --json | jq -r '.deliveries[] | "\(.id) \(.error)"'`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			if dead {
				filter.State = outbox.Dead
			}
			if filter.Limit < 1 {
				return fault.InvalidField("--limit", strconv.Itoa(filter.Limit), "is not positive", "")
			}
			return env.withStore(cmd.Context(), func(ctx context.Context, s *store.Store) error {
				report, err := outboxContents(ctx, s, filter)
				if err != nil {
					return err
				}
				if asJSON {
					return env.writeJSON(report)
				}
				return env.reportOutbox(report, filter)
			})
		},
	}
	cmd.Flags().StringVar(&filter.Sink, "sink", "", "only documents for this `SINK`")
	cmd.Flags().BoolVar(&dead, "dead", false, "only those set aside")
	cmd.Flags().IntVar(&filter.Limit, "limit", 50, "the newest `N` documents")
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	_ = cmd.RegisterFlagCompletionFunc("sink", env.completeConfigured)
	return cmd
}

// withStore opens the store for the length of do.
func (e *environment) withStore(ctx context.Context, do func(context.Context, *store.Store) error) error {
	s, err := e.openStore(ctx)
	if err != nil {
		return err
	}
	err = do(ctx, s)
	return cmp.Or(err, s.Close())
}

func outboxContents(ctx context.Context, s *store.Store, f outbox.Filter) (outboxReport, error) {
	report := outboxReport{Sinks: []outbox.Stats{}, Deliveries: []outbox.Entry{}}
	stats, err := s.OutboxStats(ctx)
	if err != nil {
		return report, err
	}
	for _, st := range stats {
		if f.Sink == "" || f.Sink == st.Sink {
			report.Sinks = append(report.Sinks, st)
		}
	}
	entries, err := s.ListDeliveries(ctx, f)
	report.Deliveries = append(report.Deliveries, entries...)
	return report, err
}

// tellWaiting says on standard error what sinks have not taken at the end of a
// run. It says nothing where that cannot be found out: the run is over all the same.
func (e *environment) tellWaiting(ctx context.Context, s *store.Store) {
	stats, err := s.OutboxStats(ctx)
	if err != nil {
		return
	}
	for _, st := range stats {
		if st.Waiting+st.Dead > 0 {
			_, _ = fmt.Fprintf(e.stderr, "%s has not taken everything: %s waiting, %d set aside; see posture outbox list\n",
				printable(st.Sink), plural(st.Waiting, "document"), st.Dead)
		}
	}
}

func (e *environment) reportOutbox(r outboxReport, f outbox.Filter) error {
	if len(r.Sinks) == 0 {
		_, err := fmt.Fprintln(e.stdout, "Nothing waits, and nothing was set aside.")
		return err
	}
	st := e.styles()
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "SINK\tWAITING\tSET ASIDE\tSIZE\tOLDEST\tROOM")
	now, total := time.Now(), 0
	for _, s := range r.Sinks {
		oldest, room := "", fmt.Sprintf("%d %% taken", 100*s.Bytes/max(1, s.Limit))
		if !s.Oldest.IsZero() {
			oldest = age(now.Sub(s.Oldest))
		}
		if s.Bytes >= s.Limit/10*9 {
			room += ", nearly full"
		}
		total += s.Dead
		if f.State != outbox.Dead {
			total += s.Waiting
		}
		_, _ = fmt.Fprintf(w, "%s\t%d\t%d\t%s\t%s\t%s\n", printable(s.Sink), s.Waiting, s.Dead, amount(s.Bytes), cmp.Or(oldest, "-"), room)
	}
	if len(r.Deliveries) > 0 {
		_, _ = fmt.Fprintln(w, "\nID\tSINK\tKIND\tDOCUMENT\tSTATE\tTRIED\tQUEUED\tLAST ERROR")
	}
	for _, d := range r.Deliveries {
		state := string(d.State)
		if d.State == outbox.Dead {
			state = "set aside"
		}
		_, _ = fmt.Fprintf(w, "%d\t%s\t%s\t%s\t%s\t%d\t%s\t%s\n", d.Number, printable(d.Sink), printable(d.Kind), printable(shortened(d.ID, 40)), state,
			d.Attempts, age(now.Sub(d.QueuedAt)), cmp.Or(printable(shortened(d.Error, 120)), "-"))
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if n := total - len(r.Deliveries); n > 0 {
		_, _ = fmt.Fprintf(e.stdout, "\n%s\n", st.render(st.faint, plural(n, "older document")+" not shown; see --limit."))
	}
	return nil
}

// shortened keeps a text on one line of at most n characters.
func shortened(s string, n int) string {
	s = strings.Join(strings.Fields(s), " ")
	if r := []rune(s); len(r) > n {
		return string(r[:n-1]) + "…"
	}
	return s
}

// selection reads which documents a command is about.
type selection struct {
	outbox.Selection

	all, dead bool
}

func (sel *selection) flags(env *environment, cmd *cobra.Command) {
	cmd.Flags().BoolVar(&sel.all, "all", false, "all documents, or all of --sink and --dead")
	cmd.Flags().StringVar(&sel.Sink, "sink", "", "with --all: only documents for this `SINK`")
	cmd.Flags().BoolVar(&sel.dead, "dead", false, "with --all: only those set aside")
	_ = cmd.RegisterFlagCompletionFunc("sink", env.completeConfigured)
}

func (sel *selection) read(args []string) error {
	switch {
	case sel.all && len(args) > 0:
		return fault.InvalidField("--all", "", "stands beside single documents", "give one or the other")
	case !sel.all && len(args) == 0:
		return fault.InvalidField("ID", "", "is missing", "name documents as posture outbox list does, or write --all")
	case !sel.all && (sel.Sink != "" || sel.dead):
		return fault.InvalidField("--sink and --dead", "", "go with --all only", "")
	}
	for _, text := range args {
		n, err := strconv.ParseInt(text, 10, 64)
		if err != nil || n < 1 {
			return fault.InvalidField("ID", text, "is not the number of a document", "posture outbox list shows them")
		}
		sel.Numbers = append(sel.Numbers, n)
	}
	if sel.dead {
		sel.State = outbox.Dead
	}
	return nil
}

// found makes an error of having found none of the documents that were named.
func (sel *selection) found(n int) error {
	if n > 0 || sel.all {
		return nil
	}
	return &fault.Error{
		Kind: fault.NotFound, Message: "no such document in the outbox",
		Remedy: "it may have been delivered meanwhile; posture outbox list shows what is there",
	}
}

func newOutboxRetry(env *environment) *cobra.Command {
	var sel selection
	cmd := &cobra.Command{
		Use: "retry {ID… | --all}", Short: "Try documents again now, also those set aside",
		Long: `Try documents again now: without the pause after a failure, and also those that
were set aside. The daemon, or the next run, delivers them.`,
		Example: `  posture outbox retry 17 18
  posture outbox retry --all --dead --sink batch_es`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := sel.read(args); err != nil {
				return err
			}
			return env.withStore(cmd.Context(), func(ctx context.Context, s *store.Store) error {
				n, err := s.RetryDeliveries(ctx, sel.Selection)
				if err != nil {
					return err
				}
				if err := sel.found(n); err != nil {
					return err
				}
				_, err = fmt.Fprintf(env.stdout, "%s to be tried again now.\n", plural(n, "document"))
				return err
			})
		},
	}
	sel.flags(env, cmd)
	return cmd
}

func newOutboxDrop(env *environment) *cobra.Command {
	var (
		sel selection
		yes bool
	)
	cmd := &cobra.Command{
		Use: "drop {ID… | --all}", Short: "Throw documents away for good",
		Long: `Throw documents away for good. They will never reach their sink. On a terminal
the command asks first; elsewhere it needs --yes.`,
		Example: `  posture outbox drop 17
  posture outbox drop --all --dead --sink atlas --yes`,
		RunE: func(cmd *cobra.Command, args []string) error {
			if err := sel.read(args); err != nil {
				return err
			}
			return env.withStore(cmd.Context(), func(ctx context.Context, s *store.Store) error {
				if !yes {
					if err := env.confirmDrop(ctx, s, sel); err != nil {
						return err
					}
				}
				n, err := s.DropDeliveries(ctx, sel.Selection)
				if err != nil {
					return err
				}
				if err := sel.found(n); err != nil {
					return err
				}
				_, err = fmt.Fprintf(env.stdout, "%s thrown away.\n", plural(n, "document"))
				return err
			})
		},
	}
	sel.flags(env, cmd)
	cmd.Flags().BoolVarP(&yes, "yes", "y", false, "do not ask")
	return cmd
}

// confirmDrop asks whoever sits at the terminal.
func (e *environment) confirmDrop(ctx context.Context, s *store.Store, sel selection) error {
	n := len(sel.Numbers)
	if sel.all {
		stats, err := s.OutboxStats(ctx)
		if err != nil {
			return err
		}
		for _, st := range stats {
			switch {
			case sel.Sink != "" && sel.Sink != st.Sink:
			case sel.State == outbox.Dead:
				n += st.Dead
			default:
				n += st.Dead + st.Waiting
			}
		}
	}
	in, ok := e.stdin.(*os.File)
	if !ok || !isTerminal(in) {
		return fault.InvalidField("--yes", "", "is missing: "+plural(n, "document")+" would be thrown away for good", "write --yes if that is meant")
	}
	_, _ = fmt.Fprintf(e.stderr, "Throw %s away for good? [y/N] ", plural(n, "document"))
	answer, _ := bufio.NewReader(in).ReadString('\n')
	if answer = strings.ToLower(strings.TrimSpace(answer)); answer != "y" && answer != "yes" {
		return fault.New(fault.Conflict, "nothing was thrown away")
	}
	return nil
}
