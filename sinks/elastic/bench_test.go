package elastic_test

import (
	"fmt"
	"testing"
	"time"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/internal/elastictest"
	"github.com/postureproject/posture/plugins/sdk/sdktest"
	"github.com/postureproject/posture/sinks/elastic"
)

// BenchmarkDeliver writes devices of usual size into a real server, a thousand at
// a time.
func BenchmarkDeliver(b *testing.B) {
	s := elastictest.Start(b)
	prefix := s.Prefix(b)
	sink := sdktest.Open(b, elastic.PluginBatch(), with(s.URL, map[string]any{"ELASTICSEARCH_INDEX_PREFIX": prefix}), sdktest.WithTimeout(time.Minute))
	deliveries := make([]device.Delivery, 1000)
	for i := range deliveries {
		deliveries[i] = full(b, "", november)
	}
	n := 0
	for b.Loop() {
		for i := range deliveries {
			n++
			deliveries[i].ID = fmt.Sprint(n)
		}
		if _, err := sink.Deliver(b.Context(), deliveries); err != nil {
			b.Fatal(err)
		}
	}
	b.ReportMetric(float64(n)/b.Elapsed().Seconds(), "documents/s")
}
