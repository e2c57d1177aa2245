// Package simhttp gives every vendor simulator that speaks HTTP the same ways to
// misbehave on demand: latency, errors, broken and endless answers. Tests and
// the demo import it.
package simhttp

import (
	"bytes"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"time"
)

// Fault is one way to misbehave. The first field that is set decides, in the
// order below; Latency comes on top of any.
type Fault struct {
	// Path limits the fault to requests whose path it matches; nil means all.
	Path *regexp.Regexp
	// Times is how many requests it befalls; zero means all from now on.
	Times int

	Latency    time.Duration // wait before answering
	Status     int           // answer with this status
	RetryAfter string        // the header that goes with Status
	Body       string        // the body: with Status, or alone with 200
	Hang       bool          // never answer, until the client gives up
	Drop       bool          // close the connection without an answer
	Truncate   bool          // announce the whole answer, send half of it
	Endless    bool          // send JSON white space for ever
	Huge       int64         // send this many bytes of a JSON text
	// Rewrite changes the body that would have been sent.
	Rewrite func(body []byte) []byte
}

// Faults is middleware that counts requests and misbehaves as told. The zero
// value behaves.
type Faults struct {
	mu       sync.Mutex
	faults   []Fault
	latency  time.Duration
	requests atomic.Int64
	active   atomic.Int64
	peak     atomic.Int64
	paths    map[string]int
}

// Add makes the simulator misbehave.
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

// SetLatency delays every answer.
func (f *Faults) SetLatency(d time.Duration) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.latency = d
}

// Requests counts the requests so far.
func (f *Faults) Requests() int { return int(f.requests.Load()) }

// Peak is the largest number of requests that were under way at once.
func (f *Faults) Peak() int { return int(f.peak.Load()) }

// RequestsTo counts the requests so far to one path (without its query).
func (f *Faults) RequestsTo(path string) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	return f.paths[path]
}

// RequestsMatching counts the requests so far whose path matches.
func (f *Faults) RequestsMatching(re *regexp.Regexp) int {
	f.mu.Lock()
	defer f.mu.Unlock()
	n := 0
	for path, count := range f.paths {
		if re.MatchString(path) {
			n += count
		}
	}
	return n
}

// next takes the fault that befalls a request, if any.
func (f *Faults) next(path string) (Fault, time.Duration, bool) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.paths == nil {
		f.paths = make(map[string]int)
	}
	f.paths[path]++
	for i := range f.faults {
		fault := f.faults[i]
		if fault.Path != nil && !fault.Path.MatchString(path) {
			continue
		}
		if fault.Times > 0 {
			if f.faults[i].Times--; f.faults[i].Times == 0 {
				f.faults = append(f.faults[:i:i], f.faults[i+1:]...)
			}
		}
		return fault, f.latency, true
	}
	return Fault{}, f.latency, false
}

// Wrap puts the misbehaviour in front of a handler.
func (f *Faults) Wrap(next http.Handler) http.Handler {
	return http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		f.requests.Add(1)
		active := f.active.Add(1)
		defer f.active.Add(-1)
		for peak := f.peak.Load(); active > peak && !f.peak.CompareAndSwap(peak, active); peak = f.peak.Load() {
		}
		fault, latency, hit := f.next(r.URL.Path)
		if (latency+fault.Latency > 0 || fault.Hang) && !buffer(r) {
			return
		}
		if !wait(r, latency+fault.Latency) {
			return
		}
		if !hit {
			next.ServeHTTP(w, r)
			return
		}
		fault.serve(w, r, next)
	})
}

// buffer reads a request's body before a wait: net/http notices that a client has
// gone only after the body was read.
func buffer(r *http.Request) bool {
	body, err := io.ReadAll(io.LimitReader(r.Body, 64<<20))
	r.Body = io.NopCloser(bytes.NewReader(body))
	return err == nil
}

func wait(r *http.Request, d time.Duration) bool {
	if d <= 0 {
		return true
	}
	t := time.NewTimer(d)
	defer t.Stop()
	select {
	case <-t.C:
		return true
	case <-r.Context().Done():
		return false
	}
}

func (f Fault) serve(w http.ResponseWriter, r *http.Request, next http.Handler) {
	switch {
	case f.Status != 0:
		if f.RetryAfter != "" {
			w.Header().Set("Retry-After", f.RetryAfter)
		}
		w.WriteHeader(f.Status)
		_, _ = fmt.Fprint(w, f.Body)
	case f.Body != "":
		w.Header().Set("Content-Type", "application/json")
		_, _ = fmt.Fprint(w, f.Body)
	case f.Hang:
		<-r.Context().Done()
	case f.Drop:
		panic(http.ErrAbortHandler)
	case f.Truncate:
		rec := httptest.NewRecorder()
		next.ServeHTTP(rec, r)
		body := rec.Body.Bytes()
		for k, v := range rec.Header() {
			w.Header()[k] = v
		}
		w.Header().Set("Content-Length", strconv.Itoa(len(body)+1))
		w.WriteHeader(rec.Code)
		_, _ = w.Write(body[:len(body)/2])
		_ = http.NewResponseController(w).Flush() // else net/http throws a small answer away whole
		panic(http.ErrAbortHandler)
	case f.Endless:
		stream(w, r, -1)
	case f.Huge > 0:
		stream(w, r, f.Huge)
	case f.Rewrite != nil:
		rec := httptest.NewRecorder()
		next.ServeHTTP(rec, r)
		for k, v := range rec.Header() {
			w.Header()[k] = v
		}
		w.Header().Del("Content-Length")
		w.WriteHeader(rec.Code)
		_, _ = w.Write(f.Rewrite(rec.Body.Bytes()))
	default:
		next.ServeHTTP(w, r)
	}
}

// stream sends an open JSON text of n bytes, or for ever when n is negative.
func stream(w http.ResponseWriter, r *http.Request, n int64) {
	w.Header().Set("Content-Type", "application/json")
	chunk := strings.Repeat(" ", 64<<10)
	_, _ = fmt.Fprint(w, `{"pad":"`)
	for sent := int64(0); n < 0 || sent < n; sent += int64(len(chunk)) {
		if _, err := fmt.Fprint(w, chunk); err != nil || r.Context().Err() != nil {
			return
		}
		if n < 0 {
			_ = http.NewResponseController(w).Flush()
			if !wait(r, time.Millisecond) {
				return
			}
		}
	}
	_, _ = fmt.Fprint(w, `"}`)
}
