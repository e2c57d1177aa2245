package main

import (
	"cmp"
	"context"
	"fmt"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"text/tabwriter"
	"time"

	"github.com/spf13/cobra"

	"github.com/postureproject/posture/adminevent"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/host"
)

func newEvents(env *environment) *cobra.Command {
	return group(&cobra.Command{
		Use: "events", Short: "See which scans failed, why, how often, and what to do",
		Long: `Administration events tell which scans failed at which source, why, and how often.
Scans that worked and scans that did not take place leave none. An event is
deleted when it has not come again for some days: see posture events retention.`,
	}, newEventsList(env), newEventsShow(env), newEventsSummary(env), newEventsRetention(env))
}

// withEvents does something with the record of failures in the store.
func (e *environment) withEvents(ctx context.Context, do func(*adminevent.Recorder) error) error {
	file, err := e.load()
	if err != nil {
		return err
	}
	s, err := e.openStore(ctx)
	if err != nil {
		return err
	}
	o := host.EventOptions(file.Settings())
	o.Store, o.Logger = s, e.logger()
	err = do(adminevent.New(o))
	if closing := s.Close(); err == nil {
		err = closing
	}
	return err
}

// eventsShown is how many events are listed for people unless they say otherwise.
const eventsShown = 50

func newEventsList(env *environment) *cobra.Command {
	var (
		asJSON, reverse bool
		limit           int
		sort            string
	)
	cmd := &cobra.Command{
		Use: "list", Short: "List what failed, the latest first", Args: cobra.NoArgs,
		Example: `  posture events list
  posture events list --from 24h --source jamf --level error
  posture events list --sort "Event Occurrence" --reverse
  posture events list --json | jq -r '.[] | select(.adHoc) | .resource.name'`,
	}
	flags := newEventFlags(cmd)
	cmd.Flags().BoolVar(&asJSON, "json", false, "print all as one JSON array")
	cmd.Flags().IntVar(&limit, "limit", 0, "show at most `N` events; 0 means 50, or all with --json")
	cmd.Flags().StringVar(&sort, "sort", "", "order by the `FIELD`, from the smallest: Last Updated, Event Occurrence, Created Time, Event Level, Event Domain, Event Type, Resource Type")
	cmd.Flags().BoolVar(&reverse, "reverse", false, "with --sort, from the largest")
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		more := url.Values{}
		if sort != "" {
			more.Set("pagination.sortOption.field", sort)
			more.Set("pagination.sortOption.reversed", strconv.FormatBool(reverse))
		}
		q, err := flags.query(more)
		if err == nil && limit < 0 {
			err = fault.InvalidField("--limit", strconv.Itoa(limit), "is negative", "give a number such as 50, or 0")
		}
		if err != nil {
			return err
		}
		most := limit
		if most == 0 && !asJSON {
			most = eventsShown
		}
		return env.withEvents(cmd.Context(), func(r *adminevent.Recorder) error {
			events, err := eventsUpTo(cmd.Context(), r, q, most)
			if err != nil {
				return err
			}
			if asJSON {
				return env.writeJSON(events)
			}
			total, err := r.Count(cmd.Context(), q.Filter)
			if err != nil {
				return err
			}
			return env.reportEvents(events, total)
		})
	}
	return cmd
}

// eventsUpTo reads page by page; 0 means all.
func eventsUpTo(ctx context.Context, r *adminevent.Recorder, q adminevent.Query, most int) ([]adminevent.Event, error) {
	events := []adminevent.Event{}
	for {
		q.Offset, q.Limit = len(events), adminevent.MaxPage
		if most > 0 {
			q.Limit = min(q.Limit, most-len(events))
		}
		page, err := r.List(ctx, q)
		if err != nil {
			return nil, err
		}
		events = append(events, page...)
		if len(page) < q.Limit || len(events) == most {
			return events, nil
		}
	}
}

func (e *environment) reportEvents(events []adminevent.Event, total int64) error {
	if len(events) == 0 {
		_, err := fmt.Fprintln(e.stdout, "No events.")
		return err
	}
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintln(w, "LAST\tCOUNT\tLEVEL\tSOURCE\tCODE\tABOUT\tID")
	for _, event := range events {
		_, _ = fmt.Fprintf(w, "%s\t%d\t%s\t%s\t%s\t%s\t%s\n", age(time.Since(event.LastOccurredAt)), event.NumOccurrences,
			strings.ToLower(event.Level.Word()), cmp.Or(printable(event.Source), "-"), printable(event.Code), printable(eventAbout(event)), event.ID)
	}
	if err := w.Flush(); err != nil {
		return err
	}
	if rest := total - int64(len(events)); rest > 0 {
		_, err := fmt.Fprintf(e.stdout, "\n%d more; see --limit and the filters.\n", rest)
		return err
	}
	return nil
}

func eventAbout(e adminevent.Event) string {
	about := cmp.Or(e.Resource.Name, e.Resource.ID)
	if e.AffectedCount > 0 {
		about += fmt.Sprintf(" (%d people)", e.AffectedCount)
	}
	return about
}

func newEventsShow(env *environment) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "show ID", Short: "Show one event and what to do about it", Args: cobra.ExactArgs(1),
		ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			return env.withEvents(cmd.Context(), func(r *adminevent.Recorder) error {
				event, err := r.Get(cmd.Context(), args[0])
				if err != nil {
					return err
				}
				if asJSON {
					return env.writeJSON(event)
				}
				return env.reportEvent(event)
			})
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print the API's object")
	return cmd
}

