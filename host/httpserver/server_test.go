package httpserver_test

import (
	"bufio"
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"go.uber.org/goleak"

	"github.com/postureproject/posture/host/httpserver"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// log takes what is logged, from any goroutine.
type log struct {
	mu   sync.Mutex
	text bytes.Buffer
}

func (l *log) Write(b []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.Write(b)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.text.String()
}

// fixture is a server with a log and handlers of the test.
type fixture struct {
	*httpserver.Server
	mux      *http.ServeMux
	log      *log
	registry *prometheus.Registry
}

func frame(t *testing.T, change func(*httpserver.Options)) *fixture {
	t.Helper()
	f := &fixture{mux: http.NewServeMux(), log: &log{}, registry: prometheus.NewRegistry()}
	o := httpserver.Options{
		Logger:   slog.New(slog.NewJSONHandler(f.log, &slog.HandlerOptions{Level: slog.LevelDebug})),
		Registry: f.registry, Ready: func() error { return nil }, Version: "1.2.3",
	}
	if change != nil {
		change(&o)
	}
	f.Server = httpserver.New(f.mux, o)
	return f
}

func (f *fixture) do(t *testing.T, method, path string, body io.Reader) *httptest.ResponseRecorder {
	t.Helper()
	w := httptest.NewRecorder()
	f.Handler().ServeHTTP(w, httptest.NewRequestWithContext(t.Context(), method, path, body))
	return w
}

// run serves on a port of its own until stop is called.
func (f *fixture) run(t *testing.T) (address string, stop func() error) {
	t.Helper()
	var lc net.ListenConfig
	listener, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- f.Run(ctx, listener) }()
	stop = sync.OnceValue(func() error {
		cancel()
		return <-ended
	})
	t.Cleanup(func() { _ = stop() })
	return listener.Addr().String(), stop
}

func get(t *testing.T, url string) (*http.Response, string, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), http.MethodGet, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{DisableKeepAlives: true}}
	resp, err := client.Do(r)
	if err != nil {
		return nil, "", err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	return resp, string(body), err
}

// isProblem checks that an answer is an error in the shape of the API.
func isProblem(t *testing.T, w *httptest.ResponseRecorder, status int, code string) {
	t.Helper()
	var p struct {
		Error struct{ Code, Message, Remedy string } `json:"error"`
	}
	if err := json.Unmarshal(w.Body.Bytes(), &p); err != nil || w.Code != status || p.Error.Code != code || p.Error.Message == "" || p.Error.Remedy == "" {
		t.Errorf("%d %s (%v), want %d %s", w.Code, w.Body, err, status, code)
	}
	if got := w.Header().Get("Content-Type"); got != "application/json" {
		t.Errorf("Content-Type %q", got)
	}
}

// A shutdown lets an answer that runs finish, takes nothing new, and is orderly.
func TestRun_GracefulShutdown(t *testing.T) {
	t.Parallel()
	f := frame(t, nil)
	running, finish := make(chan struct{}), make(chan struct{})
	f.mux.HandleFunc("GET /slow", func(w http.ResponseWriter, r *http.Request) {
		close(running)
		<-finish
		if r.Context().Err() != nil {
			t.Error("the shutdown cancelled a running answer")
		}
		_, _ = io.WriteString(w, "done")
	})
	address, stop := f.run(t)
	answer := make(chan string, 1)
	go func() {
		_, body, err := get(t, "http://"+address+"/slow")
		answer <- fmt.Sprint(body, err)
	}()
	<-running
	stopped := make(chan error, 1)
	go func() { stopped <- stop() }()
	for { // until the port is closed
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
		if err != nil {
			break
		}
		_ = conn.Close()
	}
	select {
	case err := <-stopped:
		t.Fatalf("the server ended under a running answer: %v", err)
	default:
	}
	close(finish)
	if got := <-answer; got != "done<nil>" {
		t.Errorf("the running answer: %s", got)
	}
	if err := <-stopped; err != nil {
		t.Errorf("an orderly end gave %v", err)
	}
}

// What does not end in time is cut off, so that a shutdown ends.
func TestRun_ShutdownLimit(t *testing.T) {
	t.Parallel()
	f := frame(t, func(o *httpserver.Options) { o.ShutdownTimeout = time.Millisecond })
	running := make(chan struct{})
	f.mux.HandleFunc("GET /stuck", func(_ http.ResponseWriter, r *http.Request) {
		close(running)
		<-r.Context().Done()
	})
	address, stop := f.run(t)
	answer := make(chan error, 1)
	go func() {
		_, _, err := get(t, "http://"+address+"/stuck")
		answer <- err
	}()
	<-running
	if err := stop(); err != nil {
		t.Errorf("the end gave %v", err)
	}
	if err := <-answer; err == nil {
		t.Error("the answer that was cut off looks whole")
	}
	if !strings.Contains(f.log.String(), "cut off") {
		t.Errorf("the log does not tell: %s", f.log)
	}
}

