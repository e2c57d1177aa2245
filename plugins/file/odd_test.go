package file_test

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/plugins/file"
	"github.com/postureproject/posture/plugins/sdk"
	"github.com/postureproject/posture/plugins/sdk/sdktest"
)

func serials(devices []device.Device) []string {
	var out []string
	for _, d := range devices {
		out = append(out, d.Serial)
	}
	return out
}

// A bad record costs only itself, and the connectivity test names the first.
func TestBadRecords(t *testing.T) {
	t.Parallel()
	long := `{"email":"a@x.org","serial":"` + strings.Repeat("x", 17<<20) + `"}`
	tests := map[string]struct {
		name, text string
		want       []string
		first      string // what the connectivity test says
	}{
		"JSON elements": {
			"a.json", "[\n{\"email\":\"a@x.org\",\"serial\":\"1\"},\n7,\n null, \"x\", [],\n{},\n{\"email\":\"a@x.org\",\"serial\":\"2\"}]",
			[]string{"1", "2"},
			"2 devices in 1 file (5 left out, the first: a.json:3 is not an object)",
		},
		"JSON lines": {
			"a.jsonl", "{\"email\":\"a@x.org\",\"serial\":\"1\"}\n{\"email\":\n[]\n{} {}\n{\"email\":\"a@x.org\",\"serial\":\"2\"}",
			[]string{"1", "2"},
			"2 devices in 1 file (3 left out, the first: a.jsonl:2 is not JSON: unexpected EOF)",
		},
		"a line too long": {
			"a.jsonl", long + "\n{\"email\":\"a@x.org\",\"serial\":\"2\"}\n" + long,
			[]string{"2"},
			"1 device in 1 file (2 left out, the first: a.jsonl:1 is longer than 16777216 bytes)",
		},
		"CSV, number of columns": {
			"a.csv", "email,serial\na@x.org,1\na@x.org\na@x.org,2,3\na@x.org,4\n",
			[]string{"1", "4"},
			"2 devices in 1 file (2 left out, the first: a.csv:3 has 1 columns instead of 2)",
		},
		"CSV, a quote never closed": {
			"a.csv", "email,serial\na@x.org,1\na@x.org,\"2\na@x.org,3\n" + strings.Repeat("a@x.org,\n", 200) + "a@x.org,4\n",
			append(append([]string{"1", "3"}, make([]string, 200)...), "4"),
			"203 devices in 1 file (1 left out, the first: a.csv:3 a quote is opened and never closed)",
		},
		"CSV, quotes inside": {
			"a.csv", "email,serial,name\na@x.org,1,15\" screen\na@x.org,\"2\",\"a \"\"b\"\"\nc, d\"\na@x.org,3,x\n",
			[]string{"1", "2", "3"},
			"3 devices in 1 file",
		},
		"neither person nor identifier": {
			"a.csv", "email,serial,name\na@x.org,1,\n,,laptop\nn/a,,\n",
			[]string{"1"},
			"1 device in 1 file (2 left out, the first: a.csv:3 has neither an e-mail address nor an identifier)",
		},
		"invalid UTF-8": {"a.csv", "email,serial\na@x.org,\xff1\n", []string{"\uFFFD1"}, "1 device in 1 file"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			path := write(t, tc.name, tc.text)
			client := sdktest.Open(t, file.Plugin(), map[string]any{"DEVICES_FILES": path})
			got, err := client.DevicesByEmail(t.Context(), "a@x.org")
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(tc.want, serials(got)); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			detail, err := client.TestConnectivity(t.Context())
			if err != nil {
				t.Error(err)
			}
			if detail = strings.ReplaceAll(detail, filepath.Dir(path)+"/", ""); detail != tc.first {
				t.Errorf("detail %q, want %q", detail, tc.first)
			}
		})
	}
}

