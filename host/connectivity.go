package host

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/host/scan"
	"github.com/postureproject/posture/host/supervise"
	"github.com/postureproject/posture/plugins/sdk"
)

// Check is the outcome of one plugin's connectivity test.
type Check struct {
	Plugin     string   `json:"plugin"`
	Namespaces []string `json:"namespaces"`
	// Outcome is "ok", "failed" or "no_test".
	Outcome    string `json:"outcome"`
	Detail     string `json:"detail,omitempty"` // what was reached
	Error      string `json:"error,omitempty"`
	Kind       string `json:"kind,omitempty"`
	Remedy     string `json:"remedy,omitempty"` // what to do about it
	DurationMS int64  `json:"duration_ms"`
}

// Connectivity tests the plugins side by side: those named, or all; of these
// those in one of the namespaces, or in any. done, when set, hears of each as
// soon as it has ended. It fails only when a name is not configured.
func (h *Host) Connectivity(ctx context.Context, names, namespaces []string, done func(Check)) ([]Check, error) {
	untested := h.transforms()
	for _, name := range names {
		_, inProcess := untested[name]
		if _, ok := h.sup.Plugin(name); !ok && !inProcess {
			return nil, fault.InvalidField("plugins", name, "is not configured", "see posture plugin list")
		}
	}
	var chosen []*supervise.Plugin
	for _, p := range h.sup.Plugins() {
		d, known := p.Description()
		if (!known || wanted(namespacesOf(d), namespaces)) && wanted([]string{p.Name()}, names) {
			chosen = append(chosen, p)
		}
	}
	checks := make([]Check, len(chosen))
	var (
		group sync.WaitGroup
		mu    sync.Mutex
	)
	for i, p := range chosen {
		group.Go(func() {
			checks[i] = check(ctx, p)
			if done != nil {
				mu.Lock()
				defer mu.Unlock()
				done(checks[i])
			}
		})
	}
	group.Wait()
	for _, name := range slices.Sorted(maps.Keys(untested)) {
		if !wanted(untested[name], namespaces) || !wanted([]string{name}, names) {
			continue
		}
		c := Check{Plugin: name, Namespaces: untested[name], Outcome: "no_test"}
		checks = append(checks, c)
		if done != nil {
			done(c)
		}
	}
	return checks, nil
}

// wanted reports whether one of the values is asked for; without a wish all are.
func wanted(values, wish []string) bool {
	return len(wish) == 0 || slices.ContainsFunc(values, func(v string) bool { return slices.Contains(wish, v) })
}

// transforms gives the namespaces of the configured transforms that are built in:
// these have no process and nothing to test.
func (h *Host) transforms() map[string][]string {
	g := h.active.Load()
	out := map[string][]string{}
	add := func(name, namespace string, external bool) {
		if !external && slices.Contains(g.file.Plugins(), name) {
			out[name] = append(out[name], namespace)
		}
	}
	for _, stage := range g.pipeline.DeviceStages {
		add(stage.Name, scan.NamespaceDeviceStages, stage.External)
	}
	for _, stage := range g.pipeline.EventStages {
		add(stage.Name, scan.NamespaceEventStages, stage.External)
	}
	return out
}

func check(ctx context.Context, p *supervise.Plugin) Check {
	started := time.Now()
	d, known := p.Description()
	c := Check{Plugin: p.Name(), Namespaces: namespacesOf(d), Outcome: "ok"}
	var err error
	switch {
	case !known:
		err = neverStarted(p)
	case !d.Has(sdk.CapTestConnectivity):
		c.Outcome = "no_test"
		return c
	default:
		c.Detail, err = p.TestConnectivity(ctx)
	}
	c.DurationMS = time.Since(started).Milliseconds()
	if err != nil {
		c.Outcome, c.Error, c.Kind, c.Remedy = "failed", err.Error(), fault.KindOf(err).String(), fault.RemedyOf(err)
	}
	return c
}

// namespacesOf names what a plugin is used for.
func namespacesOf(d sdk.Description) []string {
	out := []string{}
	add := func(ok bool, namespace string) {
		if ok && !slices.Contains(out, namespace) {
			out = append(out, namespace)
		}
	}
	devices := d.Has(sdk.CapDevicesByEmail) || d.Has(sdk.CapDevicesBySerial) || d.Has(sdk.CapDevicesByMAC) || d.Has(sdk.CapListDevices)
	add(devices && d.Ownership, scan.NamespaceOwnership)
	add(devices && !d.Ownership, scan.NamespaceDevices)
	add(d.Has(sdk.CapEvents), scan.NamespaceEvents)
	add(d.Has(sdk.CapAccounts), scan.NamespaceAccounts)
	add(d.Has(sdk.CapNotifications), scan.NamespaceNotifications)
	add(d.Has(sdk.CapFeedback), "feedback")
	add(d.Has(sdk.CapTransformDevices), scan.NamespaceDeviceStages)
	add(d.Has(sdk.CapTransformEvents), scan.NamespaceEventStages)
	return out
}

// Namespaces lists the namespaces that can be asked for.
func Namespaces() []string {
	return []string{
		scan.NamespaceOwnership, scan.NamespaceDevices, scan.NamespaceEvents, scan.NamespaceAccounts, scan.NamespaceNotifications,
		"feedback", scan.NamespaceDeviceStages, scan.NamespaceEventStages,
	}
}
