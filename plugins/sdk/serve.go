package sdk

import (
	"context"
	"fmt"
	"io"
	"log/slog"
	"net"
	"os"
	"runtime/debug"
	"strconv"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"google.golang.org/grpc"

	"github.com/postureproject/posture/plugins/sdk/pluginv1"
)

// The handshake. The cookie keeps people from starting a plugin by hand; it is
// no secret.
const (
	// ProtocolVersion is the newest protocol version that this SDK speaks.
	ProtocolVersion = 1
	// MagicCookieKey is the environment variable that tells a plugin that a host
	// started it.
	MagicCookieKey = "POSTURE_PLUGIN"
	// MagicCookieValue is what the variable holds.
	MagicCookieValue = "7d1f2c7e-5b0c-4d55-9c0e-1b7c41f0a9b3"
	// LifelineKey is the environment variable with the number of a file
	// descriptor that reaches its end when the host is gone, however it went.
	LifelineKey = "POSTURE_LIFELINE_FD"
	// MaxMessageSize bounds one message in either direction, in bytes.
	MaxMessageSize = 32 << 20

	// dispenseName is the one plugin in the set that go-plugin asks for.
	dispenseName = "plugin"
)

// Handshake is the handshake that host and plugin share.
func Handshake() plugin.HandshakeConfig {
	return plugin.HandshakeConfig{MagicCookieKey: MagicCookieKey, MagicCookieValue: MagicCookieValue}
}

// HostPlugins gives the protocol versions that the host accepts, for
// go-plugin's negotiation. Dispensing yields a [*Connection].
func HostPlugins() map[int]plugin.PluginSet {
	return map[int]plugin.PluginSet{ProtocolVersion: {dispenseName: connPlugin{}}}
}

// Connection is the host's connection to a started plugin.
type Connection struct {
	*grpc.ClientConn

	broker *plugin.GRPCBroker
}

// Listen opens a socket that the plugin, told the id, can reach the host by. The
// plugin must speak go-plugin's broker. What is served there needs its own
// credentials. The caller closes the listener.
func (c *Connection) Listen() (id uint32, listener net.Listener, err error) {
	id = c.broker.NextId()
	listener, err = c.broker.Accept(id)
	return id, listener, err
}

// Dispense gives the connection to a started plugin, for [NewClient].
func Dispense(protocol plugin.ClientProtocol) (*Connection, error) {
	raw, err := protocol.Dispense(dispenseName)
	if err != nil {
		return nil, err
	}
	conn, ok := raw.(*Connection)
	if !ok {
		return nil, fmt.Errorf("dispensed a %T", raw)
	}
	return conn, nil
}

// connPlugin is the host's half of a go-plugin plugin.
type connPlugin struct{ plugin.NetRPCUnsupportedPlugin }

func (connPlugin) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error {
	return fmt.Errorf("the host serves no plugin")
}

func (connPlugin) GRPCClient(_ context.Context, broker *plugin.GRPCBroker, conn *grpc.ClientConn) (any, error) {
	return &Connection{ClientConn: conn, broker: broker}, nil
}

// servePlugin is the plugin's half.
type servePlugin struct {
	plugin.NetRPCUnsupportedPlugin
	server *server
}

func (p servePlugin) GRPCServer(broker *plugin.GRPCBroker, s *grpc.Server) error {
	p.server.dial = func(id uint32) (*grpc.ClientConn, error) { return broker.DialWithOptions(id, DialOptions()...) }
	pluginv1.RegisterPluginServiceServer(s, p.server)
	return nil
}

func (servePlugin) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, fmt.Errorf("a plugin is no host")
}

// gcPercent lets a plugin's heap grow to four times what is in use before it is
// collected. What is in use is a few megabytes, for which Go's default of twice
// would collect many times a second.
const gcPercent = 300

