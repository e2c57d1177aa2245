package acceptance_test

import (
	"testing"
	"time"

	"github.com/postureproject/posture/internal/simulator/simhttp"
)

// TestDuoFaults starts with a Duo that misbehaves: its log is read into a store
// in the background, so a fault shows only while the store is empty.
func TestDuoFaults(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		fault simhttp.Fault
		kinds []string
	}{
		"401":                {simhttp.Fault{Status: 401}, []string{"unauthenticated"}},
		"403":                {simhttp.Fault{Status: 403}, []string{"forbidden"}},
		"404":                {simhttp.Fault{Status: 404}, []string{"unavailable", "bad_response"}},
		"429":                {simhttp.Fault{Status: 429}, []string{"unavailable", "rate_limited"}},
		"429 for a minute":   {simhttp.Fault{Status: 429, RetryAfter: "60"}, []string{"unavailable", "rate_limited"}},
		"500":                {simhttp.Fault{Status: 500}, []string{"unavailable"}},
		"connection dropped": {simhttp.Fault{Drop: true}, []string{"unavailable"}},
		"hangs":              {simhttp.Fault{Hang: true}, []string{"unavailable", "timeout"}},
		"never ends":         {simhttp.Fault{Endless: true}, []string{"unavailable", "timeout"}},
		"truncated":          {simhttp.Fault{Truncate: true}, []string{"unavailable", "bad_response"}},
		"a web page":         {simhttp.Fault{Body: "<html>log in first</html>"}, []string{"unavailable", "bad_response"}},
		"the same page again": {
			simhttp.Fault{Rewrite: rewriteObject(func(answer map[string]any) {
				if r, ok := answer["response"].(map[string]any); ok {
					r["metadata"] = map[string]any{"next_offset": []string{"1", "a"}}
				}
			})}, []string{"unavailable", "bad_response"},
		},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			s := newSite(t, 3)
			s.set("duo", "TIMEOUT", "2s")
			s.write(t, nil, "duo", "file")
			s.Duo.Faults.Add(tt.fault)
			began := time.Now()
			answer := s.ask(t, s.open(t))
			if took := time.Since(began); took > 10*time.Second {
				t.Errorf("the scan took %v", took)
			}
			checkFailure(t, answer, "duo", tt.kinds)
			for _, o := range outcomesOf(answer, "file") {
				if !o.OK {
					t.Errorf("outcome %+v", o)
				}
			}
		})
	}
	t.Run("500 once", func(t *testing.T) {
		t.Parallel()
		s := newSite(t, 3)
		s.write(t, nil, "duo", "file")
		s.Duo.Faults.Add(simhttp.Fault{Status: 500, Times: 1})
		h := s.open(t)
		await(t, "Duo is not asked again", func() bool {
			o := outcome(t, s.ask(t, h), "duo")
			return o.OK && o.Count > 0
		})
	})
}
