package outbox_test

import (
	"bytes"
	"context"
	"encoding/json"
	"fmt"
	"io"
	"math/rand/v2"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/outbox"
	"github.com/postureproject/posture/store"
	"github.com/postureproject/posture/store/storetest"
)

// The test binary, run again with these, is a process that delivers until it is
// killed.
const (
	childDSN = "POSTURE_TEST_OUTBOX_DSN"
	childURL = "POSTURE_TEST_OUTBOX_URL"
)

func TestMain(m *testing.M) {
	if dsn := os.Getenv(childDSN); dsn != "" {
		deliverFor(dsn, os.Getenv(childURL))
		return
	}
	goleak.VerifyTestMain(m)
}

func deliverFor(dsn, url string) {
	s, err := store.Open(context.Background(), store.Options{DSN: dsn, NoMigrate: true})
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	_ = quick(s, &poster{name: "rest", url: url}).Run(context.Background())
}

// quick makes an outbox that is impatient.
func quick(s outbox.Store, sinks ...outbox.Sink) *outbox.Outbox {
	return outbox.New(outbox.Options{
		Store: s, Sinks: sinks, BatchCount: 7, LeaseTime: 400 * time.Millisecond, Idle: 5 * time.Millisecond,
		MinBackoff: time.Millisecond, MaxBackoff: 20 * time.Millisecond, CallTimeout: 5 * time.Second,
	})
}

// poster is a sink that posts each document.
type poster struct{ name, url string }

func (p *poster) Name() string { return p.name }

func (p *poster) Deliver(ctx context.Context, ds []device.Delivery) ([]error, error) {
	errs := make([]error, len(ds))
	for i, d := range ds {
		errs[i] = p.post(ctx, d)
	}
	return errs, nil
}

func (p *poster) post(ctx context.Context, d device.Delivery) error {
	req, err := http.NewRequestWithContext(ctx, http.MethodPost, p.url, bytes.NewReader(d.Body))
	if err != nil {
		return err
	}
	req.Header.Set("Idempotency-Key", d.ID)
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return fault.New(fault.Unavailable, "%w", err)
	}
	defer func() { _ = resp.Body.Close() }()
	_, _ = io.Copy(io.Discard, resp.Body)
	switch resp.StatusCode {
	case http.StatusOK:
		return nil
	case http.StatusBadRequest:
		return fault.New(fault.Invalid, "refused")
	default:
		return fault.New(fault.Unavailable, "answered %d", resp.StatusCode)
	}
}

// recorder is the system behind a sink: it notes each ID once, in the order of
// first acceptance, and is not always well.
type recorder struct {
	t *testing.T

	mu       sync.Mutex
	requests int
	repeated int
	accepted map[string]bool
	latest   map[string]int // of each key
	moody    bool
}

func newRecorder(t *testing.T, moody bool) *recorder {
	return &recorder{t: t, accepted: make(map[string]bool), latest: make(map[string]int), moody: moody}
}

type numbered struct {
	Key string `json:"key"`
	N   int    `json:"n"`
}

func (r *recorder) ServeHTTP(w http.ResponseWriter, req *http.Request) {
	var d numbered
	if err := json.NewDecoder(req.Body).Decode(&d); err != nil {
		return // its sender was killed
	}
	time.Sleep(rand.N(time.Millisecond)) // so that kills hit in the middle
	r.mu.Lock()
	defer r.mu.Unlock()
	r.requests++
	if r.moody && rand.N(20) == 0 {
		w.WriteHeader(http.StatusServiceUnavailable)
		return
	}
	id := req.Header.Get("Idempotency-Key")
	if r.accepted[id] {
		r.repeated++
		return
	}
	if d.N <= r.latest[d.Key] {
		r.t.Errorf("%s: %d comes after %d", d.Key, d.N, r.latest[d.Key])
	}
	r.accepted[id], r.latest[d.Key] = true, d.N
}

func (r *recorder) count() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.accepted)
}

// again counts the documents that came when they had been accepted already.
func (r *recorder) again() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.repeated
}

func (r *recorder) asked() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.requests
}

