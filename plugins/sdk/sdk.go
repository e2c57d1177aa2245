// Package sdk is what a plugin's author imports: the capabilities a plugin may
// have, typed configuration, and [Serve], which turns a [Definition] into a
// program that Posture's host can run. A plugin in another language speaks
// proto/posture/plugin/v1 instead; docs/plugin-protocol.md tells how.
//
// The package imports device and fault and nothing else of Posture.
package sdk

import (
	"context"
	"log/slog"
	"time"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/journal"
)

// The capabilities. What a plugin's instance implements is what the plugin
// offers; the host never asks for more. Every method may be called concurrently
// and must return soon after its context ends.
//
// A subject that the source does not know is an empty answer. A method that has
// found something and then fails returns both: what was found counts, and the
// failure is reported beside it. Errors should be [fault.Error]s, so that the
// host knows what to do about them; they must not contain secrets.
type (
	// DevicesByEmail finds the devices of a person.
	DevicesByEmail interface {
		DevicesByEmail(ctx context.Context, email string) ([]device.Device, error)
	}
	// DevicesBySerial finds the devices with a serial number.
	DevicesBySerial interface {
		DevicesBySerial(ctx context.Context, serial string) ([]device.Device, error)
	}
	// DevicesByMAC finds the devices with a MAC address.
	DevicesByMAC interface {
		DevicesByMAC(ctx context.Context, mac device.MAC) ([]device.Device, error)
	}
	// DeviceLister gives every device that the source knows, with its owner's
	// address in Email where the source knows it. It hands each to send, page by
	// page in bounded memory, and stops when send fails.
	DeviceLister interface {
		ListDevices(ctx context.Context, send func(device.Device) error) error
	}
	// UserLister gives every person that the source knows, as DeviceLister does.
	UserLister interface {
		ListUsers(ctx context.Context, send func(device.User) error) error
	}
	// EventsByEmail gives a person's log-in events, newest first.
	EventsByEmail interface {
		EventsByEmail(ctx context.Context, email string) ([]device.Event, error)
	}
	// AccountsByEmail gives a person's accounts.
	AccountsByEmail interface {
		AccountsByEmail(ctx context.Context, email string) ([]device.Account, error)
	}
	// NotificationsByEmail gives a person's notifications, newest first.
	NotificationsByEmail interface {
		NotificationsByEmail(ctx context.Context, email string) ([]device.Notification, error)
	}
	// FeedbackSender passes on a person's answer to a notification.
	FeedbackSender interface {
		SendFeedback(ctx context.Context, f device.Feedback) error
	}
	// DeviceTransformer changes or drops devices.
	DeviceTransformer interface {
		TransformDevices(ctx context.Context, devices []device.Device) ([]device.Device, error)
	}
	// EventTransformer changes or drops events.
	EventTransformer interface {
		TransformEvents(ctx context.Context, events []device.Event) ([]device.Event, error)
	}
	// Deliverer passes documents on to the system behind it. It gives one error
	// for each delivery, in the same order: nil when it was accepted. A nil slice
	// says that all were. An error of kind [fault.Invalid], [fault.Conflict],
	// [fault.NotFound] or [fault.BadResponse] says that the document will never be
	// taken; after any other the host tries it again. A delivery comes again, with
	// the same ID, when its acceptance was not heard of. Those of one key are in
	// order and must be passed on in order.
	Deliverer interface {
		Deliver(ctx context.Context, deliveries []device.Delivery) []error
	}
	// ConnectivityTester tries the network, the log-in and the permissions, and
	// says in a few words what was reached.
	ConnectivityTester interface {
		TestConnectivity(ctx context.Context) (detail string, err error)
	}
)

// Capability names one of the capabilities, as the protocol and the command
// line do.
type Capability string

// The capabilities' names.
const (
	CapDevicesByEmail   Capability = "devices_by_email"
	CapDevicesBySerial  Capability = "devices_by_serial"
	CapDevicesByMAC     Capability = "devices_by_mac"
	CapListDevices      Capability = "list_devices"
	CapListUsers        Capability = "list_users"
	CapEvents           Capability = "events"
	CapAccounts         Capability = "accounts"
	CapNotifications    Capability = "notifications"
	CapFeedback         Capability = "feedback"
	CapTransformDevices Capability = "transform_devices"
	CapTransformEvents  Capability = "transform_events"
	CapTestConnectivity Capability = "test_connectivity"
	CapDeliver          Capability = "deliver"
)

