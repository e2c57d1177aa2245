package sdk

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"runtime/debug"
	"sync"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/plugins/sdk/pluginv1"
)

// How many records travel in one message of a stream: enough to make the cost
// of a message small, few enough to keep it well under the size limits.
const (
	devicesPerMessage = 50
	othersPerMessage  = 500
)

// server serves one plugin: it makes the instance when it is configured, and
// translates calls and errors.
type server struct {
	pluginv1.UnimplementedPluginServiceServer
	ctx    context.Context // ends when the plugin does
	plugin Plugin
	logger *slog.Logger
	dial   dialer // to the host; nil where there is none

	mu       sync.Mutex
	journal  *grpc.ClientConn // to the host's journal; nil without one
	instance any
	timeout  time.Duration
	turns    chan struct{} // made with the instance; as many as calls at once
}

// bounded gives a look-up's context the plugin's time limit. The host allows a
// little more, so that a plugin whose time is up can still hand over what it has
// found and say what was slow.
func (s *server) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	s.mu.Lock()
	limit := s.timeout
	s.mu.Unlock()
	if limit <= 0 {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, limit)
}

func (s *server) Describe(context.Context, *pluginv1.DescribeRequest) (*pluginv1.DescribeResponse, error) {
	d, err := s.plugin.Describe()
	if err != nil {
		return nil, toStatus(err)
	}
	caps := make([]pluginv1.Capability, len(d.Capabilities))
	for i, c := range d.Capabilities {
		caps[i] = capabilityToProto(c)
	}
	return &pluginv1.DescribeResponse{
		Name: d.Name, Version: d.Version, Summary: d.Summary, Capabilities: caps, ConfigSchema: string(d.ConfigSchema),
		Ownership: d.Ownership, Practices: d.Practices, Platforms: d.Platforms, Software: d.Software, Accepts: d.Accepts,
		Journal: d.Journal,
	}, nil
}

func (s *server) Configure(_ context.Context, r *pluginv1.ConfigureRequest) (*pluginv1.ConfigureResponse, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	if s.instance != nil {
		return nil, toStatus(fault.New(fault.Conflict, "already configured"))
	}
	env := Env{
		Logger: s.logger, Timeout: time.Duration(r.GetTimeoutMs()) * time.Millisecond, Concurrency: max(1, int(r.GetConcurrency())),
		Debug: r.GetDebug(), StateDir: r.GetStateDir(),
	}
	if env.Timeout <= 0 {
		return nil, toStatus(fault.InvalidField("timeout_ms", fmt.Sprint(r.GetTimeoutMs()), "must be positive", ""))
	}
	var err error
	if env.Journal, err = s.openJournal(r.GetJournalId()); err != nil {
		return nil, toStatus(err)
	}
	// The instance outlives this call, so it hangs on the plugin's own context.
	instance, err := s.plugin.Open(s.ctx, []byte(r.GetConfig()), env)
	if err != nil {
		s.closeJournal()
		return nil, toStatus(err)
	}
	s.instance, s.timeout, s.turns = instance, env.Timeout, make(chan struct{}, env.Concurrency)
	return &pluginv1.ConfigureResponse{}, nil
}

// closeInstance ends the instance if it can be ended.
func (s *server) closeInstance() error {
	s.mu.Lock()
	defer s.mu.Unlock()
	var err error
	switch c := s.instance.(type) {
	case interface{ Close() error }:
		err = c.Close()
	case interface{ Close() }:
		c.Close()
	}
	s.instance = nil
	s.closeJournal()
	return err
}

// closeJournal ends the connection to the host's journal.
func (s *server) closeJournal() {
	if s.journal != nil {
		_ = s.journal.Close() // which fails only when it was closed before
		s.journal = nil
	}
}

// capability gives the instance as one of the capability interfaces.
func capability[T any](s *server) (T, error) {
	s.mu.Lock()
	defer s.mu.Unlock()
	var none T
	if s.instance == nil {
		return none, toStatus(fault.New(fault.Conflict, "called before it was configured"))
	}
	c, ok := s.instance.(T)
	if !ok {
		return none, status.Error(codes.Unimplemented, "the plugin does not offer this")
	}
	return c, nil
}

