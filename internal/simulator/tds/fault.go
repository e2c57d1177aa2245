package tds

import (
	"regexp"
	"sync"
	"sync/atomic"
	"time"
)

// Fault is one way to misbehave. The first field that is set decides, in the
// order below; Latency comes on top of any.
type Fault struct {
	// Connect makes the fault befall new connections, before anything is
	// answered, instead of queries. Then Latency, Error (at the log-in), Hang,
	// Drop and Garbage count.
	Connect bool
	// Match limits the fault to queries whose text it matches; nil means all.
	Match *regexp.Regexp
	// Times is how many connections or queries it befalls; zero means all.
	Times int

	Latency   time.Duration
	Error     *Error // answer with this error
	Hang      bool   // never answer, until the client cancels
	Deaf      bool   // never answer, not even a cancellation
	Drop      bool   // close the connection without an answer
	Garbage   []byte // answer with these bytes instead of packets
	DropAfter int    // close the connection in the middle, after this many rows
	FailAfter int    // break off with error 596 after this many rows
	Endless   bool   // repeat the first row for ever
}

// Faults counts what happens and misbehaves as told. The zero value behaves.
type Faults struct {
	mu          sync.Mutex
	faults      []Fault
	latency     time.Duration
	connections atomic.Int64
	queries     atomic.Int64
	active      atomic.Int64
	peak        atomic.Int64
	cancels     atomic.Int64
}

// Add makes the server misbehave.
func (f *Faults) Add(fault Fault) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = append(f.faults, fault)
}

// Clear makes it behave again.
func (f *Faults) Clear() {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.faults = nil
}

// SetLatency delays the answer to every query.
func (f *Faults) SetLatency(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.latency = d
}

// Connections counts the connections so far, of which some may have failed.
func (f *Faults) Connections() int { return int(f.connections.Load()) }

// Queries counts the queries so far.
func (f *Faults) Queries() int { return int(f.queries.Load()) }

// Peak is the largest number of queries that were under way at once.
func (f *Faults) Peak() int { return int(f.peak.Load()) }

// Cancels counts the cancellations so far.
func (f *Faults) Cancels() int { return int(f.cancels.Load()) }

// begin counts a query; call done when it has been answered.
func (f *Faults) begin() (done func()) {
	f.queries.Add(1)
	active := f.active.Add(1)
	for {
		peak := f.peak.Load()
		if active <= peak || f.peak.CompareAndSwap(peak, active) {
			break
		}
	}
	return func() { f.active.Add(-1) }
}

// next takes the fault that befalls a connection or a query, if any.
func (f *Faults) next(connect bool, text string) Fault {
	f.mu.Lock()
	defer f.mu.Unlock()
	var fault Fault
	for i, candidate := range f.faults {
		if candidate.Connect != connect || candidate.Match != nil && !candidate.Match.MatchString(text) {
			continue
		}
		fault = candidate
		if candidate.Times > 0 {
			if f.faults[i].Times--; f.faults[i].Times == 0 {
				f.faults = append(f.faults[:i:i], f.faults[i+1:]...)
			}
		}
		break
	}
	if !connect {
		fault.Latency += f.latency
	}
	return fault
}