// Serve runs a plugin until the host ends it; it is all that a plugin's main
// function does. Started by hand it says so and exits.
func Serve(p Plugin) {
	debug.SetGCPercent(gcPercent)
	ctx, cancel := context.WithCancel(context.Background())
	logger := newLogger(os.Stderr)
	watchLifeline(os.Getenv(LifelineKey))
	s := &server{ctx: ctx, plugin: p, logger: logger}
	plugin.Serve(&plugin.ServeConfig{
		HandshakeConfig:  Handshake(),
		VersionedPlugins: map[int]plugin.PluginSet{ProtocolVersion: {dispenseName: servePlugin{server: s}}},
		// go-plugin's own remarks about its start are of no use to anybody.
		Logger: hclog.NewNullLogger(),
		GRPCServer: func(opts []grpc.ServerOption) *grpc.Server {
			return grpc.NewServer(append(opts, serverOptions(logger)...)...)
		},
	})
	cancel()
	if err := s.closeInstance(); err != nil {
		logger.Error("close plugin", "error", err.Error())
	}
}

func serverOptions(logger *slog.Logger) []grpc.ServerOption {
	return []grpc.ServerOption{
		grpc.MaxRecvMsgSize(MaxMessageSize), grpc.MaxSendMsgSize(MaxMessageSize),
		grpc.UnaryInterceptor(recoverUnary(logger)), grpc.StreamInterceptor(recoverStream(logger)),
		grpc.StaticStreamWindowSize(windowSize), grpc.StaticConnWindowSize(windowSize),
	}
}

// windowSize is how many bytes may be under way before the other side has read
// them. Fixed, it spares the pings by which gRPC otherwise measures the
// connection while data arrives: to a process of the same machine there is no
// distance.
const windowSize = 4 << 20

// DialOptions are how the host dials a plugin.
func DialOptions() []grpc.DialOption {
	return []grpc.DialOption{
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(MaxMessageSize), grpc.MaxCallSendMsgSize(MaxMessageSize)),
		grpc.WithStaticStreamWindowSize(windowSize), grpc.WithStaticConnWindowSize(windowSize),
	}
}

// watchLifeline ends the process when the host is gone. The goroutine lives as
// long as the process, which is all there is to wait for.
func watchLifeline(fd string) {
	n, err := strconv.ParseUint(fd, 10, 16)
	if err != nil {
		return
	}
	lifeline := os.NewFile(uintptr(n), "lifeline")
	if lifeline == nil {
		return
	}
	go func() {
		_, _ = io.Copy(io.Discard, lifeline)
		os.Exit(1)
	}()
}

// newLogger writes lines as the host's go-plugin reads them.
func newLogger(w io.Writer) *slog.Logger {
	return slog.New(slog.NewJSONHandler(w, &slog.HandlerOptions{
		Level: slog.LevelDebug, // the host filters
		ReplaceAttr: func(groups []string, a slog.Attr) slog.Attr {
			if len(groups) > 0 {
				return a
			}
			switch a.Key {
			case slog.MessageKey:
				a.Key = "@message"
			case slog.TimeKey:
				return slog.String("@timestamp", a.Value.Time().Format("2006-01-02T15:04:05.000000Z07:00"))
			case slog.LevelKey:
				return slog.String("@level", hclogLevel(a.Value))
			}
			return a
		},
	}))
}

func hclogLevel(v slog.Value) string {
	level, _ := v.Any().(slog.Level)
	switch {
	case level >= slog.LevelError:
		return "error"
	case level >= slog.LevelWarn:
		return "warn"
	case level >= slog.LevelInfo:
		return "info"
	default:
		return "debug"
	}
}

// NewServer serves a plugin without a process of its own, for tests; the caller
// gives it a listener. Stop the server, then call closePlugin.
func NewServer(p Plugin, logger *slog.Logger, options ...ServerOption) (s *grpc.Server, closePlugin func() error) {
	ctx, cancel := context.WithCancel(context.Background())
	impl := &server{ctx: ctx, plugin: p, logger: logger}
	for _, o := range options {
		o(impl)
	}
	s = grpc.NewServer(serverOptions(logger)...)
	pluginv1.RegisterPluginServiceServer(s, impl)
	return s, func() error {
		cancel()
		return impl.closeInstance()
	}
}
