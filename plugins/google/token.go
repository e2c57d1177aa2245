package google

import (
	"context"
	"net/http"
	"sync"
	"time"
)

// token is an access token and when to replace it; a zero time means never.
type token struct {
	value   string
	renewAt time.Time
}

func (t token) usable(now time.Time) bool {
	return t.value != "" && (t.renewAt.IsZero() || now.Before(t.renewAt))
}

// tokenCache keeps an access token and renews it before it runs out, once for
// all who wait for it.
type tokenCache struct {
	ctx      context.Context //nolint:containedctx // bounds the renewals, which outlive the call that started them
	cancel   context.CancelFunc
	fetch    func(context.Context) (token, error)
	renewals sync.WaitGroup

	mu      sync.Mutex
	closed  bool
	current token
	pending *renewal
}

// renewal is a request for a token that is under way.
type renewal struct {
	done  chan struct{} // closed when token and err are set
	token token
	err   error
}

func newTokenCache(ctx context.Context, fetch func(context.Context) (token, error)) *tokenCache {
	ctx, cancel := context.WithCancel(ctx)
	return &tokenCache{ctx: ctx, cancel: cancel, fetch: fetch}
}

// close ends the renewal under way and waits for it.
func (c *tokenCache) close() {
	c.mu.Lock()
	c.closed = true
	c.mu.Unlock()
	c.cancel()
	c.renewals.Wait()
}

// get gives a token that is good for a while yet.
func (c *tokenCache) get(ctx context.Context) (token, error) {
	c.mu.Lock()
	if c.current.usable(time.Now()) {
		defer c.mu.Unlock()
		return c.current, nil
	}
	if c.closed {
		c.mu.Unlock()
		return token{}, context.Canceled
	}
	r := c.pending
	if r == nil {
		r = &renewal{done: make(chan struct{})}
		c.pending = r
		c.renewals.Go(func() { c.renew(r) })
	}
	c.mu.Unlock()
	select {
	case <-r.done:
		return r.token, r.err
	case <-ctx.Done():
		return token{}, ctx.Err()
	}
}

func (c *tokenCache) renew(r *renewal) {
	r.token, r.err = c.fetch(c.ctx)
	c.mu.Lock()
	c.pending = nil
	if r.err == nil {
		c.current = r.token
	}
	c.mu.Unlock()
	close(r.done)
}

// reject forgets a token that was refused, unless a newer one has taken its
// place already.
func (c *tokenCache) reject(t token) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.current.value == t.value {
		c.current = token{}
	}
}

// tokenTransport carries the token, and gets a new one when it is refused: it
// may have been revoked before it ran out. It serves requests without a body.
type tokenTransport struct {
	tokens *tokenCache
	base   http.RoundTripper
}

func (t *tokenTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	tok, err := t.tokens.get(req.Context())
	if err != nil {
		return nil, err
	}
	resp, err := t.base.RoundTrip(authorized(req, tok))
	if err != nil || resp.StatusCode != http.StatusUnauthorized {
		return resp, err
	}
	discard(resp)
	t.tokens.reject(tok)
	if tok, err = t.tokens.get(req.Context()); err != nil {
		return nil, err
	}
	return t.base.RoundTrip(authorized(req, tok))
}

func authorized(req *http.Request, t token) *http.Request {
	req = req.Clone(req.Context())
	req.Header.Set("Authorization", "Bearer "+t.value)
	return req
}

// stay keeps a client from following a redirection that the transport below did
// not follow: it leads to another host, and would take the token along.
func stay(*http.Request, []*http.Request) error { return http.ErrUseLastResponse }
