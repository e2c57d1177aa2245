package batch

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
)

// listed gives the sources whose listings the run reads: those of ownership, or
// the others.
func (x *execution) listed(ownership bool) []Source {
	var out []Source
	for _, s := range x.plan {
		if s.ListsDevices && s.Ownership == ownership {
			out = append(out, s)
		}
	}
	return out
}

// read is the first phase: it learns who the people are and stages what listings
// say about them.
func (x *execution) read() error {
	if err := x.readListings(1); err != nil {
		return err
	}
	if err := x.count(); err != nil {
		return err
	}
	if x.run.People == 0 && !x.run.Given && x.broken() {
		if err := x.addEarlier(); err != nil {
			return err
		}
		if err := x.count(); err != nil {
			return err
		}
	}
	if x.run.People == 0 {
		return x.nobody()
	}
	shards, err := x.shards(1, Pending)
	if err != nil {
		return err
	}
	return x.advance(Scanning, shards)
}

// nobody ends a run that has found no people: well, if that is what all sources
// say, else with one's failure. Who goes on with it reads what failed anew.
func (x *execution) nobody() error {
	var failed *device.Outcome
	for _, l := range x.listings {
		if l.Failure == nil {
			continue
		}
		failed, l.Round = l.Failure, 0
		if err := x.saveListing(l); err != nil {
			return err
		}
	}
	if failed == nil {
		return x.advance(Sending, nil)
	}
	return &fault.Error{
		Kind: fault.Unavailable, Op: "find people", Message: "nobody is known, and " + *failed.Error, Remedy: failed.Remedy,
	}
}

// readListings reads, for a round, all listings that have not been read for it or
// for an earlier one: those of ownership sources, and of users, first.
func (x *execution) readListings(round int) error {
	users, owners := x.dueUsers(round), x.due(x.listed(true), round)
	if len(users)+len(owners)+len(x.dueOthers(round)) == 0 {
		return nil
	}
	if err := x.knowPeople(); err != nil {
		return err
	}
	defer func() { x.index = nil }() // it is large, and nobody else needs it
	reads := x.reads(owners, round)
	for _, s := range users {
		reads = append(reads, func() error { return x.readUsers(s, round) })
	}
	if err := x.side(reads); err != nil {
		return err
	}
	others := x.dueOthers(round)
	if slices.ContainsFunc(owners, func(s Source) bool { return x.listings[s.Name].Failure == nil }) {
		others = x.listed(false)
	}
	if len(others) == 0 {
		return nil
	}
	if err := x.buildIndex(); err != nil {
		return err
	}
	return x.side(x.reads(others, round))
}

// reads gives what reads the devices of sources.
func (x *execution) reads(sources []Source, round int) (reads []func() error) {
	for _, s := range sources {
		reads = append(reads, func() error { return x.readListing(s, round) })
	}
	return reads
}

// due gives the sources whose listing is still to be read for a round.
func (x *execution) due(sources []Source, round int) []Source {
	return slices.DeleteFunc(sources, func(s Source) bool {
		l := x.listings[s.Name]
		return l.Round >= round || l.Round > 0 && l.Failure == nil
	})
}

// dueOthers gives the sources, other than those of ownership, whose listing is still
// to be read for a round: also those that were read before an ownership source was
// read well, as an owner heard of anew may own what they list.
func (x *execution) dueOthers(round int) []Source {
	owned := 0
	for _, s := range x.listed(true) {
		if l := x.listings[s.Name]; l.Failure == nil {
			owned = max(owned, l.Round)
		}
	}
	return slices.DeleteFunc(x.listed(false), func(s Source) bool {
		l := x.listings[s.Name]
		return l.Round >= round || l.Round > 0 && l.Failure == nil && l.Round >= owned
	})
}

// side does several things side by side.
func (x *execution) side(things []func() error) error {
	var group sync.WaitGroup
	errs := make([]error, len(things))
	for i, do := range things {
		group.Go(func() { errs[i] = do() })
	}
	group.Wait()
	if err := x.stop.Err(); err != nil {
		return err
	}
	return errors.Join(errs...)
}

// knowPeople begins the index with the people of the run so far.
func (x *execution) knowPeople() error {
	x.index = newIndex(x.run.Given)
	return x.eachPerson(func(p Person) { x.index.enter(p.Email) })
}

// usersOf names the listing of a source's users.
func usersOf(source string) string { return source + "/users" }

// dueUsers gives the sources whose list of users is still to be read for a round.
func (x *execution) dueUsers(round int) []Source {
	if x.run.Given {
		return nil
	}
	var listing []Source
	for _, s := range x.plan {
		if l := x.listings[usersOf(s.Name)]; s.ListsUsers && l.Round < round && (l.Round == 0 || l.Failure != nil) {
			listing = append(listing, s)
		}
	}
	return listing
}

