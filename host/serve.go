package host

import (
	"context"
	"errors"
	"net"
	"net/http"
	"os"
	"slices"
	"sync"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/host/api"
	"github.com/postureproject/posture/host/auth"
	"github.com/postureproject/posture/host/httpserver"
	"github.com/postureproject/posture/plugins/sdk"
)

// Listen opens the configured address.
func (h *Host) Listen(ctx context.Context) (net.Listener, error) {
	address := h.Settings().Listen
	var lc net.ListenConfig
	listener, err := lc.Listen(ctx, "tcp", address)
	if err != nil {
		return nil, &fault.Error{
			Kind: fault.Unavailable, Op: "listen", Subject: address, Err: err,
			Remedy: "end the program that uses this address, or set another one in listen",
		}
	}
	return listener, nil
}

// Serve answers HTTP requests on the listener until the context ends. A signal on
// reload has the configuration read again.
func (h *Host) Serve(ctx context.Context, listener net.Listener, version string, reload <-chan os.Signal) error {
	key, err := TokenKey(h)
	if err != nil {
		return err
	}
	h.metrics.version(version)
	mux := http.NewServeMux()
	api.New(&server{Host: h, localKey: key, local: isLoopback(listener.Addr())}, h.o.Logger, h.Settings().MaxConcurrentScans).Register(mux)
	s := httpserver.New(mux, httpserver.Options{
		Logger: h.o.Logger, Registry: h.metrics.registry, Ready: h.Ready, Degraded: h.Degraded, Details: h.Details, Version: version,
		RequestTimeout: h.Settings().ScanTimeout + h.Settings().DefaultTimeout,
	})
	var services sync.WaitGroup
	running, stop := context.WithCancel(ctx)
	defer services.Wait()
	defer stop()
	if h.recorder != nil {
		services.Go(func() { _ = h.recorder.Run(running) }) // which fails at nothing that it does not log
		services.Go(func() { h.deliverer.run(running) })
		services.Go(func() { h.nights(running) })
		services.Go(func() { h.retain(running) })
		services.Go(func() { h.store.run(running) })
	}
	done := make(chan struct{})
	go func() {
		defer close(done)
		for {
			select {
			case <-reload:
				_ = h.Reload(ctx) // which logs and counts its failure
			case <-ctx.Done():
				return
			}
		}
	}()
	err = s.Run(ctx, listener)
	if ctx.Err() == nil {
		return errors.Join(errors.New("the server ended by itself"), err)
	}
	<-done
	return err
}

// TokenKey gives the key that signs tokens: the configured one, or one that is
// kept in the state folder.
func TokenKey(h *Host) ([]byte, error) {
	s := h.Settings()
	return KeyFor(s.JWTSecretKey.Reveal(), s.StateDir)
}

// KeyFor gives the key that signs tokens under a configuration.
func KeyFor(configured, stateDir string) ([]byte, error) {
	if configured != "" {
		return []byte(configured), nil
	}
	return auth.LocalKey(stateDir)
}

// server is the host as the API sees it.
type server struct {
	*Host
	localKey []byte
	local    bool // only this machine reaches it
}

func isLoopback(a net.Addr) bool {
	tcp, ok := a.(*net.TCPAddr)
	return ok && tcp.IP.IsLoopback()
}

// Policy implements [api.Host]. Without a log-in manager and without a key of
// its own, the server is open: it listens on loopback only, unless the
// configuration allows more in so many words. The address is that of the start: a
// reload that takes the key away does not open what others reach.
func (s *server) Policy() auth.Policy {
	settings := s.Settings()
	key := s.localKey
	if configured := settings.JWTSecretKey.Reveal(); configured != "" {
		key = []byte(configured)
	}
	open := settings.JWTSecretKey == "" && settings.LoginManager == "" && (s.local || settings.AllowRemoteWithoutLogin)
	return auth.Policy{Key: key, Admins: settings.Admins, Open: open}
}

// SendFeedback implements [api.Host].
func (s *server) SendFeedback(ctx context.Context, plugin string, f device.Feedback) error {
	p, ok := s.sup.Plugin(plugin)
	if ok {
		if s.o.Store != nil && slices.Contains(s.sinks(device.DeliverFeedback), plugin) {
			return s.queueFeedback(ctx, plugin, f) // which loses nothing while the sink is down
		}
		if d, known := p.Description(); !known || d.Has(sdk.CapFeedback) {
			return p.SendFeedback(ctx, f)
		}
	}
	return &fault.Error{Kind: fault.NotFound, Subject: plugin, Message: "no configured plugin of this name takes feedback", Remedy: "see posture plugin list"}
}

// PluginStatus implements [api.Host].
func (s *server) PluginStatus() any { return s.Status() }
