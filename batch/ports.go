package batch

import (
	"context"
	"time"

	"github.com/postureproject/posture/device"
)

// Source is one configured source and what it offers to a run.
type Source struct {
	Name string
	// Ownership sources tell which serials and MACs belong to a person.
	Ownership bool
	// ListsDevices and ListsUsers say whether it can list everything.
	ListsDevices, ListsUsers bool
	// ByEmail, BySerial and ByMAC say by what it finds the devices of one person.
	// A listed record belongs to a person by the same keys.
	ByEmail, BySerial, ByMAC bool
}

// Sources are what a run reads in bulk.
type Sources interface {
	// Sources gives all configured sources.
	Sources() []Source
	// ListDevices hands every device of a source to receive, some at a time, as
	// the source gave them, and stops when receive fails. What came before an
	// error stands.
	ListDevices(ctx context.Context, source string, receive func([]device.Device) error) error
	// ListUsers hands every person whom a source knows to receive.
	ListUsers(ctx context.Context, source string, receive func([]device.User) error) error
	// Transform passes devices through the device stages. A stage that fails is
	// left out, and told of among the outcomes.
	Transform(ctx context.Context, devices []device.Device) ([]device.Device, []device.Outcome)
	// Keys gives what a device can be looked up by: its serial number and usable
	// MACs, without what the configuration calls a placeholder.
	Keys(d device.Device) (serial string, macs []device.MAC)
}

// Scanner is the pipeline for one person, in two halves.
type Scanner interface {
	// Collect asks about a person all that skip, called with a plugin and an
	// outcome's namespace, does not exclude. owned are the devices that listed
	// ownership sources say are the person's, to be looked up by serial and MAC
	// beside those that Collect itself hears of. Records come after the
	// transforms; every question makes an outcome.
	Collect(ctx context.Context, email string, owned []device.Device, skip func(plugin, namespace string) bool) ([]device.Collection, []device.Outcome)
	// Assemble judges and merges what was collected. Its answer lists the outcomes.
	Assemble(ctx context.Context, email string, collections []device.Collection, outcomes []device.Outcome) device.Posture
}

// The namespaces of outcomes that a run itself reports.
const (
	namespaceOwnership = "sources.predevices"
	namespaceDevices   = "sources.devices"
	namespaceUsers     = "sources.users"
)

func (s Source) namespace() string {
	if s.Ownership {
		return namespaceOwnership
	}
	return namespaceDevices
}

// Store keeps runs. Every method is one transaction.
type Store interface {
	RunStore
	ListingStore
	PeopleStore
	Queue
	Leases
}

// RunStore keeps the runs themselves.
type RunStore interface {
	// CreateBatchRun writes a new run down, with the people given for it.
	CreateBatchRun(ctx context.Context, r Run, people []string) error
	// BatchRun gives a run; kind NotFound when there is none of that id.
	BatchRun(ctx context.Context, id string) (Run, error)
	// BatchRuns gives n runs with ids before one, newest first; before "" starts
	// with the newest.
	BatchRuns(ctx context.Context, before string, n int) ([]Run, error)
	// LastScheduledRun gives when the latest scheduled run started, zero when there
	// is none.
	LastScheduledRun(ctx context.Context) (time.Time, error)
	// AdvanceBatchRun writes a run that has reached a further phase, with the
	// shards of that phase. It does nothing when the run is that far already.
	AdvanceBatchRun(ctx context.Context, r Run, shards []Shard) error
	// FinishBatchRun writes a finished run, and the day's aggregate, and forgets
	// its people, its shards and what was staged. A run that is finished stays as
	// it is.
	FinishBatchRun(ctx context.Context, r Run) error
}

// ListingStore stages what listings say.
type ListingStore interface {
	// Listings gives how far each listing of a run is.
	Listings(ctx context.Context, run string) ([]Listing, error)
	// SaveListing writes the state of one.
	SaveListing(ctx context.Context, run string, l Listing) error
	// Stage keeps one page of a listing, and the people whom it made known.
	Stage(ctx context.Context, run string, pieces []Piece, people []string) error
	// Staged gives the pieces of some sources about some people, in order of
	// person, source and part.
	Staged(ctx context.Context, run string, sources, people []string) ([]Piece, error)
	// StagedBy gives n pieces of one source after one, in order of person and part.
	StagedBy(ctx context.Context, run, source string, after Piece, n int) ([]Piece, error)
}

// PeopleStore keeps how far each person is, and the answers.
type PeopleStore interface {
	// AddPeople adds people to a run, those new to it as pending.
	AddPeople(ctx context.Context, run string, people []string) error
	// EarlierPeople gives n people with addresses after one of whom there is an
	// answer, in their order.
	EarlierPeople(ctx context.Context, after string, n int) ([]string, error)
	// People gives n people of a run with addresses after one, in their order.
	People(ctx context.Context, run, after string, n int) ([]Person, error)
	// PeopleByState counts the people of a run.
	PeopleByState(ctx context.Context, run string) (map[State]int, error)
	// PeopleBetween gives the people of a run in a state from one address to
	// another, both included, with what was gathered about them.
	PeopleBetween(ctx context.Context, run string, state State, first, last string) ([]Person, error)
	// FinishPeople settles people, all in one transaction: it keeps each answer,
	// puts the deliveries in the outbox and moves the person from its former state
	// to its new one. Whoever is not in the former state any more was settled by
	// another worker, and is left alone. It tells who was settled here.
	FinishPeople(ctx context.Context, run string, finished []Finished) ([]bool, error)
	// KnownCollections gives what each source last said about a person.
	KnownCollections(ctx context.Context, email string) ([]device.Collection, error)
	// KnownOwned gives what one source last said about n people with addresses
	// after one, in their order.
	KnownOwned(ctx context.Context, plugin, after string, n int) ([]Known, error)
	// LastDevices gives the devices of people's last answers.
	LastDevices(ctx context.Context, emails []string) (map[string][]device.Device, error)
	// SendSummary puts deliveries in the outbox and writes how far the sending is,
	// in one transaction. It does nothing when the run was that far already.
	SendSummary(ctx context.Context, run string, from, to string, sinks []string, deliveries []device.Delivery) error
}

