package transforms

import (
	"context"
	"encoding/json"
	"os"
	"slices"
	"strings"
	"sync"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/transforms/ouidata"
)

const ouiFileKey = "OUI_FILE"

// MACManufacturer fills in the manufacturer of devices that have none.
type MACManufacturer struct {
	// table gives the prefixes. The built-in ones take tens of milliseconds to
	// unpack, which the first device that needs them pays, not the start.
	table func() (*ouidata.Table, error)
}

// NewMACManufacturer reads the settings of mac_manufacturer: optionally OUI_FILE,
// the path of a list of prefixes in a form that [ouidata.Parse] reads, which is
// read now and wins over the built-in prefixes.
func NewMACManufacturer(raw json.RawMessage) (*MACManufacturer, error) {
	value, err := setting(NameMACManufacturer, raw, ouiFileKey)
	if err != nil {
		return nil, err
	}
	more, err := ouiFile(value)
	if err != nil {
		return nil, err
	}
	return &MACManufacturer{table: sync.OnceValues(func() (*ouidata.Table, error) {
		table, err := ouidata.BuiltinWith(more)
		return table, fault.Wrap(err, "read "+NameMACManufacturer, "")
	})}, nil
}

func ouiFile(value json.RawMessage) ([]ouidata.Prefix, error) {
	if value == nil {
		return nil, nil
	}
	var path string
	if err := json.Unmarshal(value, &path); err != nil || string(value) == "null" {
		return nil, invalid(NameMACManufacturer, fault.Field{Name: ouiFileKey, Reason: "must be the path of a file"})
	}
	if path == "" {
		return nil, nil
	}
	problem := func(err error) error {
		return invalid(NameMACManufacturer, fault.Field{
			Name: ouiFileKey, Value: path, Reason: "cannot be read: " + err.Error(),
			Remedy: "give Wireshark's manuf file, a listing of the IEEE in CSV, or leave it out to use the built-in prefixes",
		})
	}
	file, err := os.Open(path) //nolint:gosec // the administrator's own choice
	if err != nil {
		return nil, problem(err)
	}
	defer file.Close()
	prefixes, err := ouidata.Parse(file)
	if err != nil {
		return nil, problem(err)
	}
	return prefixes, nil
}

// TransformDevices gives the devices with manufacturers filled in: that of the
// first hardware address, in the device's own order, that has a registered
// prefix. It fails when ctx ends, and would if the built-in table were damaged.
func (m *MACManufacturer) TransformDevices(ctx context.Context, devices []device.Device) ([]device.Device, error) {
	out := slices.Clone(devices)
	for i := range out {
		if err := interrupted(ctx, i); err != nil {
			return nil, err
		}
		if strings.TrimSpace(out[i].Manufacturer) != "" || len(out[i].Identifiers.MACAddresses) == 0 {
			continue
		}
		table, err := m.table()
		if err != nil {
			return nil, err
		}
		out[i].Manufacturer = manufacturer(table, out[i].Identifiers.MACAddresses)
	}
	return out, nil
}

func manufacturer(table *ouidata.Table, macs []device.MAC) string {
	for _, mac := range macs {
		if name, ok := table.Lookup(mac); ok {
			return name
		}
	}
	return ""
}

func ouiFileSchema() object {
	return object{
		"type": "string",
		"description": "A file with prefixes of hardware addresses, which win over the built-in ones: Wireshark's manuf file, a listing of the IEEE " +
			"in CSV, or the index.json of the npm package oui-data.",
		"examples": []any{"/usr/share/wireshark/manuf"},
	}
}
