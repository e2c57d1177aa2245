package device

import (
	"cmp"
	"runtime"
	"slices"
	"sync"
	"sync/atomic"
)

// MergeOptions tune [Merge]. The zero value is fit for use.
type MergeOptions struct {
	// Placeholders are values that identify nothing, beside those that
	// [IsPlaceholder] knows: serial numbers and other identifiers, and MAC
	// addresses of docks and dongles that people share. They compare without
	// case and surrounding space.
	Placeholders []string
}

// Merge makes one record of all records of one device, for each device.
//
// Records belong together when they share an identifier: serial, UDID, IMEI,
// MEID, Google device id, or a MAC address fit for it. Values that identify
// nothing do not count (see [IsPlaceholder] and [MAC.Usable]), and identifiers
// compare without case and surrounding space. A device never has two values of
// an identifier other than MAC addresses: records that share something and yet
// conflict stay apart, however many others link them, and a record that could
// belong to several devices goes to the one with more matching identifiers,
// then to the newest, then to the first by a stable key. [Device.Ambiguous] tells of
// everything that devices share. Of two devices that share an identifier it
// holds that they conflict in another.
//
// Of each field the newest record that has it wins; of each practice the best
// evidence, then the newest; identifiers, software, notes and sources are united.
//
// The outcome depends on the records alone and not on their order; the newest
// device comes first. Records are neither changed nor shared with the result.
// The time it takes grows nearly in line with the number of records, whatever
// they share.
func Merge(records []Device, o MergeOptions) []Device {
	if len(records) == 0 {
		return nil
	}
	ix := newIndex(records, o)
	groups := ix.group()
	out := make([]Device, len(groups))
	inParallel(len(groups), func() func(int) {
		b := &builder{ix: ix}
		return func(i int) { b.build(&groups[i], &out[i]) }
	})
	orderEqual(out)
	return out
}

// orderEqual orders devices that were last heard from at the same time.
func orderEqual(devices []Device) {
	for start := 0; start < len(devices); {
		second, end := devices[start].LastSync.Unix(), start+1
		for end < len(devices) && devices[end].LastSync.Unix() == second {
			end++
		}
		if run := devices[start:end]; len(run) > 1 {
			order := make([]int32, len(run))
			for i := range order {
				order[i] = int32(i)
			}
			slices.SortFunc(order, func(a, b int32) int { return compareRecords(&run[a], &run[b]) })
			ordered := make([]Device, len(run))
			for i, from := range order {
				ordered[i] = run[from]
			}
			copy(run, ordered)
		}
		start = end
	}
}

// group is the records of one device, newest first, and what the device shares
// with others.
type group struct {
	records []int32
	shared  []sharing
}

// sharing is an identifier that several devices hold.
type sharing struct {
	ident  int32
	reason string
}

// group divides the records into devices, newest first to the second.
func (ix *index) group() []group {
	components, bounds := ix.components()
	conflicted := ix.conflicted(components, bounds)
	groups := make([]group, 0, len(bounds))
	var r *resolver
	for c := range len(bounds) - 1 {
		records := components[bounds[c]:bounds[c+1]:bounds[c+1]]
		slices.SortFunc(records, ix.compare)
		if !conflicted[c] {
			groups = append(groups, group{records: records})
			continue
		}
		if r == nil {
			r = newResolver(ix)
		}
		groups = append(groups, r.resolve(records)...)
	}
	slices.SortFunc(groups, func(a, b group) int {
		return cmp.Compare(ix.synced[b.records[0]], ix.synced[a.records[0]])
	})
	return groups
}

// components lists the records so that those linked by identifiers, directly or
// through others, are next to each other; bounds has where each component
// starts, and the end.
func (ix *index) components() (records, bounds []int32) {
	n := len(ix.records)
	number := make([]int32, n)
	sizes := make([]int32, 1, n+1)
	for i := range int32(n) {
		// Roots are the lowest of their set and thus numbered before the others.
		if root := ix.union.root(i); root != i {
			number[i] = number[root]
			sizes[number[i]+1]++
			continue
		}
		number[i] = int32(len(sizes) - 1)
		sizes = append(sizes, 1)
	}
	for c := 1; c < len(sizes); c++ {
		sizes[c] += sizes[c-1]
	}
	bounds = sizes
	next := slices.Clone(bounds)
	records = make([]int32, n)
	for i, c := range number {
		records[next[c]] = int32(i)
		next[c]++
	}
	return records, bounds
}

// conflicted tells of each component whether its records cannot all be of one device.
func (ix *index) conflicted(records, bounds []int32) []bool {
	conflicted := make([]bool, len(bounds)-1)
	for c := range conflicted {
		members := records[bounds[c]:bounds[c+1]]
		if len(members) == 1 {
			continue
		}
		var all profile
		for _, rec := range members {
			p := ix.profileOf(rec)
			if all.conflicts(&p) {
				conflicted[c] = true
				break
			}
			all.add(&p)
		}
	}
	return conflicted
}

// inParallel calls a worker's function for every number below n. It uses all
// processors when n is worth it; each of them gets a worker of its own.
func inParallel(n int, newWorker func() func(int)) {
	const chunk = 256
	workers := min(runtime.GOMAXPROCS(0), n/chunk)
	if workers < 2 {
		work := newWorker()
		for i := range n {
			work(i)
		}
		return
	}
	var next atomic.Int64
	var wg sync.WaitGroup
	for range workers {
		wg.Go(func() {
			work := newWorker()
			for {
				end := int(next.Add(chunk))
				for i := end - chunk; i < min(end, n); i++ {
					work(i)
				}
				if end >= n {
					return
				}
			}
		})
	}
	wg.Wait()
}
