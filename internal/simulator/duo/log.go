package duo

import (
	"encoding/json"
	"net/http"
	"net/url"
	"slices"
	"sort"
	"strconv"
	"strings"
	"time"
)

const (
	defaultLimit = 100
	maxLimit     = 1000
)

// question is what a request asks of the log.
type question struct {
	from, to int64 // milliseconds, both inclusive
	limit    int
	newest   bool // newest first, as when nothing else is said
	after    Event
	paged    bool // whether after is set: the last event of the page before
}

func (s *Server) authenticationLog(w http.ResponseWriter, r *http.Request) {
	if s.o.NoReadLog {
		fail(w, http.StatusForbidden, 40301, "Access forbidden", "The integration was not granted this permission.")
		return
	}
	if s.limited() {
		fail(w, http.StatusTooManyRequests, 42901, "Too Many Requests", "")
		return
	}
	q, parameter := parse(r.URL.Query())
	switch parameter {
	case "":
	case "mintime, maxtime":
		fail(w, http.StatusBadRequest, 40001, "Missing required request parameters", parameter)
		return
	default:
		fail(w, http.StatusBadRequest, 40002, "Invalid request parameters", parameter)
		return
	}
	q.to = min(q.to, s.o.Now().Add(-max(0, s.o.Lag)).UnixMilli())
	page, total, more := s.page(q)
	metadata := map[string]any{"next_offset": nil, "total_objects": total}
	if more {
		last := page[len(page)-1]
		at := strconv.FormatInt(last.At.UnixMilli(), 10)
		metadata["next_offset"] = []string{at, last.ID}
		if s.o.CommaOffset {
			metadata["next_offset"] = at + "," + last.ID
		}
	}
	events := make([]json.RawMessage, len(page))
	for i, e := range page {
		events[i] = e.document()
	}
	answer(w, http.StatusOK, map[string]any{"stat": "OK", "response": map[string]any{"authlogs": events, "metadata": metadata}})
}

// limited counts a call and tells whether it is one too many for this minute.
func (s *Server) limited() bool {
	if s.o.PerMinute == 0 {
		return false
	}
	s.mu.Lock()
	defer s.mu.Unlock()
	now := time.Now()
	s.calls = slices.DeleteFunc(s.calls, func(at time.Time) bool { return now.Sub(at) > time.Minute })
	if len(s.calls) >= s.o.PerMinute {
		return true
	}
	s.calls = append(s.calls, now)
	return false
}

// parse reads a request's parameters; otherwise it names those at fault.
func parse(v url.Values) (q question, wrong string) {
	if !v.Has("mintime") || !v.Has("maxtime") {
		return q, "mintime, maxtime"
	}
	var err error
	if q.from, err = strconv.ParseInt(v.Get("mintime"), 10, 64); err != nil {
		return q, "mintime"
	}
	if q.to, err = strconv.ParseInt(v.Get("maxtime"), 10, 64); err != nil || q.to <= q.from {
		return q, "maxtime"
	}
	q.limit = defaultLimit
	if v.Has("limit") {
		if q.limit, err = strconv.Atoi(v.Get("limit")); err != nil || q.limit < 1 || q.limit > maxLimit {
			return q, "limit"
		}
	}
	switch v.Get("sort") {
	case "", "ts:desc":
		q.newest = true
	case "ts:asc":
	default:
		return q, "sort"
	}
	// Either one text with a comma, or the parameter twice.
	parts := v["next_offset"]
	if len(parts) == 1 {
		parts = strings.Split(parts[0], ",")
	}
	switch len(parts) {
	case 0:
	case 2:
		// Clients that sign may have sorted the two.
		at, id := parts[0], parts[1]
		if _, err := strconv.ParseInt(at, 10, 64); err != nil {
			at, id = id, at
		}
		ms, err := strconv.ParseInt(at, 10, 64)
		if err != nil {
			return q, "next_offset"
		}
		q.after, q.paged = Event{At: time.UnixMilli(ms), ID: id}, true
	default:
		return q, "next_offset"
	}
	return q, ""
}

// page finds one page by binary search.
func (s *Server) page(q question) (page []Event, total int, more bool) {
	s.mu.RLock()
	defer s.mu.RUnlock()
	first := sort.Search(len(s.events), func(i int) bool { return s.events[i].At.UnixMilli() >= q.from })
	end := sort.Search(len(s.events), func(i int) bool { return s.events[i].At.UnixMilli() > q.to })
	end = max(first, end)
	total = end - first
	if q.newest {
		if q.paged {
			end = min(end, max(first, sort.Search(len(s.events), func(i int) bool { return !before(s.events[i], q.after) })))
		}
		start := max(first, end-q.limit)
		page = slices.Clone(s.events[start:end])
		slices.Reverse(page)
		return page, total, start > first
	}
	if q.paged {
		first = max(first, min(end, sort.Search(len(s.events), func(i int) bool { return before(q.after, s.events[i]) })))
	}
	stop := min(end, first+q.limit)
	return slices.Clone(s.events[first:stop]), total, stop < end
}

// document writes an event as Duo does.
func (e Event) document() json.RawMessage {
	if e.Document != nil {
		return e.Document
	}
	result := "success"
	if !e.Success {
		result = "denied"
	}
	var email any
	if e.Email != "" {
		email = e.Email
	}
	place := map[string]any{"city": "Ann Arbor", "state": "Michigan", "country": "United States"}
	body, err := json.Marshal(map[string]any{
		"txid": e.ID, "timestamp": e.At.Unix(), "isotimestamp": e.At.UTC().Format("2006-01-02T15:04:05.000000+00:00"),
		"event_type": "authentication", "factor": e.Factor, "result": result, "reason": e.Reason,
		"email": email, "alias": "", "ood_software": nil, "trusted_endpoint_status": "unknown",
		"user":        map[string]any{"key": "DU" + strings.ToUpper(e.User), "name": e.User, "groups": []string{"Employees"}},
		"application": map[string]any{"key": "DIAPPXXXXXXXXXXXXXXX", "name": "Single Sign-On"},
		"access_device": map[string]any{
			"ip": e.IP, "browser": "Chrome", "browser_version": "142.0.7444.60", "os": "Mac OS X", "os_version": "26.1.0", "hostname": nil,
			"location": place, "is_encryption_enabled": true, "is_firewall_enabled": true, "is_password_set": true, "security_agents": []any{},
		},
		"auth_device": map[string]any{"ip": e.IP, "key": "DPXXXXXXXXXXXXXXXXXX", "name": "Phone of " + e.User, "location": place},
	})
	if err != nil {
		return json.RawMessage(`{}`)
	}
	return body
}
