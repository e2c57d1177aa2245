package duo

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"net/netip"
	"strconv"
	"strings"
	"time"

	"github.com/postureproject/posture/device"
)

// maxText bounds each text of an event, in bytes, so that one odd event cannot
// fill the store.
const maxText = 1 << 10

// maxID bounds an entry's id, in bytes. Duo's are UUIDs.
const maxID = 200

// authentication is one entry of Duo's log.
type authentication struct {
	ID        text `json:"txid"`
	Timestamp text `json:"timestamp"`    // seconds
	ISO       text `json:"isotimestamp"` // with microseconds; in newer answers
	EventType text `json:"event_type"`
	Factor    text `json:"factor"`
	Result    text `json:"result"`
	Reason    text `json:"reason"`
	Email     text `json:"email"`
	Alias     text `json:"alias"`

	User        object[named]    `json:"user"`
	Application object[named]    `json:"application"`
	Access      object[endpoint] `json:"access_device"`
	Auth        object[endpoint] `json:"auth_device"`
}

type named struct {
	Name text `json:"name"`
}

// endpoint is the device that was used, or that confirmed.
type endpoint struct {
	IP             text          `json:"ip"`
	Name           text          `json:"name"`
	Hostname       text          `json:"hostname"`
	Browser        text          `json:"browser"`
	BrowserVersion text          `json:"browser_version"`
	OS             text          `json:"os"`
	OSVersion      text          `json:"os_version"`
	Location       object[place] `json:"location"`
}

type place struct {
	City    text `json:"city"`
	State   text `json:"state"`
	Country text `json:"country"`
}

// entry is an event with what it is found by.
type entry struct {
	id    string
	at    time.Time
	email string // normalised
	name  string // the user's, normalised
	event device.Event
	raw   json.RawMessage
}

// normalize makes addresses and names comparable.
func normalize(s string) string { return strings.ToLower(strings.TrimSpace(s)) }

// parseEntry reads one entry of the log. It is false when the entry is no
// object, or does not say when it happened, as then it has no place in a log.
func parseEntry(raw json.RawMessage) (entry, bool) {
	var o object[authentication]
	if err := json.Unmarshal(raw, &o); err != nil {
		return entry{}, false
	}
	a := &o.v
	at, ok := a.when()
	if !ok {
		return entry{}, false
	}
	e := entry{id: a.ID.trimmed(), at: at, email: normalize(string(a.Email)), name: normalize(string(a.User.v.Name)), event: a.event(at)}
	if e.email == "none" {
		e.email, e.event.Email = "", ""
	}
	if e.id == "" || len(e.id) > maxID || strings.ContainsRune(e.id, 0) {
		// Without an id that can be one, the same entry is known by its content.
		sum := sha256.Sum256(raw)
		e.id = "sha256:" + hex.EncodeToString(sum[:])
	}
	return e, true
}

// when gives the time of the event.
func (a *authentication) when() (time.Time, bool) {
	at, err := time.Parse(time.RFC3339Nano, a.ISO.trimmed())
	if err != nil {
		seconds, err := strconv.ParseFloat(a.Timestamp.trimmed(), 64)
		if err != nil || seconds != seconds || seconds > 1e11 || seconds < 0 {
			return time.Time{}, false
		}
		at = time.UnixMilli(int64(seconds * 1000))
	}
	if at.Year() < 2000 || at.Year() > 2200 {
		return time.Time{}, false
	}
	return at.UTC().Truncate(time.Microsecond), true
}

// event maps the entry.
func (a *authentication) event(at time.Time) device.Event {
	e := device.Event{
		Type: clip(a.Factor.given(), maxText), Reason: clip(a.Reason.given(), maxText), Timestamp: at,
		Username: clip(a.User.v.Name.trimmed(), maxText), Email: clip(a.Email.trimmed(), maxText),
	}
	if e.Type == "" {
		e.Type = clip(a.EventType.given(), maxText)
	}
	if result := a.Result.given(); result != "" {
		e.Success = device.Bool(strings.EqualFold(result, "success"))
	}
	details := map[string]string{}
	add := func(name, value string) {
		if value != "" {
			details[name] = clip(value, maxText)
		}
	}
	access, auth := &a.Access.v, &a.Auth.v
	if ip, err := netip.ParseAddr(access.IP.trimmed()); err == nil {
		e.IPAddress = ip.String()
	} else {
		add("ip_address_as_given", access.IP.given())
	}
	add("event_type", a.EventType.given())
	add("factor", a.Factor.given())
	add("result", a.Result.given())
	add("application", a.Application.v.Name.given())
	add("alias", a.Alias.given())
	add("browser", join(" ", access.Browser, access.BrowserVersion))
	add("os", join(" ", access.OS, access.OSVersion))
	add("hostname", access.Hostname.given())
	add("location", access.where())
	add("auth_device", auth.Name.given())
	add("auth_device_location", auth.where())
	if len(details) > 0 {
		e.Details = details
	}
	return e
}

// given is the text, unless it is one of Duo's words for "nothing".
func (t text) given() string {
	s := t.trimmed()
	switch strings.ToLower(s) {
	case "n/a", "none", "unknown", "not_available", "not available":
		return ""
	}
	return s
}

func (d *endpoint) where() string {
	l := &d.Location.v
	return join(", ", l.City, l.State, l.Country)
}

func join(separator string, parts ...text) string {
	var given []string
	for _, p := range parts {
		if s := p.given(); s != "" {
			given = append(given, s)
		}
	}
	return strings.Join(given, separator)
}