// readUsers adds the people whom a source lists. Those of a list that fails may
// still be known as owners.
func (x *execution) readUsers(s Source, round int) error {
	l := Listing{Source: usersOf(s.Name), Round: round, At: x.Now().UTC()}
	started := time.Now()
	var (
		fresh    []string
		storeErr error
	)
	flush := func() error {
		storeErr = x.patient(x.stop, func() error { return x.Store.AddPeople(x.stop, x.run.ID, fresh) })
		fresh = fresh[:0]
		return storeErr
	}
	err := x.Sources.ListUsers(x.stop, s.Name, func(users []device.User) error {
		x.mu.Lock()
		for _, u := range users {
			if email, ok := canonical(u.Email); !ok {
				l.Nobodys++
			} else if x.index.enter(email) {
				fresh = append(fresh, email)
			}
		}
		x.mu.Unlock()
		l.Users += len(users)
		if len(fresh) < peopleAtOnce {
			return nil
		}
		return flush()
	})
	if storeErr == nil {
		_ = flush()
	}
	if storeErr != nil {
		return storeErr
	}
	if err := x.stop.Err(); err != nil {
		return err
	}
	x.fared(&l, outcomeOf(s.Name, namespaceUsers, l.Users, time.Since(started), err))
	return x.saveListing(l)
}

// broken reports whether a list of users could not be read. That of devices fails
// each person instead.
func (x *execution) broken() bool {
	for _, s := range x.plan {
		if s.ListsUsers && x.listings[usersOf(s.Name)].Failure != nil {
			return true
		}
	}
	return false
}

// addEarlier adds everybody of whom there is an earlier answer, in the place of
// those whom a list of users that cannot be read would name.
func (x *execution) addEarlier() error {
	for after := ""; ; {
		people, err := patiently(x.stop, x, func() ([]string, error) { return x.Store.EarlierPeople(x.stop, after, peopleAtOnce) })
		if err != nil {
			return err
		}
		if err := x.patient(x.stop, func() error { return x.Store.AddPeople(x.stop, x.run.ID, people) }); err != nil {
			return err
		}
		if len(people) < peopleAtOnce {
			return nil
		}
		after = people[len(people)-1]
	}
}

// fared notes how a listing fared, and tells of its failure.
func (x *execution) fared(l *Listing, o device.Outcome) {
	l.Failure = nil
	if o.OK {
		return
	}
	l.Failure = &o
	x.Logger.WarnContext(x.stop, "a listing failed", "source", o.Plugin, "of", o.Namespace, "records", o.Count, "error", *o.Error)
	x.tellFailure("", o)
}

// buildIndex enters what ownership sources say, from what was staged of them, so
// that it is the same however often the run was resumed. For one that could not
// be read, what it last said stands in.
func (x *execution) buildIndex() error {
	for _, s := range x.listed(true) {
		l := x.listings[s.Name]
		err := x.eachStaged(s.Name, l.Attempt, func(p Piece) { x.own(p.Person, p.Devices) })
		if err == nil && l.Failure != nil {
			err = x.eachKnown(s.Name, func(k Known) { x.own(k.Email, k.Collection.Devices) })
		}
		if err != nil {
			return err
		}
	}
	x.index.freeze()
	return nil
}

func (x *execution) own(email string, devices []device.Device) {
	for _, d := range devices {
		serial, macs := x.Sources.Keys(d)
		x.index.own(email, serial, macs)
	}
}

func (x *execution) eachStaged(source string, attempt int, visit func(Piece)) error {
	for after := (Piece{}); ; {
		pieces, err := patiently(x.stop, x, func() ([]Piece, error) {
			return x.Store.StagedBy(x.stop, x.run.ID, source, after, peopleAtOnce)
		})
		if err != nil {
			return err
		}
		for _, p := range pieces {
			if p.attempt() == attempt {
				visit(p)
			}
		}
		if len(pieces) < peopleAtOnce {
			return nil
		}
		after = pieces[len(pieces)-1]
	}
}

func (x *execution) eachKnown(plugin string, visit func(Known)) error {
	for after := ""; ; {
		known, err := patiently(x.stop, x, func() ([]Known, error) { return x.Store.KnownOwned(x.stop, plugin, after, peopleAtOnce) })
		if err != nil {
			return err
		}
		for _, k := range known {
			visit(k)
		}
		if len(known) < peopleAtOnce {
			return nil
		}
		after = known[len(known)-1].Email
	}
}

