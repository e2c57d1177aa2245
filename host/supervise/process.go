package supervise

import (
	"context"
	"crypto/sha256"
	"crypto/tls"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/hashicorp/go-hclog"
	"github.com/hashicorp/go-plugin"
	"github.com/hashicorp/go-plugin/runner"
	"google.golang.org/grpc/health/grpc_health_v1"

	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/plugins/sdk"
)

// process is one run of a plugin: started, described and configured.
type process struct {
	child    *child
	gp       *plugin.Client
	conn     *sdk.Connection
	client   *sdk.Client
	logger   *pluginLogger
	tls      *tls.Config // between host and plugin, for either direction
	keeping  *keeping    // nil unless the plugin keeps a journal
	started  time.Time
	sockets  string // the folder that go-plugin made for the process's socket
	desc     sdk.Description
	settings Settings
	ending   atomic.Bool    // its end was asked for
	calls    sync.WaitGroup // running on it; added to under Plugin.mu only
}

// launch starts a plugin, asks it to describe itself, and configures it. When it
// fails nothing is left behind.
func launch(ctx context.Context, program Program, configure Configure, o Options) (_ *process, err error) {
	ctx, cancel := context.WithTimeout(ctx, o.Limits.StartTimeout)
	defer cancel()
	if err := checkProgram(program); err != nil {
		return nil, err
	}
	p := &process{started: time.Now(), logger: newPluginLogger(o.Logger, program.Name)}
	defer func() {
		if err != nil && p.gp != nil {
			p.stop(0)
		}
	}()
	if err = p.connect(ctx, program, o); err == nil {
		p.desc, err = p.client.Describe(ctx)
	}
	if err != nil {
		p.stop(0) // which reads its last words
		return nil, p.startError(program, err)
	}
	if p.settings, err = configure(p.desc); err != nil {
		return nil, fault.Wrap(err, "configure plugin", program.Name)
	}
	p.logger.hide(p.settings.Secrets)
	stateDir := filepath.Join(o.StateDir, "plugins", program.Name)
	if err := os.MkdirAll(stateDir, 0o700); err != nil {
		return nil, &fault.Error{
			Kind: fault.Unavailable, Source: program.Name, Op: "make the plugin's state folder", Err: err,
			Remedy: "let the daemon write to its state_dir, or name another one",
		}
	}
	journalID, err := p.keep(program.Name, o)
	if err != nil {
		return nil, err
	}
	err = p.client.Configure(ctx, sdk.Configuration{
		Config: p.settings.Config, Timeout: p.settings.Timeout, Concurrency: p.settings.Concurrency,
		Debug: p.settings.Debug, StateDir: stateDir, JournalID: journalID,
	})
	if err != nil {
		return nil, err
	}
	return p, nil
}

// connect starts the process and shakes hands.
func (p *process) connect(ctx context.Context, program Program, o Options) error {
	self, err := newIdentity()
	if err != nil {
		return err
	}
	p.child, p.tls = newChild(program), self.tlsConfig()
	p.gp = plugin.NewClient(&plugin.ClientConfig{
		HandshakeConfig:  sdk.Handshake(),
		VersionedPlugins: sdk.HostPlugins(),
		AllowedProtocols: []plugin.Protocol{plugin.ProtocolGRPC},
		TLSConfig:        p.tls,
		SkipHostEnv:      true,
		StartTimeout:     o.Limits.StartTimeout,
		Logger:           p.logger,
		Stderr:           io.Discard, // the logger has it
		GRPCDialOptions:  sdk.DialOptions(),
		RunnerFunc: func(_ hclog.Logger, cmd *exec.Cmd, sockets string) (runner.Runner, error) {
			p.sockets = sockets
			return p.child.withEnv(append(cmd.Env, self.env())), nil
		},
	})
	type result struct {
		conn *sdk.Connection
		err  error
	}
	connected := make(chan result, 1)
	go func() {
		protocol, err := p.gp.Client() // bounded by StartTimeout
		if err != nil {
			connected <- result{err: err}
			return
		}
		conn, err := sdk.Dispense(protocol)
		connected <- result{conn, err}
	}()
	var r result
	select {
	case r = <-connected:
	case <-ctx.Done():
		p.kill()
		<-connected
		r.err = ctx.Err()
	}
	if r.err != nil {
		return r.err
	}
	p.conn, p.client = r.conn, sdk.NewClient(program.Name, r.conn)
	return nil
}

