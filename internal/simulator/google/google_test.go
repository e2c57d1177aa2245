package google_test

import (
	"crypto/rand"
	"crypto/rsa"
	"encoding/json"
	"io"
	"net/http"
	"net/url"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/golang-jwt/jwt/v5"
	"go.uber.org/goleak"

	"github.com/postureproject/posture/internal/simulator/fleet"
	"github.com/postureproject/posture/internal/simulator/google"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

var key = sync.OnceValue(newKey)

func newKey() *rsa.PrivateKey {
	k, err := rsa.GenerateKey(rand.Reader, 2048)
	if err != nil {
		panic(err)
	}
	return k
}

type bench struct {
	sim    *google.Server
	url    string
	client *http.Client
}

func setup(t *testing.T, o google.Options) *bench {
	t.Helper()
	o.Key = key()
	sim, err := google.New(fleet.New(fleet.Options{People: 300}), o)
	if err != nil {
		t.Fatal(err)
	}
	address, stop, err := sim.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	client := &http.Client{Transport: &http.Transport{}}
	t.Cleanup(func() {
		client.CloseIdleConnections()
		stop()
	})
	return &bench{sim: sim, url: address, client: client}
}

// do sends a request and gives the status and the decoded answer.
func (b *bench) do(t *testing.T, req *http.Request) (int, map[string]any) {
	t.Helper()
	resp, err := b.client.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	var answer map[string]any
	if err := json.Unmarshal(body, &answer); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return resp.StatusCode, answer
}

// claims are those of a sound assertion.
func (b *bench) claims(now time.Time) jwt.MapClaims {
	return jwt.MapClaims{
		"iss": "posture@posture-simulated.iam.gserviceaccount.com", "sub": b.sim.Admin(), "aud": b.url + "/token",
		"iat": now.Unix(), "exp": now.Add(time.Hour).Unix(), "scope": strings.Join(google.Scopes(), " "),
	}
}

func (b *bench) exchange(t *testing.T, claims jwt.MapClaims, signer *rsa.PrivateKey) (int, map[string]any) {
	t.Helper()
	assertion, err := jwt.NewWithClaims(jwt.SigningMethodRS256, claims).SignedString(signer)
	if err != nil {
		t.Fatal(err)
	}
	form := url.Values{"grant_type": {"urn:ietf:params:oauth:grant-type:jwt-bearer"}, "assertion": {assertion}}
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, b.url+"/token", strings.NewReader(form.Encode()))
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	return b.do(t, req)
}

func (b *bench) token(t *testing.T) string {
	t.Helper()
	_, answer := b.exchange(t, b.claims(time.Now()), key())
	token, ok := answer["access_token"].(string)
	if !ok {
		t.Fatalf("no token: %v", answer)
	}
	return token
}

func (b *bench) get(t *testing.T, token, path string) (int, map[string]any) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), http.MethodGet, b.url+path, nil)
	if err != nil {
		t.Fatal(err)
	}
	req.Header.Set("Authorization", "Bearer "+token)
	return b.do(t, req)
}

// reason gives the reason of an API's error.
func reason(t *testing.T, answer map[string]any) string {
	t.Helper()
	raw, err := json.Marshal(answer)
	if err != nil {
		t.Fatal(err)
	}
	var e struct {
		Error struct {
			Code   int
			Errors []struct{ Reason string }
		}
	}
	if err := json.Unmarshal(raw, &e); err != nil || len(e.Error.Errors) != 1 {
		t.Fatalf("%s is no error: %v", raw, err)
	}
	return e.Error.Errors[0].Reason
}

func TestToken_assertions(t *testing.T) {
	t.Parallel()
	b := setup(t, google.Options{Delegated: google.Scopes()[:2]})
	now := time.Now()
	for _, tt := range []struct {
		name   string
		change func(jwt.MapClaims)
		signer *rsa.PrivateKey
		want   string // the error's code, "" for none
	}{
		{"sound", func(c jwt.MapClaims) { c["scope"] = google.Scopes()[0] }, key(), ""},
		{"another key", func(c jwt.MapClaims) { c["scope"] = google.Scopes()[0] }, newKey(), "invalid_grant"},
		{"another issuer", func(c jwt.MapClaims) { c["iss"] = "x@example.com" }, key(), "invalid_grant"},
		{"another audience", func(c jwt.MapClaims) { c["aud"] = "https://oauth2.googleapis.com/token" }, key(), "invalid_grant"},
		{"unknown subject", func(c jwt.MapClaims) { c["sub"] = "gone@example.com" }, key(), "invalid_grant"},
		{"no subject", func(c jwt.MapClaims) { delete(c, "sub") }, key(), "invalid_grant"},
		{"expired", func(c jwt.MapClaims) {
			c["iat"], c["exp"] = now.Add(-3*time.Hour).Unix(), now.Add(-2*time.Hour).Unix()
		}, key(), "invalid_grant"},
		{"from the future", func(c jwt.MapClaims) {
			c["iat"], c["exp"] = now.Add(2*time.Hour).Unix(), now.Add(3*time.Hour).Unix()
		}, key(), "invalid_grant"},
		{"too long", func(c jwt.MapClaims) { c["exp"] = now.Add(2 * time.Hour).Unix() }, key(), "invalid_grant"},
		{"no end", func(c jwt.MapClaims) { delete(c, "exp") }, key(), "invalid_grant"},
		{"no scope", func(c jwt.MapClaims) { delete(c, "scope") }, key(), "invalid_scope"},
		{"undelegated scope", func(jwt.MapClaims) {}, key(), "unauthorized_client"},
	} {
		claims := b.claims(now)
		tt.change(claims)
		status, answer := b.exchange(t, claims, tt.signer)
		if got, _ := answer["error"].(string); got != tt.want || (status == http.StatusOK) != (tt.want == "") {
			t.Errorf("%s: %d %v, want %q", tt.name, status, answer, tt.want)
		}
	}
}

