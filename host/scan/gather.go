package scan

import (
	"context"
	"errors"
	"fmt"
	"reflect"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
)

// gathering collects what the sources say about one person.
type gathering struct {
	pipeline *Pipeline
	request  Request
	lookUps  []func()

	mu            sync.Mutex
	owners        [][]device.Device // by ownership source
	owned         []device.Device   // of them all, already transformed
	devices       [][]device.Device
	events        [][]device.Event
	accounts      [][]device.Account
	notifications [][]device.Notification
	outcomes      []device.Outcome
	stages        []device.Outcome // of transforms, told when all have run

	telling sync.Mutex // one call of Progress at a time
}

// run makes every look-up by address at once; the look-ups by serial and MAC
// start when all ownership sources have spoken. It returns when all have ended.
func (g *gathering) run(ctx context.Context, sources []Source, parts Parts) {
	n := len(sources)
	g.owners = make([][]device.Device, n)
	g.devices, g.events = make([][]device.Device, n), make([][]device.Event, n)
	g.accounts, g.notifications = make([][]device.Account, n), make([][]device.Notification, n)
	var owners atomic.Int32 // that have not spoken yet, and this function
	owners.Store(1)
	owned := make(chan struct{})
	spoken := func() {
		if owners.Add(-1) == 0 {
			g.transformOwned(ctx)
			close(owned)
		}
	}
	for i, s := range sources {
		if s.Down != nil {
			g.report(outcomeOf(s.Name, NamespaceSources, 0, 0, s.Down))
			continue
		}
		devices := parts.Devices && g.request.wants(s, s.deviceNamespace())
		if devices && s.Ownership && s.ByEmail {
			owners.Add(1)
			g.lookUps = append(g.lookUps, func() {
				defer spoken()
				g.owners[i] = g.askOwner(ctx, s)
			})
		}
		if devices && !s.Ownership && (s.ByEmail || s.BySerial || s.ByMAC) {
			g.lookUps = append(g.lookUps, func() { g.devices[i] = g.askDevices(ctx, s, owned) })
		}
		g.askRest(ctx, i, s, parts)
	}
	spoken()
	g.start()
}

// start makes all look-ups at once, the last one on the caller's goroutine, and
// returns when all have ended.
func (g *gathering) start() {
	if len(g.lookUps) == 0 {
		return
	}
	var group sync.WaitGroup
	defer group.Wait()
	last := len(g.lookUps) - 1
	for _, lookUp := range g.lookUps[:last] {
		group.Go(lookUp)
	}
	g.lookUps[last]()
}

// askRest adds the look-ups that no other depends on.
func (g *gathering) askRest(ctx context.Context, i int, s Source, parts Parts) {
	email := g.request.Email
	if parts.Events && s.Events && g.request.wants(s, NamespaceEvents) {
		g.lookUps = append(g.lookUps, func() { g.events[i] = ask(ctx, g, s, NamespaceEvents, email, s.Ask.EventsByEmail) })
	}
	if parts.Accounts && s.Accounts && g.request.wants(s, NamespaceAccounts) {
		g.lookUps = append(g.lookUps, func() { g.accounts[i] = ask(ctx, g, s, NamespaceAccounts, email, s.Ask.AccountsByEmail) })
	}
	if parts.Notifications && s.Notifications && g.request.wants(s, NamespaceNotifications) {
		g.lookUps = append(g.lookUps, func() {
			g.notifications[i] = ask(ctx, g, s, NamespaceNotifications, email, s.Ask.NotificationsByEmail)
		})
	}
}

func ask[T any](ctx context.Context, g *gathering, s Source, namespace, email string, lookUp func(context.Context, string) ([]T, error)) []T {
	started := time.Now()
	records, err := lookUp(ctx, email)
	g.report(outcomeOf(s.Name, namespace, len(records), time.Since(started), err))
	return records
}

// report notes how a source fared.
func (g *gathering) report(o device.Outcome) {
	g.mu.Lock()
	g.outcomes = append(g.outcomes, o)
	g.mu.Unlock()
	if g.request.Progress != nil {
		g.telling.Lock()
		defer g.telling.Unlock()
		g.request.Progress(o)
	}
}

func (g *gathering) askOwner(ctx context.Context, s Source) []device.Device {
	started := time.Now()
	devices, err := s.Ask.DevicesByEmail(ctx, g.request.Email)
	g.report(outcomeOf(s.Name, NamespaceOwnership, len(devices), time.Since(started), err))
	return devices
}

// transformOwned passes what belongs to the person through the device stages:
// what these drop is not looked up elsewhere.
func (g *gathering) transformOwned(ctx context.Context) {
	g.owned = g.transform(ctx, slices.Concat(g.owners...))
}

