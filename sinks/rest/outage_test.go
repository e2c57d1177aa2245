package rest_test

import (
	"context"
	"encoding/json"
	"fmt"
	"testing"
	"time"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/internal/simulator/simhttp"
	"github.com/postureproject/posture/outbox"
	"github.com/postureproject/posture/plugins/sdk"
	"github.com/postureproject/posture/plugins/sdk/sdktest"
	"github.com/postureproject/posture/sinks/rest"
	"github.com/postureproject/posture/sinks/sinktest"
	"github.com/postureproject/posture/store"
	"github.com/postureproject/posture/store/storetest"
)

// named makes a client the outbox's sink.
type named struct {
	*sdk.Client
}

func (named) Name() string { return rest.SummaryName }

// The other side is down for a whole run and longer, then ill, then back:
// everything arrives, each document once.
func TestOutage(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		const parts = 60
		s, collector := open(t), sinktest.NewCollector(t)
		backend := collector.Backend(map[string]any{"RETRIES": 0})
		client := sdktest.Open(t, rest.PluginSummary(), backend.Settings)
		collector.Faults.Add(simhttp.Fault{Drop: true})
		run := func() (stop func()) {
			ctx, cancel := context.WithCancel(t.Context())
			done := make(chan struct{})
			go func() {
				defer close(done)
				_ = outbox.New(outbox.Options{
					Store: s, Sinks: []outbox.Sink{named{client}}, MinBackoff: time.Millisecond, MaxBackoff: 20 * time.Millisecond, Idle: 5 * time.Millisecond,
				}).Run(ctx)
			}()
			return func() { cancel(); <-done }
		}
		stop := run()
		for i := range parts {
			d := device.Delivery{ID: fmt.Sprintf("run1/%d", i+1), Kind: device.DeliverSummary, Key: "run1", Body: json.RawMessage(fmt.Sprintf(`{"part":%d}`, i+1))}
			if err := s.EnqueueDeliveries(t.Context(), rest.SummaryName, []device.Delivery{d}); err != nil {
				t.Fatal(err)
			}
		}
		waitFor(t, "attempts", func() bool { return collector.Faults.Requests() > 5 })
		stop() // the run ends, nothing has arrived
		if n := len(backend.Stored()); n != 0 {
			t.Errorf("%d documents arrived at a side that was down", n)
		}
		collector.Faults.Clear()
		for i := range 20 {
			collector.Faults.Add([]simhttp.Fault{{Status: 503, Times: 1}, {Truncate: true, Times: 1}, {Status: 429, Times: 1}, {Drop: true, Times: 1}}[i%4])
		}
		stop = run()
		waitFor(t, "everything", func() bool {
			stats, err := s.OutboxStats(t.Context())
			return err == nil && len(stats) == 0
		})
		stop()
		stored := backend.Stored()
		for i := range parts {
			if n := stored[fmt.Sprintf("run1/%d", i+1)]; n != 1 {
				t.Errorf("part %d is stored %d times", i+1, n)
			}
		}
	})
}

func waitFor(t *testing.T, what string, done func() bool) {
	t.Helper()
	for deadline := time.Now().Add(60 * time.Second); !done(); time.Sleep(2 * time.Millisecond) {
		if time.Now().After(deadline) {
			t.Fatalf("waited too long for %s", what)
		}
	}
}
