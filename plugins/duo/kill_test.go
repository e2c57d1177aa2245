package duo_test

import (
	"context"
	"encoding/json"
	"fmt"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"google.golang.org/grpc"
	"google.golang.org/grpc/credentials/insecure"
	"google.golang.org/grpc/test/bufconn"

	sim "github.com/postureproject/posture/internal/simulator/duo"
	"github.com/postureproject/posture/internal/simulator/fleet"
	"github.com/postureproject/posture/plugins/duo"
	"github.com/postureproject/posture/plugins/sdk"
	"github.com/postureproject/posture/plugins/sdk/sdktest"
)

// childKey is the environment variable that makes the test binary a process
// that pulls until it is killed. Its value is the plugin's configuration; the
// next one's is the socket at which its journal is.
const (
	childKey     = "POSTURE_DUO_TEST_CHILD"
	childSockKey = "POSTURE_DUO_TEST_SOCKET"
)

// childTimeout is the children's time limit: twice as long, the claim of one
// that was killed keeps the next one waiting.
const childTimeout = 300 * time.Millisecond

// runChild pulls until the process is killed.
func runChild(settings string) {
	server, _ := sdk.NewServer(duo.PluginAt(time.Now, shortWait), slog.New(slog.DiscardHandler), sdk.WithJournalAt(func(uint32) (*grpc.ClientConn, error) {
		return grpc.NewClient("unix:"+os.Getenv(childSockKey), grpc.WithTransportCredentials(insecure.NewCredentials()))
	}))
	memory := bufconn.Listen(1 << 20)
	go func() { _ = server.Serve(memory) }()
	conn, err := grpc.NewClient("passthrough:///child", grpc.WithTransportCredentials(insecure.NewCredentials()),
		grpc.WithContextDialer(func(ctx context.Context, _ string) (net.Conn, error) { return memory.DialContext(ctx) }))
	if err == nil {
		err = sdk.NewClient("duo", conn).Configure(context.Background(), sdk.Configuration{
			Config: []byte(settings), Timeout: childTimeout, Concurrency: 1, JournalID: 1,
		})
	}
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	select {}
}

// serveJournal serves a journal to other processes.
func serveJournal(t *testing.T, j sdk.Journal) (socket string) {
	t.Helper()
	dir, err := os.MkdirTemp("", "duo") // the test's own name would be too long for a socket
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = os.RemoveAll(dir) })
	socket = filepath.Join(dir, "journal")
	listener, err := new(net.ListenConfig).Listen(t.Context(), "unix", socket)
	if err != nil {
		t.Fatal(err)
	}
	server := sdk.NewJournalServer(j, slog.New(slog.NewTextHandler(t.Output(), nil)))
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(listener)
	}()
	t.Cleanup(func() {
		server.Stop()
		<-served
	})
	return socket
}

// open makes an instance in this process.
func (b *bench) open(plugin sdk.Plugin, timeout time.Duration) *duo.Source {
	b.t.Helper()
	text, err := json.Marshal(b.settings)
	if err != nil {
		b.t.Fatal(err)
	}
	instance, err := plugin.Open(b.t.Context(), text, sdk.Env{
		Logger: slog.New(slog.NewTextHandler(b.t.Output(), nil)), Timeout: timeout, Concurrency: 1, Journal: b.journal,
	})
	if err != nil {
		b.t.Fatal(err)
	}
	source, ok := instance.(*duo.Source)
	if !ok {
		b.t.Fatalf("the instance is a %T", instance)
	}
	return source
}

// TestKilled kills a pulling process again and again, each time at another
// place of the log, and then lets one read on: nothing is lost, nothing is there
// twice, and what was read is not read again.
func TestKilled(t *testing.T) {
	t.Parallel()
	f := fleet.New(fleet.Options{Now: time.Now()})
	server := sim.New(f, sim.Options{IntegrationKey: integrationKey, SecretKey: secret, Days: 30})
	pages := (server.Len() + duo.PageSize - 1) / duo.PageSize
	var served, killAt atomic.Int64
	reached := make(chan struct{}, 1)
	web := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		server.ServeHTTP(w, r)
		if served.Add(1) == killAt.Load() {
			// The page is on its way: the kill comes while it is read or stored.
			reached <- struct{}{}
		}
	}))
	t.Cleanup(web.Close)
	b := &bench{t: t, fleet: f, journal: sdktest.NewJournal()}
	socket := serveJournal(t, b.journal)
	settings := map[string]any{
		"DUO_INTEGRATION_KEY": integrationKey, "DUO_SECRET_KEY": secret, "DUO_API_HOSTNAME": web.URL, "DUO_FIRST_PULL": "4320h",
	}
	text, err := json.Marshal(settings)
	if err != nil {
		t.Fatal(err)
	}
	const kills = 4
	for kill := range kills {
		killAt.Store(served.Load() + 2)
		child := exec.CommandContext(t.Context(), os.Args[0], "-test.run=^$")
		child.Env = append(os.Environ(), childKey+"="+string(text), childSockKey+"="+socket)
		child.Stderr = t.Output()
		if err := child.Start(); err != nil {
			t.Fatal(err)
		}
		select {
		case <-reached:
		case <-time.After(30 * time.Second):
			t.Error("the process did not get as far as it should")
		}
		// Different moments after the page was served, down to none.
		time.Sleep(time.Duration(kill) * 7 * time.Millisecond)
		_ = child.Process.Kill()
		if err := child.Wait(); err == nil {
			t.Error("the process ended by itself")
		}
	}
	b.settings = settings
	if got := len(b.stored()); got == 0 || got >= server.Len() {
		t.Fatalf("%d of %d events were stored by the killed processes: the test tells nothing", got, server.Len())
	}
	source := b.open(duo.PluginAt(time.Now, time.Hour), 30*time.Second)
	if _, err := source.TestConnectivity(t.Context()); err != nil {
		t.Error(err)
	}
	source.Close()
	if diff := cmp.Diff(b.logins(30), b.stored()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	// Each kill costs two pages at most: the one under way, and the one that was
	// asked for meanwhile.
	if got := int(served.Load()); got > pages+2*kills+1 {
		t.Errorf("%d pages were asked for, of %d: what was stored was read again", got, pages)
	}
}

// TestTwoProcesses has two instances read the same log into the same journal,
// as happens while a host is being replaced.
func TestTwoProcesses(t *testing.T) {
	t.Parallel()
	b := setUp(t, benchOptions{sim: sim.Options{Days: 20}, settings: map[string]any{"DUO_FIRST_PULL": "4320h"}})
	source := b.open(b.plugin, 30*time.Second)
	if _, err := source.TestConnectivity(t.Context()); err != nil {
		t.Error(err)
	}
	b.pull()
	source.Close()
	if diff := cmp.Diff(b.logins(20), b.stored()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	b.clock.add(time.Hour)
	b.server.Add(b.event("later", "ada", "ada@example.com", 10*time.Minute))
	b.pull()
	if b.stored()["later"] != 1 {
		t.Error("the remaining instance does not read on")
	}
}
