package sdk_test

import (
	"context"
	"flag"
	"testing"

	"go.uber.org/goleak"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/plugins/sdk"
	"github.com/postureproject/posture/plugins/sdk/sdktest"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// fake is an instance with every capability, each of which does what the test
// says. The zero value finds nothing.
type fake struct {
	devices       func(ctx context.Context, key string) ([]device.Device, error)
	events        func(ctx context.Context, email string) ([]device.Event, error)
	accounts      func(ctx context.Context, email string) ([]device.Account, error)
	notifications func(ctx context.Context, email string) ([]device.Notification, error)
	listDevices   func(ctx context.Context, send func(device.Device) error) error
	listUsers     func(ctx context.Context, send func(device.User) error) error
	connectivity  func(ctx context.Context) (string, error)
	feedback      func(ctx context.Context, f device.Feedback) error
	deliver       func(ctx context.Context, deliveries []device.Delivery) []error
	closed        chan struct{}
}

func (f *fake) Deliver(ctx context.Context, deliveries []device.Delivery) []error {
	return f.deliver(ctx, deliveries)
}

func call[T any](ctx context.Context, f func(context.Context, string) ([]T, error), key string) ([]T, error) {
	if f == nil {
		return nil, nil
	}
	return f(ctx, key)
}

func (f *fake) DevicesByEmail(ctx context.Context, email string) ([]device.Device, error) {
	return call(ctx, f.devices, email)
}

func (f *fake) DevicesBySerial(ctx context.Context, serial string) ([]device.Device, error) {
	return call(ctx, f.devices, serial)
}

func (f *fake) DevicesByMAC(ctx context.Context, mac device.MAC) ([]device.Device, error) {
	return call(ctx, f.devices, string(mac))
}

func (f *fake) EventsByEmail(ctx context.Context, email string) ([]device.Event, error) {
	return call(ctx, f.events, email)
}

func (f *fake) AccountsByEmail(ctx context.Context, email string) ([]device.Account, error) {
	return call(ctx, f.accounts, email)
}

func (f *fake) NotificationsByEmail(ctx context.Context, email string) ([]device.Notification, error) {
	return call(ctx, f.notifications, email)
}

func (f *fake) ListDevices(ctx context.Context, send func(device.Device) error) error {
	return f.listDevices(ctx, send)
}

func (f *fake) ListUsers(ctx context.Context, send func(device.User) error) error {
	return f.listUsers(ctx, send)
}

func (f *fake) TestConnectivity(ctx context.Context) (string, error) { return f.connectivity(ctx) }

func (f *fake) SendFeedback(ctx context.Context, answer device.Feedback) error {
	return f.feedback(ctx, answer)
}

func (f *fake) TransformDevices(_ context.Context, devices []device.Device) ([]device.Device, error) {
	for i := range devices {
		devices[i].Manufacturer = "made by " + devices[i].Source
	}
	return devices, nil
}

func (f *fake) TransformEvents(_ context.Context, events []device.Event) ([]device.Event, error) {
	return events[1:], nil
}

func (f *fake) Close() {
	if f.closed != nil {
		close(f.closed)
	}
}

func plugin(f *fake) sdk.Plugin {
	return sdk.Definition[struct{}, *fake]{
		Name: "fake", Version: "1.0.0", Summary: "A plugin for tests", Practices: []string{"encryption"}, Platforms: []string{"Mac"}, Software: true, Ownership: true,
		Accepts: []string{device.DeliverDevice},
		New:     func(context.Context, struct{}, sdk.Env) (*fake, error) { return f, nil },
	}
}

func open(t testing.TB, f *fake) *sdk.Client {
	t.Helper()
	return sdktest.Open(t, plugin(f), nil)
}
