package batch_test

import (
	"strings"
	"testing"

	"github.com/postureproject/posture/batch"
	"github.com/postureproject/posture/device"
)

// A device whose list of software is larger than any document may be is passed on
// without it.
func TestDocuments_large(t *testing.T) {
	t.Parallel()
	large := device.Device{
		Source: "mdm", Name: "laptop", LastSync: today(),
		Software: &device.Software{Installed: []device.Application{{Name: strings.Repeat("x", device.MaxDelivery)}}},
	}
	run := batch.Run{ID: "run", StartedAt: today()}
	person, err := batch.Documents{}.Person(run, device.Posture{Email: "ada@example.com", Devices: []device.Device{large}, GeneratedAt: today()})
	if err != nil || len(person) != 1 {
		t.Fatalf("%d documents, error %v", len(person), err)
	}
	summary, err := batch.Documents{}.Summary(run, batch.Part{Number: 1, Of: 1}, []device.Device{large, {Source: "mdm", Name: "phone", LastSync: today()}})
	if err != nil || len(summary) != 2 {
		t.Fatalf("%d summaries, error %v", len(summary), err)
	}
	for _, d := range append(person, summary[0]) {
		body := string(d.Body)
		if len(body) > device.MaxDelivery || !strings.Contains(body, `"laptop"`) || !strings.Contains(body, "too large") {
			t.Errorf("%s: %d bytes, %.200s", d.ID, len(body), body)
		}
	}
	if large.Software == nil || len(large.Notes) > 0 {
		t.Error("the record itself was changed")
	}
}
