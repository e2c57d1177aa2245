package auth_test

import (
	"crypto/rand"
	"crypto/rsa"
	"crypto/x509"
	"encoding/base64"
	"encoding/pem"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/host/auth"
)

const key = "a key that only this test knows, long enough"

func now() time.Time { return time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC) }

func policy() auth.Policy {
	return auth.Policy{Key: []byte(key), Admins: []string{"Root@example.com"}, Now: now}
}

// sign makes a token of any kind.
func sign(t *testing.T, method jwt.SigningMethod, with any, claims jwt.MapClaims) string {
	t.Helper()
	made, err := jwt.NewWithClaims(method, claims).SignedString(with)
	if err != nil {
		t.Fatal(err)
	}
	return made
}

func TestPolicy_Identify(t *testing.T) {
	t.Parallel()
	pair, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		t.Fatal(err)
	}
	public, err := x509.MarshalPKIXPublicKey(&pair.PublicKey)
	if err != nil {
		t.Fatal(err)
	}
	publicPEM := pem.EncodeToMemory(&pem.Block{Type: "PUBLIC KEY", Bytes: public})

	soon, past := now().Add(time.Hour).Unix(), now().Add(-time.Second).Unix()
	ada := jwt.MapClaims{"sub": "ada@example.com", "exp": soon}
	hs := func(claims jwt.MapClaims) string { return sign(t, jwt.SigningMethodHS256, []byte(key), claims) }
	good := hs(ada)
	header, rest, _ := strings.Cut(good, ".")
	payload, signature, _ := strings.Cut(rest, ".")
	part := func(text string) string { return base64.RawURLEncoding.EncodeToString([]byte(text)) }
	person := auth.Identity{Subject: "ada@example.com"}

	tests := []struct {
		name, header string
		key          string // of the server, when another
		want         auth.Identity
		says         string // in the refusal
	}{
		{name: "good", header: "Bearer " + good, want: person},
		{name: "lower-case scheme", header: "bearer " + good, want: person},
		{name: "upper-case scheme and spaces", header: "BEARER   " + good + " ", want: person},
		{name: "everyone", header: "Bearer " + hs(jwt.MapClaims{"sub": "*", "exp": soon}), want: auth.Identity{Subject: "*", Admin: true}},
		{name: "listed administrator", header: "Bearer " + hs(jwt.MapClaims{"sub": "root@Example.com", "exp": soon}), want: auth.Identity{Subject: "root@Example.com", Admin: true}},
		{name: "a claim to be administrator", header: "Bearer " + hs(jwt.MapClaims{"sub": "ada@example.com", "exp": soon, "admin": true}), want: person},
		{name: "nothing", says: "no token was sent"},
		{name: "no scheme", header: good, says: "no bearer token"},
		{name: "scheme only", header: "Bearer", says: "no bearer token"},
		{name: "empty token", header: "Bearer ", says: "not valid"},
		{name: "basic", header: "Basic " + good, says: "no bearer token"},
		{name: "garbage", header: "Bearer garbage", says: "not valid"},
		{name: "dots", header: "Bearer ..", says: "not valid"},
		{name: "binary", header: "Bearer \x00\xff", says: "not valid"},
		{name: "expired", header: "Bearer " + hs(jwt.MapClaims{"sub": "ada@example.com", "exp": past}), says: "expired"},
		{name: "expires now", header: "Bearer " + hs(jwt.MapClaims{"sub": "ada@example.com", "exp": now().Unix()}), says: "expired"},
		{name: "not valid yet", header: "Bearer " + hs(jwt.MapClaims{"sub": "ada@example.com", "exp": soon, "nbf": now().Add(time.Minute).Unix()}), says: "not valid"},
		{name: "no expiry", header: "Bearer " + hs(jwt.MapClaims{"sub": "ada@example.com"}), says: "not valid"},
		{name: "expiry as text", header: "Bearer " + hs(jwt.MapClaims{"sub": "ada@example.com", "exp": "never"}), says: "not valid"},
		{name: "no subject", header: "Bearer " + hs(jwt.MapClaims{"exp": soon}), says: "names no subject"},
		{name: "empty subject", header: "Bearer " + hs(jwt.MapClaims{"sub": "", "exp": soon}), says: "names no subject"},
		{name: "subject of another type", header: "Bearer " + hs(jwt.MapClaims{"sub": []string{"*"}, "exp": soon}), says: "names no subject"},
		{name: "wrong key", header: "Bearer " + sign(t, jwt.SigningMethodHS256, []byte("another key"), ada), says: "not valid"},
		{name: "expired and wrong key", header: "Bearer " + sign(t, jwt.SigningMethodHS256, []byte("another key"), jwt.MapClaims{"sub": "*", "exp": past}), says: "not valid"},
		{name: "another hash", header: "Bearer " + sign(t, jwt.SigningMethodHS512, []byte(key), ada), says: "not valid"},
		{name: "alg none", header: "Bearer " + sign(t, jwt.SigningMethodNone, jwt.UnsafeAllowNoneSignatureType, ada), says: "not valid"},
		{name: "alg None", header: "Bearer " + part(`{"alg":"None"}`) + "." + payload + ".", says: "not valid"},
		{name: "no signature", header: "Bearer " + header + "." + payload + ".", says: "not valid"},
		{name: "RS256", header: "Bearer " + sign(t, jwt.SigningMethodRS256, pair, ada), key: string(publicPEM), says: "not valid"},
		{name: "HS256 with the public key as RS256", header: "Bearer " + strings.Replace(sign(t, jwt.SigningMethodHS256, publicPEM, ada), header, part(`{"alg":"RS256","typ":"JWT"}`), 1), key: string(publicPEM), says: "not valid"},
		{name: "changed claims", header: "Bearer " + header + "." + part(`{"sub":"*","exp":4102444800}`) + "." + signature, says: "not valid"},
		{name: "no key at the server", header: "Bearer " + good, key: "-", says: "jwt_secret_key"},
	}
	for _, tt := range tests {
		for _, open := range []bool{false, true} {
			if open && tt.header == "" {
				continue
			}
			t.Run(tt.name, func(t *testing.T) {
				t.Parallel()
				p := policy()
				p.Open = open
				switch tt.key {
				case "":
				case "-":
					p.Key = nil
				default:
					p.Key = []byte(tt.key)
				}
				r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
				r.Host = "localhost"
				if tt.header != "" {
					r.Header.Set("Authorization", tt.header)
				}
				got, err := p.Identify(r)
				if diff := cmp.Diff(tt.want, got); diff != "" {
					t.Errorf("identity (-want +got):\n%s", diff)
				}
				if tt.says == "" {
					if err != nil {
						t.Error(err)
					}
					return
				}
				if fault.KindOf(err) != fault.Unauthenticated || fault.RemedyOf(err) == "" || !strings.Contains(err.Error(), tt.says) {
					t.Fatalf("error %v, want one that says %q", err, tt.says)
				}
				for _, piece := range strings.FieldsFunc(tt.header, func(r rune) bool { return r == '.' || r == ' ' }) {
					if len(piece) > 8 && strings.Contains(err.Error(), piece) {
						t.Errorf("the error repeats the token: %v", err)
					}
				}
			})
		}
	}
}

