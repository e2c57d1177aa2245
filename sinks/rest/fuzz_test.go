package rest

import (
	"encoding/json"
	"testing"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
)

// Whatever stands in a queue or comes from a browser: the answer is checked, or
// refused for good, and what is sent is JSON.
func FuzzEncode(f *testing.F) {
	f.Add([]byte(`{"user_id":"ada@example.com","id":"n1","feedback":{"mine":true},"notes":"x","source":"posture"}`))
	f.Add([]byte(`{"user_id":"Ada <ada@example.com>","id":"","feedback":null}`))
	f.Add([]byte(`[]`))
	f.Fuzz(func(t *testing.T, body []byte) {
		var answer device.Feedback
		if json.Unmarshal(body, &answer) != nil {
			return
		}
		document, err := encode(answer)
		switch {
		case err != nil && fault.KindOf(err) != fault.Invalid:
			t.Errorf("refused as %s: %v", fault.KindOf(err), err)
		case err == nil && (!json.Valid(document) || answer.ID == "" || answer.UserID == ""):
			t.Errorf("sends %s", document)
		}
	})
}
