package sinktest

import (
	"net/http"
	"net/http/httptest"
	"sync/atomic"
	"testing"
)

// health is a server that says how somebody is.
type health struct {
	url    string
	status atomic.Int64
	asked  atomic.Int64
}

func newHealth(t *testing.T) *health {
	t.Helper()
	h := &health{}
	h.status.Store(http.StatusOK)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		h.asked.Add(1)
		w.WriteHeader(int(h.status.Load()))
	}))
	t.Cleanup(server.Close)
	h.url = server.URL + "/health"
	return h
}
