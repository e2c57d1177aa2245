package httpserver

import (
	"context"
	"crypto/rand"
	"fmt"
	"log/slog"
	"net/http"
	"runtime/debug"
	"strconv"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Access is what the access log tells of a request beyond the request itself.
// The handler that knows fills it in.
type Access struct {
	Who  string // the subject that asks
	What string // the action
	Whom string // the person or device asked about
}

type accessKey struct{}

// AccessOf gives the record of the request whose context this is, to be filled
// in. Outside a framed request it is a record that nobody reads.
func AccessOf(ctx context.Context) *Access {
	if a, ok := ctx.Value(accessKey{}).(*Access); ok {
		return a
	}
	return &Access{}
}

// frame is the middleware around the mux.
type frame struct {
	mux      *http.ServeMux
	o        Options
	requests *prometheus.CounterVec
	seconds  *prometheus.HistogramVec
	active   prometheus.Gauge
}

func newFrame(mux *http.ServeMux, o Options) *frame {
	f := &frame{
		mux: mux, o: o,
		requests: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "posture_http_requests_total", Help: "Answered requests, by route, method and status.",
		}, []string{"route", "method", "status"}),
		seconds: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "posture_http_request_seconds", Help: "How long answers took, by route.",
			Buckets: []float64{.005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"route"}),
		active: prometheus.NewGauge(prometheus.GaugeOpts{Name: "posture_http_requests_active", Help: "Requests being answered now."}),
	}
	o.Registry.MustRegister(f.requests, f.seconds, f.active)
	return f
}

func (f *frame) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	started := time.Now()
	f.active.Inc()
	defer f.active.Dec()
	access := &Access{}
	ctx, cancel := context.WithTimeout(context.WithValue(r.Context(), accessKey{}, access), f.o.RequestTimeout)
	defer cancel()
	r = r.WithContext(ctx)
	r.Body = http.MaxBytesReader(w, r.Body, f.o.MaxBody)
	id := rand.Text()
	header := w.Header()
	header.Set("X-Request-Id", id)
	header.Set("X-Content-Type-Options", "nosniff")
	header.Set("Cache-Control", "no-store")
	header.Set("Referrer-Policy", "no-referrer")
	header.Set("Content-Security-Policy", "default-src 'none'; frame-ancestors 'none'")
	recorder := &statusRecorder{ResponseWriter: w}
	defer func() { f.done(r, recorder, access, id, time.Since(started)) }()
	defer func() {
		if p := recover(); p != nil {
			f.recovered(ctx, recorder, id, p)
		}
	}()
	f.route(recorder, r)
}

// route passes a request to its handler. What the mux itself refuses is answered
// as JSON too.
func (f *frame) route(w http.ResponseWriter, r *http.Request) {
	refusal, pattern := f.mux.Handler(r)
	if pattern != "" {
		f.mux.ServeHTTP(w, r)
		return
	}
	said := &statusRecorder{ResponseWriter: silent{http.Header{}}}
	refusal.ServeHTTP(said, r)
	switch said.status {
	case http.StatusNotFound:
		problem(w, said.status, "not_found", "there is nothing at "+r.URL.Path, "see /api/v1/openapi.json for what there is")
	case http.StatusMethodNotAllowed:
		allowed := said.Header().Get("Allow")
		w.Header().Set("Allow", allowed)
		problem(w, said.status, "method_not_allowed", method(r.Method)+" is not possible here", "use "+allowed)
	default: // the way to the clean path
		refusal.ServeHTTP(w, r)
	}
}

// recovered answers and logs after a panic of a handler. An answer that has
// begun already is cut off, so that its reader does not take it for whole.
func (f *frame) recovered(ctx context.Context, recorder *statusRecorder, id string, p any) {
	if p == http.ErrAbortHandler { //nolint:errorlint // a panic value, compared as net/http does
		panic(p) //nolint:forbidigo // passed on to net/http, whose way to cut an answer off it is
	}
	f.o.Logger.ErrorContext(ctx, "panic while answering", "request_id", id, "panic", fmt.Sprint(p), "stack", string(debug.Stack()))
	if recorder.status != 0 {
		panic(http.ErrAbortHandler) //nolint:forbidigo // net/http's way to cut an answer off
	}
	problem(recorder, http.StatusInternalServerError, "internal", "something went wrong on our side", "tell an administrator the request id "+id)
}

// silent takes an answer that nobody is to read.
type silent struct{ header http.Header }

func (s silent) Header() http.Header         { return s.header }
func (s silent) Write(b []byte) (int, error) { return len(b), nil }
func (s silent) WriteHeader(int)             {}

// done counts and logs one answer.
func (f *frame) done(r *http.Request, recorder *statusRecorder, access *Access, id string, took time.Duration) {
	route := r.Pattern
	if route == "" || r.Method == http.MethodConnect {
		route = "none" // whatever strangers ask for must not make a metric each
	}
	status := recorder.status
	if status == 0 {
		status = http.StatusOK
	}
	f.requests.WithLabelValues(route, method(r.Method), strconv.Itoa(status)).Inc()
	f.seconds.WithLabelValues(route).Observe(took.Seconds())
	level := slog.LevelInfo
	if access.What == "" {
		level = slog.LevelDebug // probes and metrics
	}
	f.o.Logger.Log(r.Context(), level, "access", "who", access.Who, "what", access.What, "whom", access.Whom,
		"method", r.Method, "path", r.URL.Path, "status", status, "bytes", recorder.bytes,
		"took", took.Round(time.Microsecond), "remote", r.RemoteAddr, "request_id", id)
}

// method bounds the label's values: a client may send any word.
func method(m string) string {
	switch m {
	case http.MethodGet, http.MethodHead, http.MethodPost, http.MethodPut, http.MethodPatch, http.MethodDelete, http.MethodOptions:
		return m
	default:
		return "other"
	}
}

// statusRecorder remembers what was answered.
type statusRecorder struct {
	http.ResponseWriter
	status int
	bytes  int64
}

func (s *statusRecorder) WriteHeader(status int) {
	if s.status == 0 && status >= http.StatusOK { // below are interim answers
		s.status = status
	}
	s.ResponseWriter.WriteHeader(status)
}

func (s *statusRecorder) Write(b []byte) (int, error) {
	if s.status == 0 {
		s.status = http.StatusOK
	}
	n, err := s.ResponseWriter.Write(b)
	s.bytes += int64(n)
	return n, err
}

// Unwrap lets http.ResponseController reach the connection.
func (s *statusRecorder) Unwrap() http.ResponseWriter { return s.ResponseWriter }
