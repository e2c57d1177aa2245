package device

import (
	"time"

	"github.com/postureproject/posture/fault"
)

// Posture is the answer about one person: what the sources said, merged and
// judged, and how each of them fared.
type Posture struct {
	Email         string         `json:"email"`
	Devices       []Device       `json:"devices"`
	Events        []Event        `json:"events"`
	Accounts      []Account      `json:"accounts"`
	Notifications []Notification `json:"notifications"`
	Sources       []Outcome      `json:"sources"`
	GeneratedAt   time.Time      `json:"generated_at"`
}

// Outcome tells how one source fared in one namespace.
type Outcome struct {
	Plugin     string  `json:"plugin"`
	Namespace  string  `json:"namespace"`
	OK         bool    `json:"ok"`
	Error      *string `json:"error"` // null when OK
	Kind       string  `json:"kind,omitempty"`
	Remedy     string  `json:"remedy,omitempty"`
	DurationMS int64   `json:"duration_ms"`
	Count      int     `json:"count"` // records, also those that came beside an error
	// KeptFrom is when the source last answered, on a failure whose place an
	// earlier answer has taken; nil otherwise.
	KeptFrom *time.Time `json:"kept_from,omitempty"`
	// EventID is of the administration event that a failure was recorded as; empty
	// when there is none, or none yet.
	EventID string `json:"event_id,omitempty"`

	// Failure is the error itself, nil when the source answered or when the
	// outcome was read back from a document; see [Outcome.Err].
	Failure error `json:"-"`
}

// Err is the failure, nil when the source answered. Of an outcome that was read
// back from a document it is made anew of what the document says.
func (o Outcome) Err() error {
	if o.Failure != nil || o.OK {
		return o.Failure
	}
	e := &fault.Error{Kind: fault.KindNamed(o.Kind), Remedy: o.Remedy}
	if o.Error != nil {
		e.Message = *o.Error
	}
	return e
}
