package file

import (
	"bytes"

	"github.com/postureproject/posture/device"
)

// Parse reads a document and counts its records, good and bad.
func Parse(name string, data []byte, rows *int) []device.Device {
	var out []device.Device
	kind, _ := formatOf(name)
	_ = reader{debug: true}.read(kind, bytes.NewReader(data), handler{
		row: func(r row) error {
			*rows++
			if d, _, err := parseDevice(r); err == nil {
				out = append(out, d)
			}
			if e, _, err := parseEvent(r); err == nil && e.Email == "" {
				panic("an event of nobody")
			}
			return nil
		},
		bad: func(int, string) { *rows++ },
	})
	return out
}
