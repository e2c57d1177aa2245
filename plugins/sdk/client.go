package sdk

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"google.golang.org/grpc"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/plugins/sdk/pluginv1"
)

// MaxRecords bounds what one look-up may deliver. A plugin that sends more is
// cut off with a BadResponse error; a listing has no such bound, as it is read
// in pieces.
const MaxRecords = 10_000

// Client is the host's side of a plugin. It turns calls and errors into the
// protocol and back; limits and supervision are its caller's.
type Client struct {
	name string
	rpc  pluginv1.PluginServiceClient
}

// NewClient makes a client of the plugin that the host calls name.
func NewClient(name string, conn grpc.ClientConnInterface) *Client {
	return &Client{name: name, rpc: pluginv1.NewPluginServiceClient(conn)}
}

// Configuration is what [Client.Configure] hands over.
type Configuration struct {
	Config      []byte // a JSON object
	Timeout     time.Duration
	Concurrency int
	Debug       bool
	StateDir    string
	JournalID   uint32 // under which the host serves the plugin's journal; zero: it does not
}

// Describe asks the plugin what it is.
func (c *Client) Describe(ctx context.Context) (Description, error) {
	r, err := c.rpc.Describe(ctx, &pluginv1.DescribeRequest{})
	if err != nil {
		return Description{}, c.failed(err, "describe", "")
	}
	d := Description{
		Name: r.GetName(), Version: r.GetVersion(), Summary: r.GetSummary(), Ownership: r.GetOwnership(),
		Practices: r.GetPractices(), Platforms: r.GetPlatforms(), Software: r.GetSoftware(), Accepts: r.GetAccepts(),
		Journal: r.GetJournal(), ConfigSchema: []byte(r.GetConfigSchema()),
	}
	for _, p := range r.GetCapabilities() {
		if capability, known := capabilityFromProto(p); known {
			d.Capabilities = append(d.Capabilities, capability)
		}
	}
	return d, nil
}

// Configure hands the plugin its configuration; call it once.
func (c *Client) Configure(ctx context.Context, cfg Configuration) error {
	_, err := c.rpc.Configure(ctx, &pluginv1.ConfigureRequest{
		Config: string(cfg.Config), TimeoutMs: max(1, cfg.Timeout.Milliseconds()), Concurrency: int32(min(cfg.Concurrency, 1<<20)),
		Debug: cfg.Debug, StateDir: cfg.StateDir, JournalId: cfg.JournalID,
	})
	return c.failed(err, "configure", "")
}

// TestConnectivity runs the plugin's own test and gives what it reached.
func (c *Client) TestConnectivity(ctx context.Context) (string, error) {
	r, err := c.rpc.TestConnectivity(ctx, &pluginv1.TestConnectivityRequest{})
	return r.GetDetail(), c.failed(err, "connectivity test", "")
}

// DevicesByEmail looks up a person's devices. Like all look-ups, it may return
// records beside an error.
func (c *Client) DevicesByEmail(ctx context.Context, email string) ([]device.Device, error) {
	return c.lookUpDevices(ctx, &pluginv1.LookUpDevicesRequest{Email: email}, "devices by e-mail", email)
}

// DevicesByKeys looks up devices by serial numbers and by MAC addresses, all in
// one call. The error joins one for each key that failed. A plugin may leave out
// MACs that the records found by serial show.
func (c *Client) DevicesByKeys(ctx context.Context, serials []string, macs []device.MAC) ([]device.Device, error) {
	r := &pluginv1.LookUpDevicesRequest{Serials: serials, Macs: make([]string, len(macs))}
	for i, mac := range macs {
		r.Macs[i] = string(mac)
	}
	op, keys := "devices by serial", serials
	switch {
	case len(serials)+len(macs) == 0:
		return nil, nil
	case len(serials) == 0:
		op, keys = "devices by MAC", r.Macs
	case len(macs) > 0:
		op = "devices by serial and MAC"
	}
	return c.lookUpDevices(ctx, r, op, keys[0])
}

func (c *Client) lookUpDevices(ctx context.Context, r *pluginv1.LookUpDevicesRequest, op, subject string) ([]device.Device, error) {
	answer, err := c.rpc.LookUpDevices(ctx, r)
	if err != nil {
		return nil, c.failed(err, op, subject)
	}
	err = fromFailures(answer.GetFailures(), c.name, op, subject)
	devices := answer.GetDevices()
	if len(devices) > MaxRecords {
		devices, err = devices[:MaxRecords], errors.Join(err, c.tooMany(op, subject))
	}
	return devicesFromProto(devices, c.name), err
}

func (c *Client) tooMany(op, subject string) error {
	return &fault.Error{
		Kind: fault.BadResponse, Source: c.name, Op: op, Subject: subject,
		Message: fmt.Sprintf("more than %d records for one look-up", MaxRecords), Remedy: "the plugin is at fault; see its log",
	}
}

// ListDevices hands every device to receive, some at a time, and stops when it
// fails. idle bounds the wait for each message, not the whole listing.
func (c *Client) ListDevices(ctx context.Context, idle time.Duration, receive func([]device.Device) error) error {
	return list(ctx, c, "list devices", idle,
		func(ctx context.Context) (grpc.ServerStreamingClient[pluginv1.ListDevicesResponse], error) {
			return c.rpc.ListDevices(ctx, &pluginv1.ListDevicesRequest{})
		},
		func(r *pluginv1.ListDevicesResponse) error { return receive(devicesFromProto(r.GetDevices(), c.name)) })
}

