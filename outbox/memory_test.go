package outbox_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/outbox"
)

// memory is a store for tests of time, which a real one cannot take part in.
type memory struct {
	mu      sync.Mutex
	rows    []*row
	leases  map[string]outbox.Lease
	broken  error // every call fails
	settled int   // calls
}

type row struct {
	outbox.Entry
	body     json.RawMessage
	accepted bool
}

func newMemory() *memory { return &memory{leases: make(map[string]outbox.Lease)} }

func (m *memory) breakDown(err error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.broken = err
}

func (m *memory) EnqueueDeliveries(_ context.Context, sink string, deliveries []device.Delivery) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, d := range deliveries {
		if slices.ContainsFunc(m.rows, func(r *row) bool { return r.Sink == sink && r.ID == d.ID }) {
			continue
		}
		m.rows = append(m.rows, &row{body: d.Body, Entry: outbox.Entry{
			Number: int64(len(m.rows) + 1), Sink: sink, ID: d.ID, Kind: d.Kind, Key: d.Key, At: d.At, State: outbox.Waiting, Size: len(d.Body), QueuedAt: time.Now(),
		}})
	}
	return m.broken
}

func (m *memory) open(sink string) []*row {
	var out []*row
	for _, r := range m.rows {
		if r.Sink == sink && !r.accepted && r.State == outbox.Waiting {
			out = append(out, r)
		}
	}
	return out
}

func (m *memory) WaitingDeliveries(_ context.Context, sink string, above int64, n int) ([]outbox.Entry, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	var out []outbox.Entry
	for _, r := range m.open(sink) {
		if r.Number > above && len(out) < n {
			out = append(out, r.Entry)
		}
	}
	return out, m.broken
}

func (m *memory) DeliveryBodies(_ context.Context, numbers []int64) (map[int64]json.RawMessage, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	out := make(map[int64]json.RawMessage)
	for _, r := range m.rows {
		if slices.Contains(numbers, r.Number) && !r.accepted && r.State == outbox.Waiting {
			out[r.Number] = r.body
		}
	}
	return out, m.broken
}

func (m *memory) SettleDeliveries(_ context.Context, results []outbox.Result) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken != nil {
		return m.broken
	}
	m.settled++
	for _, result := range results {
		r := m.rows[result.Number-1]
		switch {
		case result.Err == nil:
			r.accepted = true
		case r.accepted:
		case result.Dead:
			r.State, r.Error = outbox.Dead, result.Err.Error()
		default:
			r.Attempts, r.NextAt, r.Error = r.Attempts+1, result.NextAt, result.Err.Error()
		}
	}
	return nil
}

func (m *memory) ForgetDelivered(context.Context, time.Time, int) (int, error) { return 0, nil }

func (m *memory) OutboxLease(_ context.Context, sink string) (outbox.Lease, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	return m.leases[sink], m.broken
}

func (m *memory) TakeOutboxLease(_ context.Context, sink string, seen, next outbox.Lease) (bool, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.broken != nil || m.leases[sink] != seen {
		return false, m.broken
	}
	m.leases[sink] = next
	return true, nil
}

func (m *memory) OutboxStats(context.Context) ([]outbox.Stats, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	bySink := make(map[string]outbox.Stats)
	for _, r := range m.rows {
		s := bySink[r.Sink]
		s.Sink, s.Limit = r.Sink, 1000
		switch {
		case r.accepted:
		case r.State == outbox.Dead:
			s.Dead, s.Bytes = s.Dead+1, s.Bytes+int64(r.Size)
		default:
			s.Waiting, s.Bytes = s.Waiting+1, s.Bytes+int64(r.Size)
		}
		bySink[r.Sink] = s
	}
	out := make([]outbox.Stats, 0, len(bySink))
	for _, s := range bySink {
		out = append(out, s)
	}
	return out, m.broken
}

func (m *memory) ListDeliveries(context.Context, outbox.Filter) ([]outbox.Entry, error) {
	return nil, errors.New("not needed")
}

// RetryDeliveries takes all dead entries.
func (m *memory) RetryDeliveries(context.Context, outbox.Selection) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.rows {
		r.State, r.NextAt = outbox.Waiting, time.Time{}
	}
	return 0, nil
}

// DropDeliveries drops by number.
func (m *memory) DropDeliveries(_ context.Context, s outbox.Selection) (int, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, n := range s.Numbers {
		m.rows[n-1].accepted = true
	}
	return len(s.Numbers), nil
}

// accepted lists the IDs of a sink that were recorded as accepted, dead and
// waiting.
func (m *memory) sorted(sink string) (accepted, dead, waiting []string) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, r := range m.rows {
		switch {
		case r.Sink != sink:
		case r.accepted:
			accepted = append(accepted, r.ID)
		case r.State == outbox.Dead:
			dead = append(dead, r.ID)
		default:
			waiting = append(waiting, r.ID)
		}
	}
	return accepted, dead, waiting
}

// sink records what it is handed, and answers as told.
type sink struct {
	name string

	mu     sync.Mutex
	calls  [][]string
	first  time.Time                                                                  // call
	answer func(ctx context.Context, call int, ds []device.Delivery) ([]error, error) // nil: accept
}

func (s *sink) Name() string { return s.name }

func (s *sink) Deliver(ctx context.Context, ds []device.Delivery) ([]error, error) {
	s.mu.Lock()
	ids := make([]string, len(ds))
	for i, d := range ds {
		ids[i] = d.ID
	}
	if s.calls = append(s.calls, ids); len(s.calls) == 1 {
		s.first = time.Now()
	}
	answer, n := s.answer, len(s.calls)
	s.mu.Unlock()
	if answer == nil {
		return nil, nil
	}
	return answer(ctx, n, ds)
}

func (s *sink) behave(answer func(ctx context.Context, call int, ds []device.Delivery) ([]error, error)) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.answer = answer
}

// all gives the calls so far.
func (s *sink) all() [][]string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Clone(s.calls)
}

// sinceFirst is how long ago the first call was.
func (s *sink) sinceFirst() time.Duration {
	s.mu.Lock()
	defer s.mu.Unlock()
	return time.Since(s.first)
}

// handed lists the IDs in the order in which they were handed over.
func (s *sink) handed() []string {
	s.mu.Lock()
	defer s.mu.Unlock()
	return slices.Concat(s.calls...)
}

// docs makes n documents whose keys repeat after some.
func docs(prefix string, n, keys int) []device.Delivery {
	out := make([]device.Delivery, n)
	for i := range out {
		out[i] = device.Delivery{ID: fmt.Sprintf("%s%03d", prefix, i), Kind: device.DeliverDevice, Body: json.RawMessage(`{"some":"body"}`)}
		if keys > 0 {
			out[i].Key = fmt.Sprintf("key%d", i%keys)
		}
	}
	return out
}

func unavailable() error { return fault.New(fault.Unavailable, "down") }
