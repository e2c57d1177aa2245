// Package sdktest helps to test a plugin the way the host will use it: over the
// real protocol, but in the test's own process.
package sdktest

import (
	"context"
	"encoding/json"
	"io"
	"log/slog"
	"net"
	"testing"
	"time"

	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	"github.com/postureproject/posture/plugins/sdk"
)

// Option changes how [Open] sets a plugin up.
type Option func(*sdk.Configuration)

// WithTimeout sets the time limit of one look-up; ten seconds otherwise.
func WithTimeout(d time.Duration) Option { return func(c *sdk.Configuration) { c.Timeout = d } }

// WithDebug asks for raw documents.
func WithDebug() Option { return func(c *sdk.Configuration) { c.Debug = true } }

// WithStateDir sets the plugin's folder; a fresh one otherwise.
func WithStateDir(dir string) Option { return func(c *sdk.Configuration) { c.StateDir = dir } }

// Dial serves an unconfigured plugin in this process and gives a client of it.
// Everything ends with the test.
func Dial(t testing.TB, p sdk.Plugin) *sdk.Client {
	t.Helper()
	return dial(t, p, t.Output())
}

// OpenLog is [Open] with another place for the plugin's log, and without a
// verdict on the configuration: it gives the error with which it was refused.
func OpenLog(t testing.TB, p sdk.Plugin, log io.Writer, settings map[string]any, options ...Option) (*sdk.Client, error) {
	t.Helper()
	client := dial(t, p, log)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	return client, client.Configure(ctx, configuration(t, settings, options))
}

// dial is Dial with another place for the plugin's log.
func dial(t testing.TB, p sdk.Plugin, log io.Writer) *sdk.Client {
	t.Helper()
	d, err := p.Describe()
	if err != nil {
		t.Fatalf("describe: %v", err)
	}
	listener := bufconn.Listen(1 << 20)
	server, closePlugin := sdk.NewServer(p, slog.New(slog.NewTextHandler(log, nil)))
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener)
	}()
	conn, err := grpc.NewClient("passthrough:///plugin",
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }),
		grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(sdk.MaxMessageSize)))
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	t.Cleanup(func() {
		_ = conn.Close()
		server.Stop()
		<-served
		if err := closePlugin(); err != nil {
			t.Errorf("close plugin: %v", err)
		}
	})
	return sdk.NewClient(d.Name, conn)
}

// Open serves a plugin in this process, configures it with settings (what would
// stand under its name in the configuration) and gives a client of it.
func Open(t testing.TB, p sdk.Plugin, settings map[string]any, options ...Option) *sdk.Client {
	t.Helper()
	client := Dial(t, p)
	cfg := configuration(t, settings, options)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := client.Configure(ctx, cfg); err != nil {
		t.Fatalf("configure: %v", err)
	}
	return client
}

func configuration(t testing.TB, settings map[string]any, options []Option) sdk.Configuration {
	t.Helper()
	cfg := sdk.Configuration{Timeout: 10 * time.Second, Concurrency: 10}
	for _, o := range options {
		o(&cfg)
	}
	if cfg.StateDir == "" {
		cfg.StateDir = t.TempDir()
	}
	var err error
	if cfg.Config, err = json.Marshal(settings); err != nil {
		t.Fatalf("marshal settings: %v", err)
	}
	return cfg
}