// Queue keeps who settles which shard. It has no clock: a worker beats, and whoever
// leads the run watches it by his own clock.
type Queue interface {
	// OpenShards gives the shards of a round that are not done: at most n of those
	// that nobody has, all that somebody has, and how many there are in all.
	OpenShards(ctx context.Context, run string, round, n int) (free, taken []Shard, left int, err error)
	// TakeShard gives a shard that was seen free to a worker, and tells whose it is;
	// false when another was faster.
	TakeShard(ctx context.Context, s Shard, worker string) (Shard, bool, error)
	// BeatShard shows that a shard's worker is alive; false when the shard is not
	// his any more.
	BeatShard(ctx context.Context, s Shard, worker string) (bool, error)
	// FreeShard takes a shard from its worker, provided that he has not beaten since
	// it was seen; a shard that was seen free stays so.
	FreeShard(ctx context.Context, seen Shard) (bool, error)
	// FreeShards takes all shards of a run from a worker.
	FreeShards(ctx context.Context, run, worker string) error
	// ShardDone notes that everybody in a shard is settled.
	ShardDone(ctx context.Context, s Shard) error
}

// Carrier brings free shards to workers, of this process or on other machines. It
// may lose or double what it carries: what counts is in the [Queue], and what stays
// free there is offered again.
type Carrier interface {
	// Offer makes shards known to the workers of a plan. Of the people in them
	// nothing need arrive: who takes a shard learns who they are.
	Offer(ctx context.Context, plan string, shards []Shard) error
	// Work calls do with shards that were offered for a plan, at most n at once,
	// until ctx ends, and returns when no call is left.
	Work(ctx context.Context, plan string, n int, do func(Shard)) error
}

// Leases let one run at a time go on, whoever starts it. A lease has no time of
// its own: its holder beats, and whoever wants it watches it by his own clock.
type Leases interface {
	// BatchLease gives the lease as it is.
	BatchLease(ctx context.Context) (Lease, error)
	// TakeBatchLease takes it from the state that was seen; false when it has
	// changed since.
	TakeBatchLease(ctx context.Context, seen, mine Lease) (bool, error)
	// BeatBatchLease shows that its holder is alive; false when it is another's.
	BeatBatchLease(ctx context.Context, holder string) (bool, error)
	// LeaveBatchLease gives it back.
	LeaveBatchLease(ctx context.Context, holder string) error
}

// Lease says who runs what. Holder is empty when nobody does.
type Lease struct {
	Holder string
	Run    string
	Beat   int64
}

// Listing is how far the listing of one source is. A list of users is one of its
// own, of the source "NAME/users".
type Listing struct {
	Source string `json:"source"`
	// Attempt is the one whose pieces count, 0 before the first.
	Attempt int `json:"attempt"`
	// Tried is the last attempt begun: what a broken one has staged never mixes
	// with what the next one stages.
	Tried int `json:"tried"`
	// Round is the round for which it was read or has failed, 0 before the first.
	Round   int `json:"round"`
	Devices int `json:"devices"`
	Users   int `json:"users,omitempty"`
	// Nobodys counts records that belong to nobody of the run.
	Nobodys int `json:"nobodys"`
	// Failure tells why it could not be read, or not to its end; nil otherwise.
	Failure *device.Outcome `json:"failure,omitempty"`
	At      time.Time       `json:"at,omitzero"` // when it was read
}

// Piece is what one page of a listing says about one person.
type Piece struct {
	Person, Source string
	Part           int64 // the attempt and the page, in order of arrival
	Devices        []device.Device
}

const partsOfAttempt = 1 << 32

func (p Piece) attempt() int { return int(p.Part / partsOfAttempt) }

// Known is what a source last said about a person.
type Known struct {
	Email      string
	Collection device.Collection
}

// Shard is a page of people that one worker settles.
type Shard struct {
	Run         string
	Round       int // 1 everybody, 2 those who were partial, from 3 on those who became known later
	Number      int
	First, Last string // addresses, both included

	Worker string // who has it, "" when nobody does
	Beat   int64  // changes whenever it is taken, given back, or its worker shows a sign of life
}

// Gathered is all that sources said about a person, before it is assembled.
type Gathered struct {
	Collections []device.Collection `json:"collections"`
	Outcomes    []device.Outcome    `json:"outcomes"`
}

// Finished is a person about to be settled.
type Finished struct {
	Email       string
	From, To    State
	Posture     device.Posture
	Collections []device.Collection
	Devices     int
	Statistics  Statistics
	// Gathered is kept for the second round by whoever has one ahead.
	Gathered   *Gathered
	Sinks      []string
	Deliveries []device.Delivery
}

// Person is how far one person of a run is.
type Person struct {
	Email      string
	State      State
	Devices    int
	Statistics Statistics
	Gathered   *Gathered
}

// Composer makes the documents that sinks get; [Documents] is the usual one.
type Composer interface {
	// Person gives one document for each device of an answer.
	Person(run Run, p device.Posture) ([]device.Delivery, error)
	// Summary gives one part of the summary: those of some people's devices that
	// synced lately.
	Summary(run Run, part Part, devices []device.Device) ([]device.Delivery, error)
}

// Part is one of several, counted from 1.
type Part struct{ Number, Of int }
