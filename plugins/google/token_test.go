package google_test

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/postureproject/posture/fault"
	simulator "github.com/postureproject/posture/internal/simulator/google"
	"github.com/postureproject/posture/internal/simulator/simhttp"
	"github.com/postureproject/posture/plugins/google"
	"github.com/postureproject/posture/plugins/sdk/sdktest"
)

// withSecrets gives settings whose key file has other fields.
func (b *bench) withSecrets(t *testing.T, change func(map[string]any)) map[string]any {
	t.Helper()
	raw, ok := b.settings["GOOGLE_API_SECRETS"].(json.RawMessage)
	if !ok {
		t.Fatal("no key file")
	}
	var file map[string]any
	if err := json.Unmarshal(raw, &file); err != nil {
		t.Fatal(err)
	}
	change(file)
	return map[string]any{"GOOGLE_API_SECRETS": file}
}

func TestToken_oneForAllConcurrentCallers(t *testing.T) {
	t.Parallel()
	b := setup(t, simulator.Options{})
	b.sim.Faults.SetLatency(20 * time.Millisecond)
	client := b.open(t, nil)
	var wg sync.WaitGroup
	for i := range 20 {
		wg.Go(func() {
			if _, err := client.DevicesByEmail(t.Context(), b.fleet.Person(i).Email); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	if n := b.sim.TokensIssued(); n != 1 {
		t.Errorf("%d tokens, want 1", n)
	}
}

// A token that was revoked before it ran out is replaced without a failure.
func TestToken_revoked(t *testing.T) {
	t.Parallel()
	b := setup(t, simulator.Options{})
	client := b.open(t, nil)
	for round := 1; round <= 3; round++ {
		devices, err := client.DevicesByEmail(t.Context(), ada)
		if err != nil || len(devices) != 3 {
			t.Fatalf("round %d: %d devices, %v", round, len(devices), err)
		}
		if n := b.sim.TokensIssued(); n != round {
			t.Errorf("round %d: %d tokens", round, n)
		}
		b.sim.RevokeTokens()
	}
}

// A token that ran out at Google is replaced, even when Google did not tell how
// long it is good.
func TestToken_expired(t *testing.T) {
	t.Parallel()
	b := setup(t, simulator.Options{TokenLifetime: 50 * time.Millisecond})
	client := b.open(t, nil)
	deadline := time.Now().Add(8 * time.Second)
	for b.sim.TokensIssued() < 2 && time.Now().Before(deadline) {
		if _, err := client.EventsByEmail(t.Context(), ada); err != nil {
			t.Fatal(err)
		}
	}
	if n := b.sim.TokensIssued(); n < 2 {
		t.Errorf("%d tokens, want a second one", n)
	}
}

func TestTokenCache(t *testing.T) {
	t.Parallel()
	synctest.Test(t, func(t *testing.T) {
		fetched := 0
		get, reject, closeCache := google.TokenCache(t.Context(), time.Hour, func(ctx context.Context) (string, error) {
			select {
			case <-time.After(time.Second): // so that callers meet
			case <-ctx.Done():
				return "", ctx.Err()
			}
			if fetched++; fetched == 3 {
				return "", errors.New("refused")
			}
			return "token " + strconv.Itoa(fetched), nil
		})
		all := func(want string) {
			t.Helper()
			var wg sync.WaitGroup
			for range 10 {
				wg.Go(func() {
					if got, err := get(t.Context()); got != want || (err != nil) != (want == "") {
						t.Errorf("%q, %v; want %q", got, err, want)
					}
				})
			}
			wg.Wait()
		}
		all("token 1")
		time.Sleep(59 * time.Minute)
		all("token 1")
		time.Sleep(2 * time.Minute)
		all("token 2")
		reject("token 1") // long replaced
		all("token 2")
		reject("token 2")
		all("") // the third is refused, and told to all who wait
		all("token 4")

		// A caller who gives up leaves the renewal to the others.
		reject("token 4")
		impatient, cancel := context.WithTimeout(t.Context(), time.Millisecond)
		defer cancel()
		if _, err := get(impatient); !errors.Is(err, context.DeadlineExceeded) {
			t.Errorf("impatient caller: %v", err)
		}
		all("token 5")

		reject("token 5")
		waiting := make(chan error)
		go func() {
			_, err := get(t.Context())
			waiting <- err
		}()
		synctest.Wait()
		closeCache()
		if err := <-waiting; !errors.Is(err, context.Canceled) {
			t.Errorf("caller at the end: %v", err)
		}
		if _, err := get(t.Context()); !errors.Is(err, context.Canceled) {
			t.Errorf("caller after the end: %v", err)
		}
	})
}

// A fresh token that is refused, too, is a failure and no loop.
func TestToken_alwaysRefused(t *testing.T) {
	t.Parallel()
	b := setup(t, simulator.Options{})
	b.sim.Faults.Add(simhttp.Fault{Path: regexp.MustCompile("/admin/"), Status: 401, Body: `{"error":{"code":401,"message":"Invalid Credentials","errors":[{"reason":"authError"}]}}`})
	_, err := b.open(t, nil).EventsByEmail(t.Context(), ada)
	if fault.KindOf(err) != fault.Unauthenticated || !strings.Contains(fault.RemedyOf(err), "GOOGLE_API_USERNAME") {
		t.Errorf("error %v, remedy %s", err, fault.RemedyOf(err))
	}
	if n := b.sim.Faults.RequestsTo(loginPath); n != 2 {
		t.Errorf("%d requests, want 2", n)
	}
}

func TestToken_refusals(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name, body, remedy string
		status             int
		kind               fault.Kind
	}{
		{"signature", `{"error":"invalid_grant","error_description":"Invalid JWT Signature."}`, "make a new key", 400, fault.Unauthenticated},
		{"clock", `{"error":"invalid_grant","error_description":"Invalid JWT: Token must be a short-lived token (60 minutes) and in a reasonable timeframe. Check your iat and exp values in the JWT claim."}`, "clock", 400, fault.Unauthenticated},
		{"subject", `{"error":"invalid_grant","error_description":"Invalid email or User ID"}`, "GOOGLE_API_USERNAME", 400, fault.Unauthenticated},
		{"other grant", `{"error":"invalid_grant"}`, "GOOGLE_API_SECRETS", 400, fault.Unauthenticated},
		{"delegation", `{"error":"unauthorized_client","error_description":"Client is unauthorized"}`, "domain-wide delegation", 401, fault.Forbidden},
		{"access denied", `{"error":"access_denied","error_description":"Requested client not authorized."}`, "domain-wide delegation", 403, fault.Forbidden},
		{"scope", `{"error":"invalid_scope","error_description":"x"}`, "GOOGLE_API_SCOPES", 400, fault.Forbidden},
		{"client", `{"error":"invalid_client","error_description":"The OAuth client was not found."}`, "service account exists", 401, fault.Unauthenticated},
		{"not found", `<html>nothing here</html>`, "token_uri", 404, fault.BadResponse},
		{"odd error", `{"error":{"code":400},"error_description":7}`, "token_uri", 400, fault.BadResponse},
		{"server error", `{"error":"internal_failure"}`, "try again", 500, fault.Unavailable},
		{"too many", `{"error":"rate_limit_exceeded"}`, "wait", 429, fault.RateLimited},
		{"no token", `{"token_type":"Bearer"}`, "token_uri", 0, fault.BadResponse},
		{"not JSON", `hello`, "token_uri", 0, fault.BadResponse},
		{"wrong types", `{"access_token":5}`, "token_uri", 0, fault.BadResponse},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, simulator.Options{})
			b.sim.Faults.Add(simhttp.Fault{Path: regexp.MustCompile("^/token$"), Status: tt.status, Body: tt.body})
			devices, err := b.open(t, nil).DevicesByEmail(t.Context(), ada)
			if fault.KindOf(err) != tt.kind || len(devices) != 0 {
				t.Errorf("%d devices, error %v of kind %v; want %v", len(devices), err, fault.KindOf(err), tt.kind)
			}
			if remedy := fault.RemedyOf(err); !strings.Contains(remedy, tt.remedy) {
				t.Errorf("remedy %q, want one about %q", remedy, tt.remedy)
			}
			if err != nil {
				secretless(t, err.Error()+fault.RemedyOf(err))
			}
		})
	}
}

