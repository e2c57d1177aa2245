package scan_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/host/scan"
)

var errDown = &fault.Error{Kind: fault.Unavailable, Source: "jamf", Op: "get user", Message: "connection refused", Remedy: "check the address"}

// Transforms see the records before they are judged and merged: a device that
// they drop or change is judged as changed.
func TestScan_Order(t *testing.T) {
	t.Parallel()
	encrypted := record("jamf", ada, "S1")
	encrypted.Practices = map[string]device.Practice{"encryption": {Value: device.Bool(true), LastUpdated: now()}}
	other := record("google", ada, "S1")
	other.LastSync = now().Add(-2 * time.Hour)
	var seen []int
	p := pipeline(t, management("jamf", &fake{records: []device.Device{encrypted}}), management("google", &fake{records: []device.Device{other}}))
	p.DeviceStages = []scan.Stage[scan.DeviceStage]{
		{Name: "one", Apply: stage(func(devices []device.Device) ([]device.Device, error) {
			seen = append(seen, len(devices))
			for i := range devices {
				if s := devices[i].Practices["encryption"].Status; s != "" {
					t.Errorf("judged before the transforms: %s", s)
				}
				devices[i].Model = "one"
			}
			return devices, nil
		})},
		{Name: "two", Apply: stage(func(devices []device.Device) ([]device.Device, error) {
			for i := range devices {
				devices[i].Model += " two"
				devices[i].Practices = map[string]device.Practice{"encryption": {Value: device.Bool(false), LastUpdated: now()}}
			}
			return devices, nil
		})},
	}
	got := p.Scan(t.Context(), scan.Request{Email: ada})
	if diff := cmp.Diff([]int{2}, seen); diff != "" {
		t.Errorf("the transform saw (-want +got):\n%s", diff)
	}
	if len(got.Devices) != 1 || got.Devices[0].Model != "one two" || len(got.Devices[0].Sources) != 2 {
		t.Fatalf("devices %+v", got.Devices)
	}
	if s := got.Devices[0].Practices["encryption"].Status; s == device.OK || s == device.Unknown {
		t.Errorf("encryption is %q, though the transform found it off", s)
	}
	if encrypted.Practices["encryption"].Status != "" || encrypted.Model != "" {
		t.Error("the source's own record was changed")
	}
}

// A transform that drops everything of a person leaves nothing, not even what
// ownership said.
func TestScan_Dropped(t *testing.T) {
	t.Parallel()
	p := pipeline(t, owner("stock", &fake{records: []device.Device{record("stock", ada, "S1")}}), management("jamf", &fake{records: []device.Device{record("jamf", ada, "S1")}}))
	p.DeviceStages = []scan.Stage[scan.DeviceStage]{drop("S1")}
	got := p.Scan(t.Context(), scan.Request{Email: ada})
	if len(got.Devices) != 0 || len(got.Sources) != 2 {
		t.Errorf("%+v", got)
	}
}

// What a failed source would have reported is unknown, and says why; what
// another knows stands.
func TestScan_Gaps(t *testing.T) {
	t.Parallel()
	known := record("google", ada, "S2")
	known.Practices = map[string]device.Practice{"encryption": {Value: device.Bool(true), LastUpdated: now()}}
	tests := []struct {
		name    string
		sources []scan.Source
		serial  string
		status  device.Status
		says    string
	}{
		{"failed by address", []scan.Source{management("jamf", fails(errDown)), owner("stock", &fake{records: []device.Device{record("stock", ada, "S1")}})}, "S1", device.Unknown, "connection refused"},
		{"failed by serial alone", []scan.Source{
			owner("stock", &fake{records: []device.Device{record("stock", ada, "S1")}}),
			management("jamf", &fake{answer: func(_ context.Context, question string) error {
				if strings.HasPrefix(question, "serial") {
					return errDown
				}
				return nil
			}}),
		}, "S1", device.Unknown, "connection refused"},
		{"failed while another knows", []scan.Source{management("jamf", fails(errDown)), management("google", &fake{records: []device.Device{known}})}, "S2", device.OK, ""},
		{"failed as ownership", []scan.Source{
			{Name: "stock", Ask: fails(errDown), ByEmail: true, Ownership: true, Practices: []string{"encryption"}},
			management("google", &fake{records: []device.Device{record("google", ada, "S1")}}),
		}, "S1", device.Unknown, "connection refused"},
		{"answered", []scan.Source{management("jamf", &fake{records: []device.Device{record("jamf", ada, "S1")}})}, "S1", device.Unknown, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := pipeline(t, tt.sources...).Scan(t.Context(), scan.Request{Email: ada})
			if len(got.Devices) != 1 || got.Devices[0].Serial != tt.serial {
				t.Fatalf("devices %v", serials(got.Devices))
			}
			p := got.Devices[0].Practices["encryption"]
			if p.Status != tt.status || !strings.Contains(p.Details, tt.says) || tt.says == "" && strings.Contains(p.Details, "refused") {
				t.Errorf("encryption is %q: %q", p.Status, p.Details)
			}
		})
	}
}

