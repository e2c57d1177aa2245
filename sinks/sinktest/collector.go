package sinktest

import (
	"io"
	"net/http"
	"net/http/httptest"
	"sync"
	"testing"

	"github.com/postureproject/posture/internal/simulator/simhttp"
)

// Collector is a server that takes documents by POST, one per request, and tells
// repetitions by the header Idempotency-Key.
type Collector struct {
	URL    string
	Faults simhttp.Faults

	mu      sync.Mutex
	stored  map[string]int
	bodies  map[string][]byte
	headers map[string]http.Header
	limit   int
	refused string
}

// NewCollector starts a collector that ends with the test.
func NewCollector(t *testing.T) *Collector {
	t.Helper()
	c := &Collector{stored: make(map[string]int), bodies: make(map[string][]byte), headers: make(map[string]http.Header)}
	server := httptest.NewServer(c.Faults.Wrap(http.HandlerFunc(c.serve)))
	t.Cleanup(server.Close)
	c.URL = server.URL + "/collect"
	return c
}

func (c *Collector) serve(w http.ResponseWriter, r *http.Request) {
	if r.Method != http.MethodPost {
		w.WriteHeader(http.StatusMethodNotAllowed)
		return
	}
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return
	}
	id := r.Header.Get("Idempotency-Key")
	c.mu.Lock()
	defer c.mu.Unlock()
	switch {
	case c.limit > 0 && len(body) > c.limit:
		w.WriteHeader(http.StatusRequestEntityTooLarge)
	case id == c.refused && id != "":
		w.WriteHeader(http.StatusUnprocessableEntity)
	case c.stored[id] > 0:
		w.WriteHeader(http.StatusOK)
	default:
		c.stored[id]++
		c.bodies[id], c.headers[id] = body, r.Header.Clone()
		w.WriteHeader(http.StatusCreated)
	}
}

// Backend gives the collector with a sink's settings beside its URL.
func (c *Collector) Backend(settings map[string]any) Backend {
	all := map[string]any{"URL": c.URL + "?token=hunter2-in-the-query"}
	for key, value := range settings {
		all[key] = value
	}
	return Backend{
		Settings: all, Faults: &c.Faults,
		Stored: func() map[string]int {
			c.mu.Lock()
			defer c.mu.Unlock()
			out := make(map[string]int, len(c.stored))
			for id, n := range c.stored {
				out[id] = n
			}
			return out
		},
		Limit:  func(bytes int) { c.mu.Lock(); defer c.mu.Unlock(); c.limit = bytes },
		Refuse: func(id string) { c.mu.Lock(); defer c.mu.Unlock(); c.refused = id },
	}
}

// Document gives what arrived under an ID, and its headers.
func (c *Collector) Document(id string) ([]byte, http.Header) {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.bodies[id], c.headers[id]
}
