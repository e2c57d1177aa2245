// Package sinktest checks what holds for every sink, over the real protocol and
// against a server that misbehaves on demand. It is for tests only.
package sinktest

import (
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/internal/simulator/simhttp"
	"github.com/postureproject/posture/plugins/sdk"
	"github.com/postureproject/posture/plugins/sdk/sdktest"
)

// Backend is the system behind a sink, as a test sees it.
type Backend struct {
	// Settings configure the sink for this backend. Secrets that must never show
	// are values of keys that the plugin's schema calls secret.
	Settings map[string]any
	// Faults make it misbehave.
	Faults *simhttp.Faults
	// Stored gives, by delivery ID, how many documents the backend holds for it.
	Stored func() map[string]int
	// Limit makes the backend answer 413 to larger requests, in bytes; 0: never.
	Limit func(bytes int)
	// Refuse makes the backend refuse the document of one delivery ID, and no other.
	Refuse func(id string)
}

// Case tells [Run] about one sink.
type Case struct {
	Plugin sdk.Plugin
	// New makes a fresh backend that ends with the test.
	New func(t *testing.T) Backend
	// Document makes a body of a kind that the sink accepts; [Document] when nil.
	Document func(kind string, n int) json.RawMessage
	// Bulk says that several documents travel in one request, whose answer tells
	// of each: then 413 must split it, and nonsense in place of the answer is a
	// failure.
	Bulk bool
}

// promptly is how long a call may take beyond the sink's time limit.
const promptly = 3 * time.Second

// timeout is the sink's time limit where it matters.
const timeout = 500 * time.Millisecond

type suite struct {
	Case

	about sdk.Description
}

// Run checks a sink: it takes every kind that it declares and refuses all others,
// says of each document what became of it, makes repetitions harmless, splits
// what is too large, never gives a document up because the other side is ill, is
// over in time, can test its connectivity, and keeps secrets.
func Run(t *testing.T, c Case) {
	t.Helper()
	about, err := c.Plugin.Describe()
	if err != nil {
		t.Fatalf("describe: %v", err)
	}
	if c.Document == nil {
		c.Document = Document
	}
	s := &suite{Case: c, about: about}
	for name, check := range map[string]func(*testing.T){
		"description": s.description, "accepts": s.accepts, "other kinds": s.otherKinds, "each for itself": s.eachForItself,
		"repeated": s.repeated, "too large": s.tooLarge, "too large alone": s.tooLargeAlone, "ill": s.ill, "slow down": s.slowDown,
		"never answering": s.neverAnswering, "oversized answer": s.oversizedAnswer, "refused connection": s.refusedConnection,
		"recovers": s.recovers, "connectivity": s.connectivity, "secrets": s.secrets,
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			check(t)
		})
	}
}

// Document makes a plausible body of any kind.
func Document(kind string, n int) json.RawMessage {
	switch kind {
	case device.DeliverDevice:
		return fmt.Appendf(nil, `{"email":"ada%d@example.com","report_date":"2026-11-03T04:05:06Z","run":"r1","name":"laptop %d","serial":"S%d"}`, n, n, n)
	case device.DeliverAccess:
		return fmt.Appendf(nil, `{"timestamp":"2026-11-03T04:05:06Z","user":"root@example.com","method":"GET","path":"/x/%d","status":200,"data":[]}`, n)
	case device.DeliverSummary:
		return fmt.Appendf(nil, `{"run":"r1","generated_at":"2026-11-03T04:05:06Z","part":%d,"parts":9,"devices":[{"name":"laptop"}]}`, n)
	case device.DeliverFeedback:
		return fmt.Appendf(nil, `{"user_id":"ada@example.com","id":"n%d","feedback":{"mine":true},"notes":"x"}`, n)
	default:
		return fmt.Appendf(nil, `{"name":"posture.failures","kind":"timeout","plugin":"jamf","n":%d}`, n)
	}
}

// deliveries makes n documents of the sink's first kind.
func (s *suite) deliveries(n int) []device.Delivery {
	out := make([]device.Delivery, n)
	for i := range out {
		out[i] = s.delivery(s.about.Accepts[0], i)
	}
	return out
}

func (s *suite) delivery(kind string, n int) device.Delivery {
	return device.Delivery{
		ID: fmt.Sprintf("%s-%d", kind, n), Kind: kind, Key: fmt.Sprintf("key-%d", n),
		At: time.Date(2026, 11, 3, 4, 5, 6, 7_000_000, time.UTC), Body: s.Document(kind, n),
	}
}

// bench is one sink with its backend.
type bench struct {
	Backend

	t      *testing.T
	client *sdk.Client
}

func (s *suite) bench(t *testing.T, options ...sdktest.Option) *bench {
	t.Helper()
	b := s.New(t)
	b.Settings["RETRIES"] = 0 // what the sink tries again by itself is not seen here
	return &bench{Backend: b, t: t, client: sdktest.Open(t, s.Plugin, b.Settings, options...)}
}

// deliver makes one call whose own failure ends the test.
func (b *bench) deliver(ds ...device.Delivery) []error {
	b.t.Helper()
	errs, err := b.client.Deliver(b.t.Context(), ds)
	if err != nil {
		b.t.Fatalf("the call itself failed: %v", err)
	}
	return errs
}

// stored checks that the backend holds exactly the deliveries, each once.
func (b *bench) stored(ds ...device.Delivery) {
	b.t.Helper()
	got := b.Stored()
	for _, d := range ds {
		if got[d.ID] != 1 {
			b.t.Errorf("%s is stored %d times", d.ID, got[d.ID])
		}
	}
	if len(got) != len(ds) {
		b.t.Errorf("%d documents are stored, want %d", len(got), len(ds))
	}
}

// later checks that every error says that the document should be tried again,
// and is of one of the kinds, if any are given.
func (b *bench) later(errs []error, kinds ...fault.Kind) {
	b.t.Helper()
	for i, err := range errs {
		switch {
		case err == nil:
			b.t.Errorf("document %d counts as accepted", i)
		case device.Refused(err):
			b.t.Errorf("document %d is given up: %s: %v", i, fault.KindOf(err), err)
		case len(kinds) > 0 && !contains(kinds, fault.KindOf(err)):
			b.t.Errorf("document %d fails as %s, want %v: %v", i, fault.KindOf(err), kinds, err)
		}
	}
}

func contains(kinds []fault.Kind, kind fault.Kind) bool {
	for _, k := range kinds {
		if k == kind {
			return true
		}
	}
	return false
}

func failed(errs []error) bool { return errors.Join(errs...) != nil }

// log is a place for a plugin's log.
type log struct {
	mu sync.Mutex
	b  bytes.Buffer
}

func (l *log) Write(p []byte) (int, error) {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.Write(p)
}

func (l *log) String() string {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.b.String()
}
