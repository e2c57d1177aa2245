// Package httpserver is the frame around every answer that Posture gives over
// HTTP: limits on time and size, probes, metrics, the access log, and a shutdown
// that lets running answers finish. What is answered is its callers' business.
package httpserver

import (
	"context"
	"encoding/json"
	"errors"
	"log/slog"
	"maps"
	"net"
	"net/http"
	"strings"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/promhttp"
)

// Options say how to serve. Logger, Registry and Ready are required.
type Options struct {
	Logger   *slog.Logger
	Registry *prometheus.Registry
	// Ready says why requests cannot be answered yet; nil when they can.
	Ready func() error
	// Degraded says what is amiss although requests can be answered; nil when
	// nothing is. It may be left out.
	Degraded func(context.Context) error
	// Details, when set, are told beside both: fields of a JSON object.
	Details func() map[string]any
	// Version is shown by the health probe.
	Version string
	// RequestTimeout bounds one answer; 90 s when zero.
	RequestTimeout time.Duration
	// ShutdownTimeout is how long running answers may still take; 20 s when zero.
	ShutdownTimeout time.Duration
	// MaxBody bounds a request's body in bytes; 1 MiB when zero.
	MaxBody int64
}

func (o Options) withDefaults() Options {
	if o.RequestTimeout == 0 {
		o.RequestTimeout = 90 * time.Second
	}
	if o.ShutdownTimeout == 0 {
		o.ShutdownTimeout = 20 * time.Second
	}
	if o.MaxBody == 0 {
		o.MaxBody = 1 << 20
	}
	return o
}

// Server serves a mux with everything that belongs around it.
type Server struct {
	o    Options
	http *http.Server
}

// New adds the probes and the metrics to mux and frames it. What the mux has no
// handler for is answered with a JSON error.
func New(mux *http.ServeMux, o Options) *Server {
	o = o.withDefaults()
	mux.HandleFunc("GET /healthcheck", func(w http.ResponseWriter, _ *http.Request) {
		writeJSON(w, http.StatusOK, map[string]string{"status": "ok", "version": o.Version})
	})
	mux.HandleFunc("GET /readyz", o.ready)
	mux.Handle("GET /metrics", promhttp.HandlerFor(o.Registry, promhttp.HandlerOpts{MaxRequestsInFlight: 4}))
	handler := newFrame(mux, o)
	return &Server{o: o, http: &http.Server{
		Handler:           handler,
		ReadHeaderTimeout: 10 * time.Second,
		ReadTimeout:       30 * time.Second,
		WriteTimeout:      o.RequestTimeout + 10*time.Second,
		IdleTimeout:       2 * time.Minute,
		MaxHeaderBytes:    64 << 10,
		ErrorLog:          slog.NewLogLogger(o.Logger.Handler(), slog.LevelDebug),
	}}
}

// ready tells whether requests can be answered, and what is amiss.
func (o Options) ready(w http.ResponseWriter, r *http.Request) {
	answer, status := map[string]any{"status": "ready"}, http.StatusOK
	if err := o.Ready(); err != nil {
		answer["status"], answer["reason"], status = "not ready", err.Error(), http.StatusServiceUnavailable
	} else if o.Degraded != nil {
		if err := o.Degraded(r.Context()); err != nil {
			answer["status"], answer["reason"] = "degraded", strings.ReplaceAll(err.Error(), "\n", "; ")
		}
	}
	if o.Details != nil {
		maps.Copy(answer, o.Details())
	}
	writeJSON(w, status, answer)
}

// Handler gives the framed mux, for tests.
func (s *Server) Handler() http.Handler { return s.http.Handler }

// Run serves until the context ends, then lets running answers finish within
// the shutdown time. It returns nil after an orderly end.
func (s *Server) Run(ctx context.Context, listener net.Listener) error {
	served := make(chan error, 1)
	go func() { served <- s.http.Serve(listener) }()
	select {
	case err := <-served:
		return err
	case <-ctx.Done():
	}
	s.o.Logger.Info("shutting down: finishing running answers", "at_most", s.o.ShutdownTimeout)
	stopping, cancel := context.WithTimeout(context.WithoutCancel(ctx), s.o.ShutdownTimeout)
	defer cancel()
	err := s.http.Shutdown(stopping)
	if errors.Is(err, context.DeadlineExceeded) {
		s.o.Logger.Warn("answers were still running and have been cut off")
		err = s.http.Close()
	}
	<-served //nolint:errcheck // it says that it was shut down
	return err
}

// problem answers with an error in the shape that the whole API uses.
func problem(w http.ResponseWriter, status int, code, message, remedy string) {
	writeJSON(w, status, map[string]any{"error": map[string]string{"code": code, "message": message, "remedy": remedy}})
}

func writeJSON(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(v)
}
