package esnotifications

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/plugins/sdk/escluster"
)

// searchBody is the query: every word of the address must be in email, in any
// case. A field of type keyword is compared with case, so the lower-case form is
// asked for too.
func searchBody(email string, from, size int, sortBy []string, timeout time.Duration) map[string]any {
	match := func(text string) map[string]any {
		return map[string]any{"match": map[string]any{"email": map[string]any{"query": text, "operator": "and"}}}
	}
	query := match(email)
	if lower := strings.ToLower(email); lower != email {
		query = map[string]any{"bool": map[string]any{"should": []any{match(email), match(lower)}, "minimum_should_match": 1}}
	}
	body := map[string]any{
		"query": query, "from": from, "size": size, "track_total_hits": false,
		// The cluster gives up before we do, so that it can tell what it has found.
		"timeout": strconv.FormatInt(max(1, timeout.Milliseconds()*9/10), 10) + "ms",
	}
	if len(sortBy) > 0 {
		order := make([]any, len(sortBy))
		for i, field := range sortBy {
			order[i] = map[string]any{field: map[string]any{"order": "desc", "unmapped_type": "date", "missing": "_last"}}
		}
		body["sort"] = order
	}
	return body
}

type shards struct {
	Total    int `json:"total"`
	Failed   int `json:"failed"`
	Failures []struct {
		Reason struct {
			Type   string `json:"type"`
			Reason string `json:"reason"`
		} `json:"reason"`
	} `json:"failures"`
}

type searchAnswer struct {
	TimedOut bool   `json:"timed_out"`
	Shards   shards `json:"_shards"`
	Hits     struct {
		Hits []json.RawMessage `json:"hits"`
	} `json:"hits"`
}

// refusedSort tells whether shards failed because they could not sort, as happens
// where a pattern reaches indices that map the time differently.
func (s shards) refusedSort() bool {
	for _, f := range s.Failures {
		if aboutSorting(f.Reason.Reason) {
			return true
		}
	}
	return false
}

// aboutSorting recognises Elasticsearch's refusals to sort, which have no type of
// their own.
func aboutSorting(reason string) bool { return strings.Contains(strings.ToLower(reason), "sort") }

// partial is the failure that goes beside the hits of an incomplete answer.
func (a *searchAnswer) partial(op, subject string) error {
	e := &fault.Error{Kind: fault.Unavailable, Source: Name, Op: op, Subject: subject, Remedy: "look after the cluster's health"}
	switch {
	case a.Shards.Failed > 0:
		e.Message = fmt.Sprintf("%d of %d shards failed; notifications may be missing", a.Shards.Failed, a.Shards.Total)
		if len(a.Shards.Failures) > 0 {
			r := a.Shards.Failures[0].Reason
			e.Err = fmt.Errorf("%s: %s", escluster.Clip(r.Type), escluster.Clip(r.Reason))
		}
	case a.TimedOut:
		e.Kind, e.Remedy = fault.Timeout, "raise TIMEOUT of this plugin, or find out why the cluster is slow"
		e.Message = "the cluster ran out of time; notifications may be missing"
	default:
		return nil
	}
	return e
}

// alert is one hit.
type alert struct {
	ID     string          `json:"_id"`
	Index  string          `json:"_index"`
	Source json.RawMessage `json:"_source"`

	emails []string
	at     time.Time
}

// readAlert reads a hit; it is false for one without an identifier or without a
// document.
func readAlert(raw json.RawMessage, timeFields []string) (alert, bool) {
	var a alert
	if json.Unmarshal(raw, &a) != nil || a.ID == "" {
		return alert{}, false
	}
	var document map[string]json.RawMessage
	if json.Unmarshal(a.Source, &document) != nil || document == nil {
		return alert{}, false
	}
	var one string
	if json.Unmarshal(document["email"], &one) == nil {
		a.emails = []string{one}
	} else {
		_ = json.Unmarshal(document["email"], &a.emails) // anything else is nobody's address
	}
	for _, field := range timeFields {
		if at, ok := timeOf(lookUp(document, field)); ok {
			a.at = at
			break
		}
	}
	return a, true
}

func (a alert) isFor(email string) bool {
	for _, have := range a.emails {
		if strings.EqualFold(strings.TrimSpace(have), email) {
			return true
		}
	}
	return false
}

func (a alert) key() string { return a.Index + "\x00" + a.ID }

// lookUp finds a field by its name, or by a path of names with dots between.
func lookUp(document map[string]json.RawMessage, path string) json.RawMessage {
	if raw, ok := document[path]; ok {
		return raw
	}
	name, rest, ok := strings.Cut(path, ".")
	if !ok {
		return nil
	}
	var inner map[string]json.RawMessage
	if json.Unmarshal(document[name], &inner) != nil {
		return nil
	}
	return lookUp(inner, rest)
}

// timeOf reads what a date field may hold: an ISO 8601 text (UTC without a zone),
// or milliseconds since 1970 as a number or text.
func timeOf(raw json.RawMessage) (time.Time, bool) {
	text := strings.TrimSpace(string(raw))
	if strings.HasPrefix(text, `"`) {
		if json.Unmarshal(raw, &text) != nil {
			return time.Time{}, false
		}
		text = strings.TrimSpace(text)
	}
	if ms, err := strconv.ParseFloat(text, 64); err == nil {
		const year9999 = 253402300799999
		if !(ms > -year9999/4 && ms <= year9999) {
			return time.Time{}, false
		}
		return time.UnixMilli(int64(ms)).UTC(), true
	}
	for _, layout := range []string{
		time.RFC3339Nano, "2006-01-02T15:04:05.999999999Z0700", "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999", time.DateOnly,
	} {
		if at, err := time.Parse(layout, text); err == nil {
			return at.UTC(), true
		}
	}
	return time.Time{}, false
}
