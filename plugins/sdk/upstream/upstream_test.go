package upstream_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/internal/simulator/simhttp"
	"github.com/postureproject/posture/plugins/sdk/upstream"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

const secret = "hunter2"

// vendor is a server that answers {"ok":true} unless told otherwise.
type vendor struct {
	simhttp.Faults
	url string
}

func newVendor(t *testing.T, handler http.Handler) *vendor {
	t.Helper()
	if handler == nil {
		handler = http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { _, _ = io.WriteString(w, `{"ok":true}`) })
	}
	v := &vendor{}
	server := httptest.NewServer(v.Wrap(handler))
	t.Cleanup(server.Close)
	v.url = server.URL
	return v
}

func client(t *testing.T, change func(*upstream.Options)) *upstream.Client {
	t.Helper()
	o := upstream.Options{Source: "jamf", Timeout: 5 * time.Second, Settings: upstream.Settings{Retries: 2}}
	if change != nil {
		change(&o)
	}
	c, err := upstream.New(o)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

func get(ctx context.Context, c *upstream.Client, url string) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, url+"/path?api_token="+secret, nil)
	if err != nil {
		return err
	}
	var out struct {
		OK bool `json:"ok"`
	}
	err = c.JSON(req, "get computer", "C02", &out)
	if err == nil && !out.OK {
		return errors.New("the answer was not decoded")
	}
	return err
}

// checkError also checks what holds for every error.
func checkError(t *testing.T, err error, kind fault.Kind, says string) {
	t.Helper()
	var e *fault.Error
	switch {
	case !errors.As(err, &e):
		t.Errorf("error %v, want a classified one", err)
	case e.Kind != kind || !strings.Contains(err.Error(), says):
		t.Errorf("%s: %v; want %s with %q", e.Kind, err, kind, says)
	case e.Source != "jamf" || e.Op != "get computer" || e.Subject != "C02":
		t.Errorf("%v does not name source, operation and subject", err)
	case strings.Contains(err.Error(), secret) || strings.Contains(err.Error(), "api_token"):
		t.Errorf("the query shows in %v", err)
	}
}

func TestStatus(t *testing.T) {
	t.Parallel()
	tests := []struct {
		status int
		kind   fault.Kind
		tries  int
		remedy string
	}{
		{302, fault.BadResponse, 1, "address"},
		{304, fault.BadResponse, 1, "address"},
		{400, fault.BadResponse, 1, "address"},
		{401, fault.Unauthenticated, 1, "credentials"},
		{402, fault.BadResponse, 1, "address"},
		{403, fault.Forbidden, 1, "permission"},
		{404, fault.NotFound, 1, ""},
		{405, fault.BadResponse, 1, "address"},
		{406, fault.BadResponse, 1, "address"},
		{408, fault.Unavailable, 1, "vendor"},
		{409, fault.BadResponse, 1, "address"},
		{410, fault.BadResponse, 1, "address"},
		{413, fault.BadResponse, 1, "address"},
		{422, fault.BadResponse, 1, "address"},
		{429, fault.RateLimited, 3, "CONCURRENCY"},
		{451, fault.BadResponse, 1, "address"},
		{500, fault.Unavailable, 3, "vendor"},
		{501, fault.Unavailable, 1, "vendor"},
		{502, fault.Unavailable, 3, "vendor"},
		{503, fault.Unavailable, 3, "vendor"},
		{504, fault.Unavailable, 3, "vendor"},
		{520, fault.Unavailable, 3, "vendor"},
	}
	for _, tc := range tests {
		t.Run(fmt.Sprint(tc.status), func(t *testing.T) {
			t.Parallel()
			v := newVendor(t, nil)
			v.Add(simhttp.Fault{Status: tc.status})
			err := get(t.Context(), client(t, nil), v.url)
			checkError(t, err, tc.kind, fmt.Sprint(tc.status))
			if !strings.Contains(fault.RemedyOf(err), tc.remedy) {
				t.Errorf("remedy %q", fault.RemedyOf(err))
			}
			if v.Requests() != tc.tries {
				t.Errorf("%d requests, want %d", v.Requests(), tc.tries)
			}
		})
	}
}

func TestRetries(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		fault   simhttp.Fault
		retries int
		tries   int
		fails   bool
	}{
		"500 twice":            {simhttp.Fault{Status: 500, Times: 2}, 2, 3, false},
		"500 once too often":   {simhttp.Fault{Status: 500, Times: 3}, 2, 3, true},
		"no retries":           {simhttp.Fault{Status: 500, Times: 1}, 0, 1, true},
		"negative retries":     {simhttp.Fault{Status: 500, Times: 1}, -1, 1, true},
		"429 without a wait":   {simhttp.Fault{Status: 429, Times: 1}, 2, 2, false},
		"dropped connections":  {simhttp.Fault{Drop: true, Times: 2}, 2, 3, false},
		"dropped for ever":     {simhttp.Fault{Drop: true}, 1, 2, true},
		"not on other 4xx":     {simhttp.Fault{Status: 400, Times: 1}, 2, 1, true},
		"a broken Retry-After": {simhttp.Fault{Status: 503, RetryAfter: "soon", Times: 1}, 2, 2, false},
		"a negative one":       {simhttp.Fault{Status: 503, RetryAfter: "-5", Times: 1}, 2, 2, false},
		"a date in the past":   {simhttp.Fault{Status: 503, RetryAfter: "Mon, 02 Jan 2006 15:04:05 GMT", Times: 1}, 2, 2, false},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newVendor(t, nil)
			v.Add(tc.fault)
			err := get(t.Context(), client(t, func(o *upstream.Options) { o.Settings.Retries = tc.retries }), v.url)
			if (err != nil) != tc.fails {
				t.Errorf("error %v", err)
			}
			if v.Requests() != tc.tries {
				t.Errorf("%d requests, want %d", v.Requests(), tc.tries)
			}
		})
	}
}