// A file that breaks off gives what stands before the break, beside the error.
func TestBrokenFiles(t *testing.T) {
	t.Parallel()
	good := "{\"email\":\"a@x.org\",\"serial\":\"1\"}"
	packed := func(text string) string {
		path := write(t, "x.json.gz", text)
		data, err := os.ReadFile(path)
		if err != nil {
			t.Fatal(err)
		}
		return string(data[:len(data)-9])
	}
	tests := map[string]struct {
		name, text string
		more       map[string]any
		want       []string
		kind       fault.Kind
		says       string
	}{
		"not JSON":            {name: "a.json", text: "<html>", kind: fault.BadResponse, says: "line 1: neither a list nor an object"},
		"empty":               {name: "a.json", text: " \n", kind: fault.BadResponse, says: "the file is empty"},
		"empty table":         {name: "a.csv", kind: fault.BadResponse, says: "the file is empty"},
		"broken list":         {name: "a.json", text: "[\n" + good + ",\n{\"email\":x}\n]", want: []string{"1"}, kind: fault.BadResponse, says: "line 3: "},
		"list without end":    {name: "a.json", text: "[\n" + good + ",\n", want: []string{"1"}, kind: fault.BadResponse, says: "unexpected EOF"},
		"object without end":  {name: "a.json", text: good + "\n{\"a\":", want: []string{"1"}, kind: fault.BadResponse, says: "unexpected EOF"},
		"more after the list": {name: "a.json", text: "[" + good + "]\nx", want: []string{"1"}, kind: fault.BadResponse, says: "line 2: there is more after"},
		"not packed":          {name: "a.json.gz", text: "", kind: fault.BadResponse, says: "unpack"},
		"packed, broken off":  {name: "a.json.gz.raw", text: "[" + good + "]", want: []string{"1"}, kind: fault.BadResponse, says: "unexpected EOF"},
		"too large":           {name: "a.jsonl", text: good + "\n" + good + "\n", more: map[string]any{"MAX_BYTES": 40}, kind: fault.BadResponse, says: "MAX_BYTES"},
		"exactly full":        {name: "a.jsonl", text: good + "\n", more: map[string]any{"MAX_BYTES": len(good) + 1}, want: []string{"1"}},
		"missing":             {name: "", kind: fault.Unavailable, says: "no such file"},
		"folder":              {name: "sub.json/x", kind: fault.Unavailable, says: "is a folder"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			dir := t.TempDir()
			path := filepath.Join(dir, "a.json")
			switch {
			case tc.name == "a.json.gz.raw":
				path += ".gz"
				tc.text = packed(tc.text)
			case tc.name == "sub.json/x":
				path = filepath.Join(dir, "sub.json")
				if err := os.Mkdir(path, 0o700); err != nil {
					t.Fatal(err)
				}
				tc.name = ""
			case tc.name != "":
				path = filepath.Join(dir, tc.name)
			}
			if tc.name != "" {
				if err := os.WriteFile(path, []byte(tc.text), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			settings := map[string]any{"DEVICES_FILES": path}
			for k, v := range tc.more {
				settings[k] = v
			}
			client := sdktest.Open(t, file.Plugin(), settings)
			got, err := client.DevicesByEmail(t.Context(), "a@x.org")
			if diff := cmp.Diff(tc.want, serials(got)); diff != "" && name != "too large" {
				t.Errorf("(-want +got):\n%s", diff)
			}
			_, connectivityErr := client.TestConnectivity(t.Context())
			listErr := client.ListDevices(t.Context(), 10e9, func([]device.Device) error { return nil })
			for _, err := range []error{err, connectivityErr, listErr} {
				switch {
				case tc.says == "" && err != nil:
					t.Errorf("error %v", err)
				case tc.says == "":
				case err == nil || fault.KindOf(err) != tc.kind || !strings.Contains(err.Error(), tc.says) || !strings.Contains(err.Error(), path):
					t.Errorf("error of kind %v: %v; want %s with %q and the path", fault.KindOf(err), err, tc.kind, tc.says)
				case fault.RemedyOf(err) == "":
					t.Errorf("no remedy in %v", err)
				}
			}
		})
	}
}

// One broken file does not hide the others.
func TestBrokenFileBesideAGoodOne(t *testing.T) {
	t.Parallel()
	client := sdktest.Open(t, file.Plugin(), map[string]any{"DEVICES_FILES": []string{
		"/no/such/file.json", write(t, "b.json", "["), write(t, "a.csv", "email,serial\na@x.org,1\n"),
	}})
	got, err := client.DevicesByKeys(t.Context(), []string{"1"}, nil)
	if diff := cmp.Diff([]string{"1"}, serials(got)); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if err == nil || !strings.Contains(err.Error(), "first of 2 files") {
		t.Errorf("error %v", err)
	}
	listed := 0
	err = client.ListDevices(t.Context(), 10e9, func(d []device.Device) error { listed += len(d); return nil })
	if listed != 1 || err == nil || !strings.Contains(err.Error(), "first of 2 files") {
		t.Errorf("%d listed, %v", listed, err)
	}
}

func TestConnectivity_wrongSortOfFile(t *testing.T) {
	t.Parallel()
	client := sdktest.Open(t, file.Plugin(), map[string]any{"DEVICES_FILES": write(t, "a.csv", "color,size\nred,1\n\nblue,2\n")})
	_, err := client.TestConnectivity(t.Context())
	if fault.KindOf(err) != fault.BadResponse || !strings.Contains(err.Error(), "none of 2 records can be used") {
		t.Errorf("error %v", err)
	}
}

func TestConfiguration(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		config string
		field  string // that the error names; empty: none
	}{
		"minimal":          {`{"USERS_FILES":"/x.csv"}`, ""},
		"patterns":         {`{"DEVICES_FILES":["/x/*.json.gz","/y/*"]}`, ""},
		"nothing":          {`{}`, "DEVICES_FILES"},
		"bad pattern":      {`{"EVENTS_FILES":"/x/[.csv"}`, "EVENTS_FILES"},
		"unknown format":   {`{"DEVICES_FILES":"/x.xlsx"}`, "DEVICES_FILES"},
		"unknown field":    {`{"DEVICES_FILES":"/x.csv","FIELD_MAP":{"a":"colour"}}`, "FIELD_MAP"},
		"practices alone":  {`{"DEVICES_FILES":"/x.csv","FIELD_MAP":{"a":"practices."}}`, "FIELD_MAP"},
		"our fields":       {`{"DEVICES_FILES":"/x.csv","FIELD_MAP":{"a":"Identifiers.MAC_Addresses","b":"practices.custom","c":"","d":"timestamp","e":"details.x","f":"software.installed"}}`, ""},
		"size":             {`{"DEVICES_FILES":"/x.csv","MAX_BYTES":0}`, "MAX_BYTES"},
		"unknown key":      {`{"DEVICE_FILES":"/x.csv"}`, "DEVICE_FILES"},
		"wrong type":       {`{"DEVICES_FILES":7}`, "text or a list"},
		"wrong type of ma": {`{"DEVICES_FILES":"/x.csv","FIELD_MAP":{"a":7}}`, "FIELD_MAP"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			err := sdktest.Dial(t, file.Plugin()).Configure(t.Context(), sdk.Configuration{Config: []byte(tc.config), Timeout: 1e9, Concurrency: 1})
			switch {
			case tc.field == "" && err != nil:
				t.Errorf("error %v", err)
			case tc.field != "" && (fault.KindOf(err) != fault.Invalid || err == nil || !strings.Contains(err.Error(), tc.field)):
				t.Errorf("error %v, want one that names %s", err, tc.field)
			}
		})
	}
}
