package main

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"os"
	"strconv"
	"strings"
	"sync/atomic"

	"github.com/postureproject/posture/internal/simulator/company"
	"github.com/postureproject/posture/internal/simulator/fleet"
)

// peopleFor gives how many people of the synthetic company own so many devices,
// and how many devices exactly they own.
func peopleFor(devices int) (people, owned int) {
	f := fleet.New(fleet.Options{People: devices + 1})
	for owned < devices {
		owned += len(f.Devices(f.Person(people)))
		people++
	}
	return people, owned
}

// simulateCompany runs every vendor of a large company, and a server that takes
// documents, until standard input ends. Pages of lists are rendered once, so that
// reading them costs the same whoever asks.
func simulateCompany(ctx context.Context, people int, dir string, out io.Writer) error {
	f := fleet.New(fleet.Options{People: people, Apps: 50})
	c, err := company.Start(company.Options{Fleet: f, Dir: dir})
	if err != nil {
		return err
	}
	defer c.Close()
	documents := &taker{}
	var w world
	var google string
	jamf, bitfit, directory := &replay{next: c.Jamf, lists: true}, &replay{next: c.Bitfit, lists: true}, &replay{next: c.Google, lists: true}
	search := &replay{next: c.Elastic, lists: true}
	documents.next = search
	for _, s := range []struct {
		handler http.Handler
		url     *string
	}{
		{jamf, &w.Jamf},
		{bitfit, &w.Bitfit},
		{directory, &google},
		{documents, &w.Sink},
		{documents.control(jamf, bitfit, directory, search), &w.Control},
	} {
		if *s.url, err = listen(ctx, s.handler); err != nil {
			return err
		}
	}
	w.Bitfit += "/"
	c.Plugins["jamf"]["JAMF_API_HOSTADDR"] = w.Jamf + "/JSSResource"
	c.Plugins["bitfit"]["BITFIT_BASE_URL"] = w.Bitfit
	c.Plugins["google"]["GOOGLE_API_ENDPOINT"] = google
	// What Duo's log says is read once for everybody, and is no part of a run.
	c.Plugins["duo"]["DUO_FIRST_PULL"] = "1h"
	c.Plugins["batch_es"] = map[string]any{"ELASTICSEARCH_HOSTS": []string{w.Sink}, "ELASTICSEARCH_INDEX_PREFIX": "bench-"}
	w.Plugins = c.Plugins
	for i := range people {
		w.Emails = append(w.Emails, f.Person(i).Email)
	}
	if err := json.NewEncoder(out).Encode(w); err != nil {
		return err
	}
	_, err = io.Copy(io.Discard, os.Stdin)
	return err
}

// isList reports whether a request asks for a page of what everybody has, which
// is the same whoever asks.
func isList(r *http.Request) bool {
	path := r.URL.Path
	return r.Method == http.MethodGet && r.URL.Query().Get("query") == "" &&
		(strings.HasSuffix(path, "/computers-inventory") || path == "/assets" || path == "/users" && r.URL.Query().Get("search") == "" ||
			strings.HasPrefix(path, "/admin/directory/"))
}

// taker is a server for documents that reads what it is sent and says yes: less
// than any search server could do. What else is asked it leaves to a simulator.
type taker struct {
	next      http.Handler
	documents atomic.Int64
	bytes     atomic.Int64
}

// taken is what a [taker] has been sent.
type taken struct {
	Documents int64 `json:"documents"`
	Bytes     int64 `json:"bytes"`
}

// ServeHTTP implements [http.Handler].
func (t *taker) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if r.URL.Path != "/_bulk" {
		t.next.ServeHTTP(w, r)
		return
	}
	var lines newlines
	n, err := io.Copy(&lines, r.Body)
	if err != nil {
		http.Error(w, err.Error(), http.StatusBadRequest)
		return
	}
	documents := int(lines) / 2 // each has a line that says what to do with it
	t.documents.Add(int64(documents))
	t.bytes.Add(n)
	w.Header().Set("X-Elastic-Product", "Elasticsearch")
	w.Header().Set("Content-Type", "application/json")
	_, _ = io.WriteString(w, `{"items":[`+strings.TrimSuffix(strings.Repeat(`{"create":{"status":201}},`, documents), ",")+`]}`)
}

func (t *taker) control(vendors ...*replay) http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /latency/{ms}", latencyOf(vendors...))
	mux.HandleFunc("GET /taken", func(w http.ResponseWriter, _ *http.Request) {
		_ = json.NewEncoder(w).Encode(taken{t.documents.Load(), t.bytes.Load()})
	})
	return mux
}

// newlines counts lines of what is written to it.
type newlines int64

// Write implements [io.Writer].
func (n *newlines) Write(p []byte) (int, error) {
	*n += newlines(bytes.Count(p, []byte{'\n'}))
	return len(p), nil
}

// startCompany starts the simulators of a company in a process of their own.
func startCompany(ctx context.Context, self string, people int, dir string) (*simulators, error) {
	p, err := start(ctx, self, "company", strconv.Itoa(people), dir)
	if err != nil {
		return nil, err
	}
	s := &simulators{process: p}
	if err := p.receive(&s.world); err != nil {
		p.stop()
		return nil, fmt.Errorf("simulators: %w", err)
	}
	return s, nil
}

func (s *simulators) taken(ctx context.Context) (t taken, err error) {
	body, err := s.call(ctx, http.MethodGet, "/taken")
	if err == nil {
		err = json.Unmarshal(body, &t)
	}
	return t, err
}