func (s *server) TestConnectivity(ctx context.Context, _ *pluginv1.TestConnectivityRequest) (*pluginv1.TestConnectivityResponse, error) {
	c, err := capability[ConnectivityTester](s)
	if err != nil {
		return nil, err
	}
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	detail, err := c.TestConnectivity(ctx)
	if err != nil {
		return nil, toStatus(err)
	}
	return &pluginv1.TestConnectivityResponse{Detail: valid(detail)}, nil
}

// answer makes "not found" the empty answer that it is.
func answer(err error) error {
	if fault.IsNotFound(err) {
		return nil
	}
	return toStatus(err)
}

func (s *server) ListDevices(_ *pluginv1.ListDevicesRequest, stream grpc.ServerStreamingServer[pluginv1.ListDevicesResponse]) error {
	c, err := capability[DeviceLister](s)
	if err != nil {
		return err
	}
	b := batcher[device.Device]{size: devicesPerMessage, flush: func(chunk []device.Device) error {
		return stream.Send(&pluginv1.ListDevicesResponse{Devices: devicesToProto(chunk)})
	}}
	return b.finish(c.ListDevices(stream.Context(), b.add))
}

func (s *server) ListUsers(_ *pluginv1.ListUsersRequest, stream grpc.ServerStreamingServer[pluginv1.ListUsersResponse]) error {
	c, err := capability[UserLister](s)
	if err != nil {
		return err
	}
	b := batcher[device.User]{size: othersPerMessage, flush: func(chunk []device.User) error {
		users := make([]*pluginv1.User, len(chunk))
		for i, u := range chunk {
			users[i] = &pluginv1.User{Email: valid(u.Email), Name: valid(u.Name)}
		}
		return stream.Send(&pluginv1.ListUsersResponse{Users: users})
	}}
	return b.finish(c.ListUsers(stream.Context(), b.add))
}

func (s *server) LookUpEvents(r *pluginv1.LookUpEventsRequest, stream grpc.ServerStreamingServer[pluginv1.LookUpEventsResponse]) error {
	c, err := capability[EventsByEmail](s)
	if err != nil {
		return err
	}
	ctx, cancel := s.bounded(stream.Context())
	defer cancel()
	events, err := c.EventsByEmail(ctx, r.GetEmail())
	var sendErr error
	inChunks(events, othersPerMessage, func(chunk []device.Event) bool {
		sendErr = stream.Send(&pluginv1.LookUpEventsResponse{Events: eventsToProto(chunk)})
		return sendErr == nil
	})
	if sendErr != nil {
		return sendErr
	}
	return answer(err)
}

func (s *server) LookUpAccounts(ctx context.Context, r *pluginv1.LookUpAccountsRequest) (*pluginv1.LookUpAccountsResponse, error) {
	c, err := capability[AccountsByEmail](s)
	if err != nil {
		return nil, err
	}
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	accounts, err := c.AccountsByEmail(ctx, r.GetEmail())
	failures, err := partial(len(accounts), found(err))
	if err != nil {
		return nil, err
	}
	return &pluginv1.LookUpAccountsResponse{Accounts: accountsToProto(accounts), Failures: failures}, nil
}

func (s *server) LookUpNotifications(r *pluginv1.LookUpNotificationsRequest, stream grpc.ServerStreamingServer[pluginv1.LookUpNotificationsResponse]) error {
	c, err := capability[NotificationsByEmail](s)
	if err != nil {
		return err
	}
	ctx, cancel := s.bounded(stream.Context())
	defer cancel()
	notifications, err := c.NotificationsByEmail(ctx, r.GetEmail())
	var sendErr error
	inChunks(notifications, othersPerMessage, func(chunk []device.Notification) bool {
		sendErr = stream.Send(&pluginv1.LookUpNotificationsResponse{Notifications: notificationsToProto(chunk)})
		return sendErr == nil
	})
	if sendErr != nil {
		return sendErr
	}
	return answer(err)
}

