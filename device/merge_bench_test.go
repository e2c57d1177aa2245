package device_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/postureproject/posture/device"
)

// benchNow is the time that benchmark records are about.
var benchNow = time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)

// benchPractices gives ten practices, each record its own.
func benchPractices(i int, at time.Time) map[string]device.Practice {
	keys := [...]string{
		"jailed", "encryption", "uptodate", "autoupdate", "firewall",
		"remotelogin", "screenlock", "sentinel", "carbonblack", "unknownsources",
	}
	out := make(map[string]device.Practice, len(keys))
	for k, key := range keys {
		p := device.Practice{Status: device.OK, Title: key, LastUpdated: at}
		switch (i + k) % 4 {
		case 0:
			p.Status, p.Details = device.Unknown, "The source does not say."
		case 1:
			p.Status, p.Value = device.Warn, device.Bool(false)
		default:
			p.Value = device.Bool(true)
		}
		out[key] = p
	}
	return out
}

// benchApps gives what a laptop has installed.
func benchApps(i int) *device.Software {
	s := &device.Software{LastScan: benchNow}
	for a := range 50 {
		s.Installed = append(s.Installed, device.Application{
			Name: fmt.Sprintf("Application %02d", a), Version: fmt.Sprintf("%d.%d.0", a, i%7), Publisher: "Vendor",
		})
	}
	return s
}

// realistic gives n records, three of each device: with the serial and both MAC
// addresses, ten practices each, and the software from one source of the three.
func realistic(n int) []device.Device {
	sources := [...]string{"jamf", "bitfit", "google"}
	records := make([]device.Device, 0, n)
	for i := range n {
		// The records of one device are far apart, as sources answer one after the other.
		id, source := i%((n+2)/3), i/((n+2)/3)
		at := benchNow.Add(-time.Duration(id%100000)*time.Minute - time.Duration(source)*time.Second)
		d := device.Device{
			Name: fmt.Sprintf("laptop-%d", id), Model: "MacBook Pro", Platform: "Mac", OS: "macOS", OSVersion: "26.1",
			Serial: fmt.Sprintf("C02%09d", id), LastSync: at, Source: sources[source],
			Identifiers: device.Identifiers{
				Serial: fmt.Sprintf("C02%09d", id),
				MACAddresses: []device.MAC{
					device.MAC(fmt.Sprintf("3C:22:FB:%02X:%02X:%02X", id>>16&255, id>>8&255, id&255)),
					device.MAC(fmt.Sprintf("F0:D7:AA:%02X:%02X:%02X", id>>16&255, id>>8&255, id&255)),
				},
			},
			Practices: benchPractices(i, at),
		}
		if source == 0 {
			d.Software = benchApps(id)
		}
		records = append(records, d)
	}
	return records
}

// dongle gives n records of as many laptops that all were seen with one dongle;
// every second has no serial but a MAC address of its own.
func dongle(n int) []device.Device {
	records := make([]device.Device, 0, n)
	for i := range n {
		d := device.Device{
			Name: fmt.Sprintf("laptop-%d", i), Source: "jamf", LastSync: benchNow.Add(-time.Duration(i) * time.Second),
			Identifiers: device.Identifiers{MACAddresses: []device.MAC{
				"00:0E:C6:00:00:01", device.MAC(fmt.Sprintf("3C:22:FB:%02X:%02X:%02X", i>>17&255, i>>9&255, i>>1&255)),
			}},
		}
		if i%2 == 0 {
			d.Identifiers.Serial = fmt.Sprintf("C02%09d", i)
		}
		records = append(records, d)
	}
	return records
}

// allDongle gives n records that have the dongle's MAC address and a serial, a
// UDID or an IMEI of their own, and nothing else.
func allDongle(n int) []device.Device {
	records := dongle(n)
	for i := range records {
		ids := device.Identifiers{MACAddresses: []device.MAC{"00:0E:C6:00:00:01"}}
		switch i % 3 {
		case 0:
			ids.Serial = fmt.Sprintf("S%09d", i)
		case 1:
			ids.UDID = fmt.Sprintf("U%09d", i)
		default:
			ids.IMEI = fmt.Sprintf("35%09d", i)
		}
		records[i].Identifiers = ids
	}
	return records
}

