package elastic_test

import (
	"context"
	"io"
	"net/http"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/postureproject/posture/internal/simulator/elastic"
	"github.com/postureproject/posture/internal/simulator/fleet"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func ask(ctx context.Context, t *testing.T, method, url, body string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(ctx, method, url, strings.NewReader(body))
	if err != nil {
		t.Fatal(err)
	}
	resp, err := (&http.Transport{DisableKeepAlives: true}).RoundTrip(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	if resp.Header.Get("X-Elastic-Product") != "Elasticsearch" {
		t.Error("no product header")
	}
	return resp.StatusCode, string(text)
}

// The cluster answers what Elasticsearch would.
func TestServer(t *testing.T) {
	t.Parallel()
	f := fleet.New(fleet.Options{})
	s := elastic.New(f, elastic.Options{})
	s.Put("odd", "lovelace-ada@x.org", f.Now().Add(time.Hour), `{"email":"lovelace-ada@x.org"}`)
	url, stop, err := s.Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	index := "/" + elastic.DefaultIndex
	match := func(email, operator string) string {
		return `{"size":1000,"query":{"match":{"email":{"query":"` + email + `","operator":"` + operator + `"}}}}`
	}
	tests := map[string]struct {
		method, path, body string
		status             int
		has                string
		hits               int
	}{
		"index":               {method: "HEAD", path: index, status: 200},
		"no index":            {method: "HEAD", path: "/other", status: 404},
		"search in no index":  {method: "POST", path: "/other/_search", body: "{}", status: 404, has: "index_not_found_exception"},
		"empty pattern":       {method: "POST", path: "/other*/_search", body: "{}", status: 200, has: `"total":0`},
		"empty pattern asked": {method: "POST", path: "/other*/_search?allow_no_indices=false", body: "{}", status: 404},
		"too far":             {method: "POST", path: index + "/_search", body: `{"from":9999,"size":2}`, status: 400, has: "Result window is too large"},
		"unmapped sort":       {method: "POST", path: index + "/_search", body: `{"sort":[{"x":{"order":"desc"}}]}`, status: 400, has: "No mapping found"},
		"not JSON":            {method: "POST", path: index + "/_search", body: `x`, status: 400, has: "parsing_exception"},
		"every word":          {method: "POST", path: index + "/_search", body: match("ada.lovelace@example.com", "and"), status: 200, hits: 3},
		"any word":            {method: "POST", path: index + "/_search", body: match("ada.lovelace@example.com", "or"), status: 200, hits: 60},
		"words in any order":  {method: "POST", path: index + "/_search", body: match("ada-lovelace@x.org", "and"), status: 200, hits: 1, has: `"odd"`},
		"nobody":              {method: "POST", path: index + "/_search", body: match("nobody@example.com", "and"), status: 200},
		"count":               {method: "GET", path: index + "/_count", status: 200, has: `"count":61`},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			status, text := ask(t.Context(), t, tc.method, url+tc.path, tc.body)
			if status != tc.status || !strings.Contains(text, tc.has) || strings.Count(text, `"_id"`) != tc.hits {
				t.Errorf("%d with %d hits, want %d with %d and %q: %.300s", status, strings.Count(text, `"_id"`), tc.status, tc.hits, tc.has, text)
			}
		})
	}
}
