// Package post sends one document per request to an HTTP address, as the sinks
// without a protocol of their own do. It knows nothing of what the documents say.
// It imports the plugin SDK and the packages of Posture's records.
package post

import (
	"bytes"
	"cmp"
	"context"
	"crypto/sha256"
	"encoding/base64"
	"encoding/hex"
	"fmt"
	"io"
	"net/http"
	"net/url"
	"strings"
	"time"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/plugins/sdk"
	"github.com/postureproject/posture/plugins/sdk/upstream"
)

// Settings are the configuration keys of a sink that posts; embed them.
type Settings struct {
	upstream.Settings

	URL            string     `json:"URL" doc:"Address to which the documents are POSTed" required:"true" example:"https://collect.example.com/path/to/endpoint" secret:"true"`
	HealthcheckURL string     `json:"HEALTHCHECK_URL" doc:"Address that answers a GET with 2xx when the other side is well, for the connectivity test; without it the test only sees whether something answers at URL" example:"https://collect.example.com/health" secret:"true"`
	Token          sdk.Secret `json:"TOKEN" doc:"Sent as Authorization: Bearer"`
	Username       string     `json:"USERNAME" doc:"User name for Basic authentication"`
	Password       sdk.Secret `json:"PASSWORD" doc:"Password for Basic authentication"`
}

// Client posts. It is safe for concurrent use.
type Client struct {
	source        string
	upstream      *upstream.Client
	url, health   string
	authorization string
	timeout       time.Duration
	concurrency   int
}

// New makes a client for the sink named source. It reports every malformed key
// at once and shows no address, as tokens live there.
func New(source string, s Settings, env sdk.Env) (*Client, error) {
	if err := s.check(); err != nil {
		return nil, err
	}
	up, err := upstream.New(upstream.Options{
		Source: source, Timeout: env.Timeout, Concurrency: env.Concurrency, Settings: s.Settings, MaxBody: maxAnswer, Logger: env.Logger,
	})
	if err != nil {
		return nil, err
	}
	c := &Client{
		source: source, upstream: up, url: s.URL, health: s.HealthcheckURL, timeout: env.Timeout, concurrency: max(1, env.Concurrency),
	}
	switch {
	case s.Token != "":
		c.authorization = "Bearer " + s.Token.Reveal()
	case s.Username != "":
		c.authorization = "Basic " + base64.StdEncoding.EncodeToString([]byte(s.Username+":"+s.Password.Reveal()))
	}
	return c, nil
}

func (s Settings) check() error {
	invalid := &fault.Error{Kind: fault.Invalid, Op: "read configuration"}
	add := func(name, reason, remedy string) {
		invalid.Fields = append(invalid.Fields, fault.Field{Name: name, Reason: reason, Remedy: remedy})
	}
	for name, address := range map[string]string{"URL": s.URL, "HEALTHCHECK_URL": s.HealthcheckURL} {
		if name == "HEALTHCHECK_URL" && address == "" {
			continue
		}
		u, err := url.Parse(address)
		switch {
		case err != nil || u.Host == "" || u.Scheme != "http" && u.Scheme != "https":
			add(name, "is not an address", "write it as https://collect.example.com/path")
		case u.User != nil:
			add(name, "holds credentials", "move them to USERNAME and PASSWORD")
		}
	}
	if s.Token != "" && (s.Username != "" || s.Password != "") {
		add("TOKEN", "stands beside a user name or password", "give one or the other")
	}
	if strings.ContainsFunc(s.Token.Reveal(), func(r rune) bool { return r <= ' ' || r > '~' }) {
		add("TOKEN", "holds white space or other characters that no header can carry", "check for a line end in its file")
	}
	if (s.Username == "") != (s.Password == "") {
		add("PASSWORD", "user name and password go together", "give both or neither")
	}
	if len(invalid.Fields) > 0 {
		return invalid
	}
	return nil
}

// What is read of an answer: its body says nothing that matters.
const (
	maxAnswer  = 1 << 20
	readAnswer = 64 << 10
)

// notSent is how much time must be left for a request to be begun.
const notSent = 50 * time.Millisecond

// Each posts deliveries side by side, each as body makes it, and gives an error
// for each. A body that cannot be made is refused for good.
func (c *Client) Each(ctx context.Context, deliveries []device.Delivery, body func(device.Delivery) ([]byte, error)) []error {
	errs := make([]error, len(deliveries))
	sdk.Each(len(deliveries), c.concurrency, func(i int) {
		d := deliveries[i]
		document, err := body(d)
		if err != nil {
			errs[i] = fault.Wrap(err, "post", d.ID)
			return
		}
		errs[i] = c.Post(ctx, d.ID, document)
	})
	return errs
}