// startError tells why a plugin did not start, in a form that an administrator
// can act on.
func (p *process) startError(program Program, err error) error {
	if e := (*fault.Error)(nil); errors.As(err, &e) && e.Kind != fault.Unavailable && e.Kind != fault.Timeout {
		return err
	}
	e := &fault.Error{Kind: fault.Unavailable, Source: program.Name, Op: "start plugin", Subject: program.Path, Err: firstLine(err)}
	switch text := err.Error(); {
	case strings.Contains(text, "incompatible API version"), strings.Contains(text, "incompatible core API version"):
		e.Kind, e.Remedy = fault.BadResponse, fmt.Sprintf("rebuild the plugin for protocol version %d", sdk.ProtocolVersion)
	case strings.Contains(text, "timeout while waiting for plugin to start"), errors.Is(err, context.DeadlineExceeded):
		e.Kind, e.Message, e.Err = fault.Timeout, "it did not complete the handshake in time", nil
		e.Remedy = "check that the file is a Posture plugin; docs/plugin-protocol.md describes the handshake"
	case strings.Contains(text, "Unrecognized remote plugin message"), strings.Contains(text, "plugin exited before"):
		e.Kind, e.Message, e.Err = fault.BadResponse, "it ended or spoke before completing the handshake", nil
		e.Remedy = "check that the file is a Posture plugin for this machine; its last words are in the log"
	case strings.Contains(text, "permission denied"):
		e.Remedy = "let the daemon execute the file"
	}
	if words := p.logger.lastWords(); words != "" {
		e.Message = strings.TrimSpace(e.Message + " (it said: " + words + ")")
	}
	return e
}

func firstLine(err error) error {
	if line, _, cut := strings.Cut(err.Error(), "\n"); cut {
		return errors.New(line)
	}
	return err
}

// checkProgram verifies that the executable is there and is the one wanted.
func checkProgram(program Program) error {
	failed := func(message, remedy string, err error) error {
		return &fault.Error{
			Kind: fault.Unavailable, Source: program.Name, Op: "start plugin", Subject: program.Path, Message: message, Remedy: remedy, Err: err,
		}
	}
	f, err := os.Open(program.Path)
	if err != nil {
		return failed("", "put the plugin's executable there, or remove it from the configuration", err)
	}
	defer func() { _ = f.Close() }()
	if program.SHA256 == "" {
		return nil
	}
	h := sha256.New()
	if _, err := io.Copy(h, f); err != nil {
		return failed("cannot be read", "let the daemon read the file", err)
	}
	if have := hex.EncodeToString(h.Sum(nil)); !strings.EqualFold(have, program.SHA256) {
		return failed("its SHA-256 is "+have+", not the pinned "+program.SHA256,
			"if you trust the new file, write its checksum into SHA256; otherwise restore the old one", nil)
	}
	return nil
}

// exited is closed when the process has ended, for whatever reason.
func (p *process) exited() <-chan struct{} { return p.child.done }

func (p *process) kill() { _ = p.child.Kill(context.Background()) }

// idle is closed when the last call on the process has ended; ask only when no
// new one can begin.
func (p *process) idle() <-chan struct{} {
	idle := make(chan struct{})
	go func() {
		defer close(idle)
		p.calls.Wait()
	}()
	return idle
}

// stop ends the process: kindly within grace, then by force. It returns when the
// process is gone and everything of it is released.
func (p *process) stop(grace time.Duration) {
	p.ending.Store(true)
	if p.gp == nil {
		return // it was never begun
	}
	// go-plugin leaves the folder of a process that could not even be started.
	defer func() { _ = os.RemoveAll(p.sockets) }()
	defer p.keeping.stop() // last, as the process may tidy up what it keeps
	finished := make(chan struct{})
	go func() {
		defer close(finished)
		p.gp.Kill()
	}()
	timer := time.NewTimer(grace)
	defer timer.Stop()
	select {
	case <-finished:
		return
	case <-timer.C:
		p.kill()
	}
	<-finished
}

// healthy asks the gRPC health service that go-plugin registers.
func (p *process) healthy(ctx context.Context, limit time.Duration) error {
	ctx, cancel := context.WithTimeout(ctx, limit)
	defer cancel()
	r, err := grpc_health_v1.NewHealthClient(p.conn).Check(ctx, &grpc_health_v1.HealthCheckRequest{Service: plugin.GRPCServiceName})
	if err != nil {
		return err
	}
	if r.GetStatus() != grpc_health_v1.HealthCheckResponse_SERVING {
		return fmt.Errorf("health is %s", r.GetStatus())
	}
	return nil
}
