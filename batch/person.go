package batch

import (
	"context"
	"slices"

	"github.com/postureproject/posture/device"
)

// gathering is what is known about one person on the way to an answer.
type gathering struct {
	x      *execution
	last   bool // no second look lies ahead
	person Person
	staged []Piece

	owned       []device.Device
	collections []device.Collection
	outcomes    []device.Outcome
	asked       *Gathered // what asking gave, to be kept for a second round
}

// settle finds out everything about one person; false when it was told to stop
// before all was known.
func (g *gathering) settle(ctx context.Context) (Finished, bool, error) {
	x := g.x
	keep := newKeeping(x.Sources.Keys)
	if x.listingFailed() {
		if err := g.remember(ctx, keep); err != nil {
			return Finished{}, false, err
		}
	}
	g.fromListings(ctx, keep)
	g.ask(ctx)
	if ended(ctx) {
		return Finished{}, false, nil // a failure may be ours, not the source's
	}
	if slices.ContainsFunc(g.outcomes, func(o device.Outcome) bool { return !o.OK && ofSource(o) }) {
		if err := g.remember(ctx, keep); err != nil {
			return Finished{}, false, err
		}
	}
	g.collections = keep.fill(g.collections, g.outcomes)
	posture := x.Scanner.Assemble(ctx, g.person.Email, g.collections, g.outcomes)
	if ended(ctx) {
		return Finished{}, false, nil
	}
	var err error
	f := Finished{
		Email: g.person.Email, From: g.person.State, To: g.state(), Posture: posture, Collections: answered(g.collections, g.outcomes),
		Devices: len(posture.Devices), Statistics: Count(posture.Devices),
	}
	if f.To == Waiting {
		f.Gathered = g.asked
	} else if !x.run.CollectOnly && len(x.PersonSinks) > 0 {
		f.Sinks = x.PersonSinks
		f.Deliveries, err = x.Composer.Person(x.run, posture)
	}
	return f, true, err
}

// remember reads what sources said about the person last, unless that was done.
// It is needed only where one of them fails now.
func (g *gathering) remember(ctx context.Context, keep *keeping) error {
	if keep.known != nil {
		return nil
	}
	known, err := patiently(ctx, g.x, func() ([]device.Collection, error) { return g.x.Store.KnownCollections(ctx, g.person.Email) })
	keep.learn(known)
	return err
}

// listingFailed reports whether any listing did.
func (x *execution) listingFailed() bool {
	for _, l := range x.listings {
		if l.Failure != nil {
			return true
		}
	}
	return false
}

// state gives the state that the outcomes deserve.
func (g *gathering) state() State {
	answered, failed := 0, 0
	for _, o := range g.outcomes {
		switch {
		case !o.OK:
			failed++
		case ofSource(o):
			answered++
		}
	}
	switch {
	case failed == 0:
		return Done
	case !g.last:
		return Waiting
	case answered == 0:
		return Failed
	default:
		return Partial
	}
}

// fromListings takes what listings said about the person.
func (g *gathering) fromListings(ctx context.Context, keep *keeping) {
	staged := map[string][]device.Device{}
	for _, p := range g.staged {
		if p.attempt() == g.x.listings[p.Source].Attempt {
			staged[p.Source] = append(staged[p.Source], p.Devices...)
		}
	}
	for _, s := range g.x.listed(true) {
		devices := resolve(s, g.person.Email, nil, staged[s.Name], g.x.Sources.Keys)
		g.listing(s, devices)
		g.owned = append(g.owned, devices...)
		if g.x.listings[s.Name].Failure != nil {
			g.owned = append(g.owned, keep.missing(devices, keep.known[s.Name].Devices)...)
		}
	}
	var others []device.Device
	for _, s := range g.x.listed(false) {
		devices := resolve(s, g.person.Email, g.owned, staged[s.Name], g.x.Sources.Keys)
		g.listing(s, nil)
		g.outcomes[len(g.outcomes)-1].Count = len(devices)
		for _, d := range devices {
			d.Source = s.Name
			others = append(others, d)
		}
	}
	if len(others) == 0 {
		return
	}
	others, stages := g.x.Sources.Transform(ctx, others)
	g.outcomes = append(g.outcomes, stages...)
	for _, d := range others {
		c := g.collection(d.Source)
		c.Devices = append(c.Devices, d)
	}
}

