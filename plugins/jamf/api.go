package jamf

import (
	"context"
	"net/http"
	"net/url"
	"strings"

	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/plugins/sdk/upstream"
)

// api asks one Jamf Pro, with credentials that it keeps valid.
type api struct {
	client *upstream.Client
	base   string // without a slash at its end
	auth   *authenticator
}

// baseURL gives the address of Jamf Pro itself from that of either interface.
func baseURL(addr string) (string, error) {
	invalid := func(reason string) error {
		return fault.InvalidField("JAMF_API_HOSTADDR", redactURL(addr), reason, "write an address such as https://example.jamfcloud.com/JSSResource")
	}
	text := strings.TrimSpace(addr)
	if !strings.Contains(text, "://") {
		text = "https://" + text
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Host == "" || u.Hostname() == "":
		return "", invalid("is not an address")
	case u.Scheme != "https" && u.Scheme != "http":
		return "", invalid("is not an https address")
	case u.User != nil:
		return "", invalid("holds credentials, which belong into their own keys")
	case u.RawQuery != "" || u.Fragment != "":
		return "", invalid("has more than a path behind the host")
	}
	path := strings.TrimRight(u.EscapedPath(), "/")
	if i := len(path) - len("/JSSResource"); i >= 0 && strings.EqualFold(path[i:], "/JSSResource") {
		path = strings.TrimRight(path[:i], "/")
	}
	return u.Scheme + "://" + u.Host + path, nil
}

// redactURL takes out what may be credentials in front of the host.
func redactURL(addr string) string {
	if at := strings.LastIndexByte(addr, '@'); at >= 0 {
		return "…" + addr[at:]
	}
	return addr
}

// get asks for a document, and asks once more with new credentials when those at
// hand are no longer taken. Path is escaped and begins with a slash.
func (a *api) get(ctx context.Context, path, op, subject string) ([]byte, error) {
	g, cached, err := a.auth.grant(ctx)
	if err != nil {
		return nil, err
	}
	body, err := a.ask(ctx, g, path, op, subject)
	if cached && err != nil && fault.KindOf(err) == fault.Unauthenticated {
		a.auth.reject(g)
		if g, _, err = a.auth.grant(ctx); err != nil {
			return nil, err
		}
		body, err = a.ask(ctx, g, path, op, subject)
	}
	return body, explain(err, g)
}

func (a *api) ask(ctx context.Context, g *grant, path, op, subject string) ([]byte, error) {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, a.base+path, http.NoBody)
	if err != nil {
		return nil, &fault.Error{Kind: fault.Invalid, Source: Name, Op: op, Subject: subject, Message: "cannot be asked for", Err: err}
	}
	req.Header.Set("Accept", "application/json") // the Classic API answers in XML otherwise
	req.Header.Set("Authorization", g.header)
	body, _, err := a.client.Do(req, op, subject)
	return body, err
}

// explain names the account and what it needs.
func explain(err error, g *grant) error {
	if err == nil {
		return nil
	}
	err = withRemedy(err, fault.Forbidden, "give the "+g.who+" of Jamf Pro the privileges Read Computers and Read Users")
	if g.basic {
		return withRemedy(err, fault.Unauthenticated, "check JAMF_API_USERNAME and JAMF_API_PASSWORD of the "+g.who)
	}
	return withRemedy(err, fault.Unauthenticated, "Jamf Pro gave the "+g.who+" a token and then refused it; check that nothing between alters requests")
}

// badDocument classifies a document that could not be read.
func badDocument(err error, op, subject string) error {
	return &fault.Error{
		Kind: fault.BadResponse, Source: Name, Op: op, Subject: subject, Message: "the answer is not the expected JSON", Err: err,
		Remedy: "check that JAMF_API_HOSTADDR is Jamf Pro's address, not a web page's or a proxy's",
	}
}
