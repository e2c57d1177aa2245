package outbox

import (
	"context"
	"encoding/json"
	"time"

	"github.com/postureproject/posture/device"
)

// Sink is a system that takes documents. A supervised plugin is one.
type Sink interface {
	// Name is the sink's name in the configuration.
	Name() string
	// Deliver hands documents over: one error for each of them, nil when accepted.
	// After the second error it is unknown which were.
	Deliver(ctx context.Context, deliveries []device.Delivery) ([]error, error)
}

// State is how far a document is.
type State string

// The states.
const (
	Waiting State = "waiting" // to be delivered
	Dead    State = "dead"    // set aside; an administrator decides
)

// Entry is one document in the queue, without its body.
type Entry struct {
	Number    int64     `json:"id"` // in order of arrival
	Sink      string    `json:"sink"`
	ID        string    `json:"delivery_id"`
	Kind      string    `json:"kind"`
	Key       string    `json:"key,omitempty"`
	At        time.Time `json:"at"`
	State     State     `json:"state"`
	Size      int       `json:"size"` // bytes of the body
	QueuedAt  time.Time `json:"queued_at"`
	Attempts  int       `json:"attempts"`
	NextAt    time.Time `json:"next_attempt,omitzero"` // not before
	ErrorKind string    `json:"error_kind,omitempty"`  // of the last attempt
	Error     string    `json:"error,omitempty"`
	Remedy    string    `json:"remedy,omitempty"`
}

// Result is what became of an attempt.
type Result struct {
	Number int64
	Err    error     // nil: accepted
	Dead   bool      // set it aside
	NextAt time.Time // else not before then
}

// Stats tell how full the queue of one sink is.
type Stats struct {
	Sink    string    `json:"sink"`
	Waiting int       `json:"waiting"`
	Dead    int       `json:"dead"`
	Bytes   int64     `json:"bytes"`           // on disk, both
	Limit   int64     `json:"limit"`           // of bytes; above it nothing more is taken
	Oldest  time.Time `json:"oldest,omitzero"` // when the first of those waiting came
}

// Lease says which process delivers to a sink. It has no time of its own: its
// holder beats, and whoever waits for it measures by a clock of its own.
type Lease struct {
	Holder string // empty: nobody
	Beat   int64
}

// Filter selects entries for a list.
type Filter struct {
	Sink   string // all when empty
	State  State  // both when empty
	Before int64  // numbers below; 0 means all
	Limit  int    // at most; newest first
}

// Selection names entries to work on: those with the numbers, or all that match
// sink and state.
type Selection struct {
	Numbers []int64
	Sink    string
	State   State
}

// Store keeps the queue. Every method is one transaction.
type Store interface {
	// EnqueueDeliveries puts documents into the queue of a sink. One whose ID the
	// queue knows, also as accepted, is left out. Kind Unavailable when the queue is
	// full.
	EnqueueDeliveries(ctx context.Context, sink string, deliveries []device.Delivery) error
	// WaitingDeliveries gives n waiting entries of a sink with numbers above one, in
	// order.
	WaitingDeliveries(ctx context.Context, sink string, above int64, n int) ([]Entry, error)
	// DeliveryBodies gives the bodies of those that are still waiting; nil for one
	// that is damaged.
	DeliveryBodies(ctx context.Context, numbers []int64) (map[int64]json.RawMessage, error)
	// SettleDeliveries notes what became of attempts.
	SettleDeliveries(ctx context.Context, results []Result) error
	// ForgetDelivered forgets n of the IDs that were accepted before a time.
	ForgetDelivered(ctx context.Context, before time.Time, n int) (int, error)
	// OutboxLease gives a sink's lease as it is.
	OutboxLease(ctx context.Context, sink string) (Lease, error)
	// TakeOutboxLease changes it from what was seen; false when it has changed since.
	TakeOutboxLease(ctx context.Context, sink string, seen, next Lease) (bool, error)
	// OutboxStats gives the numbers of every sink that has any entry.
	OutboxStats(ctx context.Context) ([]Stats, error)
	// ListDeliveries gives entries, newest first.
	ListDeliveries(ctx context.Context, f Filter) ([]Entry, error)
	// RetryDeliveries makes entries due now, dead ones too, and counts them.
	RetryDeliveries(ctx context.Context, s Selection) (int, error)
	// DropDeliveries throws entries away, and counts them.
	DropDeliveries(ctx context.Context, s Selection) (int, error)
}
