package jamf

import (
	"context"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/plugins/sdk"
	"github.com/postureproject/posture/plugins/sdk/jsonscan"
	"github.com/postureproject/posture/plugins/sdk/upstream"
)

// credentials are what the configuration gives: an account, an API client, or
// both, of which the API client is preferred.
type credentials struct {
	username     string
	password     sdk.Secret
	clientID     string
	clientSecret sdk.Secret
}

// who names the account for errors; neither part is a secret.
func (c credentials) who() string {
	if c.clientID != "" {
		return "API client " + strconv.Quote(c.clientID)
	}
	return "account " + strconv.Quote(c.username)
}

// grant is what a request carries to be let in.
type grant struct {
	header  string // of Authorization
	basic   bool
	who     string
	renewAt time.Time // from here on a renewal is under way while the grant still holds
	expires time.Time
}

const (
	// basicLifetime is how long a server without tokens is believed to have none.
	basicLifetime = time.Hour
	// shortestLifetime is assumed where the server's word is missing or past.
	shortestLifetime = time.Minute
	// renewalPause keeps failing renewals apart while the old grant holds.
	renewalPause = 5 * time.Second
)

// authenticator holds the grant that all requests share, and renews it once for
// all of them: at three quarters of its life in the background, when it has run
// out while everybody waits for the same renewal.
type authenticator struct {
	client  *upstream.Client
	base    string
	creds   credentials
	timeout time.Duration
	now     func() time.Time

	ctx    context.Context //nolint:containedctx // it lasts as long as the plugin and bounds renewals, which belong to no single caller
	cancel context.CancelFunc

	mu        sync.Mutex
	current   *grant
	renewal   *renewal
	notBefore time.Time // of the next renewal in the background
}

// renewal is one request for a new grant; its result is set when done closes.
type renewal struct {
	done  chan struct{}
	grant *grant
	err   error
}

func newAuthenticator(ctx context.Context, client *upstream.Client, base string, creds credentials, timeout time.Duration) *authenticator {
	a := &authenticator{client: client, base: base, creds: creds, timeout: timeout, now: time.Now}
	a.ctx, a.cancel = context.WithCancel(ctx)
	return a
}

// close ends a renewal under way and waits for it.
func (a *authenticator) close() {
	a.cancel()
	a.mu.Lock()
	r := a.renewal
	a.mu.Unlock()
	if r != nil {
		<-r.done
	}
}

// grant gives a valid grant, and whether it was there before the call.
func (a *authenticator) grant(ctx context.Context) (g *grant, cached bool, err error) {
	a.mu.Lock()
	now := a.now()
	if g := a.current; g != nil && now.Before(g.expires) {
		if !now.Before(g.renewAt) && !now.Before(a.notBefore) {
			a.notBefore = now.Add(renewalPause)
			a.renew()
		}
		a.mu.Unlock()
		return g, true, nil
	}
	r := a.renew()
	a.mu.Unlock()
	select {
	case <-r.done:
		return r.grant, false, r.err
	case <-ctx.Done():
		return nil, false, a.client.Classify(ctx.Err(), "log in", "")
	}
}

// reject drops a grant that the server no longer takes, unless it has been
// replaced already.
func (a *authenticator) reject(g *grant) {
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.current == g {
		a.current = nil
	}
}

// renew starts a renewal, or gives the one under way. The caller holds the lock.
func (a *authenticator) renew() *renewal {
	if a.renewal != nil {
		return a.renewal
	}
	r := &renewal{done: make(chan struct{})}
	a.renewal = r
	go func() {
		defer close(r.done)
		ctx, cancel := context.WithTimeout(a.ctx, a.timeout)
		defer cancel()
		r.grant, r.err = a.fetch(ctx)
		a.mu.Lock()
		defer a.mu.Unlock()
		a.renewal = nil
		if r.err == nil {
			a.current = r.grant
		}
	}()
	return r
}

// fetch asks for a grant in the ways that the configuration allows, best first.
func (a *authenticator) fetch(ctx context.Context) (*grant, error) {
	if a.creds.clientID != "" {
		g, err := a.clientToken(ctx)
		switch {
		case !fault.IsNotFound(err):
			return g, err
		case a.creds.username == "":
			return nil, &fault.Error{
				Kind: fault.BadResponse, Source: Name, Op: "log in", Subject: a.creds.who(), Err: err,
				Message: "this server knows no API clients",
				Remedy:  "check JAMF_API_HOSTADDR; a Jamf Pro before 10.49 needs JAMF_API_USERNAME and JAMF_API_PASSWORD instead",
			}
		}
	}
	g, err := a.userToken(ctx)
	if fault.IsNotFound(err) {
		return a.passwordItself(ctx)
	}
	return g, err
}

