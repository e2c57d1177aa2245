// Package duo simulates the part of Duo's Admin API that tells who logged in: a
// signed, slow, strictly limited log of everybody's authentications, which
// knows nothing of the last two minutes and answers no question about one
// person. Duo's page "Admin API" documents what is simulated.
package duo

import (
	"encoding/json"
	"net"
	"net/http"
	"sort"
	"strings"
	"sync"
	"time"

	"github.com/postureproject/posture/internal/simulator/fleet"
	"github.com/postureproject/posture/internal/simulator/simhttp"
)

// Options shape a server. The zero value is usable.
type Options struct {
	IntegrationKey string // "DIXXXXXXXXXXXXXXXXXX" when empty
	SecretKey      string // "duo-secret" when empty
	Days           int    // how many days of the fleet's log-ins there are; 2 when zero
	// Now is the server's clock; [time.Now] when nil.
	Now func() time.Time
	// Lag is how far the log is behind; two minutes when zero, none when negative.
	Lag time.Duration
	// PerMinute is how many requests for the log are answered in a minute; any
	// number when zero.
	PerMinute int
	// NoReadLog makes the integration one that was not granted to read the log.
	NoReadLog bool
	// CommaOffset writes next_offset as one text instead of a list of two.
	CommaOffset bool
}

// Event is one entry of the log.
type Event struct {
	ID      string // Duo's txid
	At      time.Time
	User    string // the user's name
	Email   string // absent when empty
	IP      string
	Success bool
	Reason  string
	Factor  string
	// Document, when set, is sent instead, as it is.
	Document json.RawMessage
}

// Server is a simulated Duo.
type Server struct {
	// Faults makes the server misbehave.
	Faults *simhttp.Faults

	o       Options
	handler http.Handler

	mu     sync.RWMutex
	events []Event     // in order of time and id
	calls  []time.Time // for the log, in the last minute
}

// New makes a server with the log-ins of everybody in a fleet.
func New(f *fleet.Fleet, o Options) *Server {
	if o.IntegrationKey == "" {
		o.IntegrationKey = "DIXXXXXXXXXXXXXXXXXX"
	}
	if o.SecretKey == "" {
		o.SecretKey = "duo-secret"
	}
	if o.Days == 0 {
		o.Days = 2
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Lag == 0 {
		o.Lag = 2 * time.Minute
	}
	s := &Server{Faults: &simhttp.Faults{}, o: o}
	for i := range f.Len() {
		for _, l := range f.Logins(f.Person(i), o.Days) {
			s.events = append(s.events, Event{
				ID: l.ID, At: l.At, User: l.Person.Local, Email: l.Person.Email, IP: l.IP, Success: l.Success, Reason: l.Reason, Factor: l.Factor,
			})
		}
	}
	sort.Slice(s.events, func(i, j int) bool { return before(s.events[i], s.events[j]) })
	mux := http.NewServeMux()
	mux.HandleFunc("GET /admin/v2/logs/authentication", s.authenticationLog)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		fail(w, http.StatusNotFound, 40401, "Resource not found", "")
	})
	s.handler = s.Faults.Wrap(s.signed(mux))
	return s
}

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	w.Header().Set("Date", s.o.Now().UTC().Format(http.TimeFormat))
	s.handler.ServeHTTP(w, r)
}

// Keys are the valid integration key and secret key.
func (s *Server) Keys() (integration, secret string) { return s.o.IntegrationKey, s.o.SecretKey }

// Listen serves on a TCP address and gives what to write as DUO_API_HOSTNAME.
func (s *Server) Listen(addr string) (url string, closeServer func(), err error) {
	listener, err := net.Listen("tcp", addr)
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	return "http://" + listener.Addr().String(), func() { _ = server.Close(); <-done }, nil
}

// Add puts an event into the log while the server runs.
func (s *Server) Add(e Event) {
	s.mu.Lock()
	defer s.mu.Unlock()
	i := sort.Search(len(s.events), func(i int) bool { return before(e, s.events[i]) })
	s.events = append(s.events, Event{})
	copy(s.events[i+1:], s.events[i:])
	s.events[i] = e
}

// Len is the number of events in the log.
func (s *Server) Len() int {
	s.mu.RLock()
	defer s.mu.RUnlock()
	return len(s.events)
}

// before orders events as the log does: by time in milliseconds, then by id.
func before(a, b Event) bool {
	if x, y := a.At.UnixMilli(), b.At.UnixMilli(); x != y {
		return x < y
	}
	return strings.Compare(a.ID, b.ID) < 0
}

func fail(w http.ResponseWriter, status, code int, message, detail string) {
	body := map[string]any{"stat": "FAIL", "code": code, "message": message}
	if detail != "" {
		body["message_detail"] = detail
	}
	answer(w, status, body)
}

func answer(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = w.Write(body)
}
