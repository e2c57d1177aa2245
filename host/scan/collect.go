package scan

import (
	"cmp"
	"context"
	"slices"
	"strings"
	"time"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/practices"
)

// Collect asks everybody about a person and gives what each source said, after
// the transforms and before judging and merging, and how each fared.
func (p *Pipeline) Collect(ctx context.Context, r Request) ([]device.Collection, []device.Outcome) {
	ctx, cancel := p.limit(ctx)
	defer cancel()
	g := &gathering{pipeline: p, request: r}
	g.run(ctx, p.chosen(r.Only), r.Parts.orAll())
	devices := append(slices.Clip(g.owned), g.transform(ctx, slices.Concat(g.devices...))...)
	events := g.transformEvents(ctx, slices.Concat(g.events...))
	g.tellStages()
	p.sortOutcomes(g.outcomes)
	c := collector{at: p.now().UTC()}
	for _, o := range g.outcomes {
		if o.OK && strings.HasPrefix(o.Namespace, NamespaceSources) {
			c.of(o.Plugin) // which has answered, if only that there is nothing
		}
	}
	for _, d := range devices {
		in := c.of(d.Source)
		in.Devices = append(in.Devices, d)
	}
	for _, e := range events {
		in := c.of(e.Source)
		in.Events = append(in.Events, e)
	}
	for _, a := range slices.Concat(g.accounts...) {
		in := c.of(a.Source)
		in.Accounts = append(in.Accounts, a)
	}
	for _, n := range slices.Concat(g.notifications...) {
		in := c.of(n.Plugin)
		in.Notifications = append(in.Notifications, n)
	}
	return c.collections, g.outcomes
}

// Transform passes devices through the device stages. A stage that fails is left
// out and told of, as are all external ones.
func (p *Pipeline) Transform(ctx context.Context, devices []device.Device) ([]device.Device, []device.Outcome) {
	g := &gathering{pipeline: p}
	devices = g.transform(ctx, devices)
	return devices, g.stages
}

// Keys gives what a device can be looked up by: its serial number and usable MACs,
// without what the configuration calls a placeholder.
func (p *Pipeline) Keys(d device.Device) (serial string, macs []device.MAC) { return p.lookUpKeys(d) }

// collector sorts records by their sources.
type collector struct {
	at          time.Time
	collections []device.Collection
}

func (c *collector) of(plugin string) *device.Collection {
	for i := range c.collections {
		if c.collections[i].Plugin == plugin {
			return &c.collections[i]
		}
	}
	c.collections = append(c.collections, device.Collection{Plugin: plugin, FetchedAt: c.at})
	return &c.collections[len(c.collections)-1]
}

// Assemble makes the answer about a person of what the sources said: it judges,
// merges, rates and sorts. The collections stay as they are. An outcome that
// failed makes the practices that its source would have reported unknown, unless
// an earlier answer has been kept in its place.
func (p *Pipeline) Assemble(email string, collections []device.Collection, outcomes []device.Outcome) device.Posture {
	var (
		devices       []device.Device
		events        []device.Event
		accounts      []device.Account
		notifications []device.Notification
	)
	for _, c := range collections {
		devices = append(devices, c.Devices...)
		events = append(events, c.Events...)
		accounts = append(accounts, c.Accounts...)
		notifications = append(notifications, c.Notifications...)
	}
	newestFirst(events)
	return device.Posture{
		Email:   email,
		Devices: orEmpty(p.judge(devices, p.practiceGaps(outcomes), true)), Events: orEmpty(events),
		Accounts: orEmpty(accounts), Notifications: orEmpty(notifications),
		Sources: orEmpty(outcomes), GeneratedAt: p.now().UTC(),
	}
}

// practiceGaps tells the policy what failed sources would have reported.
func (p *Pipeline) practiceGaps(outcomes []device.Outcome) []practices.Gap {
	var gaps []practices.Gap
	for _, o := range outcomes {
		if o.OK || o.KeptFrom != nil || o.Namespace != NamespaceDevices && o.Namespace != NamespaceOwnership && o.Namespace != NamespaceSources {
			continue
		}
		at := slices.IndexFunc(p.Sources, func(s Source) bool { return s.Name == o.Plugin })
		if at < 0 {
			continue
		}
		gaps = append(gaps, gapOf(p.Sources[at], o.Err()))
	}
	slices.SortFunc(gaps, func(a, b practices.Gap) int { return cmp.Compare(a.Source, b.Source) })
	return gaps
}

// KeepLast puts what sources said before in the place of what they failed to say
// now, and notes in the outcomes since when it is known. last are the collections
// of the same person that were kept; a source that answered in part keeps only
// the part that failed.
func KeepLast(collections []device.Collection, outcomes []device.Outcome, last []device.Collection) ([]device.Collection, []device.Outcome) {
	c := collector{collections: slices.Clone(collections)}
	outcomes = slices.Clone(outcomes)
	for i, o := range outcomes {
		at := slices.IndexFunc(last, func(l device.Collection) bool { return l.Plugin == o.Plugin })
		if o.OK || at < 0 || !strings.HasPrefix(o.Namespace, NamespaceSources) {
			continue
		}
		known := last[at]
		c.at = known.FetchedAt
		in := c.of(o.Plugin)
		if !keep(in, known, o) {
			continue
		}
		since := known.FetchedAt
		if t, ok := known.Answered[o.Namespace]; ok {
			since = t
		}
		answered := map[string]time.Time{o.Namespace: since}
		for namespace, t := range in.Answered {
			answered[namespace] = t
		}
		in.Answered = answered
		outcomes[i].KeptFrom = &since
	}
	return c.collections, outcomes
}

// keep takes over the records of one namespace, unless newer ones have come
// beside the failure.
func keep(in *device.Collection, known device.Collection, o device.Outcome) bool {
	switch {
	case o.Count > 0:
		return false
	case o.Namespace == NamespaceDevices, o.Namespace == NamespaceOwnership:
		in.Devices = known.Devices
	case o.Namespace == NamespaceEvents:
		in.Events = known.Events
	case o.Namespace == NamespaceAccounts:
		in.Accounts = known.Accounts
	case o.Namespace == NamespaceNotifications:
		in.Notifications = known.Notifications
	case o.Namespace == NamespaceSources:
		in.Devices, in.Events, in.Accounts, in.Notifications = known.Devices, known.Events, known.Accounts, known.Notifications
	default:
		return false
	}
	return true
}