// numberedDocs makes documents numbered from first on, in some keys.
func numberedDocs(first, n, keys int) []device.Delivery {
	out := make([]device.Delivery, n)
	for i := range out {
		d := numbered{Key: fmt.Sprint("key", (first+i)%keys), N: first + i + 1}
		body, _ := json.Marshal(d)
		out[i] = device.Delivery{ID: fmt.Sprint("doc", first+i), Kind: device.DeliverDevice, Key: d.Key, Body: body}
	}
	return out
}

func until(t *testing.T, what string, done func() bool) {
	t.Helper()
	deadline := time.Now().Add(60 * time.Second)
	for !done() {
		if time.Now().After(deadline) {
			t.Fatalf("waited too long: %s", what)
		}
		time.Sleep(time.Millisecond)
	}
}

// Whenever a delivering process is killed, everything arrives, nothing is
// overtaken, and little is sent again.
func TestKill(t *testing.T) {
	t.Parallel()
	const kills, each, keys = 20, 60, 23
	storetest.EachDSN(t, func(t *testing.T, dsn string) {
		s := storetest.Open(t, dsn, nil)
		r := newRecorder(t, true)
		server := httptest.NewServer(r)
		defer server.Close()
		for i := range kills {
			if err := s.EnqueueDeliveries(t.Context(), "rest", numberedDocs(i*each, each, keys)); err != nil {
				t.Fatal(err)
			}
			before, enough := r.asked(), 1+rand.N(each)
			child := startChild(t, dsn, server.URL)
			until(t, "deliveries by a new process", func() bool { return r.asked() >= before+enough || r.count() == (i+1)*each })
			_ = child.Process.Kill()
			_ = child.Wait()
		}
		child := startChild(t, dsn, server.URL)
		until(t, "everything to arrive and to be recorded", func() bool {
			stats, err := s.OutboxStats(t.Context())
			return err == nil && len(stats) == 0
		})
		_ = child.Process.Kill()
		_ = child.Wait()
		if r.count() != kills*each {
			t.Errorf("%d of %d documents arrived", r.count(), kills*each)
		}
		if most := kills * 7; r.again() > most {
			t.Errorf("%d were sent again; a killed call has 7 at most", r.again())
		}
		t.Logf("%d requests for %d documents; %d repeated", r.asked(), kills*each, r.again())
	})
}

func startChild(t *testing.T, dsn, url string) *exec.Cmd {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	child := exec.Command(self)
	child.Env = append(os.Environ(), childDSN+"="+dsn, childURL+"="+url)
	child.Stderr = t.Output()
	if err := child.Start(); err != nil {
		t.Fatal(err)
	}
	return child
}

// Two processes that share a store and come and go deliver everything once.
func TestTwoDispatchers(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		const rounds, each, keys = 12, 50, 11
		r := newRecorder(t, true)
		server := httptest.NewServer(r)
		defer server.Close()
		stores := []*store.Store{open(t), open(t)}
		stops := make([]func(), 2)
		begin := func(i int) {
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() {
				defer close(done)
				_ = outbox.New(outbox.Options{
					Store: stores[i], Sinks: []outbox.Sink{&poster{name: "rest", url: server.URL}}, BatchCount: 7,
					Idle: 5 * time.Millisecond, MinBackoff: time.Millisecond, MaxBackoff: 20 * time.Millisecond,
				}).Run(ctx)
			}()
			stops[i] = func() { cancel(); <-done }
		}
		begin(0)
		begin(1)
		for i := range rounds {
			if err := stores[i%2].EnqueueDeliveries(t.Context(), "rest", numberedDocs(i*each, each, keys)); err != nil {
				t.Fatal(err)
			}
			until(t, "some to arrive", func() bool { return r.count() >= i*each+rand.N(each) })
			stops[i%2]() // in the middle
			begin(i % 2)
		}
		until(t, "everything to arrive", func() bool { return r.count() == rounds*each })
		stops[0]()
		stops[1]()
		http.DefaultClient.CloseIdleConnections()
		if n := r.again(); n != 0 {
			t.Errorf("%d were sent twice", n)
		}
		if stats, err := stores[0].OutboxStats(t.Context()); err != nil || len(stats) != 0 {
			t.Errorf("left over: %v, %v", stats, err)
		}
	})
}
