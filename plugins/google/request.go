package google

import (
	"context"
	"encoding/json"
	"errors"
	"io"
	"net/http"
	"net/url"

	"google.golang.org/api/googleapi"

	"github.com/postureproject/posture/fault"
)

// request is one question to an API. Its path is escaped already.
type request struct {
	api     api
	op      string
	subject string
	path    string
	query   url.Values
}

// get sends a request and decodes the answer into out.
func (s *Source) get(ctx context.Context, r request, out any) error {
	if !s.allowed(r.api) {
		return notAllowed(r.op, r.subject, r.api)
	}
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, s.endpoint+r.path+"?"+r.query.Encode(), nil)
	if err != nil {
		return s.up.Classify(err, r.op, r.subject)
	}
	req.Header.Set("Accept", "application/json")
	req.Header.Set("User-Agent", "posture")
	resp, err := s.client.Do(req)
	if err != nil {
		return s.up.Classify(err, r.op, r.subject)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if resp.StatusCode < 200 || resp.StatusCode > 299 {
		return s.refused(r, resp, body)
	}
	if err != nil {
		return s.up.Classify(err, r.op, r.subject)
	}
	return s.up.Decode(body, r.op, r.subject, out)
}

// errEnough ends a listing before its last page; it is no failure.
var errEnough = errors.New("enough")

// pages asks for one page after the other and calls each for every entry of the
// named list, until there are no more, each fails, or a page token comes twice,
// as that would go on for ever.
func (s *Source) pages(ctx context.Context, r request, list string, each func(json.RawMessage) error) error {
	seen := map[string]bool{}
	for {
		var page map[string]json.RawMessage
		if err := s.get(ctx, r, &page); err != nil {
			return err
		}
		entries, ok := listOf(page[list])
		if !ok {
			return r.nonsense("the answer's " + list + " is not a list")
		}
		for _, entry := range entries {
			if err := each(entry); err != nil {
				if errors.Is(err, errEnough) {
					return nil
				}
				return err
			}
		}
		next, ok := textOf(page["nextPageToken"])
		switch {
		case !ok:
			return r.nonsense("the answer's nextPageToken is not a text")
		case next == "":
			return nil
		case seen[next]:
			return r.nonsense("the same page token came twice, so that the listing would never end")
		}
		seen[next] = true
		r.query.Set("pageToken", next)
	}
}

func (r request) nonsense(message string) error {
	return &fault.Error{
		Kind: fault.BadResponse, Source: Name, Op: r.op, Subject: r.subject, Message: message,
		Remedy: "try again later; what was read before is kept",
	}
}

// refused classifies an answer whose status is not 2xx by the reasons that the
// page "Directory API: Resolve errors" lists.
func (s *Source) refused(r request, resp *http.Response, body []byte) error {
	f := &fault.Error{}
	errors.As(s.up.StatusError(resp, r.op, r.subject), &f)
	e := &googleapi.Error{}
	errors.As(googleapi.CheckResponseWithBody(resp, body), &e)
	if e.Message != "" {
		f.Message += ": " + clip(e.Message)
	}
	said := reasonsOf(body)
	switch {
	case said.any(quotaReasons()...) || said["dailyLimitExceeded"]:
		f.Kind, f.Remedy = fault.RateLimited, "wait, lower CONCURRENCY of this plugin, or raise the Admin SDK's quota in Google's console"
	case resp.StatusCode == http.StatusUnauthorized:
		f.Remedy = "Google refuses a fresh token: check that the service account in GOOGLE_API_SECRETS and the user GOOGLE_API_USERNAME are active"
	case said.any("insufficientPermissions", "ACCESS_TOKEN_SCOPE_INSUFFICIENT"):
		f.Kind, f.Remedy = fault.Forbidden, "the scope is missing: add it to GOOGLE_API_SCOPES, and authorise it under domain-wide delegation: "+r.api.scopes[0]
	case said.any("accessNotConfigured", "SERVICE_DISABLED"):
		f.Kind, f.Remedy = fault.Forbidden, "enable the Admin SDK API in the service account's project in Google's console"
	case resp.StatusCode == http.StatusForbidden:
		f.Remedy = "give the user GOOGLE_API_USERNAME an administrator role that may read " + r.api.name + " (scope " + r.api.scopes[0] + ")"
	case resp.StatusCode == http.StatusNotFound:
		// The thing asked for is the customer's own list: it cannot be missing.
		f.Kind, f.Remedy = fault.BadResponse, "check GOOGLE_API_ENDPOINT and GOOGLE_CUSTOMER"
	}
	return &refusal{cause: f, status: resp.StatusCode, reasons: said, message: e.Message}
}

// refusal is an answer that Google refused to give, with what it said.
type refusal struct {
	cause   *fault.Error
	status  int
	reasons reasons
	message string
}

func (r *refusal) Error() string { return r.cause.Error() }

// Unwrap gives the classified error.
func (r *refusal) Unwrap() error { return r.cause }

// unknownUser reports whether a question about one user was refused because
// there is no such user: the Reports API then answers 400 with the reason
// "invalid" or "badRequest", or 404. All the rest of such a question is
// constant.
func unknownUser(err error) bool {
	var r *refusal
	if !errors.As(err, &r) || len(r.reasons) == 0 {
		return false
	}
	return r.status == http.StatusNotFound || r.status == http.StatusBadRequest && r.reasons.any("invalid", "badRequest")
}
