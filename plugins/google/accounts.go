package google

import (
	"context"
	"encoding/json"
	"errors"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
)

const (
	// maxReportAge is how many days before today a usage report may be about.
	maxReportAge = 7
	// newestReportLife is how long it is believed which day's report is the newest.
	newestReportLife = 30 * time.Minute
)

// newestReport remembers the newest day that Google has reports for, so that
// not every person's look-up has to find it out again.
type newestReport struct {
	day     time.Time
	learned time.Time
}

// AccountsByEmail gives a person's account with the usage report of the newest
// day that has one; reports lag behind by some days.
func (s *Source) AccountsByEmail(ctx context.Context, email string) ([]device.Account, error) {
	email = strings.TrimSpace(email)
	if err := checkAddress(email); err != nil {
		return nil, err
	}
	today := s.now().UTC().Truncate(24 * time.Hour)
	oldest := today.AddDate(0, 0, -maxReportAge)
	var (
		partial []device.Account
		pending error
	)
	for day := s.newestDay(today); !day.Before(oldest); day = day.AddDate(0, 0, -1) {
		accounts, complete, err := s.usageReport(ctx, email, day)
		if newest, late := tooLate(err); late {
			if pending = err; newest.Before(day) {
				s.newest.Store(&newestReport{day: newest, learned: s.now()})
				day = newest.AddDate(0, 0, 1) // to be tried next
			}
			continue
		}
		switch {
		case unknownUser(err):
			return nil, nil
		case err != nil:
			return partial, err
		case complete:
			return accounts, nil
		}
		pending = nil
		if partial == nil {
			partial = accounts
		}
	}
	if pending == nil {
		return partial, nil
	}
	return partial, &fault.Error{
		Kind: fault.Unavailable, Source: Name, Op: opUsage, Subject: email, Err: pending,
		Message: "Google has no usage report of the last days yet", Remedy: "try again later; Google is behind with its reports",
	}
}

// newestDay is the day to begin with: yesterday, or the newest that Google has.
func (s *Source) newestDay(today time.Time) time.Time {
	yesterday := today.AddDate(0, 0, -1)
	known := s.newest.Load()
	if known == nil || s.now().Sub(known.learned) > newestReportLife || known.day.After(yesterday) {
		return yesterday
	}
	return known.day
}

const opUsage = "get usage report"

// usageReport gives a person's account as of a day. It is complete when Google
// does not warn that the account's own part is missing yet.
func (s *Source) usageReport(ctx context.Context, email string, day time.Time) (accounts []device.Account, complete bool, err error) {
	r := request{api: usageAPI(), op: opUsage, subject: email, path: usagePath(email, day), query: url.Values{}}
	var answer object
	if err := s.get(ctx, r, &answer); err != nil {
		return nil, false, err
	}
	list, ok := listOf(answer["usageReports"])
	if !ok {
		return nil, false, r.nonsense("the answer's usageReports is not a list")
	}
	for _, raw := range list {
		report, ok := decodeObject(raw)
		if !ok {
			continue
		}
		if a, ok := accountOf(report, email, day); ok {
			if s.debug {
				a.Raw = slices.Clone(raw)
			}
			accounts = append(accounts, a)
		}
	}
	return accounts, len(accounts) > 0 && !lacksAccounts(answer["warnings"]), nil
}

func usagePath(user string, day time.Time) string {
	return "/admin/reports/v1/usage/users/" + url.PathEscape(user) + "/dates/" + day.Format(time.DateOnly)
}

// accountOf maps a usage report; it is false for one without any parameter.
func accountOf(report object, email string, day time.Time) (device.Account, bool) {
	a := device.Account{Name: email, Email: email, Type: "Google", Date: day.Format(time.DateOnly), LastUpdated: day}
	entity, _ := decodeObject(report["entity"])
	if known, _ := textOf(entity["userEmail"]); known != "" {
		a.Name, a.Email = known, known
	}
	if date, _ := textOf(report["date"]); date != "" {
		if t, err := time.Parse(time.DateOnly, date); err == nil {
			a.Date, a.LastUpdated = date, t
		}
	}
	a.UserUsage = map[string]any{}
	list, _ := listOf(report["parameters"])
	for _, raw := range list {
		o, ok := decodeObject(raw)
		if !ok {
			continue
		}
		name, _ := textOf(o["name"])
		if value, ok := usageValue(o); ok && name != "" {
			a.UserUsage[name] = value
		}
	}
	return a, len(a.UserUsage) > 0
}

// usageValue gives a parameter's value by its type; a time stays a text. It is
// false when there is none, or an odd one.
func usageValue(o object) (any, bool) {
	if b, ok := truthOf(o["boolValue"]); ok && b != nil {
		return *b, true
	}
	if n, ok := textOf(o["intValue"]); ok && n != "" {
		f, err := json.Number(n).Float64()
		return f, err == nil
	}
	for _, key := range []string{"stringValue", "datetimeValue"} {
		if s, ok := textOf(o[key]); ok && s != "" {
			return s, true
		}
	}
	var message any
	if !isNull(o["msgValue"]) && json.Unmarshal(o["msgValue"], &message) == nil {
		return message, true
	}
	return nil, false
}

// lacksAccounts reports whether a warning says that the part named accounts,
// which holds the 2-step verification, is missing or partial.
func lacksAccounts(warnings json.RawMessage) bool {
	list, _ := listOf(warnings)
	return slices.ContainsFunc(list, func(raw json.RawMessage) bool {
		warning, _ := decodeObject(raw)
		data, _ := listOf(warning["data"])
		return slices.ContainsFunc(data, func(raw json.RawMessage) bool {
			pair, _ := decodeObject(raw)
			key, _ := textOf(pair["key"])
			value, _ := textOf(pair["value"])
			return key == "application" && value == "accounts"
		})
	})
}

// tooLate reports whether Google refused a day because its report is not ready
// yet, and gives the newest day that is. Google has no code for it: the answer
// is 400, reason "invalid", and the message "Data for dates later than DAY is
// not yet available" or "Start date can not be later than DAY".
func tooLate(err error) (newest time.Time, late bool) {
	var r *refusal
	if !errors.As(err, &r) || r.status != http.StatusBadRequest {
		return time.Time{}, false
	}
	_, rest, found := strings.Cut(r.message, "later than ")
	if !found || len(rest) < len(time.DateOnly) {
		return time.Time{}, false
	}
	newest, err = time.Parse(time.DateOnly, rest[:len(time.DateOnly)])
	return newest, err == nil
}
