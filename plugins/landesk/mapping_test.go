package landesk_test

import (
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/internal/simulator/fleet"
	simulator "github.com/postureproject/posture/internal/simulator/landesk"
	"github.com/postureproject/posture/internal/simulator/tds"
	"github.com/postureproject/posture/plugins/landesk"
	"github.com/postureproject/posture/plugins/sdk/sdktest"
)

// row is a table's row without the computer's number.
type row map[string]any

// tables replaces what tables hold about every computer.
type tables map[string][]row

func (e tables) edit(table string, rows []map[string]any) []map[string]any {
	replaced, ok := e[table]
	if !ok {
		return rows
	}
	var all []map[string]any
	for _, r := range replaced {
		one := map[string]any{"Computer_Idn": rowNumber(rows)}
		for k, v := range r {
			one[k] = v
		}
		all = append(all, one)
	}
	return all
}

// rowNumber gives the number of the computer, which is person 0's when the table
// has no row from which to take it.
func rowNumber(rows []map[string]any) any {
	if len(rows) > 0 {
		return rows[0]["Computer_Idn"]
	}
	return int64(2)
}

const ada = "ada.lovelace@example.com"

// devicesOf looks up ada's devices in a company of one, edited.
func devicesOf(t *testing.T, e tables, types map[string]tds.Type, config map[string]any) []device.Device {
	t.Helper()
	b := start(t, fleet.Options{People: 1, Apps: 1}, simulator.Options{Edit: e.edit, Types: types})
	client := sdktest.Open(t, landesk.Plugin(), b.with(config))
	devices, err := client.DevicesByEmail(t.Context(), ada)
	if err != nil {
		t.Fatal(err)
	}
	if listed := list(t, client); !cmp.Equal(devices, ofOwner(listed, ada)) {
		t.Errorf("listed and looked up differ:\n%s", cmp.Diff(ofOwner(listed, ada), devices))
	}
	return devices
}

func ofOwner(devices []device.Device, email string) []device.Device {
	var all []device.Device
	for _, d := range devices {
		if strings.EqualFold(d.Email, email) {
			all = append(all, d)
		}
	}
	return all
}

func deviceOf(t *testing.T, e tables, types map[string]tds.Type, config map[string]any) device.Device {
	t.Helper()
	devices := devicesOf(t, e, types, config)
	if len(devices) != 1 {
		t.Fatalf("%d devices, want one", len(devices))
	}
	return devices[0]
}