func TestToken_wrongCredentials(t *testing.T) {
	t.Parallel()
	for _, tt := range []struct {
		name   string
		change func(map[string]any)
		more   map[string]any
		kind   fault.Kind
	}{
		{"another account", func(f map[string]any) { f["client_email"] = "other@x.iam.gserviceaccount.com" }, nil, fault.Unauthenticated},
		{"unknown subject", func(map[string]any) {}, map[string]any{"GOOGLE_API_USERNAME": "gone@example.com"}, fault.Unauthenticated},
		{"subject without rights", func(map[string]any) {}, map[string]any{"GOOGLE_API_USERNAME": "alan.turing@example.com"}, fault.Forbidden},
		{"undelegated scope", func(map[string]any) {}, map[string]any{"GOOGLE_API_SCOPES": []string{"https://www.googleapis.com/auth/admin.directory.device.mobile"}}, fault.Forbidden},
	} {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, simulator.Options{})
			settings := b.withSecrets(t, tt.change)
			for k, v := range tt.more {
				settings[k] = v
			}
			_, err := b.open(t, settings).DevicesByEmail(t.Context(), ada)
			if fault.KindOf(err) != tt.kind || fault.RemedyOf(err) == "" {
				t.Errorf("error %v, remedy %q; want %v", err, fault.RemedyOf(err), tt.kind)
			}
			if err != nil {
				secretless(t, err.Error())
			}
		})
	}
}

