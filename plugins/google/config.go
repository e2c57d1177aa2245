package google

import (
	"crypto/rsa"
	"crypto/x509"
	"encoding/json"
	"encoding/pem"
	"net/url"
	"strings"

	"github.com/postureproject/posture/fault"
)

// validate finds what can be known to be wrong without asking Google. What it
// says about the key file shows nothing of it.
func (c config) validate() error {
	e := &fault.Error{Kind: fault.Invalid, Op: "read configuration"}
	add := func(name, value, reason, remedy string) {
		e.Fields = append(e.Fields, fault.Field{Name: name, Value: value, Reason: reason, Remedy: remedy})
	}
	if reason := keyFileProblem(c.Secrets.Reveal()); reason != "" {
		add("GOOGLE_API_SECRETS", "", reason, "paste the whole JSON key file of the service account, as Google's console gave it")
	}
	if !isAddress(c.Username) {
		add("GOOGLE_API_USERNAME", c.Username, "is not an e-mail address", "name an administrator of the domain, such as posture@example.com")
	}
	if len(c.Scopes) == 0 {
		add("GOOGLE_API_SCOPES", "", "is empty", "leave it out to ask for the default ones")
	}
	for _, scope := range c.Scopes {
		if scope == "" || strings.ContainsAny(scope, " \t\r\n") {
			add("GOOGLE_API_SCOPES", scope, "is not a scope", "write one scope per entry")
		}
	}
	if c.Endpoint != "" && !isWebAddress(c.Endpoint) {
		add("GOOGLE_API_ENDPOINT", c.Endpoint, "is not an http or https address", "write it such as https://proxy.example.com:8443")
	}
	if strings.TrimSpace(c.Customer) == "" {
		add("GOOGLE_CUSTOMER", c.Customer, "is blank", "leave it out for the administrator's own customer")
	}
	if len(e.Fields) == 0 {
		return nil
	}
	return e
}

// base gives the address that every request's path is appended to.
func (c config) base() string {
	if c.Endpoint == "" {
		return defaultEndpoint
	}
	return strings.TrimRight(c.Endpoint, "/")
}

// keyFileProblem says what is wrong with a service account's key file, or "".
func keyFileProblem(document []byte) string {
	var key struct {
		Type        string `json:"type"`
		ClientEmail string `json:"client_email"`
		PrivateKey  string `json:"private_key"`
		TokenURI    string `json:"token_uri"`
	}
	switch {
	case json.Unmarshal(document, &key) != nil:
		return "is not a key file: a field has the wrong type"
	case key.Type != "service_account":
		return `is not a service account's key file: its type is not "service_account"`
	case key.ClientEmail == "":
		return "has no client_email"
	case key.PrivateKey == "":
		return "has no private_key"
	case !isRSAKey([]byte(key.PrivateKey)):
		return "has a private_key that cannot be read as an RSA key in PEM form"
	case key.TokenURI != "" && !isWebAddress(key.TokenURI):
		return "has a token_uri that is not an http or https address"
	}
	return ""
}

// isRSAKey reports whether text is an RSA key as the token library reads it:
// PEM around PKCS #8 or PKCS #1.
func isRSAKey(text []byte) bool {
	block, _ := pem.Decode(text)
	if block == nil {
		return false
	}
	if key, err := x509.ParsePKCS8PrivateKey(block.Bytes); err == nil {
		_, ok := key.(*rsa.PrivateKey)
		return ok
	}
	_, err := x509.ParsePKCS1PrivateKey(block.Bytes)
	return err == nil
}

func isWebAddress(s string) bool {
	u, err := url.Parse(s)
	return err == nil && (u.Scheme == "http" || u.Scheme == "https") && u.Host != ""
}

// isAddress tells an e-mail address from words with a meaning of their own at
// Google, such as "all", and from what could be no address at all.
func isAddress(s string) bool {
	local, domain, ok := strings.Cut(s, "@")
	return ok && local != "" && domain != "" && !strings.ContainsFunc(s, func(r rune) bool { return r < ' ' || r == 0x7f })
}

// checkAddress gives an Invalid error for what is not an e-mail address.
func checkAddress(email string) error {
	if isAddress(email) {
		return nil
	}
	return fault.InvalidField("email", email, "is not an e-mail address", "write it such as jane.doe@example.com")
}