// passwordItself is the grant for a Jamf Pro before 10.35, which has no tokens.
// It is tried once, as an address where there is no Jamf Pro at all would look
// like one that knows neither tokens nor any computer.
func (a *authenticator) passwordItself(ctx context.Context) (*grant, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.base+"/JSSResource/jssuser", http.NoBody)
	if err != nil {
		return nil, err
	}
	req.SetBasicAuth(a.creds.username, a.creds.password.Reveal())
	req.Header.Set("Accept", "application/json")
	until := a.now().Add(basicLifetime)
	g := &grant{
		header: req.Header.Get("Authorization"), basic: true, who: "account " + strconv.Quote(a.creds.username),
		renewAt: until, expires: until,
	}
	switch _, _, err = a.client.Do(req, "log in", g.who); {
	case err == nil, fault.KindOf(err) == fault.Forbidden:
		return g, nil
	case fault.IsNotFound(err):
		return nil, &fault.Error{
			Kind: fault.BadResponse, Source: Name, Op: "log in", Subject: g.who, Message: "there is no Jamf Pro at this address",
			Remedy: "check JAMF_API_HOSTADDR",
		}
	default:
		return nil, explain(err, g)
	}
}

// userToken exchanges account and password ("Jamf Pro API Overview: Bearer
// Tokens"). The token's life is told as the time of its end by the server's
// clock, so it is measured from the answer's own date.
func (a *authenticator) userToken(ctx context.Context) (*grant, error) {
	who := "account " + strconv.Quote(a.creds.username)
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.base+"/api/v1/auth/token", http.NoBody)
	if err != nil {
		return nil, err
	}
	req.SetBasicAuth(a.creds.username, a.creds.password.Reveal())
	started := a.now()
	token, header, err := a.token(req, who, "token", "expires")
	if err != nil {
		return nil, withRemedy(err, fault.Unauthenticated, "check JAMF_API_USERNAME and JAMF_API_PASSWORD; the account must be a local one of Jamf Pro, not one of single sign-on")
	}
	lifetime := shortestLifetime
	if end, err := time.Parse(time.RFC3339, token.life); err == nil {
		sent, err := http.ParseTime(header.Get("Date"))
		if err != nil {
			sent = started
		}
		lifetime = end.Sub(sent)
	}
	return newGrant(token.value, who, started, lifetime), nil
}

// clientToken exchanges an API client's identity and secret ("Client
// Credentials"). The token's life is told in seconds.
func (a *authenticator) clientToken(ctx context.Context) (*grant, error) {
	who := "API client " + strconv.Quote(a.creds.clientID)
	form := url.Values{
		"grant_type": {"client_credentials"}, "client_id": {a.creds.clientID}, "client_secret": {a.creds.clientSecret.Reveal()},
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, a.base+"/api/oauth/token", strings.NewReader(form.Encode()))
	if err != nil {
		return nil, err
	}
	req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	started := a.now()
	token, _, err := a.token(req, who, "access_token", "expires_in")
	if err != nil {
		return nil, withRemedy(err, fault.Unauthenticated, "check JAMF_API_CLIENT_ID and JAMF_API_CLIENT_SECRET, and that the API client is enabled")
	}
	lifetime := shortestLifetime
	if seconds, err := number(token.life); err == nil {
		lifetime = time.Duration(min(seconds, 1e6) * float64(time.Second))
	}
	return newGrant(token.value, who, started, lifetime), nil
}

type token struct{ value, life string }

// token sends a request for a token and reads it from the answer's members.
func (a *authenticator) token(req *http.Request, who, valueKey, lifeKey string) (token, http.Header, error) {
	req.Header.Set("Accept", "application/json")
	body, header, err := a.client.Do(req, "log in", who)
	if err != nil {
		return token{}, header, err
	}
	s, t := jsonscan.New(body), token{}
	for ok := s.Enter('{'); ok; ok = s.More('}') {
		switch s.Key() {
		case valueKey:
			t.value = s.Text()
		case lifeKey:
			t.life = s.Text()
		default:
			s.Skip()
		}
	}
	if s.End() != nil || t.value == "" || strings.ContainsAny(t.value, "\r\n") {
		return token{}, header, &fault.Error{
			Kind: fault.BadResponse, Source: Name, Op: "log in", Subject: who, Message: "the answer holds no token",
			Remedy: "check that JAMF_API_HOSTADDR is Jamf Pro's address, not a web page's or a proxy's",
		}
	}
	return t, header, nil
}

func newGrant(token, who string, since time.Time, lifetime time.Duration) *grant {
	if lifetime <= 0 {
		lifetime = shortestLifetime
	}
	return &grant{header: "Bearer " + token, who: who, renewAt: since.Add(lifetime * 3 / 4), expires: since.Add(lifetime * 19 / 20)}
}

// withRemedy gives an error of one kind a better remedy.
func withRemedy(err error, kind fault.Kind, remedy string) error {
	if e, ok := err.(*fault.Error); ok && e.Kind == kind { //nolint:errorlint // upstream returns it bare
		c := *e
		c.Remedy = remedy
		return &c
	}
	return err
}
