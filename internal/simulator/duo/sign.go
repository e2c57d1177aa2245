package duo

import (
	"crypto/hmac"
	"crypto/sha512"
	"encoding/hex"
	"net/http"
	"net/url"
	"sort"
	"strings"
	"time"
)

// maxSkew is how far a request's date may be from the present.
const maxSkew = 5 * time.Minute

// signed lets requests with a valid signature pass: user name the integration
// key, password the HMAC-SHA512, under the secret key, of date, method, host,
// path and parameters, a line each.
func (s *Server) signed(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		key, signature, ok := r.BasicAuth()
		if !ok {
			fail(w, http.StatusUnauthorized, 40101, "Missing request credentials", "")
			return
		}
		date := r.Header.Get("Date")
		at, err := time.Parse(time.RFC1123Z, date)
		switch {
		case date == "" || err != nil:
			fail(w, http.StatusUnauthorized, 40104, "Missing request timestamp", "")
		case time.Since(at).Abs() > maxSkew:
			fail(w, http.StatusUnauthorized, 40105, "Bad request timestamp", "")
		case key != s.o.IntegrationKey:
			fail(w, http.StatusUnauthorized, 40102, "Invalid integration key in request credentials", "")
		case !hmac.Equal([]byte(signature), []byte(s.signature(r, date))):
			fail(w, http.StatusUnauthorized, 40103, "Invalid signature in request credentials", "")
		default:
			next.ServeHTTP(w, r)
		}
	})
}

func (s *Server) signature(r *http.Request, date string) string {
	mac := hmac.New(sha512.New, []byte(s.o.SecretKey))
	lines := []string{date, strings.ToUpper(r.Method), strings.ToLower(r.Host), r.URL.Path, canonical(r.URL.Query())}
	mac.Write([]byte(strings.Join(lines, "\n")))
	return hex.EncodeToString(mac.Sum(nil))
}

// canonical writes parameters sorted, with all but the unreserved characters of
// RFC 3986 escaped.
func canonical(parameters url.Values) string {
	var pairs []string
	for name, values := range parameters {
		for _, v := range values {
			pairs = append(pairs, escape(name)+"="+escape(v))
		}
	}
	sort.Strings(pairs)
	return strings.Join(pairs, "&")
}

func escape(s string) string { return strings.ReplaceAll(url.QueryEscape(s), "+", "%20") }