// Post sends one document. Whoever receives it can tell a repetition by its id,
// which goes as the header Idempotency-Key. Only answers that are about the
// document itself are errors of kind Invalid; all others say that it should be
// tried again.
func (c *Client) Post(ctx context.Context, id string, document []byte) error {
	const op = "post"
	if deadline, ok := ctx.Deadline(); ok && time.Until(deadline) < notSent {
		return &fault.Error{Kind: fault.Timeout, Source: c.source, Op: op, Subject: id, Message: "no time was left to send it"}
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, c.url, bytes.NewReader(document))
	if err != nil {
		return c.upstream.Classify(err, op, id)
	}
	req.Header.Set("Content-Type", "application/json")
	req.Header.Set("Idempotency-Key", headerSafe(id))
	resp, err := c.do(req)
	if err != nil {
		return c.upstream.Classify(err, op, id)
	}
	defer drop(resp)
	if resp.Request != nil && resp.Request.Method != http.MethodPost {
		return &fault.Error{
			Kind: fault.Unavailable, Source: c.source, Op: op, Subject: id, Message: "was redirected, and the document lost on the way",
			Remedy: "configure the address to which the redirect leads; it may be a log-in page",
		}
	}
	return c.verdict(resp, op, id)
}

func (c *Client) do(req *http.Request) (*http.Response, error) {
	req.Header.Set("User-Agent", "posture")
	if c.authorization != "" {
		req.Header.Set("Authorization", c.authorization)
	}
	return c.upstream.HTTPClient().Do(req)
}

// drop reads a little, so that the connection can be used again, and closes.
func drop(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, readAnswer)
	_ = resp.Body.Close()
}

// headerSafe gives an id as a header can carry it.
func headerSafe(id string) string {
	if id != "" && !strings.ContainsFunc(id, func(r rune) bool { return r <= ' ' || r > '~' }) {
		return id
	}
	sum := sha256.Sum256([]byte(id))
	return hex.EncodeToString(sum[:])
}

// verdict sorts statuses. Success is told by the status alone.
func (c *Client) verdict(resp *http.Response, op, id string) error {
	code := resp.StatusCode
	if code >= 200 && code <= 299 {
		return nil
	}
	err := c.upstream.StatusError(resp, op, id)
	e, ok := err.(*fault.Error) //nolint:errorlint // made just now
	if !ok {
		return err
	}
	switch code {
	case http.StatusBadRequest, http.StatusRequestEntityTooLarge, http.StatusUnprocessableEntity:
		e.Kind, e.Remedy = fault.Invalid, "the other side refuses this document; see its log for the reason"
	case http.StatusConflict:
		// So is a request answered whose first attempt is still being worked on.
		e.Kind, e.Remedy = fault.Unavailable, "the other side is busy with this document, or holds one that contradicts it"
	case http.StatusUnauthorized, http.StatusTooManyRequests:
	case http.StatusForbidden:
		e.Remedy = "give the account of this sink the permission to write"
	default:
		if e.Kind != fault.Unavailable {
			e.Kind, e.Remedy = fault.Unavailable, "check the address in URL; the documents are kept until it takes them"
		}
	}
	return e
}

// TestConnectivity asks HEALTHCHECK_URL, or sees whether anything answers at URL.
// It posts nothing.
func (c *Client) TestConnectivity(ctx context.Context) (string, error) {
	const op = "connectivity test"
	method, address := http.MethodGet, c.health
	if c.health == "" {
		method, address = http.MethodHead, c.url
	}
	ctx, cancel := context.WithTimeout(ctx, c.timeout)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, method, address, nil)
	if err != nil {
		return "", c.upstream.Classify(err, op, "")
	}
	resp, err := c.do(req)
	if err != nil {
		return "", c.upstream.Classify(err, op, "")
	}
	defer drop(resp)
	host := req.URL.Host
	switch code := resp.StatusCode; {
	case code >= 200 && code <= 299 && c.health != "":
		return fmt.Sprintf("%s says that it is well", host), nil
	case c.health == "" && (code < 400 || code == http.StatusNotFound || code == http.StatusMethodNotAllowed || code == http.StatusNotImplemented):
		// An address made for POST owes no answer to HEAD.
		return fmt.Sprintf("%s answers (%d %s to HEAD); whether it takes documents was not tried", host, code, cmp.Or(http.StatusText(code), "?")), nil
	default:
		return "", c.upstream.StatusError(resp, op, "")
	}
}
