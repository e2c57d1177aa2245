package google

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/postureproject/posture/internal/simulator/fleet"
)

// timeFormat is how the APIs write times.
const timeFormat = "2006-01-02T15:04:05.000Z"

// customer answers itself, and is false, for a customer that is not ours.
func (s *Server) customer(w http.ResponseWriter, id string) bool {
	if id == "my_customer" || id == "C0simulated" {
		return true
	}
	refuse(w, http.StatusNotFound, "notFound", "Resource Not Found: customerKey")
	return false
}

// mobileDevices serves mobiledevices.list.
func (s *Server) mobileDevices(w http.ResponseWriter, r *http.Request) {
	if !s.customer(w, r.PathValue("customer")) {
		return
	}
	found := s.phones
	if field, value, ok := clause(r.URL.Query().Get("query")); ok {
		found = nil
		switch field {
		case "email":
			if p, known := s.fleet.PersonByEmail(value); known {
				found = numbers(s.fleet.Devices(p, fleet.Android, fleet.IPhone))
			}
		case "serial":
			if d, known := s.fleet.DeviceBySerial(value); known && (d.Kind == fleet.Android || d.Kind == fleet.IPhone) {
				found = []int{d.ID}
			}
		}
	}
	p, ok := s.pageOf(w, r, len(found), 100)
	if !ok {
		return
	}
	full := strings.EqualFold(r.URL.Query().Get("projection"), "FULL")
	writeList(w, "admin#directory#mobiledevices", "mobiledevices", s.entries(found[p.start:p.end], full, mobileEntry), p.next)
}

// chromeDevices serves chromeosdevices.list.
func (s *Server) chromeDevices(w http.ResponseWriter, r *http.Request) {
	if !s.customer(w, r.PathValue("customer")) {
		return
	}
	found := s.books
	if field, value, ok := clause(r.URL.Query().Get("query")); ok {
		found = nil
		switch field {
		case "recent_user":
			if p, known := s.fleet.PersonByEmail(value); known {
				found = s.recentlyUsedBy(p)
			}
		case "id":
			if d, known := s.fleet.DeviceBySerial(value); known && d.Kind == fleet.Chromebook {
				found = []int{d.ID}
			}
		}
	}
	p, ok := s.pageOf(w, r, len(found), 300)
	if !ok {
		return
	}
	full := strings.EqualFold(r.URL.Query().Get("projection"), "FULL")
	writeList(w, "admin#directory#chromeosdevices", "chromeosdevices", s.entries(found[p.start:p.end], full, s.chromeEntry), p.next)
}

// recentlyUsedBy gives a person's own ChromeOS devices and those on which the
// person was the last but one.
func (s *Server) recentlyUsedBy(p fleet.Person) []int {
	found := numbers(s.fleet.Devices(p, fleet.Chromebook))
	if owner := s.neighbour(p.Index, -1); owner.Index != p.Index {
		found = append(found, numbers(s.fleet.Devices(owner, fleet.Chromebook))...)
	}
	return found
}

// neighbour is the person some places after another.
func (s *Server) neighbour(index, places int) fleet.Person {
	return s.fleet.Person((index + places + s.fleet.Len()) % s.fleet.Len())
}

func numbers(devices []fleet.Device) []int {
	out := make([]int, len(devices))
	for i, d := range devices {
		out[i] = d.ID
	}
	return out
}

func (s *Server) entries(ids []int, full bool, entry func(fleet.Device, bool) map[string]any) []any {
	out := make([]any, 0, len(ids))
	for _, id := range ids {
		if d, ok := s.fleet.Device(id); ok {
			out = append(out, entry(d, full))
		}
	}
	return out
}

// clause reads a query of one clause such as email:jane@example.com; the value
// may be quoted. It is false without a query.
func clause(query string) (field, value string, ok bool) {
	field, value, ok = strings.Cut(query, ":")
	if unquoted, err := strconv.Unquote(value); err == nil {
		value = unquoted
	}
	return field, value, ok
}

