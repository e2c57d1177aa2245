package batch_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"github.com/postureproject/posture/batch"
	"github.com/postureproject/posture/batch/riverqueue"
	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/internal/pgtest"
	"github.com/postureproject/posture/store/storetest"
)

// BenchmarkEngine_Run stages and settles whole companies, with sources and pipeline
// that cost next to nothing: what remains is the engine and an SQLite file.
func BenchmarkEngine_Run(b *testing.B) {
	for _, devices := range []int{10_000, 50_000} {
		b.Run(fmt.Sprint(devices), func(b *testing.B) {
			for range b.N {
				s := storetest.Open(b, storetest.SQLite(b), nil)
				c := heavy{newCompany(devices / devicesEach), applications()}
				c.page = 50
				var reading time.Time
				began := time.Now()
				run, err := batch.New(batch.Options{
					Store: s, Sources: c, Scanner: c, PersonSinks: []string{"sink"}, Holder: b.Name(),
					Progress: func(p batch.Progress) {
						if p.Phase == batch.Scanning && reading.IsZero() {
							reading = time.Now()
						}
					},
				}).Run(b.Context(), batch.Request{})
				if err != nil || run.Complete != run.People {
					b.Fatalf("run %+v, error %v", run, err)
				}
				b.ReportMetric(float64(devices)/reading.Sub(began).Seconds(), "staged/s")
				b.ReportMetric(float64(run.People)/time.Since(reading).Seconds(), "people/s")
				b.ReportMetric(float64(devices)/time.Since(began).Seconds(), "devices/s")
			}
		})
	}
}

// heavy is a company whose laptops have 50 applications each, as real ones do.
type heavy struct {
	*company
	software *device.Software
}

func applications() *device.Software {
	random := rand.New(rand.NewPCG(1, 2))
	s := &device.Software{LastScan: today()}
	for i := range 50 {
		s.Installed = append(s.Installed, device.Application{
			Name: fmt.Sprintf("Application %d", i), Version: fmt.Sprintf("%d.%d.%d", random.IntN(20), random.IntN(20), random.IntN(2000)),
			Publisher: "Publisher", InstallDate: today().AddDate(0, 0, -random.IntN(900)),
		})
	}
	return s
}

func (h heavy) ListDevices(ctx context.Context, source string, receive func([]device.Device) error) error {
	return h.company.ListDevices(ctx, source, func(devices []device.Device) error {
		if source == "mdm" {
			for i := range devices {
				devices[i].Software = h.software
			}
		}
		return receive(devices)
	})
}

// BenchmarkEngine_Work makes runs on one PostgreSQL server with one process and
// with more. Of each person 50 ms pass until a source answers, which is what more
// machines are for; with no pause what remains is the engine, the job queue and the
// server, all on this machine. The processes are engines of this one, each with
// connections of its own.
func BenchmarkEngine_Work(b *testing.B) {
	for _, pause := range []time.Duration{50 * time.Millisecond, 0} {
		single := 0.0
		for _, workers := range []int{0, 1, 3} {
			b.Run(fmt.Sprintf("pause=%s/processes=%d", pause, workers+1), func(b *testing.B) {
				for range b.N {
					rate := workTogether(b, workers, pause)
					if workers == 0 {
						single = rate
					}
					b.ReportMetric(rate, "people/s")
					if single > 0 {
						b.ReportMetric(rate/single/float64(workers+1), "of_linear")
					}
				}
			})
		}
	}
}

// workTogether gives the people a second of one run's scanning.
func workTogether(b *testing.B, workers int, pause time.Duration) float64 {
	b.Helper()
	dsn := pgtest.Database(b)
	c := newCompany(4000)
	c.page, c.pause = 50, pause
	engine := func(name string, o batch.Options) *batch.Engine {
		q, err := riverqueue.New(dsn, nil)
		if err != nil {
			b.Fatal(err)
		}
		b.Cleanup(q.Close)
		o.Store, o.Sources, o.Scanner, o.Carrier, o.Holder = storetest.Open(b, dsn, nil), c, c, q, name
		o.PersonSinks, o.Limit = []string{"sink"}, 20
		return batch.New(o)
	}
	ctx, stop := context.WithCancel(b.Context())
	var group sync.WaitGroup
	for i := range workers {
		group.Go(func() {
			if err := engine(fmt.Sprint("worker", i), batch.Options{}).Work(ctx); err != nil {
				b.Error(err)
			}
		})
	}
	var scanning time.Time
	run, err := engine("leader", batch.Options{Progress: func(p batch.Progress) {
		if p.Phase == batch.Scanning && scanning.IsZero() {
			scanning = time.Now()
		}
	}}).Run(b.Context(), batch.Request{})
	took := time.Since(scanning)
	stop()
	group.Wait()
	if err != nil || run.Complete != c.people {
		b.Fatalf("run %+v, error %v", run, err)
	}
	return float64(run.People) / took.Seconds()
}
