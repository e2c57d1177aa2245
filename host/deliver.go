package host

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/postureproject/posture/adminevent"
	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/host/recall"
	"github.com/postureproject/posture/outbox"
)

// deliverer hands on what waits for sinks, and begins anew when the configuration
// changes which there are.
type deliverer struct {
	host *Host

	mu      sync.Mutex
	names   []string
	current *outbox.Outbox
	changed chan struct{} // closed when names are no longer those of current
}

func newDeliverer(h *Host) *deliverer { return &deliverer{host: h, changed: make(chan struct{})} }

// names gives the plugins that take any deliveries.
func (h *Host) sinkNames() []string {
	var names []string
	for _, kind := range []string{device.DeliverDevice, device.DeliverAccess, device.DeliverSummary, device.DeliverFeedback, device.DeliverFailure} {
		names = append(names, h.sinks(kind)...)
	}
	slices.Sort(names)
	return slices.Compact(names)
}

// sinksEvery is how often it is looked whether a plugin that did not start with the
// others has started meanwhile, and is a sink.
const sinksEvery = time.Second

// renew has the delivering begin anew if there are other sinks now.
func (d *deliverer) renew() {
	d.mu.Lock()
	defer d.mu.Unlock()
	if !slices.Equal(d.names, d.host.sinkNames()) {
		close(d.changed)
		d.changed = make(chan struct{})
	}
}

// run delivers until the context ends.
func (d *deliverer) run(ctx context.Context) {
	for ctx.Err() == nil {
		box, changed := d.begin()
		running, stop := context.WithCancel(ctx)
		var group sync.WaitGroup
		group.Go(func() { _ = box.Run(running) }) // which fails at nothing that it does not tell its observer
		d.await(ctx, changed)
		stop()
		group.Wait()
	}
}

// await returns when there are other sinks, or when the context ends.
func (d *deliverer) await(ctx context.Context, changed <-chan struct{}) {
	tick := time.NewTicker(sinksEvery)
	defer tick.Stop()
	for {
		select {
		case <-changed:
			return
		case <-ctx.Done():
			return
		case <-tick.C:
			d.renew()
		}
	}
}

// begin makes the outbox of the sinks that there are now.
func (d *deliverer) begin() (*outbox.Outbox, <-chan struct{}) {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.names = d.host.sinkNames()
	var sinks []outbox.Sink
	for _, name := range d.names {
		if p, ok := d.host.sup.Plugin(name); ok {
			sinks = append(sinks, p)
		}
	}
	d.current = outbox.New(outbox.Options{
		Store: d.host.o.Store, Sinks: sinks, Logger: d.host.o.Logger, Now: d.host.o.Now, Observer: d.host.outboxObserver(),
	})
	return d.current, d.changed
}

// status tells how deliveries fare.
func (d *deliverer) status() []outbox.Status {
	d.mu.Lock()
	box := d.current
	d.mu.Unlock()
	if box == nil {
		return nil
	}
	return box.Status()
}

func (d *deliverer) wake() {
	d.mu.Lock()
	box := d.current
	d.mu.Unlock()
	if box != nil {
		box.Wake()
	}
}

// outboxObserver counts deliveries, and makes administration events of what an
// administrator must decide on.
func (h *Host) outboxObserver() outbox.Observer {
	return outbox.Observer{
		Delivered: func(sink string, n int) { h.metrics.delivered.WithLabelValues(sink).Add(float64(n)) },
		Failed: func(sink string, kind fault.Kind, n int) {
			h.metrics.undelivered.WithLabelValues(sink, kind.String()).Add(float64(n))
		},
		Dead: func(sink string, e outbox.Entry, err error) {
			h.metrics.dead.WithLabelValues(sink).Inc()
			h.sinkEvent(sink, "sink-refused", fmt.Sprintf("%s refused a document of kind %s: %s", sink, e.Kind, err.Error()),
				"See posture outbox list --dead; mend the sink and use posture outbox retry, or drop the document.")
		},
		Full: func(sink string, full bool) {
			if full {
				h.sinkEvent(sink, "sink-full", sink+" has been down so long that the room for what waits is nearly used up",
					"Bring the sink up again, or raise outbox.max_megabytes.")
			}
		},
	}
}

func (h *Host) sinkEvent(sink, code, message, hint string) {
	h.recorder.Record(context.Background(), adminevent.Event{
		Type: adminevent.TypeGeneric, Level: adminevent.LevelError, Domain: adminevent.DomainSources,
		Resource: adminevent.Resource{Type: adminevent.ResourceSource, ID: sink, Name: sink},
		Code:     code, Source: sink, Message: message, Hint: hint, Trigger: adminevent.TriggerNightly, Operation: "deliver",
	})
}

