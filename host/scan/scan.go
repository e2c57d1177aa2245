// Package scan is the pipeline: it asks the sources about one person, passes
// what they say through transforms, practices and merging, and tells beside the
// answer how each source fared. A source that fails is data, never an exception:
// the others' answers stand, and what it would have reported reads "unknown".
//
// The package knows sources and stages only by what it asks of them.
package scan

import (
	"context"
	"slices"
	"time"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/practices"
)

// LookUps is what the pipeline may ask of a source. Which of these a source
// really offers is in its [Source]. Every method may return records beside an
// error.
type LookUps interface {
	DevicesByEmail(ctx context.Context, email string) ([]device.Device, error)
	// DevicesByKeys looks up serials and MACs in one call; of those MACs that the
	// records found by serial show, no further record is needed. The error joins
	// one for each key that failed.
	DevicesByKeys(ctx context.Context, serials []string, macs []device.MAC) ([]device.Device, error)
	EventsByEmail(ctx context.Context, email string) ([]device.Event, error)
	AccountsByEmail(ctx context.Context, email string) ([]device.Account, error)
	NotificationsByEmail(ctx context.Context, email string) ([]device.Notification, error)
}

// Source is one configured source and what it offers.
type Source struct {
	Name string
	Ask  LookUps
	// Down says why the source could never be started and so is not known to
	// offer anything; nil when it could.
	Down error

	ByEmail, BySerial, ByMAC        bool
	Events, Accounts, Notifications bool
	// Ownership sources tell which serials and MACs belong to a person; these
	// are then looked up in the others.
	Ownership bool
	// ListsDevices and ListsUsers say whether it can list all that it has.
	ListsDevices, ListsUsers bool

	// What its device records report, to tell what is missing when it fails.
	Practices []string
	Platforms []string
	Software  bool
}

// DeviceStage changes or drops devices.
type DeviceStage interface {
	TransformDevices(ctx context.Context, devices []device.Device) ([]device.Device, error)
}

// EventStage changes or drops events.
type EventStage interface {
	TransformEvents(ctx context.Context, events []device.Event) ([]device.Event, error)
}

// Stage is a transform with its name in the configuration. External ones, which
// may fail, are listed among the outcomes.
type Stage[T any] struct {
	Name     string
	External bool
	Apply    T
}

// Pipeline is everything that an answer depends on. It is immutable once made
// and safe for concurrent use; a new configuration makes a new one. Policy is
// required.
type Pipeline struct {
	Sources      []Source
	DeviceStages []Stage[DeviceStage]
	EventStages  []Stage[EventStage]
	Policy       *practices.Policy
	Merge        device.MergeOptions
	// Timeout bounds one whole scan; zero means none beyond the sources' own.
	Timeout time.Duration
	// Now is the clock that ages are measured by; time.Now when nil.
	Now func() time.Time
}

func (p *Pipeline) now() time.Time {
	if p.Now == nil {
		return time.Now()
	}
	return p.Now()
}

// limit bounds a context by the pipeline's time limit.
func (p *Pipeline) limit(ctx context.Context) (context.Context, context.CancelFunc) {
	if p.Timeout <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, p.Timeout)
}

// The namespaces of plugins, as the connectivity test and the outcomes name them.
const (
	NamespaceOwnership     = "sources.predevices"
	NamespaceDevices       = "sources.devices"
	NamespaceEvents        = "sources.events"
	NamespaceAccounts      = "sources.accounts"
	NamespaceNotifications = "sources.notifications"
	NamespaceSources       = "sources" // of a source that never started
	NamespaceDeviceStages  = "transforms.devices"
	NamespaceEventStages   = "transforms.events"
)

func outcomeOf(plugin, namespace string, count int, took time.Duration, err error) device.Outcome {
	err = joined(each(err))
	o := device.Outcome{Plugin: plugin, Namespace: namespace, OK: err == nil, DurationMS: took.Milliseconds(), Count: count, Failure: err}
	if err != nil {
		text := err.Error()
		o.Error, o.Kind, o.Remedy = &text, fault.KindOf(err).String(), fault.RemedyOf(err)
	}
	return o
}

// Parts says what of the answer is wanted; the zero value means everything.
type Parts struct{ Devices, Events, Accounts, Notifications bool }

func (p Parts) orAll() Parts {
	if p == (Parts{}) {
		return Parts{true, true, true, true}
	}
	return p
}

// Request says whom to scan and how.
type Request struct {
	Email string
	Only  []string // names of sources; empty means all
	// Skip, when set, leaves out what of a source is known already, by the
	// namespace that its outcome would have.
	Skip func(source, namespace string) bool
	// Owned is what is known to belong to the person beside what the ownership
	// sources say now: it is looked up in the others, and no part of the answer.
	Owned []device.Device
	Parts Parts
	// Progress, when set, is called once per outcome as soon as it is known, one
	// call at a time; it must not block.
	Progress func(device.Outcome)
}

// wants reports whether something of a source is to be asked for.
func (r Request) wants(s Source, namespace string) bool {
	return r.Skip == nil || !r.Skip(s.Name, namespace)
}

// chosen gives the sources that a request wants.
func (p *Pipeline) chosen(only []string) []Source {
	if len(only) == 0 {
		return p.Sources
	}
	var out []Source
	for _, s := range p.Sources {
		if slices.Contains(only, s.Name) {
			out = append(out, s)
		}
	}
	return out
}

// Scan asks everybody about a person and gives the whole answer. It has no error
// of its own: what failed is among the outcomes.
func (p *Pipeline) Scan(ctx context.Context, r Request) device.Posture {
	collections, outcomes := p.Collect(ctx, r)
	return p.Assemble(r.Email, collections, outcomes)
}
