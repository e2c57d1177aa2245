package jamf_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/device"
)

// lookUp serves one Classic document and gives the device that becomes of it.
func lookUp(t *testing.T, document string) device.Device {
	t.Helper()
	url := serve(t, map[string]string{"/JSSResource/computers/serialnumber/SERIAL": document})
	devices, err := open(t, url, nil).DevicesByKeys(t.Context(), []string{"SERIAL"}, nil)
	if err != nil || len(devices) != 1 {
		t.Fatalf("%d devices, %v", len(devices), err)
	}
	return devices[0]
}

// with gives a computer's document with one part replaced; part is a path such
// as "hardware.storage".
func with(part, value string) string {
	document := fmt.Sprintf(`{"id":1,"serial_number":"SERIAL","report_date_utc":%q}`, reported)
	parts := map[string]string{"general": document}
	section, member, nested := strings.Cut(part, ".")
	switch {
	case section == "general":
		parts["general"] = strings.TrimSuffix(document, "}") + `,"` + member + `":` + value + "}"
	case nested:
		parts[section] = `{"` + member + `":` + value + "}"
	default:
		parts[section] = value
	}
	var b strings.Builder
	for name, text := range parts {
		fmt.Fprintf(&b, `,%q:%s`, name, text)
	}
	return `{"computer":{` + b.String()[1:] + `}}`
}

const reported = "2026-05-30T10:11:12.000+0000"

// verdict is a practice's value in a word: true, false or null.
func verdict(p device.Practice) string {
	if p.Value == nil {
		return "null"
	}
	return fmt.Sprint(*p.Value)
}

type practiceCase struct {
	name, part, value string
	want, details     string
}

func runPractice(t *testing.T, key string, cases []practiceCase) {
	t.Helper()
	for _, c := range cases {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			p := lookUp(t, with(c.part, c.value)).Practices[key]
			if verdict(p) != c.want || p.Details != c.details {
				t.Errorf("%s with %q, want %s with %q", verdict(p), p.Details, c.want, c.details)
			}
			if want := time.Date(2026, 5, 30, 10, 11, 12, 0, time.UTC); !p.LastUpdated.Equal(want) {
				t.Errorf("updated %v, want %v", p.LastUpdated, want)
			}
		})
	}
}

func part(name, status, percent string) string {
	return fmt.Sprintf(`{"name":%q,"filevault2_status":%q,"filevault2_percent":%s}`, name, status, percent)
}

