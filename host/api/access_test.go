package api_test

import (
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/host/auth"
)

// visitor is one kind of sender of a request.
type visitor struct {
	name string
	open bool // whether the server asks for no log-in
	send func(*http.Request)
	want map[auth.Action]int
	// elsewhere marks requests that another web site has sent.
	elsewhere bool
}

// statuses gives what a visitor is answered, action by action.
func statuses(public, viewPerson, viewAny, sendFeedback, administer, view, change int) map[auth.Action]int {
	return map[auth.Action]int{
		auth.Public: public, auth.ViewPerson: viewPerson, auth.ViewAny: viewAny, auth.SendFeedback: sendFeedback, auth.Administer: administer,
		auth.ViewAdministration: view, auth.ChangeAdministration: change,
	}
}

func visitors(t *testing.T) []visitor {
	t.Helper()
	bearer := func(token string) func(*http.Request) {
		return func(r *http.Request) { r.Header.Set("Authorization", "Bearer "+token) }
	}
	expired, err := auth.Mint([]byte(key), auth.Everyone, time.Hour, now().Add(-2*time.Hour))
	if err != nil {
		t.Fatal(err)
	}
	foreign, err := auth.Mint([]byte("the key of somebody else, also long enough"), auth.Everyone, time.Hour, now())
	if err != nil {
		t.Fatal(err)
	}
	nothing := statuses(200, 401, 401, 401, 401, 401, 401)
	all := statuses(200, 200, 200, 200, 200, 200, 200)
	return []visitor{
		{"nobody", false, func(*http.Request) {}, nothing, false},
		{"own person", false, bearer(token(t, ada)), statuses(200, 200, 403, 200, 403, 403, 403), false},
		{"own person in another case", false, bearer(token(t, "ADA@Example.com")), statuses(200, 200, 403, 200, 403, 403, 403), false},
		{"wrong person", false, bearer(token(t, "eve@example.com")), statuses(200, 403, 403, 403, 403, 403, 403), false},
		{"a person whose address begins alike", false, bearer(token(t, ada+".evil")), statuses(200, 403, 403, 403, 403, 403, 403), false},
		{"a look-alike letter", false, bearer(token(t, "ada@exam\u017fle.com")), statuses(200, 403, 403, 403, 403, 403, 403), false},
		{"everyone", false, bearer(token(t, auth.Everyone)), all, false},
		{"listed administrator", false, bearer(token(t, "root@EXAMPLE.com")), all, false},
		{"expired administrator", false, bearer(expired), nothing, false},
		{"administrator of another key", false, bearer(foreign), nothing, false},
		{"garbage", false, bearer("e30.e30.e30"), nothing, false},
		{"another scheme", false, func(r *http.Request) { r.SetBasicAuth("*", key) }, nothing, false},
		{"cookie", false, func(r *http.Request) { r.AddCookie(&http.Cookie{Name: "token", Value: token(t, auth.Everyone)}) }, nothing, false},
		{"token in the query", false, func(r *http.Request) { r.URL.RawQuery = "token=" + token(t, auth.Everyone) }, nothing, false},
		{"nobody at an open server", true, func(*http.Request) {}, all, false},
		{"person at an open server", true, bearer(token(t, ada)), statuses(200, 200, 403, 200, 403, 403, 403), false},
		{"expired at an open server", true, bearer(expired), nothing, false},
		{"an open server by address", true, func(r *http.Request) { r.Host = "[::1]:8443" }, all, false},
		{"an open server by another's name", true, func(r *http.Request) { r.Host = "rebound.example:8443" }, statuses(200, 403, 403, 403, 403, 403, 403), false},
		{"an open server without a name", true, func(r *http.Request) { r.Host = "" }, statuses(200, 403, 403, 403, 403, 403, 403), false},
		{"another web site at an open server", true, func(r *http.Request) { r.Header.Set("Sec-Fetch-Site", "cross-site") }, statuses(200, 200, 200, 403, 200, 200, 403), true},
		{"another origin at an open server", true, func(r *http.Request) { r.Header.Set("Origin", "https://evil.example") }, statuses(200, 200, 200, 403, 200, 200, 403), true},
	}
}

