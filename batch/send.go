package batch

import (
	"bytes"
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"time"

	"github.com/postureproject/posture/device"
)

// summaryAtOnce is how many people one summary document is about.
const summaryAtOnce = 100

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
	finished := x.Now().UTC().Truncate(time.Microsecond)
	x.run.FinishedAt, x.run.Phase = &finished, Over
	return x.patient(x.hands, func() error { return x.Store.FinishBatchRun(x.hands, x.run) })
}

// sendSummary puts the summary into the outbox, some people at a time; how far it
// is, is written with each document.
func (x *execution) sendSummary() error {
	var lasts []string // the last address of each part
	n := 0
	err := x.eachPerson(func(p Person) {
		if n%summaryAtOnce == 0 {
			lasts = append(lasts, "")
		}
		lasts[len(lasts)-1] = p.Email
		n++
	})
	if err != nil {
		return err
	}
	for i, last := range lasts {
		if last <= x.run.Sent {
			continue
		}
		if err := x.stop.Err(); err != nil {
			return err
		}
		people, err := patiently(x.hands, x, func() ([]Person, error) {
			return x.Store.People(x.hands, x.run.ID, x.run.Sent, summaryAtOnce)
		})
		if err != nil {
			return err
		}
		emails := make([]string, len(people))
		for i, p := range people {
			emails[i] = p.Email
		}
		of, err := patiently(x.hands, x, func() (map[string][]device.Device, error) { return x.Store.LastDevices(x.hands, emails) })
		if err != nil {
			return err
		}
		deliveries, err := x.Composer.Summary(x.run, Part{i + 1, len(lasts)}, devicesOf(emails, of))
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
	return nil
}

// syncedWithin is how recently a device must have synced to be in the summary.
const syncedWithin = 14 * 24 * time.Hour

// Documents is the usual [Composer]: it makes the documents that package device
// describes, without the sources' raw text. All documents of a run have fixed ids,
// so that one sent again is the same one.
type Documents struct{}

// document is what a sink gets about one device.
type document struct {
	device.Device
	ReportDate time.Time `json:"report_date"`
	Run        string    `json:"run"`
}

func documentOf(run Run, d device.Device) document {
	d.Raw = nil
	return document{Device: d, ReportDate: run.StartedAt, Run: run.ID}
}

// lighter leaves out of a device what may be larger than sinks take, so that one
// odd record does not keep a run from ending.
func lighter(d device.Device) device.Device {
	d.Software = nil
	d.Notes = append(slices.Clip(d.Notes), "The list of software was too large to be passed on.")
	return d
}

// summary is what a sink gets at the end of a run.
type summary struct {
	Run         string     `json:"run"`
	GeneratedAt time.Time  `json:"generated_at"`
	Part        int        `json:"part"`
	Parts       int        `json:"parts"`
	Devices     []document `json:"devices"`
}

// Person implements [Composer].
func (Documents) Person(run Run, p device.Posture) ([]device.Delivery, error) {
	deliveries := make([]device.Delivery, 0, len(p.Devices))
	for i, d := range p.Devices {
		d.Email = p.Email
		body, err := encode(documentOf(run, d))
		if len(body) > device.MaxDelivery {
			body, err = encode(documentOf(run, lighter(d)))
		}
		if err != nil {
			return nil, fmt.Errorf("encode a device of %s: %w", p.Email, err)
		}
		deliveries = append(deliveries, device.Delivery{
			ID: run.ID + "/" + p.Email + "/" + strconv.Itoa(i), Kind: device.DeliverDevice,
			Key: p.Email + "/" + strconv.Itoa(i), At: p.GeneratedAt, Body: body,
		})
	}
	return deliveries, nil
}

// Summary implements [Composer]. A part that is too large for one document comes in
// several of the same number.
func (Documents) Summary(run Run, part Part, devices []device.Device) ([]device.Delivery, error) {
	recent := []document{}
	for _, d := range devices {
		if !d.LastSync.IsZero() && run.StartedAt.Sub(d.LastSync) <= syncedWithin {
			recent = append(recent, documentOf(run, d))
		}
	}
	return summaries(run, part, run.ID+"/summary/"+strconv.Itoa(part.Number), recent)
}

func summaries(run Run, part Part, id string, devices []document) ([]device.Delivery, error) {
	body, err := encode(summary{Run: run.ID, GeneratedAt: run.StartedAt, Part: part.Number, Parts: part.Of, Devices: devices})
	if err != nil {
		return nil, fmt.Errorf("encode the summary: %w", err)
	}
	if len(body) > device.MaxDelivery && len(devices) == 1 && devices[0].Software != nil {
		devices[0].Device = lighter(devices[0].Device)
		return summaries(run, part, id, devices)
	}
	if half := len(devices) / 2; len(body) > device.MaxDelivery/2 && half > 0 {
		first, err := summaries(run, part, id+"a", devices[:half])
		if err != nil {
			return nil, err
		}
		second, err := summaries(run, part, id+"b", devices[half:])
		return append(first, second...), err
	}
	return []device.Delivery{{ID: id, Kind: device.DeliverSummary, At: run.StartedAt, Body: body}}, nil
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

// devicesOf gives the devices of a page of people in one list.
func devicesOf(people []string, of map[string][]device.Device) []device.Device {
	var all []device.Device
	for _, p := range people {
		for _, d := range of[p] {
			d.Email = p
			all = append(all, d)
		}
	}
	return all
}
