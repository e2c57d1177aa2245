package batch_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"testing"
	"time"

	"github.com/postureproject/posture/batch"
	"github.com/postureproject/posture/device"
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
