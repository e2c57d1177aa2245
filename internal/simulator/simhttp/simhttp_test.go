package simhttp_test

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/postureproject/posture/internal/simulator/simhttp"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// echo answers with the request's body.
func serve(t *testing.T) (*simhttp.Faults, string) {
	t.Helper()
	f := &simhttp.Faults{}
	server := httptest.NewServer(f.Wrap(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		w.Header().Set("X-Own", "yes")
		_, _ = io.Copy(w, r.Body)
	})))
	t.Cleanup(server.Close)
	return f, server.URL
}

type result struct {
	status int
	header http.Header
	body   string
	err    error
}

func post(ctx context.Context, url, body string) result {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, url, strings.NewReader(body))
	if err != nil {
		return result{err: err}
	}
	transport := &http.Transport{DisableKeepAlives: true}
	resp, err := transport.RoundTrip(req)
	if err != nil {
		return result{err: err}
	}
	defer func() { _ = resp.Body.Close() }()
	text, err := io.ReadAll(io.LimitReader(resp.Body, 10<<20))
	return result{status: resp.StatusCode, header: resp.Header, body: string(text), err: err}
}

func TestFaults(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		fault simhttp.Fault
		check func(result) bool
	}{
		"none":     {simhttp.Fault{}, func(r result) bool { return r.status == 200 && r.body == "hello" && r.header.Get("X-Own") == "yes" }},
		"status":   {simhttp.Fault{Status: 429, RetryAfter: "7", Body: "no"}, func(r result) bool { return r.status == 429 && r.header.Get("Retry-After") == "7" && r.body == "no" }},
		"body":     {simhttp.Fault{Body: "{}"}, func(r result) bool { return r.status == 200 && r.body == "{}" }},
		"drop":     {simhttp.Fault{Drop: true}, func(r result) bool { return errors.Is(r.err, io.EOF) }},
		"truncate": {simhttp.Fault{Truncate: true}, func(r result) bool { return r.status == 200 && errors.Is(r.err, io.ErrUnexpectedEOF) && r.body == "he" }},
		"huge": {simhttp.Fault{Huge: 1 << 20}, func(r result) bool {
			return len(r.body) >= 1<<20 && len(r.body) < 2<<20 && strings.HasSuffix(r.body, `"}`)
		}},
		"latency":   {simhttp.Fault{Latency: 50 * time.Millisecond}, func(r result) bool { return r.body == "hello" }},
		"elsewhere": {simhttp.Fault{Path: regexp.MustCompile("^/other$"), Status: 500}, func(r result) bool { return r.status == 200 }},
		"here":      {simhttp.Fault{Path: regexp.MustCompile("^/path$"), Status: 500}, func(r result) bool { return r.status == 500 }},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			f, url := serve(t)
			f.Add(tc.fault)
			began := time.Now()
			got := post(t.Context(), url+"/path?x=y", "hello")
			if !tc.check(got) {
				t.Errorf("status %d, %d bytes, header %v, error %v", got.status, len(got.body), got.header, got.err)
			}
			if time.Since(began) < tc.fault.Latency {
				t.Error("the answer came too early")
			}
		})
	}
}

// A client that gives up frees the server, whether or not it has sent a body.
func TestClientGivesUp(t *testing.T) {
	t.Parallel()
	for name, fault := range map[string]simhttp.Fault{"hang": {Hang: true}, "latency": {Latency: time.Hour}, "endless": {Endless: true}} {
		for _, body := range []string{"", "hello"} {
			t.Run(name+body, func(t *testing.T) {
				t.Parallel()
				f, url := serve(t) // whose cleanup waits for the handler
				f.Add(fault)
				ctx, cancel := context.WithTimeout(t.Context(), 50*time.Millisecond)
				defer cancel()
				if got := post(ctx, url, body); !errors.Is(got.err, context.DeadlineExceeded) {
					t.Errorf("error %v", got.err)
				}
			})
		}
	}
}

func TestTimesAndClear(t *testing.T) {
	t.Parallel()
	f, url := serve(t)
	f.Add(simhttp.Fault{Status: 500, Times: 2})
	f.Add(simhttp.Fault{Status: 503, Times: 1})
	f.Add(simhttp.Fault{Status: 502})
	var got []int
	for range 5 {
		got = append(got, post(t.Context(), url, "").status)
	}
	f.Clear()
	got = append(got, post(t.Context(), url, "").status)
	want := []int{500, 500, 503, 502, 502, 200}
	for i := range want {
		if got[i] != want[i] {
			t.Fatalf("statuses %v, want %v", got, want)
		}
	}
}

func TestCounts(t *testing.T) {
	t.Parallel()
	f, url := serve(t)
	f.SetLatency(50 * time.Millisecond)
	var group sync.WaitGroup
	for _, path := range []string{"/a", "/a", "/b", "/c/1", "/c/2"} {
		group.Go(func() { post(t.Context(), url+path+"?q", "") })
	}
	group.Wait()
	if f.Requests() != 5 || f.RequestsTo("/a") != 2 || f.RequestsTo("/x") != 0 || f.RequestsMatching(regexp.MustCompile("^/c/")) != 2 {
		t.Errorf("%d requests, %d to /a, %d below /c", f.Requests(), f.RequestsTo("/a"), f.RequestsMatching(regexp.MustCompile("^/c/")))
	}
	if f.Peak() < 2 || f.Peak() > 5 {
		t.Errorf("peak %d", f.Peak())
	}
}

func TestFaults_rewrite(t *testing.T) {
	t.Parallel()
	var f simhttp.Faults
	f.Add(simhttp.Fault{Times: 1, Rewrite: func(body []byte) []byte { return append(body, " and more"...) }})
	handler := f.Wrap(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Length", "4")
		w.WriteHeader(http.StatusAccepted)
		_, _ = io.WriteString(w, "body")
	}))
	for _, want := range []string{"body and more", "body"} {
		rec := httptest.NewRecorder()
		handler.ServeHTTP(rec, httptest.NewRequest(http.MethodGet, "/", nil))
		if rec.Code != http.StatusAccepted || rec.Body.String() != want {
			t.Errorf("%d %q, want %q", rec.Code, rec.Body, want)
		}
	}
}
