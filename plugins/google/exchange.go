package google

import (
	"bytes"
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"strings"
	"time"

	"golang.org/x/oauth2"
	googleauth "golang.org/x/oauth2/google"

	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/plugins/sdk/upstream"
)

const opToken = "get access token"

// exchange gets access tokens for signed assertions of the service account
// (RFC 7523).
type exchange struct {
	up      *upstream.Client
	keyFile []byte
	subject string
	timeout time.Duration // for one token, with its retries
}

func newExchange(up *upstream.Client, c config, timeout time.Duration) (*exchange, error) {
	e := &exchange{up: up, keyFile: c.Secrets.Reveal(), subject: c.Username, timeout: timeout}
	if _, err := googleauth.JWTConfigFromJSON(e.keyFile); err != nil {
		return nil, fault.InvalidField("GOOGLE_API_SECRETS", "", "is not a service account's key file", "paste the whole JSON key file")
	}
	return e, nil
}

// fetch gets a token for scopes.
func (e *exchange) fetch(ctx context.Context, scopes ...string) (token, error) {
	ctx, cancel := context.WithTimeout(ctx, e.timeout)
	defer cancel()
	account, err := googleauth.JWTConfigFromJSON(e.keyFile, scopes...)
	if err != nil {
		return token{}, fault.InvalidField("GOOGLE_API_SECRETS", "", "is not a service account's key file", "paste the whole JSON key file")
	}
	account.Subject = e.subject
	// The library sends its request without a context and hides the causes of
	// errors, so the transport adds the one and keeps the other.
	wire := &exchangeTransport{ctx: ctx, base: e.up.HTTPClient().Transport}
	started := time.Now()
	client := &http.Client{Transport: wire, CheckRedirect: stay}
	got, err := account.TokenSource(context.WithValue(ctx, oauth2.HTTPClient, client)).Token()
	var refused *oauth2.RetrieveError
	switch {
	case errors.As(err, &refused):
		return token{}, e.refusal(refused, scopes)
	case wire.err != nil:
		return token{}, e.up.Classify(wire.err, opToken, e.subject)
	case err != nil || got.AccessToken == "":
		// The library's text may repeat what was received.
		return token{}, &fault.Error{
			Kind: fault.BadResponse, Source: Name, Op: opToken, Subject: e.subject, Message: "the answer holds no access token",
			Remedy: "check token_uri in GOOGLE_API_SECRETS, and what is in between",
		}
	}
	t := token{value: got.AccessToken}
	if !got.Expiry.IsZero() {
		t.renewAt = got.Expiry.Add(-min(time.Minute, got.Expiry.Sub(started)/10))
	}
	return t, nil
}

// exchangeTransport sends one request within ctx and reads its answer whole.
type exchangeTransport struct {
	ctx  context.Context //nolint:containedctx // the library gives the request none
	base http.RoundTripper
	err  error
}

func (t *exchangeTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.base.RoundTrip(req.WithContext(t.ctx))
	if err != nil {
		t.err = err
		return nil, err
	}
	body, err := io.ReadAll(resp.Body)
	_ = resp.Body.Close()
	if err != nil {
		t.err = err
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(body))
	return resp, nil
}

// refusal explains the token endpoint's error in the words of RFC 6749, section
// 5.2, and of Google's page "Using OAuth 2.0 for Server to Server Applications".
func (e *exchange) refusal(r *oauth2.RetrieveError, scopes []string) error {
	var body struct {
		Error       json.RawMessage `json:"error"`
		Description json.RawMessage `json:"error_description"`
	}
	_ = json.Unmarshal(r.Body, &body) // what is not JSON has neither
	code, _ := textOf(body.Error)
	description, _ := textOf(body.Description)
	f := &fault.Error{}
	errors.As(e.up.StatusError(r.Response, opToken, e.subject), &f)
	for _, words := range []string{code, description} {
		if words != "" {
			f.Message += ": " + clip(words)
		}
	}
	switch code {
	case "unauthorized_client", "access_denied":
		f.Kind = fault.Forbidden
		f.Remedy = "in Google's admin console, under domain-wide delegation, authorise the service account's client ID for: " + strings.Join(scopes, ", ")
	case "invalid_scope":
		f.Kind, f.Remedy = fault.Forbidden, "check GOOGLE_API_SCOPES, and authorise each scope for the service account's client ID under domain-wide delegation"
	case "invalid_grant":
		f.Kind, f.Remedy = fault.Unauthenticated, grantRemedy(description)
	case "invalid_client", "deleted_client", "disabled_client", "org_internal":
		f.Kind, f.Remedy = fault.Unauthenticated, "check in Google's console that the service account exists and is enabled, and that GOOGLE_API_SECRETS is its key file"
	default:
		if f.Kind == fault.NotFound || f.Kind == fault.BadResponse {
			f.Kind, f.Remedy = fault.BadResponse, "check token_uri in GOOGLE_API_SECRETS, and what is in between"
		}
	}
	return f
}

// grantRemedy tells the reasons for invalid_grant apart by Google's description
// of them; a new wording only makes the remedy less exact.
func grantRemedy(description string) string {
	description = strings.ToLower(description)
	switch {
	case strings.Contains(description, "signature"):
		return "the key in GOOGLE_API_SECRETS is not (or no longer) this service account's: make a new key in Google's console"
	case strings.Contains(description, "iat") || strings.Contains(description, "timeframe"):
		return "set this machine's clock"
	case strings.Contains(description, "email") || strings.Contains(description, "user"):
		return "check that GOOGLE_API_USERNAME is a user of the domain, and that client_email in GOOGLE_API_SECRETS is the service account's"
	default:
		return "check GOOGLE_API_SECRETS, GOOGLE_API_USERNAME and this machine's clock"
	}
}
