// Package upstream talks HTTP to a vendor the way every Posture plugin should:
// a time limit on everything, retries with jittered exponential backoff for
// what may pass, a bound on concurrency and on the size of an answer, and errors
// that say what to do and never show a URL's query, where tokens live.
package upstream

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"math/rand/v2"
	"net"
	"net/http"
	"net/url"
	"os"
	"strconv"
	"time"

	"github.com/hashicorp/go-retryablehttp"

	"github.com/postureproject/posture/fault"
)

// Settings are the configuration keys that every network source shares; embed
// them in the plugin's configuration.
type Settings struct {
	CAFile  string `json:"CA_FILE" doc:"PEM file with certificate authorities to trust beside the system's own" example:"/etc/posture/company-ca.pem"`
	Proxy   string `json:"PROXY" secret:"true" doc:"HTTP proxy to go through, with its log-in if it needs one; plugins do not see the daemon's environment" example:"http://proxy.example.com:3128"`
	Retries int    `json:"RETRIES" doc:"How often a request is tried again after a connection error, 429 or 5xx" default:"3"`
}

// Options say how to talk to one vendor.
type Options struct {
	Source      string        // the plugin's name, for errors
	Timeout     time.Duration // for one request with its retries; required
	Concurrency int           // open connections at most; 10 when zero
	Settings    Settings
	MaxBody     int64 // bytes of one answer at most; 64 MiB when zero
	Logger      *slog.Logger
	// Base replaces the network transport's defaults, for vendors that need it.
	Base *http.Transport
	// Around, when set, wraps the network transport below the retries: each
	// attempt passes through it, as failing over to another host needs.
	Around func(http.RoundTripper) http.RoundTripper
}

// Client talks to one vendor. It is safe for concurrent use.
type Client struct {
	source   string
	timeout  time.Duration
	retrying *retryablehttp.Client
	http     *http.Client // around retrying, for other libraries
}

const (
	defaultMaxBody = 64 << 20
	minBackoff     = 100 * time.Millisecond
	maxBackoff     = 5 * time.Second
	userAgent      = "posture"
)

// New makes a client. It fails only when CA_FILE cannot be read.
func New(o Options) (*Client, error) {
	base, err := baseTransport(o)
	if err != nil {
		return nil, err
	}
	if o.MaxBody == 0 {
		o.MaxBody = defaultMaxBody
	}
	var network http.RoundTripper = base
	if o.Around != nil {
		network = o.Around(base)
	}
	retrying := retryablehttp.NewClient()
	retrying.HTTPClient = &http.Client{Transport: &boundedTransport{base: network, max: o.MaxBody}, CheckRedirect: checkRedirect}
	retrying.Logger = nil // it logs URLs with their query
	retrying.RetryMax = max(0, o.Settings.Retries)
	retrying.CheckRetry = checkRetry
	retrying.Backoff = backoff
	retrying.ErrorHandler = retryablehttp.PassthroughErrorHandler
	client := retrying.StandardClient()
	client.Timeout = o.Timeout
	client.CheckRedirect = func(*http.Request, []*http.Request) error { return http.ErrUseLastResponse } // followed already
	return &Client{source: o.Source, timeout: o.Timeout, retrying: retrying, http: client}, nil
}

