package main

import (
	"context"
	"net/http"
	"net/http/httptest"
	"os"
	"testing"

	"github.com/postureproject/posture/device"
)

func TestQuantile(t *testing.T) {
	t.Parallel()
	values := []float64{5, 1, 4, 2, 3}
	for share, want := range map[float64]float64{0: 1, 0.5: 3, 0.99: 5, 1: 5} {
		if got := quantile(values, share); got != want {
			t.Errorf("quantile %v = %v, want %v", share, got, want)
		}
	}
	if got := quantile(nil, 0.5); got != 0 {
		t.Errorf("quantile of nothing = %v", got)
	}
}

// The two merges that are compared agree about what is one device.
func TestPairwise(t *testing.T) {
	t.Parallel()
	in := records(100)
	if got, want := pairwise(in), len(device.Merge(in, device.MergeOptions{})); got != want {
		t.Errorf("pairwise finds %d devices, the merge %d", got, want)
	}
}

func TestMeasuresOfThisProcess(t *testing.T) {
	t.Parallel()
	m, err := memoryOf(os.Getpid())
	if err != nil || m.Private <= 0 || m.Resident < m.Private {
		t.Errorf("memory %+v, %v", m, err)
	}
	before, err := ownCPU()
	if err != nil {
		t.Fatal(err)
	}
	pairwise(records(300))
	after, err := ownCPU()
	if err != nil || after <= before {
		t.Errorf("processor time went from %v to %v, %v", before, after, err)
	}
	if used, err := cpuOf(os.Getpid()); err != nil || used < 0 {
		t.Errorf("processor time from /proc %v, %v", used, err)
	}
}

// A replay asks the simulator once, and never replays one's answer to another.
func TestReplay(t *testing.T) {
	t.Parallel()
	asked := 0
	p := &replay{next: http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		asked++
		w.WriteHeader(http.StatusTeapot)
		_, _ = w.Write([]byte(r.Header.Get("Authorization")))
	})}
	for _, who := range []string{"a", "b", "a"} {
		r := httptest.NewRequestWithContext(context.Background(), http.MethodGet, "/x?y=1", http.NoBody)
		r.Header.Set("Authorization", who)
		w := httptest.NewRecorder()
		p.ServeHTTP(w, r)
		if w.Code != http.StatusTeapot || w.Body.String() != who {
			t.Errorf("%s got %d %q", who, w.Code, w.Body)
		}
	}
	if asked != 2 || p.requests.Load() != 3 {
		t.Errorf("asked %d times of %d requests", asked, p.requests.Load())
	}
}
