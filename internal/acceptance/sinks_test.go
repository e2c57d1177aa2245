package acceptance_test

import (
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"net/url"
	"strings"
	"sync"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/postureproject/posture/batch"
	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/internal/elastictest"
	"github.com/postureproject/posture/internal/simulator/simhttp"
)

// searchServer is a real Elasticsearch behind a door that can be shut.
type searchServer struct {
	*elastictest.Server
	prefix string
	door   string // its address
	shut   atomic.Bool
}

func newSearchServer(t testing.TB) *searchServer {
	t.Helper()
	s := &searchServer{Server: elastictest.Start(t)}
	s.prefix = s.Prefix(t)
	target, err := url.Parse(s.URL)
	if err != nil {
		t.Fatal(err)
	}
	proxy := httputil.NewSingleHostReverseProxy(target)
	door := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if s.shut.Load() {
			w.WriteHeader(http.StatusServiceUnavailable)
			return
		}
		proxy.ServeHTTP(w, r)
	}))
	t.Cleanup(door.Close)
	s.door = door.URL
	return s
}

// count gives how many documents the indices hold whose names begin with prefix.
func (s *searchServer) count(t testing.TB, prefix string) int {
	t.Helper()
	s.Do(t, http.MethodPost, "/"+prefix+"*/_refresh", "")
	_, body := s.Do(t, http.MethodGet, "/"+prefix+"*/_count", "")
	var answer struct{ Count int }
	if err := json.Unmarshal(body, &answer); err != nil {
		t.Fatalf("%v: %s", err, body)
	}
	return answer.Count
}

// awaitCount waits until there are so many documents, and a little longer to see
// that there are no more.
func (s *searchServer) awaitCount(t testing.TB, prefix string, want int) {
	t.Helper()
	deadline := time.Now().Add(patience)
	for s.count(t, prefix) < want && time.Now().Before(deadline) {
		time.Sleep(50 * time.Millisecond)
	}
	if got := s.count(t, prefix); got != want {
		t.Errorf("%s holds %d documents, want %d", prefix, got, want)
	}
}

// receiver takes what is posted to it.
type receiver struct {
	url    string
	faults simhttp.Faults

	mu     sync.Mutex
	bodies []string
	keyed  map[string]string // by the header that tells repetitions
}

func newReceiver(t testing.TB) *receiver {
	t.Helper()
	r := &receiver{keyed: map[string]string{}}
	server := httptest.NewServer(r.faults.Wrap(http.HandlerFunc(func(_ http.ResponseWriter, req *http.Request) {
		body, err := io.ReadAll(req.Body)
		if err != nil {
			t.Error(err)
		}
		r.mu.Lock()
		defer r.mu.Unlock()
		if req.Method == http.MethodPost {
			r.bodies = append(r.bodies, string(body))
			r.keyed[req.Header.Get("Idempotency-Key")] = string(body)
		}
	})))
	t.Cleanup(server.Close)
	r.url = server.URL + "/"
	return r
}

func (r *receiver) taken() []string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return append([]string{}, r.bodies...)
}

// keys gives what was posted, repetitions left out.
func (r *receiver) keys() map[string]string {
	r.mu.Lock()
	defer r.mu.Unlock()
	return maps.Clone(r.keyed)
}

// addSinks configures every sink.
func (s *site) addSinks(search *searchServer, posts *receiver) {
	s.Plugins["batch_es"] = map[string]any{"ELASTICSEARCH_HOSTS": search.door, "ELASTICSEARCH_INDEX_PREFIX": search.prefix + "devices-", "RETRIES": 0}
	s.Plugins["es_logger"] = map[string]any{"ELASTICSEARCH_HOSTS": search.door, "ELASTICSEARCH_INDEX_PREFIX": search.prefix + "access-", "RETRIES": 0}
	s.Plugins["batch_restful_summary"] = map[string]any{"URL": posts.url + "summary"}
	s.Plugins["restful_feedback"] = map[string]any{"URL": posts.url + "feedback"}
	s.Plugins["atlas"] = map[string]any{"URL": posts.url + "atlas"}
}

// The search server is down for a whole run and while people look at records; the
// daemon is killed before it is back. Everything arrives once.
func TestSinks_DownForARun(t *testing.T) {
	t.Parallel()
	search, posts := newSearchServer(t), newReceiver(t)
	s := newSite(t, 12)
	s.addSinks(search, posts)
	s.write(t, nil)
	search.shut.Store(true)
	d := s.serve(t)
	d.getJSON(t, "/api/v1/posture/"+s.ada(), new(device.Posture))
	out, errs, status := posture(t, s.dir, "batch", "--json", "--config", s.configFile())
	var run batch.Run
	if err := json.Unmarshal([]byte(out), &run); err != nil || status != 0 || run.Complete != 12 {
		t.Fatalf("the run ended with %d: %s %s, %v", status, out, errs, err)
	}
	d.signal(t, syscall.SIGKILL)
	d.wait(t)
	if n := search.count(t, search.prefix); n != 0 {
		t.Fatalf("%d documents arrived at a server that is down", n)
	}
	search.shut.Store(false)
	d = s.serve(t)
	search.awaitCount(t, search.prefix+"devices-", run.Devices)
	search.awaitCount(t, search.prefix+"access-", 1)
	summary := posts.taken()
	if len(summary) != 1 || !strings.Contains(summary[0], s.ada()) {
		t.Errorf("summaries %d: %.300s", len(summary), summary)
	}
	// An answer to a notification is accepted, and arrives at its sink.
	resp, err := http.Post(d.url+"/api/v1/feedback/restful_feedback", "application/json",
		strings.NewReader(fmt.Sprintf(`{"user_id":%q,"id":"n1","feedback":{"answer":"mine"}}`, s.ada())))
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	if resp.StatusCode != http.StatusOK {
		t.Errorf("feedback: %d", resp.StatusCode)
	}
	for end := time.Now().Add(patience); len(posts.taken()) < 2 && time.Now().Before(end); {
		time.Sleep(20 * time.Millisecond)
	}
	if got := posts.taken(); len(got) != 2 || !strings.Contains(got[1], "mine") {
		t.Errorf("posted %q", got[1:])
	}
	waiting, _, _ := posture(t, s.dir, "outbox", "list", "--config", s.configFile())
	if !strings.Contains(waiting, "Nothing waits") {
		t.Errorf("still waiting:\n%s", waiting)
	}
}