func TestEncryption(t *testing.T) {
	t.Parallel()
	const storage = "hardware.storage"
	hd, plain := part("Macintosh HD (Boot Partition)", "Encrypted", "100"), part("Data", "Not Supported", "0")
	recovery := part("Recovery HD", "Not Supported", "0")
	drive := func(members string) string { return `{"disk":"disk0","drive_capacity_mb":500277,` + members + `}` }
	one := drive(`"partitions":[` + hd + `]`)
	runPractice(t, "encryption", []practiceCase{
		{"encrypted", storage, "[" + one + "]", "true", "Macintosh HD: Encrypted (100%)"},
		{"not encrypted", storage, "[" + drive(`"partitions":[`+plain+`]`) + "]", "false", "Data: Not Encrypted (0%)"},
		{"one of two", storage, "[" + drive(`"partitions":[`+hd+`,`+plain+`]`) + "]", "false", "Macintosh HD: Encrypted (100%)\nData: Not Encrypted (0%)"},
		{"recovery does not count", storage, "[" + drive(`"partitions":[`+hd+`,`+recovery+`,`+part("recovery", "", "0")+`]`) + "]", "true", "Macintosh HD: Encrypted (100%)"},
		{"recovery by type", storage, "[" + drive(`"partitions":[`+hd+`,{"name":"R2","type":"recovery"}]`) + "]", "true", "Macintosh HD: Encrypted (100%)"},
		{"only recovery", storage, "[" + drive(`"partitions":[`+recovery+`]`) + "]", "null", "Jamf reports no partition but those for recovery."},
		{"no drive", storage, "[]", "null", "Jamf reports no drive."},
		{"null", storage, "null", "null", "Jamf reports no drive."},
		{"text", storage, `""`, "null", "Jamf reports no drive."},
		{"absent", "hardware.model", `"M"`, "null", "Jamf reports no drive."},
		{"empty drive slot", storage, `[{"drive_capacity_mb":0,"partitions":[` + plain + `]},` + one + `]`, "true", "Macintosh HD: Encrypted (100%)"},
		{"only empty slots", storage, `[{"drive_capacity_mb":"0","partitions":[` + plain + `]}]`, "null", "Jamf reports no drive."},
		{"capacity unknown", storage, `[{"partitions":[` + plain + `]}]`, "false", "Data: Not Encrypted (0%)"},
		{"capacity under its other name", storage, `[{"size":-1,"partitions":[` + plain + `]},` + one + `]`, "true", "Macintosh HD: Encrypted (100%)"},
		{"drive without partitions", storage, `[{"drive_capacity_mb":5},` + one + `]`, "true", "Macintosh HD: Encrypted (100%)"},
		{"two drives", storage, `[` + one + `,` + drive(`"partitions":[`+plain+`]`) + `]`, "false", "Macintosh HD: Encrypted (100%)\nData: Not Encrypted (0%)"},
		{"one drive alone", storage, one, "true", "Macintosh HD: Encrypted (100%)"},
		{"one partition alone", storage, "[" + drive(`"partition":`+hd) + "]", "true", "Macintosh HD: Encrypted (100%)"},
		{"partition as a list", storage, "[" + drive(`"partition":[`+hd+`,`+plain+`]`) + "]", "false", "Macintosh HD: Encrypted (100%)\nData: Not Encrypted (0%)"},
		{"wrapped partition", storage, "[" + drive(`"partitions":[{"partition":`+hd+`}]`) + "]", "true", "Macintosh HD: Encrypted (100%)"},
		{"wrapped partitions", storage, "[" + drive(`"partitions":{"partition":[`+hd+`,`+plain+`]}`) + "]", "false", "Macintosh HD: Encrypted (100%)\nData: Not Encrypted (0%)"},
		{"wrapped drive", storage, `{"device":` + one + `}`, "true", "Macintosh HD: Encrypted (100%)"},
		{"wrapped drives", storage, `{"device":[` + one + `,` + drive(`"partition":`+plain) + `]}`, "false", "Macintosh HD: Encrypted (100%)\nData: Not Encrypted (0%)"},
		{"list of wrapped drives", storage, `[{"drive":` + one + `}]`, "true", "Macintosh HD: Encrypted (100%)"},
		{"drive under disk", storage, `[{"disk":` + one + `}]`, "true", "Macintosh HD: Encrypted (100%)"},
		{"under way", storage, drive(`"partition":` + part("HD", "Encrypting", `"37"`)), "false", "HD: Encrypting (37%)"},
		{"percent as text with its sign", storage, drive(`"partition":` + part("HD", "encrypted", `"100%"`)), "true", "HD: Encrypted (100%)"},
		{"percent missing", storage, drive(`"partition":` + part("HD", "Encrypted", `null`)), "true", "HD: Encrypted"},
		{"percent odd", storage, drive(`"partition":` + part("HD", "Encrypted", `"NaN"`)), "true", "HD: Encrypted"},
		{"status missing", storage, drive(`"partitions":[` + hd + `,{"name":"New"}]`), "null", "Macintosh HD: Encrypted (100%)\nNew: Unknown"},
		{"status null, another not encrypted", storage, drive(`"partitions":[{"name":"New","filevault2_status":null},` + plain + `]`), "false", "New: Unknown\nData: Not Encrypted (0%)"},
		{"name missing", storage, drive(`"partition":{"filevault2_status":"Encrypted"}`), "true", "Unnamed partition: Encrypted"},
	})
}

func TestUptodate(t *testing.T) {
	t.Parallel()
	const updates = "software.available_software_updates"
	const unknown = "Jamf does not report available updates for this computer."
	runPractice(t, "uptodate", []practiceCase{
		{"none", updates, "[]", "true", ""},
		{"two", updates, `["macOS 26.2","Safari 26.2"]`, "false", "macOS 26.2\nSafari 26.2"},
		{"one alone", updates, `"macOS 26.2"`, "false", "macOS 26.2"},
		{"as objects", updates, `[{"name":"macOS 26.2","version":"26.2"}]`, "false", "macOS 26.2"},
		{"empty text", updates, `""`, "true", ""},
		{"nulls in it", updates, `[null,"macOS 26.2",null]`, "false", "macOS 26.2"},
		{"null", updates, "null", "null", unknown},
		{"number", updates, "7", "null", unknown},
		{"absent", "software.applications", "[]", "null", unknown},
	})
}