// Every source has its outcome, in the order of the configuration, whoever
// finished first; records beside a failure are shown and counted.
func TestScan_Outcomes(t *testing.T) {
	t.Parallel()
	partial := &fake{records: []device.Device{record("jamf", ada, "S1")}, partial: true, answer: func(context.Context, string) error { return errDown }}
	last := make(chan struct{})
	slow := &fake{events: []device.Event{{Type: "x"}}, answer: func(context.Context, string) error { <-last; return nil }}
	p := pipeline(t,
		everything("zeta", slow), management("jamf", partial), scan.Source{Name: "never", Down: errors.New("no such file")},
		scan.Source{Name: "duo", Ask: &fake{events: []device.Event{{}, {}}}, Events: true}, owner("stock", &fake{}), scan.Source{Name: "nothing", Ask: &fake{}})
	failing := func(name string) scan.Stage[scan.DeviceStage] {
		return scan.Stage[scan.DeviceStage]{Name: name, External: true, Apply: stage(func([]device.Device) ([]device.Device, error) { return nil, errDown })}
	}
	p.DeviceStages = []scan.Stage[scan.DeviceStage]{failing("z stage"), failing("a stage"), drop("nothing")}
	p.EventStages = []scan.Stage[scan.EventStage]{{Name: "label", External: true, Apply: eventStage(func(events []device.Event) ([]device.Event, error) { return events, nil })}}
	told := make(chan device.Outcome, 100)
	go func() {
		for range 4 { // all but those of zeta
			<-told
		}
		close(last)
	}()
	got := p.Scan(t.Context(), scan.Request{Email: ada, Progress: func(o device.Outcome) { told <- o }})
	want := []string{
		"zeta sources.accounts", "zeta sources.devices", "zeta sources.events", "zeta sources.notifications", "jamf sources.devices failed", "never sources failed",
		"duo sources.events", "stock sources.predevices", "z stage transforms.devices failed", "a stage transforms.devices failed", "label transforms.events",
	}
	if diff := cmp.Diff(want, summary(got.Sources)); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
	for _, o := range got.Sources {
		counts := map[string]int{"zeta sources.events": 1, "jamf sources.devices": 1, "duo sources.events": 2, "label transforms.events": 3, "z stage transforms.devices": 1, "a stage transforms.devices": 1}
		if o.Count != counts[o.Plugin+" "+o.Namespace] {
			t.Errorf("%s %s counts %d", o.Plugin, o.Namespace, o.Count)
		}
		if o.OK != (o.Error == nil) || o.OK != (o.Err() == nil) || o.OK != (o.Kind == "") || o.DurationMS < 0 {
			t.Errorf("outcome contradicts itself: %+v", o)
		}
		if o.Plugin == "jamf" && (*o.Error != errDown.Error() || o.Kind != "unavailable" || o.Remedy != "check the address" || !errors.Is(o.Err(), errDown)) {
			t.Errorf("outcome %+v", o)
		}
	}
	if diff := cmp.Diff([]string{"S1"}, serials(got.Devices)); diff != "" {
		t.Errorf("devices past failing stages (-want +got):\n%s", diff)
	}
}

// Progress hears of every outcome once, one at a time, as it is in the answer.
func TestScan_Progress(t *testing.T) {
	t.Parallel()
	p := pipeline(t, everything("jamf", &fake{records: []device.Device{record("jamf", ada, "S1")}}), everything("google", fails(errDown)),
		owner("stock", &fake{records: []device.Device{record("stock", ada, "S2")}}), scan.Source{Name: "never", Down: errDown})
	// This stage fails at its second run, when the first has passed already.
	var runs int
	p.DeviceStages = []scan.Stage[scan.DeviceStage]{{Name: "external", External: true, Apply: stage(func(devices []device.Device) ([]device.Device, error) {
		if runs++; runs == 2 {
			return nil, errDown
		}
		return devices, nil
	})}}
	var told []device.Outcome // without a lock: the race detector would see two calls at once
	got := p.Scan(t.Context(), scan.Request{Email: ada, Progress: func(o device.Outcome) { told = append(told, o) }})
	want, have := summary(got.Sources), summary(told)
	slices.Sort(want)
	slices.Sort(have)
	if diff := cmp.Diff(want, have); diff != "" {
		t.Errorf("told (-want +got):\n%s", diff)
	}
	if last := got.Sources[len(got.Sources)-1]; last.Plugin != "external" || last.OK || last.Count != 2 {
		t.Errorf("the stage that failed once: %+v", last)
	}
}

