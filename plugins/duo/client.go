package duo

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"encoding/json"
	"io"
	"net"
	"net/http"
	"net/url"
	"strconv"
	"strings"
	"sync"
	"time"

	duoapi "github.com/duosecurity/duo_api_golang"

	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/plugins/sdk"
	"github.com/postureproject/posture/plugins/sdk/upstream"
)

const (
	logPath   = "/admin/v2/logs/authentication"
	opReadLog = "read authentication log"
	maxPage   = 1000 // events, the most that Duo gives at once
	maxBody   = 32 << 20
)

// client asks Duo's Admin API. Duo's own client signs the requests; they are
// sent by ours, which can be stopped, trusts CA_FILE and speaks to other ports.
// It tries each request once: when to try again is the puller's to decide, as
// the log may be asked for about once a minute.
type client struct {
	address  address
	http     *upstream.Client
	pageSize int

	mu     sync.Mutex // guards signer and signed
	signer *duoapi.DuoApi
	signed *http.Request // what the signer last signed
}

func newClient(c config, a address, env sdk.Env, pageSize int) (*client, error) {
	signer, pinned := newSigner(c, a)
	out := &client{address: a, pageSize: pageSize, signer: signer}
	signer.SetCustomHTTPClient(&http.Client{Transport: signingTransport{out}})
	var err error
	out.http, err = upstream.New(upstream.Options{
		Source: Name, Timeout: env.Timeout, Concurrency: 1, MaxBody: maxBody, Logger: env.Logger, Base: transport(a, pinned, env.Timeout),
		Settings: upstream.Settings{CAFile: c.CAFile},
	})
	return out, err
}

// newSigner gives Duo's client, which signs, and the certificate authorities
// that it pins.
func newSigner(c config, a address) (signer *duoapi.DuoApi, pinned *x509.CertPool) {
	signer = duoapi.NewDuoApi(c.IntegrationKey, c.SecretKey.Reveal(), a.host, "posture",
		duoapi.SetTransport(func(t *http.Transport) { pinned = t.TLSClientConfig.RootCAs }))
	return signer, pinned
}

// transport reaches the network. For Duo's own hosts it trusts only the
// authorities that Duo's client pins; CA_FILE, which replaces them, is
// upstream's to add.
func transport(a address, pinned *x509.CertPool, timeout time.Duration) *http.Transport {
	t := &http.Transport{
		Proxy:               http.ProxyFromEnvironment,
		DialContext:         (&net.Dialer{Timeout: min(timeout, 10*time.Second), KeepAlive: 30 * time.Second}).DialContext,
		TLSHandshakeTimeout: min(timeout, 10*time.Second),
		IdleConnTimeout:     90 * time.Second,
	}
	if a.isDuo() {
		t.TLSClientConfig = &tls.Config{RootCAs: pinned, MinVersion: tls.VersionTLS12}
	}
	return t
}

func (c *client) close() { c.http.HTTPClient().CloseIdleConnections() }

// signingTransport stands where Duo's client believes the network to be: it
// keeps the signed request instead of sending it.
type signingTransport struct{ c *client }

// RoundTrip implements [http.RoundTripper].
func (t signingTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	t.c.signed = req
	return &http.Response{StatusCode: http.StatusOK, Body: http.NoBody, Request: req}, nil
}

// sign makes a signed request.
func (c *client) sign(ctx context.Context, path string, parameters url.Values) (*http.Request, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, _, err := c.signer.SignedCall(http.MethodGet, path, parameters); err != nil { //nolint:bodyclose // there is none
		return nil, &fault.Error{Kind: fault.Internal, Source: Name, Op: opReadLog, Message: "the request cannot be signed"}
	}
	req := c.signed.Clone(ctx)
	req.URL.Scheme = c.address.scheme
	return req, nil
}

// window is a stretch of the log, both ends included, and how far it was read.
type window struct {
	from, to time.Time
	offset   string // of the next page; "" for the first
}

func (w window) isZero() bool { return w.to.IsZero() }

// read gives the page of a window that begins at its offset, oldest events
// first.
func (c *client) read(ctx context.Context, w window) (page, error) {
	parameters := url.Values{
		"mintime": {strconv.FormatInt(w.from.UnixMilli(), 10)},
		"maxtime": {strconv.FormatInt(w.to.UnixMilli(), 10)},
		"limit":   {strconv.Itoa(c.pageSize)},
		"sort":    {"ts:asc"},
	}
	if w.offset != "" {
		parameters.Set("next_offset", w.offset)
	}
	req, err := c.sign(ctx, logPath, parameters)
	if err != nil {
		return page{}, err
	}
	subject := c.address.host
	resp, err := c.http.HTTPClient().Do(req)
	if err != nil {
		return page{}, c.http.Classify(err, opReadLog, subject)
	}
	defer func() { _ = resp.Body.Close() }()
	if resp.StatusCode != http.StatusOK {
		return page{}, c.refused(resp, subject)
	}
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return page{}, c.http.Classify(err, opReadLog, subject)
	}
	p, err := c.decode(body, subject)
	if at, dateErr := http.ParseTime(resp.Header.Get("Date")); dateErr == nil {
		p.serverTime = at
	}
	return p, err
}

// refused explains an answer that is not 200.
func (c *client) refused(resp *http.Response, subject string) error {
	const enough = 64 << 10
	body, err := io.ReadAll(io.LimitReader(resp.Body, enough))
	if err != nil {
		body = nil // the status tells enough
	}
	e, ok := c.http.StatusError(resp, opReadLog, subject).(*fault.Error) //nolint:errorlint // it is made just there
	if !ok {
		return &fault.Error{Kind: fault.BadResponse, Source: Name, Op: opReadLog, Subject: subject, Message: "answered " + resp.Status}
	}
	var v verdict
	if json.Unmarshal(body, &v) == nil {
		e.Message += v.explanation()
	}
	switch {
	case v.Code == "40104" || v.Code == "40105":
		e.Remedy = "set this machine's clock: Duo refuses requests whose date is minutes off"
	case e.Kind == fault.Unauthenticated:
		e.Remedy = "check DUO_INTEGRATION_KEY and DUO_SECRET_KEY, which must be an Admin API application's, and that DUO_API_HOSTNAME is its host"
	case e.Kind == fault.Forbidden:
		e.Remedy = "grant the application \"Grant read log\" in Duo's Admin Panel, and check which networks may use it"
	case e.Kind == fault.NotFound:
		e.Kind, e.Remedy = fault.BadResponse, "check that DUO_API_HOSTNAME is Duo's API host"
	case e.Kind == fault.RateLimited:
		e.Remedy = "raise DUO_PULL_INTERVAL, and see what else reads Duo's log: Duo allows about one request a minute"
	}
	return e
}

// explanation gives Duo's own words, shortened.
func (v verdict) explanation() string {
	var words []string
	for _, t := range []text{v.Code, v.Message, v.Detail} {
		if s := clip(t.trimmed(), 200); s != "" {
			words = append(words, s)
		}
	}
	if len(words) == 0 {
		return ""
	}
	return " (" + strings.Join(words, ": ") + ")"
}