// listing notes what a listing said about the person, and how it fared.
func (g *gathering) listing(s Source, devices []device.Device) {
	l := g.x.listings[s.Name]
	g.collections = append(g.collections, device.Collection{Plugin: s.Name, FetchedAt: l.At, Devices: devices})
	o := outcomeOf(s.Name, s.namespace(), len(devices), 0, nil)
	if l.Failure != nil {
		o = *l.Failure
		o.Count = len(devices)
	}
	g.outcomes = append(g.outcomes, o)
}

// collection gives the collection of a plugin.
func (g *gathering) collection(plugin string) *device.Collection {
	at := slices.IndexFunc(g.collections, func(c device.Collection) bool { return c.Plugin == plugin })
	if at < 0 {
		g.collections = append(g.collections, device.Collection{Plugin: plugin, FetchedAt: g.x.Now().UTC()})
		at = len(g.collections) - 1
	}
	return &g.collections[at]
}

// ask asks about the person what no listing says, in the second round only what
// failed in the first.
func (g *gathering) ask(ctx context.Context) {
	before := g.person.Gathered
	if before == nil {
		before = &Gathered{}
	}
	had := func(plugin, namespace string) bool {
		return slices.ContainsFunc(before.Outcomes, func(o device.Outcome) bool {
			return o.OK && o.Plugin == plugin && o.Namespace == namespace
		})
	}
	skip := func(plugin, namespace string) bool {
		if namespace == namespaceDevices || namespace == namespaceOwnership {
			if slices.ContainsFunc(g.x.plan, func(s Source) bool { return s.Name == plugin && s.ListsDevices }) {
				return true
			}
		}
		return had(plugin, namespace)
	}
	collections, outcomes := g.x.Scanner.Collect(ctx, g.person.Email, g.owned, skip)
	all := Gathered{Collections: slices.Clone(collections), Outcomes: slices.Clone(outcomes)}
	for _, o := range before.Outcomes {
		if o.OK && !slices.ContainsFunc(outcomes, func(now device.Outcome) bool { return now.Plugin == o.Plugin && now.Namespace == o.Namespace }) {
			all.Outcomes = append(all.Outcomes, o)
		}
	}
	for _, c := range before.Collections {
		all.Collections = append(all.Collections, only(c, had))
	}
	g.asked = &all
	for _, c := range all.Collections {
		g.add(c)
	}
	g.outcomes = append(g.outcomes, all.Outcomes...)
}

// only gives of an earlier collection what was answered well then.
func only(c device.Collection, had func(plugin, namespace string) bool) device.Collection {
	if !had(c.Plugin, namespaceDevices) && !had(c.Plugin, namespaceOwnership) {
		c.Devices = nil
	}
	if !had(c.Plugin, "sources.events") {
		c.Events = nil
	}
	if !had(c.Plugin, "sources.accounts") {
		c.Accounts = nil
	}
	if !had(c.Plugin, "sources.notifications") {
		c.Notifications = nil
	}
	return c
}

// add puts a collection beside what the same plugin said otherwise.
func (g *gathering) add(c device.Collection) {
	have := g.collection(c.Plugin)
	if !c.FetchedAt.IsZero() {
		have.FetchedAt = older(have.FetchedAt, c.FetchedAt)
	}
	have.Devices = append(have.Devices, c.Devices...)
	have.Events = append(have.Events, c.Events...)
	have.Accounts = append(have.Accounts, c.Accounts...)
	have.Notifications = append(have.Notifications, c.Notifications...)
}