// With nobody to answer, nothing looks like an answer.
func TestScan_AllDown(t *testing.T) {
	t.Parallel()
	got := pipeline(t, everything("jamf", fails(errDown)), everything("google", fails(errDown))).Scan(t.Context(), scan.Request{Email: ada})
	if len(got.Sources) != 8 {
		t.Errorf("%d outcomes, want 8", len(got.Sources))
	}
	for _, o := range got.Sources {
		if o.OK || o.Error == nil || o.Count != 0 {
			t.Errorf("outcome %+v", o)
		}
	}
}

// Several failed look-ups of a source are one failure that says how many.
func TestScan_ManyFailures(t *testing.T) {
	t.Parallel()
	jamf := &fake{answer: func(_ context.Context, question string) error {
		if strings.HasPrefix(question, "email") {
			return nil
		}
		return &fault.Error{Kind: fault.RateLimited, Message: question, RetryAfter: time.Minute, Remedy: "slow down"}
	}}
	stock := &fake{records: []device.Device{record("stock", ada, "S1", macA), record("stock", ada, "S2")}}
	got := pipeline(t, management("jamf", jamf), owner("stock", stock)).Scan(t.Context(), scan.Request{Email: ada})
	o := got.Sources[0]
	if o.OK || *o.Error != "2 look-ups failed, the first: serial S1" || o.Kind != "rate_limited" || o.Remedy != "slow down" || fault.RetryAfterOf(o.Err()) != time.Minute {
		t.Errorf("outcome %+v: %s", o, *o.Error)
	}
}

// Events come newest first, whatever sources and transforms make of the order;
// those of unknown time last.
func TestScan_Events(t *testing.T) {
	t.Parallel()
	event := func(source string, minutes int) device.Event {
		return device.Event{Source: source, Type: fmt.Sprint(minutes), Timestamp: now().Add(time.Duration(minutes) * time.Minute)}
	}
	one := &fake{events: []device.Event{event("one", 1), {Source: "one"}, event("one", 5)}}
	two := &fake{events: []device.Event{event("two", 3), event("two", 1)}}
	p := pipeline(t, everything("two", two), everything("one", one))
	var runs []string
	p.EventStages = []scan.Stage[scan.EventStage]{
		{Name: "fails", Apply: eventStage(func([]device.Event) ([]device.Event, error) { return nil, errDown })},
		{Name: "reverses", Apply: eventStage(func(events []device.Event) ([]device.Event, error) {
			runs = append(runs, fmt.Sprint(len(events)))
			slices.Reverse(events)
			return events, nil
		})},
	}
	got := p.Scan(t.Context(), scan.Request{Email: ada, Parts: scan.Parts{Events: true}})
	var order []string
	for _, e := range got.Events {
		order = append(order, e.Source+e.Type)
	}
	if diff := cmp.Diff([]string{"one5", "two3", "one1", "two1", "one"}, order); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"5"}, runs); diff != "" {
		t.Errorf("the stage after the failing one saw (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"two sources.events", "one sources.events", "fails transforms.events failed"}, summary(got.Sources)); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
}

// Only the parts that are wanted are asked for, at the sources that are wanted.
func TestScan_Chosen(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		request scan.Request
		jamf    []string
		stock   []string
	}{
		{"all", scan.Request{}, []string{"accounts " + ada, "email " + ada, "events " + ada, "notifications " + ada}, []string{"email " + ada}},
		{"devices", scan.Request{Parts: scan.Parts{Devices: true}}, []string{"email " + ada}, []string{"email " + ada}},
		{"accounts", scan.Request{Parts: scan.Parts{Accounts: true}}, []string{"accounts " + ada}, nil},
		{"notifications and events", scan.Request{Parts: scan.Parts{Notifications: true, Events: true}}, []string{"events " + ada, "notifications " + ada}, nil},
		{"one source", scan.Request{Only: []string{"stock"}}, nil, []string{"email " + ada}},
		{"an unknown source", scan.Request{Only: []string{"nope"}}, nil, nil},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			jamf, stock := &fake{}, &fake{}
			tt.request.Email = ada
			got := pipeline(t, everything("jamf", jamf), owner("stock", stock)).Scan(t.Context(), tt.request)
			if diff := cmp.Diff(tt.jamf, jamf.questions()); diff != "" {
				t.Errorf("jamf (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.stock, stock.questions()); diff != "" {
				t.Errorf("stock (-want +got):\n%s", diff)
			}
			if len(got.Sources) != len(tt.jamf)+len(tt.stock) {
				t.Errorf("outcomes %v", summary(got.Sources))
			}
		})
	}
}

