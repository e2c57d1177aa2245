package jamf

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/plugins/sdk/upstream"
)

// tokens is a server that gives out numbered tokens of a thousand seconds.
type tokens struct {
	issued atomic.Int64
	broken atomic.Bool
	hang   atomic.Bool
	url    string
}

func newTokens(t *testing.T) *tokens {
	t.Helper()
	s := new(tokens)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch {
		case s.hang.Load():
			<-r.Context().Done()
		case s.broken.Load():
			w.WriteHeader(http.StatusServiceUnavailable)
		default:
			_, _ = fmt.Fprintf(w, `{"access_token":"token-%d","expires_in":1000}`, s.issued.Add(1))
		}
	}))
	t.Cleanup(server.Close)
	s.url = server.URL
	return s
}

// authenticatorAt gives an authenticator whose clock the test moves.
func authenticatorAt(t *testing.T, url string, now *atomic.Int64) *authenticator {
	t.Helper()
	client, err := upstream.New(upstream.Options{Source: Name, Timeout: 5 * time.Second})
	if err != nil {
		t.Fatal(err)
	}
	a := newAuthenticator(t.Context(), client, url, credentials{clientID: "c", clientSecret: "s"}, 5*time.Second)
	a.now = func() time.Time { return time.Unix(1_000_000+now.Load(), 0) }
	t.Cleanup(a.close)
	return a
}

// settle waits for a renewal in the background, if there is one.
func (a *authenticator) settle() {
	a.mu.Lock()
	r := a.renewal
	a.mu.Unlock()
	if r != nil {
		<-r.done
	}
}

func (a *authenticator) mustGrant(t *testing.T) string {
	t.Helper()
	g, _, err := a.grant(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	return g.header
}

func TestAuthenticator_renewal(t *testing.T) {
	t.Parallel()
	server, now := newTokens(t), new(atomic.Int64)
	a := authenticatorAt(t, server.url, now)
	for _, step := range []struct {
		at        int64
		now, then string // the grant given, and the one after what is under way
	}{
		{0, "token-1", "token-1"},
		{740, "token-1", "token-1"},
		{760, "token-1", "token-2"},  // three quarters are over: renewed behind the caller's back
		{1500, "token-2", "token-2"}, // 740 seconds into the second
		{1520, "token-2", "token-3"},
		{2600, "token-4", "token-4"}, // the third has run out: waited for
	} {
		now.Store(step.at)
		if got := a.mustGrant(t); got != "Bearer "+step.now {
			t.Errorf("at %d: %s, want %s", step.at, got, step.now)
		}
		a.settle()
		if got := a.mustGrant(t); got != "Bearer "+step.then {
			t.Errorf("after %d: %s, want %s", step.at, got, step.then)
		}
	}
}

// While the old token holds, a server that gives no new one disturbs nobody and
// is not asked with every request.
func TestAuthenticator_failingRenewal(t *testing.T) {
	t.Parallel()
	server, now := newTokens(t), new(atomic.Int64)
	a := authenticatorAt(t, server.url, now)
	a.mustGrant(t)
	server.broken.Store(true)
	now.Store(800)
	a.mustGrant(t)
	a.settle()
	a.mustGrant(t)
	a.mu.Lock()
	if a.renewal != nil {
		t.Error("asked again at once")
	}
	a.mu.Unlock()
	now.Store(960)
	if _, _, err := a.grant(t.Context()); fault.KindOf(err) != fault.Unavailable {
		t.Errorf("after the token's end: %v", err)
	}
	server.broken.Store(false)
	if got := a.mustGrant(t); got != "Bearer token-2" {
		t.Errorf("after the failure: %s", got)
	}
}

// A caller who gives up must not end the log-in that others wait for; closing does.
func TestAuthenticator_callersAndClose(t *testing.T) {
	t.Parallel()
	server, now := newTokens(t), new(atomic.Int64)
	server.hang.Store(true)
	a := authenticatorAt(t, server.url, now)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if _, _, err := a.grant(ctx); !errors.Is(err, context.Canceled) {
		t.Errorf("got %v", err)
	}
	a.mu.Lock()
	underWay := a.renewal
	a.mu.Unlock()
	if underWay == nil {
		t.Fatal("the log-in ended with its first caller")
	}
	a.close()
	select {
	case <-underWay.done:
	default:
		t.Error("close did not wait")
	}
}
