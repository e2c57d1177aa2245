package adminevent

import (
	"cmp"
	"context"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/postureproject/posture/fault"
)

// MaxPage is how many events one page holds at most.
const MaxPage = 1000

// Filter chooses events: within one field any value does, and all fields must
// agree. The zero value chooses every event.
type Filter struct {
	From, Until   time.Time // bounds of the latest occurrence, themselves included; zero for none
	Domains       []string
	ResourceTypes []string
	ResourceIDs   []string // in any case of letters
	ResourceNames []string // in any case of letters
	Types         []Type
	Levels        []Level
	Sources       []string
	Codes         []string
	AdHoc         *bool
}

// Field is what events can be ordered by, or counted by.
type Field string

// The fields, by their names in JSON.
const (
	FieldLastOccurred Field = "lastOccurredAt"
	FieldCreated      Field = "createdAt"
	FieldOccurrences  Field = "numOccurrences"
	FieldLevel        Field = "level"
	FieldDomain       Field = "domain"
	FieldType         Field = "type"
	FieldResourceType Field = "resourceType"
	FieldResourceName Field = "resourceName"
	FieldSource       Field = "source"
	FieldCode         Field = "code"
	FieldAdHoc        Field = "adHoc"
)

// SortFields lists what events can be ordered by.
func SortFields() []Field {
	return []Field{FieldLastOccurred, FieldOccurrences, FieldCreated, FieldLevel, FieldDomain, FieldType, FieldResourceType}
}

// GroupFields lists what events can be counted by.
func GroupFields() []Field {
	return []Field{FieldSource, FieldCode, FieldLevel, FieldDomain, FieldResourceType, FieldResourceName, FieldAdHoc}
}

// Query asks for a page of events. Events that are equal in the field that
// orders them are ordered by id, in the same direction.
type Query struct {
	Filter    Filter
	Sort      Field // [FieldLastOccurred] when empty
	Ascending bool  // the newest, most frequent or worst first otherwise
	Limit     int   // [MaxPage] when it is none from 1 to MaxPage
	Offset    int
}

// normal gives the query with its defaults.
func (q Query) normal() Query {
	if q.Sort == "" {
		q.Sort = FieldLastOccurred
	}
	if q.Limit < 1 || q.Limit > MaxPage {
		q.Limit = MaxPage
	}
	q.Offset = max(q.Offset, 0)
	return q
}

// Group is what a summary says of the events that agree in the fields asked for,
// the only ones of the first seven that are set.
type Group struct {
	Source       *string `json:"source,omitempty"`
	Code         *string `json:"code,omitempty"`
	Level        *Level  `json:"level,omitempty"`
	Domain       *string `json:"domain,omitempty"`
	ResourceType *string `json:"resourceType,omitempty"`
	ResourceName *string `json:"resourceName,omitempty"`
	AdHoc        *bool   `json:"adHoc,omitempty"`

	Events         int64     `json:"events"`
	NumOccurrences int64     `json:"numOccurrences"`
	CreatedAt      time.Time `json:"createdAt"`
	LastOccurredAt time.Time `json:"lastOccurredAt"`
}

// Batch is what is saved at once. A batch that is saved again under the same ID
// changes nothing.
type Batch struct {
	ID string
	At time.Time
	// Window is how long after the latest occurrence a further one still belongs
	// to the same row.
	Window time.Duration
	Events []Event
}

// Keyed is an event with its fingerprint.
type Keyed struct {
	Fingerprint string
	Event
}

// Ordered gives a batch's events by fingerprint, then by time: whoever saves
// several in this order waits for others who do, and never crosswise.
func (b Batch) Ordered() []Keyed {
	events := make([]Keyed, len(b.Events))
	for i, e := range b.Events {
		events[i] = Keyed{Fingerprint(e), e}
	}
	slices.SortFunc(events, func(x, y Keyed) int {
		return cmp.Or(cmp.Compare(x.Fingerprint, y.Fingerprint), x.CreatedAt.Compare(y.CreatedAt))
	})
	return events
}

// Store keeps events. Several programs may share one.
type Store interface {
	// SaveAdminEvents adds a batch: all of it, or nothing and an error.
	SaveAdminEvents(ctx context.Context, b Batch) error
	AdminEvents(ctx context.Context, q Query) ([]Event, error)
	// AdminEvent gives one event, or a NotFound error.
	AdminEvent(ctx context.Context, id string) (Event, error)
	// CurrentAdminEvents gives for fingerprints the ids of the events to which a
	// further occurrence would be added; those that have none are left out.
	CurrentAdminEvents(ctx context.Context, fingerprints []string) (map[string]string, error)
	CountAdminEvents(ctx context.Context, f Filter) (int64, error)
	// SummarizeAdminEvents counts by fields of [GroupFields], the most frequent
	// group first, so many groups at most.
	SummarizeAdminEvents(ctx context.Context, f Filter, by []Field, most int) ([]Group, error)
	// PruneAdminEvents deletes the events that last occurred before a time, and
	// of the others the oldest beyond so many. It tells how many it deleted.
	PruneAdminEvents(ctx context.Context, before time.Time, most int) (int64, error)
	// AdminEventRetention gives the days that were set, 0 when none were.
	AdminEventRetention(ctx context.Context) (days int, err error)
	SetAdminEventRetention(ctx context.Context, days int) error
}

// The bounds of the retention, in days.
const (
	DefaultRetentionDays = 4
	MinRetentionDays     = 1
	MaxRetentionDays     = 365
)

// CheckRetention refuses what is no retention. Zero is refused too: it could mean
// to keep everything as well as to keep nothing.
func CheckRetention(days int64) error {
	if days < MinRetentionDays || days > MaxRetentionDays {
		return fault.InvalidField("retentionDurationDays", "", "must be from 1 to 365", "write a number of days such as 4")
	}
	return nil
}

// checkGroupFields refuses what cannot be counted by.
func checkGroupFields(by []Field) error {
	known := GroupFields()
	names := make([]string, len(known))
	for i, f := range known {
		names[i] = string(f)
	}
	remedy := "choose among " + strings.Join(names, ", ")
	if len(by) == 0 {
		return fault.InvalidField("by", "", "names nothing", remedy)
	}
	for i, f := range by {
		switch {
		case !slices.Contains(known, f):
			return fault.InvalidField("by", clip(string(f), 80), "is nothing to count by", remedy)
		case slices.Contains(by[:i], f):
			return fault.InvalidField("by", string(f), "is named twice", "name it once")
		}
	}
	return nil
}

// Value gives what a group says of a field, in words.
func (g Group) Value(f Field) string {
	for field, value := range map[Field]*string{
		FieldSource: g.Source, FieldCode: g.Code, FieldDomain: g.Domain, FieldResourceType: g.ResourceType, FieldResourceName: g.ResourceName,
	} {
		if field == f && value != nil {
			return *value
		}
	}
	switch {
	case f == FieldLevel && g.Level != nil:
		return strings.ToLower(g.Level.Word())
	case f == FieldAdHoc && g.AdHoc != nil:
		return strconv.FormatBool(*g.AdHoc)
	default:
		return ""
	}
}
