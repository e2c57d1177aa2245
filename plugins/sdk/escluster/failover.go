package escluster

import (
	"context"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"sync/atomic"
	"time"

	"github.com/postureproject/posture/fault"
)

// failover sends a request to the node that answered last and, when that one
// cannot be reached or is not able to answer, to the others in turn. It sits
// below the retries, so that waiting starts only when no node answers.
type failover struct {
	next    http.RoundTripper
	hosts   []*url.URL
	timeout time.Duration // shared by the nodes when the request has no deadline
	logger  *slog.Logger
	current atomic.Uint32 // index of the node to begin with
}

// RoundTrip implements [http.RoundTripper]. The request's own host is only a
// placeholder.
func (f *failover) RoundTrip(req *http.Request) (*http.Response, error) {
	n := uint32(len(f.hosts))
	start := f.current.Load()
	for i := uint32(0); ; i++ {
		at := (start + i) % n
		resp, err := f.attempt(req, f.hosts[at], int(n-i))
		if err == nil && !nodeUnable(resp.StatusCode) {
			f.current.Store(at)
			return resp, nil
		}
		if i == n-1 || req.Context().Err() != nil {
			return resp, err
		}
		f.logger.WarnContext(req.Context(), "node does not answer, trying the next", "node", f.hosts[at].Host)
		f.current.CompareAndSwap(at, (at+1)%n)
		if err == nil {
			_, _ = io.CopyN(io.Discard, resp.Body, 64<<10)
			_ = resp.Body.Close()
		}
	}
}

// nodeUnable tells whether another node may do better.
func nodeUnable(status int) bool {
	return status == http.StatusBadGateway || status == http.StatusServiceUnavailable || status == http.StatusGatewayTimeout
}

// attempt asks one node. While others are left, it may use only its share of the
// time that remains until it answers: a node that hangs must not use it all up.
func (f *failover) attempt(req *http.Request, host *url.URL, left int) (*http.Response, error) {
	ctx, cancel := context.WithCancelCause(req.Context())
	if left > 1 {
		remaining := f.timeout
		if deadline, ok := ctx.Deadline(); ok {
			remaining = time.Until(deadline)
		}
		timer := time.AfterFunc(remaining/time.Duration(left), func() { cancel(errNodeHangs()) })
		defer timer.Stop()
	}
	attempt := req.Clone(ctx)
	attempt.Host = ""
	attempt.URL.Scheme, attempt.URL.Host = host.Scheme, host.Host
	attempt.URL.Path = host.Path + req.URL.Path
	attempt.URL.RawPath = ""
	if req.GetBody != nil {
		body, err := req.GetBody()
		if err != nil {
			cancel(nil)
			return nil, err
		}
		attempt.Body = body
	}
	resp, err := f.next.RoundTrip(attempt)
	if err != nil {
		if cause := context.Cause(ctx); cause != nil && req.Context().Err() == nil {
			err = cause
		}
		cancel(nil)
		return nil, err
	}
	resp.Body = &cancelingBody{ReadCloser: resp.Body, cancel: func() { cancel(nil) }}
	return resp, nil
}

func errNodeHangs() error {
	return fault.New(fault.Timeout, "the node did not answer in time")
}

// cancelingBody frees an attempt's context when its answer was read.
type cancelingBody struct {
	io.ReadCloser
	cancel func()
}

func (b *cancelingBody) Close() error {
	defer b.cancel()
	return b.ReadCloser.Close()
}
