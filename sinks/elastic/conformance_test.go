package elastic_test

import (
	"testing"

	simulator "github.com/postureproject/posture/internal/simulator/elastic"
	"github.com/postureproject/posture/plugins/sdk"
	"github.com/postureproject/posture/sinks/elastic"
	"github.com/postureproject/posture/sinks/sinktest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	const password = "correct horse battery"
	for name, plugin := range map[string]sdk.Plugin{elastic.BatchName: elastic.PluginBatch(), elastic.LoggerName: elastic.PluginLogger()} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			sinktest.Run(t, sinktest.Case{Plugin: plugin, Bulk: true, New: func(t *testing.T) sinktest.Backend {
				s, url := newCluster(t, simulator.Options{Username: "posture", Password: password})
				return sinktest.Backend{
					Settings: with(url, map[string]any{
						"ELASTICSEARCH_USERNAME": "posture", "ELASTICSEARCH_PASSWORD": password, "ELASTICSEARCH_DOCTYPE": "default",
					}),
					Faults: &s.Faults,
					Stored: func() map[string]int {
						stored := map[string]int{}
						for _, index := range s.Indices() {
							for id := range s.Documents(index) {
								stored[id]++
							}
						}
						return stored
					},
					Limit: s.SetMaxBulk,
					Refuse: func(id string) {
						s.FailItems(simulator.ItemFault{ID: id, Status: 400, Type: "document_parsing_exception", Reason: "failed to parse field [last_sync]"})
					},
				}
			}})
		})
	}
}
