package atlas_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"go.uber.org/goleak"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/plugins/sdk/sdktest"
	"github.com/postureproject/posture/sinks/atlas"
	"github.com/postureproject/posture/sinks/sinktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func TestSink(t *testing.T) {
	t.Parallel()
	sinktest.Run(t, sinktest.Case{
		Plugin: atlas.Plugin(), New: func(t *testing.T) sinktest.Backend {
			return sinktest.NewCollector(t).Backend(map[string]any{"USERNAME": "ada", "PASSWORD": "hunter2-pw"})
		},
	})
}

func TestPoints(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 11, 3, 4, 5, 6, 789_999_000, time.UTC)
	for name, c := range map[string]struct {
		body    string
		want    map[string]any
		refused bool
	}{
		"full": {
			body: `{"name":"posture.errors","kind":"timeout","plugin":"jamf","namespace":"sources.devices","method":"GET","route":"/api/v1/posture/{email}"}`,
			want: map[string]any{
				"timestamp": 1793678706789.0, "type": "COUNTER", "name": "posture.errors", "value": 1.0,
				"tags": map[string]any{"kind": "timeout", "plugin": "jamf", "namespace": "sources.devices", "method": "GET", "route": "_api_v1_posture__email_"},
			},
		},
		"least": {
			body: `{"name":"errors","kind":"internal"}`,
			want: map[string]any{"timestamp": 1793678706789.0, "type": "COUNTER", "name": "errors", "value": 1.0, "tags": map[string]any{"kind": "internal"}},
		},
		"odd names": {
			body: `{"name":"errors now\u0000é","kind":"` + strings.Repeat("x", 200) + `"}`,
			want: map[string]any{
				"timestamp": 1793678706789.0, "type": "COUNTER", "name": "errors_now__", "value": 1.0, "tags": map[string]any{"kind": strings.Repeat("x", 120)},
			},
		},
		"no name":    {body: `{"kind":"internal"}`, refused: true},
		"no kind":    {body: `{"name":"errors"}`, refused: true},
		"wrong type": {body: `{"name":7,"kind":"internal"}`, refused: true},
		"list":       {body: `[]`, refused: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			collector := sinktest.NewCollector(t)
			client := sdktest.Open(t, atlas.Plugin(), collector.Backend(nil).Settings)
			errs, err := client.Deliver(t.Context(), []device.Delivery{{ID: "f1", Kind: device.DeliverFailure, At: at, Body: json.RawMessage(c.body)}})
			if err != nil {
				t.Fatal(err)
			}
			if device.Refused(errs[0]) != c.refused || !c.refused && errs[0] != nil {
				t.Fatalf("%v", errs[0])
			}
			if c.refused {
				return
			}
			text, _ := collector.Document("f1")
			var got map[string]any
			if err := json.Unmarshal(text, &got); err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(c.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}
