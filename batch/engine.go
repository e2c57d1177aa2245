package batch

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"log/slog"
	"sync"
	"time"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
)

// Options say what an engine works with. Store, Sources, Scanner and Holder are
// required.
type Options struct {
	Store   Store
	Sources Sources
	Scanner Scanner
	// Composer makes what sinks get; [Documents] when nil.
	Composer Composer
	// Sinks that get every person as soon as it is settled, and those that get the
	// summary at the end, by name.
	PersonSinks, SummarySinks []string
	// Holder names this process to others, such as "host:pid"; it must be unique.
	Holder string

	Limit int // people in hand at most; 10 when zero
	// Grace is how long people in hand may take after a run was told to stop; 30 s
	// when zero.
	Grace time.Duration
	// Beat is how often a run shows that it is alive; 3 s when zero. Another one
	// takes its place after five beats were missed.
	Beat time.Duration
	// ShardSize is how many people a worker takes at once; 64 when zero.
	ShardSize int
	// Carrier brings shards to workers, also on other machines; within this process
	// when nil.
	Carrier Carrier
	// Silence is after how long a worker that shows no sign of life loses its shard;
	// 15 s when zero.
	Silence time.Duration
	// Setup stands for the settings that answers depend on beside the sources, such
	// as the policy: workers take only shards of runs with the same.
	Setup string

	Logger *slog.Logger     // nil discards
	Now    func() time.Time // time.Now when nil
	// Progress, when set, is told how far a run is, one call at a time; it must
	// not block.
	Progress func(Progress)
	// Failure, when set, is told of every failed outcome: of a person once that
	// person is settled for good, and of a listing with an empty address.
	Failure func(ctx context.Context, run, email string, o device.Outcome)
}

// Progress is how far a run is.
type Progress struct {
	Phase                     Phase
	Listed                    int // devices that listings gave so far
	People                    int
	Complete, Partial, Failed int
	Waiting                   int // for the second round
}

// Settled counts the people who are through.
func (p Progress) Settled() int { return p.Complete + p.Partial + p.Failed }

// Request says what to run.
type Request struct {
	// People are the addresses to scan; nil means those whom sources list and who
	// own devices.
	People []string
	// Resume is the id of an interrupted run; People and CollectOnly are then the
	// run's own.
	Resume      string
	CollectOnly bool
	Scheduled   bool
	// Due is when a scheduled run was due. The run is left out, with kind Conflict,
	// when another process has started one since; zero starts it anyway.
	Due time.Time
	// Started, when set, is told of the run before anything is asked.
	Started func(Run)
}

// Engine makes runs. It is safe for concurrent use, but makes one at a time.
type Engine struct {
	o      Options
	shared bool // other processes may work too
}

