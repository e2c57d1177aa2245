package bitfit_test

import (
	"strings"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/plugins/bitfit"
)

const base = "https://api.bitfit.com/v1"

func TestMapping(t *testing.T) {
	t.Parallel()
	released := time.Date(2024, 3, 7, 0, 0, 0, 0, time.UTC)
	tests := map[string]struct {
		item string
		want device.Device
	}{
		"texts are trimmed": {
			`{"name":" Ada's Mac ","model":" MacBook ","serial_number":" C02X "}`,
			device.Device{Name: "Ada's Mac", Model: "MacBook", Serial: "C02X", Identifiers: device.Identifiers{Serial: "C02X"}},
		},
		"blank is absent": {`{"name":"  ","serial_number":" ","model":""}`, device.Device{}},
		"numbers as texts": {
			`{"name":12,"serial_number":345,"model":true}`,
			device.Device{Name: "12", Serial: "345", Model: "true", Identifiers: device.Identifiers{Serial: "345"}},
		},
		"type": {`{"type":{"label_single":"Laptop"},"config":{"type":{"label_single":"Other"}}}`, device.Device{Type: "Laptop"}},
		"type of the configuration": {
			`{"type":{"label_single":""},"config":{"type":{"label_single":"Chromebook"}}}`, device.Device{Type: "Chromebook"},
		},
		"type as text": {`{"type":"Laptop","config":7}`, device.Device{Type: "Laptop"}},
		"status":       {`{"customerStatus":{"label":"E-Waste"}}`, device.Device{Status: "E-Waste"}},
		"own picture":  {`{"image_url":"https://cdn.example.com/a.jpg?w=1","photo_id":5}`, device.Device{PhotoURL: "https://cdn.example.com/a.jpg?w=1"}},
		"own picture on the same host": {
			`{"image_url":"/pictures/a.jpg"}`, device.Device{PhotoURL: "https://api.bitfit.com/pictures/a.jpg"},
		},
		"attachment":         {`{"image_url":"","photo_id":5}`, device.Device{PhotoURL: base + "/attachments/5"}},
		"attachment escaped": {`{"photo_id":"a/b?c"}`, device.Device{PhotoURL: base + "/attachments/a%2Fb%3Fc"}},
		"no attachment":      {`{"photo_id":0}`, device.Device{}},
		"token in a picture's address": {
			`{"image_url":"https://cdn.example.com/a.jpg?api_token=t0ken&w=1"}`, device.Device{PhotoURL: "https://cdn.example.com/a.jpg?w=1"},
		},
		"token elsewhere in a picture's address": {
			`{"image_url":"https://cdn.example.com/t0ken/a.jpg","photo_id":5}`, device.Device{PhotoURL: base + "/attachments/5"},
		},
		"a script is no picture": {`{"image_url":"javascript:alert(1)"}`, device.Device{}},
		"fields": {
			`{"fields":[{"base_name":"mac_address","value":"3c:22:fb:00:00:02"},{"base_name":"alt_mac_address","value":"3C22FB000003"},
			 {"base_name":"UDID","value":"00000001-AA"},{"base_name":"HW Release Date","value":"3/7/2024"},{"base_name":"color","value":"grey"}]}`,
			device.Device{HWRelease: released, Identifiers: device.Identifiers{
				UDID: "00000001-AA", MACAddresses: []device.MAC{"3C:22:FB:00:00:02", "3C:22:FB:00:00:03"},
			}},
		},
		"fields as an object": {
			`{"fields":{"mac_address":["3c22.fb00.0002",null],"UDID":{"value":"U1"},"HW Release Date":"2024-03-07"}}`,
			device.Device{HWRelease: released, Identifiers: device.Identifiers{UDID: "U1", MACAddresses: []device.MAC{"3C:22:FB:00:00:02"}}},
		},
		"a single field": {
			`{"fields":{"base_name":"UDID","value":"U1"}}`, device.Device{Identifiers: device.Identifiers{UDID: "U1"}},
		},
		"fields of wrong types": {
			`{"fields":[null,7,"x",{"base_name":null,"value":"a"},{"base_name":"UDID"},{"base_name":"UDID","value":"U1"}]}`,
			device.Device{Identifiers: device.Identifiers{UDID: "U1"}},
		},
		"unusable and malformed addresses": {
			`{"fields":[{"base_name":"mac_address","value":"02:00:00:00:00:01"},{"base_name":"alt_mac_address","value":"none"}]}`,
			device.Device{Notes: []string{`"none" is not a MAC address.`}},
		},
		"odd date": {
			`{"fields":[{"base_name":"HW Release Date","value":"13/45/2024"}]}`,
			device.Device{Notes: []string{`The hardware release date "13/45/2024" is not a date.`}},
		},
		"nulls": {
			`{"id":null,"name":null,"model":null,"serial_number":null,"type":null,"config":null,"customerStatus":null,"image_url":null,"photo_id":null,"fields":null,"user":null}`,
			device.Device{},
		},
		"wrong types": {
			`{"id":[],"name":{},"model":[1],"serial_number":{"a":1},"type":[],"config":"x","customerStatus":5,"image_url":{},"photo_id":[],"fields":"none","user":[]}`,
			device.Device{},
		},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			got, err := bitfit.MapJSON([]byte(tt.item), base, "ada@example.com")
			if err != nil {
				t.Fatal(err)
			}
			tt.want.Email = "ada@example.com"
			if diff := cmp.Diff(tt.want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func FuzzMapping(f *testing.F) {
	f.Add([]byte(`{"name":"a","fields":[{"base_name":"mac_address","value":"3c:22:fb:00:00:02"}],"photo_id":5}`))
	f.Add([]byte(`{"fields":{"UDID":{"value":"U1"}},"type":"x","image_url":"//h/t0ken"}`))
	f.Add([]byte("{\"name\":\"\xff\",\"fields\":[1,null]}"))
	f.Fuzz(func(t *testing.T, document []byte) {
		d, err := bitfit.MapJSON(document, base, "")
		if err != nil {
			return
		}
		if strings.Contains(d.PhotoURL, "t0ken") {
			t.Errorf("the token shows in %q", d.PhotoURL)
		}
		for _, s := range []string{d.Name, d.Model, d.Serial, d.Type, d.Status, d.PhotoURL} {
			if !utf8.ValidString(s) || s != strings.TrimSpace(s) {
				t.Errorf("field is %q", s)
			}
		}
		for _, m := range d.Identifiers.MACAddresses {
			if !m.Usable() {
				t.Errorf("MAC address %q is of no use", m)
			}
		}
	})
}

func FuzzUsers(f *testing.F) {
	f.Add([]byte(`{"items":[{"id":1,"email":"a@b.c"}],"pages":2,"meta":{"total":"3"}}`))
	f.Add([]byte(`[{"id":null},null,7]`))
	f.Add([]byte(`{"items":{"id":1},"total":{}}`))
	f.Fuzz(func(t *testing.T, document []byte) {
		emails, err := bitfit.DecodeUsers(document)
		if err != nil && emails != nil {
			t.Errorf("addresses %q beside error %v", emails, err)
		}
	})
}
