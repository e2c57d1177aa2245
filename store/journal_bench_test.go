package store_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/postureproject/posture/journal"
	"github.com/postureproject/posture/store"
)

// benchPeopleOfLog is how many people the records of the benchmark are of.
const benchPeopleOfLog = 50_000

func benchRecord(i int) journal.Record {
	person := i % benchPeopleOfLog
	return journal.Record{
		ID: fmt.Sprintf("%032x", i), At: start().Add(time.Duration(i) * time.Second),
		Keys: []string{fmt.Sprintf("is:person%d@example.com", person), fmt.Sprintf("is:person%d", person)},
		Body: fmt.Appendf(nil, `{"source":"duo","type":"duo_push","success":true,"reason":"user_approved","ip_address":"192.0.2.%d",`+
			`"timestamp":"2026-06-01T12:00:00Z","username":"person%d","email":"person%d@example.com",`+
			`"details":{"application":"VPN","browser":"Chrome 120","os":"Mac OS X","location":"Ann Arbor, Michigan, United States"}}`, i%250, person, person),
	}
}

// BenchmarkStore_Journal reads one person's records among a million, as a
// plugin's look-up does, and appends pages of a log, as its pulling does.
func BenchmarkStore_Journal(b *testing.B) {
	eachBench(b, func(b *testing.B, s *store.Store) {
		records := 1_000_000
		if os.Getenv("POSTURE_BENCH_QUICK") != "" {
			records = 20_000
		}
		j := s.Journal("duo")
		next := 0
		add := func() {
			batch := make([]journal.Record, journal.MaxRecords)
			for i := range batch {
				batch[i] = benchRecord(next)
				next++
			}
			if _, err := j.Append(b.Context(), "log", journal.Batch{Records: batch}); err != nil {
				b.Fatal(err)
			}
		}
		begin := time.Now()
		for next < records {
			add()
		}
		status, err := s.Status(b.Context())
		if err != nil {
			b.Fatal(err)
		}
		b.Logf("%d records appended in %v; %d MB", records, time.Since(begin).Round(time.Millisecond), status.Bytes>>20)
		b.Run("find", func(b *testing.B) {
			b.RunParallel(func(pb *testing.PB) {
				for pb.Next() {
					person := rand.IntN(benchPeopleOfLog)
					q := journal.Query{Keys: []string{fmt.Sprintf("is:person%d@example.com", person), fmt.Sprintf("bare:person%d", person)}, Limit: 500}
					if page, err := j.Find(b.Context(), "log", q); err != nil || records > benchPeopleOfLog && len(page.Records) < records/benchPeopleOfLog {
						b.Errorf("%d records, %v", len(page.Records), err)
					}
				}
			})
			b.ReportMetric(float64(b.N)/b.Elapsed().Seconds(), "reads/s")
		})
		b.Run("append", func(b *testing.B) {
			for b.Loop() {
				add()
			}
			b.ReportMetric(float64(b.N*journal.MaxRecords)/b.Elapsed().Seconds(), "records/s")
		})
		b.Run("prune", func(b *testing.B) {
			removed := 0
			for b.Loop() {
				n, err := j.Prune(b.Context(), "log", start().Add(100*365*24*time.Hour))
				if err != nil {
					b.Fatal(err)
				}
				removed += n
			}
			b.ReportMetric(float64(removed)/b.Elapsed().Seconds(), "records/s")
		})
	})
}
