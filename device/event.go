package device

import (
	"encoding/json"
	"time"
)

// Event is a log-in or an authentication.
type Event struct {
	Source    string            `json:"source,omitempty"`
	Type      string            `json:"type,omitempty"`
	Success   *bool             `json:"success,omitempty"` // nil when the source does not say
	Reason    string            `json:"reason,omitempty"`
	IPAddress string            `json:"ip_address,omitempty"`
	Timestamp time.Time         `json:"timestamp,omitzero"`
	Username  string            `json:"username,omitempty"`
	Email     string            `json:"email,omitempty"`
	Details   map[string]string `json:"details,omitempty"` // data, never HTML
	VPN       *bool             `json:"vpn,omitempty"`     // set by the VPN labeller
	Raw       json.RawMessage   `json:"_raw,omitempty"`    // as [Device.Raw]
}

// Account is a person's account at a source.
type Account struct {
	Name        string          `json:"name,omitempty"`
	Email       string          `json:"email,omitempty"`
	Type        string          `json:"type,omitempty"`
	Source      string          `json:"source,omitempty"`
	LastUpdated time.Time       `json:"last_updated,omitzero"`
	Date        string          `json:"date,omitempty"`       // the day the usage report is about, YYYY-MM-DD
	UserUsage   map[string]any  `json:"user_usage,omitempty"` // parameter → bool, float64, string or nested JSON
	Raw         json.RawMessage `json:"_raw,omitempty"`       // as [Device.Raw]
}

// Notification is an alert for a person, in the shape of an Elasticsearch hit.
type Notification struct {
	ID     string          `json:"_id"`
	Index  string          `json:"_index,omitempty"`
	Source json.RawMessage `json:"_source"`
	// Plugin names the source that delivered it.
	Plugin string `json:"source,omitempty"`
}

// Feedback is a person's answer to a notification.
type Feedback struct {
	UserID   string          `json:"user_id"`
	ID       string          `json:"id"`
	Feedback json.RawMessage `json:"feedback"`
	Notes    string          `json:"notes,omitempty"`
	Source   string          `json:"source,omitempty"`
}

// User is one person whom a source knows.
type User struct {
	Email string `json:"email"`
	Name  string `json:"name,omitempty"`
}
