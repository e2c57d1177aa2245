package device

import (
	"context"
	"encoding/json"
	"errors"
	"time"

	"github.com/postureproject/posture/fault"
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

// The kinds of [Delivery]. A sink says which it takes. Bodies are JSON objects:
//
//   - device: the fields of [Device], with "email" (whose it is), "report_date"
//     (when the run began, RFC 3339) and "run" beside them.
//   - access: {"timestamp", "user" (who looked), "method", "path", "email" (whom at,
//     if anybody), "status", "remote", "request_id", "data" (what was shown)}.
//   - summary: {"run", "generated_at", "part", "parts", "devices": […]}; each device
//     is as in the kind device. A run whose summary is larger than one document
//     may be gives several parts, counted from 1; a part that is still too large
//     comes in several documents of the same number.
//   - feedback: the fields of [Feedback].
//   - failure: {"name" (of the counter), "kind" (of the error), "plugin",
//     "namespace", "method", "route" (its pattern; the path itself names people)};
//     all but the first two may be missing.
const (
	DeliverDevice   = "device"   // one device of a person, as a run found it
	DeliverAccess   = "access"   // one look at somebody's records, with what was shown
	DeliverSummary  = "summary"  // the devices of a finished run that synced lately
	DeliverFeedback = "feedback" // a person's answer to a notification
	DeliverFailure  = "failure"  // one failed request, to be counted
)

// MaxDelivery is how large a body may be, in bytes. Producers split what is
// larger; half of it is a good size for a part.
const MaxDelivery = 8 << 20

// Delivery is one document on its way to a sink.
type Delivery struct {
	// ID is the same at every attempt, so that a sink can make a repeated one
	// harmless. Among the deliveries of one sink it stands for this document only.
	ID string
	// Kind says what Body is.
	Kind string
	// Key is what order is kept by: of one key, nothing overtakes. Those of one key
	// go one by one, so it should be narrow; empty means that order is no matter.
	Key string
	// At is when it happened.
	At   time.Time
	Body json.RawMessage // a JSON object or array
}

// Refused reports whether a delivery's error says that the document itself will
// never be taken, so that it is no use to try it again.
func Refused(err error) bool {
	if err == nil || errors.Is(err, context.Canceled) {
		return false
	}
	switch fault.KindOf(err) {
	case fault.Invalid, fault.Conflict, fault.NotFound, fault.BadResponse:
		return true
	default:
		return false
	}
}
