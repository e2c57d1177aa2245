package rest

import (
	"encoding/json"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/plugins/sdk"
	"github.com/postureproject/posture/sinks/post"
)

// SummaryName is the summary sink's name in a configuration.
const SummaryName = "batch_restful_summary"

// PluginSummary describes the sink of summaries.
func PluginSummary() sdk.Plugin {
	return post.Plugin(SummaryName, "POSTs the devices of each finished run to an HTTP address", device.DeliverSummary, summary)
}

// summary gives the document as the run made it.
func summary(d device.Delivery) ([]byte, error) {
	if !json.Valid(d.Body) {
		return nil, fault.New(fault.Invalid, "the document is no JSON")
	}
	return d.Body, nil
}
