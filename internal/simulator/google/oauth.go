package google

import (
	"crypto/rand"
	"errors"
	"net/http"
	"slices"
	"strings"
	"time"

	"github.com/golang-jwt/jwt/v5"
)

const grantType = "urn:ietf:params:oauth:grant-type:jwt-bearer"

// grant is what a token allows.
type grant struct {
	subject string
	scopes  []string
	expires time.Time
}

// claims are an assertion's.
type claims struct {
	jwt.RegisteredClaims
	Scope string `json:"scope"`
}

// token exchanges a signed assertion for an access token, as the page "Using
// OAuth 2.0 for Server to Server Applications" describes.
func (s *Server) token(w http.ResponseWriter, r *http.Request) {
	r.Body = http.MaxBytesReader(w, r.Body, 64<<10)
	if err := r.ParseForm(); err != nil {
		refuseToken(w, http.StatusBadRequest, "invalid_request", "Bad Request")
		return
	}
	if r.PostForm.Get("grant_type") != grantType {
		refuseToken(w, http.StatusBadRequest, "unsupported_grant_type", "Invalid grant_type: "+r.PostForm.Get("grant_type"))
		return
	}
	var c claims
	_, err := jwt.ParseWithClaims(r.PostForm.Get("assertion"), &c, func(*jwt.Token) (any, error) { return &s.o.Key.PublicKey, nil },
		jwt.WithValidMethods([]string{"RS256"}), jwt.WithExpirationRequired(), jwt.WithIssuedAt(), jwt.WithLeeway(5*time.Minute),
		jwt.WithAudience("http://"+r.Host+tokenPath, "https://"+r.Host+tokenPath))
	if description := s.invalidGrant(c, err); description != "" {
		refuseToken(w, http.StatusBadRequest, "invalid_grant", description)
		return
	}
	scopes := strings.Fields(c.Scope)
	if len(scopes) == 0 {
		refuseToken(w, http.StatusBadRequest, "invalid_scope", "Empty or missing scope not allowed.")
		return
	}
	for _, scope := range scopes {
		if !slices.Contains(s.o.Delegated, scope) {
			refuseToken(w, http.StatusUnauthorized, "unauthorized_client",
				"Client is unauthorized to retrieve access tokens using this method, or client not authorized for any of the scopes requested.")
			return
		}
	}
	writeJSON(w, http.StatusOK, map[string]any{
		"access_token": s.issue(grant{subject: c.Subject, scopes: scopes, expires: time.Now().Add(s.o.TokenLifetime)}),
		"expires_in":   int(s.o.TokenLifetime.Seconds()), "token_type": "Bearer",
	})
}

// invalidGrant gives the description that goes with invalid_grant, or "".
func (s *Server) invalidGrant(c claims, err error) string {
	switch {
	case errors.Is(err, jwt.ErrTokenSignatureInvalid), errors.Is(err, jwt.ErrTokenMalformed), errors.Is(err, jwt.ErrTokenUnverifiable):
		return "Invalid JWT Signature."
	case errors.Is(err, jwt.ErrTokenInvalidAudience):
		return "Invalid JWT: Failed audience check."
	case err != nil, c.IssuedAt == nil, c.ExpiresAt.Sub(c.IssuedAt.Time) > time.Hour:
		return "Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim."
	case c.Issuer != clientEmail:
		return "Invalid grant: account not found"
	}
	if _, known := s.fleet.PersonByEmail(c.Subject); !known && !strings.EqualFold(c.Subject, s.o.Admin) {
		return "Invalid email or User ID"
	}
	return ""
}

func (s *Server) issue(g grant) string {
	value := "ya29.simulated-" + rand.Text()
	s.mu.Lock()
	defer s.mu.Unlock()
	s.issued++
	s.tokens[value] = g
	return value
}

// api puts in front of an API what all have: the token, the rate, the scope and
// the administrator's rights.
func (s *Server) api(scope string, next http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		value, _ := strings.CutPrefix(r.Header.Get("Authorization"), "Bearer ")
		s.mu.Lock()
		g, known := s.tokens[value]
		s.mu.Unlock()
		switch {
		case !known || time.Now().After(g.expires):
			w.Header().Set("WWW-Authenticate", `Bearer realm="https://accounts.google.com/", error="invalid_token"`)
			refuse(w, http.StatusUnauthorized, "authError", "Request had invalid authentication credentials. Expected OAuth 2 access token, login cookie or other valid authentication credential.")
		case s.limiter != nil && !s.limiter.Allow():
			refuse(w, http.StatusForbidden, "userRateLimitExceeded", "User Rate Limit Exceeded")
		case !slices.Contains(g.scopes, scope):
			refuse(w, http.StatusForbidden, "insufficientPermissions", "Request had insufficient authentication scopes.")
		case !strings.EqualFold(g.subject, s.o.Admin):
			refuse(w, http.StatusForbidden, "forbidden", "Not Authorized to access this resource/api")
		default:
			next(w, r)
		}
	}
}
