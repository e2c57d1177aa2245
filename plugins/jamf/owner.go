package jamf

import (
	"slices"
	"strings"

	"github.com/postureproject/posture/fault"
)

// owners are the rules by which addresses and Jamf's users belong together.
type owners struct {
	byAddress bool     // find people by full address
	domains   []string // own mail domains, lower case
}

func newOwners(match string, domains []string) (owners, error) {
	if match != "local" && match != "email" {
		return owners{}, fault.InvalidField("JAMF_EMAIL_MATCH", match, "is neither local nor email", "write local or email")
	}
	o := owners{byAddress: match == "email"}
	for _, d := range domains {
		domain := strings.ToLower(strings.TrimPrefix(strings.TrimSpace(d), "@"))
		if domain == "" || strings.ContainsAny(domain, "@ /") {
			return owners{}, fault.InvalidField("JAMF_EMAIL_DOMAINS", d, "is not a mail domain", "write domains such as example.com")
		}
		o.domains = append(o.domains, domain)
	}
	return o, nil
}

func (o owners) owns(domain string) bool { return slices.Contains(o.domains, strings.ToLower(domain)) }

// search says how to look for a person: by full address, or by user name.
func (o owners) search(email string) (key string, byAddress bool, err error) {
	local, domain, ok := cutAddress(email)
	if !ok {
		return "", false, fault.InvalidField("email", email, "is not an e-mail address", "write an address such as ada@example.com")
	}
	if o.byAddress || len(o.domains) > 0 && !o.owns(domain) {
		return email, true, nil
	}
	return local, false, nil
}

// admits reports whether a computer that was found by user name is the asked
// person's: not if Jamf gives it to an address elsewhere, as user names of other
// domains' people may be the same.
func (o owners) admits(asked string, c *computer) bool {
	_, domain, ok := cutAddress(c.email)
	return !ok || strings.EqualFold(c.email, asked) || o.owns(domain)
}

// address tells the owner's e-mail address: what Jamf says, a user name that is
// one, or the user name at the only own domain.
func (o owners) address(email, username string) string {
	for _, candidate := range [...]string{email, username} {
		if _, _, ok := cutAddress(candidate); ok {
			return candidate
		}
	}
	if username != "" && !o.byAddress && len(o.domains) == 1 {
		return username + "@" + o.domains[0]
	}
	return ""
}

// cutAddress takes an address apart; false when it is none. Dots alone are no
// local part: in a path they would mean another folder.
func cutAddress(email string) (local, domain string, ok bool) {
	at := strings.LastIndexByte(email, '@')
	if at <= 0 || at == len(email)-1 || strings.Trim(email[:at], ".") == "" {
		return "", "", false
	}
	return email[:at], email[at+1:], true
}
