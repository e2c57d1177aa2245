package atlas

import (
	"encoding/json"
	"testing"

	"github.com/postureproject/posture/device"
)

func FuzzPoint(f *testing.F) {
	f.Add([]byte(`{"name":"posture.errors","kind":"timeout","plugin":"jamf","route":"/api/v1/posture/{email}"}`))
	f.Add([]byte(`{"name":"é","kind":"\u0000"}`))
	f.Add([]byte(`null`))
	f.Fuzz(func(t *testing.T, body []byte) {
		text, err := point(device.Delivery{ID: "x", Kind: device.DeliverFailure, Body: body})
		if err != nil {
			if !device.Refused(err) {
				t.Errorf("to be tried again: %v", err)
			}
			return
		}
		var c counter
		if err := json.Unmarshal(text, &c); err != nil || c.Value != 1 || c.Type != "COUNTER" || c.Timestamp <= 0 || c.Name == "" || c.Tags["kind"] == "" {
			t.Errorf("sends %s (%v)", text, err)
		}
	})
}