func (s *server) SendFeedback(ctx context.Context, r *pluginv1.SendFeedbackRequest) (*pluginv1.SendFeedbackResponse, error) {
	c, err := capability[FeedbackSender](s)
	if err != nil {
		return nil, err
	}
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	err = c.SendFeedback(ctx, device.Feedback{
		UserID: r.GetUserId(), ID: r.GetId(), Feedback: rawJSON(r.GetFeedbackJson()), Notes: r.GetNotes(), Source: r.GetSource(),
	})
	if err != nil {
		return nil, toStatus(err)
	}
	return &pluginv1.SendFeedbackResponse{}, nil
}

func (s *server) TransformDevices(ctx context.Context, r *pluginv1.TransformDevicesRequest) (*pluginv1.TransformDevicesResponse, error) {
	c, err := capability[DeviceTransformer](s)
	if err != nil {
		return nil, err
	}
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	in := make([]device.Device, 0, len(r.GetDevices()))
	for _, p := range r.GetDevices() {
		in = append(in, deviceFromProto(p, p.GetSource()))
	}
	out, err := c.TransformDevices(ctx, in)
	if err != nil {
		return nil, toStatus(err)
	}
	return &pluginv1.TransformDevicesResponse{Devices: devicesToProto(out)}, nil
}

func (s *server) TransformEvents(ctx context.Context, r *pluginv1.TransformEventsRequest) (*pluginv1.TransformEventsResponse, error) {
	c, err := capability[EventTransformer](s)
	if err != nil {
		return nil, err
	}
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	out, err := c.TransformEvents(ctx, eventsFromProto(r.GetEvents(), ""))
	if err != nil {
		return nil, toStatus(err)
	}
	return &pluginv1.TransformEventsResponse{Events: eventsToProto(out)}, nil
}

func inChunks[T any](all []T, size int, yield func([]T) bool) {
	for len(all) > 0 {
		n := min(size, len(all))
		if !yield(all[:n]) {
			return
		}
		all = all[n:]
	}
}

// batcher gathers records into messages of a stream.
type batcher[T any] struct {
	size    int
	flush   func([]T) error
	pending []T
	failed  error // of flush: the host has gone, whatever the plugin says
}

func (b *batcher[T]) add(v T) error {
	b.pending = append(b.pending, v)
	if len(b.pending) < b.size {
		return nil
	}
	return b.send()
}

func (b *batcher[T]) send() error {
	if b.failed == nil && len(b.pending) > 0 {
		b.failed = b.flush(b.pending)
		b.pending = b.pending[:0]
	}
	return b.failed
}

// finish sends what is left, also before a failure, and gives the call's error.
func (b *batcher[T]) finish(err error) error {
	if sendErr := b.send(); sendErr != nil {
		return sendErr
	}
	return toStatus(err)
}

// recoverUnary and recoverStream turn a panic into an answer, so that a defect
// in one call does not end the others.
func recoverUnary(logger *slog.Logger) grpc.UnaryServerInterceptor {
	return func(ctx context.Context, req any, info *grpc.UnaryServerInfo, handler grpc.UnaryHandler) (resp any, err error) {
		defer func() {
			if p := recover(); p != nil {
				err = toStatus(panicked(ctx, logger, info.FullMethod, p))
			}
		}()
		growStack()
		return handler(ctx, req)
	}
}

func recoverStream(logger *slog.Logger) grpc.StreamServerInterceptor {
	return func(srv any, stream grpc.ServerStream, info *grpc.StreamServerInfo, handler grpc.StreamHandler) (err error) {
		defer func() {
			if p := recover(); p != nil {
				err = toStatus(panicked(stream.Context(), logger, info.FullMethod, p))
			}
		}()
		return handler(srv, stream)
	}
}

func panicked(ctx context.Context, logger *slog.Logger, method string, p any) error {
	logger.ErrorContext(ctx, "panic in a call", "method", method, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
	return &fault.Error{
		Kind: fault.Internal, Message: "the plugin panicked", Err: errors.New(fmt.Sprint(p)),
		Remedy: "this is a defect of the plugin; its log has the stack",
	}
}