func TestPractices(t *testing.T) {
	t.Parallel()
	yes, no, unknown := device.Bool(true), device.Bool(false), (*bool)(nil)
	bitLocker := func(protection, percent any) []row {
		return []row{{"PROTECTIONSTATUS": protection, "ENCRYPTIONPERCENTAGE": percent}}
	}
	finding := func(id, kind, severity, title, reason any) row {
		return row{"Vul_ID": id, "VulType": kind, "VulSeverity": severity, "Title": title, "Reason": reason}
	}
	harmless := finding("MSRT", "Vulnerability", "Low", "Tool", nil)
	adapter := func(address, firewall any) row { return row{"PhysAddress": address, "FirewallEnabled": firewall} }
	tests := []struct {
		name    string
		tables  tables
		types   map[string]tds.Type
		config  map[string]any
		key     string
		value   *bool
		details string // found in the details; "-" means that there are none
	}{
		{name: "encryption: text", tables: tables{"BitLocker": bitLocker("1 - on", "100")}, key: "encryption", value: yes},
		{name: "encryption: text with a sign", tables: tables{"BitLocker": bitLocker("1 - On", " 100 % ")}, key: "encryption", value: yes},
		{
			name: "encryption: number", tables: tables{"BitLocker": bitLocker("1 - on", int64(100))}, key: "encryption", value: yes,
			types: map[string]tds.Type{"BitLocker.ENCRYPTIONPERCENTAGE": tds.Int},
		},
		{
			name: "encryption: fraction", tables: tables{"BitLocker": bitLocker("1 - on", 99.5)}, key: "encryption", value: no, details: "by 99.5 %",
			types: map[string]tds.Type{"BitLocker.ENCRYPTIONPERCENTAGE": tds.Float},
		},
		{
			name: "encryption: status as number", tables: tables{"BitLocker": bitLocker(int64(1), "100")}, key: "encryption", value: yes,
			types: map[string]tds.Type{"BitLocker.PROTECTIONSTATUS": tds.Int},
		},
		{name: "encryption: under way", tables: tables{"BitLocker": bitLocker("1 - on", "42")}, key: "encryption", value: no, details: "by 42 %"},
		{name: "encryption: not protected", tables: tables{"BitLocker": bitLocker("0 - off", "100")}, key: "encryption", value: no, details: "0 - off"},
		{name: "encryption: protection unknown", tables: tables{"BitLocker": bitLocker("2 - unknown", "100")}, key: "encryption", value: unknown},
		{name: "encryption: no percentage", tables: tables{"BitLocker": bitLocker("1 - on", nil)}, key: "encryption", value: unknown, details: "does not tell"},
		{name: "encryption: odd percentage", tables: tables{"BitLocker": bitLocker("1 - on", "much")}, key: "encryption", value: unknown},
		{name: "encryption: all NULL", tables: tables{"BitLocker": bitLocker(nil, nil)}, key: "encryption", value: unknown, details: "no BitLocker data"},
		{name: "encryption: no row", tables: tables{"BitLocker": nil}, key: "encryption", value: unknown, details: "no BitLocker data"},
		{
			name: "encryption: one volume of two", key: "encryption", value: no, details: "\n",
			tables: tables{"BitLocker": append(bitLocker("1 - on", "100"), bitLocker("0 - off", "0")...)},
		},
		{
			name: "encryption: two volumes", key: "encryption", value: yes,
			tables: tables{"BitLocker": append(bitLocker("1 - on", "100"), bitLocker("1 - on", "100.0")...)},
		},

		{name: "firewall: on", tables: tables{"BoundAdapter": {adapter("8C1645000004", "Yes")}}, key: "firewall", value: yes, details: "-"},
		{
			name: "firewall: off on one", key: "firewall", value: no, details: "8C:16:45:00:00:05",
			tables: tables{"BoundAdapter": {adapter("8C1645000004", "yes"), adapter("8c1645000005", "no")}},
		},
		{name: "firewall: off, odd address", tables: tables{"BoundAdapter": {adapter("??", "No")}}, key: "firewall", value: no, details: "??"},
		{name: "firewall: off, no address", tables: tables{"BoundAdapter": {adapter(nil, "No")}}, key: "firewall", value: no, details: "without an address"},
		{name: "firewall: nobody says", tables: tables{"BoundAdapter": {adapter("8C1645000004", "Not Installed")}}, key: "firewall", value: unknown, details: "says whether"},
		{name: "firewall: NULL", tables: tables{"BoundAdapter": {adapter("8C1645000004", nil)}}, key: "firewall", value: unknown},
		{name: "firewall: no row", tables: tables{"BoundAdapter": nil}, key: "firewall", value: unknown, details: "no network adapter"},

		{name: "screenlock: not found", tables: tables{"CVDetectedV": {harmless}}, key: "screenlock", value: yes, details: "-"},
		{
			name: "screenlock: found", key: "screenlock", value: no, details: "fry has no screen saver.\nleela has a screen saver that waits longer than 20 minutes.",
			tables: tables{"CVDetectedV": {finding(
				"st000202", "Security Threat", "High", "Check",
				"The screen saver is not enabled for user fry.The screen saver time out value for user leela is longer than 20 minutes.",
			)}},
		},
		{name: "screenlock: found, no reason", tables: tables{"CVDetectedV": {finding("ST000202", nil, nil, nil, nil)}}, key: "screenlock", value: no, details: "-"},
		{
			name: "screenlock: by configuration", tables: tables{"CVDetectedV": {finding("OTHER1", nil, nil, nil, nil)}}, key: "screenlock", value: no,
			config: map[string]any{"LANDESK_SCREENLOCK_VULN_ID": "OTHER1"},
		},
		{name: "screenlock: never scanned", tables: tables{"CVDetectedV": nil}, key: "screenlock", value: unknown, details: "security scan"},
		{
			name: "screenlock: never scanned, but inventoried", key: "screenlock", value: unknown,
			tables: tables{"CVDetectedV": nil, "Computer": {{"SWLASTSCANDATE": time.Date(2026, 5, 1, 0, 0, 0, 0, time.UTC)}}},
		},

		{name: "autoupdate: not found", tables: tables{"CVDetectedV": {harmless}}, key: "autoupdate", value: yes, details: "-"},
		{name: "autoupdate: found", tables: tables{"CVDetectedV": {finding("ST000003v2", "Security Threat", "Low", "Check", "Off.")}}, key: "autoupdate", value: no, details: "Off."},
		{
			name: "autoupdate: by configuration", tables: tables{"CVDetectedV": {finding("ST000003v2", nil, nil, nil, nil)}}, key: "autoupdate", value: yes,
			config: map[string]any{"LANDESK_AUTOUPDATE_VULN_ID": "ST000003v3"},
		},
		{name: "autoupdate: never scanned", tables: tables{"CVDetectedV": nil}, key: "autoupdate", value: unknown, details: "security scan"},

		{name: "uptodate: low only", tables: tables{"CVDetectedV": {harmless}}, key: "uptodate", value: yes, details: "-"},
		{
			name: "uptodate: critical and high", key: "uptodate", value: no, details: "A patch\nB patch",
			tables: tables{"CVDetectedV": {
				finding("2", "Vulnerability", "High", "B patch", nil), finding("1", "vulnerability", "critical", "A patch", nil),
				finding("3", "Vulnerability", "High", "A patch", nil), harmless,
			}},
		},
		{name: "uptodate: no title", tables: tables{"CVDetectedV": {finding("V7", "Vulnerability", "High", nil, nil)}}, key: "uptodate", value: no, details: "V7"},
		{name: "uptodate: another type", tables: tables{"CVDetectedV": {finding("1", "Security Threat", "Critical", "A", nil)}}, key: "uptodate", value: yes},
		{name: "uptodate: all NULL", tables: tables{"CVDetectedV": {{}}}, key: "uptodate", value: yes},
		{name: "uptodate: never scanned", tables: tables{"CVDetectedV": nil}, key: "uptodate", value: unknown, details: "security scan"},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			got := deviceOf(t, tt.tables, tt.types, tt.config).Practices[tt.key]
			if !cmp.Equal(got.Value, tt.value) {
				t.Errorf("value %s, want %s (%s)", say(got.Value), say(tt.value), got.Details)
			}
			if tt.details == "-" && got.Details != "" || tt.details != "-" && !strings.Contains(got.Details, tt.details) {
				t.Errorf("details %q, want %q", got.Details, tt.details)
			}
			if got.Value == nil && got.Details == "" {
				t.Error("unknown without a reason")
			}
		})
	}
}

