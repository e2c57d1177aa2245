package file

import (
	"errors"
	"strings"

	"github.com/postureproject/posture/device"
)

// eventText gives the text field of a path, or nil.
func eventText(e *device.Event, path string) *string {
	switch path {
	case "type":
		return &e.Type
	case "reason":
		return &e.Reason
	case "ip_address":
		return &e.IPAddress
	case "username":
		return &e.Username
	case "email":
		return &e.Email
	}
	return nil
}

// parseEvent reads a log-in event. A user name that is an address stands in for
// a missing address. What cannot be read is kept as text among the details.
func parseEvent(r row) (ev device.Event, unknown []string, err error) {
	ev.Raw = r.raw
	detail := func(name string, value any) {
		word, ok := text(value)
		if !ok {
			word = shown(value)
		}
		if ev.Details == nil {
			ev.Details = make(map[string]string)
		}
		ev.Details[name] = word
	}
	for _, e := range r.entries {
		prefix, rest, _ := strings.Cut(e.path, ".")
		ok := true
		switch {
		case eventText(&ev, e.path) != nil:
			ok = setText(eventText(&ev, e.path), e) == ""
		case e.path == "timestamp":
			ev.Timestamp, ok = moment(e.value)
		case e.path == "success":
			ev.Success, ok = yesNo(e.value)
		case prefix == "details" && rest != "":
			detail(e.name, e.value)
		case e.path == "vpn", e.path == "source":
			// The host decides on these.
		default:
			unknown = append(unknown, e.path)
		}
		if !ok {
			detail(e.path, e.value)
		}
	}
	if ev.Email == "" && strings.Contains(ev.Username, "@") {
		ev.Email = ev.Username
	}
	if ev.Email == "" {
		return ev, unknown, errors.New("has no e-mail address")
	}
	return ev, unknown, nil
}

// parseUser reads a person.
func parseUser(r row) (u device.User, unknown []string, err error) {
	for _, e := range r.entries {
		switch e.path {
		case "email":
			_ = setText(&u.Email, e)
		case "name":
			_ = setText(&u.Name, e)
		default:
			unknown = append(unknown, e.path)
		}
	}
	if !strings.Contains(u.Email, "@") {
		return u, unknown, errors.New("has no e-mail address")
	}
	return u, unknown, nil
}
