package main

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/spf13/cobra"
	"go.yaml.in/yaml/v3"

	"github.com/postureproject/posture/adminevent"
	"github.com/postureproject/posture/config"
	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/host"
	"github.com/postureproject/posture/host/scan"
	"github.com/postureproject/posture/store"
)

// scansAtOnce is how many people the command line scans side by side.
const scansAtOnce = 8

func newScan(env *environment) *cobra.Command {
	var (
		asJSON, asYAML bool
		o              scanOptions
	)
	cmd := &cobra.Command{
		Use:   "scan EMAIL...",
		Short: "Show people's devices, how they are rated, and what to do",
		Long: `Ask every source about one or more people and show their devices with ratings,
what to do, and which sources failed.

Exit status: 0 all sources answered, 1 usage or configuration, 2 some source
failed, 3 all failed.`,
		Example: "  posture scan ada@example.com\n  posture scan --json --source jamf --source google ada@example.com",
		Args: func(_ *cobra.Command, emails []string) error {
			if len(emails) == 0 {
				return errors.New("name at least one person: posture scan ada@example.com")
			}
			return nil
		},
		RunE: func(cmd *cobra.Command, emails []string) error {
			for _, email := range emails {
				if !isAddress(email) {
					return fault.InvalidField("EMAIL", email, "is not an e-mail address", "write an address such as ada@example.com")
				}
			}
			answers, err := env.scan(cmd.Context(), emails, o)
			if err != nil {
				return err
			}
			switch {
			case asJSON:
				err = env.writeJSON(answers)
			case asYAML:
				err = env.writeYAML(answers)
			default:
				err = env.report(answers)
			}
			if err != nil {
				return err
			}
			return statusOf(answers)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print one JSON array with an object for each person")
	cmd.Flags().BoolVar(&asYAML, "yaml", false, "print the same as YAML")
	cmd.Flags().StringArrayVar(&o.sources, "source", nil, "ask only the source `NAME` (may be repeated)")
	cmd.Flags().Var(&o.timeout, "timeout", timeoutUsage)
	cmd.Flags().BoolVar(&o.noRecord, "no-record", false, "do not add what fails to the administration events")
	cmd.MarkFlagsMutuallyExclusive("json", "yaml")
	cmd.ValidArgsFunction = cobra.NoFileCompletions
	completeFlag(cmd, "source", env.completeSources)
	completeFlag(cmd, "timeout", completeTimeout)
	return cmd
}

// scanOptions say how people are scanned.
type scanOptions struct {
	sources  []string  // all when empty
	timeout  timeLimit // of one call on a source; as configured when 0
	noRecord bool
}

// scan asks about everybody and gives the answers in the order of the addresses.
func (e *environment) scan(ctx context.Context, emails []string, o scanOptions) ([]device.Posture, error) {
	file, load, err := e.loadOnce()
	if err != nil {
		return nil, err
	}
	for _, name := range o.sources {
		if !slices.Contains(file.Plugins(), name) {
			return nil, fault.InvalidField("--source", name, "is not configured", choices(name, "configured are", slices.DeleteFunc(file.Plugins(), isNoSource)))
		}
	}
	sources := o.sources
	options := e.options(load, e.logger())
	options.Timeout = time.Duration(o.timeout)
	if len(sources) > 0 {
		// External transforms still belong to the pipeline.
		s := file.Settings()
		options.Only = slices.Concat(sources, s.DeviceTransforms, s.EventTransforms)
	}
	progress := e.newProgress()
	defer progress.done()
	progress.say("starting plugins")
	kept, closeStore, storeErr := e.openStoreIfPossible(ctx, file.Settings())
	defer closeStore()
	options.Store = kept
	h, err := host.Open(ctx, options)
	if err != nil {
		return nil, err
	}
	defer h.Close()
	pipeline := h.Pipeline()
	if !slices.ContainsFunc(pipeline.Sources, func(s scan.Source) bool { return len(sources) == 0 || slices.Contains(sources, s.Name) }) {
		return nil, noSource(sources)
	}
	answers := make([]device.Posture, len(emails))
	var (
		group sync.WaitGroup
		slots = make(chan struct{}, scansAtOnce)
	)
	progress.people(len(emails))
	for i, email := range emails {
		slots <- struct{}{}
		group.Go(func() {
			defer func() { <-slots }()
			answers[i] = pipeline.Scan(ctx, scan.Request{Email: email, Only: sources, Progress: progress.source})
			progress.person()
		})
	}
	group.Wait()
	if ctx.Err() == nil && !o.noRecord {
		e.recordFailures(ctx, file.Settings(), kept, storeErr, answers)
	}
	return answers, ctx.Err()
}

// recordLimit bounds how long an answer waits for its failures to be recorded.
const recordLimit = 5 * time.Second

// recordFailures adds what failed to the administration events, and notes their
// ids in the answers. Where the store is not to be had, for the given reason or for
// another one, the answers go out all the same, and a person is told once.
func (e *environment) recordFailures(ctx context.Context, s config.Settings, kept *store.Store, reason error, answers []device.Posture) {
	if !s.AdministrationEvents.RecordAdHoc || !slices.ContainsFunc(answers, incomplete) {
		return
	}
	if reason == nil {
		reason = e.record(ctx, s, kept, answers)
	}
	if reason != nil {
		_, _ = fmt.Fprintln(e.stderr, "posture: what failed is not among the administration events: "+reason.Error())
	}
}

func (e *environment) record(ctx context.Context, s config.Settings, kept *store.Store, answers []device.Posture) error {
	ctx, cancel := context.WithTimeout(ctx, recordLimit)
	defer cancel()
	o := host.EventOptions(s)
	o.Store, o.Logger = kept, e.logger()
	recorder := adminevent.New(o)
	for _, p := range answers {
		recorder.RecordPosture(ctx, p, adminevent.Context{Trigger: adminevent.TriggerCLI, Operation: "scan", AdHoc: true, Actor: e.getenv("USER")})
	}
	return recorder.Close(ctx)
}

// incomplete reports whether something of an answer failed.
func incomplete(p device.Posture) bool { return slices.ContainsFunc(p.Sources, failed) }

func failed(o device.Outcome) bool { return !o.OK }

// noSource says that nobody would be asked: an empty answer would read as "no
// devices".
func noSource(sources []string) error {
	if len(sources) == 0 {
		return fault.InvalidField("plugins", "", "no source is configured", "see posture config example")
	}
	return fault.InvalidField("--source", strings.Join(sources, ", "), "is not enabled, or no source", "see posture plugin list")
}

// statusOf gives the exit status that the answers deserve. That a transform works
// does not make up for sources that all failed.
func statusOf(answers []device.Posture) error {
	ok, failed := 0, 0
	for _, a := range answers {
		for _, o := range a.Sources {
			switch {
			case !o.OK:
				failed++
			case strings.HasPrefix(o.Namespace, scan.NamespaceSources):
				ok++
			}
		}
	}
	switch {
	case failed == 0:
		return nil
	case ok == 0:
		return exitStatus(exitAllFailed)
	default:
		return exitStatus(exitSomeFailed)
	}
}

func (e *environment) writeJSON(v any) error {
	enc := json.NewEncoder(e.stdout)
	enc.SetIndent("", "  ")
	enc.SetEscapeHTML(false)
	return enc.Encode(v)
}

// writeYAML goes through JSON, so that both have the same names.
func (e *environment) writeYAML(v any) error {
	text, err := json.Marshal(v)
	if err != nil {
		return err
	}
	var node yaml.Node
	if err := yaml.Unmarshal(text, &node); err != nil {
		return fmt.Errorf("convert to YAML: %w", err)
	}
	blockStyle(&node)
	enc := yaml.NewEncoder(e.stdout)
	enc.SetIndent(2)
	if err := enc.Encode(&node); err != nil {
		return err
	}
	return enc.Close()
}

// blockStyle drops the braces and quotes that come from JSON, where YAML needs
// none.
func blockStyle(n *yaml.Node) {
	n.Style = 0
	for _, child := range n.Content {
		blockStyle(child)
	}
}
