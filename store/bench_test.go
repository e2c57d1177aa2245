package store_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"strings"
	"testing"
	"time"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/internal/pgtest"
	"github.com/postureproject/posture/store"
	"github.com/postureproject/posture/store/storetest"
)

const (
	benchPeople = 50_000 // of two devices each
	benchAtOnce = 100    // people in one transaction
)

func benchAddress(i int) string { return fmt.Sprintf("person%d@example.com", i) }

// benchSaved makes what a scan of one person keeps: two computers of ten
// practices and forty applications each, and ten log-ins; some 30 KB of JSON.
func benchSaved(i int) store.Saved {
	p := device.Posture{Email: benchAddress(i), GeneratedAt: start(), Sources: []device.Outcome{{Plugin: "jamf", OK: true}}}
	for n := range 2 {
		serial := fmt.Sprintf("C02%07d%d", i, n)
		d := device.Device{
			Name: "laptop " + serial, Model: "MacBook Pro", Serial: serial, Platform: "Mac", OSVersion: fmt.Sprintf("26.%d", i%7),
			LastSync: start().Add(-time.Duration(i) * time.Second), Email: p.Email, Sources: []string{"google", "jamf"},
			Identifiers: device.Identifiers{Serial: serial, UDID: fmt.Sprintf("%032X", i*2+n)}, Practices: map[string]device.Practice{},
			Software: &device.Software{LastScan: start()},
		}
		for k := range 10 {
			d.Practices[fmt.Sprintf("practice_%d", k)] = device.Practice{
				Value: device.Bool(i%(k+2) > 0), Status: []device.Status{device.OK, device.Warn, device.Nudge}[(i+k)%3], Title: "A practice",
				Description: strings.Repeat("What it is good for. ", 10), Directions: strings.Repeat("Open *System Settings* and turn it on. ", 10),
				LastUpdated: start(),
			}
		}
		for k := range 40 {
			d.Software.Installed = append(d.Software.Installed, device.Application{
				Name: fmt.Sprintf("Application %d", k), Version: fmt.Sprintf("%d.%d.%d", k, i%13, i%101), Publisher: "Example GmbH", InstallDate: start(),
			})
		}
		p.Devices = append(p.Devices, d)
	}
	for k := range 10 {
		p.Events = append(p.Events, device.Event{
			Source: "duo", Type: "authentication", Success: device.Bool(true), IPAddress: fmt.Sprintf("192.0.2.%d", (i+k)%250),
			Timestamp: start().Add(-time.Duration(i+k) * time.Minute), Email: p.Email, Details: map[string]string{"factor": "push", "application": "VPN"},
		})
	}
	return store.Saved{Posture: p, Collections: []device.Collection{
		{Plugin: "jamf", FetchedAt: start(), Devices: p.Devices[:1]}, {Plugin: "google", FetchedAt: start(), Devices: p.Devices[1:]},
	}}
}

// eachBench runs a benchmark on both engines, both flushing what they commit.
func eachBench(b *testing.B, bench func(b *testing.B, s *store.Store)) {
	b.Run("sqlite", func(b *testing.B) { bench(b, storetest.Open(b, storetest.SQLite(b), nil)) })
	if pgtest.Enabled() {
		b.Run("postgres", func(b *testing.B) {
			server := pgtest.New(b, pgtest.Options{Durable: true, Settings: []string{"shared_buffers=128MB"}})
			bench(b, storetest.Open(b, server.Database(b), nil))
		})
	}
}

func fill(b *testing.B, s *store.Store, people int) {
	b.Helper()
	begin := time.Now()
	for i := 0; i < people; i += benchAtOnce {
		batch := make([]store.Saved, 0, benchAtOnce)
		for k := range benchAtOnce {
			batch = append(batch, benchSaved(i+k))
		}
		if err := s.SavePostures(b.Context(), batch); err != nil {
			b.Fatal(err)
		}
	}
	status, err := s.Status(b.Context())
	if err != nil {
		b.Fatal(err)
	}
	b.Logf("%d people saved in %v, %d at once; %d MB", people, time.Since(begin).Round(time.Millisecond), benchAtOnce, status.Bytes>>20)
}

// BenchmarkStore_Posture reads the page of one person among 100 000 devices, as
// many at once as there are processors: decoded, and as the API passes it on.
func BenchmarkStore_Posture(b *testing.B) {
	eachBench(b, func(b *testing.B, s *store.Store) {
		people := benchPeople
		if os.Getenv("POSTURE_BENCH_QUICK") != "" {
			people = 2000
		}
		fill(b, s, people)
		reads := map[string]func(email string) error{
			"json":    func(email string) error { _, err := s.PostureJSON(b.Context(), email); return err },
			"decoded": func(email string) error { _, err := s.Posture(b.Context(), email); return err },
		}
		for name, read := range reads {
			b.Run(name, func(b *testing.B) {
				b.ReportAllocs()
				b.RunParallel(func(pb *testing.PB) {
					for pb.Next() {
						if err := read(benchAddress(rand.IntN(people))); err != nil {
							b.Error(err)
						}
					}
				})
				b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "reads/s")
			})
		}
		b.Run("census", func(b *testing.B) {
			for b.Loop() {
				if _, err := s.Census(b.Context(), time.Time{}); err != nil {
					b.Fatal(err)
				}
			}
		})
	})
}

// BenchmarkStore_SavePostures writes people in transactions of one and of many.
func BenchmarkStore_SavePostures(b *testing.B) {
	eachBench(b, func(b *testing.B, s *store.Store) {
		for _, n := range []int{1, benchAtOnce} {
			b.Run(fmt.Sprintf("%d at once", n), func(b *testing.B) {
				for i := 0; b.Loop(); i++ {
					batch := make([]store.Saved, 0, n)
					for k := range n {
						batch = append(batch, benchSaved((i*n+k)%benchPeople))
					}
					if err := s.SavePostures(b.Context(), batch); err != nil {
						b.Fatal(err)
					}
				}
				b.ReportMetric(float64(b.N*n)/b.Elapsed().Seconds(), "people/s")
			})
		}
	})
}