func attributes(pairs ...string) string {
	list := make([]string, 0, len(pairs)/2)
	for i := 0; i < len(pairs); i += 2 {
		list = append(list, fmt.Sprintf(`{"id":%d,"name":%q,"type":"String","value":%s}`, i, pairs[i], pairs[i+1]))
	}
	return "[" + strings.Join(list, ",") + "]"
}

func TestAutoupdate(t *testing.T) {
	t.Parallel()
	const (
		ea                     = "extension_attributes"
		check, download        = "1 Auto Check For Updates Enabled", "2 Get New Updates in Background Enabled"
		apps, system           = "3 Install App Updates Enabled", "4 Install OS X Updates Enabled"
		security, data         = "5 Install Security Updates Enabled", "6 Install System Data Files Enabled"
		yes, no                = `"True"`, `"False"`
		appsMissing, osMissing = "Install App Updates: not reported, taken as disabled", "Install OS X Updates: not reported, taken as disabled"
	)
	runPractice(t, "autoupdate", []practiceCase{
		{"all on", ea, attributes(check, yes, download, yes, apps, yes, system, yes, security, yes, data, yes), "true", ""},
		{"some off", ea, attributes(check, yes, download, no, apps, yes, system, yes, security, no, data, yes), "false", "Get New Updates in Background: disabled\nInstall Security Updates: disabled"},
		{"those that are on by default missing", ea, attributes(apps, yes, system, yes), "true", ""},
		{"those that are off by default missing", ea, attributes(check, yes), "false", appsMissing + "\n" + osMissing},
		{"one missing", ea, attributes(check, yes, download, yes, apps, yes, security, yes, data, yes), "false", osMissing},
		{"empty is missing", ea, attributes(check, `""`, download, `null`, apps, yes, system, yes), "true", ""},
		{"none of the six", ea, attributes("Firewall Status", `"1"`), "null", "None of the extension attributes about automatic updates is reported."},
		{"all empty", ea, attributes(check, `""`, apps, `null`), "null", "None of the extension attributes about automatic updates is reported."},
		{"other spellings", ea, attributes(check, `true`, download, `"yes"`, apps, `1`, system, `" TRUE "`), "true", ""},
		{"unknown status", ea, attributes(check, `"Unknown Status"`, apps, yes, system, yes), "null", `Auto Check For Updates: unknown ("Unknown Status")`},
		{"unknown status beside one that is off", ea, attributes(check, `"Unknown Status"`, apps, no, system, yes), "false", "Install App Updates: disabled\nAuto Check For Updates: unknown (\"Unknown Status\")"},
		{"one alone, not in a list", ea, strings.Trim(attributes(apps, no), "[]"), "false", "Install App Updates: disabled\n" + osMissing},
		{"wrapped", ea, `{"extension_attribute":` + attributes(apps, yes, system, yes) + `}`, "true", ""},
		{"null", ea, "null", "null", "None of the extension attributes about automatic updates is reported."},
	})
}

func TestSwitches(t *testing.T) {
	t.Parallel()
	const ea = "extension_attributes"
	for key, c := range map[string]struct{ attribute, good, bad string }{
		"firewall":    {"Firewall Status", "1", "0"},
		"screenlock":  {"Screen Saver Lock Enabled", "Enabled", "Disabled"},
		"remotelogin": {"Remote Login", "Off", "On"},
	} {
		missing := fmt.Sprintf("The extension attribute %q is not reported.", c.attribute)
		runPractice(t, key, []practiceCase{
			{key + " good", ea, attributes(c.attribute, `"`+c.good+`"`), "true", ""},
			{key + " bad", ea, attributes(c.attribute, `"`+c.bad+`"`), "false", ""},
			{key + " in lower case", ea, attributes(strings.ToLower(c.attribute), `"`+strings.ToLower(c.good)+`"`), "true", ""},
			{key + " missing", ea, "[]", "null", missing},
			{key + " empty", ea, attributes(c.attribute, `""`), "null", missing},
			{key + " null", ea, attributes(c.attribute, `null`), "null", missing},
			{key + " makes no sense", ea, attributes(c.attribute, `"maybe"`), "null", fmt.Sprintf("The extension attribute %q reads \"maybe\", which means nothing here.", c.attribute)},
			{key + " twice, first counts", ea, attributes(c.attribute, `"`+c.good+`"`, c.attribute, `"`+c.bad+`"`), "true", ""},
		})
	}
	runPractice(t, "firewall", []practiceCase{
		{"number", ea, attributes("Firewall Status", `2`), "true", ""},
		{"number zero", ea, attributes("Firewall Status", `0`), "false", ""},
	})
}

