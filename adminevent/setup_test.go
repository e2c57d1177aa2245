package adminevent_test

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/postureproject/posture/adminevent"
	"github.com/postureproject/posture/fault"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// clock is a time that tests move.
type clock struct {
	mu sync.Mutex
	at time.Time
}

func newClock() *clock { return &clock{at: time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)} }

func (c *clock) now() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.at
}

func (c *clock) move(d time.Duration) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.at = c.at.Add(d)
}

// kept is a store that counts.
type kept struct {
	mu        sync.Mutex
	down      error           // nothing is taken
	ambiguous int             // so many batches are taken with an error all the same
	block     <-chan struct{} // saving waits for it
	batches   map[string]bool
	rows      map[string]adminevent.Event // by fingerprint
	attempts  int
	largest   int
	pruned    []time.Time
	most      int
	days      int
}

func newKept() *kept {
	return &kept{batches: map[string]bool{}, rows: map[string]adminevent.Event{}}
}

func (k *kept) SaveAdminEvents(ctx context.Context, b adminevent.Batch) error {
	k.mu.Lock()
	block := k.block
	k.attempts++
	k.mu.Unlock()
	if block != nil {
		select {
		case <-block:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	k.mu.Lock()
	defer k.mu.Unlock()
	if k.down != nil {
		return k.down
	}
	k.largest = max(k.largest, len(b.Events))
	if !k.batches[b.ID] {
		k.batches[b.ID] = true
		for _, e := range b.Ordered() {
			row := e.Event
			row.NumOccurrences += k.rows[e.Fingerprint].NumOccurrences
			row.ID = e.Fingerprint
			k.rows[e.Fingerprint] = row
		}
	}
	if k.ambiguous > 0 {
		k.ambiguous--
		return errors.New("the connection broke at the end")
	}
	return nil
}

func (k *kept) set(change func()) {
	k.mu.Lock()
	defer k.mu.Unlock()
	change()
}

// total gives the number of rows and of occurrences.
func (k *kept) total() (rows int, occurrences int64) {
	k.mu.Lock()
	defer k.mu.Unlock()
	for _, e := range k.rows {
		occurrences += e.NumOccurrences
	}
	return len(k.rows), occurrences
}

func (k *kept) AdminEvents(context.Context, adminevent.Query) ([]adminevent.Event, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	var events []adminevent.Event
	for _, e := range k.rows {
		events = append(events, e)
	}
	return events, nil
}

func (k *kept) AdminEvent(_ context.Context, id string) (adminevent.Event, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	if e, ok := k.rows[id]; ok {
		return e, nil
	}
	return adminevent.Event{}, fault.New(fault.NotFound, "no event %s", id)
}

func (k *kept) CurrentAdminEvents(_ context.Context, fingerprints []string) (map[string]string, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	ids := map[string]string{}
	for _, f := range fingerprints {
		if e, ok := k.rows[f]; ok {
			ids[f] = e.ID
		}
	}
	return ids, k.down
}

func (k *kept) CountAdminEvents(context.Context, adminevent.Filter) (int64, error) {
	rows, _ := k.total()
	return int64(rows), nil
}

func (k *kept) SummarizeAdminEvents(context.Context, adminevent.Filter, []adminevent.Field, int) ([]adminevent.Group, error) {
	rows, occurrences := k.total()
	return []adminevent.Group{{Events: int64(rows), NumOccurrences: occurrences}}, nil
}

func (k *kept) PruneAdminEvents(_ context.Context, before time.Time, most int) (int64, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	k.pruned, k.most = append(k.pruned, before), most
	return 0, nil
}

func (k *kept) AdminEventRetention(context.Context) (int, error) {
	k.mu.Lock()
	defer k.mu.Unlock()
	return k.days, nil
}

func (k *kept) SetAdminEventRetention(_ context.Context, days int) error {
	k.set(func() { k.days = days })
	return nil
}

// slow makes an event about a person whom a source did not answer in time.
func slow(person int) adminevent.Event {
	return adminevent.Event{
		Level: adminevent.LevelError, Domain: adminevent.DomainChecks, Resource: adminevent.User(fmt.Sprintf("p%d@example.com", person)),
		Code: adminevent.CodeSourceTimeout, Source: "jamf", Message: "too slow", AdHoc: true,
	}
}

// nightly makes the same event of a run by itself.
func nightly(person int) adminevent.Event {
	e := slow(person)
	e.AdHoc = false
	return e
}
