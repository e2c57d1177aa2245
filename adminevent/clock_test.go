package adminevent_test

import (
	"testing"
	"time"

	"github.com/postureproject/posture/adminevent"
	"github.com/postureproject/posture/store"
	"github.com/postureproject/posture/store/storetest"
)

// However the clock jumps, every failure counts once and can be seen at once, and a
// clock that is set back deletes nothing.
func TestStored_ClockJumps(t *testing.T) {
	t.Parallel()
	const year = 365 * 24 * time.Hour
	for name, jumps := range map[string][]time.Duration{
		"forth":          {year},
		"back":           {-year},
		"forth and back": {year, -year},
		"back and forth": {-year, year},
		"to and fro":     {time.Minute, -2 * time.Hour, year, -2 * year, 3 * year},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
				c := newClock()
				r := adminevent.New(adminevent.Options{Store: open(t), Now: c.now})
				recorded := int64(0)
				fail := func() {
					t.Helper()
					r.Record(t.Context(), slow(1), nightly(1)) // the one is saved now, the other with the next
					r.Record(t.Context(), nightly(1))
					recorded += 3
					groups, err := r.Summary(t.Context(), adminevent.Filter{}, []adminevent.Field{adminevent.FieldSource})
					if err != nil || len(groups) != 1 || groups[0].NumOccurrences != recorded {
						t.Errorf("%+v, %v; want %d occurrences", groups, err, recorded)
					}
					for _, e := range list(t, r, adminevent.Filter{}) {
						if e.LastOccurredAt.Before(e.CreatedAt) {
							t.Errorf("ended before it began: %+v", e)
						}
					}
				}
				fail()
				for _, jump := range jumps {
					c.move(jump)
					fail()
					if jump > 0 {
						continue
					}
					if n, err := r.Prune(t.Context()); n != 0 || err != nil {
						t.Errorf("a clock set back deleted %d, %v", n, err)
					}
				}
			})
		})
	}
}