// An open server answers whom it is meant for: not a name that a stranger
// pointed at it, and not another web site.
func TestPolicy_Open(t *testing.T) {
	t.Parallel()
	tests := []struct {
		host, method, site, origin string
		allowed                    bool
	}{
		{host: "localhost", allowed: true},
		{host: "LOCALHOST:8000", allowed: true},
		{host: "127.0.0.1:8000", allowed: true},
		{host: "[::1]:8000", allowed: true},
		{host: "[::1]", allowed: true},
		{host: "10.1.2.3", allowed: true},
		{host: ""},
		{host: "posture.example"},
		{host: "localhost.evil.example:8000"},
		{host: "127.0.0.1.evil.example"},
		{host: "evil.example:127.0.0.1"},
		{host: "localhost", method: "POST", allowed: true},
		{host: "localhost", method: "POST", site: "same-origin", allowed: true},
		{host: "localhost", method: "POST", site: "cross-site"},
		{host: "localhost", method: "POST", site: "same-site"},
		{host: "localhost:8000", method: "POST", origin: "http://localhost:8000", allowed: true},
		{host: "localhost:8000", method: "POST", origin: "http://localhost:3000"},
		{host: "localhost:8000", method: "POST", origin: "null"},
	}
	for _, tt := range tests {
		p := auth.Policy{Open: true}
		method := tt.method
		if method == "" {
			method = "GET"
		}
		r := httptest.NewRequestWithContext(t.Context(), method, "/", nil)
		r.Host = tt.host
		if tt.site != "" {
			r.Header.Set("Sec-Fetch-Site", tt.site)
		}
		if tt.origin != "" {
			r.Header.Set("Origin", tt.origin)
		}
		who, err := p.Identify(r)
		if tt.allowed {
			if err != nil || !who.Admin || who.Subject != auth.Everyone {
				t.Errorf("%+v: %+v, %v", tt, who, err)
			}
			continue
		}
		if fault.KindOf(err) != fault.Forbidden || who != (auth.Identity{}) || fault.RemedyOf(err) == "" {
			t.Errorf("%+v: %+v, %v", tt, who, err)
		}
	}
}

