package rest

import (
	"context"
	"encoding/json"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/plugins/sdk"
	"github.com/postureproject/posture/sinks/post"
)

// SummaryName is the summary sink's name in a configuration.
const SummaryName = "batch_restful_summary"

// SummaryConfig configures the summary sink.
type SummaryConfig struct {
	post.Settings
}

// Summary posts what a run found.
type Summary struct{ client *post.Client }

// PluginSummary describes the sink of summaries.
func PluginSummary() sdk.Plugin {
	return sdk.Definition[SummaryConfig, *Summary]{
		Name: SummaryName, Version: "1.0.0", Summary: "POSTs the devices of each finished run to an HTTP address",
		Accepts: []string{device.DeliverSummary},
		New: func(_ context.Context, c SummaryConfig, env sdk.Env) (*Summary, error) {
			client, err := post.New(SummaryName, c.Settings, env)
			return &Summary{client: client}, err
		},
	}
}

// Deliver implements [sdk.Deliverer].
func (s *Summary) Deliver(ctx context.Context, deliveries []device.Delivery) []error {
	return s.client.Each(ctx, deliveries, func(d device.Delivery) ([]byte, error) {
		if d.Kind != device.DeliverSummary {
			return nil, fault.InvalidField("kind", d.Kind, "is not for this sink", "")
		}
		if !json.Valid(d.Body) {
			return nil, fault.New(fault.Invalid, "the document is no JSON")
		}
		return d.Body, nil
	})
}

// TestConnectivity implements [sdk.ConnectivityTester].
func (s *Summary) TestConnectivity(ctx context.Context) (string, error) {
	return s.client.TestConnectivity(ctx)
}
