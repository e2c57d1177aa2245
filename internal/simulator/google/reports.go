package google

import (
	"net/http"
	"strconv"
	"strings"
	"time"

	"github.com/postureproject/posture/internal/simulator/fleet"
)

// activities serves activities.list of the application login, newest first.
func (s *Server) activities(w http.ResponseWriter, r *http.Request) {
	if application := r.PathValue("application"); application != "login" {
		refuse(w, http.StatusBadRequest, "invalid", "Invalid value '"+application+"'. Application is not supported.")
		return
	}
	key := r.PathValue("user")
	person, known := s.fleet.PersonByEmail(key)
	switch {
	case key == "all":
		person = s.fleet.Person(0)
	case strings.EqualFold(key, s.o.Admin):
		writeList(w, "admin#reports#activities", "items", nil, "")
		return
	case !known:
		refuse(w, http.StatusBadRequest, "invalid", "Invalid string value: '"+key+"'. Allowed values: [all, userkey]")
		return
	}
	logins := s.fleet.Logins(person, s.o.LoginDays)
	p, ok := s.pageOf(w, r, len(logins), 1000)
	if !ok {
		return
	}
	entries := make([]any, 0, p.end-p.start)
	for _, l := range logins[p.start:p.end] {
		entries = append(entries, activityEntry(l))
	}
	writeList(w, "admin#reports#activities", "items", entries, p.next)
}

func activityEntry(l fleet.Login) map[string]any {
	parameters := []any{
		map[string]any{"name": "login_type", "value": "google_password"},
		map[string]any{"name": "login_challenge_method", "multiValue": []string{"password", "security_key"}},
		map[string]any{"name": "is_suspicious", "boolValue": false},
	}
	name := "login_success"
	if !l.Success {
		name = "login_failure"
		parameters = append(parameters, map[string]any{"name": "login_failure_type", "value": "login_failure_invalid_password"})
	}
	return map[string]any{
		"kind": "admin#reports#activity",
		"id": map[string]any{
			"time": l.At.Format(timeFormat), "uniqueQualifier": strconv.FormatInt(l.At.UnixNano(), 10), "applicationName": "login", "customerId": "C0simulated",
		},
		"actor": map[string]any{"email": l.Person.Email, "profileId": strconv.Itoa(1_000_000 + l.Person.Index)}, "ipAddress": l.IP,
		"events": []any{map[string]any{"type": "login", "name": name, "parameters": parameters}},
	}
}

// usage serves userUsageReport.get. A day without reports yet is refused with
// the words that Google uses.
func (s *Server) usage(w http.ResponseWriter, r *http.Request) {
	day, err := time.Parse(time.DateOnly, r.PathValue("date"))
	if err != nil {
		refuse(w, http.StatusBadRequest, "invalid", "Invalid Input: date")
		return
	}
	today := s.o.Now().UTC().Truncate(24 * time.Hour)
	newest := today.AddDate(0, 0, -s.o.ReportLag)
	switch {
	case !day.Before(today):
		refuse(w, http.StatusBadRequest, "invalid", "Start date can not be later than "+today.AddDate(0, 0, -1).Format(time.DateOnly))
		return
	case day.After(newest):
		refuse(w, http.StatusBadRequest, "invalid",
			"Data for dates later than "+newest.Format(time.DateOnly)+" is not yet available. Please check back later")
		return
	}
	person, known := s.fleet.PersonByEmail(r.PathValue("user"))
	if !known {
		writeList(w, "admin#reports#usageReports", "usageReports", nil, "")
		return
	}
	writeList(w, "admin#reports#usageReports", "usageReports", []any{usageEntry(person, day)}, "")
}

// usageEntry writes a usage report with a parameter of each type. Every tenth
// person has no 2-step verification.
func usageEntry(p fleet.Person, day time.Time) map[string]any {
	enrolled := p.Index%10 != 9
	return map[string]any{
		"kind": "admin#reports#usageReport", "date": day.Format(time.DateOnly),
		"entity": map[string]any{"type": "USER", "customerId": "C0simulated", "userEmail": p.Email, "profileId": strconv.Itoa(1_000_000 + p.Index)},
		"parameters": []any{
			map[string]any{"name": "accounts:is_2sv_enrolled", "boolValue": enrolled},
			map[string]any{"name": "accounts:is_2sv_enforced", "boolValue": false},
			map[string]any{"name": "accounts:used_quota_in_mb", "intValue": strconv.Itoa(1000 + p.Index)},
			map[string]any{"name": "accounts:admin_set_name", "stringValue": p.Name},
			map[string]any{"name": "accounts:last_login_time", "datetimeValue": day.Add(8 * time.Hour).Format(timeFormat)},
			map[string]any{"name": "accounts:authorized_apps", "msgValue": []any{
				map[string]any{"client_name": "Example", "num_users": 1},
			}},
		},
	}
}
