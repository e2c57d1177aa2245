package scan

import (
	"context"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
)

// Key is what a device is looked up by.
type Key string

// The keys, as the API's paths name them.
const (
	ByEmail  Key = "email"
	BySerial Key = "serial"
	ByMAC    Key = "macaddr"
)

// LookUp asks device sources directly, without ownership: all of them, merged,
// or only the one named, whose records come as they are but judged. It fails
// only when the named one does not exist or does not offer the look-up.
func (p *Pipeline) LookUp(ctx context.Context, key Key, value, plugin string) ([]device.Device, []device.Outcome, error) {
	var sources []Source
	for _, s := range p.Sources {
		if s.Down == nil && s.offers(key) && (s.Name == plugin || plugin == "" && !s.Ownership) || s.Down != nil && (plugin == "" || s.Name == plugin) {
			sources = append(sources, s)
		}
	}
	if plugin != "" && len(sources) == 0 {
		return nil, nil, p.unknown(plugin, "devices by "+string(key), func(s Source) bool { return s.offers(key) })
	}
	ctx, cancel := p.limit(ctx)
	defer cancel()
	var (
		found    = make([][]device.Device, len(sources))
		outcomes = make([]device.Outcome, len(sources))
		group    sync.WaitGroup
	)
	for i, s := range sources {
		group.Go(func() {
			if s.Down != nil {
				outcomes[i] = outcomeOf(s.Name, NamespaceSources, 0, 0, s.Down)
				return
			}
			started := time.Now()
			var err error
			found[i], err = s.lookUp(ctx, key, value)
			outcomes[i] = outcomeOf(s.Name, s.deviceNamespace(), len(found[i]), time.Since(started), err)
		})
	}
	group.Wait()
	gaps := p.practiceGaps(outcomes)
	g := &gathering{pipeline: p, outcomes: outcomes}
	devices := g.transform(ctx, slices.Concat(found...))
	g.tellStages()
	return orEmpty(p.judge(devices, gaps, plugin == "")), g.outcomes, nil
}

func (s Source) offers(key Key) bool {
	switch key {
	case BySerial:
		return s.BySerial
	case ByMAC:
		return s.ByMAC
	default:
		return s.ByEmail
	}
}

func (s Source) lookUp(ctx context.Context, key Key, value string) ([]device.Device, error) {
	switch key {
	case BySerial:
		return s.Ask.DevicesByKeys(ctx, []string{value}, nil)
	case ByMAC:
		return s.Ask.DevicesByKeys(ctx, nil, []device.MAC{device.MAC(value)})
	default:
		return s.Ask.DevicesByEmail(ctx, value)
	}
}

func (s Source) deviceNamespace() string {
	if s.Ownership {
		return NamespaceOwnership
	}
	return NamespaceDevices
}

// Offering gives the names of the sources that offer something.
func (p *Pipeline) Offering(offers func(Source) bool) []string {
	var names []string
	for _, s := range p.Sources {
		if s.Down == nil && offers(s) {
			names = append(names, s.Name)
		}
	}
	return names
}

// Find gives the source with a name if it offers something, else an error of
// kind NotFound that names those that do.
func (p *Pipeline) Find(name, what string, offers func(Source) bool) (Source, error) {
	for _, s := range p.Sources {
		if s.Name == name && (s.Down != nil || offers(s)) {
			return s, nil //nolint:nilerr // a source that is down is found; scanning tells its failure
		}
	}
	return Source{}, p.unknown(name, what, offers)
}

func (p *Pipeline) unknown(name, what string, offers func(Source) bool) error {
	var all, these []string
	for _, s := range p.Sources {
		all = append(all, s.Name)
		if s.Down != nil || offers(s) { // what one that is down offers is not known
			these = append(these, s.Name)
		}
	}
	remedy := "these do: " + strings.Join(these, ", ")
	if len(these) == 0 {
		remedy = "none does; configured are: " + strings.Join(all, ", ")
	}
	return &fault.Error{
		Kind: fault.NotFound, Subject: name, Message: "no configured plugin of this name offers " + what,
		Remedy: remedy,
	}
}
