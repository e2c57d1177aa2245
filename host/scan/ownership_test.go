package scan_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/host/scan"
)

const (
	macA device.MAC = "00:1B:63:84:45:E6"
	macB device.MAC = "00:1B:63:84:45:E7"
	macC device.MAC = "00:1B:63:84:45:E8"
)

// What an ownership source says belongs to the person is looked up in the other
// sources, unless it is in hand, is none, or is dropped.
func TestScan_LookUps(t *testing.T) {
	t.Parallel()
	tests := []struct {
		name    string
		owned   []device.Device
		has     []device.Device // the management
		source  func(*scan.Source)
		change  func(*scan.Pipeline)
		asked   []string // beside the e-mail address
		devices []string
	}{
		{
			name:  "by serial, which shows the MACs too",
			owned: []device.Device{record("stock", ada, "S1", macA, macB)}, has: []device.Device{record("jamf", "", "S1", macA, macB)},
			asked: []string{"serial S1"}, devices: []string{"S1"},
		},
		{
			name:  "by the MAC that the record does not show",
			owned: []device.Device{record("stock", ada, "S1", macA, macB)}, has: []device.Device{record("jamf", "", "S1", macA)},
			asked: []string{"mac " + string(macB), "serial S1"}, devices: []string{"S1"},
		},
		{
			name:  "not at all what the address brought already",
			owned: []device.Device{record("stock", ada, "s1", macA)}, has: []device.Device{record("jamf", ada, "S1", macA)},
			devices: []string{"S1"},
		},
		{
			name:  "by MAC where the serial is not known",
			owned: []device.Device{record("stock", ada, "", macA)}, has: []device.Device{record("jamf", "", "S1", macA)},
			asked: []string{"mac " + string(macA)}, devices: []string{"S1"},
		},
		{
			name:  "by every MAC when the source has nothing",
			owned: []device.Device{record("stock", ada, "S1", macA, macB)},
			asked: []string{"mac " + string(macA), "mac " + string(macB), "serial S1"}, devices: []string{"S1"},
		},
		{
			name:    "never by a placeholder or an unusable MAC",
			owned:   []device.Device{record("stock", ada, "To be filled by O.E.M.", "02:00:00:00:00:01"), record("stock", ada, "  "), record("stock", ada, "0000000")},
			devices: []string{"", "0000000", "To be filled by O.E.M."},
		},
		{
			name:    "never by what the configuration calls a placeholder",
			owned:   []device.Device{record("stock", ada, "LOANER", macA)},
			change:  func(p *scan.Pipeline) { p.Merge.Placeholders = []string{" loaner", "001b.6384.45e6"} },
			devices: []string{"LOANER"},
		},
		{
			name:    "by the shown serial when the identifier is a placeholder",
			owned:   []device.Device{{Source: "stock", Serial: "S1", Identifiers: device.Identifiers{Serial: "None"}}},
			asked:   []string{"serial S1"},
			devices: []string{"S1"},
		},
		{
			name:  "once, however many have it",
			owned: []device.Device{record("stock", ada, "S1", macC), record("stock", ada, "S2", macC), record("stock", ada, "s1")},
			asked: []string{"mac " + string(macC), "serial S1", "serial S2"}, devices: []string{"S1", "S2"},
		},
		{
			name:  "not when a transform dropped it",
			owned: []device.Device{record("stock", ada, "S1", macA), record("stock", ada, "S2")}, has: []device.Device{record("jamf", "", "S1", macA)},
			change: func(p *scan.Pipeline) { p.DeviceStages = []scan.Stage[scan.DeviceStage]{drop("S1")} },
			asked:  []string{"serial S2"}, devices: []string{"S2"},
		},
		{
			name:  "only by serial where nothing else is offered",
			owned: []device.Device{record("stock", ada, "S1", macA)}, source: func(s *scan.Source) { s.ByMAC = false },
			asked: []string{"serial S1"}, devices: []string{"S1"},
		},
		{
			name:  "only by MAC where nothing else is offered",
			owned: []device.Device{record("stock", ada, "S1", macA)}, source: func(s *scan.Source) { s.BySerial = false },
			asked: []string{"mac " + string(macA)}, devices: []string{"S1"},
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			jamf := &fake{records: tt.has}
			stock := &fake{records: tt.owned}
			for i := range stock.records {
				stock.records[i].Email = ada
			}
			source := management("jamf", jamf)
			if tt.source != nil {
				tt.source(&source)
			}
			p := pipeline(t, source, owner("stock", stock))
			if tt.change != nil {
				tt.change(p)
			}
			got := p.Scan(t.Context(), scan.Request{Email: ada})
			want := slices.Sorted(slices.Values(append(tt.asked, "email "+ada)))
			if diff := cmp.Diff(want, jamf.questions()); diff != "" {
				t.Errorf("asked (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff([]string{"email " + ada}, stock.questions()); diff != "" {
				t.Errorf("the ownership source was asked (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.devices, serials(got.Devices)); diff != "" {
				t.Errorf("devices (-want +got):\n%s", diff)
			}
		})
	}
}

// Nothing is looked up before every ownership source has spoken, and the
// questions by address do not wait for them.
func TestScan_OwnershipFirst(t *testing.T) {
	t.Parallel()
	var jamf *fake
	byAddress := make(chan struct{})
	jamf = &fake{answer: func(_ context.Context, question string) error {
		if strings.HasPrefix(question, "email ") {
			close(byAddress)
		}
		return nil
	}}
	slow := &fake{records: []device.Device{record("slow", ada, "S2")}, answer: func(context.Context, string) error {
		<-byAddress // would wait for ever if that in turn waited for ownership
		if got := jamf.questions(); len(got) != 1 {
			t.Errorf("before the slow ownership source had spoken, there was asked: %v", got)
		}
		return nil
	}}
	quick := &fake{records: []device.Device{record("quick", ada, "S1")}}
	p := pipeline(t, owner("quick", quick), management("jamf", jamf), owner("slow", slow))
	got := p.Scan(t.Context(), scan.Request{Email: ada})
	if diff := cmp.Diff([]string{"email " + ada, "serial S1", "serial S2"}, jamf.questions()); diff != "" {
		t.Errorf("asked (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"S1", "S2"}, serials(got.Devices)); diff != "" {
		t.Errorf("devices (-want +got):\n%s", diff)
	}
}

// One record that answers to several keys is one record.
func TestScan_RecordsOnce(t *testing.T) {
	t.Parallel()
	jamf := &fake{records: []device.Device{record("jamf", "", "OTHER", macA, macB)}}
	stock := &fake{records: []device.Device{record("stock", ada, "S1", macA), record("stock", ada, "S2", macB)}}
	p := pipeline(t, owner("stock", stock), management("jamf", jamf))
	got := p.Scan(t.Context(), scan.Request{Email: ada})
	if o := got.Sources[1]; o.Plugin != "jamf" || o.Count != 1 {
		t.Errorf("outcome %+v, want one record", o)
	}
}

// When ownership cannot be told, the rest still answers, and it shows.
func TestScan_OwnershipFails(t *testing.T) {
	t.Parallel()
	jamf := &fake{records: []device.Device{record("jamf", ada, "S1")}}
	p := pipeline(t, owner("stock", fails(errors.New("no list"))), management("jamf", jamf))
	got := p.Scan(t.Context(), scan.Request{Email: ada})
	if diff := cmp.Diff([]string{"stock sources.predevices failed", "jamf sources.devices"}, summary(got.Sources)); diff != "" {
		t.Errorf("outcomes (-want +got):\n%s", diff)
	}
	if diff := cmp.Diff([]string{"S1"}, serials(got.Devices)); diff != "" {
		t.Errorf("devices (-want +got):\n%s", diff)
	}
}

// Whatever belongs to a person: no key is asked for twice or without need, all
// that a source has of it is found, and nothing depends on chance.
func TestScan_LookUps_Properties(t *testing.T) {
	t.Parallel()
	rapid.Check(t, func(rt *rapid.T) {
		key := rapid.Custom(func(rt *rapid.T) device.Device {
			var macs []device.MAC
			for _, n := range rapid.SliceOfNDistinct(rapid.IntRange(0, 5), 0, 3, rapid.ID[int]).Draw(rt, "macs") {
				macs = append(macs, device.MAC(fmt.Sprintf("00:1B:63:84:45:E%d", n)))
			}
			return record("", "", rapid.SampledFrom([]string{"", "None", "S1", "S2", "S3", "S4"}).Draw(rt, "serial"), macs...)
		})
		owned, has := rapid.SliceOfN(key, 0, 5).Draw(rt, "owned"), rapid.SliceOfN(key, 0, 5).Draw(rt, "has")
		for i := range owned {
			owned[i].Source, owned[i].Email = "stock", ada
		}
		for i := range has {
			has[i].Source, has[i].Name = "jamf", fmt.Sprint("name ", i)
			if rapid.Bool().Draw(rt, "known by address") {
				has[i].Email = ada
			}
		}
		jamf := &fake{records: has}
		p := pipeline(t, owner("stock", &fake{records: owned}), management("jamf", jamf))
		first := p.Scan(context.Background(), scan.Request{Email: ada})
		asked := jamf.questions()
		if len(slices.Compact(slices.Clone(asked))) != len(asked) {
			rt.Errorf("asked twice: %v", asked)
		}
		shown := map[string]bool{}
		for _, d := range has {
			if d.Email == ada {
				shown["serial "+d.Serial] = true
				for _, m := range d.Identifiers.MACAddresses {
					shown["mac "+string(m)] = true
				}
			}
		}
		for _, question := range asked {
			if shown[question] || question == "serial " || question == "serial None" {
				rt.Errorf("asked without need: %s", question)
			}
		}
		want := 0
		for _, d := range has {
			if d.Email == ada || slices.ContainsFunc(owned, func(o device.Device) bool { return shares(o, d, shown) }) {
				want++
			}
		}
		if got := first.Sources[1].Count; got < want {
			rt.Errorf("%d records found, want at least %d", got, want)
		}
		second := p.Scan(context.Background(), scan.Request{Email: ada})
		if diff := cmp.Diff(withoutTimes(first), withoutTimes(second), cmpopts.IgnoreFields(device.Outcome{}, "Failure")); diff != "" {
			rt.Errorf("two scans differ:\n%s", diff)
		}
	})
}

// shares reports whether a record must be found by what an owned device has,
// where nothing in hand makes that question needless.
func shares(owned, d device.Device, shown map[string]bool) bool {
	serial := owned.Serial
	return serial != "" && serial != "None" && serial == d.Serial && !shown["serial "+serial]
}

func withoutTimes(p device.Posture) device.Posture {
	p.Sources = slices.Clone(p.Sources)
	for i := range p.Sources {
		p.Sources[i].DurationMS = 0
	}
	return p
}

// The time limit holds for the whole scan, and what has come by then stands.
func TestScan_SlowSource(t *testing.T) {
	t.Parallel()
	never := &fake{answer: func(ctx context.Context, _ string) error {
		<-ctx.Done()
		return ctx.Err()
	}}
	stuck := &fake{
		records: []device.Device{record("google", ada, "S2")}, partial: true,
		answer: func(ctx context.Context, _ string) error {
			<-ctx.Done()
			return ctx.Err()
		},
	}
	quick := &fake{records: []device.Device{record("jamf", ada, "S1")}}
	p := pipeline(t, everything("quick", quick), owner("stock", never), management("stuck", stuck))
	p.Timeout = 20 * time.Millisecond
	started := time.Now()
	got := p.Scan(t.Context(), scan.Request{Email: ada})
	if took := time.Since(started); took > 5*time.Second {
		t.Errorf("it took %v", took)
	}
	for _, o := range got.Sources {
		if slow := o.Plugin != "quick"; slow && (o.OK || o.Kind != "timeout") {
			t.Errorf("outcome %+v", o)
		}
	}
	if diff := cmp.Diff([]string{"S1", "S2"}, serials(got.Devices)); diff != "" {
		t.Errorf("devices (-want +got):\n%s", diff)
	}
	if _, outcomes, err := p.LookUp(t.Context(), scan.ByEmail, ada, ""); err != nil || len(outcomes) != 2 || outcomes[1].Kind != "timeout" {
		t.Errorf("a look-up: %+v, %v", outcomes, err)
	}
}
