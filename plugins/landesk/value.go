package landesk

import (
	"fmt"
	"math"
	"strconv"
	"strings"
	"time"
)

// The driver delivers nil, int64, float64, bool, string, []byte or [time.Time],
// whatever type a column has in the version of LANDESK at hand. Each of these
// functions reads a cell where its meaning is plain.

// text gives a cell as text without space around it, "" for NULL.
func text(cell any) string {
	switch v := cell.(type) {
	case nil:
		return ""
	case string:
		return strings.TrimSpace(strings.ToValidUTF8(v, "\uFFFD"))
	case []byte: // DECIMAL and its like
		return strings.TrimSpace(strings.ToValidUTF8(string(v), "\uFFFD"))
	case time.Time:
		return v.Format(time.RFC3339)
	default:
		return strings.TrimSpace(fmt.Sprint(v))
	}
}

// number gives a cell as a number, also from text such as "100", "99.5" or
// "100 %". It is false for NULL and for what is no number.
func number(cell any) (float64, bool) {
	var n float64
	switch v := cell.(type) {
	case int64:
		n = float64(v)
	case float64:
		n = v
	default:
		s := strings.TrimSpace(strings.TrimSuffix(text(cell), "%"))
		parsed, err := strconv.ParseFloat(strings.Replace(s, ",", ".", 1), 64)
		if err != nil {
			return 0, false
		}
		n = parsed
	}
	return n, !math.IsNaN(n) && !math.IsInf(n, 0)
}

// identity gives a computer's number.
func identity(cell any) (int64, bool) {
	if n, ok := cell.(int64); ok {
		return n, true
	}
	n, err := strconv.ParseInt(text(cell), 10, 64)
	return n, err == nil
}

// moment gives a cell as a time. Without a zone in it, it is the wall clock of
// zone. ok is false when there is something that cannot be read as a time; NULL
// and SQL Server's zero, the year 1900, are absent.
func moment(cell any, zone *time.Location) (t time.Time, ok bool) {
	if v, is := cell.(time.Time); is {
		t = v
	} else {
		s := text(cell)
		if s == "" {
			return time.Time{}, true
		}
		if t, ok = parseTime(s, zone); !ok {
			return time.Time{}, false
		}
	}
	switch year := t.Year(); {
	case year <= 1900:
		return time.Time{}, true
	case year > 9999:
		return time.Time{}, false
	}
	return t.UTC(), true
}

func parseTime(s string, zone *time.Location) (time.Time, bool) {
	layouts := []string{
		"20060102", time.RFC3339Nano, "2006-01-02 15:04:05", "2006-01-02T15:04:05", time.DateOnly,
		"1/2/2006", "1/2/2006 3:04:05 PM", "1/2/2006 15:04:05",
	}
	for _, layout := range layouts {
		if t, err := time.ParseInLocation(layout, s, zone); err == nil {
			return t, true
		}
	}
	return time.Time{}, false
}
