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

// orEmpty makes an absent list an empty one, which JSON shows as [].
func orEmpty[T any](list []T) []T {
	if list == nil {
		return []T{}
	}
	return list
}

// judge evaluates records, merges them when asked to, and rates and sorts what
// comes of it.
func (p *Pipeline) judge(devices []device.Device, gaps []practices.Gap, merge bool) []device.Device {
	for i := range devices {
		p.Policy.Evaluate(&devices[i], gaps)
	}
	if merge {
		devices = device.Merge(devices, p.Merge)
	}
	now := p.now()
	for i := range devices {
		p.Policy.Rate(&devices[i], now)
	}
	practices.Sort(devices)
	return devices
}

func gapOf(s Source, err error) practices.Gap {
	return practices.Gap{
		Source: s.Name, Practices: s.Practices, Software: s.Software, Platforms: s.Platforms,
		Reason: err.Error(),
	}
}

// transform passes devices through the stages. A stage that fails is skipped and
// reported: showing a device too many is better than losing one.
func (g *gathering) transform(ctx context.Context, devices []device.Device) []device.Device {
	for _, stage := range g.pipeline.DeviceStages {
		if len(devices) == 0 {
			break
		}
		started := time.Now()
		out, err := stage.Apply.TransformDevices(ctx, devices)
		if err == nil {
			devices = out
		}
		if stage.External || err != nil {
			g.noteStage(outcomeOf(stage.Name, NamespaceDeviceStages, len(devices), time.Since(started), err))
		}
	}
	return devices
}

// transformEvents does the same for events, and gives them newest first.
func (g *gathering) transformEvents(ctx context.Context, events []device.Event) []device.Event {
	for _, stage := range g.pipeline.EventStages {
		if len(events) == 0 {
			break
		}
		started := time.Now()
		out, err := stage.Apply.TransformEvents(ctx, events)
		if err == nil {
			events = out
		}
		if stage.External || err != nil {
			g.noteStage(outcomeOf(stage.Name, NamespaceEventStages, len(events), time.Since(started), err))
		}
	}
	newestFirst(events)
	return events
}

func newestFirst(events []device.Event) {
	slices.SortStableFunc(events, func(a, b device.Event) int {
		return cmp.Or(b.Timestamp.Compare(a.Timestamp), strings.Compare(a.Source, b.Source))
	})
}

// noteStage notes how a stage fared. Device stages run twice in a scan, which
// makes one outcome: of both runs together, failed if one of them did.
func (g *gathering) noteStage(o device.Outcome) {
	g.mu.Lock()
	defer g.mu.Unlock()
	for i, have := range g.stages {
		if have.Plugin != o.Plugin || have.Namespace != o.Namespace {
			continue
		}
		o.DurationMS += have.DurationMS
		o.Count += have.Count
		if !have.OK {
			have.DurationMS, have.Count = o.DurationMS, o.Count
			o = have
		}
		g.stages[i] = o
		return
	}
	g.stages = append(g.stages, o)
}

// tellStages puts the stages' outcomes beside the sources'.
func (g *gathering) tellStages() {
	for _, o := range g.stages {
		g.report(o)
	}
}

// sortOutcomes puts outcomes into the order of the configuration, whoever
// finished first: the sources, the device stages, the event stages.
func (p *Pipeline) sortOutcomes(outcomes []device.Outcome) {
	rank := func(o device.Outcome) int {
		switch o.Namespace {
		case NamespaceDeviceStages:
			return len(p.Sources) + slices.IndexFunc(p.DeviceStages, func(s Stage[DeviceStage]) bool { return s.Name == o.Plugin })
		case NamespaceEventStages:
			return len(p.Sources) + len(p.DeviceStages) + slices.IndexFunc(p.EventStages, func(s Stage[EventStage]) bool { return s.Name == o.Plugin })
		default:
			return slices.IndexFunc(p.Sources, func(s Source) bool { return s.Name == o.Plugin })
		}
	}
	slices.SortStableFunc(outcomes, func(a, b device.Outcome) int {
		return cmp.Or(cmp.Compare(rank(a), rank(b)), cmp.Compare(a.Namespace, b.Namespace))
	})
}
