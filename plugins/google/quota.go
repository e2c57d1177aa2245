package google

import (
	"bytes"
	"encoding/json"
	"io"
	"net/http"
)

// maxErrorBody is how much of an error's body is looked at, in bytes.
const maxErrorBody = 64 << 10

// quotaReasons are the reasons with which Google answers 403 when it means "slow
// down", as the page "Directory API: Limits and quotas" tells.
func quotaReasons() []string {
	return []string{"rateLimitExceeded", "userRateLimitExceeded", "quotaExceeded", "RATE_LIMIT_EXCEEDED", "RESOURCE_EXHAUSTED"}
}

// quotaTransport turns a 403 that means "slow down" into the 429 that it should
// be, so that it is tried again with growing pauses.
type quotaTransport struct{ base http.RoundTripper }

func (t quotaTransport) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.base.RoundTrip(req)
	if err != nil || resp.StatusCode != http.StatusForbidden {
		return resp, err
	}
	head, err := io.ReadAll(io.LimitReader(resp.Body, maxErrorBody))
	_ = resp.Body.Close()
	if err != nil {
		return nil, err
	}
	resp.Body = io.NopCloser(bytes.NewReader(head))
	resp.ContentLength = int64(len(head))
	if reasonsOf(head).any(quotaReasons()...) {
		resp.StatusCode, resp.Status = http.StatusTooManyRequests, "429 Too Many Requests"
	}
	return resp, nil
}

func discard(resp *http.Response) {
	_, _ = io.CopyN(io.Discard, resp.Body, maxErrorBody) // so that the connection can be used again
	_ = resp.Body.Close()
}

// reasons are the codes with which Google explains a refusal.
type reasons map[string]bool

func (r reasons) any(wanted ...string) bool {
	for _, w := range wanted {
		if r[w] {
			return true
		}
	}
	return false
}

// reasonsOf gathers the codes of an error's body from both of its forms: the
// list "errors", and the newer "status" and "details".
func reasonsOf(body []byte) reasons {
	var outer struct {
		Error json.RawMessage `json:"error"`
	}
	found := reasons{}
	if json.Unmarshal(body, &outer) != nil {
		return found
	}
	inner, ok := decodeObject(outer.Error)
	if !ok {
		return found
	}
	add := func(raw json.RawMessage) {
		if code, _ := textOf(raw); code != "" {
			found[code] = true
		}
	}
	add(inner["status"])
	for _, key := range []string{"errors", "details"} {
		entries, _ := listOf(inner[key])
		for _, entry := range entries {
			if object, ok := decodeObject(entry); ok {
				add(object["reason"])
			}
		}
	}
	return found
}
