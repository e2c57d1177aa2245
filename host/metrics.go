package host

import (
	"sync"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"

	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/host/supervise"
	"github.com/postureproject/posture/outbox"
)

// metrics are the host's figures for Prometheus. They implement
// [supervise.Observer].
type metrics struct {
	registry *prometheus.Registry
	calls    *prometheus.CounterVec
	errors   *prometheus.CounterVec
	latency  *prometheus.HistogramVec
	restarts *prometheus.CounterVec
	breaker  *prometheus.GaugeVec
	reloadOK prometheus.Gauge
	reloadAt prometheus.Gauge

	delivered, undelivered, dead *prometheus.CounterVec

	// operations keeps the series of a call at hand: to look them up by their
	// labels takes longer than to count.
	operations sync.Map // of [2]string, plugin and operation, to operation
}

// operation is what is counted of every call.
type operation struct {
	calls   prometheus.Counter
	latency prometheus.Observer
}

func newMetrics() *metrics {
	m := &metrics{
		registry: prometheus.NewRegistry(),
		calls: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "posture_source_calls_total", Help: "Calls on a plugin, by operation.",
		}, []string{"plugin", "operation"}),
		errors: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "posture_source_errors_total", Help: "Failed calls on a plugin, by kind of failure.",
		}, []string{"plugin", "kind"}),
		latency: prometheus.NewHistogramVec(prometheus.HistogramOpts{
			Name: "posture_source_call_seconds", Help: "How long calls on a plugin took.",
			Buckets: []float64{.001, .005, .01, .025, .05, .1, .25, .5, 1, 2.5, 5, 10, 30},
		}, []string{"plugin", "operation"}),
		restarts: prometheus.NewCounterVec(prometheus.CounterOpts{
			Name: "posture_plugin_restarts_total", Help: "How often a plugin was started again after it had ended by itself.",
		}, []string{"plugin"}),
		breaker: prometheus.NewGaugeVec(prometheus.GaugeOpts{
			Name: "posture_source_breaker_state", Help: "1 for the state that a plugin's circuit breaker is in, 0 for the others.",
		}, []string{"plugin", "state"}),
		reloadOK: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "posture_config_last_reload_successful", Help: "Whether the last reload of the configuration succeeded.",
		}),
		reloadAt: prometheus.NewGauge(prometheus.GaugeOpts{
			Name: "posture_config_last_reload_success_timestamp_seconds", Help: "When the configuration was last loaded with success.",
		}),
	}
	m.delivered = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "posture_outbox_delivered_total", Help: "Documents that a sink has taken.",
	}, []string{"sink"})
	m.undelivered = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "posture_outbox_failed_total", Help: "Attempts to deliver a document that failed, by kind of failure.",
	}, []string{"sink", "kind"})
	m.dead = prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "posture_outbox_dead_total", Help: "Documents that were set aside.",
	}, []string{"sink"})
	m.registry.MustRegister(m.delivered, m.undelivered, m.dead)
	m.registry.MustRegister(m.calls, m.errors, m.latency, m.restarts, m.breaker, m.reloadOK, m.reloadAt,
		collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}), collectors.NewBuildInfoCollector())
	m.reloaded(nil)
	return m
}

// version adds a constant that names the version that runs.
func (m *metrics) version(v string) {
	m.registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "posture_build_info", Help: "1, with the version that runs.", ConstLabels: prometheus.Labels{"version": v},
	}, func() float64 { return 1 }))
}

// watch adds what is read off the supervisor when the metrics are asked for.
func (m *metrics) watch(sup *supervise.Supervisor) {
	m.registry.MustRegister(&stateCollector{sup: sup, desc: prometheus.NewDesc(
		"posture_plugin_up", "Whether the plugin's process is running.", []string{"plugin", "version"}, nil,
	)})
}

// CallDone implements [supervise.Observer].
func (m *metrics) CallDone(plugin, op string, took time.Duration, err error) {
	key := [2]string{plugin, op}
	series, known := m.operations.Load(key)
	if !known {
		series, _ = m.operations.LoadOrStore(key, operation{m.calls.WithLabelValues(plugin, op), m.latency.WithLabelValues(plugin, op)})
	}
	if o, ok := series.(operation); ok {
		o.calls.Inc()
		o.latency.Observe(took.Seconds())
	}
	if err != nil {
		m.errors.WithLabelValues(plugin, fault.KindOf(err).String()).Inc()
	}
}

// Restarted implements [supervise.Observer].
func (m *metrics) Restarted(plugin string) { m.restarts.WithLabelValues(plugin).Inc() }

// BreakerChanged implements [supervise.Observer].
func (m *metrics) BreakerChanged(plugin, state string) {
	m.restarts.WithLabelValues(plugin) // so that the series starts at zero
	for _, s := range []string{"closed", "half-open", "open"} {
		value := 0.0
		if s == state {
			value = 1
		}
		m.breaker.WithLabelValues(plugin, s).Set(value)
	}
}

func (m *metrics) reloaded(err error) {
	if err != nil {
		m.reloadOK.Set(0)
		return
	}
	m.reloadOK.Set(1)
	m.reloadAt.SetToCurrentTime()
}

// outboxCollector tells what waits for sinks when the metrics are asked for.
type outboxCollector struct {
	status                                 func() []outbox.Status
	waiting, bytes, limit, full, age, dead *prometheus.Desc
	now                                    func() time.Time
}

func newOutboxCollector(status func() []outbox.Status, now func() time.Time) *outboxCollector {
	desc := func(name, help string) *prometheus.Desc {
		return prometheus.NewDesc("posture_outbox_"+name, help, []string{"sink"}, nil)
	}
	return &outboxCollector{
		status: status, now: now,
		waiting: desc("waiting", "Documents that wait for a sink."), bytes: desc("bytes", "Bytes that wait for a sink or are set aside."),
		limit: desc("limit_bytes", "Bytes up to which documents are taken for a sink."),
		full:  desc("full", "Whether nine tenths of that are used."),
		age:   desc("oldest_seconds", "How long the oldest document has waited for a sink."), dead: desc("dead", "Documents that are set aside."),
	}
}

// Describe implements [prometheus.Collector].
func (c *outboxCollector) Describe(ch chan<- *prometheus.Desc) { prometheus.DescribeByCollect(c, ch) }

// Collect implements [prometheus.Collector].
func (c *outboxCollector) Collect(ch chan<- prometheus.Metric) {
	for _, s := range c.status() {
		age := 0.0
		if !s.Oldest.IsZero() {
			age = max(0, c.now().Sub(s.Oldest).Seconds())
		}
		for desc, value := range map[*prometheus.Desc]float64{
			c.waiting: float64(s.Waiting), c.bytes: float64(s.Bytes), c.limit: float64(s.Limit), c.full: zeroOrOne(s.Full), c.age: age, c.dead: float64(s.Dead),
		} {
			ch <- prometheus.MustNewConstMetric(desc, prometheus.GaugeValue, value, s.Sink)
		}
	}
}

type stateCollector struct {
	sup  *supervise.Supervisor
	desc *prometheus.Desc
}

func (c *stateCollector) Describe(ch chan<- *prometheus.Desc) { ch <- c.desc }

func (c *stateCollector) Collect(ch chan<- prometheus.Metric) {
	for _, p := range c.sup.Plugins() {
		s := p.Status()
		up := 0.0
		if s.State == "ready" {
			up = 1
		}
		ch <- prometheus.MustNewConstMetric(c.desc, prometheus.GaugeValue, up, s.Name, s.Description.Version)
	}
}
