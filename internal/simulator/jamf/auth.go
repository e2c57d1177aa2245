package jamf

import (
	"crypto/subtle"
	"fmt"
	"net/http"
	"strings"
	"time"
)

// Revoke makes every token invalid that was given out so far.
func (s *Server) Revoke() {
	s.mu.Lock()
	defer s.mu.Unlock()
	clear(s.tokens)
}

// Issued counts the tokens given out so far.
func (s *Server) Issued() int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.issued
}

func same(a, b string) bool { return subtle.ConstantTimeCompare([]byte(a), []byte(b)) == 1 }

func (s *Server) passwordOK(r *http.Request) bool {
	user, password, ok := r.BasicAuth()
	return ok && same(user, s.o.Username) && same(password, s.o.Password)
}

func (s *Server) tokenOK(r *http.Request) bool {
	token, ok := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
	if !ok {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	until, known := s.tokens[token]
	return known && s.o.Now().Before(until)
}

func (s *Server) issue(lifetime time.Duration) (token string, until time.Time) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.issued++
	token = fmt.Sprintf("simulated-token-%08d", s.issued)
	until = s.o.Now().Add(lifetime)
	s.tokens[token] = until
	return token, until
}

// classicAuth guards the Classic API: today's server takes tokens only.
func (s *Server) classicAuth(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.o.OldServer && s.passwordOK(r) || !s.o.OldServer && s.tokenOK(r) {
			next(w, r)
			return
		}
		w.Header().Set("WWW-Authenticate", `Basic realm="Restful JSS Access"`)
		html(w, http.StatusUnauthorized, "The request requires user authentication")
	})
}

func (s *Server) proAuth(next http.HandlerFunc) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if !s.tokenOK(r) {
			proError(w, http.StatusUnauthorized, "INVALID_TOKEN", "Unauthorized")
			return
		}
		next(w, r)
	})
}

func (s *Server) userToken(w http.ResponseWriter, r *http.Request) {
	if !s.passwordOK(r) {
		proError(w, http.StatusUnauthorized, "INVALID_CREDENTIALS", "Unauthorized")
		return
	}
	token, until := s.issue(s.o.TokenLifetime)
	w.Header().Set("Date", s.o.Now().UTC().Format(http.TimeFormat))
	writeJSON(w, map[string]any{"token": token, "expires": until.UTC().Format("2006-01-02T15:04:05.000Z")})
}

func (s *Server) clientToken(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	if r.ParseForm() != nil || r.PostForm.Get("grant_type") != "client_credentials" {
		proError(w, http.StatusBadRequest, "INVALID_GRANT", "Unsupported grant type")
		return
	}
	if s.o.ClientID == "" || !same(r.PostForm.Get("client_id"), s.o.ClientID) || !same(r.PostForm.Get("client_secret"), s.o.ClientSecret) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(http.StatusUnauthorized)
		_, _ = fmt.Fprint(w, `{"error":"invalid_client"}`)
		return
	}
	token, _ := s.issue(s.o.ClientTokens)
	writeJSON(w, map[string]any{
		"access_token": token, "scope": "api-role:1", "token_type": "Bearer", "expires_in": int(s.o.ClientTokens / time.Second),
	})
}

func (s *Server) whoAmI(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, map[string]any{
		"account": map[string]any{
			"id": "1", "username": s.o.Username, "realName": "Posture", "accessLevel": "FullAccess", "privilegeSet": "CUSTOM",
			"privilegesBySite": map[string]any{"-1": []string{"Read Computers", "Read User"}}, "currentSiteId": "-1",
		},
		"accountGroups": []any{}, "sites": []any{}, "authenticationType": "JSS",
	})
}

func (s *Server) jssUser(w http.ResponseWriter, _ *http.Request) {
	writeJSON(w, map[string]any{"user": map[string]any{"privileges": []string{"Read Computers", "Read User"}, "version": "10.28.0"}})
}
