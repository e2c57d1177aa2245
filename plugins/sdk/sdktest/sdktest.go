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
type Option func(*setup)

// setup is what a plugin gets.
type setup struct {
	sdk.Configuration

	journal sdk.Journal
}

// WithTimeout sets the time limit of one look-up; ten seconds otherwise.
func WithTimeout(d time.Duration) Option { return func(s *setup) { s.Timeout = d } }

// WithDebug asks for raw documents.
func WithDebug() Option { return func(s *setup) { s.Debug = true } }

// WithStateDir sets the plugin's folder; a fresh one otherwise.
func WithStateDir(dir string) Option { return func(s *setup) { s.StateDir = dir } }

// WithJournal sets what the plugin keeps; a fresh [Journal] otherwise.
func WithJournal(j sdk.Journal) Option { return func(s *setup) { s.journal = j } }

// Dial serves an unconfigured plugin in this process and gives a client of it.
// Everything ends with the test. A plugin that asks for a journal finds that
// there is none.
func Dial(t testing.TB, p sdk.Plugin) *sdk.Client {
	t.Helper()
	return dial(t, p, t.Output(), nil)
}

// OpenLog is [Open] with another place for the plugin's log, and without a
// verdict on the configuration: it gives the error with which it was refused.
func OpenLog(t testing.TB, p sdk.Plugin, log io.Writer, settings map[string]any, options ...Option) (*sdk.Client, error) {
	t.Helper()
	s := configuration(t, settings, options)
	client := dial(t, p, log, s.journal)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	return client, client.Configure(ctx, s.Configuration)
}

// journalID is what a plugin's journal is served under; there is only one.
const journalID = 1

// dial is Dial with another place for the plugin's log, and with a journal.
func dial(t testing.TB, p sdk.Plugin, log io.Writer, j sdk.Journal) *sdk.Client {
	t.Helper()
	d, err := p.Describe()
	if err != nil {
		t.Fatalf("describe: %v", err)
	}
	logger := slog.New(slog.NewTextHandler(log, nil))
	var options []sdk.ServerOption
	if j != nil {
		dialJournal := serve(t, sdk.NewJournalServer(j, logger))
		options = append(options, sdk.WithJournalAt(func(uint32) (*grpc.ClientConn, error) { return dialJournal() }))
	}
	server, closePlugin := sdk.NewServer(p, logger, options...)
	t.Cleanup(func() {
		if err := closePlugin(); err != nil {
			t.Errorf("close plugin: %v", err)
		}
	})
	conn, err := serve(t, server)()
	if err != nil {
		t.Fatalf("dial: %v", err)
	}
	t.Cleanup(func() { _ = conn.Close() })
	return sdk.NewClient(d.Name, conn)
}

// serve serves in memory until the test ends.
func serve(t testing.TB, server *grpc.Server) (dial func() (*grpc.ClientConn, error)) {
	t.Helper()
	listener := bufconn.Listen(1 << 20)
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener)
	}()
	t.Cleanup(func() {
		server.Stop()
		<-served
	})
	return func() (*grpc.ClientConn, error) {
		return grpc.NewClient("passthrough:///memory",
			grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return listener.DialContext(ctx) }),
			grpc.WithTransportCredentials(insecure.NewCredentials()),
			grpc.WithDefaultCallOptions(grpc.MaxCallRecvMsgSize(sdk.MaxMessageSize)))
	}
}

// Open serves a plugin in this process, configures it with settings (what would
// stand under its name in the configuration) and gives a client of it.
func Open(t testing.TB, p sdk.Plugin, settings map[string]any, options ...Option) *sdk.Client {
	t.Helper()
	s := configuration(t, settings, options)
	client := dial(t, p, t.Output(), s.journal)
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Second)
	defer cancel()
	if err := client.Configure(ctx, s.Configuration); err != nil {
		t.Fatalf("configure: %v", err)
	}
	return client
}

func configuration(t testing.TB, settings map[string]any, options []Option) setup {
	t.Helper()
	s := setup{Configuration: sdk.Configuration{Timeout: 10 * time.Second, Concurrency: 10, JournalID: journalID}}
	for _, o := range options {
		o(&s)
	}
	if s.StateDir == "" {
		s.StateDir = t.TempDir()
	}
	if s.journal == nil {
		s.journal = NewJournal()
	}
	var err error
	if s.Config, err = json.Marshal(settings); err != nil {
		t.Fatalf("marshal settings: %v", err)
	}
	return s
}
