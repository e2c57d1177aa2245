package jamf

import (
	"io"
	"log/slog"
	"net/http"
	"net/http/httptest"
	"testing"
	"time"

	"github.com/postureproject/posture/internal/simulator/fleet"
	simulator "github.com/postureproject/posture/internal/simulator/jamf"
	"github.com/postureproject/posture/plugins/sdk"
)

// sample gives a computer's document as the simulator renders it.
func sample(b *testing.B) []byte {
	b.Helper()
	sim := simulator.New(fleet.New(fleet.Options{}), simulator.Options{OldServer: true})
	r := httptest.NewRequestWithContext(b.Context(), http.MethodGet, "/JSSResource/computers/id/1", http.NoBody)
	r.SetBasicAuth("posture", "simulator")
	r.Header.Set("Accept", "application/json")
	w := httptest.NewRecorder()
	sim.ServeHTTP(w, r)
	body, err := io.ReadAll(w.Body)
	if err != nil || w.Code != http.StatusOK {
		b.Fatalf("%d, %v", w.Code, err)
	}
	return body
}

func BenchmarkReadComputer(b *testing.B) {
	body := sample(b)
	b.SetBytes(int64(len(body)))
	b.ReportAllocs()
	for b.Loop() {
		c, err := readClassic(body, false)
		if err != nil {
			b.Fatal(err)
		}
		if d := c.record(owners{}); len(d.Software.Installed) != 50 {
			b.Fatal(len(d.Software.Installed))
		}
	}
}

func BenchmarkDevicesByEmail(b *testing.B) {
	f := fleet.New(fleet.Options{People: 500})
	server := httptest.NewServer(simulator.New(f, simulator.Options{Cache: true}))
	defer server.Close()
	s, err := newSource(b.Context(), config{Username: "posture", Password: "simulator", HostAddr: server.URL, EmailMatch: "local"},
		sdk.Env{Logger: slog.New(slog.DiscardHandler), Timeout: 5 * time.Second, Concurrency: 10})
	if err != nil {
		b.Fatal(err)
	}
	defer s.Close()
	n := 0
	b.ReportAllocs()
	for b.Loop() {
		n++
		if _, err := s.DevicesByEmail(b.Context(), f.Person(n%f.Len()).Email); err != nil {
			b.Fatal(err)
		}
	}
}