// The body is sent again with a retry.
func TestRetries_body(t *testing.T) {
	t.Parallel()
	v := newVendor(t, http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) }))
	v.Add(simhttp.Fault{Status: 503, Times: 1})
	req, err := http.NewRequestWithContext(t.Context(), http.MethodPost, v.url, strings.NewReader("hello"))
	if err != nil {
		t.Fatal(err)
	}
	body, _, err := client(t, nil).Do(req, "post", "")
	if err != nil || string(body) != "hello" {
		t.Errorf("%q, %v", body, err)
	}
}

func TestRetryAfter(t *testing.T) {
	t.Parallel()
	t.Run("seconds", func(t *testing.T) {
		t.Parallel()
		v := newVendor(t, nil)
		v.Add(simhttp.Fault{Status: 429, RetryAfter: "1", Times: 1})
		began := time.Now()
		if err := get(t.Context(), client(t, nil), v.url); err != nil {
			t.Error(err)
		}
		if waited := time.Since(began); waited < time.Second {
			t.Errorf("waited %v, told to wait a second", waited)
		}
	})
	t.Run("date", func(t *testing.T) {
		t.Parallel()
		v := newVendor(t, nil)
		v.Add(simhttp.Fault{Status: 503, RetryAfter: time.Now().Add(2 * time.Second).UTC().Format(http.TimeFormat), Times: 1})
		began := time.Now()
		if err := get(t.Context(), client(t, nil), v.url); err != nil {
			t.Error(err)
		}
		if waited := time.Since(began); waited < 500*time.Millisecond {
			t.Errorf("waited %v, told to wait for nearly two seconds", waited)
		}
	})
	for name, told := range map[string]string{
		"longer than the deadline":   "10",
		"longer than anybody waits":  "7200",
		"a date behind the deadline": time.Now().Add(time.Hour).UTC().Format(http.TimeFormat),
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newVendor(t, nil)
			v.Add(simhttp.Fault{Status: 429, RetryAfter: told})
			began := time.Now()
			err := get(t.Context(), client(t, nil), v.url)
			checkError(t, err, fault.RateLimited, "429")
			if after := fault.RetryAfterOf(err); after < 9*time.Second {
				t.Errorf("retry after %v, told %s", after, told)
			}
			if v.Requests() != 1 || time.Since(began) > 2*time.Second {
				t.Errorf("%d requests in %v; waiting is of no use", v.Requests(), time.Since(began))
			}
		})
	}
}

func TestBadAnswers(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		fault simhttp.Fault
		kind  fault.Kind
		says  string
	}{
		"truncated":  {simhttp.Fault{Truncate: true}, fault.BadResponse, "unexpected EOF"},
		"malformed":  {simhttp.Fault{Body: `{"ok":`}, fault.BadResponse, "not the expected JSON"},
		"a web page": {simhttp.Fault{Body: `<html>`}, fault.BadResponse, "not the expected JSON"},
		"wrong type": {simhttp.Fault{Body: `{"ok":"yes"}`}, fault.BadResponse, "not the expected JSON"},
		"too large":  {simhttp.Fault{Huge: 2 << 20}, fault.BadResponse, "larger than 1048576 bytes"},
		"endless":    {simhttp.Fault{Endless: true}, fault.BadResponse, "larger than 1048576 bytes"},
		"error page": {simhttp.Fault{Status: 403, Body: strings.Repeat("x", 1<<20)}, fault.Forbidden, "403"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			v := newVendor(t, nil)
			v.Add(tc.fault)
			err := get(t.Context(), client(t, func(o *upstream.Options) { o.MaxBody = 1 << 20 }), v.url)
			checkError(t, err, tc.kind, tc.says)
			if fault.RemedyOf(err) == "" {
				t.Errorf("no remedy in %v", err)
			}
		})
	}
}

func TestSizeBoundIsExact(t *testing.T) {
	t.Parallel()
	v := newVendor(t, nil)
	for size, fits := range map[int64]bool{11: true, 10: false} {
		err := get(t.Context(), client(t, func(o *upstream.Options) { o.MaxBody = size }), v.url)
		if (err == nil) != fits {
			t.Errorf("11 bytes within %d: %v", size, err)
		}
	}
}

// Around sees every attempt.
func TestAround(t *testing.T) {
	t.Parallel()
	v := newVendor(t, nil)
	v.Add(simhttp.Fault{Status: 500, Times: 2})
	attempts := 0
	c := client(t, func(o *upstream.Options) {
		o.Around = func(base http.RoundTripper) http.RoundTripper {
			return roundTripper(func(r *http.Request) (*http.Response, error) {
				attempts++
				return base.RoundTrip(r)
			})
		}
	})
	if err := get(t.Context(), c, v.url); err != nil || attempts != 3 {
		t.Errorf("%d attempts, %v", attempts, err)
	}
}

type roundTripper func(*http.Request) (*http.Response, error)

func (f roundTripper) RoundTrip(r *http.Request) (*http.Response, error) { return f(r) }

func TestClassify(t *testing.T) {
	t.Parallel()
	c := client(t, nil)
	if err := c.Classify(nil, "op", "subject"); err != nil {
		t.Errorf("nil becomes %v", err)
	}
	classified := &fault.Error{Kind: fault.Forbidden, Source: "other", Message: "no", Remedy: "ask"}
	err := c.Classify(fmt.Errorf("outer: %w", classified), "get computer", "C02")
	checkError(t, err, fault.Forbidden, "no")
	if classified.Source != "other" {
		t.Error("the error given was changed")
	}
}