func say(v *bool) string {
	switch {
	case v == nil:
		return "unknown"
	case *v:
		return "true"
	default:
		return "false"
	}
}

func TestFields(t *testing.T) {
	t.Parallel()
	system := func(maker, model, version any) tables {
		return tables{"CompSystem": {{"MANUFACTURER": maker, "MODEL": model, "SYSTEMVERSION": version, "SERIALNUM": "S1"}}}
	}
	windows := func(product, version, build any) tables {
		return tables{"Operating_System": {{"OSTYPE": product}}, "OSNT": {{"CURRENTVERSION": version, "CURRENTBUILD": build, "RELEASEID": "24H2"}}}
	}
	osOf := func(d device.Device) string { return strings.Join([]string{d.Platform, d.OS, d.OSVersion}, "|") }
	suite := func(date any) tables {
		return tables{"AppSoftwareSuites": {{"SuiteName": "Editor", "Version": "1", "Publisher": "P", "InstallDate": date}}}
	}
	installed := func(d device.Device) string { return stamp(d.Software.Installed[0].InstallDate) }
	synced := func(d device.Device) string { return stamp(d.LastSync) }
	at := time.Date(2026, 7, 1, 8, 30, 0, 0, time.UTC) // as a wall clock
	tests := []struct {
		name   string
		tables tables
		types  map[string]tds.Type
		config map[string]any
		field  func(device.Device) string
		want   string
	}{
		{"model of a Lenovo", system("LENOVO", "21HM", "ThinkPad X1"), nil, nil, func(d device.Device) string { return d.Model }, "ThinkPad X1"},
		{"model of a Lenovo, other case", system("Lenovo ", "21HM", "ThinkPad X1"), nil, nil, func(d device.Device) string { return d.Model }, "ThinkPad X1"},
		{"model of a Lenovo without version", system("LENOVO", "21HM", " "), nil, nil, func(d device.Device) string { return d.Model }, "21HM"},
		{"model of another", system("Dell Inc.", "XPS 13", "1.0"), nil, nil, func(d device.Device) string { return d.Model }, "XPS 13"},
		{"serial with spaces", tables{"CompSystem": {{"SERIALNUM": "  AB12 "}}}, nil, nil, func(d device.Device) string { return d.Serial + d.Identifiers.Serial }, "AB12AB12"},

		{"windows 10", windows("Microsoft Windows 10 Pro, 64-bit", "6.3", "19045"), nil, nil, osOf, "Windows|Windows 10|10.0.19045"},
		{"windows 11 that calls itself 10", windows("Microsoft Windows 10 Pro, 64-bit", "6.3", "22631"), nil, nil, osOf, "Windows|Windows 11|10.0.22631"},
		{"windows 7", windows("Microsoft Windows 7 Professional", "6.1", "7601"), nil, nil, osOf, "Windows|Windows 7|6.1.7601"},
		{"windows 8.1", windows("Microsoft Windows 8.1 Pro", "6.3", "9600"), nil, nil, osOf, "Windows|Windows 8.1|6.3.9600"},
		{"server", windows("Microsoft Windows Server 2012 R2 Standard", "6.3", "9600"), nil, nil, osOf, "Windows|Windows Server 2012 R2|6.3.9600"},
		{"one word", windows("Windows", "10.0", nil), nil, nil, osOf, "Windows|Windows|10.0"},
		{"version with its build", windows("Microsoft Windows 7", "6.1.7601", "7601"), nil, nil, osOf, "Windows|Windows 7|6.1.7601"},
		{"no product", windows(nil, "6.3", "22631"), nil, nil, osOf, "Windows||10.0.22631"},
		{"nothing", windows(nil, nil, nil), nil, nil, osOf, "||"},
		{"build as number", windows("Microsoft Windows 11", "6.3", int64(26100)), map[string]tds.Type{"OSNT.CURRENTBUILD": tds.Int}, nil, osOf, "Windows|Windows 11|10.0.26100"},
		{"a Mac", windows("Mac OS X 10.15.7", nil, nil), nil, nil, osOf, "Mac|Mac OS X 10.15.7|"},

		{"time in UTC", tables{"Computer": {{"LASTUPDINVSVR": at}}}, nil, nil, synced, "2026-07-01T08:30:00Z"},
		{
			"local time in summer",
			tables{"Computer": {{"LASTUPDINVSVR": at}}},
			nil,
			map[string]any{"LANDESK_TIMEZONE": "America/Los_Angeles"},
			synced, "2026-07-01T15:30:00Z",
		},
		{
			"local time in winter",
			tables{"Computer": {{"LASTUPDINVSVR": at.AddDate(0, -6, 0)}}},
			nil,
			map[string]any{"LANDESK_TIMEZONE": "America/Los_Angeles"},
			synced, "2026-01-01T16:30:00Z",
		},
		{"no time, but scans", tables{"Computer": {{"HWLASTSCANDATE": at, "SWLASTSCANDATE": at.Add(time.Hour)}}}, nil, nil, synced, "2026-07-01T09:30:00Z"},
		{"no time at all", tables{"Computer": {{}}}, nil, nil, synced, ""},
		{"SQL Server's zero", tables{"Computer": {{"LASTUPDINVSVR": time.Date(1900, 1, 1, 0, 0, 0, 0, time.UTC)}}}, nil, nil, synced, ""},
		{
			"time as text",
			tables{"Computer": {{"LASTUPDINVSVR": "7/1/2026 8:30:00 AM"}}},
			map[string]tds.Type{"Computer.LASTUPDINVSVR": tds.NVarChar},
			map[string]any{"LANDESK_TIMEZONE": "Europe/Berlin"},
			synced, "2026-07-01T06:30:00Z",
		},
		{
			"time as odd text",
			tables{"Computer": {{"LASTUPDINVSVR": "yesterday"}}},
			map[string]tds.Type{"Computer.LASTUPDINVSVR": tds.NVarChar},
			nil,
			func(d device.Device) string { return synced(d) + strings.Join(d.Notes, "") }, `LASTUPDINVSVR "yesterday" is not a date that can be read.`,
		},

		{"install date", suite("20260228"), nil, nil, installed, "2026-02-28T00:00:00Z"},
		{"install date as DATETIME", suite(at), map[string]tds.Type{"AppSoftwareSuites.InstallDate": tds.DateTime}, nil, installed, "2026-07-01T08:30:00Z"},
		{"American install date", suite("2/28/2026"), nil, nil, installed, "2026-02-28T00:00:00Z"},
		{"no install date", suite(nil), nil, nil, installed, ""},
		{
			"impossible install date", suite("20260230"), nil, nil,
			func(d device.Device) string { return installed(d) + strings.Join(d.Notes, "") }, `The install dates of 1 of 1 programs cannot be read, such as "20260230".`,
		},
		{
			"programs without name and twice",
			tables{"AppSoftwareSuites": {{"SuiteName": "B"}, {"SuiteName": " "}, {"SuiteName": "A"}, {"SuiteName": "B"}}},
			nil, nil,
			func(d device.Device) string {
				names := ""
				for _, a := range d.Software.Installed {
					names += a.Name
				}
				return names
			},
			"AB",
		},

		{
			"addresses",
			tables{"BoundAdapter": {
				{"PhysAddress": "8C1645000004", "FirewallEnabled": "Yes"},
				{"PhysAddress": "8c1645000004", "FirewallEnabled": "No"},
				{"PhysAddress": "020000000001", "FirewallEnabled": "Yes"},
				{"PhysAddress": "005056C00008", "FirewallEnabled": "not installed"},
				{"PhysAddress": "nonsense", "FirewallEnabled": "Yes"},
				{"PhysAddress": nil, "FirewallEnabled": nil},
				{"PhysAddress": "8C1645000005", "FirewallEnabled": nil},
			}},
			nil, nil,
			func(d device.Device) string {
				all := slices.Clone(d.Notes)
				for _, m := range d.Identifiers.MACAddresses {
					all = append(all, string(m))
				}
				return strings.Join(all, "|")
			},
			`PhysAddress "nonsense" is not a MAC address.|8C:16:45:00:00:04|8C:16:45:00:00:05`,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			if got := tt.field(deviceOf(t, tt.tables, tt.types, tt.config)); got != tt.want {
				t.Errorf("got %q, want %q", got, tt.want)
			}
		})
	}
}

