package duo

import (
	"net/url"
	"strings"

	"github.com/postureproject/posture/fault"
)

// address is where Duo's API is.
type address struct {
	scheme string
	host   string // with its port, if it has one; part of what is signed
}

// parseAddress reads a host name, which means HTTPS, or a full address.
func parseAddress(raw string) (address, error) {
	const key, remedy = "DUO_API_HOSTNAME", "write a host name such as api-xxxxxxxx.duosecurity.com, or a full address such as http://127.0.0.1:8080"
	raw = strings.TrimSpace(raw)
	if !strings.Contains(raw, "://") {
		raw = "https://" + raw
	}
	u, err := url.Parse(raw)
	switch {
	case err != nil:
		return address{}, fault.InvalidField(key, "", "is not a host name", remedy)
	case u.User != nil:
		return address{}, fault.InvalidField(key, u.Host, "must not have a user", remedy)
	case u.Scheme != "https" && u.Scheme != "http" || u.Hostname() == "" || len(u.Hostname()) > maxDomain || strings.ContainsAny(u.Host, " \t"):
		return address{}, fault.InvalidField(key, u.Redacted(), "is not a host name", remedy)
	case strings.Trim(u.Path, "/") != "" || u.RawQuery != "" || u.Fragment != "":
		return address{}, fault.InvalidField(key, u.Redacted(), "must not have a path, a query or a fragment", remedy)
	}
	return address{scheme: u.Scheme, host: strings.ToLower(u.Host)}, nil
}

// isDuo reports whether the host is one of Duo's own.
func (a address) isDuo() bool {
	return a.scheme == "https" && (strings.HasSuffix(a.host, ".duosecurity.com") || strings.HasSuffix(a.host, ".duofederal.com"))
}
