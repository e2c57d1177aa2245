package batch

import (
	"fmt"
	"runtime"
	"testing"

	"github.com/postureproject/posture/device"
)

// BenchmarkIndex builds and asks the index of a fleet in which everybody owns two
// devices with a serial and two MACs each, and tells its bytes per device.
func BenchmarkIndex(b *testing.B) {
	for _, devices := range []int{10_000, 100_000, 1_000_000} {
		b.Run(fmt.Sprint(devices), func(b *testing.B) {
			var before, after runtime.MemStats
			ix := newIndex(false)
			for range b.N {
				runtime.GC()
				runtime.ReadMemStats(&before)
				ix = newIndex(false)
				for i := range devices {
					email := fmt.Sprintf("somebody.%07d@example.com", i/2)
					ix.enter(email)
					ix.own(email, fmt.Sprintf("C02%08dX", i), []device.MAC{
						device.MAC(fmt.Sprintf("00:1B:63:%02X:%02X:%02X", i>>16&255, i>>8&255, i&255)),
						device.MAC(fmt.Sprintf("00:1C:63:%02X:%02X:%02X", i>>16&255, i>>8&255, i&255)),
					})
				}
				ix.freeze()
				runtime.GC()
				runtime.ReadMemStats(&after)
			}
			b.ReportMetric(float64(after.HeapAlloc-before.HeapAlloc)/float64(devices), "B/device")
			b.ReportMetric(0, "ns/op")
			s := Source{BySerial: true, ByMAC: true}
			if got := ix.whose(s, "", "c0200000007x", nil, nil); len(got) != 1 || ix.people[got[0]] != "somebody.0000003@example.com" {
				b.Fatalf("the owner is %v", got)
			}
		})
	}
}

// BenchmarkIndex_whose asks whose a record is.
func BenchmarkIndex_whose(b *testing.B) {
	ix := newIndex(false)
	for i := range 100_000 {
		email := fmt.Sprintf("somebody.%07d@example.com", i)
		ix.enter(email)
		ix.own(email, fmt.Sprintf("C02%08dX", i), nil)
	}
	ix.freeze()
	s := Source{BySerial: true, ByMAC: true}
	macs := []device.MAC{"00:1B:63:00:00:01", "00:1B:63:00:00:02"}
	var people []uint32
	for b.Loop() {
		people = ix.whose(s, "", "C0200050000X", macs, people)
	}
}
