package bitfit

import (
	"bytes"
	"context"
	"errors"
	"net/http"
	"net/url"
	"strings"

	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/plugins/sdk"
	"github.com/postureproject/posture/plugins/sdk/upstream"
)

const (
	tokenParameter = "api_token"
	redacted       = "[redacted]"
)

// api sends requests to one bitFit inventory. The token travels in each
// request's query, as bitFit wants it, and nowhere else.
type api struct {
	client *upstream.Client
	base   *url.URL // ends in a slash
	token  sdk.Secret
}

// parseBase reads the API's address, with or without a path and a slash at its
// end.
func parseBase(raw string) (*url.URL, error) {
	const key, remedy = "BITFIT_BASE_URL", "write the API's address, such as https://api.bitfit.com/"
	u, err := url.Parse(strings.TrimSpace(raw))
	switch {
	case err != nil:
		// The value stays out: what does not parse may hold anything.
		return nil, fault.InvalidField(key, "", "is not an address", remedy)
	case u.User != nil || u.RawQuery != "" || u.Fragment != "":
		return nil, fault.InvalidField(key, u.Host, "must not have a user, a query or a fragment", remedy)
	case u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "":
		return nil, fault.InvalidField(key, u.Redacted(), "must start with https:// or http:// and name a host", remedy)
	}
	return u.JoinPath("/"), nil
}

// request is one call. The path is relative to the base and escaped.
type request struct {
	path    string
	query   url.Values
	op      string // for errors
	subject string
}

// get gives the body of an answer. No error shows the token.
func (a *api) get(ctx context.Context, r request) ([]byte, error) {
	u := *a.base
	u.Path, u.RawPath = a.base.Path+unescaped(r.path), a.base.EscapedPath()+r.path
	query := url.Values{}
	for k, v := range r.query {
		query[k] = v
	}
	query.Set(tokenParameter, a.token.Reveal())
	u.RawQuery = query.Encode()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, u.String(), nil)
	if err != nil {
		return nil, &fault.Error{Kind: fault.Internal, Source: Name, Op: r.op, Subject: r.subject, Message: "the request cannot be made"}
	}
	// Without one of its own, a redirected request would carry the first one's
	// address, token and all, to wherever it is sent.
	req.Header.Set("Referer", a.base.String())
	req.Header.Set("Accept", "application/json")
	body, _, err := a.client.Do(req, r.op, r.subject)
	return body, a.explained(err)
}

// badDocument classifies an answer to r that is no JSON.
func (a *api) badDocument(err error, r request) error {
	return a.explained(a.client.BadDocument(err, r.op, r.subject))
}

func unescaped(path string) string {
	plain, err := url.PathUnescape(path)
	if err != nil {
		return path
	}
	return plain
}

// explained adds what to do about a refused token, and takes the token out of
// errors that quote what the server sent.
func (a *api) explained(err error) error {
	if err == nil {
		return nil
	}
	var e *fault.Error
	if !errors.As(err, &e) {
		return err
	}
	clean := *e
	switch e.Kind {
	case fault.Unauthenticated:
		clean.Remedy = "check BITFIT_API_TOKEN; it may have expired or been revoked"
	case fault.Forbidden:
		clean.Remedy = "give the owner of BITFIT_API_TOKEN the permission to read users and assets in bitFit"
	}
	if text := e.Error(); a.redact(text) != text {
		clean.Message, clean.Err = a.redact(e.Message), nil
		if e.Err != nil {
			clean.Err = errors.New(a.redact(e.Err.Error()))
		}
		clean.Subject, clean.Remedy = a.redact(e.Subject), a.redact(clean.Remedy)
	}
	return &clean
}

// redact takes the token out of a text, in both ways in which it may be written.
func (a *api) redact(s string) string {
	for _, form := range a.tokenForms() {
		s = strings.ReplaceAll(s, form, redacted)
	}
	return s
}

func (a *api) tokenForms() []string {
	token := a.token.Reveal()
	return []string{token, url.QueryEscape(token), url.PathEscape(token)}
}

// withoutToken takes the token out of a document.
func (a *api) withoutToken(raw []byte) []byte {
	for _, form := range a.tokenForms() {
		raw = bytes.ReplaceAll(raw, []byte(form), []byte(redacted))
	}
	return raw
}

// photoURL gives the address of an asset's picture: its own, or that of the
// attachment with the given id. It never holds the token.
func (a *api) photoURL(image, photoID string) string {
	if image != "" {
		if u, err := a.base.Parse(image); err == nil && (u.Scheme == "https" || u.Scheme == "http") && u.Host != "" {
			query := u.Query()
			if query.Has(tokenParameter) {
				query.Del(tokenParameter)
				u.RawQuery = query.Encode()
			}
			if s := u.String(); a.redact(s) == s {
				return s
			}
		}
	}
	if photoID == "" || photoID == "0" {
		return ""
	}
	return a.base.JoinPath("attachments", url.PathEscape(photoID)).String()
}