func TestFields(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name, part, value string
		want              func(*device.Device)
	}{
		{"name", "general.name", `"Ada's Mac"`, func(d *device.Device) { d.Name = "Ada's Mac" }},
		{"platform", "general.platform", `"Mac"`, func(d *device.Device) { d.Platform = "Mac" }},
		{"platform from the system", "hardware.os_name", `"Mac OS X"`, func(d *device.Device) { d.OS, d.Platform = "Mac OS X", "Mac" }},
		{"udid", "general.udid", `"U-1"`, func(d *device.Device) { d.Identifiers.UDID = "U-1" }},
		{"model", "hardware.model", `"MacBook Pro"`, func(d *device.Device) { d.Model = "MacBook Pro" }},
		{"manufacturer", "hardware.make", `"Apple"`, func(d *device.Device) { d.Manufacturer = "Apple" }},
		{"version as a number", "hardware.os_version", `26.1`, func(d *device.Device) { d.OSVersion = "26.1" }},
		{"build", "hardware.os_build", `"25B78"`, func(d *device.Device) { d.OSBuild = "25B78" }},
		{"address", "location.email_address", `"ada@example.com"`, func(d *device.Device) { d.Email = "ada@example.com" }},
		{"address as user name", "location.username", `"ada@example.com"`, func(d *device.Device) { d.Email = "ada@example.com" }},
		{"MAC", "general.mac_address", `"3C:22:FB:00:00:02"`, func(d *device.Device) { d.Identifiers.MACAddresses = []device.MAC{"3C:22:FB:00:00:02"} }},
		{"MAC with hyphens", "general.alt_mac_address", `"3c-22-fb-00-00-02"`, func(d *device.Device) { d.Identifiers.MACAddresses = []device.MAC{"3C:22:FB:00:00:02"} }},
		{"MAC by attribute", "extension_attributes", attributes("Wireless Mac Address", `"3c22.fb00.0002"`), func(d *device.Device) { d.Identifiers.MACAddresses = []device.MAC{"3C:22:FB:00:00:02"} }},
		{"MAC null", "general.mac_address", `null`, func(*device.Device) {}},
		{"MAC empty", "general.mac_address", `""`, func(*device.Device) {}},
		{"MAC of nobody", "general.mac_address", `"02:00:00:00:00:01"`, func(*device.Device) {}},
		{"MAC malformed", "general.mac_address", `"en0"`, func(d *device.Device) { d.Notes = []string{`"en0" is not a MAC address and was left out.`} }},
		{"applications", "software.applications", `[{"name":"A","version":"1.0"},{"name":"B","version":2},{"name":null},null,"C"]`, func(d *device.Device) {
			d.Software = &device.Software{Installed: []device.Application{{Name: "A", Version: "1.0"}, {Name: "B", Version: "2"}}}
		}},
		{"one application", "software.applications", `{"application":{"name":"A"}}`, func(d *device.Device) {
			d.Software = &device.Software{Installed: []device.Application{{Name: "A"}}}
		}},
		{"services", "software.running_services", `["s1",null,{"name":"s2"},"s3"]`, func(d *device.Device) {
			d.Software = &device.Software{Services: []device.Service{{Name: "s1"}, {Name: "s2"}, {Name: "s3"}}}
		}},
		{"text beyond ASCII", "general.name", `"Zo\u00eb\u2019s \ud83d\udcbb"`, func(d *device.Device) { d.Name = "Zoë’s 💻" }},
		{"text that is no UTF-8", "general.name", "\"a\xffb\"", func(d *device.Device) { d.Name = "a\ufffdb" }},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			at := time.Date(2026, 5, 30, 10, 11, 12, 0, time.UTC)
			want := device.Device{Serial: "SERIAL", LastSync: at, Source: "jamf", Identifiers: device.Identifiers{Serial: "SERIAL"}}
			c.want(&want)
			if want.Software != nil {
				want.Software.LastScan = at
			}
			got := lookUp(t, with(c.part, c.value))
			got.Practices = nil
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestReportDate(t *testing.T) {
	t.Parallel()
	at := time.Date(2026, 5, 30, 10, 11, 12, 0, time.UTC)
	for _, c := range []struct {
		name, members string
		want          time.Time
		note          bool
	}{
		{"utc", `"report_date_utc":"2026-05-30T10:11:12.000+0000"`, at, false},
		{"epoch in milliseconds", `"report_date_epoch":1780135872000`, at, false},
		{"epoch as text", `"report_date_epoch":"1780135872"`, at, false},
		{"utc odd, epoch good", `"report_date_utc":"yesterday","report_date_epoch":1780135872000`, at, false},
		{"both odd", `"report_date_utc":"yesterday","report_date_epoch":"x"`, time.Time{}, true},
		{"empty", `"report_date_utc":"","report_date_epoch":0`, time.Time{}, false},
		{"null", `"report_date_utc":null,"report_date_epoch":null`, time.Time{}, false},
		{"absent", `"name":"n"`, time.Time{}, false},
		{"wrong types", `"report_date_utc":{"a":1},"report_date_epoch":[1]`, time.Time{}, false},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			d := lookUp(t, `{"computer":{"general":{"serial_number":"SERIAL",`+c.members+`}}}`)
			if !d.LastSync.Equal(c.want) || !d.Practices["firewall"].LastUpdated.Equal(c.want) {
				t.Errorf("read %v, practice of %v, want %v", d.LastSync, d.Practices["firewall"].LastUpdated, c.want)
			}
			if (len(d.Notes) > 0) != c.note {
				t.Errorf("notes: %q", d.Notes)
			}
		})
	}
}