func (e *environment) reportEvent(event adminevent.Event) error {
	s := e.styles()
	var b strings.Builder
	level, style := strings.ToLower(event.Level.Word()), s.warning
	if event.Level == adminevent.LevelError {
		style = s.critical
	}
	_, _ = fmt.Fprintf(&b, "%s  %s\n%s\n\n", s.render(style, level), s.render(s.heading, printable(event.Code)), wrap(printable(event.Message), "", e.width()))
	row := func(what, value string) {
		if value != "" {
			_, _ = fmt.Fprintf(&b, "%-11s%s\n", what, printable(value))
		}
	}
	row("About", event.Resource.Type+" "+eventAbout(event))
	row("Source", event.Source)
	row("Domain", event.Domain)
	how := "by itself"
	if event.AdHoc {
		how = "asked for"
	}
	row("Scan", strings.Join(slices.DeleteFunc([]string{event.Operation, how, event.Trigger}, func(s string) bool { return s == "" }), ", "))
	row("Last by", event.LastActor)
	row("Request", event.RequestID)
	row("Occurred", plural(int(event.NumOccurrences), "time"))
	row("First", event.CreatedAt.Format(time.RFC3339))
	row("Last", event.LastOccurredAt.Format(time.RFC3339))
	row("Event", event.ID)
	_, _ = fmt.Fprintln(&b, "\nWhat to do:")
	for line := range strings.SplitSeq(printable(event.Hint), "\n") {
		text, isItem := strings.CutPrefix(line, "- ")
		if first := "  "; isItem {
			_, _ = fmt.Fprintln(&b, hang(text, first+"- ", first+"  ", e.width()))
		} else {
			_, _ = fmt.Fprintln(&b, wrap(text, first, e.width()))
		}
	}
	_, err := fmt.Fprint(e.stdout, b.String())
	return err
}

func newEventsSummary(env *environment) *cobra.Command {
	var (
		asJSON bool
		by     []string
	)
	cmd := &cobra.Command{
		Use: "summary", Short: "Count what failed by source, code or other fields", Args: cobra.NoArgs,
		Example: "  posture events summary\n  posture events summary --by resourceName --source jamf --from 24h",
	}
	flags := newEventFlags(cmd)
	fields := make([]string, 0, len(adminevent.GroupFields()))
	for _, f := range adminevent.GroupFields() {
		fields = append(fields, string(f))
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON array")
	cmd.Flags().StringArrayVar(&by, "by", nil, "count by the `FIELDS`, with commas between: "+strings.Join(fields, ", ")+" (default source,code)")
	completeFlag(cmd, "by", cobra.FixedCompletions(fields, cobra.ShellCompDirectiveNoFileComp))
	cmd.RunE = func(cmd *cobra.Command, _ []string) error {
		q, err := flags.query(nil)
		if err != nil {
			return err
		}
		return env.withEvents(cmd.Context(), func(r *adminevent.Recorder) error {
			fields := adminevent.ParseFields(by)
			groups, err := r.Summary(cmd.Context(), q.Filter, fields)
			if err != nil {
				return err
			}
			if asJSON {
				return env.writeJSON(groups)
			}
			return env.reportGroups(groups, fields)
		})
	}
	return cmd
}

func (e *environment) reportGroups(groups []adminevent.Group, by []adminevent.Field) error {
	if len(groups) == 0 {
		_, err := fmt.Fprintln(e.stdout, "No events.")
		return err
	}
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprint(w, "COUNT\tEVENTS\tLAST")
	for _, f := range by {
		_, _ = fmt.Fprint(w, "\t"+strings.ToUpper(string(f)))
	}
	_, _ = fmt.Fprintln(w)
	for _, g := range groups {
		_, _ = fmt.Fprintf(w, "%d\t%d\t%s", g.NumOccurrences, g.Events, age(time.Since(g.LastOccurredAt)))
		for _, f := range by {
			_, _ = fmt.Fprint(w, "\t"+cmp.Or(printable(g.Value(f)), "-"))
		}
		_, _ = fmt.Fprintln(w)
	}
	return w.Flush()
}

func newEventsRetention(env *environment) *cobra.Command {
	return &cobra.Command{
		Use: "retention [DAYS]", Short: "Show or change after how many days an event is deleted",
		Long: `Show after how many days without a further occurrence an event is deleted, or
change it, from 1 to 365. A change holds for every program that shares the store,
within an hour, without a restart; it wins over the configuration.`,
		Example: "  posture events retention\n  posture events retention 14",
		Args:    cobra.MaximumNArgs(1), ValidArgsFunction: cobra.NoFileCompletions,
		RunE: func(cmd *cobra.Command, args []string) error {
			days := 0
			if len(args) == 1 {
				n, err := strconv.Atoi(args[0])
				if err != nil {
					return fault.InvalidField("DAYS", args[0], "is not a number", "give a number of days such as 4")
				}
				if err := adminevent.CheckRetention(int64(n)); err != nil {
					return fault.InvalidField("DAYS", args[0], "must be from 1 to 365", "give a number of days such as 4")
				}
				days = n
			}
			return env.withEvents(cmd.Context(), func(r *adminevent.Recorder) error {
				if days != 0 {
					if err := r.SetRetention(cmd.Context(), days); err != nil {
						return err
					}
				}
				days, err := r.Retention(cmd.Context())
				if err != nil {
					return err
				}
				_, err = fmt.Fprintln(env.stdout, plural(days, "day"))
				return err
			})
		},
	}
}
