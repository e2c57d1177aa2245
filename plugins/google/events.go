package google

import (
	"bytes"
	"context"
	"encoding/json"
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/postureproject/posture/device"
)

// maxEvents is how many log-in events a look-up gives at most; it is also asked
// for in one page, of which activities.list allows 1000.
const maxEvents = 500

// The names of log-in events that tell success or failure by themselves.
const (
	eventLogin  = "login_success"
	eventFailed = "login_failure"
	eventLogout = "logout"
)

// EventsByEmail gives a person's newest log-in events, newest first.
func (s *Source) EventsByEmail(ctx context.Context, email string) ([]device.Event, error) {
	email = strings.TrimSpace(email)
	if err := checkAddress(email); err != nil {
		return nil, err
	}
	r := request{
		api: activityAPI(), op: "get log-in events", subject: email, path: activityPath(email),
		query: url.Values{"maxResults": {"500"}},
	}
	var events []device.Event
	err := s.pages(ctx, r, "items", func(raw json.RawMessage) error {
		activity, ok := decodeObject(raw)
		if !ok {
			s.log.WarnContext(ctx, "skipped an activity that is not an object", "op", r.op)
			return nil
		}
		for _, e := range eventsOf(activity, email) {
			if s.debug {
				e.Raw = slices.Clone(raw)
			}
			events = append(events, e)
		}
		if len(events) >= maxEvents {
			return errEnough
		}
		return nil
	})
	if unknownUser(err) {
		return nil, nil
	}
	slices.SortStableFunc(events, func(a, b device.Event) int { return b.Timestamp.Compare(a.Timestamp) })
	return events[:min(len(events), maxEvents)], err
}

func activityPath(user string) string {
	return "/admin/reports/v1/activity/users/" + url.PathEscape(user) + "/applications/login"
}

// eventsOf gives a record for each event of an activity; odd ones are left out.
func eventsOf(activity object, email string) []device.Event {
	common := device.Event{Email: email}
	common.IPAddress, _ = textOf(activity["ipAddress"])
	id, _ := decodeObject(activity["id"])
	at, _ := textOf(id["time"])
	if t, err := time.Parse(time.RFC3339, at); err == nil {
		common.Timestamp = t.UTC()
	}
	actor, _ := decodeObject(activity["actor"])
	if known, _ := textOf(actor["email"]); known != "" {
		common.Email = known
	}
	list := objectsOf(activity["events"])
	out := make([]device.Event, 0, len(list))
	for _, o := range list {
		name, _ := textOf(o["name"])
		out = append(out, loginEvent(common, name, parametersOf(o["parameters"])))
	}
	return out
}

// loginEvent completes an event by its name and parameters, as the page "Login
// Audit Activity Events" lists them. Whether others than log-in and log-out
// succeeded, Google does not say.
func loginEvent(e device.Event, name string, parameters map[string]string) device.Event {
	e.Type, e.Reason, e.Details = parameters["login_type"], parameters["login_failure_type"], parameters
	switch name {
	case eventLogin:
		e.Success = device.Bool(true)
	case eventLogout:
		e.Success, e.Type = device.Bool(true), eventLogout
	case eventFailed:
		e.Success = device.Bool(false)
	}
	if e.Type == "" {
		e.Type = name
	}
	if name != "" {
		e.Details["event_name"] = name
	}
	return e
}

// parametersOf gives an event's parameters as texts: several values are joined
// by commas, nested ones are JSON.
func parametersOf(raw json.RawMessage) map[string]string {
	out := map[string]string{}
	for _, o := range objectsOf(raw) {
		name, _ := textOf(o["name"])
		if value := parameterOf(o); name != "" && value != "" {
			out[name] = value
		}
	}
	return out
}

func parameterOf(o object) string {
	for _, key := range []string{"value", "intValue", "boolValue"} {
		if s := scalarOf(o[key]); s != "" {
			return s
		}
	}
	for _, key := range []string{"multiValue", "multiIntValue", "multiBoolValue"} {
		list, _ := listOf(o[key])
		var values []string
		for _, entry := range list {
			if s := scalarOf(entry); s != "" {
				values = append(values, s)
			}
		}
		if len(values) > 0 {
			return strings.Join(values, ", ")
		}
	}
	for _, key := range []string{"messageValue", "multiMessageValue"} {
		var compact bytes.Buffer
		if !isNull(o[key]) && json.Compact(&compact, o[key]) == nil {
			return compact.String()
		}
	}
	return ""
}

// scalarOf gives a text, a number or a Boolean as text.
func scalarOf(raw json.RawMessage) string {
	if s, ok := textOf(raw); ok {
		return s
	}
	if b, ok := truthOf(raw); ok && b != nil {
		return strconv.FormatBool(*b)
	}
	return ""
}
