package batch

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strconv"
	"time"

	"github.com/postureproject/posture/device"
)

// summaryAtOnce is how many people one summary document is about.
const summaryAtOnce = 500

// send is the last phase: the summary, the statistics, the end.
func (x *execution) send() error {
	if !x.run.CollectOnly && len(x.SummarySinks) > 0 {
		if err := x.sendSummary(); err != nil {
			return err
		}
	}
	if err := x.count(); err != nil {
		return err
	}
	finished := x.Now().UTC()
	x.run.FinishedAt, x.run.Phase = &finished, Over
	return x.patient(x.hands, func() error { return x.Store.FinishBatchRun(x.hands, x.run) })
}

// sendSummary puts the summary into the outbox, some people at a time; how far it
// is, is written with each document.
func (x *execution) sendSummary() error {
	for {
		if err := x.stop.Err(); err != nil {
			return err
		}
		people, err := patiently(x.hands, x, func() ([]Person, error) {
			return x.Store.People(x.hands, x.run.ID, x.run.Sent, summaryAtOnce)
		})
		if err != nil || len(people) == 0 {
			return err
		}
		emails := make([]string, len(people))
		for i, p := range people {
			emails[i] = p.Email
		}
		last := emails[len(emails)-1]
		of, err := patiently(x.hands, x, func() (map[string][]device.Device, error) { return x.Store.LastDevices(x.hands, emails) })
		if err != nil {
			return err
		}
		deliveries, err := x.Composer.Summary(x.run, emails[0], devicesOf(emails, of))
		if err != nil {
			return err
		}
		err = x.patient(x.hands, func() error {
			return x.Store.SendSummary(x.hands, x.run.ID, x.run.Sent, last, x.SummarySinks, deliveries)
		})
		if err != nil {
			return err
		}
		x.run.Sent = last
	}
}

// syncedWithin is how recently a device must have synced to be in the summary.
const syncedWithin = 14 * 24 * time.Hour

// Documents is the usual [Composer]. A document about a device is the device with
// its person's address and the time of the report, without the source's raw text.
// All documents of a run have fixed ids, so that one sent again is the same one.
type Documents struct{}

// document is what a sink gets about one device.
type document struct {
	device.Device
	ReportDate time.Time `json:"report_date"`
}

// Person implements [Composer].
func (Documents) Person(run Run, p device.Posture) ([]device.Delivery, error) {
	deliveries := make([]device.Delivery, 0, len(p.Devices))
	for i, d := range p.Devices {
		d.Email, d.Raw = p.Email, nil
		body, err := encode(document{Device: d, ReportDate: p.GeneratedAt})
		if err != nil {
			return nil, fmt.Errorf("encode a device of %s: %w", p.Email, err)
		}
		deliveries = append(deliveries, device.Delivery{
			ID: run.ID + "/" + p.Email + "/" + strconv.Itoa(i), Kind: device.DeliverDevice, Key: p.Email, At: p.GeneratedAt, Body: body,
		})
	}
	return deliveries, nil
}

// Summary implements [Composer].
func (Documents) Summary(run Run, number string, devices []device.Device) ([]device.Delivery, error) {
	recent := make([]device.Device, 0, len(devices))
	for _, d := range devices {
		if !d.LastSync.IsZero() && run.StartedAt.Sub(d.LastSync) <= syncedWithin {
			d.Raw = nil
			recent = append(recent, d)
		}
	}
	if len(recent) == 0 {
		return nil, nil
	}
	body, err := encode(recent)
	if err != nil {
		return nil, fmt.Errorf("encode the summary: %w", err)
	}
	return []device.Delivery{{
		ID: run.ID + "/summary/" + number, Kind: device.DeliverSummary, Key: run.ID, At: run.StartedAt, Body: body,
	}}, nil
}

func encode(v any) (json.RawMessage, error) {
	var b bytes.Buffer
	e := json.NewEncoder(&b)
	e.SetEscapeHTML(false)
	if err := e.Encode(v); err != nil {
		return nil, err
	}
	return bytes.TrimSuffix(b.Bytes(), []byte("\n")), nil
}
