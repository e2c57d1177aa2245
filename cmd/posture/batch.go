package main

import (
	"bufio"
	"context"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	"github.com/spf13/cobra"

	"github.com/postureproject/posture/batch"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/host"
	"github.com/postureproject/posture/store"
)

type batchFlags struct {
	limit       int
	timeout     timeLimit
	collectOnly bool
	resume      string
	asJSON      bool
}

func newBatch(env *environment) *cobra.Command {
	var f batchFlags
	cmd := &cobra.Command{
		Use:   "batch [FILE|-]",
		Short: "Scan everybody, store the answers and feed the sinks",
		Long: `Scan everybody: the addresses of FILE (one per line; - for standard input), or
without FILE everybody whom the sources list or who owns a device. Sources that can
list their devices are read once; the others are asked about each person. Every
person goes to the sinks as soon as they are through, the summary at the end.

The run's id is printed first, on standard error. A run that was interrupted goes
on with --resume; nobody is scanned or sent twice. One run goes on at a time.

Exit status: 0 everybody complete, 1 usage, configuration, or a run that could not
be finished, 2 some source failed for somebody, 3 every source failed for everybody,
130 ended by Ctrl-C.`,
		Example: "  posture batch\n  posture batch people.txt --limit 20 --json\n  posture batch --resume 20260301T020000.000-1f2e3d4c",
		Args:    cobra.MaximumNArgs(1),
		RunE: func(cmd *cobra.Command, args []string) error {
			request := batch.Request{Resume: f.resume, CollectOnly: f.collectOnly}
			switch {
			case cmd.Flags().Changed("limit") && f.limit < 1:
				return badLimit(f.limit)
			case f.resume != "" && (len(args) > 0 || f.collectOnly):
				return errors.New("--resume goes on with a run as it was begun: leave out FILE and --collect-only")
			case len(args) > 0:
				people, err := env.readPeople(args[0])
				if err != nil {
					return err
				}
				request.People = people
			}
			run, err := env.batch(cmd.Context(), request, time.Duration(f.timeout), host.NightOptions{Limit: f.limit})
			if err != nil {
				return err
			}
			if f.asJSON {
				err = env.writeJSON(run.Run)
			} else {
				err = env.reportRun(run)
			}
			if err != nil {
				return err
			}
			return statusOfRun(run.Run)
		},
	}
	peopleAtOnce(cmd, &f.limit)
	cmd.Flags().Var(&f.timeout, "timeout", timeoutUsage)
	cmd.Flags().BoolVar(&f.collectOnly, "collect-only", false, "store the answers, but send nothing to any sink")
	cmd.Flags().StringVar(&f.resume, "resume", "", "go on with the interrupted run `RUN`")
	cmd.Flags().BoolVar(&f.asJSON, "json", false, "print one JSON object at the end")
	completeFlag(cmd, "resume", env.completeUnfinished)
	completeFlag(cmd, "timeout", completeTimeout)
	cmd.AddCommand(newBatchList(env), newBatchShow(env))
	return cmd
}

// statusOfRun gives the exit status that a run deserves.
func statusOfRun(r batch.Run) error {
	switch {
	case r.Partial+r.Failed == 0:
		return nil
	case r.Failed == r.People:
		return exitStatus(exitAllFailed)
	default:
		return exitStatus(exitSomeFailed)
	}
}

// oneAddressALine is what to do about a list of people that cannot be read.
const oneAddressALine = "write one address per line, such as ada@example.com"

// readPeople reads addresses, one per line. Blank lines and what follows a # are
// left out; an error names the line that is no address.
func (e *environment) readPeople(path string) ([]string, error) {
	in, name := e.stdin, "standard input"
	if path != "-" {
		file, err := os.Open(path) //nolint:gosec // the file that the user names
		if err != nil {
			return nil, &fault.Error{Kind: fault.Invalid, Op: "read people", Err: err, Remedy: "name a file with one address per line, or - for standard input"}
		}
		defer func() { _ = file.Close() }()
		in, name = file, path
	}
	return scanPeople(in, name)
}

func scanPeople(in io.Reader, name string) ([]string, error) {
	people := []string{}
	lines := bufio.NewScanner(in)
	number := 0
	for lines.Scan() {
		number++
		line, _, _ := strings.Cut(strings.TrimPrefix(lines.Text(), "\uFEFF"), "#")
		line = strings.TrimSpace(line)
		switch {
		case line == "":
		case !isAddress(line):
			return nil, fault.InvalidField(fmt.Sprintf("%s:%d", name, number), line, "is not an e-mail address", oneAddressALine)
		default:
			people = append(people, line)
		}
	}
	if err := lines.Err(); err != nil {
		return nil, &fault.Error{Kind: fault.Invalid, Op: "read people", Subject: fmt.Sprintf("%s:%d", name, number+1), Err: err, Remedy: oneAddressALine}
	}
	if len(people) == 0 {
		return nil, fault.InvalidField("FILE", "", "names nobody", oneAddressALine)
	}
	return people, nil
}

// batch makes a run with a host of its own, and gives what is known of it at its end.
func (e *environment) batch(ctx context.Context, r batch.Request, timeout time.Duration, o host.NightOptions) (batch.Detail, error) {
	file, load, err := e.loadOnce()
	if err != nil {
		return batch.Detail{}, err
	}
	kept, err := openStore(ctx, file.Settings(), store.Options{Logger: e.logger()})
	if err != nil {
		return batch.Detail{}, err
	}
	defer func() { _ = kept.Close() }()
	options := e.options(load, e.logger())
	carrier, closeCarrier, err := openCarrier(file.Settings(), e.logger())
	if err != nil {
		return batch.Detail{}, err
	}
	defer closeCarrier()
	options.Store, options.Carrier, options.Timeout = kept, carrier, timeout
	p := e.newRunProgress()
	defer p.done()
	p.bar.say("starting plugins")
	h, err := host.Open(ctx, options)
	if err != nil {
		return batch.Detail{}, err
	}
	defer h.Close()
	if len(h.Pipeline().Sources) == 0 {
		return batch.Detail{}, noSource(nil)
	}
	o.Progress, o.Deliver = p.show, true
	r.Started = func(run batch.Run) { p.started(run.ID) }
	run, err := h.Night(ctx, o, r)
	if err != nil && p.begun() && fault.KindOf(err) != fault.Conflict { // else another process goes on with it
		p.done()
		_, _ = fmt.Fprintf(e.stderr, "Interrupted. It goes on with: posture batch --resume %s\n", run.ID)
	}
	if err != nil {
		return batch.Detail{}, err
	}
	p.done()
	e.tellWaiting(ctx, kept)
	return batch.Show(ctx, kept, run.ID)
}
