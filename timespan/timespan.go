// Package timespan reads lengths of time as people write them, in the configuration,
// on the command line and in requests.
package timespan

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// ErrForm says what a length of time looks like.
var ErrForm = errors.New("write seconds, or a number with a unit such as 90s, 12h or 30d")

// Parse reads a length of time: a number of seconds, or numbers with units as
// [time.ParseDuration] knows them, and d for days of 24 hours before them. It is
// never negative.
func Parse(text string) (time.Duration, error) {
	text = strings.TrimSpace(text)
	if seconds, err := strconv.ParseFloat(text, 64); err == nil {
		return scale(seconds, time.Second)
	}
	var days time.Duration
	if before, after, found := strings.Cut(text, "d"); found {
		n, err := strconv.ParseFloat(before, 64)
		if err != nil {
			return 0, ErrForm
		}
		if days, err = scale(n, 24*time.Hour); err != nil || after == "" {
			return days, err
		}
		text = after
	}
	rest, err := time.ParseDuration(text)
	if err != nil || rest < 0 || days > math.MaxInt64-rest {
		return 0, ErrForm
	}
	return days + rest, nil
}

func scale(n float64, unit time.Duration) (time.Duration, error) {
	if product := n * float64(unit); product >= 0 && product < math.MaxInt64 { // false for NaN
		return time.Duration(product), nil
	}
	return 0, ErrForm
}
