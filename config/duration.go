package config

import (
	"errors"
	"math"
	"strconv"
	"strings"
	"time"
)

// errDuration says what a length of time looks like.
var errDuration = errors.New("write seconds, or a number with a unit such as 90s, 12h or 30d")

// ParseDuration reads a length of time as the configuration has it: a number of seconds, or numbers with
// units as [time.ParseDuration] knows them, and d for days of 24 hours before
// them. It is never negative.
func ParseDuration(text string) (time.Duration, error) {
	text = strings.TrimSpace(text)
	if seconds, err := strconv.ParseFloat(text, 64); err == nil {
		return scale(seconds, time.Second)
	}
	var days time.Duration
	if before, after, found := strings.Cut(text, "d"); found {
		n, err := strconv.ParseFloat(before, 64)
		if err != nil {
			return 0, errDuration
		}
		if days, err = scale(n, 24*time.Hour); err != nil || after == "" {
			return days, err
		}
		text = after
	}
	rest, err := time.ParseDuration(text)
	if err != nil || rest < 0 || days > math.MaxInt64-rest {
		return 0, errDuration
	}
	return days + rest, nil
}

func scale(n float64, unit time.Duration) (time.Duration, error) {
	if product := n * float64(unit); product >= 0 && product < math.MaxInt64 { // false for NaN
		return time.Duration(product), nil
	}
	return 0, errDuration
}
