package landesk_test

import (
	"testing"
	"time"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/internal/simulator/fleet"
	simulator "github.com/postureproject/posture/internal/simulator/landesk"
	"github.com/postureproject/posture/plugins/landesk"
	"github.com/postureproject/posture/plugins/sdk/sdktest"
)

// BenchmarkDevicesByEmail looks people up one after the other.
func BenchmarkDevicesByEmail(b *testing.B) {
	s := start(b, fleet.Options{People: 1000}, simulator.Options{})
	client := sdktest.Open(b, landesk.Plugin(), s.settings)
	i := 0
	for b.Loop() {
		if _, err := client.DevicesByEmail(b.Context(), s.fleet.Person(i%s.fleet.Len()).Email); err != nil {
			b.Fatal(err)
		}
		i++
	}
}

// BenchmarkListDevices lists a company of 5000 people, who have some 2000
// Windows computers with 50 programs each.
func BenchmarkListDevices(b *testing.B) {
	s := start(b, fleet.Options{People: 5000}, simulator.Options{})
	client := sdktest.Open(b, landesk.Plugin(), s.settings, sdktest.WithTimeout(time.Minute))
	devices := 0
	for b.Loop() {
		err := client.ListDevices(b.Context(), time.Minute, func(some []device.Device) error {
			devices += len(some)
			return nil
		})
		if err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(devices)/b.Elapsed().Seconds(), "devices/s")
}