// passOnLimit bounds how long a document may take until it is queued, however long
// whoever asked would wait: a store that hangs must not hold up answers.
const passOnLimit = 5 * time.Second

// enqueue puts a document into the queue of every sink that takes its kind. That
// there is no room for one of them keeps it from no other.
func (h *Host) enqueue(ctx context.Context, d device.Delivery) error {
	ctx, cancel := context.WithTimeout(ctx, passOnLimit)
	defer cancel()
	sinks := h.sinks(d.Kind)
	failed := make([]error, len(sinks))
	for i, sink := range sinks {
		failed[i] = h.o.Store.EnqueueDeliveries(ctx, sink, []device.Delivery{d})
	}
	if len(sinks) > 0 && h.deliverer != nil {
		h.deliverer.wake()
	}
	return errors.Join(failed...)
}

// Access is one look at somebody's records.
type access struct {
	Timestamp string          `json:"timestamp"`
	User      string          `json:"user"`
	Method    string          `json:"method"`
	Path      string          `json:"path"`
	Email     string          `json:"email,omitempty"`
	Status    int             `json:"status"`
	Remote    string          `json:"remote,omitempty"`
	RequestID string          `json:"request_id,omitempty"`
	Data      json.RawMessage `json:"data,omitempty"`
}

// LogsAccess reports whether a sink wants to know of every look at records.
func (h *Host) LogsAccess() bool { return h.o.Store != nil && len(h.sinks(device.DeliverAccess)) > 0 }

// Accessed passes on one look at somebody's records, with what was shown.
func (h *Host) Accessed(ctx context.Context, a recall.Look) {
	at := h.o.Now().UTC()
	body, err := json.Marshal(access{
		Timestamp: at.Format("2006-01-02T15:04:05.000Z07:00"), User: a.Who, Method: a.Method, Path: a.Path, Email: a.Email,
		Status: a.Status, Remote: a.Remote, RequestID: a.Request, Data: a.Shown,
	})
	if err == nil {
		err = h.enqueue(context.WithoutCancel(ctx), device.Delivery{ID: uuid.NewString(), Kind: device.DeliverAccess, At: at, Body: body})
	}
	if err != nil {
		h.o.Logger.ErrorContext(ctx, "an access was not passed on to the sinks", "error", err.Error())
	}
}

// queueFeedback accepts a person's answer for a sink: once it is in the queue it
// is not lost.
func (h *Host) queueFeedback(ctx context.Context, sink string, f device.Feedback) error {
	if h.o.Store == nil {
		return fault.New(fault.Unavailable, "answers cannot be kept without a store")
	}
	body, err := json.Marshal(f)
	if err != nil {
		return fault.New(fault.Internal, "encode the answer: %w", err)
	}
	d := device.Delivery{ID: uuid.NewString(), Kind: device.DeliverFeedback, Key: f.UserID, At: h.o.Now().UTC(), Body: body}
	if err := h.o.Store.EnqueueDeliveries(ctx, sink, []device.Delivery{d}); err != nil {
		return err
	}
	h.deliverer.wake()
	return nil
}

// countFailures tells the sinks that count failures of those of a scan.
func (h *Host) countFailures(ctx context.Context, outcomes []device.Outcome, by recall.Asker) {
	if h.o.Store == nil || len(h.sinks(device.DeliverFailure)) == 0 {
		return
	}
	for _, o := range outcomes {
		if o.OK {
			continue
		}
		at := h.o.Now().UTC()
		body, err := json.Marshal(map[string]string{
			"name": "posture.source.failure", "kind": o.Kind, "plugin": o.Plugin, "namespace": o.Namespace, "method": by.Through,
		})
		if err == nil {
			err = h.enqueue(ctx, device.Delivery{ID: uuid.NewString(), Kind: device.DeliverFailure, At: at, Body: body})
		}
		if err != nil {
			h.o.Logger.ErrorContext(ctx, "a failure was not passed on to the sinks", "error", err.Error())
		}
	}
}

// drain waits until the sinks have taken all that waits for them.
func (d *deliverer) drain(ctx context.Context) error {
	d.mu.Lock()
	box := d.current
	d.mu.Unlock()
	if box == nil {
		return nil
	}
	return box.Drain(ctx)
}
