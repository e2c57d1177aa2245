package esnotifications

import (
	"encoding/json"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/plugins/sdk/escluster"
)

// ReadAnswer does with the body of an answer what a look-up does.
func ReadAnswer(body []byte, email string) []device.Notification {
	_ = escluster.ReadRefusal(400, body)
	var answer searchAnswer
	if json.Unmarshal(body, &answer) != nil {
		return nil
	}
	var kept []alert
	for _, raw := range answer.Hits.Hits {
		if a, ok := readAlert(raw, []string{"timestamp", "event.created"}); ok && a.isFor(email) {
			kept = append(kept, a)
		}
	}
	return newest(kept, 10)
}