// Whatever one field holds, the device stays.
func TestOddFieldsKeepTheDevice(t *testing.T) {
	t.Parallel()
	const document = `{"computer":{
		"location":{"username":"ada","realname":"Ada","email_address":"ada@example.com"},
		"hardware":{"make":"Apple","model":"M","os_name":"macOS","os_version":"26.1","os_build":"B",
			"storage":[{"disk":"disk0","drive_capacity_mb":1,"partitions":[{"name":"HD","type":"boot","filevault2_status":"Encrypted","filevault2_percent":100}]}]},
		"software":{"available_software_updates":["u"],"running_services":["s"],"applications":[{"name":"A","version":"1"}]},
		"extension_attributes":[{"id":1,"name":"Firewall Status","type":"Number","value":"1"}],
		"general":{"id":1,"name":"n","platform":"Mac","udid":"U","mac_address":"3C:22:FB:00:00:02","alt_mac_address":"","report_date_utc":"2026-05-30T10:11:12.000+0000","report_date_epoch":1}}}`
	var tree map[string]any
	if err := json.Unmarshal([]byte(document), &tree); err != nil {
		t.Fatal(err)
	}
	computer, _ := tree["computer"].(map[string]any)
	documents, changed := map[string]string{}, 0
	var walk func(node any, put func(any))
	walk = func(node any, put func(any)) {
		for _, odd := range []any{nil, true, 7, -1e300, "odd", []any{}, []any{nil, 3, "x", []any{}}, map[string]any{}, map[string]any{"name": map[string]any{}}} {
			put(odd)
			general, ok := computer["general"].(map[string]any)
			if !ok {
				general = map[string]any{}
			}
			_, had := general["name"]
			general["name"], computer["general"] = "kept", general
			body, err := json.Marshal(tree)
			if err != nil {
				t.Fatal(err)
			}
			if !had {
				delete(general, "name")
			}
			changed++
			documents[fmt.Sprintf("/JSSResource/computers/serialnumber/S%d", changed)] = string(body)
		}
		put(node)
		switch v := node.(type) {
		case map[string]any:
			for key, child := range v {
				walk(child, func(odd any) { v[key] = odd })
			}
		case []any:
			for i, child := range v {
				walk(child, func(odd any) { v[i] = odd })
			}
		}
	}
	for key, child := range computer {
		walk(child, func(odd any) { computer[key] = odd })
	}
	c := open(t, serve(t, documents), nil)
	for i := 1; i <= changed; i++ {
		devices, err := c.DevicesByKeys(t.Context(), []string{fmt.Sprintf("S%d", i)}, nil)
		if err != nil || len(devices) != 1 || devices[0].Name != "kept" {
			t.Fatalf("%d devices, %v, of %s", len(devices), err, documents[fmt.Sprintf("/JSSResource/computers/serialnumber/S%d", i)])
		}
	}
	if changed < 300 {
		t.Errorf("only %d documents tried", changed)
	}
}
