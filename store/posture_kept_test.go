package store_test

import (
	"strings"
	"testing"
	"time"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/store"
	"github.com/postureproject/posture/store/storetest"
)

// What is given as it was kept is what decoding it would give, with its time.
func TestKeptPosture(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		s := open(t)
		at := time.Date(2026, 3, 1, 12, 0, 0, 123456789, time.UTC)
		for _, model := range []string{"short", strings.Repeat("a <long> “one” ", 1000)} {
			p := device.Posture{Email: "Ada@example.com", Devices: []device.Device{{Model: model}}, GeneratedAt: at}
			if err := s.SavePosture(t.Context(), p, nil); err != nil {
				t.Fatal(err)
			}
			doc, generated, err := s.KeptPosture(t.Context(), "ADA@example.com")
			same, sameErr := s.PostureJSON(t.Context(), "ada@example.com")
			if err != nil || sameErr != nil || string(doc) != string(same) || !generated.Equal(at.Truncate(time.Microsecond)) {
				t.Errorf("%.20s: %.200s of %v, %v; want %.200s, %v", model, doc, generated, err, same, sameErr)
			}
		}
		if _, _, err := s.KeptPosture(t.Context(), "nobody@example.com"); !fault.IsNotFound(err) {
			t.Errorf("nobody: %v", err)
		}
		if _, _, err := s.KeptPosture(t.Context(), ""); fault.KindOf(err) != fault.Invalid {
			t.Errorf("no address: %v", err)
		}
	})
}