// askDevices asks one source by address and, when it is known what belongs to
// the person, by serial and MAC for what it has not delivered yet.
func (g *gathering) askDevices(ctx context.Context, s Source, owned <-chan struct{}) []device.Device {
	var (
		in   = newInHand(g.pipeline)
		errs []error
		busy time.Duration
	)
	if s.ByEmail {
		started := time.Now()
		devices, err := s.Ask.DevicesByEmail(ctx, g.request.Email)
		busy = time.Since(started)
		in.add(devices)
		if err != nil {
			errs = append(errs, each(err)...)
		}
	}
	if (s.BySerial || s.ByMAC) && !fault.SourceIsOut(first(errs), !in.empty()) {
		<-owned
		if serials, macs := g.wanted(s, in); len(serials)+len(macs) > 0 {
			started := time.Now()
			devices, err := s.Ask.DevicesByKeys(ctx, serials, macs)
			busy += time.Since(started)
			in.add(devices)
			errs = append(errs, each(err)...)
		}
	}
	err := errors.Join(errs...)
	g.report(outcomeOf(s.Name, NamespaceDevices, len(in.devices), busy, err))
	return in.devices
}

// each gives the failures that err joins.
func each(err error) []error {
	if err == nil {
		return nil
	}
	if several, ok := err.(interface{ Unwrap() []error }); ok {
		return several.Unwrap()
	}
	return []error{err}
}

// joined makes one failure of several of one source: the first, and how many.
func joined(errs []error) error {
	if len(errs) < 2 {
		return first(errs)
	}
	return &fault.Error{
		Kind: fault.KindOf(errs[0]), Remedy: fault.RemedyOf(errs[0]), RetryAfter: fault.RetryAfterOf(errs[0]),
		Message: fmt.Sprintf("%d look-ups failed, the first", len(errs)), Err: errs[0],
	}
}

func first(errs []error) error {
	if len(errs) == 0 {
		return nil
	}
	return errs[0]
}

// wanted gives the serials and MACs of the owned devices that one source can be
// asked about, unless its record of them is in hand already.
func (g *gathering) wanted(s Source, in *inHand) (serials []string, macs []device.MAC) {
	for _, d := range slices.Concat(g.owned, g.request.Owned) {
		serial, usable := g.pipeline.lookUpKeys(d)
		if s.BySerial && serial != "" && in.claim("serial", serial) {
			serials = append(serials, serial)
		}
		if !s.ByMAC {
			continue
		}
		for _, mac := range usable {
			if in.claim("mac", string(mac)) {
				macs = append(macs, mac)
			}
		}
	}
	return serials, macs
}

// lookUpKeys gives what a device can be looked up by. What the configuration
// calls a placeholder identifies nothing.
func (p *Pipeline) lookUpKeys(d device.Device) (serial string, macs []device.MAC) {
	for _, candidate := range []string{d.Identifiers.Serial, d.Serial} {
		if candidate = strings.TrimSpace(candidate); !device.IsPlaceholder(candidate) && !p.isPlaceholder(candidate) {
			serial = candidate
			break
		}
	}
	for _, m := range d.Identifiers.MACAddresses {
		if m.Usable() && !p.isPlaceholder(string(m)) {
			macs = append(macs, m)
		}
	}
	return serial, macs
}

func (p *Pipeline) isPlaceholder(value string) bool {
	return slices.ContainsFunc(p.Merge.Placeholders, func(placeholder string) bool {
		if m, err := device.ParseMAC(placeholder); err == nil && string(m) == value {
			return true
		}
		return strings.EqualFold(strings.TrimSpace(placeholder), value)
	})
}

// inHand is what one source has delivered, and by what it has been asked.
type inHand struct {
	pipeline *Pipeline
	devices  []device.Device
	keys     map[string]bool
}

func newInHand(p *Pipeline) *inHand { return &inHand{pipeline: p, keys: map[string]bool{}} }

func inHandKey(kind, value string) string {
	return kind + " " + strings.ToUpper(strings.TrimSpace(value))
}

// claim reports whether a key is new, and takes it: nobody need ask again.
func (h *inHand) claim(kind, value string) bool {
	key := inHandKey(kind, value)
	if h.keys[key] {
		return false
	}
	h.keys[key] = true
	return true
}

func (h *inHand) empty() bool { return len(h.devices) == 0 }

// add takes records in, each once: a source may give one record for several keys.
func (h *inHand) add(devices []device.Device) {
	for _, d := range devices {
		if slices.ContainsFunc(h.devices, func(have device.Device) bool { return reflect.DeepEqual(have, d) }) {
			continue
		}
		serial, macs := h.pipeline.lookUpKeys(d)
		if serial != "" {
			h.keys[inHandKey("serial", serial)] = true
		}
		for _, m := range macs {
			h.keys[inHandKey("mac", string(m))] = true
		}
		h.devices = append(h.devices, d)
	}
}