func TestAPI_access(t *testing.T) {
	t.Parallel()
	const users = "/admin/directory/v1/users?customer=my_customer"
	b := setup(t, google.Options{TokenLifetime: 50 * time.Millisecond})
	if status, answer := b.get(t, "made-up", users); status != http.StatusUnauthorized || reason(t, answer) != "authError" {
		t.Errorf("made-up token: %d %v", status, answer)
	}
	token := b.token(t)
	for deadline := time.Now().Add(5 * time.Second); ; {
		status, _ := b.get(t, token, users)
		if status == http.StatusUnauthorized {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("the token never ran out")
		}
	}

	b = setup(t, google.Options{})
	claims := b.claims(time.Now())
	claims["scope"] = google.Scopes()[0]
	_, answer := b.exchange(t, claims, key())
	narrow, _ := answer["access_token"].(string)
	if status, answer := b.get(t, narrow, users); status != http.StatusForbidden || reason(t, answer) != "insufficientPermissions" {
		t.Errorf("narrow token: %d %v", status, answer)
	}
	claims = b.claims(time.Now())
	claims["sub"] = "alan.turing@example.com"
	_, answer = b.exchange(t, claims, key())
	plain, _ := answer["access_token"].(string)
	if status, answer := b.get(t, plain, users); status != http.StatusForbidden || reason(t, answer) != "forbidden" {
		t.Errorf("plain user: %d %v", status, answer)
	}
}

func TestAPI_rate(t *testing.T) {
	t.Parallel()
	b := setup(t, google.Options{Rate: 3})
	token := b.token(t)
	refused := 0
	for range 10 {
		status, answer := b.get(t, token, "/admin/directory/v1/users?customer=my_customer&maxResults=1")
		if status == http.StatusForbidden && reason(t, answer) == "userRateLimitExceeded" {
			refused++
		}
	}
	if refused == 0 {
		t.Error("ten requests at once, and none refused")
	}
}

func TestAPI_pages(t *testing.T) {
	t.Parallel()
	b := setup(t, google.Options{})
	token := b.token(t)
	for _, tt := range []struct {
		path, list, id string
		most           int
	}{
		{"/admin/directory/v1/customer/my_customer/devices/mobile?projection=FULL&maxResults=1000", "mobiledevices", "resourceId", 100},
		{"/admin/directory/v1/customer/my_customer/devices/chromeos?projection=FULL&maxResults=20", "chromeosdevices", "deviceId", 20},
		{"/admin/directory/v1/users?customer=my_customer", "users", "id", 100},
		{"/admin/reports/v1/activity/users/ada.lovelace@example.com/applications/login?maxResults=7", "items", "", 7},
	} {
		seen, pages, next := map[any]bool{}, 0, ""
		for {
			status, answer := b.get(t, token, tt.path+next)
			entries, _ := answer[tt.list].([]any)
			if status != http.StatusOK || len(entries) == 0 || len(entries) > tt.most {
				t.Fatalf("%s: %d with %d entries", tt.path, status, len(entries))
			}
			for _, e := range entries {
				object, _ := e.(map[string]any)
				if id := object[tt.id]; tt.id != "" && seen[id] {
					t.Errorf("%s: %v twice", tt.list, id)
				} else {
					seen[id] = true
				}
			}
			pages++
			token, more := answer["nextPageToken"].(string)
			if !more {
				break
			}
			join := "&"
			if !strings.Contains(tt.path, "?") {
				join = "?"
			}
			next = join + "pageToken=" + token
		}
		if pages < 2 {
			t.Errorf("%s: only one page", tt.list)
		}
	}
}

func TestAPI_malformedRequests(t *testing.T) {
	t.Parallel()
	b := setup(t, google.Options{Now: func() time.Time { return time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC) }})
	token := b.token(t)
	for path, want := range map[string]int{
		"/admin/directory/v1/customer/C1/devices/mobile":                                http.StatusNotFound,
		"/admin/directory/v1/users":                                                     http.StatusBadRequest,
		"/admin/directory/v1/users?customer=my_customer&maxResults=0":                   http.StatusBadRequest,
		"/admin/directory/v1/users?customer=my_customer&pageToken=x":                    http.StatusBadRequest,
		"/admin/reports/v1/activity/users/nobody@example.com/applications/login":        http.StatusBadRequest,
		"/admin/reports/v1/activity/users/all/applications/drive":                       http.StatusBadRequest,
		"/admin/reports/v1/usage/users/ada.lovelace@example.com/dates/yesterday":        http.StatusBadRequest,
		"/admin/reports/v1/usage/users/ada.lovelace@example.com/dates/2026-06-01":       http.StatusBadRequest,
		"/admin/reports/v1/usage/users/ada.lovelace@example.com/dates/2026-05-30":       http.StatusBadRequest,
		"/admin/reports/v1/usage/users/ada.lovelace@example.com/dates/2026-05-29":       http.StatusOK,
		"/admin/reports/v1/usage/users/nobody@example.com/dates/2026-05-29":             http.StatusOK,
		"/admin/directory/v1/customer/my_customer/devices/mobile?query=email:nobody@x":  http.StatusOK,
		"/admin/directory/v1/customer/my_customer/devices/mobile?query=serial:C020000":  http.StatusOK,
		"/admin/directory/v1/customer/my_customer/devices/chromeos?query=unknown:thing": http.StatusOK,
		"/somewhere/else": http.StatusNotFound,
	} {
		status, answer := b.get(t, token, path)
		if status != want {
			t.Errorf("%s: %d %v, want %d", path, status, answer, want)
		}
	}
}