// New makes an engine.
func New(o Options) *Engine {
	o.Limit = cmp.Or(max(o.Limit, 0), 10)
	o.Grace = cmp.Or(o.Grace, 30*time.Second)
	o.Beat = cmp.Or(o.Beat, 3*time.Second)
	o.ShardSize = cmp.Or(o.ShardSize, 64)
	o.Silence = cmp.Or(o.Silence, 15*time.Second)
	shared := o.Carrier != nil
	if !shared {
		o.Carrier = newInProcess()
	}
	if o.Composer == nil {
		o.Composer = Documents{}
	}
	if o.Logger == nil {
		o.Logger = slog.New(slog.DiscardHandler)
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	return &Engine{o: o, shared: shared}
}

// Run makes a run, or goes on with one, and returns when it is finished. When ctx
// ends, the people in hand are finished, the run stays resumable, and the error
// is the context's. It fails with kind Conflict while another run goes on, and
// with NotFound when the one to resume does not exist. The run returned is as far
// as it got.
func (e *Engine) Run(ctx context.Context, r Request) (Run, error) {
	run, people, err := e.prepare(ctx, r)
	if err != nil {
		return run, err
	}
	held, err := e.hold(ctx, run.ID)
	if err != nil {
		return run, err
	}
	defer held.leave()
	if err := e.stillDue(ctx, r.Due); err != nil {
		return run, err
	}
	if run, err = e.begin(ctx, run, people, r.Resume != "", held.before); err != nil {
		return run, err
	}
	if r.Started != nil {
		r.Started(run)
	}
	if run.Finished() {
		return run, nil
	}
	hands, stop := handsOf(ctx, held.over, e.o.Grace)
	defer stop()
	x := &execution{Options: e.o, shared: e.shared, run: run, stop: ctx, hands: hands, plan: e.plan()}
	err = x.phases()
	if held.lost() {
		err = errors.Join(lostLease(run.ID), err)
	}
	return x.run, err
}

// aheadAtMost is how far another machine's clock may be ahead of ours. What seems
// to have started later tells of a clock that was wrong, not of a run.
const aheadAtMost = 10 * time.Minute

// stillDue fails when a scheduled run was started since one was due.
func (e *Engine) stillDue(ctx context.Context, due time.Time) error {
	if due.IsZero() {
		return nil
	}
	last, err := e.o.Store.LastScheduledRun(ctx)
	if err != nil || last.Before(due) || last.After(e.o.Now().Add(aheadAtMost)) {
		return err
	}
	return &fault.Error{
		Kind: fault.Conflict, Op: "start run", Message: fmt.Sprintf("the run that was due at %s was made by another process", due.Format(time.RFC3339)),
	}
}

// prepare finds the run to go on with, or makes a new one.
func (e *Engine) prepare(ctx context.Context, r Request) (Run, []string, error) {
	if r.Resume != "" {
		run, err := e.o.Store.BatchRun(ctx, r.Resume)
		if fault.IsNotFound(err) {
			return Run{}, nil, &fault.Error{
				Kind: fault.NotFound, Op: "resume run", Subject: r.Resume, Message: "there is no such run", Remedy: "posture batch list shows them",
			}
		}
		run.Resumed = true
		return run, nil, err
	}
	people, err := addresses(r.People)
	if err != nil {
		return Run{}, nil, err
	}
	now := e.o.Now().UTC().Truncate(time.Microsecond) // as stores keep it
	return Run{
		ID: NewID(now), StartedAt: now, Statistics: Statistics{},
		Given: r.People != nil, CollectOnly: r.CollectOnly, Scheduled: r.Scheduled,
	}, people, nil
}

// addresses makes addresses canonical, each once, and refuses what is none.
func addresses(given []string) ([]string, error) {
	seen := make(map[string]bool, len(given))
	out := make([]string, 0, len(given))
	for _, g := range given {
		email, ok := canonical(g)
		if !ok {
			return nil, fault.InvalidField("EMAIL", g, "is not an e-mail address", "write one address per line, such as ada@example.com")
		}
		if !seen[email] {
			seen[email] = true
			out = append(out, email)
		}
	}
	return out, nil
}

// peopleAtOnce bounds how many people are read or written at once.
const peopleAtOnce = 1000

// begin writes a new run down, or looks again at one to resume: it may have ended
// while its lease was waited for. The shards of whoever had the lease before are
// free then, and those that were free are so anew, as their offers may be lost.
func (e *Engine) begin(ctx context.Context, run Run, people []string, resumed bool, before string) (Run, error) {
	run.Plan = e.planID()
	if resumed {
		found, err := e.o.Store.BatchRun(ctx, run.ID)
		if err != nil || found.Finished() {
			return found, err
		}
		found.Resumed, found.Plan = true, run.Plan
		for _, gone := range []string{"", before, e.o.Holder} {
			if err := e.o.Store.FreeShards(ctx, run.ID, gone); err != nil {
				return found, err
			}
		}
		return found, e.o.Store.AdvanceBatchRun(ctx, found, nil)
	}
	return run, e.o.Store.CreateBatchRun(ctx, run, people)
}

// execution is one run under way in this process.
type execution struct {
	Options
	shared bool // with workers of other processes
	run    Run
	// stop ends when nothing new shall be begun, hands when what is in hand shall
	// end too.
	stop, hands context.Context //nolint:containedctx // they bound the execution's own life

	plan     []Source
	mu       sync.Mutex // guards what follows, and the calls of Progress
	index    *index
	listings map[string]Listing
	progress Progress
}

// phases goes through all phases that are left.
func (x *execution) phases() error {
	if err := x.load(); err != nil {
		return err
	}
	for !x.run.Finished() {
		if err := x.stop.Err(); err != nil {
			return err
		}
		x.tell(func(p *Progress) { p.Phase = x.run.Phase })
		var err error
		switch x.run.Phase {
		case Reading:
			err = x.read()
		case Scanning:
			err = x.scan()
		case Retrying:
			err = x.retry()
		default:
			err = x.send()
		}
		if err != nil {
			return err
		}
	}
	return nil
}

// load reads how far the run is.
func (x *execution) load() error {
	if err := x.loadListings(); err != nil {
		return err
	}
	return x.count()
}

// loadListings reads how the run's listings fared.
func (x *execution) loadListings() error {
	listings, err := patiently(x.stop, x, func() ([]Listing, error) { return x.Store.Listings(x.stop, x.run.ID) })
	if err != nil {
		return err
	}
	x.listings = map[string]Listing{}
	for _, l := range listings {
		if o := l.Failure; o != nil && o.Failure == nil {
			o.Failure = failureOf(*o)
		}
		x.listings[l.Source] = l
	}
	return nil
}

// failureOf gives an outcome that was read back its error again.
func failureOf(o device.Outcome) error {
	e := &fault.Error{Remedy: o.Remedy, Message: "it failed"}
	if o.Error != nil {
		e.Message = *o.Error
	}
	for _, kind := range fault.Kinds() {
		if kind.String() == o.Kind {
			e.Kind = kind
		}
	}
	return e
}

// count counts the people and how far they are.
func (x *execution) count() error {
	sum := Run{Statistics: Statistics{}}
	waiting, pending := 0, 0
	err := x.eachPerson(func(p Person) {
		sum.take(p)
		switch p.State {
		case Waiting:
			waiting++
		case Pending:
			pending++
		case Done, Partial, Failed:
		}
	})
	if err != nil {
		return err
	}
	x.run.People, x.run.Devices, x.run.Statistics = sum.People, sum.Devices, sum.Statistics
	x.run.Complete, x.run.Partial, x.run.Failed = sum.Complete, sum.Partial, sum.Failed
	x.tell(func(p *Progress) {
		p.People, p.Complete, p.Partial, p.Failed, p.Waiting = sum.People, sum.Complete, sum.Partial-waiting, sum.Failed, waiting
	})
	return nil
}

// eachPerson goes through all people of the run, a page at a time.
func (x *execution) eachPerson(visit func(Person)) error {
	for after := ""; ; {
		people, err := patiently(x.hands, x, func() ([]Person, error) {
			return x.Store.People(x.hands, x.run.ID, after, peopleAtOnce)
		})
		if err != nil {
			return err
		}
		for _, p := range people {
			visit(p)
		}
		if len(people) < peopleAtOnce {
			return nil
		}
		after = people[len(people)-1].Email
	}
}

// tell changes the progress and tells it.
func (x *execution) tell(change func(*Progress)) {
	x.mu.Lock()
	defer x.mu.Unlock()
	change(&x.progress)
	if x.Progress != nil {
		x.Progress(x.progress)
	}
}

// advance writes that the run has reached a phase.
func (x *execution) advance(to Phase, shards []Shard) error {
	x.run.Phase = to
	return x.patient(x.hands, func() error { return x.Store.AdvanceBatchRun(x.hands, x.run, shards) })
}

// tellFailure tells of a failed outcome.
func (x *execution) tellFailure(email string, o device.Outcome) {
	if !o.OK && x.Failure != nil {
		x.Failure(x.hands, x.run.ID, email, o)
	}
}
