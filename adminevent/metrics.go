package adminevent

import (
	"strings"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are a recorder's figures. No label tells who or what was scanned.
type Metrics struct {
	occurrences *prometheus.CounterVec
	foldedBy    *prometheus.CounterVec
	failures    prometheus.Counter
	waiting     *prometheus.Desc
	pending     func() int
}

func newMetrics() *Metrics {
	return &Metrics{
		occurrences: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "posture_admin_event_occurrences_total", Help: "Failures that administration events were made of.",
		}, []string{"domain", "level", "resource_type", "source", "code"}),
		foldedBy: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "posture_admin_event_folded_total",
			Help: "Failures that were counted on their source, because too many subjects failed alike or the store was down.",
		}, []string{"source", "code"}),
		failures: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "posture_admin_event_store_failures_total", Help: "Attempts to save administration events that failed.",
		}),
		waiting: prometheus.NewDesc("posture_admin_events_pending", "Administration events that are in memory only.", nil, nil),
	}
}

func (m *Metrics) occurred(e Event) {
	m.occurrences.WithLabelValues(e.Domain, strings.ToLower(e.Level.Word()), e.Resource.Type, e.Source, e.Code).Add(float64(e.NumOccurrences))
}

func (m *Metrics) folded(e Event) {
	m.foldedBy.WithLabelValues(e.Source, e.Code).Add(float64(e.NumOccurrences))
}

// Describe implements [prometheus.Collector].
func (m *Metrics) Describe(ch chan<- *prometheus.Desc) {
	m.occurrences.Describe(ch)
	m.foldedBy.Describe(ch)
	m.failures.Describe(ch)
	ch <- m.waiting
}

// Collect implements [prometheus.Collector].
func (m *Metrics) Collect(ch chan<- prometheus.Metric) {
	m.occurrences.Collect(ch)
	m.foldedBy.Collect(ch)
	m.failures.Collect(ch)
	ch <- prometheus.MustNewConstMetric(m.waiting, prometheus.GaugeValue, float64(m.pending()))
}