func baseTransport(o Options) (*http.Transport, error) {
	base := o.Base
	if base == nil {
		base = &http.Transport{
			DialContext:           (&net.Dialer{Timeout: min(o.Timeout, 10*time.Second), KeepAlive: 30 * time.Second}).DialContext,
			TLSHandshakeTimeout:   min(o.Timeout, 10*time.Second),
			ForceAttemptHTTP2:     true,
			IdleConnTimeout:       90 * time.Second,
			ExpectContinueTimeout: time.Second,
		}
	}
	if o.Settings.Proxy != "" {
		proxy, err := url.Parse(o.Settings.Proxy)
		if err != nil || proxy.Host == "" || proxy.Scheme != "http" && proxy.Scheme != "https" && proxy.Scheme != "socks5" {
			return nil, fault.InvalidField("PROXY", "", "is not the address of a proxy", "write it as http://proxy.example.com:3128")
		}
		base.Proxy = http.ProxyURL(proxy)
	}
	if o.Concurrency <= 0 {
		o.Concurrency = 10
	}
	// A look-up may fan out, so connections are bounded above the number of calls.
	base.MaxConnsPerHost = 2 * o.Concurrency
	base.MaxIdleConnsPerHost = base.MaxConnsPerHost
	base.MaxIdleConns = base.MaxConnsPerHost * 2
	pool, err := CertPool(o.Settings.CAFile)
	if err != nil {
		return nil, err
	}
	if pool != nil {
		base.TLSClientConfig = &tls.Config{RootCAs: pool, MinVersion: tls.VersionTLS12}
	}
	return base, nil
}

// CertPool gives the system's certificate authorities and those in file, or nil
// when file is empty. Its errors name the key CA_FILE.
func CertPool(file string) (*x509.CertPool, error) {
	if file == "" {
		return nil, nil
	}
	pem, err := os.ReadFile(file) //nolint:gosec // the administrator names the file
	if err != nil {
		return nil, fault.InvalidField("CA_FILE", file, "cannot be read", "name a PEM file that the daemon may read")
	}
	pool, err := x509.SystemCertPool()
	if err != nil {
		pool = x509.NewCertPool()
	}
	if !pool.AppendCertsFromPEM(pem) {
		return nil, fault.InvalidField("CA_FILE", file, "holds no certificate", "name a file with certificates in PEM form")
	}
	return pool, nil
}

// HTTPClient gives the retrying, bounded client itself, for a vendor's own
// library. Pass what such a library returns to [Client.Classify].
func (c *Client) HTTPClient() *http.Client { return c.http }

// Do sends a request and gives the whole answer when its status is 2xx;
// otherwise a [fault.Error] of source, op and subject.
func (c *Client) Do(req *http.Request, op, subject string) ([]byte, http.Header, error) {
	if req.Header.Get("User-Agent") == "" {
		req.Header.Set("User-Agent", userAgent)
	}
	// A deadline of the context costs less than the Timeout of an [http.Client],
	// which watches over every request with a timer and a goroutine of its own.
	if limit := time.Now().Add(c.timeout); !endsBefore(req.Context(), limit) {
		ctx, cancel := context.WithDeadline(req.Context(), limit)
		defer cancel()
		req = req.WithContext(ctx)
	}
	resp, err := c.send(req)
	if err != nil {
		return nil, nil, c.Classify(err, op, subject)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		_, _ = io.CopyN(io.Discard, resp.Body, 64<<10) // so that the connection can be used again
		return nil, resp.Header, c.StatusError(resp, op, subject)
	}
	body, err := readAll(resp)
	if err != nil {
		return nil, resp.Header, c.Classify(err, op, subject)
	}
	return body, resp.Header, nil
}

// endsBefore reports whether a context has a deadline of its own before limit.
func endsBefore(ctx context.Context, limit time.Time) bool {
	deadline, ok := ctx.Deadline()
	return ok && deadline.Before(limit)
}

func (c *Client) send(req *http.Request) (*http.Response, error) {
	if req.Body == http.NoBody {
		req.Body = nil // of which no copy is kept for retries
	}
	retryable, err := retryablehttp.FromRequest(req)
	if err != nil {
		return nil, err
	}
	return c.retrying.Do(retryable)
}

// readAll reads a body into a buffer of the announced size, which spares the
// growing of [io.ReadAll].
func readAll(resp *http.Response) ([]byte, error) {
	var buf bytes.Buffer
	if n := resp.ContentLength; n > 0 && n < 16<<20 {
		buf.Grow(int(n) + bytes.MinRead)
	}
	_, err := buf.ReadFrom(resp.Body)
	return buf.Bytes(), err
}

