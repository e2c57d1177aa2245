package scan_test

import (
	"context"
	"errors"
	"flag"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/host/scan"
	"github.com/postureproject/posture/practices"
)

var update = flag.Bool("update", false, "write the golden files") //nolint:gochecknoglobals // a flag

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const ada = "ada@example.com"

func now() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

// fake is a source of the test: it holds records, finds them as a vendor would,
// and notes every question.
type fake struct {
	records       []device.Device
	events        []device.Event
	accounts      []device.Account
	notifications []device.Notification

	// answer, when set, is asked first; an error of it goes beside the records,
	// and only those in partial are given with it.
	answer  func(ctx context.Context, question string) error
	partial bool

	mu    sync.Mutex
	asked []string
}

func (f *fake) ask(ctx context.Context, question string) error {
	f.mu.Lock()
	f.asked = append(f.asked, question)
	f.mu.Unlock()
	if f.answer == nil {
		return ctx.Err()
	}
	return f.answer(ctx, question)
}

// questions gives what was asked, sorted.
func (f *fake) questions() []string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return slices.Sorted(slices.Values(f.asked))
}

func given[T any](f *fake, records []T, err error) ([]T, error) {
	if err != nil && !f.partial {
		return nil, err
	}
	return slices.Clone(records), err
}

func (f *fake) find(ctx context.Context, question string, match func(device.Device) bool) ([]device.Device, error) {
	err := f.ask(ctx, question)
	var found []device.Device
	for _, d := range f.records {
		if match(d) {
			found = append(found, d)
		}
	}
	return given(f, found, err)
}

func (f *fake) DevicesByEmail(ctx context.Context, email string) ([]device.Device, error) {
	return f.find(ctx, "email "+email, func(d device.Device) bool { return d.Email == email })
}

// DevicesByKeys looks up the serials and then the MACs that no record shows, as
// plugins do.
func (f *fake) DevicesByKeys(ctx context.Context, serials []string, macs []device.MAC) ([]device.Device, error) {
	var (
		all  []device.Device
		errs []error
	)
	note := func(devices []device.Device, err error) {
		all = append(all, devices...)
		if err != nil {
			errs = append(errs, err)
		}
	}
	for _, serial := range serials {
		note(f.find(ctx, "serial "+serial, func(d device.Device) bool { return strings.EqualFold(d.Identifiers.Serial, serial) }))
	}
	if len(errs) > 0 && fault.SourceIsOut(errs[0], len(all) > 0) {
		macs = nil
	}
	for _, mac := range macs {
		shows := func(d device.Device) bool { return slices.Contains(d.Identifiers.MACAddresses, mac) }
		if !slices.ContainsFunc(all, shows) {
			note(f.find(ctx, "mac "+string(mac), shows))
		}
	}
	return all, errors.Join(errs...)
}

func (f *fake) EventsByEmail(ctx context.Context, email string) ([]device.Event, error) {
	return given(f, f.events, f.ask(ctx, "events "+email))
}

func (f *fake) AccountsByEmail(ctx context.Context, email string) ([]device.Account, error) {
	return given(f, f.accounts, f.ask(ctx, "accounts "+email))
}

func (f *fake) NotificationsByEmail(ctx context.Context, email string) ([]device.Notification, error) {
	return given(f, f.notifications, f.ask(ctx, "notifications "+email))
}

// fails makes a source fail at every question.
func fails(err error) *fake {
	return &fake{answer: func(context.Context, string) error { return err }}
}

// owner is an ownership source, as a stock list is.
func owner(name string, f *fake) scan.Source {
	return scan.Source{Name: name, Ask: f, ByEmail: true, Ownership: true}
}

// management is a source of devices by every key, whose records report about
// encryption.
func management(name string, f *fake) scan.Source {
	return scan.Source{Name: name, Ask: f, ByEmail: true, BySerial: true, ByMAC: true, Practices: []string{"encryption"}}
}

// everything offers all there is but ownership.
func everything(name string, f *fake) scan.Source {
	s := management(name, f)
	s.Events, s.Accounts, s.Notifications = true, true, true
	return s
}

func pipeline(t testing.TB, sources ...scan.Source) *scan.Pipeline {
	t.Helper()
	policy, err := practices.New(nil, practices.Options{})
	if err != nil {
		t.Fatal(err)
	}
	return &scan.Pipeline{Sources: sources, Policy: policy, Now: now}
}

// record makes a device record of a source.
func record(source, email, serial string, macs ...device.MAC) device.Device {
	return device.Device{
		Source: source, Email: email, Serial: serial, Platform: "Mac", LastSync: now().Add(-time.Hour),
		Identifiers: device.Identifiers{Serial: serial, MACAddresses: macs},
	}
}

// stage is a transform of the test.
type stage func(devices []device.Device) ([]device.Device, error)

func (s stage) TransformDevices(_ context.Context, devices []device.Device) ([]device.Device, error) {
	return s(devices)
}

type eventStage func(events []device.Event) ([]device.Event, error)

func (s eventStage) TransformEvents(_ context.Context, events []device.Event) ([]device.Event, error) {
	return s(events)
}

// drop makes a stage that leaves out the devices with a serial.
func drop(serial string) scan.Stage[scan.DeviceStage] {
	return scan.Stage[scan.DeviceStage]{Name: "drop", Apply: stage(func(devices []device.Device) ([]device.Device, error) {
		return slices.DeleteFunc(slices.Clone(devices), func(d device.Device) bool { return d.Serial == serial }), nil
	})}
}

// serials gives the serial numbers of devices, sorted.
func serials(devices []device.Device) []string {
	out := []string{}
	for _, d := range devices {
		out = append(out, d.Serial)
	}
	slices.Sort(out)
	return out
}

// summary gives outcomes without their times.
func summary(outcomes []device.Outcome) []string {
	out := []string{}
	for _, o := range outcomes {
		line := o.Plugin + " " + o.Namespace
		if !o.OK {
			line += " failed"
		}
		out = append(out, line)
	}
	return out
}