func TestPolicy_Authorize(t *testing.T) {
	t.Parallel()
	nobody, person, admin := auth.Identity{}, auth.Identity{Subject: "ada@example.com"}, auth.Identity{Subject: "*", Admin: true}
	const allowed, unknown, refused = fault.Kind(255), fault.Unauthenticated, fault.Forbidden
	tests := []struct {
		who    auth.Identity
		action auth.Action
		target string
		want   fault.Kind
	}{
		{nobody, auth.Public, "", allowed},
		{nobody, auth.ViewPerson, "", unknown},
		{nobody, auth.ViewPerson, "ada@example.com", unknown},
		{person, auth.Public, "", allowed},
		{person, auth.ViewPerson, "ada@example.com", allowed},
		{person, auth.ViewPerson, "Ada@EXAMPLE.com", allowed},
		{person, auth.ViewPerson, "ada@exam\u017fle.com", refused},
		{person, auth.ViewPerson, " ada@example.com", refused},
		{person, auth.ViewPerson, "ada@example.com.evil", refused},
		{person, auth.ViewPerson, "", refused},
		{person, auth.ViewPerson, "*", refused},
		{person, auth.SendFeedback, "ada@example.com", allowed},
		{person, auth.SendFeedback, "eve@example.com", refused},
		{person, auth.ViewAny, "ada@example.com", refused},
		{person, auth.Administer, "ada@example.com", refused},
		{person, "something new", "ada@example.com", refused},
		{person, "", "ada@example.com", refused},
		{auth.Identity{Subject: "\u212aim@example.com"}, auth.ViewPerson, "kim@example.com", refused},
		{auth.Identity{Subject: "\u212aim@example.com"}, auth.ViewPerson, "\u212aim@example.com", allowed},
		{admin, auth.ViewPerson, "eve@example.com", allowed},
		{admin, auth.ViewAny, "", allowed},
		{admin, auth.SendFeedback, "eve@example.com", allowed},
		{admin, auth.Administer, "", allowed},
	}
	for _, tt := range tests {
		err := policy().Authorize(tt.who, tt.action, tt.target)
		if tt.want == allowed {
			if err != nil {
				t.Errorf("%+v: %v", tt, err)
			}
			continue
		}
		if err == nil || fault.KindOf(err) != tt.want {
			t.Errorf("%+v: %v", tt, err)
		}
	}
}

// The zero policy lets nobody in, with whatever token.
func TestPolicy_Zero(t *testing.T) {
	t.Parallel()
	for _, header := range []string{"", "Bearer " + sign(t, jwt.SigningMethodHS256, []byte{}, jwt.MapClaims{"sub": "*", "exp": time.Now().Add(time.Hour).Unix()})} {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
		r.Host = "localhost"
		if header != "" {
			r.Header.Set("Authorization", header)
		}
		if who, err := (auth.Policy{}).Identify(r); err == nil || who != (auth.Identity{}) {
			t.Errorf("%q: %+v, %v", header, who, err)
		}
	}
}

func TestMint(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		key, subject string
		validFor     time.Duration
		field        string
	}{
		{"", "ada@example.com", time.Hour, "jwt_secret_key"},
		{key, "", time.Hour, "sub"},
		{key, "ada@example.com", 0, "days-valid-for"},
		{key, "ada@example.com", -time.Hour, "days-valid-for"},
	} {
		made, err := auth.Mint([]byte(tt.key), tt.subject, tt.validFor, now())
		if made != "" || fault.KindOf(err) != fault.Invalid || !strings.HasPrefix(err.Error(), tt.field) {
			t.Errorf("%+v: %q, %v", tt, made, err)
		}
	}
	made, err := auth.Mint([]byte(key), "ada@example.com", time.Hour, now())
	if err != nil {
		t.Fatal(err)
	}
	r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
	r.Header.Set("Authorization", "Bearer "+made)
	for after, ok := range map[time.Duration]bool{0: true, time.Hour - time.Second: true, time.Hour: false} {
		p := policy()
		p.Now = func() time.Time { return now().Add(after) }
		if _, err := p.Identify(r); (err == nil) != ok {
			t.Errorf("after %v: %v", after, err)
		}
	}
}

// FuzzPolicy_Identify: no header but one made with the key lets anybody in.
func FuzzPolicy_Identify(f *testing.F) {
	good, err := auth.Mint([]byte(key), "ada@example.com", time.Hour, now())
	if err != nil {
		f.Fatal(err)
	}
	for _, seed := range []string{"", "Bearer " + good, "Bearer a.b.c", "bearer", good, "Bearer " + good + "=", "Bearer eyJhbGciOiJub25lIn0.e30."} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, header string) {
		r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
		r.Header["Authorization"] = []string{header}
		who, err := policy().Identify(r)
		if err == nil && (who.Subject != "ada@example.com" || who.Admin || !strings.Contains(header, good[:len(good)-1])) {
			t.Errorf("%q was let in as %+v", header, who)
		}
		if err != nil && who != (auth.Identity{}) {
			t.Errorf("%q was refused as %+v", header, who)
		}
	})
}
