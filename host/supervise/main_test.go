package supervise_test

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/hashicorp/go-plugin"
	"go.uber.org/goleak"
	"google.golang.org/grpc"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/plugins/sdk"
)

// The test binary serves its own plugins: run again with "fake" and a mode, it
// is a plugin that behaves accordingly.
func TestMain(m *testing.M) {
	if len(os.Args) > 2 && os.Args[1] == "fake" {
		fakeMain(os.Args[2])
		return
	}
	if len(os.Args) > 2 && os.Args[1] == "host" {
		hostMain(os.Args[2])
		return
	}
	goleak.VerifyTestMain(m, goleak.IgnoreAnyFunction("github.com/hashicorp/go-plugin.(*GRPCBroker).Run"))
}

func fakeMain(mode string) {
	switch mode {
	case "mute":
		time.Sleep(time.Hour)
	case "chatter":
		fmt.Fprintln(os.Stderr, "wrong program")
		fmt.Println("hello, I am no plugin")
	case "old":
		plugin.Serve(&plugin.ServeConfig{
			HandshakeConfig: sdk.Handshake(), GRPCServer: plugin.DefaultGRPCServer,
			VersionedPlugins: map[int]plugin.PluginSet{99: {"plugin": oldPlugin{}}},
		})
	default:
		sdk.Serve(sdk.Definition[fakeConfig, *fake]{
			Name: "fake", Version: "0.1.0", Summary: "misbehaves on demand", Journal: mode == "keeper",
			New: func(_ context.Context, c fakeConfig, env sdk.Env) (*fake, error) {
				if c.Text == "refuse" {
					return nil, fault.InvalidField("TEXT", c.Text, "is refused", "write another")
				}
				return &fake{config: c, env: env}, nil
			},
		})
	}
}

type oldPlugin struct{ plugin.NetRPCUnsupportedPlugin }

func (oldPlugin) GRPCServer(*plugin.GRPCBroker, *grpc.Server) error { return nil }
func (oldPlugin) GRPCClient(context.Context, *plugin.GRPCBroker, *grpc.ClientConn) (any, error) {
	return nil, nil
}

type fakeConfig struct {
	Text   string     `json:"TEXT"`
	Secret sdk.Secret `json:"SECRET"`
}

type fake struct {
	config fakeConfig
	env    sdk.Env
}

// DevicesByEmail does what the address says.
func (f *fake) DevicesByEmail(ctx context.Context, email string) ([]device.Device, error) {
	what, _, _ := strings.Cut(email, "@")
	switch what {
	case "crash":
		os.Exit(3)
	case "crashonce":
		marker := filepath.Join(f.env.StateDir, "crashed")
		if _, err := os.Stat(marker); err != nil {
			_ = os.WriteFile(marker, nil, 0o600)
			os.Exit(3)
		}
	case "hang":
		select {} // not even the context ends it
	case "slow":
		<-ctx.Done()
		return []device.Device{{Name: "found before"}}, fault.New(fault.Timeout, "the vendor is slow")
	case "panic":
		panic("odd data")
	case "flood":
		devices := make([]device.Device, sdk.MaxRecords+100)
		return devices, nil
	case "huge":
		return []device.Device{{Name: strings.Repeat("x", sdk.MaxMessageSize+1)}}, nil
	case "log":
		for range 5000 {
			f.env.Logger.Info("chatter", "secret", f.config.Secret.Reveal())
		}
	case "unavailable":
		return nil, &fault.Error{Kind: fault.Unavailable, Op: "get devices", Message: "vendor down", Remedy: "wait"}
	case "notfound":
		return nil, fault.New(fault.NotFound, "nobody")
	case "environment":
		return []device.Device{{Name: strings.Join(os.Environ(), "\n"), Model: strings.Join(os.Args, " ")}}, nil
	case "keep":
		return f.keep(ctx)
	case "stdin":
		b, _ := io.ReadAll(os.Stdin)
		return []device.Device{{Name: fmt.Sprint(len(b))}}, nil
	case "grandchild":
		cmd := exec.Command("/bin/sleep", "300")
		if err := cmd.Start(); err != nil {
			return nil, err
		}
		return []device.Device{{Name: fmt.Sprint(cmd.Process.Pid)}}, nil
	}
	return []device.Device{{Name: f.config.Text, Serial: fmt.Sprint(os.Getpid())}}, nil
}

// keep counts in the journal how often it was called.
func (f *fake) keep(ctx context.Context) ([]device.Device, error) {
	p, err := f.env.Journal.Progress(ctx, "calls")
	if err != nil {
		return nil, err
	}
	p.Document = append(p.Document, 'x')
	if _, err := f.env.Journal.Append(ctx, "calls", sdk.JournalBatch{Progress: &p}); err != nil {
		return nil, err
	}
	return []device.Device{{Name: string(p.Document), Serial: fmt.Sprint(os.Getpid())}}, nil
}

// Close leaves a mark in the journal, if there is one: it must still work then.
func (f *fake) Close() {
	ctx, cancel := context.WithTimeout(context.Background(), time.Second)
	defer cancel()
	_, _ = f.env.Journal.Append(ctx, "closed", sdk.JournalBatch{})
}

// TestConnectivity makes the capability known.
func (f *fake) TestConnectivity(context.Context) (string, error) { return "reached", nil }

// Deliver does with each document what its kind says, and leaves a mark of each
// call.
func (f *fake) Deliver(ctx context.Context, deliveries []device.Delivery) []error {
	marks, err := os.OpenFile(filepath.Join(f.env.StateDir, "calls"), os.O_APPEND|os.O_CREATE|os.O_WRONLY, 0o600)
	if err != nil {
		return []error{err}
	}
	_, _ = marks.WriteString("x")
	_ = marks.Close()
	errs := make([]error, len(deliveries))
	for i, d := range deliveries {
		switch d.Kind {
		case "crash":
			os.Exit(3)
		case "hang":
			select {}
		case "refuse":
			errs[i] = fault.New(fault.Invalid, "not this one")
		}
	}
	return errs
}