func stamp(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339)
}

// TestNulls puts NULL into every column but those by which a computer and its
// owner are known, then takes every other row away.
func TestNulls(t *testing.T) {
	t.Parallel()
	nulls := tables{
		"Computer": {{}}, "CompSystem": {{}}, "BitLocker": {{}}, "OSNT": {{}}, "Operating_System": {{}},
		"CVDetectedV": {{}}, "BoundAdapter": {{}}, "AppSoftwareSuites": {{}},
	}
	nothing := tables{"Computer": {{}}}
	for table := range nulls {
		if table != "Computer" {
			nothing[table] = nil
		}
	}
	for name, e := range map[string]tables{"NULL": nulls, "no rows": nothing} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			d := deviceOf(t, e, nil, nil)
			keys := []string{"encryption", "firewall"}
			if name == "no rows" {
				keys = append(keys, "screenlock", "autoupdate", "uptodate")
			}
			for _, key := range keys {
				if p := d.Practices[key]; p.Value != nil || p.Details == "" {
					t.Errorf("%s = %s %q, want unknown with a reason", key, say(p.Value), p.Details)
				}
			}
			d.Practices = nil
			if diff := cmp.Diff(device.Device{Email: ada, Source: landesk.Name}, d); diff != "" {
				t.Errorf("-want +got:\n%s", diff)
			}
		})
	}
}

