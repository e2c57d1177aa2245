// Package jamf simulates a Jamf Pro server that manages the Macs of a synthetic
// fleet: the Classic API as JSON, the Jamf Pro API's computer inventory, and both
// kinds of tokens with their expiry. Tests, benchmarks and the demo import it.
package jamf

import (
	"net"
	"net/http"
	"strconv"
	"sync"
	"time"

	"github.com/postureproject/posture/internal/simulator/fleet"
	"github.com/postureproject/posture/internal/simulator/simhttp"
)

// Options shape a server. The zero value is a server of today with an account
// "posture" whose password is "simulator".
type Options struct {
	Username string // "posture" when empty
	Password string // "simulator" when empty
	// ClientID and ClientSecret are those of an API client; without them there is
	// none.
	ClientID     string
	ClientSecret string

	TokenLifetime time.Duration // of an account's token; 30 minutes when zero
	ClientTokens  time.Duration // lifetime of an API client's token; 20 minutes when zero

	// OldServer makes it a Jamf Pro of before 10.35: no tokens, no inventory,
	// passwords on the Classic API, and drives with a single partition as an
	// object.
	OldServer bool
	// Inventory is the newest version of computers-inventory; 4 when zero, none
	// when negative.
	Inventory int
	// RateLimit is how many requests a second are answered; unlimited when zero.
	RateLimit int
	// Cache keeps every computer's document once it is rendered, so that a
	// benchmark measures the client.
	Cache bool
	// Now is the server's clock; the system's when nil.
	Now func() time.Time
}

// Server is the simulated server. It is an [http.Handler].
type Server struct {
	// Faults misbehaves on demand.
	Faults *simhttp.Faults

	fleet   *fleet.Fleet
	o       Options
	handler http.Handler

	mu       sync.Mutex
	tokens   map[string]time.Time // until when each is valid
	issued   int
	second   int64 // the second in which answered were answered
	answered int

	list      sync.Once
	computers []int // the numbers of all Macs, ascending
	owners    []int // the numbers of all people with a Mac, ascending

	classicDocs   sync.Map // computer number → rendered document
	inventoryDocs sync.Map
}

// New makes a server for a fleet.
func New(f *fleet.Fleet, o Options) *Server {
	if o.Username == "" {
		o.Username = "posture"
	}
	if o.Password == "" {
		o.Password = "simulator"
	}
	if o.TokenLifetime == 0 {
		o.TokenLifetime = 30 * time.Minute
	}
	if o.ClientTokens == 0 {
		o.ClientTokens = 20 * time.Minute
	}
	if o.Inventory == 0 {
		o.Inventory = 4
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	s := &Server{Faults: new(simhttp.Faults), fleet: f, o: o, tokens: make(map[string]time.Time)}
	s.handler = s.Faults.Wrap(s.limit(s.routes()))
	return s
}

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Listen serves on an address such as 127.0.0.1:0 until the returned function is
// called. The URL is what goes into JAMF_API_HOSTADDR.
func (s *Server) Listen(addr string) (url string, stop func(), err error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return "", nil, err
	}
	server := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	served := make(chan struct{})
	go func() {
		defer close(served)
		_ = server.Serve(l)
	}()
	return "http://" + l.Addr().String() + "/JSSResource", func() {
		_ = server.Close()
		<-served
	}, nil
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	classic := func(pattern string, h http.HandlerFunc) { mux.Handle("GET /JSSResource/"+pattern, s.classicAuth(h)) }
	classic("jssuser", s.jssUser)
	classic("users", s.users)
	classic("users/id/{id}", s.userByID)
	classic("users/name/{name}", s.userByName)
	classic("users/email/{email}", s.usersByEmail)
	classic("computers", s.computerList)
	classic("computers/id/{id}", s.computerByID)
	classic("computers/serialnumber/{serial}", s.computerBySerial)
	classic("computers/macaddress/{mac}", s.computerByMAC)
	if !s.o.OldServer {
		mux.HandleFunc("POST /api/v1/auth/token", s.userToken)
		mux.HandleFunc("POST /api/oauth/token", s.clientToken)
		mux.Handle("GET /api/v1/auth", s.proAuth(s.whoAmI))
		for version := 1; version <= s.o.Inventory; version++ {
			mux.Handle("GET /api/v"+strconv.Itoa(version)+"/computers-inventory", s.proAuth(s.inventory))
		}
		mux.HandleFunc("/api/", func(w http.ResponseWriter, _ *http.Request) {
			proError(w, http.StatusNotFound, "NOT_FOUND", "Not Found")
		})
	}
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) { notFound(w) })
	return mux
}

// limit refuses what comes above the rate, and says when to come again.
func (s *Server) limit(next http.Handler) http.Handler {
	if s.o.RateLimit <= 0 {
		return next
	}
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		s.mu.Lock()
		if now := s.o.Now().Unix(); now != s.second {
			s.second, s.answered = now, 0
		}
		s.answered++
		over := s.answered > s.o.RateLimit
		s.mu.Unlock()
		if over {
			w.Header().Set("Retry-After", "1")
			w.WriteHeader(http.StatusTooManyRequests)
			return
		}
		next.ServeHTTP(w, r)
	})
}

// macs lists the computers and their owners once.
func (s *Server) macs() (computers, owners []int) {
	s.list.Do(func() {
		s.fleet.All(func(d fleet.Device) bool {
			s.computers = append(s.computers, d.ID)
			if n := len(s.owners); n == 0 || s.owners[n-1] != d.Owner.Index {
				s.owners = append(s.owners, d.Owner.Index)
			}
			return true
		}, fleet.Mac)
	})
	return s.computers, s.owners
}

// Computers is how many computers the server manages.
func (s *Server) Computers() int {
	computers, _ := s.macs()
	return len(computers)
}
