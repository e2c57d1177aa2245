package file

import (
	"encoding/json"
	"math"
	"strconv"
	"strings"
	"time"
)

// isAbsent reports whether a text says that there is no value.
func isAbsent(s string) bool {
	switch strings.ToLower(s) {
	case "", "null", "none", "n/a", "na", "-", "unknown", "never":
		return true
	}
	return false
}

// yesNo reads a truth value in the words that exports use; nil when the value
// says that it is not known. It is false for anything else.
func yesNo(value any) (answer *bool, ok bool) {
	word, isText := text(value)
	if !isText {
		return nil, false
	}
	yes := false
	switch strings.ToLower(word) {
	case "true", "yes", "y", "1", "on", "enabled", "t":
		yes = true
	case "false", "no", "n", "0", "off", "disabled", "f":
	default:
		return nil, isAbsent(word)
	}
	return &yes, true
}

// moment reads a time: RFC 3339 and its like, a date, or seconds or milliseconds
// since 1970. Without a zone it is UTC. Days and months in figures with slashes
// are not read, as nobody can tell which is which.
func moment(value any) (at time.Time, ok bool) {
	word, isText := text(value)
	if !isText {
		return time.Time{}, false
	}
	if isAbsent(word) {
		return time.Time{}, true
	}
	if number, err := strconv.ParseFloat(word, 64); err == nil {
		return epoch(number)
	}
	for _, layout := range []string{
		time.RFC3339Nano, "2006-01-02T15:04:05.999999999", "2006-01-02 15:04:05.999999999Z07:00", "2006-01-02 15:04:05.999999999 Z0700",
		"2006-01-02T15:04:05.999999999Z0700", "2006-01-02 15:04:05.999999999", "2006-01-02 15:04", "2006-01-02T15:04", time.DateOnly,
		"2006/01/02 15:04:05", "2006/01/02", time.RFC1123Z, time.RFC1123, "2006-01-02 15:04:05 MST",
	} {
		if at, err := time.Parse(layout, word); err == nil && at.Year() >= 1 {
			return at.UTC(), true
		}
	}
	return time.Time{}, false
}

// epoch reads seconds or, when the number is too large for them, milliseconds.
func epoch(number float64) (time.Time, bool) {
	const (
		year1973 = 1e8
		year5138 = 1e11 // in seconds; in milliseconds it is 1973
		year9999 = 253402300799
	)
	if math.IsNaN(number) || number < year1973 {
		return time.Time{}, false
	}
	if number < year5138 {
		return time.UnixMilli(int64(number * 1000)).UTC(), true
	}
	if number > year9999*1000 {
		return time.Time{}, false
	}
	return time.UnixMilli(int64(number)).UTC(), true
}

// list reads a list of texts, or one text with the parts separated by any of the
// given characters.
func list(value any, separators string) (parts []string, ok bool) {
	many, isList := value.([]any)
	if !isList {
		one, isText := text(value)
		if !isText {
			return nil, false
		}
		for _, part := range strings.FieldsFunc(one, func(r rune) bool { return strings.ContainsRune(separators, r) }) {
			if part = strings.TrimSpace(part); part != "" {
				parts = append(parts, part)
			}
		}
		return parts, true
	}
	ok = true
	for _, v := range many {
		if v == nil {
			continue
		}
		part, isText := text(v)
		ok = ok && isText
		if part != "" {
			parts = append(parts, part)
		}
	}
	return parts, ok
}

// shown makes a value short enough for a note.
func shown(value any) string {
	word, ok := text(value)
	if !ok {
		raw, err := json.Marshal(value)
		if err != nil {
			return "?"
		}
		word = string(raw)
	}
	const most = 60
	if len(word) > most {
		word = strings.ToValidUTF8(word[:most], "") + "…"
	}
	return strconv.Quote(word)
}