// The shape that clients rely on, with nothing in it: lists, never null.
func TestPosture_EmptyJSON(t *testing.T) {
	t.Parallel()
	body, err := json.Marshal(pipeline(t).Scan(t.Context(), scan.Request{Email: ada}))
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"email":"ada@example.com","devices":[],"events":[],"accounts":[],"notifications":[],"sources":[],"generated_at":"2026-03-01T12:00:00Z"}`
	if diff := cmp.Diff(want, string(body)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// One whole answer, byte by byte but for the times that look-ups took.
func TestPosture_Golden(t *testing.T) {
	t.Parallel()
	laptop := record("jamf", ada, "S1", macA)
	laptop.Name, laptop.OS, laptop.OSVersion = "ada-mac", "macOS", "26.1"
	laptop.Practices = map[string]device.Practice{"encryption": {Value: device.Bool(true), Details: "Macintosh HD: Encrypted", LastUpdated: now()}}
	phone := device.Device{Source: "google", Email: ada, Platform: "iOS", OS: "iOS", OSVersion: "26.0.0", LastSync: now().Add(-time.Minute), Identifiers: device.Identifiers{IMEI: "351451208401216"}}
	google := &fake{
		records: []device.Device{phone},
		events:  []device.Event{{Source: "google", Type: "google_password", Success: device.Bool(true), IPAddress: "192.0.2.1", Timestamp: now(), Email: ada}},
		accounts: []device.Account{{
			Source: "google", Name: "Ada", Email: ada, Date: "2026-02-27", UserUsage: map[string]any{"accounts:is_2sv_enrolled": true},
		}},
		notifications: []device.Notification{{ID: "n1", Index: "alerts", Source: json.RawMessage(`{"email":"ada@example.com"}`), Plugin: "google"}},
	}
	p := pipeline(t, owner("stock", &fake{records: []device.Device{record("stock", ada, "S1"), record("stock", ada, "S9")}}),
		management("jamf", &fake{records: []device.Device{laptop}}), everything("google", google), management("landesk", fails(errDown)))
	got := withoutTimes(p.Scan(t.Context(), scan.Request{Email: ada}))
	body, err := json.MarshalIndent(got, "", "  ")
	if err != nil {
		t.Fatal(err)
	}
	body = append(body, '\n')
	const path = "testdata/posture.golden.json"
	if *update {
		if err := os.WriteFile(path, body, 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(string(want), string(body)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// One pipeline serves everybody at once, and each gets their own.
func TestScan_Concurrent(t *testing.T) {
	t.Parallel()
	const people = 50
	stock, jamf := &fake{}, &fake{}
	for i := range people {
		email, serial := fmt.Sprintf("p%d@example.com", i), fmt.Sprint("S", i)
		stock.records = append(stock.records, record("stock", email, serial))
		jamf.records = append(jamf.records, record("jamf", "", serial))
	}
	p := pipeline(t, owner("stock", stock), everything("jamf", jamf))
	p.DeviceStages = []scan.Stage[scan.DeviceStage]{drop("S0")}
	var group sync.WaitGroup
	for i := range people {
		group.Go(func() {
			got := p.Scan(t.Context(), scan.Request{Email: fmt.Sprintf("p%d@example.com", i)})
			want := []string{fmt.Sprint("S", i)}
			if i == 0 {
				want = []string{}
			}
			if diff := cmp.Diff(want, serials(got.Devices)); diff != "" {
				t.Errorf("devices of %d (-want +got):\n%s", i, diff)
			}
		})
		group.Go(func() {
			devices, _, err := p.LookUp(t.Context(), scan.BySerial, fmt.Sprint("S", i), "")
			if err != nil || i > 0 && len(devices) != 1 {
				t.Errorf("look-up of %d: %v, %v", i, serials(devices), err)
			}
		})
	}
	group.Wait()
}

// A source that cannot be asked is not asked again by serial and MAC: it would
// cost as much time once more.
func TestScan_DeadSourceIsAskedOnce(t *testing.T) {
	t.Parallel()
	for kind, again := range map[fault.Kind]bool{
		fault.Timeout: false, fault.Unavailable: false, fault.Unauthenticated: false, fault.RateLimited: false, fault.BadResponse: true,
	} {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			jamf := &fake{answer: func(context.Context, string) error { return &fault.Error{Kind: kind, Message: "no"} }}
			stock := &fake{records: []device.Device{record("stock", ada, "S1", macA)}}
			got := pipeline(t, management("jamf", jamf), owner("stock", stock)).Scan(t.Context(), scan.Request{Email: ada})
			if asked := strings.Contains(*got.Sources[0].Error, "look-ups failed"); asked != again {
				t.Errorf("asked again: %v, want %v: %s", asked, again, *got.Sources[0].Error)
			}
		})
	}
}
