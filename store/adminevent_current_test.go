package store_test

import (
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/adminevent"
	"github.com/postureproject/posture/store"
	"github.com/postureproject/posture/store/storetest"
)

// The event to which the next occurrence is added is the one of the latest
// episode.
func TestAdminEvents_Current(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		s := open(t)
		ada, eve := timeout("ada@example.com", 0), timeout("eve@example.com", 0)
		saveEvents(t, s, "b1", ada, eve)
		saveEvents(t, s, "b2", timeout("ada@example.com", 30))
		saveEvents(t, s, "b3", timeout("ada@example.com", 300))
		want := map[string]string{adminevent.Fingerprint(eve): adminevent.IDFor(eve, "b1"), adminevent.Fingerprint(ada): adminevent.IDFor(timeout("ada@example.com", 300), "b3")}
		got, err := s.CurrentAdminEvents(t.Context(), []string{
			adminevent.Fingerprint(ada), adminevent.Fingerprint(eve), adminevent.Fingerprint(ada), adminevent.Fingerprint(timeout("nobody@example.com", 0)), "",
		})
		if diff := cmp.Diff(want, got); diff != "" || err != nil {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
		if got, err := s.CurrentAdminEvents(t.Context(), nil); err != nil || len(got) != 0 {
			t.Errorf("of no fingerprints: %v, %v", got, err)
		}
	})
}