func TestToken_endpointOutOfReach(t *testing.T) {
	t.Parallel()
	b := setup(t, simulator.Options{})
	for uri, kind := range map[string]fault.Kind{
		"http://127.0.0.1:1/token":                            fault.Unavailable,
		"http://no-such-host.invalid/token":                   fault.Unavailable,
		strings.Replace(b.url, "http", "https", 1) + "/token": fault.Unavailable,
	} {
		settings := b.withSecrets(t, func(f map[string]any) { f["token_uri"] = uri })
		_, err := b.open(t, settings).EventsByEmail(t.Context(), ada)
		if fault.KindOf(err) != kind || fault.RemedyOf(err) == "" {
			t.Errorf("%s: error %v, remedy %q; want %v", uri, err, fault.RemedyOf(err), kind)
		}
	}
}

func TestToken_endpointIsSlow(t *testing.T) {
	t.Parallel()
	b := setup(t, simulator.Options{})
	b.sim.Faults.Add(simhttp.Fault{Path: regexp.MustCompile("^/token$"), Hang: true})
	_, err := b.open(t, nil, sdktest.WithTimeout(200*time.Millisecond)).EventsByEmail(t.Context(), ada)
	if fault.KindOf(err) != fault.Timeout {
		t.Errorf("error %v, want Timeout", err)
	}
}

func TestToken_retriedAfterAServerError(t *testing.T) {
	t.Parallel()
	b := setup(t, simulator.Options{})
	b.sim.Faults.Add(simhttp.Fault{Path: regexp.MustCompile("^/token$"), Status: http.StatusServiceUnavailable, Times: 2})
	if _, err := b.open(t, map[string]any{"RETRIES": 3}).EventsByEmail(t.Context(), ada); err != nil {
		t.Error(err)
	}
}