// JSON sends a request and decodes the answer into out.
func (c *Client) JSON(req *http.Request, op, subject string, out any) error {
	if req.Header.Get("Accept") == "" {
		req.Header.Set("Accept", "application/json")
	}
	body, _, err := c.Do(req, op, subject)
	if err != nil {
		return err
	}
	return c.Decode(body, op, subject, out)
}

// Decode reads a JSON document; what is not one is a BadResponse.
func (c *Client) Decode(body []byte, op, subject string, out any) error {
	if err := json.Unmarshal(body, out); err != nil {
		return c.BadDocument(err, op, subject)
	}
	return nil
}

// BadDocument classifies an answer that could not be read as the JSON it should be.
func (c *Client) BadDocument(err error, op, subject string) error {
	return &fault.Error{
		Kind: fault.BadResponse, Source: c.source, Op: op, Subject: subject, Message: "the answer is not the expected JSON", Err: err,
		Remedy: "check that the configured address is the API's, not a web page's or a proxy's",
	}
}

// StatusError classifies an answer whose status is not 2xx.
func (c *Client) StatusError(resp *http.Response, op, subject string) error {
	e := &fault.Error{Source: c.source, Op: op, Subject: subject, Message: "answered " + strconv.Itoa(resp.StatusCode) + " " + http.StatusText(resp.StatusCode)}
	switch code := resp.StatusCode; {
	case code == http.StatusUnauthorized:
		e.Kind, e.Remedy = fault.Unauthenticated, "check the credentials in this plugin's configuration; they may have expired"
	case code == http.StatusForbidden:
		e.Kind, e.Remedy = fault.Forbidden, "give this plugin's account the permission to read this"
	case code == http.StatusNotFound:
		e.Kind = fault.NotFound
	case code == http.StatusTooManyRequests:
		e.Kind, e.Remedy = fault.RateLimited, "wait, or lower CONCURRENCY of this plugin"
		e.RetryAfter, _ = retryAfter(resp)
	case code == http.StatusRequestTimeout || code >= 500:
		e.Kind, e.Remedy = fault.Unavailable, "the vendor's side is at fault; try again later"
		e.RetryAfter, _ = retryAfter(resp)
	default:
		e.Kind, e.Remedy = fault.BadResponse, "check the configured address and the vendor's version"
	}
	return e
}

// Classify turns a transport's error into a [fault.Error]. It drops the URL that
// net/http puts into its errors. It returns nil for nil, and keeps an error that
// is classified already.
func (c *Client) Classify(err error, op, subject string) error {
	if err == nil {
		return nil
	}
	if classified := (*fault.Error)(nil); errors.As(err, &classified) {
		e := *classified
		e.Source, e.Op, e.Subject = c.source, op, subject
		return &e
	}
	e := &fault.Error{Source: c.source, Op: op, Subject: subject, Err: withoutURL(err)}
	e.Kind, e.Remedy = explain(err)
	return e
}

func explain(err error) (fault.Kind, string) {
	var (
		dns     *net.DNSError
		network *net.OpError
		timeout interface{ Timeout() bool }
	)
	switch {
	case errors.Is(err, context.Canceled):
		return fault.Unavailable, ""
	case errors.Is(err, context.DeadlineExceeded) || errors.As(err, &timeout) && timeout.Timeout():
		return fault.Timeout, "raise TIMEOUT of this plugin, or find out why the vendor is slow"
	case IsTLSError(err):
		return fault.Unavailable, "check the certificate; name a private certificate authority in CA_FILE"
	case errors.As(err, &dns):
		return fault.Unavailable, "check the host name in this plugin's configuration, and DNS"
	case errors.Is(err, io.ErrUnexpectedEOF):
		return fault.BadResponse, "the answer broke off; try again, and check what is in between"
	case errors.As(err, &network), errors.Is(err, io.EOF):
		return fault.Unavailable, "check address, port and firewall"
	default:
		return fault.Unavailable, "check address, port and firewall"
	}
}