// Every visitor at every route of the table: what is not listed here as allowed
// is refused.
func TestAccess(t *testing.T) {
	t.Parallel()
	for _, v := range visitors(t) {
		t.Run(v.name, func(t *testing.T) {
			t.Parallel()
			policy := locked()
			policy.Open = v.open
			s := serve(t, policy, offering("jamf", full("jamf")))
			for _, line := range s.table {
				method, path := concrete(line.Pattern)
				r := httptest.NewRequestWithContext(t.Context(), method, path, strings.NewReader(bodyFor(line.Pattern)))
				r.Host = "localhost"
				v.send(r)
				w := s.send(r)
				allowed := w.Code == http.StatusOK || w.Code == http.StatusAccepted
				want := v.want[line.Action]
				if v.elsewhere && method != http.MethodGet {
					want = http.StatusForbidden // nothing is changed on behalf of another web site
				}
				if w.Code != want && (want != http.StatusOK || !allowed) {
					t.Errorf("%s: %d, want %d: %s", line.Pattern, w.Code, want, w.Body)
				}
				if !allowed {
					failureIn(t, w)
				}
				if challenge := w.Header().Get("WWW-Authenticate"); (challenge != "") != (w.Code == 401) {
					t.Errorf("%s: WWW-Authenticate %q with %d", line.Pattern, challenge, w.Code)
				}
			}
			r := httptest.NewRequestWithContext(t.Context(), "GET", "/", nil)
			v.send(r)
			secrets := []string{key, strings.TrimPrefix(r.URL.RawQuery, "token=")}
			if _, secret, ok := strings.Cut(r.Header.Get("Authorization"), " "); ok {
				secrets = append(secrets, secret)
			}
			for _, secret := range secrets {
				if secret != "" && strings.Contains(s.log.String(), secret) {
					t.Errorf("the log holds %q", secret)
				}
			}
		})
	}
}

// The routes by what they disclose, said once more and by hand: a route in the
// wrong class is a hole.
func TestAccess_Classes(t *testing.T) {
	t.Parallel()
	for _, line := range serve(t, locked()).table {
		want := auth.Administer
		switch {
		case strings.HasSuffix(line.Pattern, "/openapi.json"):
			want = auth.Public
		case strings.HasPrefix(line.Pattern, "PUT ") && strings.Contains(line.Pattern, "administration"):
			want = auth.ChangeAdministration
		case strings.Contains(line.Pattern, "administration"), strings.HasPrefix(line.Pattern, "GET /api/v1/batch/"):
			want = auth.ViewAdministration
		case strings.HasPrefix(line.Pattern, "POST /api/v1/feedback/"):
			want = auth.SendFeedback
		case strings.HasSuffix(line.Pattern, "/{email}"), strings.HasSuffix(line.Pattern, "/{email}/rescan"):
			want = auth.ViewPerson
		case strings.HasSuffix(line.Pattern, "/{serial}"), strings.HasSuffix(line.Pattern, "/{mac}"):
			want = auth.ViewAny
		}
		if line.Action != want {
			t.Errorf("%s needs %s, want %s", line.Pattern, line.Action, want)
		}
	}
}

// However a path is written, a person gets nothing of another's.
func TestAccess_Paths(t *testing.T) {
	t.Parallel()
	const eve = "eve@example.com"
	tests := []struct {
		method, path string
		want         int
	}{
		{"GET", "/api/v1/posture/ada@example.com", 200},
		{"GET", "/api/v1/posture/ada%40example.com", 200},
		{"GET", "/api/v1/posture/%61da@example.com", 200},
		{"GET", "/api/v1/posture/ADA@EXAMPLE.COM", 200},
		{"GET", "/api/v1/posture/ada@example.com?email=eve@example.com", 200},
		{"HEAD", "/api/v1/posture/ada@example.com", 200},
		{"GET", "/api/v1/posture/" + eve, 403},
		{"HEAD", "/api/v1/posture/" + eve, 403},
		{"GET", "/api/v1/posture/eve%40example.com", 403},
		{"GET", "/api/v1/posture/eve%2540example.com", 403},
		{"GET", "/api/v1/posture/ada%2540example.com", 403},
		{"GET", "/api/v1/posture/ada@example.com%00", 403},
		{"GET", "/api/v1/posture/ada@example.com%20", 403},
		{"GET", "/api/v1/posture/ada@example.com,eve@example.com", 403},
		{"GET", "/api/v1/posture/ada@example.com%2F..%2Feve@example.com", 403},
		{"GET", "/api/v1/posture/*", 403},
		{"GET", "/api/v1/posture/%2A", 403},
		{"GET", "/api/v1/devices/jamf/email/" + eve, 403},
		{"GET", "/api/v1/devices/email/" + eve, 403},
		{"GET", "/api/v1/devices/serial/ada@example.com", 403},
		{"GET", "/api/v1/devices/macaddr/ada@example.com", 403},
		{"GET", "/api/v1/posture/ada@example.com/", 404},
		{"GET", "/api/v1/posture/", 404},
		{"GET", "/api/v1/posture", 404},
		{"GET", "/api/v1/posture/ada@example.com/eve@example.com", 404},
		{"GET", "/API/v1/posture/ada@example.com", 404},
		{"GET", "/api/v1/devices/jamf/email/ada@example.com/", 404},
		{"GET", "/api/v1/", 404},
		{"POST", "/api/v1/nothing", 404},
		{"POST", "/api/v1/posture/ada@example.com", 405},
		{"PUT", "/api/v1/posture/ada@example.com", 405},
		{"DELETE", "/api/v1/devices/merged/ada@example.com", 405},
		{"OPTIONS", "/api/v1/posture/ada@example.com", 405},
		{"TRACE", "/api/v1/posture/ada@example.com", 405},
		{"GET", "/api/v1/feedback/jamf", 405},
		{"GET", "/api/v1/../v1/posture/" + eve, 307},
		{"GET", "//api/v1/posture/" + eve, 307},
	}
	s := serve(t, locked(), offering("jamf", full("jamf")))
	for _, tt := range tests {
		w := s.do(t, tt.method, tt.path, ada, "")
		if w.Code != tt.want {
			t.Errorf("%s %s: %d, want %d: %s", tt.method, tt.path, w.Code, tt.want, w.Body)
			continue
		}
		if w.Code >= 400 {
			failureIn(t, w)
		}
		if allow := w.Header().Get("Allow"); (allow != "") != (w.Code == 405) {
			t.Errorf("%s %s: Allow %q with %d", tt.method, tt.path, allow, w.Code)
		}
	}
	r := httptest.NewRequestWithContext(t.Context(), "POST", "/api/v1/posture/"+eve, nil)
	r.Header.Set("Authorization", "Bearer "+token(t, ada))
	r.Header.Set("X-HTTP-Method-Override", "GET")
	r.Header.Set("X-Original-URL", "/api/v1/posture/"+ada)
	if w := s.send(r); w.Code != 405 {
		t.Errorf("an overridden method: %d", w.Code)
	}
}

