package timespan_test

import (
	"testing"
	"time"

	"github.com/postureproject/posture/timespan"
)

func TestParse(t *testing.T) {
	t.Parallel()
	const day = 24 * time.Hour
	for text, want := range map[string]time.Duration{
		"0": 0, "30": 30 * time.Second, " 1.5 ": 1500 * time.Millisecond, "90s": 90 * time.Second, "12h": 12 * time.Hour,
		"30d": 30 * day, "1d12h": 36 * time.Hour, "0.5d": 12 * time.Hour, "1h30m": 90 * time.Minute,
	} {
		if got, err := timespan.Parse(text); err != nil || got != want {
			t.Errorf("%q is %v, %v, want %v", text, got, err, want)
		}
	}
	for _, text := range []string{"", "-1", "-5s", "1d-2h", "NaN", "Inf", "1e300", "999999999d", "d", "1w", "a day", "106751d23h59m"} {
		if got, err := timespan.Parse(text); err == nil {
			t.Errorf("%q is %v, want an error", text, got)
		}
	}
}

func FuzzParse(f *testing.F) {
	for _, text := range []string{"30", "1d12h", "-1", "1e300", "9223372036s", "106751d", "1d9223372036s"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		if d, err := timespan.Parse(text); err == nil && d < 0 {
			t.Errorf("%q is %v", text, d)
		}
	})
}
