package host

import (
	"context"
	"time"

	"github.com/postureproject/posture/adminevent"
	"github.com/postureproject/posture/config"
	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/host/recall"
	"github.com/postureproject/posture/host/scan"
)

// lastSave bounds how long a host that ends saves administration events.
const lastSave = 10 * time.Second

// EventOptions are those of a recorder of administration events under a
// configuration; the caller adds where to save and what to tell.
func EventOptions(s config.Settings) adminevent.Options {
	e := s.AdministrationEvents
	return adminevent.Options{
		DedupeWindow: e.DedupeWindow, RetentionDays: e.RetentionDays, SkipAdHoc: !e.RecordAdHoc, SkipOthers: !e.RecordNightly,
	}
}

func (h *Host) newRecorder() *adminevent.Recorder {
	o := EventOptions(h.Settings())
	o.Store, o.Logger, o.Now = h.o.Store, h.o.Logger, h.o.Now
	r := adminevent.New(o)
	h.metrics.registry.MustRegister(r.Metrics())
	return r
}

// AdminEvents gives the record of failed scans; nil without a store.
func (h *Host) AdminEvents() *adminevent.Recorder { return h.recorder }

// scanned records what failed in a scan that somebody asked for, and notes the
// events' ids in the answer.
func (h *Host) scanned(ctx context.Context, p *device.Posture, by recall.Asker) {
	if h.recorder != nil {
		h.recorder.RecordPosture(ctx, *p, circumstances(by, "scan"))
		h.countFailures(ctx, p.Sources, by)
	}
}

// LookedUp records which of the sources failed that somebody asked directly, and
// notes the events' ids in the outcomes.
func (h *Host) LookedUp(ctx context.Context, key scan.Key, value string, outcomes []device.Outcome, by recall.Asker) {
	if h.recorder == nil {
		return
	}
	about := adminevent.Device(value)
	if key == scan.ByEmail {
		about = adminevent.User(value)
	}
	h.recorder.RecordOutcomes(ctx, about, outcomes, circumstances(by, "look-up by "+string(key)))
	h.countFailures(context.WithoutCancel(ctx), outcomes, by)
}

func circumstances(by recall.Asker, operation string) adminevent.Context {
	return adminevent.Context{Trigger: by.Through, Operation: operation, AdHoc: true, Actor: by.Who, RequestID: by.Request}
}

// closeRecorder saves what is left.
func (h *Host) closeRecorder() {
	if h.recorder == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), lastSave)
	defer cancel()
	if err := h.recorder.Close(ctx); err != nil {
		h.o.Logger.Error("administration events were lost", "error", err.Error())
	}
}
