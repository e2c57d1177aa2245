// Package auth answers two questions about every request, in this one place: who
// is asking, and may they. What is not allowed in so many words is denied. It
// imports fault and nothing else of Posture.
package auth

import (
	"errors"
	"net"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode/utf8"

	"github.com/golang-jwt/jwt/v5"

	"github.com/postureproject/posture/fault"
)

// Everyone is the subject of an administrator's token that stands for no person.
const Everyone = "*"

// Identity is who is asking.
type Identity struct {
	Subject string // an e-mail address, or Everyone
	Admin   bool
}

// Action is what a request wants to do. Every route has one.
type Action string

// The actions.
const (
	Public       Action = "public"        // no identity needed
	ViewPerson   Action = "view_person"   // everything about one person
	ViewAny      Action = "view_any"      // devices of whomever, by serial or MAC
	SendFeedback Action = "send_feedback" // answer one's own notifications
	Administer   Action = "administer"    // the state of Posture itself

	ViewAdministration   Action = "view_administration"   // what failed, for whom, and why
	ChangeAdministration Action = "change_administration" // for how long that is kept
)

// Policy decides. The zero value denies everything but what is public.
type Policy struct {
	// Key verifies tokens (HMAC with SHA-256).
	Key []byte
	// Admins are the subjects that may ask for anybody, beside Everyone.
	Admins []string
	// Open lets requests without credentials in as administrator, as without a
	// log-in manager; those with credentials are held to them all the same.
	Open bool
	// Now is the clock for expiry; time.Now when nil.
	Now func() time.Time
}

// Identify tells who sent a request, by its bearer token.
func (p Policy) Identify(r *http.Request) (Identity, error) {
	header := r.Header.Get("Authorization")
	if header == "" {
		if p.Open {
			return identifyOpen(r)
		}
		return Identity{}, unauthenticated("no token was sent")
	}
	scheme, token, ok := strings.Cut(header, " ")
	if !ok || !strings.EqualFold(scheme, "Bearer") {
		return Identity{}, unauthenticated("the Authorization header holds no bearer token")
	}
	subject, err := p.verify(strings.TrimSpace(token))
	if err != nil {
		return Identity{}, err
	}
	return Identity{Subject: subject, Admin: p.isAdmin(subject)}, nil
}

func unauthenticated(message string) error {
	return &fault.Error{
		Kind: fault.Unauthenticated, Message: message,
		Remedy: `send "Authorization: Bearer TOKEN"; posture token makes one`,
	}
}

// identifyOpen lets a request without credentials in, unless a web page of
// somebody else's had a browser send it.
func identifyOpen(r *http.Request) (Identity, error) {
	if err := checkHost(r.Host); err != nil {
		return Identity{}, err
	}
	if err := http.NewCrossOriginProtection().Check(r); err != nil {
		return Identity{}, &fault.Error{
			Kind: fault.Forbidden, Message: "without a log-in, Posture takes nothing from other web sites", Err: err,
			Remedy: "send the request from a program, or set jwt_secret_key and send a token",
		}
	}
	return Identity{Subject: Everyone, Admin: true}, nil
}

// checkHost refuses names that are not this machine's own loopback. Without it,
// a web page that an employee visits could read an open server by pointing a name
// of its own at 127.0.0.1.
func checkHost(host string) error {
	name := host
	if h, _, err := net.SplitHostPort(host); err == nil {
		name = h
	}
	name = strings.Trim(name, "[]")
	if ip := net.ParseIP(name); ip != nil || strings.EqualFold(name, "localhost") {
		return nil
	}
	return &fault.Error{
		Kind: fault.Forbidden, Message: "without a log-in, Posture answers only under an address or localhost",
		Remedy: "ask 127.0.0.1 or localhost, or set jwt_secret_key and send a token",
	}
}

func (p Policy) isAdmin(subject string) bool {
	return subject == Everyone || slices.ContainsFunc(p.Admins, func(a string) bool { return sameAddress(a, subject) })
}

func (p Policy) verify(token string) (subject string, err error) {
	if len(p.Key) == 0 {
		return "", unauthenticated("no tokens are accepted: jwt_secret_key is not set")
	}
	now := p.Now
	if now == nil {
		now = time.Now
	}
	parsed, err := jwt.Parse(token, func(*jwt.Token) (any, error) { return p.Key, nil },
		jwt.WithValidMethods([]string{jwt.SigningMethodHS256.Alg()}), jwt.WithExpirationRequired(), jwt.WithTimeFunc(now))
	switch {
	case errors.Is(err, jwt.ErrTokenExpired):
		return "", unauthenticated("the token has expired")
	case err != nil:
		// The library's words may quote the token.
		return "", unauthenticated("the token is not valid")
	}
	subject, err = parsed.Claims.GetSubject()
	if err != nil || subject == "" {
		return "", unauthenticated("the token names no subject")
	}
	return subject, nil
}

// Authorize tells whether somebody may do something. The target is the address
// of the person whom a request is about, empty for others.
func (p Policy) Authorize(who Identity, action Action, target string) error {
	switch {
	case action == Public:
		return nil
	case who.Subject == "":
		return unauthenticated("no token was sent")
	case who.Admin:
		return nil
	case (action == ViewPerson || action == SendFeedback) && target != "" && sameAddress(who.Subject, target):
		return nil
	default:
		return &fault.Error{
			Kind: fault.Forbidden, Message: who.Subject + " may not do this", Remedy: "ask for your own address, or ask an administrator",
		}
	}
}

// sameAddress compares addresses without case, but only where case is beyond
// doubt: Unicode holds further letters that fold to ASCII ones, such as the
// Kelvin sign to k, and these make another address.
func sameAddress(a, b string) bool {
	return a == b || isASCII(a) && isASCII(b) && strings.EqualFold(a, b)
}

func isASCII(s string) bool {
	return !strings.ContainsFunc(s, func(r rune) bool { return r >= utf8.RuneSelf })
}

// Mint makes a token for a subject that is valid from now on for a while.
func Mint(key []byte, subject string, validFor time.Duration, now time.Time) (string, error) {
	if len(key) == 0 {
		return "", fault.InvalidField("jwt_secret_key", "", "is not set", "set it in the configuration")
	}
	if subject == "" {
		return "", fault.InvalidField("sub", "", "is empty", "give an e-mail address, or * for an administrator")
	}
	if validFor <= 0 {
		return "", fault.InvalidField("days-valid-for", validFor.String(), "must be positive", "give a number of days such as 1")
	}
	return jwt.NewWithClaims(jwt.SigningMethodHS256, jwt.RegisteredClaims{
		Subject: subject, IssuedAt: jwt.NewNumericDate(now), ExpiresAt: jwt.NewNumericDate(now.Add(validFor)),
	}).SignedString(key)
}