// chain gives n records each of which shares a MAC address with the next; every
// tenth has a serial.
func chain(n int) []device.Device {
	records := make([]device.Device, 0, n)
	mac := func(i int) device.MAC {
		return device.MAC(fmt.Sprintf("3C:22:FB:%02X:%02X:%02X", i>>16&255, i>>8&255, i&255))
	}
	for i := range n {
		d := device.Device{
			Source: "landesk", LastSync: benchNow.Add(-time.Duration(i) * time.Second),
			Identifiers: device.Identifiers{MACAddresses: []device.MAC{mac(i), mac(i + 1)}},
		}
		if i%10 == 0 {
			d.Identifiers.Serial = fmt.Sprintf("C02%09d", i)
		}
		records = append(records, d)
	}
	return records
}

// oneDevice gives n records of one device.
func oneDevice(n int) []device.Device {
	records := dongle(n)
	for i := range records {
		records[i].Identifiers.Serial = "C02ONE"
	}
	return records
}

// copies gives n records that are alike in everything.
func copies(n int) []device.Device {
	records := realistic(n)
	for i := range records {
		records[i] = records[0]
		records[i].Practices = benchPractices(0, benchNow)
	}
	return records
}

// undated gives n records of as many devices, none of them with a time.
func undated(n int) []device.Device {
	records := realistic(n)
	for i := range records {
		records[i].Software, records[i].LastSync = nil, time.Time{}
		records[i].Identifiers = device.Identifiers{Serial: fmt.Sprintf("C02%09d", i)}
	}
	return records
}

// star gives one record that has the MAC addresses of all others, each of which
// has a serial.
func star(n int) []device.Device {
	records := dongle(n)
	center := device.Device{Source: "network", LastSync: benchNow}
	for i := range records {
		mac := device.MAC(fmt.Sprintf("3C:22:FB:%02X:%02X:%02X", i>>16&255, i>>8&255, i&255))
		records[i].Identifiers = device.Identifiers{Serial: fmt.Sprintf("S%09d", i), MACAddresses: []device.MAC{mac}}
		center.Identifiers.MACAddresses = append(center.Identifiers.MACAddresses, mac)
	}
	records[n-1] = center
	return records
}

func BenchmarkMerge(b *testing.B) {
	shapes := []struct {
		name string
		make func(int) []device.Device
		max  int
	}{
		{"realistic", realistic, 1_000_000},
		{"dongle", dongle, 100_000},
		{"allDongle", allDongle, 100_000},
		{"chain", chain, 100_000},
		{"oneDevice", oneDevice, 100_000},
		{"copies", copies, 100_000},
		{"undated", undated, 100_000},
		{"star", star, 100_000},
	}
	for _, shape := range shapes {
		for n := 1_000; n <= shape.max; n *= 10 {
			b.Run(fmt.Sprintf("%s/%d", shape.name, n), func(b *testing.B) {
				records := shape.make(n)
				b.ReportAllocs()
				for b.Loop() {
					device.Merge(records, device.MergeOptions{})
				}
				b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/float64(n), "ns/record")
			})
		}
	}
}

// BenchmarkAllPairs compares all pairs of the same records until nothing
// changes, and makes no devices of them: what Merge is there to avoid.
func BenchmarkAllPairs(b *testing.B) {
	const n = 1_000
	b.Run(fmt.Sprintf("realistic/%d", n), func(b *testing.B) {
		records := realistic(n)
		for b.Loop() {
			naive(records)
		}
		b.ReportMetric(float64(b.Elapsed().Nanoseconds())/float64(b.N)/n, "ns/record")
	})
}