// One answers for oneself, an administrator for anybody by name.
func TestFeedback(t *testing.T) {
	t.Parallel()
	const eve = "eve@example.com"
	tests := []struct {
		name, subject, body string
		status              int
		field               string
		want                []device.Feedback
	}{
		{name: "own", subject: ada, body: `{"id":"n1","feedback":{"mine":true},"notes":"x"}`, status: 200, want: []device.Feedback{{UserID: ada, ID: "n1", Feedback: []byte(`{"mine":true}`), Notes: "x", Source: "posture"}}},
		{name: "own by name", subject: ada, body: `{"user_id":"Ada@example.com","id":"n1","feedback":false}`, status: 200, want: []device.Feedback{{UserID: "Ada@example.com", ID: "n1", Feedback: []byte(`false`), Source: "posture"}}},
		{name: "another's", subject: ada, body: `{"user_id":"` + eve + `","id":"n1","feedback":1}`, status: 403},
		{name: "everybody's", subject: ada, body: `{"user_id":"*","id":"n1","feedback":1}`, status: 400, field: "user_id"},
		{name: "by an administrator", subject: auth.Everyone, body: `{"user_id":"` + eve + `","id":"n1","feedback":1}`, status: 200, want: []device.Feedback{{UserID: eve, ID: "n1", Feedback: []byte(`1`), Source: "posture"}}},
		{name: "by an administrator for nobody", subject: auth.Everyone, body: `{"id":"n1","feedback":1}`, status: 400, field: "user_id"},
		{name: "without id", subject: ada, body: `{"feedback":1}`, status: 400, field: "id"},
		{name: "without an answer", subject: ada, body: `{"id":"n1"}`, status: 400, field: "feedback"},
		{name: "null answer", subject: ada, body: `{"id":"n1","feedback":null}`, status: 400, field: "feedback"},
		{name: "unknown field", subject: ada, body: `{"id":"n1","feedback":1,"admin":true}`, status: 400, field: "body"},
		{name: "two objects", subject: ada, body: `{"id":"n1","feedback":1}{}`, status: 400, field: "body"},
		{name: "no object", subject: ada, body: `[]`, status: 400, field: "body"},
		{name: "empty", subject: ada, status: 400, field: "body"},
		{name: "too large", subject: ada, body: `{"id":"n1","feedback":"` + strings.Repeat("x", 1<<20) + `"}`, status: 400, field: "body"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			s := serve(t, locked())
			w := s.do(t, "POST", "/api/v1/feedback/jamf", tt.subject, tt.body)
			if w.Code != tt.status {
				t.Fatalf("%d, want %d: %s", w.Code, tt.status, w.Body)
			}
			if tt.status != 200 {
				if f := failureIn(t, w); f.Error.Field != tt.field {
					t.Errorf("field %q, want %q", f.Error.Field, tt.field)
				}
			}
			if diff := cmp.Diff(tt.want, s.sent); diff != "" {
				t.Errorf("sent (-want +got):\n%s", diff)
			}
		})
	}
}