// readListing reads one source's devices and stages them.
func (x *execution) readListing(s Source, round int) error {
	x.mu.Lock()
	l := x.listings[s.Name]
	x.mu.Unlock()
	l.Source = s.Name
	l.Tried++
	if err := x.saveListing(l); err != nil {
		return err
	}
	started := time.Now()
	p := &pages{x: x, source: s, attempt: l.Tried}
	err := x.Sources.ListDevices(x.stop, s.Name, p.receive)
	if p.broken == nil {
		p.broken = p.flush() // also of a listing that broke off: what came stands
	}
	if p.broken != nil {
		return p.broken
	}
	if err := x.stop.Err(); err != nil {
		return err
	}
	o := outcomeOf(s.Name, s.namespace(), p.devices, time.Since(started), err)
	if err == nil || l.Attempt == 0 {
		l.Attempt, l.Devices, l.Nobodys, l.At = l.Tried, p.devices, p.nobodys, x.Now().UTC()
	}
	l.Round = round
	x.fared(&l, o)
	return x.saveListing(l)
}

func (x *execution) saveListing(l Listing) error {
	x.mu.Lock()
	x.listings[l.Source] = l
	x.mu.Unlock()
	return x.patient(x.stop, func() error { return x.Store.SaveListing(x.stop, x.run.ID, l) })
}

// pages takes in the pages of one listing.
type pages struct {
	x       *execution
	source  Source
	attempt int

	devices, nobodys int
	page             int64
	pieces           map[string][]device.Device // of this page, by person
	held             int                        // records in pieces
	fresh            []string                   // people new to the run
	scratch          []uint32
	broken           error // of the store
}

// stageAtOnce is how many records are kept in memory before they are written.
const stageAtOnce = 256

func (p *pages) receive(devices []device.Device) error {
	p.devices += len(devices)
	if p.source.Ownership {
		// What the stages drop is not looked up elsewhere. A failed stage is told of
		// when a person is settled.
		devices, _ = p.x.Sources.Transform(p.x.stop, devices)
	}
	p.x.mu.Lock()
	for _, d := range devices {
		p.sort(d)
	}
	p.x.mu.Unlock()
	p.x.tell(func(progress *Progress) { progress.Listed += len(devices) })
	if p.held < stageAtOnce {
		return nil
	}
	p.broken = p.flush()
	return p.broken
}

// sort gives a record to everybody whose it may be.
func (p *pages) sort(d device.Device) {
	ix := p.x.index
	email, ok := canonical(d.Email)
	if !ok {
		email = ""
	} else if !ix.given && ix.enter(email) {
		p.fresh = append(p.fresh, email)
	}
	serial, macs := p.x.Sources.Keys(d)
	p.scratch = ix.whose(p.source, email, serial, macs, p.scratch)
	if len(p.scratch) == 0 {
		p.nobodys++
		return
	}
	if p.pieces == nil {
		p.pieces = map[string][]device.Device{}
	}
	for _, person := range p.scratch {
		email := ix.people[person]
		p.pieces[email] = append(p.pieces[email], d)
		p.held++
	}
}

// flush stages what is held.
func (p *pages) flush() error {
	if len(p.pieces)+len(p.fresh) == 0 {
		return nil
	}
	pieces := make([]Piece, 0, len(p.pieces))
	part := int64(p.attempt)*partsOfAttempt + p.page
	for person, devices := range p.pieces {
		pieces = append(pieces, Piece{Person: person, Source: p.source.Name, Part: part, Devices: devices})
	}
	slices.SortFunc(pieces, func(a, b Piece) int { return cmp.Compare(a.Person, b.Person) })
	err := p.x.patient(p.x.stop, func() error { return p.x.Store.Stage(p.x.stop, p.x.run.ID, pieces, p.fresh) })
	p.page++
	p.pieces, p.fresh, p.held = nil, nil, 0
	return err
}

// outcomeOf tells how one question fared.
func outcomeOf(plugin, namespace string, count int, took time.Duration, err error) device.Outcome {
	o := device.Outcome{Plugin: plugin, Namespace: namespace, OK: err == nil, DurationMS: took.Milliseconds(), Count: count, Failure: err}
	if err != nil {
		text := err.Error()
		o.Error, o.Kind, o.Remedy = &text, fault.KindOf(err).String(), fault.RemedyOf(err)
	}
	return o
}

// ofSource reports whether an outcome is a source's and not a stage's.
func ofSource(o device.Outcome) bool { return strings.HasPrefix(o.Namespace, "sources") }

// ended reports whether a context has ended.
func ended(ctx context.Context) bool { return ctx.Err() != nil }
