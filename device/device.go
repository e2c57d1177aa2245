// Package device holds the records that Posture is about: devices, log-in
// events, accounts and notifications, what identifies a device, and how several
// sources' records of one device become one. It has rules but no I/O, and it
// imports only package fault.
package device

import (
	"encoding/json"
	"time"
)

// Device is one device as one source sees it (before [Merge]) or as its user
// sees it (after). Empty strings and zero times mean that the source gave none.
type Device struct {
	Name         string    `json:"name,omitempty"`
	Model        string    `json:"model,omitempty"`
	Manufacturer string    `json:"manufacturer,omitempty"`
	Type         string    `json:"type,omitempty"`
	Serial       string    `json:"serial,omitempty"`
	Status       string    `json:"status,omitempty"`
	PhotoURL     string    `json:"photo_url,omitempty"`
	UserAgent    string    `json:"user_agent,omitempty"`
	Email        string    `json:"email,omitempty"`
	Platform     string    `json:"platform,omitempty"`
	OS           string    `json:"os,omitempty"`
	OSVersion    string    `json:"os_version,omitempty"`
	OSBuild      string    `json:"os_build,omitempty"`
	OSRelease    string    `json:"os_release,omitempty"`
	LastSync     time.Time `json:"last_sync,omitzero"` // when the source last heard from the device
	HWRelease    time.Time `json:"hw_release_date,omitzero"`

	Identifiers Identifiers         `json:"identifiers"`
	Practices   map[string]Practice `json:"practices,omitempty"`
	Software    *Software           `json:"software,omitempty"`

	Source  string   `json:"source,omitempty"`  // before merging: the one source
	Sources []string `json:"sources,omitempty"` // after merging: all of them, sorted, once each

	// Notes are the oddities met on the way (a date that does not parse, a
	// malformed MAC), each a sentence. An odd field is left out and noted; it
	// never costs the device.
	Notes []string `json:"notes,omitempty"`
	// Joined tells, after merging, why each further record belongs to this device.
	Joined []Join `json:"joined,omitempty"`
	// Ambiguous lists, after merging, what could have been joined elsewhere too.
	Ambiguous []Ambiguity `json:"ambiguous,omitempty"`

	Rating Rating `json:"rating,omitempty"` // after evaluation
	Folded string `json:"folded,omitempty"` // why it is folded away: "stale" or "retired"; empty when it is shown

	// Raw is the source's own document. It is filled only when the debug setting
	// is on, and never goes into a sink or a log.
	Raw json.RawMessage `json:"_raw,omitempty"`
}

// Identifiers are what can tell one device from another. All but MACAddresses
// hold one value at most.
type Identifiers struct {
	Serial         string `json:"serial,omitempty"`
	UDID           string `json:"udid,omitempty"`
	IMEI           string `json:"imei,omitempty"`
	MEID           string `json:"meid,omitempty"`
	GoogleDeviceID string `json:"google_device_id,omitempty"`
	MACAddresses   []MAC  `json:"mac_addresses,omitempty"` // canonical and usable as identity
}

// Software is what is installed on a device and what runs on it.
type Software struct {
	LastScan  time.Time     `json:"last_scan_date,omitzero"`
	Installed []Application `json:"installed,omitempty"`
	Services  []Service     `json:"services,omitempty"`
}

// Application is one installed program.
type Application struct {
	Name        string    `json:"name"`
	Version     string    `json:"version,omitempty"`
	Publisher   string    `json:"publisher,omitempty"`
	InstallDate time.Time `json:"install_date,omitzero"`
}

// Service is one running service.
type Service struct {
	Name string `json:"name"`
}

// Status is the verdict on one practice.
type Status string

// The verdicts.
const (
	OK      Status = "ok"
	Nudge   Status = "nudge" // suggested
	Warn    Status = "warn"  // critical
	NA      Status = "na"    // does not apply to this device
	Unknown Status = "unknown"
)

// Practice is one security practice on one device: what a source found (Value,
// Details, LastUpdated) and, after evaluation, the verdict and its texts.
type Practice struct {
	// Value is true when the practice is followed, nil when the source cannot say.
	Value       *bool     `json:"value"`
	Details     string    `json:"details,omitempty"`
	LastUpdated time.Time `json:"last_updated,omitzero"`

	Status      Status `json:"status,omitempty"`
	Title       string `json:"title,omitempty"`
	Description string `json:"description,omitempty"`
	Directions  string `json:"directions,omitempty"` // Markdown
	Link        string `json:"link,omitempty"`
	Display     *bool  `json:"display,omitempty"` // false hides it from people; nil means shown
	Version     string `json:"version,omitempty"` // the version that the verdict is about
}

// Rating sums up a device for people.
type Rating string

// The ratings, worst first.
const (
	RatingCritical Rating = "critical"
	RatingWarning  Rating = "warning"
	RatingOK       Rating = "ok"
	RatingUnknown  Rating = "unknown"
)

// Join tells why one record was taken for the same device as others.
type Join struct {
	Source     string `json:"source"`     // whose record joined
	With       string `json:"with"`       // the source of the record it matched
	Identifier string `json:"identifier"` // such as "serial" or "mac_address"
	Value      string `json:"value"`
}

// Ambiguity is an identifier that a device shares with another one, from which
// it was nevertheless kept apart.
type Ambiguity struct {
	Identifier string `json:"identifier"`
	Value      string `json:"value"`
	Reason     string `json:"reason"`
}

// Bool gives a pointer to b, for [Practice.Value].
func Bool(b bool) *bool { return &b }
