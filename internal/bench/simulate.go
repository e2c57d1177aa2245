package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"net/url"
	"os"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/postureproject/posture/internal/simulator/company"
	"github.com/postureproject/posture/internal/simulator/fleet"
)

// world is what the simulators' process tells the others: where the vendors are,
// and the plugins' configuration.
type world struct {
	Control string                    `json:"control"` // address of the control interface
	Jamf    string                    `json:"jamf"`    // of Jamf Pro itself
	Bitfit  string                    `json:"bitfit"`  // ends in a slash
	Sink    string                    `json:"sink"`    // takes documents; of a large company only
	Emails  []string                  `json:"emails"`
	Plugins map[string]map[string]any `json:"plugins"`
}

// counts are the requests that Jamf and bitFit have answered.
type counts struct {
	Jamf   int64 `json:"jamf"`
	Bitfit int64 `json:"bitfit"`
}

func (c counts) minus(o counts) counts { return counts{c.Jamf - o.Jamf, c.Bitfit - o.Bitfit} }

// simulate runs every vendor until standard input ends. Jamf and bitFit stand
// behind a replay, so that an answer costs the same whoever asks: next to
// nothing.
func simulate(ctx context.Context, people int, dir string, out io.Writer) error {
	f := fleet.New(fleet.Options{People: people, Apps: 50})
	c, err := company.Start(company.Options{Fleet: f, Dir: dir, Cache: true})
	if err != nil {
		return err
	}
	defer c.Close()
	jamf, bitfit := &replay{next: c.Jamf}, &replay{next: c.Bitfit}
	var w world
	for _, s := range []struct {
		handler http.Handler
		url     *string
	}{{jamf, &w.Jamf}, {bitfit, &w.Bitfit}, {control(jamf, bitfit), &w.Control}} {
		if *s.url, err = listen(ctx, s.handler); err != nil {
			return err
		}
	}
	w.Bitfit += "/"
	c.Plugins["jamf"]["JAMF_API_HOSTADDR"] = w.Jamf + "/JSSResource"
	c.Plugins["bitfit"]["BITFIT_BASE_URL"] = w.Bitfit
	for i := range people {
		w.Emails = append(w.Emails, f.Person(i).Email)
	}
	w.Plugins = c.Plugins
	if err := json.NewEncoder(out).Encode(w); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// listen serves on a free loopback port for as long as the process lives.
func listen(ctx context.Context, h http.Handler) (address string, err error) {
	var lc net.ListenConfig
	l, err := lc.Listen(ctx, "tcp", "127.0.0.1:0")
	if err != nil {
		return "", err
	}
	server := &http.Server{Handler: h, ReadHeaderTimeout: 10 * time.Second}
	go func() { _ = server.Serve(l) }()
	return "http://" + l.Addr().String(), nil
}

// control lets the driver set the latency and read the counts.
func control(jamf, bitfit *replay) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /latency/{ms}", latencyOf(jamf, bitfit))
	mux.HandleFunc("GET /counts", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(counts{jamf.requests.Load(), bitfit.requests.Load()})
	})
	return mux
}

// latencyOf sets the latency of vendors' answers.
func latencyOf(vendors ...*replay) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		ms, err := strconv.Atoi(r.PathValue("ms"))
		if err != nil {
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		}
		for _, s := range vendors {
			s.latency.Store(int64(time.Duration(ms) * time.Millisecond))
		}
	}
}

// replay answers a request that it has seen before with the same bytes.
type replay struct {
	next http.Handler
	// lists limits it to pages of what everybody has, which are the same for all
	// who may ask; the rest is answered anew.
	lists    bool
	requests atomic.Int64
	latency  atomic.Int64 // in nanoseconds
	answers  sync.Map     // method, address and credentials → answer
}

type answer struct {
	status int
	header http.Header
	body   []byte
}

// ServeHTTP implements [http.Handler].
func (p *replay) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	p.requests.Add(1)
	if latency := p.latency.Load(); latency > 0 {
		time.Sleep(time.Duration(latency))
	}
	key := r.RequestURI + " " + r.Header.Get("Authorization")
	if p.lists {
		if !isList(r) {
			p.next.ServeHTTP(w, r)
			return
		}
		key = r.RequestURI
	}
	known, ok := p.answers.Load(key)
	if !ok {
		recorder := httptest.NewRecorder()
		p.next.ServeHTTP(recorder, r)
		known = answer{recorder.Code, recorder.Header(), bytes.Clone(recorder.Body.Bytes())}
		if r.Method == http.MethodGet { // a log-in is never the same twice
			p.answers.Store(key, known)
		}
	}
	a, _ := known.(answer)
	for k, v := range a.header {
		w.Header()[k] = v
	}
	w.Header().Set("Content-Length", strconv.Itoa(len(a.body)))
	w.WriteHeader(a.status)
	_, _ = w.Write(a.body)
}

// simulators is the simulators' process as the driver sees it.
type simulators struct {
	world
	process *process
}

func startSimulators(ctx context.Context, self string, people int, dir string) (*simulators, error) {
	p, err := start(ctx, self, "simulate", strconv.Itoa(people), dir)
	if err != nil {
		return nil, err
	}
	s := &simulators{process: p}
	if err := p.receive(&s.world); err != nil {
		return nil, fmt.Errorf("simulators: %w", err)
	}
	return s, nil
}

func (s *simulators) setLatency(ctx context.Context, d time.Duration) error {
	_, err := s.call(ctx, http.MethodPost, "/latency/"+url.PathEscape(strconv.FormatInt(d.Milliseconds(), 10)))
	return err
}

func (s *simulators) counts(ctx context.Context) (c counts, err error) {
	body, err := s.call(ctx, http.MethodGet, "/counts")
	if err == nil {
		err = json.Unmarshal(body, &c)
	}
	return c, err
}

func (s *simulators) call(ctx context.Context, method, path string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, method, s.Control+path, http.NoBody)
	if err != nil {
		return nil, err
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return nil, err
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err == nil && resp.StatusCode != http.StatusOK {
		err = fmt.Errorf("the simulators' control answered %s: %s", resp.Status, strings.TrimSpace(string(body)))
	}
	return body, err
}
