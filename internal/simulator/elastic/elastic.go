// Package elastic simulates the part of Elasticsearch that Posture needs. For a
// reader of notifications: cluster information, index existence, counting, and
// searching with the match query, for an index of alerts about the synthetic
// company. For a writer: bulk requests, index templates, and the question about
// one's own privileges. Tests and the demo import it.
package elastic

import (
	"encoding/json"
	"errors"
	"fmt"
	"net"
	"net/http"
	"strings"
	"sync"
	"time"

	"github.com/postureproject/posture/internal/simulator/fleet"
	"github.com/postureproject/posture/internal/simulator/simhttp"
)

// DefaultIndex is the index when the options name none.
const DefaultIndex = "stethoscope_notifications"

// Options shape a simulated cluster. The zero value is an open cluster.
type Options struct {
	Index     string // DefaultIndex when empty
	Username  string // with Password: Basic authentication is accepted
	Password  string
	APIKey    string // an encoded API key is accepted
	TimeField string // the documents' time; "timestamp" when empty
	// TextTime maps the time as text, on which Elasticsearch refuses to sort.
	TextTime bool
	// Keyword maps email as keyword; otherwise as text, where a match query finds
	// everything that shares a word.
	Keyword bool
	// Denied are privileges that the caller does not have, such as "create_doc".
	Denied []string
	// Foreign leaves the product header out, as other software does.
	Foreign bool
}

// Server is a simulated cluster and its HTTP handler.
type Server struct {
	Faults  simhttp.Faults
	fleet   *fleet.Fleet
	o       Options
	handler http.Handler

	mu       sync.RWMutex
	extra    []document // of Put
	words    map[string][]int
	failed   int
	timedOut bool

	store store
}

// document is one stored alert.
type document struct {
	id     string
	email  string
	at     time.Time
	source json.RawMessage
}

// New makes a cluster with alerts for the people of a fleet.
func New(f *fleet.Fleet, o Options) *Server {
	if o.Index == "" {
		o.Index = DefaultIndex
	}
	if o.TimeField == "" {
		o.TimeField = "timestamp"
	}
	s := &Server{fleet: f, o: o, words: map[string][]int{}}
	mux := http.NewServeMux()
	mux.HandleFunc("GET /{$}", s.info)
	mux.HandleFunc("GET /{index}", s.exists) // HEAD, too
	mux.HandleFunc("POST /{index}/_count", s.count)
	mux.HandleFunc("GET /{index}/_count", s.count)
	mux.HandleFunc("POST /{index}/_search", s.search)
	mux.HandleFunc("GET /{index}/_search", s.search)
	cluster := s.clusterMux()
	s.handler = s.Faults.Wrap(s.authenticate(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if strings.HasPrefix(r.URL.Path, "/_") {
			cluster.ServeHTTP(w, r)
			return
		}
		mux.ServeHTTP(w, r)
	})))
	return s
}

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	if !s.o.Foreign {
		w.Header().Set("X-Elastic-Product", "Elasticsearch")
	}
	s.handler.ServeHTTP(w, r)
}

// Listen serves on a TCP address, such as 127.0.0.1:0, until stop is called.
func (s *Server) Listen(addr string) (url string, stop func(), err error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return "", nil, fmt.Errorf("elastic simulator: %w", err)
	}
	server := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := server.Serve(l); !errors.Is(err, http.ErrServerClosed) {
			return
		}
	}()
	return "http://" + l.Addr().String(), func() {
		_ = server.Close()
		<-done
	}, nil
}

// Put stores one more document. Its source is what the search gives back; email
// and time are what it is found and sorted by.
func (s *Server) Put(id, email string, at time.Time, source string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, word := range s.analyse(email) {
		s.words[word] = append(s.words[word], len(s.extra))
	}
	s.extra = append(s.extra, document{id: id, email: email, at: at, source: json.RawMessage(source)})
}

// SetPartial makes searches report failed shards and an expired time limit
// beside what they found.
func (s *Server) SetPartial(failedShards int, timedOut bool) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.failed, s.timedOut = failedShards, timedOut
}

func (s *Server) authenticate(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		open := s.o.Username == "" && s.o.APIKey == ""
		user, password, basic := r.BasicAuth()
		byName := s.o.Username != "" && basic && user == s.o.Username && password == s.o.Password
		scheme, key, _ := strings.Cut(r.Header.Get("Authorization"), " ")
		byKey := s.o.APIKey != "" && strings.EqualFold(scheme, "ApiKey") && key == s.o.APIKey
		if !open && !byName && !byKey {
			w.Header().Add("WWW-Authenticate", `Basic realm="security", charset="UTF-8"`)
			w.Header().Add("WWW-Authenticate", "ApiKey")
			fail(w, http.StatusUnauthorized, "security_exception", "unable to authenticate for REST request ["+r.URL.Path+"]", "")
			return
		}
		next.ServeHTTP(w, r)
	})
}

func (s *Server) info(w http.ResponseWriter, _ *http.Request) {
	answer(w, http.StatusOK, map[string]any{
		"name": "node-1", "cluster_name": "simulated", "cluster_uuid": "c2ltdWxhdGVkLWNsdXN0ZXI",
		"version": map[string]any{"number": "8.19.0", "build_flavor": "default"}, "tagline": "You Know, for Search",
	})
}

func (s *Server) exists(w http.ResponseWriter, r *http.Request) {
	if _, ok := s.resolve(w, r); ok {
		answer(w, http.StatusOK, map[string]any{s.o.Index: map[string]any{}})
	}
}

func (s *Server) count(w http.ResponseWriter, r *http.Request) {
	shards, ok := s.resolve(w, r)
	if !ok {
		return
	}
	n := 0
	if shards > 0 {
		s.mu.RLock()
		n = s.fleet.Len()*alertsPerPerson + len(s.extra)
		s.mu.RUnlock()
	}
	answer(w, http.StatusOK, map[string]any{"count": n, "_shards": map[string]any{"total": shards, "successful": shards, "skipped": 0, "failed": 0}})
}

// resolve tells how many shards the index expression of a request reaches. Like
// Elasticsearch, it refuses a name that does not exist, but a pattern only when asked to.
func (s *Server) resolve(w http.ResponseWriter, r *http.Request) (shards int, ok bool) {
	for name := range strings.SplitSeq(r.PathValue("index"), ",") {
		prefix, isPattern := strings.CutSuffix(name, "*")
		switch {
		case name == s.o.Index, isPattern && strings.HasPrefix(s.o.Index, prefix):
			shards = 5
		case !isPattern:
			fail(w, http.StatusNotFound, "index_not_found_exception", "no such index ["+name+"]", name)
			return 0, false
		}
	}
	if shards == 0 && r.URL.Query().Get("allow_no_indices") == "false" {
		fail(w, http.StatusNotFound, "index_not_found_exception", "no such index ["+r.PathValue("index")+"]", r.PathValue("index"))
		return 0, false
	}
	return shards, true
}

func answer(w http.ResponseWriter, status int, body any) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_ = json.NewEncoder(w).Encode(body)
}

// fail answers as Elasticsearch does, with the cause twice.
func fail(w http.ResponseWriter, status int, kind, reason, index string) {
	cause := map[string]any{"type": kind, "reason": reason}
	if index != "" {
		cause["index"] = index
	}
	body := map[string]any{"root_cause": []any{cause}}
	for k, v := range cause {
		body[k] = v
	}
	answer(w, status, map[string]any{"error": body, "status": status})
}