func TestRun_ListenerFails(t *testing.T) {
	t.Parallel()
	var lc net.ListenConfig
	listener, err := lc.Listen(t.Context(), "tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	_ = listener.Close()
	if err := frame(t, nil).Run(t.Context(), listener); err == nil {
		t.Error("a closed listener gave no error")
	}
}

// A panic costs its own request a JSON error, and nobody else anything.
func TestPanic(t *testing.T) {
	t.Parallel()
	f := frame(t, nil)
	f.mux.HandleFunc("GET /panic", func(http.ResponseWriter, *http.Request) { panic("the secret of the house") })
	f.mux.HandleFunc("GET /half", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = io.WriteString(w, `[{"half":`)
		panic("too late")
	})
	f.mux.HandleFunc("GET /abort", func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) })
	w := f.do(t, "GET", "/panic", nil)
	isProblem(t, w, 500, "internal")
	id := w.Header().Get("X-Request-Id")
	if strings.Contains(w.Body.String(), "secret") || id == "" || !strings.Contains(w.Body.String(), id) {
		t.Errorf("the answer is %s", w.Body)
	}
	if log := f.log.String(); !strings.Contains(log, "the secret of the house") || !strings.Contains(log, "server_test.go") || !strings.Contains(log, id) {
		t.Errorf("the log does not tell: %s", log)
	}
	address, _ := f.run(t)
	for _, path := range []string{"/half", "/abort"} {
		if _, body, err := get(t, "http://"+address+path); err == nil {
			t.Errorf("%s looks whole: %q", path, body)
		}
	}
	if resp, _, err := get(t, "http://"+address+"/healthcheck"); err != nil || resp.StatusCode != http.StatusOK {
		t.Errorf("after the panics: %v", err)
	}
	metrics := f.do(t, "GET", "/metrics", nil).Body.String()
	for _, want := range []string{
		`posture_http_requests_total{method="GET",route="GET /panic",status="500"} 1`,
		`posture_http_requests_total{method="GET",route="GET /abort"`,
	} {
		if !strings.Contains(metrics, want) {
			t.Errorf("the metrics have no %s", want)
		}
	}
}

// A request's context ends at the time limit.
func TestLimits_Time(t *testing.T) {
	t.Parallel()
	f := frame(t, func(o *httpserver.Options) { o.RequestTimeout = time.Millisecond })
	f.mux.HandleFunc("GET /slow", func(w http.ResponseWriter, r *http.Request) {
		<-r.Context().Done()
		if !errors.Is(r.Context().Err(), context.DeadlineExceeded) {
			t.Errorf("the context ended for %v", r.Context().Err())
		}
		w.WriteHeader(http.StatusGatewayTimeout)
	})
	if w := f.do(t, "GET", "/slow", nil); w.Code != 504 {
		t.Errorf("status %d", w.Code)
	}
}

func TestLimits_Body(t *testing.T) {
	t.Parallel()
	f := frame(t, func(o *httpserver.Options) { o.MaxBody = 10 })
	f.mux.HandleFunc("POST /in", func(w http.ResponseWriter, r *http.Request) {
		var large *http.MaxBytesError
		if _, err := io.ReadAll(r.Body); errors.As(err, &large) {
			w.WriteHeader(http.StatusRequestEntityTooLarge)
		}
	})
	for body, want := range map[string]int{"0123456789": 200, "0123456789A": 413} {
		if w := f.do(t, "POST", "/in", strings.NewReader(body)); w.Code != want {
			t.Errorf("%d bytes: %d", len(body), w.Code)
		}
	}
}

func TestLimits_Header(t *testing.T) {
	t.Parallel()
	address, _ := frame(t, nil).run(t)
	for size, want := range map[int]int{32 << 10: 200, 128 << 10: 431} {
		conn, err := (&net.Dialer{}).DialContext(t.Context(), "tcp", address)
		if err != nil {
			t.Fatal(err)
		}
		// The server may answer and close before all is written.
		_, _ = fmt.Fprintf(conn, "GET /healthcheck HTTP/1.1\r\nHost: x\r\nConnection: close\r\nX-Long: %s\r\n\r\n", strings.Repeat("x", size))
		resp, err := http.ReadResponse(bufio.NewReader(conn), nil)
		if err != nil || resp.StatusCode != want {
			t.Errorf("%d bytes of header: %+v, %v", size, resp, err)
		} else {
			_ = resp.Body.Close()
		}
		_ = conn.Close()
	}
}

// The mux's own refusals have the shape of all errors.
func TestRefusals(t *testing.T) {
	t.Parallel()
	f := frame(t, nil)
	f.mux.HandleFunc("GET /thing/{id}", func(http.ResponseWriter, *http.Request) {})
	f.mux.HandleFunc("DELETE /thing/{id}", func(http.ResponseWriter, *http.Request) {})
	isProblem(t, f.do(t, "GET", "/nothing", nil), 404, "not_found")
	isProblem(t, f.do(t, "GET", "/thing/1/", nil), 404, "not_found")
	isProblem(t, f.do(t, "CONNECT", "/nothing", nil), 404, "not_found")
	w := f.do(t, "POST", "/thing/1", nil)
	isProblem(t, w, 405, "method_not_allowed")
	if allow := w.Header().Get("Allow"); allow != "DELETE, GET, HEAD" {
		t.Errorf("Allow %q", allow)
	}
	if w := f.do(t, "GET", "/x/../thing/1", nil); w.Code != 307 || w.Header().Get("Location") != "/thing/1" {
		t.Errorf("an unclean path: %d to %q", w.Code, w.Header().Get("Location"))
	}
	if w := f.do(t, "GET", "/x//y", nil); w.Code != 307 || w.Header().Get("Location") != "/x/y" {
		t.Errorf("an unclean path to nothing: %d to %q", w.Code, w.Header().Get("Location"))
	}
	if w := f.do(t, "HEAD", "/thing/1", nil); w.Code != 200 {
		t.Errorf("HEAD: %d", w.Code)
	}
}

// A handler's own 404 is left alone.
func TestRefusals_OfHandlers(t *testing.T) {
	t.Parallel()
	f := frame(t, nil)
	f.mux.HandleFunc("GET /page", func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "text/html")
		w.WriteHeader(http.StatusNotFound)
		_, _ = io.WriteString(w, "<p>no such page")
	})
	if w := f.do(t, "GET", "/page", nil); w.Code != 404 || w.Body.String() != "<p>no such page" || w.Header().Get("Content-Type") != "text/html" {
		t.Errorf("%d %s", w.Code, w.Body)
	}
}
