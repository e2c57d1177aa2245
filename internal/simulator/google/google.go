// Package google simulates the parts of Google Workspace that the plugin of the
// same name reads: the OAuth token endpoint, and the Directory and Reports parts
// of the Admin SDK. Tests and the demo import it.
package google

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"errors"
	"fmt"
	"net"
	"net/http"
	"sync"
	"time"

	"golang.org/x/time/rate"

	"github.com/postureproject/posture/internal/simulator/fleet"
	"github.com/postureproject/posture/internal/simulator/simhttp"
)

// Scopes lists the scopes that the simulator knows.
func Scopes() []string {
	return []string{scopeChrome, scopeMobile, scopeUsers, scopeAudit, scopeUsage}
}

const (
	scopePrefix = "https://www.googleapis.com/auth/"
	scopeChrome = scopePrefix + "admin.directory.device.chromeos.readonly"
	scopeMobile = scopePrefix + "admin.directory.device.mobile.readonly"
	scopeUsers  = scopePrefix + "admin.directory.user.readonly"
	scopeAudit  = scopePrefix + "admin.reports.audit.readonly"
	scopeUsage  = scopePrefix + "admin.reports.usage.readonly"
)

// Options shape a simulator. The zero value is usable.
type Options struct {
	// Delegated are the scopes that domain-wide delegation grants; all when nil.
	Delegated []string
	// Admin is the administrator's address; posture@ the fleet's domain when
	// empty. Everybody else may log in, but read nothing.
	Admin string
	// TokenLifetime is how long a token is good; an hour when zero.
	TokenLifetime time.Duration
	// Rate is how many requests a second the API serves, with a burst of the same
	// size; as many as come when zero.
	Rate int
	// PageSize bounds the entries of a page below what the API allows.
	PageSize int
	// ReportLag is how many days the usage reports are behind; 3 when zero.
	ReportLag int
	// LoginDays is how many days of log-in events are kept; 30 when zero.
	LoginDays int
	// Suspended is how many of the fleet's last people are suspended users.
	Suspended int
	// Now tells the day for the usage reports; the real time when nil.
	Now func() time.Time
	// Key is the service account's; a new one when nil.
	Key *rsa.PrivateKey
}

// Server simulates one Google Workspace. It is an [http.Handler].
type Server struct {
	// Faults makes it misbehave.
	Faults simhttp.Faults

	fleet   *fleet.Fleet
	o       Options
	limiter *rate.Limiter // nil without a limit
	handler http.Handler
	// The numbers of the devices in the order of the lists.
	phones, books []int

	mu     sync.Mutex
	tokens map[string]grant
	issued int
}

// Names in the service account's key file.
const (
	clientEmail = "posture@posture-simulated.iam.gserviceaccount.com"
	keyID       = "0123456789abcdef0123456789abcdef01234567"
	tokenPath   = "/token"
)

// New makes a simulator of a fleet. It fails only when no key can be made.
func New(f *fleet.Fleet, o Options) (*Server, error) {
	if o.Delegated == nil {
		o.Delegated = Scopes()
	}
	if o.Admin == "" {
		o.Admin = "posture@" + f.Domain()
	}
	if o.TokenLifetime == 0 {
		o.TokenLifetime = time.Hour
	}
	if o.ReportLag == 0 {
		o.ReportLag = 3
	}
	if o.LoginDays == 0 {
		o.LoginDays = 30
	}
	if o.Now == nil {
		o.Now = time.Now
	}
	if o.Key == nil {
		key, err := rsa.GenerateKey(rand.Reader, 2048)
		if err != nil {
			return nil, fmt.Errorf("make the service account's key: %w", err)
		}
		o.Key = key
	}
	s := &Server{fleet: f, o: o, tokens: map[string]grant{}}
	if o.Rate > 0 {
		s.limiter = rate.NewLimiter(rate.Limit(o.Rate), o.Rate)
	}
	f.All(func(d fleet.Device) bool {
		s.phones = append(s.phones, d.ID)
		return true
	}, fleet.Android, fleet.IPhone)
	f.All(func(d fleet.Device) bool {
		s.books = append(s.books, d.ID)
		return true
	}, fleet.Chromebook)
	s.handler = s.Faults.Wrap(s.routes())
	return s, nil
}

func (s *Server) routes() http.Handler {
	mux := http.NewServeMux()
	mux.HandleFunc("POST "+tokenPath, s.token)
	mux.HandleFunc("GET /admin/directory/v1/customer/{customer}/devices/mobile", s.api(scopeMobile, s.mobileDevices))
	mux.HandleFunc("GET /admin/directory/v1/customer/{customer}/devices/chromeos", s.api(scopeChrome, s.chromeDevices))
	mux.HandleFunc("GET /admin/directory/v1/users", s.api(scopeUsers, s.users))
	mux.HandleFunc("GET /admin/reports/v1/activity/users/{user}/applications/{application}", s.api(scopeAudit, s.activities))
	mux.HandleFunc("GET /admin/reports/v1/usage/users/{user}/dates/{date}", s.api(scopeUsage, s.usage))
	mux.HandleFunc("/", func(w http.ResponseWriter, _ *http.Request) {
		refuse(w, http.StatusNotFound, "notFound", "Not Found")
	})
	return mux
}

// ServeHTTP implements [http.Handler].
func (s *Server) ServeHTTP(w http.ResponseWriter, r *http.Request) { s.handler.ServeHTTP(w, r) }

// Listen serves at an address such as 127.0.0.1:0 until stop is called.
func (s *Server) Listen(addr string) (url string, stop func(), err error) {
	l, err := net.Listen("tcp", addr)
	if err != nil {
		return "", nil, fmt.Errorf("serve the Google simulator: %w", err)
	}
	server := &http.Server{Handler: s, ReadHeaderTimeout: 10 * time.Second}
	done := make(chan struct{})
	go func() {
		defer close(done)
		if err := server.Serve(l); err != nil && !errors.Is(err, http.ErrServerClosed) {
			_ = l.Close()
		}
	}()
	return "http://" + l.Addr().String(), func() {
		_ = server.Close()
		<-done
	}, nil
}

// Admin is the address in whose name the service account may act.
func (s *Server) Admin() string { return s.o.Admin }

// ServiceAccount gives the service account's key file, for a simulator that is
// reached at url.
func (s *Server) ServiceAccount(url string) ([]byte, error) {
	der, err := x509.MarshalPKCS8PrivateKey(s.o.Key)
	if err != nil {
		return nil, fmt.Errorf("write the service account's key: %w", err)
	}
	return json.MarshalIndent(map[string]string{
		"type":           "service_account",
		"project_id":     "posture-simulated",
		"client_id":      "100000000000000000001",
		"client_email":   clientEmail,
		"private_key_id": keyID,
		"private_key":    string(pem.EncodeToMemory(&pem.Block{Type: "PRIVATE KEY", Bytes: der})),
		"auth_uri":       url + "/auth",
		"token_uri":      url + tokenPath,
	}, "", "  ")
}

// TokensIssued counts the tokens given out so far.
func (s *Server) TokensIssued() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.issued
}

// RevokeTokens makes every token that was given out worthless.
func (s *Server) RevokeTokens() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.tokens)
}
