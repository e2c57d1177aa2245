package file_test

import (
	"testing"

	"github.com/postureproject/posture/plugins/file"
)

// Whatever a file holds, reading it ends, and every record has an owner or an
// identifier.
func fuzz(f *testing.F, name string, seeds ...string) {
	f.Helper()
	for _, s := range seeds {
		f.Add([]byte(s))
	}
	f.Fuzz(func(t *testing.T, data []byte) {
		rows := 0
		for _, d := range file.Parse(name, data, &rows) {
			id := d.Identifiers
			if d.Email == "" && d.Serial+id.UDID+id.IMEI+id.MEID+id.GoogleDeviceID == "" && len(id.MACAddresses) == 0 {
				t.Errorf("a device of nobody: %+v", d)
			}
		}
		if rows > len(data)+1 {
			t.Errorf("%d records from %d bytes", rows, len(data))
		}
	})
}

func FuzzJSON(f *testing.F) {
	fuzz(f, "x.json", `[{"email":"a@x.org","practices":{"encryption":{"value":true}}},7]`, `{"serial":"1"}{"serial":`, "\xff\xfe[\x00]\x00", `[{"software":{"installed":[{"name":1e999}]}}]`)
}

func FuzzLines(f *testing.F) {
	fuzz(f, "x.jsonl", "{\"serial\":\"1\"}\r\n\n[1]\n{\"last_sync\":1e300,\"serial\":2}", "\ufeff{}")
}

func FuzzCSV(f *testing.F) {
	fuzz(f, "x.csv", "email,serial\na@x.org,1\n", "email;serial\n\"a\nb\";\"\"\"\n", "a\tb\n\"", ",\n\"\"\"\n\r\r\n", "serial\n\"a\"b\"\n\"c\n")
}
