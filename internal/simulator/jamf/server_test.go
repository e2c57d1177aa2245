package jamf_test

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/postureproject/posture/internal/simulator/fleet"
	"github.com/postureproject/posture/internal/simulator/jamf"
)

type request struct {
	method, path, auth, accept, body string
}

func do(t *testing.T, s http.Handler, r request) *httptest.ResponseRecorder {
	t.Helper()
	if r.method == "" {
		r.method = http.MethodGet
	}
	req := httptest.NewRequestWithContext(t.Context(), r.method, r.path, strings.NewReader(r.body))
	switch {
	case r.auth == "basic":
		req.SetBasicAuth("posture", "simulator")
	case r.auth != "":
		req.Header.Set("Authorization", "Bearer "+r.auth)
	}
	if r.body != "" {
		req.Header.Set("Content-Type", "application/x-www-form-urlencoded")
	}
	if r.accept != "xml" {
		req.Header.Set("Accept", "application/json")
	}
	w := httptest.NewRecorder()
	s.ServeHTTP(w, req)
	return w
}

func logIn(t *testing.T, s http.Handler) string {
	t.Helper()
	w := do(t, s, request{method: http.MethodPost, path: "/api/v1/auth/token", auth: "basic"})
	var answer struct{ Token string }
	if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || w.Code != http.StatusOK {
		t.Fatalf("%d, %v", w.Code, err)
	}
	return answer.Token
}

func TestServer_tokensExpire(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	s := jamf.New(fleet.New(fleet.Options{}), jamf.Options{Now: func() time.Time { return now }, ClientID: "c", ClientSecret: "s"})
	client := do(t, s, request{method: http.MethodPost, path: "/api/oauth/token", body: "grant_type=client_credentials&client_id=c&client_secret=s"})
	if client.Code != http.StatusOK || !strings.Contains(client.Body.String(), `"expires_in":1200`) {
		t.Errorf("client's token: %d %s", client.Code, client.Body)
	}
	wrong := do(t, s, request{method: http.MethodPost, path: "/api/oauth/token", body: "grant_type=client_credentials&client_id=c&client_secret=x"})
	if wrong.Code != http.StatusUnauthorized {
		t.Errorf("wrong client secret: %d", wrong.Code)
	}
	token := logIn(t, s)
	for _, step := range []struct {
		after time.Duration
		want  int
	}{{0, 200}, {29 * time.Minute, 200}, {2 * time.Minute, 401}} {
		now = now.Add(step.after)
		for _, path := range []string{"/JSSResource/computers/id/1", "/api/v4/computers-inventory", "/api/v1/auth"} {
			if w := do(t, s, request{path: path, auth: token}); w.Code != step.want {
				t.Errorf("%s after %v: %d, want %d", path, step.after, w.Code, step.want)
			}
		}
	}
}

func TestServer_whoMayIn(t *testing.T) {
	t.Parallel()
	f := fleet.New(fleet.Options{})
	today, old := jamf.New(f, jamf.Options{}), jamf.New(f, jamf.Options{OldServer: true})
	token := logIn(t, today)
	for _, c := range []struct {
		name   string
		server *jamf.Server
		request
		want int
	}{
		{"password today", today, request{path: "/JSSResource/computers", auth: "basic"}, 401},
		{"nobody", today, request{path: "/JSSResource/computers"}, 401},
		{"token", today, request{path: "/JSSResource/computers", auth: token}, 200},
		{"forged token", today, request{path: "/JSSResource/computers", auth: token + "x"}, 401},
		{"password on an old server", old, request{path: "/JSSResource/computers", auth: "basic"}, 200},
		{"token of an old server", old, request{method: http.MethodPost, path: "/api/v1/auth/token", auth: "basic"}, 404},
		{"inventory of an old server", old, request{path: "/api/v1/computers-inventory", auth: "basic"}, 404},
		{"inventory too new", today, request{path: "/api/v5/computers-inventory", auth: token}, 404},
		{"page too large", today, request{path: "/api/v4/computers-inventory?page-size=2001", auth: token}, 400},
		{"no such computer", today, request{path: "/JSSResource/computers/id/0", auth: token}, 404},
		{"no such user", today, request{path: "/JSSResource/users/name/nobody", auth: token}, 404},
		{"no such page", today, request{path: "/elsewhere", auth: token}, 404},
	} {
		if w := do(t, c.server, c.request); w.Code != c.want {
			t.Errorf("%s: %d, want %d", c.name, w.Code, c.want)
		}
	}
	if w := do(t, today, request{path: "/JSSResource/computers/id/1", auth: token, accept: "xml"}); !strings.HasPrefix(w.Body.String(), "<?xml") {
		t.Errorf("not asked for JSON, it answers %.40s", w.Body)
	}
}

func TestServer_pages(t *testing.T) {
	t.Parallel()
	for _, cache := range []bool{false, true} {
		s := jamf.New(fleet.New(fleet.Options{People: 60, Apps: 1}), jamf.Options{Cache: cache})
		token := logIn(t, s)
		seen := map[string]bool{}
		for page := 0; ; page++ {
			w := do(t, s, request{path: fmt.Sprintf("/api/v4/computers-inventory?page=%d&page-size=7&section=HARDWARE", page), auth: token})
			var answer struct {
				TotalCount int
				Results    []struct {
					ID       string
					General  *struct{}
					Hardware struct{ SerialNumber string }
				}
			}
			if err := json.Unmarshal(w.Body.Bytes(), &answer); err != nil || answer.TotalCount != s.Computers() {
				t.Fatalf("page %d: %d computers, %v", page, answer.TotalCount, err)
			}
			if len(answer.Results) == 0 {
				break
			}
			for _, r := range answer.Results {
				if seen[r.ID] || r.Hardware.SerialNumber == "" || r.General != nil {
					t.Errorf("page %d: computer %s twice, without its section, or with another", page, r.ID)
				}
				seen[r.ID] = true
			}
		}
		if len(seen) != s.Computers() {
			t.Errorf("%d computers, want %d", len(seen), s.Computers())
		}
	}
}

func TestServer_rateLimit(t *testing.T) {
	t.Parallel()
	now := time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC)
	s := jamf.New(fleet.New(fleet.Options{}), jamf.Options{RateLimit: 2, Now: func() time.Time { return now }})
	for i, want := range []int{404, 404, 429, 404} {
		if i == 3 {
			now = now.Add(time.Second)
		}
		w := do(t, s, request{path: "/"})
		if w.Code != want || (want == 429) != (w.Header().Get("Retry-After") == "1") {
			t.Errorf("request %d: %d with Retry-After %q, want %d", i, w.Code, w.Header().Get("Retry-After"), want)
		}
	}
}

func TestServer_listens(t *testing.T) {
	t.Parallel()
	url, stop, err := jamf.New(fleet.New(fleet.Options{}), jamf.Options{}).Listen("127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer stop()
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/computers", http.NoBody)
	if err != nil {
		t.Fatal(err)
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = resp.Body.Close() }()
	if body, _ := io.ReadAll(resp.Body); resp.StatusCode != http.StatusUnauthorized || !strings.Contains(string(body), "authentication") {
		t.Errorf("%d %s", resp.StatusCode, body)
	}
}