// TestOwners gives a computer two owners, who both get it, and another none.
func TestOwners(t *testing.T) {
	t.Parallel()
	e := tables{"LDAPUserAttrV": {{"EMAILADDR": ada}, {"EMAILADDR": "babbage@example.com"}, {"EMAILADDR": "ADA.lovelace@example.com"}, {"EMAILADDR": "no address"}}}
	b := start(t, fleet.Options{People: 1, Apps: 1}, simulator.Options{Edit: e.edit})
	client := sdktest.Open(t, landesk.Plugin(), b.settings)
	for _, email := range []string{ada, "babbage@example.com"} {
		devices, err := client.DevicesByEmail(t.Context(), email)
		if err != nil || len(devices) != 1 || !strings.EqualFold(devices[0].Email, email) {
			t.Errorf("%s: %d devices, %v; want one of their own", email, len(devices), err)
		}
	}
	var users []string
	err := client.ListUsers(t.Context(), idle, func(some []device.User) error {
		for _, u := range some {
			users = append(users, strings.ToLower(u.Email))
		}
		return nil
	})
	if diff := cmp.Diff([]string{ada, "babbage@example.com"}, users); err != nil || diff != "" {
		t.Errorf("users: %v\n%s", err, diff)
	}

	unowned := start(t, fleet.Options{People: 1, Apps: 1}, simulator.Options{Edit: tables{"LDAPUserAttrV": nil}.edit})
	listed := list(t, sdktest.Open(t, landesk.Plugin(), unowned.settings))
	if len(listed) != 1 || listed[0].Email != "" || listed[0].Serial == "" {
		t.Errorf("listed %+v, want the computer without an owner", listed)
	}
}