// IsTLSError reports whether err is about a certificate or the TLS handshake.
func IsTLSError(err error) bool {
	var (
		verification *tls.CertificateVerificationError
		authority    x509.UnknownAuthorityError
		hostname     x509.HostnameError
		invalid      x509.CertificateInvalidError
		header       tls.RecordHeaderError
		alert        tls.AlertError
	)
	return errors.As(err, &verification) || errors.As(err, &authority) || errors.As(err, &hostname) ||
		errors.As(err, &invalid) || errors.As(err, &header) || errors.As(err, &alert)
}

// boundedTransport fails the reading of a body that is larger than max.
type boundedTransport struct {
	base http.RoundTripper
	max  int64
}

func (t *boundedTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.base.RoundTrip(req)
	if err != nil {
		return nil, err
	}
	resp.Body = &boundedBody{ReadCloser: resp.Body, left: t.max, max: t.max}
	return resp, nil
}

type boundedBody struct {
	io.ReadCloser
	left, max int64
}

func (b *boundedBody) Read(p []byte) (int, error) {
	if b.left < 0 {
		return 0, b.tooLarge()
	}
	// One byte more than allowed tells "exactly full" from "too large".
	if int64(len(p)) > b.left+1 {
		p = p[:b.left+1]
	}
	n, err := b.ReadCloser.Read(p)
	if b.left -= int64(n); b.left < 0 {
		return n, b.tooLarge()
	}
	return n, err
}

func (b *boundedBody) tooLarge() error {
	return &fault.Error{
		Kind: fault.BadResponse, Message: fmt.Sprintf("the answer is larger than %d bytes", b.max),
		Remedy: "check that the configured address is the API's; ask for less at once",
	}
}

// checkRedirect follows a redirect within the same host, but never from https to
// http. Another host would be handed credentials that are not its business, so
// there the redirecting answer itself is the result. The Referer goes, as it
// repeats the query of the URL before.
func checkRedirect(req *http.Request, via []*http.Request) error {
	last := via[len(via)-1]
	if len(via) >= 5 || req.URL.Hostname() != last.URL.Hostname() || last.URL.Scheme == "https" && req.URL.Scheme != "https" {
		return http.ErrUseLastResponse
	}
	req.Header.Del("Referer")
	return nil
}

// checkRetry tries again after connection errors, 429 and 5xx (but not 501),
// unless the wait would outlast the deadline.
func checkRetry(ctx context.Context, resp *http.Response, err error) (bool, error) {
	if ctx.Err() != nil {
		if err == nil {
			return false, nil // an answer in hand is worth more than the news that time is up
		}
		return false, ctx.Err()
	}
	if err != nil {
		var classified *fault.Error
		return !IsTLSError(err) && !errors.As(err, &classified), nil
	}
	if resp.StatusCode != http.StatusTooManyRequests && (resp.StatusCode < 500 || resp.StatusCode == http.StatusNotImplemented) {
		return false, nil
	}
	wait, told := retryAfter(resp)
	if deadline, ok := ctx.Deadline(); told && ok && time.Now().Add(wait).After(deadline) {
		return false, nil
	}
	return !told || wait <= time.Minute, nil
}

// backoff waits as told, else exponentially with full jitter.
func backoff(_, _ time.Duration, attempt int, resp *http.Response) time.Duration {
	if resp != nil {
		if wait, told := retryAfter(resp); told {
			return wait
		}
	}
	ceiling := min(maxBackoff, minBackoff<<min(attempt, 10))
	return ceiling/2 + rand.N(ceiling/2+1) //nolint:gosec // jitter
}

// retryAfter reads the header, in seconds or as a date (RFC 9110, 10.2.3).
func retryAfter(resp *http.Response) (time.Duration, bool) {
	value := resp.Header.Get("Retry-After")
	if value == "" {
		return 0, false
	}
	if seconds, err := strconv.ParseUint(value, 10, 31); err == nil {
		return time.Duration(seconds) * time.Second, true
	}
	if at, err := http.ParseTime(value); err == nil {
		return max(0, time.Until(at)), true
	}
	return 0, false
}