// mobileEntry writes a mobiledevices resource. As at Google, only Android
// devices tell of debugging and unknown sources, and only those older than 8 of
// the latter.
func mobileEntry(d fleet.Device, full bool) map[string]any {
	e := map[string]any{
		"kind": "admin#directory#mobiledevice", "resourceId": "AFiQxQ8" + strconv.Itoa(d.ID), "deviceId": d.GoogleID,
		"name": []string{d.Owner.Name}, "email": []string{d.Owner.Email}, "model": d.Model,
		"os": d.OS + " " + d.OSVersion, "type": strings.ToUpper(d.OS), "status": "APPROVED",
		"lastSync": d.LastSync.Format(timeFormat), "firstSync": d.HWRelease.Format(timeFormat),
	}
	if !full {
		return e
	}
	e["serialNumber"], e["imei"], e["meid"] = d.Serial, d.IMEI, d.MEID
	e["wifiMacAddress"], e["manufacturer"] = strings.ToLower(strings.ReplaceAll(d.MACs[0], ":", "")), d.Maker
	e["userAgent"] = "Google Apps Device Policy"
	e["deviceCompromisedStatus"], e["encryptionStatus"] = "No compromise detected", "Encrypted"
	if d.Compromised {
		e["deviceCompromisedStatus"] = "Compromise detected"
	}
	if !d.Encrypted {
		e["encryptionStatus"] = "Not encrypted"
	}
	if d.Kind == fleet.Android {
		e["adbStatus"], e["developerOptionsStatus"] = d.RemoteLogin, d.RemoteLogin
		e["unknownSourcesStatus"] = d.Compromised
		e["securityPatchLevel"] = strconv.FormatInt(d.LastSync.AddDate(0, -1, 0).Truncate(24*time.Hour).UnixMilli(), 10)
	}
	return e
}

// chromeEntry writes a chromeosdevices resource. Its second recent user is the
// owner's neighbour.
func (s *Server) chromeEntry(d fleet.Device, full bool) map[string]any {
	e := map[string]any{
		"kind": "admin#directory#chromeosdevice", "deviceId": d.GoogleID, "serialNumber": d.Serial,
		"status": "ACTIVE", "lastSync": d.LastSync.Format(timeFormat), "annotatedUser": d.Owner.Email,
	}
	if !full {
		return e
	}
	users := []map[string]string{{"type": "USER_TYPE_MANAGED", "email": d.Owner.Email}}
	if next := s.neighbour(d.Owner.Index, 1); next.Index != d.Owner.Index {
		users = append(users, map[string]string{"type": "USER_TYPE_MANAGED", "email": next.Email})
	}
	e["recentUsers"], e["model"], e["osVersion"] = users, d.Model, d.OSVersion
	e["platformVersion"] = "16433.41.0 (Official Build) stable-channel"
	e["macAddress"] = strings.ToLower(strings.ReplaceAll(d.MACs[0], ":", ""))
	e["bootMode"] = "Verified"
	if d.Compromised {
		e["bootMode"] = "Dev"
	}
	return e
}

// users serves users.list, in the order of the fleet.
func (s *Server) users(w http.ResponseWriter, r *http.Request) {
	if id := r.URL.Query().Get("customer"); id == "" {
		refuse(w, http.StatusBadRequest, "badRequest", "Bad Request")
		return
	} else if !s.customer(w, id) {
		return
	}
	p, ok := s.pageOf(w, r, s.fleet.Len(), 500)
	if !ok {
		return
	}
	entries := make([]any, 0, p.end-p.start)
	for i := p.start; i < p.end; i++ {
		person := s.fleet.Person(i)
		entries = append(entries, map[string]any{
			"kind": "admin#directory#user", "id": strconv.Itoa(1_000_000 + i), "primaryEmail": person.Email,
			"name":      map[string]string{"fullName": person.Name},
			"suspended": i >= s.fleet.Len()-s.o.Suspended, "archived": false,
		})
	}
	writeList(w, "admin#directory#users", "users", entries, p.next)
}
