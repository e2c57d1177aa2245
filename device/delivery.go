package device

import (
	"encoding/json"
	"time"
)

// Collection is what one source said about one person when it last answered:
// records after the transforms, before judging and merging.
type Collection struct {
	Plugin        string         `json:"plugin"`
	FetchedAt     time.Time      `json:"fetched_at"`
	Devices       []Device       `json:"devices,omitempty"`
	Events        []Event        `json:"events,omitempty"`
	Accounts      []Account      `json:"accounts,omitempty"`
	Notifications []Notification `json:"notifications,omitempty"`
	// Answered tells when the source last answered in each namespace, where that
	// was before FetchedAt: what it failed to say since was kept.
	Answered map[string]time.Time `json:"answered,omitempty"`
}

// The kinds of [Delivery]. A sink says which it takes.
const (
	DeliverDevice   = "device"   // one device of a person, as a run found it
	DeliverAccess   = "access"   // one look at somebody's records, with what was shown
	DeliverSummary  = "summary"  // the devices of a finished run that synced lately
	DeliverFeedback = "feedback" // a person's answer to a notification
	DeliverFailure  = "failure"  // one failed request, to be counted
)

// Delivery is one document on its way to a sink.
type Delivery struct {
	// ID is the same at every attempt, so that a sink can make a repeated one
	// harmless.
	ID string
	// Kind says what Body is.
	Kind string
	// Key is what order is kept by: of one key, nothing overtakes.
	Key string
	// At is when it happened.
	At   time.Time
	Body json.RawMessage // a JSON object or array
}