// ListUsers hands every person to receive, as [Client.ListDevices] does devices.
func (c *Client) ListUsers(ctx context.Context, idle time.Duration, receive func([]device.User) error) error {
	return list(ctx, c, "list users", idle,
		func(ctx context.Context) (grpc.ServerStreamingClient[pluginv1.ListUsersResponse], error) {
			return c.rpc.ListUsers(ctx, &pluginv1.ListUsersRequest{})
		},
		func(r *pluginv1.ListUsersResponse) error {
			users := make([]device.User, 0, len(r.GetUsers()))
			for _, u := range r.GetUsers() {
				users = append(users, device.User{Email: u.GetEmail(), Name: u.GetName()})
			}
			return receive(users)
		})
}

// EventsByEmail looks up a person's events.
func (c *Client) EventsByEmail(ctx context.Context, email string) ([]device.Event, error) {
	return collect(ctx, c, "events", email,
		func(ctx context.Context) (grpc.ServerStreamingClient[pluginv1.LookUpEventsResponse], error) {
			return c.rpc.LookUpEvents(ctx, &pluginv1.LookUpEventsRequest{Email: email})
		},
		func(r *pluginv1.LookUpEventsResponse) []device.Event { return eventsFromProto(r.GetEvents(), c.name) })
}

// AccountsByEmail looks up a person's accounts.
func (c *Client) AccountsByEmail(ctx context.Context, email string) ([]device.Account, error) {
	r, err := c.rpc.LookUpAccounts(ctx, &pluginv1.LookUpAccountsRequest{Email: email})
	if err != nil {
		return nil, c.failed(err, "accounts", email)
	}
	return accountsFromProto(r.GetAccounts(), c.name), fromFailures(r.GetFailures(), c.name, "accounts", email)
}

// NotificationsByEmail looks up a person's notifications.
func (c *Client) NotificationsByEmail(ctx context.Context, email string) ([]device.Notification, error) {
	return collect(ctx, c, "notifications", email,
		func(ctx context.Context) (grpc.ServerStreamingClient[pluginv1.LookUpNotificationsResponse], error) {
			return c.rpc.LookUpNotifications(ctx, &pluginv1.LookUpNotificationsRequest{Email: email})
		},
		func(r *pluginv1.LookUpNotificationsResponse) []device.Notification {
			return notificationsFromProto(r.GetNotifications(), c.name)
		})
}

// SendFeedback passes on an answer.
func (c *Client) SendFeedback(ctx context.Context, f device.Feedback) error {
	_, err := c.rpc.SendFeedback(ctx, &pluginv1.SendFeedbackRequest{
		UserId: f.UserID, Id: f.ID, FeedbackJson: f.Feedback, Notes: f.Notes, Source: f.Source,
	})
	return c.failed(err, "send feedback", f.ID)
}

// TransformDevices hands devices through the plugin. Each keeps its own source.
func (c *Client) TransformDevices(ctx context.Context, devices []device.Device) ([]device.Device, error) {
	r, err := c.rpc.TransformDevices(ctx, &pluginv1.TransformDevicesRequest{Devices: devicesToProto(devices)})
	if err != nil {
		return nil, c.failed(err, "transform devices", "")
	}
	out := make([]device.Device, 0, len(r.GetDevices()))
	for _, p := range r.GetDevices() {
		out = append(out, deviceFromProto(p, p.GetSource()))
	}
	return out, nil
}

// TransformEvents hands events through the plugin. Each keeps its own source.
func (c *Client) TransformEvents(ctx context.Context, events []device.Event) ([]device.Event, error) {
	r, err := c.rpc.TransformEvents(ctx, &pluginv1.TransformEventsRequest{Events: eventsToProto(events)})
	if err != nil {
		return nil, c.failed(err, "transform events", "")
	}
	return eventsFromProto(r.GetEvents(), ""), nil
}

func (c *Client) failed(err error, op, subject string) error {
	return fromStatus(err, c.name, op, subject)
}

// collect reads a look-up's stream whole. What came before a failure is kept.
func collect[M, R any](
	ctx context.Context, c *Client, op, subject string,
	open func(context.Context) (grpc.ServerStreamingClient[M], error), read func(*M) []R,
) ([]R, error) {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	stream, err := open(ctx)
	if err != nil {
		return nil, c.failed(err, op, subject)
	}
	var all []R
	for {
		m, err := stream.Recv()
		switch {
		case errors.Is(err, io.EOF):
			return all, nil
		case err != nil:
			return all, c.failed(err, op, subject)
		}
		if records := read(m); all == nil {
			all = records
		} else {
			all = append(all, records...)
		}
		if len(all) > MaxRecords {
			return all[:MaxRecords], c.tooMany(op, subject)
		}
	}
}

var errIdle = errors.New("no further record within the time limit")

// list reads a listing's stream piece by piece.
func list[M any](
	ctx context.Context, c *Client, op string, idle time.Duration,
	open func(context.Context) (grpc.ServerStreamingClient[M], error), receive func(*M) error,
) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	timer := time.AfterFunc(idle, func() { cancel(errIdle) })
	defer timer.Stop()
	stream, err := open(ctx)
	for err == nil {
		var m *M
		if m, err = stream.Recv(); err != nil {
			break
		}
		timer.Stop()
		if err := receive(m); err != nil {
			return err
		}
		timer.Reset(idle)
	}
	switch {
	case errors.Is(err, io.EOF):
		return nil
	case errors.Is(context.Cause(ctx), errIdle):
		return &fault.Error{
			Kind: fault.Timeout, Source: c.name, Op: op, Err: errIdle,
			Remedy: "raise TIMEOUT of this plugin, or find out why its source is slow",
		}
	default:
		return c.failed(err, op, "")
	}
}
