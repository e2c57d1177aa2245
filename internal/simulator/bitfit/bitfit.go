// Package bitfit simulates the inventory bitFit on a synthetic fleet: who owns
// which asset, behind an API token. Everything is computed when asked, so that
// each request costs what its page costs.
package bitfit

import (
	"crypto/subtle"
	"encoding/json"
	"net"
	"net/http"
	"strconv"
	"time"

	"github.com/postureproject/posture/internal/simulator/fleet"
	"github.com/postureproject/posture/internal/simulator/simhttp"
)

// Options shape a server. The zero value is usable.
type Options struct {
	Token    string // "bitfit-token" when empty
	Expired  string // a token that was valid once: 401
	Limited  string // a token without the permission to read: 403
	PageSize int    // entries of a page of a list; 25 when zero
	// Prefix is the path in front of the API's, such as "/v1"; none when empty.
	Prefix string
	// NoAssetList makes the list of all assets answer 404.
	NoAssetList bool
	// Summaries makes the list of all assets give numbers and owners alone.
	Summaries bool
	// Anonymous makes the list of all assets leave owners out.
	Anonymous bool
	// NoPaging makes lists say nothing about further pages.
	NoPaging bool
}

// Server is a simulated bitFit.
type Server struct {
	// Faults makes the server misbehave.
	Faults *simhttp.Faults

	fleet   *fleet.Fleet
	o       Options
	handler http.Handler
}

// New makes a server of a fleet.
func New(f *fleet.Fleet, o Options) *Server {
	if o.Token == "" {
		o.Token = "bitfit-token"
	}
	if o.PageSize == 0 {
		o.PageSize = 25
	}
	s := &Server{Faults: &simhttp.Faults{}, fleet: f, o: o}
	mux := http.NewServeMux()
	mux.HandleFunc("GET "+o.Prefix+"/users", s.users)
	mux.HandleFunc("GET "+o.Prefix+"/users/{id}/assets", s.userAssets)
	mux.HandleFunc("GET "+o.Prefix+"/assets", s.assets)
	mux.HandleFunc("GET "+o.Prefix+"/assets/{id}", s.asset)
	mux.HandleFunc("GET "+o.Prefix+"/attachments/{id}", s.attachment)
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { fail(w, http.StatusNotFound, "no such resource") })
	s.handler = s.Faults.Wrap(s.authorized(mux))
	return s
}

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Token is the valid API token.
func (s *Server) Token() string { return s.o.Token }

// Listen serves on a TCP address and gives what to write as BITFIT_BASE_URL.
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
	return "http://" + listener.Addr().String() + s.o.Prefix + "/", func() { _ = server.Close(); <-done }, nil
}

func (s *Server) authorized(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		token := r.URL.Query().Get("api_token")
		switch {
		case equal(token, s.o.Token):
			next.ServeHTTP(w, r)
		case token == "":
			fail(w, http.StatusUnauthorized, "api_token is missing")
		case s.o.Expired != "" && equal(token, s.o.Expired):
			fail(w, http.StatusUnauthorized, "api_token has expired")
		case s.o.Limited != "" && equal(token, s.o.Limited):
			fail(w, http.StatusForbidden, "api_token may not read this")
		default:
			fail(w, http.StatusUnauthorized, "api_token is invalid")
		}
	})
}

func equal(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

func fail(w http.ResponseWriter, status int, message string) {
	answer(w, status, map[string]any{"error": map[string]any{"status": status, "message": message}})
}

func answer(w http.ResponseWriter, status int, v any) {
	w.Header().Set("Content-Type", "application/json")
	body, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// list answers with one page of total entries; entry gives the i-th.
func (s *Server) list(w http.ResponseWriter, r *http.Request, total int, entry func(i int) any) {
	n := 1
	if given := r.URL.Query().Get("page"); given != "" {
		var err error
		if n, err = strconv.Atoi(given); err != nil || n < 1 {
			fail(w, http.StatusBadRequest, "page must be a positive number")
			return
		}
	}
	from := min((n-1)*s.o.PageSize, total)
	items := make([]any, 0, min(s.o.PageSize, total-from))
	for i := from; i < min(from+s.o.PageSize, total); i++ {
		items = append(items, entry(i))
	}
	body := map[string]any{"items": items}
	if !s.o.NoPaging {
		body["page"], body["pages"], body["total"] = n, (total+s.o.PageSize-1)/s.o.PageSize, total
	}
	answer(w, http.StatusOK, body)
}

func (s *Server) users(w http.ResponseWriter, r *http.Request) {
	search := r.URL.Query().Get("search")
	if search == "" {
		s.list(w, r, s.fleet.Len(), func(i int) any { return userJSON(s.fleet.Person(i)) })
		return
	}
	found := s.search(search)
	s.list(w, r, len(found), func(i int) any { return found[i] })
}

// search gives what bitFit's loose matching gives: the person, behind others
// with an address that resembles it.
func (s *Server) search(address string) []any {
	p, ok := s.fleet.PersonByEmail(address)
	if !ok {
		return nil
	}
	return []any{
		map[string]any{"id": 900_000_000 + p.Index, "email": "former-" + p.Email, "name": "Former " + p.Name},
		userJSON(p),
	}
}

func userJSON(p fleet.Person) any {
	return map[string]any{"id": userID(p), "email": p.Email, "name": p.Name}
}

func userID(p fleet.Person) int { return p.Index + 1 }

// person finds the person of the path.
func (s *Server) person(r *http.Request) (fleet.Person, bool) {
	id, err := strconv.Atoi(r.PathValue("id"))
	if err != nil || id < 1 || id > s.fleet.Len() {
		return fleet.Person{}, false
	}
	return s.fleet.Person(id - 1), true
}

func (s *Server) userAssets(w http.ResponseWriter, r *http.Request) {
	p, ok := s.person(r)
	if !ok {
		fail(w, http.StatusNotFound, "no such user")
		return
	}
	devices := s.fleet.Devices(p, kinds()...)
	s.list(w, r, len(devices), func(i int) any { return map[string]any{"id": devices[i].ID, "name": devices[i].Name} })
}
