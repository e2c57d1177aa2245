package main

import (
	"context"
	"fmt"
	"runtime"
	"time"

	"github.com/postureproject/posture/device"
)

// records gives n records, three of each device as three sources would give them.
func records(n int) []device.Device {
	sources := [...]string{"jamf", "bitfit", "google"}
	now := time.Date(2026, 11, 20, 12, 0, 0, 0, time.UTC)
	devices := (n + len(sources) - 1) / len(sources)
	out := make([]device.Device, n)
	for i := range out {
		id, source := i%devices, i/devices
		serial := fmt.Sprintf("C02%09d", id)
		seen := now.Add(-time.Duration(id%100_000) * time.Minute)
		out[i] = device.Device{
			Name: fmt.Sprintf("laptop-%d", id), Model: "MacBook Pro", Platform: "Mac", OS: "macOS", OSVersion: "26.1",
			Serial: serial, LastSync: seen, Source: sources[source],
			Identifiers: device.Identifiers{Serial: serial, MACAddresses: []device.MAC{
				device.MAC(fmt.Sprintf("3C:22:FB:%02X:%02X:%02X", id>>16&255, id>>8&255, id&255)),
			}},
			Practices: map[string]device.Practice{
				"encryption": {Value: device.Bool(true), Status: device.OK, LastUpdated: seen},
				"firewall":   {Value: device.Bool(i%5 != 0), Status: device.OK, LastUpdated: seen},
			},
		}
	}
	return out
}

// pairwise counts devices by comparing every record with every other until
// nothing changes, as a merge without an index must.
func pairwise(records []device.Device) int {
	group := make([]int, len(records))
	for i := range group {
		group[i] = i
	}
	for changed := true; changed; {
		changed = false
		for i := range records {
			for j := range records {
				if group[i] != group[j] && alike(&records[i], &records[j]) {
					group[i], group[j] = min(group[i], group[j]), min(group[i], group[j])
					changed = true
				}
			}
		}
	}
	distinct := map[int]bool{}
	for _, g := range group {
		distinct[g] = true
	}
	return len(distinct)
}

func alike(a, b *device.Device) bool {
	if a.Identifiers.Serial != "" && a.Identifiers.Serial == b.Identifiers.Serial {
		return true
	}
	for _, m := range a.Identifiers.MACAddresses {
		for _, n := range b.Identifiers.MACAddresses {
			if m == n {
				return true
			}
		}
	}
	return false
}

// measureMerge times the merge at growing sizes.
func measureMerge(ctx context.Context, o options, _ string, _ *simulators, r *report) error {
	t := table{
		Title:  "Merging, three records of each device",
		Header: []string{"records", "ns/record", "ms in all", "ns/record by size before"},
		Notes: []string{
			"Medians of 5 runs (3 of the largest). The pairwise merge compares all records with each other, and makes no devices of them.",
		},
		Values: map[string]float64{},
	}
	sizes, before := []int{1_000, 10_000, 100_000, 1_000_000}, 0.0
	if o.quick {
		sizes = sizes[:3]
	}
	row := func(name string, n int, ns float64) {
		growth := ""
		if before > 0 {
			growth = decimal(ns/before, 2) + " times"
		}
		t.Rows = append(t.Rows, []string{name, decimal(ns, 0), decimal(ns*float64(n)/1e6, 2), growth})
		t.Values[name] = ns
	}
	for _, n := range sizes {
		if err := ctx.Err(); err != nil {
			return err
		}
		runs, in := 5, records(n)
		if n >= 1_000_000 {
			runs = 3
		}
		ns := perRecord(runs, n, func() error {
			if got, want := len(device.Merge(in, device.MergeOptions{})), (n+2)/3; got != want {
				return fmt.Errorf("%d devices of %d records, not %d", got, n, want)
			}
			return nil
		}, r)
		row(fmt.Sprint(n), n, ns)
		before = ns
	}
	before = 0
	in := records(1_000)
	row("1000 pairwise", 1_000, perRecord(5, 1_000, func() error {
		if got := pairwise(in); got != 334 {
			return fmt.Errorf("%d devices by the pairwise merge, not 334", got)
		}
		return nil
	}, r))
	r.add(t)
	return r.failure
}

// perRecord gives the median time of runs, in nanoseconds by record. The first
// failure is kept in the report.
func perRecord(runs, n int, f func() error, r *report) float64 {
	var times []float64
	for range runs {
		runtime.GC() // what was before is not this run's debt
		started := time.Now()
		err := f()
		times = append(times, float64(time.Since(started).Nanoseconds())/float64(n))
		if err != nil && r.failure == nil {
			r.failure = err
		}
	}
	return median(times)
}