// Description is what a plugin says about itself before it is configured.
type Description struct {
	Name         string       `json:"name"`
	Version      string       `json:"version"`
	Summary      string       `json:"summary"`
	Capabilities []Capability `json:"capabilities"`
	Ownership    bool         `json:"ownership"`           // asked first, to learn which serials and MACs are a person's
	Practices    []string     `json:"practices,omitempty"` // practice keys that its device records carry
	Platforms    []string     `json:"platforms,omitempty"` // platforms of its device records; empty: any
	Software     bool         `json:"software"`            // whether its device records list installed software
	Accepts      []string     `json:"accepts,omitempty"`   // kinds of deliveries that it takes, such as [device.DeliverDevice]
	Journal      bool         `json:"journal,omitempty"`   // keeps a journal in the host's store
	ConfigSchema []byte       `json:"-"`                   // JSON Schema of its configuration
}

// Has reports whether the plugin has a capability.
func (d Description) Has(c Capability) bool {
	for _, have := range d.Capabilities {
		if have == c {
			return true
		}
	}
	return false
}

// Env is what the host gives a plugin beside its own configuration.
type Env struct {
	// Logger writes into the host's log under the plugin's name.
	Logger *slog.Logger
	// Timeout bounds one look-up, and one page of a listing; never zero.
	Timeout time.Duration
	// Concurrency is how many calls the host makes at once; at least 1.
	Concurrency int
	// Debug asks for the source's own document in Raw.
	Debug bool
	// StateDir is a folder of the plugin's own that outlives it.
	StateDir string
	// Journal is what the plugin keeps in the host's store, which may be on
	// another machine and shared with other hosts. Only for a plugin that asks for
	// it; then it is never nil, but fails where the host has no store. It works
	// until the instance has been closed.
	Journal Journal
}

// Plugin is a [Definition] with its types erased.
type Plugin interface {
	// Describe says what the plugin is.
	Describe() (Description, error)
	// Open makes an instance from a JSON object that holds its configuration.
	Open(ctx context.Context, config []byte, env Env) (any, error)
}

// Definition describes a plugin. C is its configuration, a struct as [Schema]
// reads it. I is its instance: which capability interfaces I implements decides
// what the plugin offers. If the instance has a Close method without or with an
// error, it is called before the plugin ends.
type Definition[C, I any] struct {
	Name      string
	Version   string
	Summary   string
	Ownership bool
	Practices []string
	Platforms []string
	Software  bool
	Accepts   []string // kinds of deliveries; for a [Deliverer]
	Journal   bool     // asks for a [Journal] in Env
	// New makes the instance. It must not reach out to the vendor; the context
	// lasts as long as the plugin does and bounds background work.
	New func(ctx context.Context, config C, env Env) (I, error)
}

// Describe implements [Plugin].
func (d Definition[C, I]) Describe() (Description, error) {
	schema, err := Schema[C]()
	if err != nil {
		return Description{}, err
	}
	var instance I
	return Description{
		Name: d.Name, Version: d.Version, Summary: d.Summary,
		Capabilities: capabilitiesOf(instance),
		Ownership:    d.Ownership, Practices: d.Practices, Platforms: d.Platforms, Software: d.Software, Accepts: d.Accepts,
		Journal: d.Journal, ConfigSchema: schema,
	}, nil
}

// Open implements [Plugin].
func (d Definition[C, I]) Open(ctx context.Context, config []byte, env Env) (any, error) {
	c, err := DecodeConfig[C](config)
	if err != nil {
		return nil, err
	}
	if env.Journal == nil {
		env.Journal = journal.None{}
	}
	return d.New(ctx, c, env)
}

func capabilitiesOf(instance any) []Capability {
	var caps []Capability
	add := func(ok bool, c Capability) {
		if ok {
			caps = append(caps, c)
		}
	}
	_, ok := instance.(DevicesByEmail)
	add(ok, CapDevicesByEmail)
	_, ok = instance.(DevicesBySerial)
	add(ok, CapDevicesBySerial)
	_, ok = instance.(DevicesByMAC)
	add(ok, CapDevicesByMAC)
	_, ok = instance.(DeviceLister)
	add(ok, CapListDevices)
	_, ok = instance.(UserLister)
	add(ok, CapListUsers)
	_, ok = instance.(EventsByEmail)
	add(ok, CapEvents)
	_, ok = instance.(AccountsByEmail)
	add(ok, CapAccounts)
	_, ok = instance.(NotificationsByEmail)
	add(ok, CapNotifications)
	_, ok = instance.(FeedbackSender)
	add(ok, CapFeedback)
	_, ok = instance.(DeviceTransformer)
	add(ok, CapTransformDevices)
	_, ok = instance.(EventTransformer)
	add(ok, CapTransformEvents)
	_, ok = instance.(ConnectivityTester)
	add(ok, CapTestConnectivity)
	_, ok = instance.(Deliverer)
	add(ok, CapDeliver)
	return caps
}
