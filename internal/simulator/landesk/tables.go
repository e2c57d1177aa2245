package landesk

import (
	"strings"
	"time"

	"github.com/postureproject/posture/internal/simulator/fleet"
	"github.com/postureproject/posture/internal/simulator/tds"
)

// table is one of the database's tables or views: its columns, and the rows
// that it holds about one computer.
type table struct {
	name    string
	columns []tds.Column
	rows    func(*Server, fleet.Device) [][]any
}

const (
	keyColumn = "Computer_Idn"
	// virtualAddress is that of a virtual machine monitor's adapter, the same on
	// every computer.
	virtualAddress = "005056C00008"
)

// texts makes columns of text.
func texts(names ...string) []tds.Column {
	columns := make([]tds.Column, len(names))
	for i, n := range names {
		columns[i] = tds.Column{Name: n, Type: tds.NVarChar}
	}
	return columns
}

func key() tds.Column { return tds.Column{Name: keyColumn, Type: tds.Int} }

// tables is the part of LANDESK's schema that this server knows.
func tables() []table {
	moment := func(name string) tds.Column { return tds.Column{Name: name, Type: tds.DateTime} }
	keyed := func(names ...string) []tds.Column { return append([]tds.Column{key()}, texts(names...)...) }
	return []table{
		{"Computer", append(keyed("DISPLAYNAME", "DEVICEID", "TYPE"), moment("LASTUPDINVSVR"), moment("HWLASTSCANDATE"), moment("SWLASTSCANDATE")), computerRows},
		{"LDAPUserAttrV", keyed("EMAILADDR"), userRows},
		{"CompSystem", keyed("MODEL", "MANUFACTURER", "SERIALNUM", "SYSTEMVERSION"), systemRows},
		{"BitLocker", keyed("PROTECTIONSTATUS", "CONVERSIONSTATUS", "GENENCRYPT", "ENCRYPTIONPERCENTAGE"), bitLockerRows},
		{"OSNT", keyed("CURRENTBUILD", "CURRENTVERSION", "RELEASEID"), windowsRows},
		{"Operating_System", keyed("OSTYPE"), osRows},
		{
			"CVDetectedV",
			append(keyed("Vul_ID", "VulType", "VulSeverity", "Title"), tds.Column{Name: "Reason", Type: tds.NVarCharMax}),
			vulnerabilityRows,
		},
		{"BoundAdapter", keyed("PhysAddress", "FirewallEnabled"), adapterRows},
		{"AppSoftwareSuites", keyed("InstallDate", "Publisher", "SuiteName", "Version"), suiteRows},
	}
}

// local gives a time's wall clock at the server.
func (s *Server) local(t time.Time) any {
	if t.IsZero() {
		return nil
	}
	return t.In(s.o.Zone)
}

func computerRows(s *Server, d fleet.Device) [][]any {
	return [][]any{{
		int64(d.ID), d.Name, "{" + d.UDID + "}", "Workstation",
		s.local(d.LastSync), s.local(d.LastSync.Add(-10 * time.Minute)), s.local(d.LastSync.Add(-5 * time.Minute)),
	}}
}

func userRows(_ *Server, d fleet.Device) [][]any { return [][]any{{int64(d.ID), d.Owner.Email}} }

// systemRows gives Lenovo's machine type as the model, and the model's name as
// the system's version, as Lenovo's firmware does.
func systemRows(_ *Server, d fleet.Device) [][]any {
	return [][]any{{int64(d.ID), "21HMCTO1WW", d.Maker, d.Serial, d.Model}}
}

func bitLockerRows(_ *Server, d fleet.Device) [][]any {
	if d.Encrypted {
		return [][]any{{int64(d.ID), "1 - on", "1 - fully encrypted", nil, "100"}}
	}
	return [][]any{{int64(d.ID), "0 - off", "0 - fully decrypted", nil, "0"}}
}

func windowsRows(_ *Server, d fleet.Device) [][]any {
	build := d.OSVersion[strings.LastIndexByte(d.OSVersion, '.')+1:]
	release := map[string]string{"26200": "25H2", "26100": "24H2", "22631": "23H2", "19045": "22H2"}[build]
	return [][]any{{int64(d.ID), build, "6.3", release}}
}

func osRows(_ *Server, d fleet.Device) [][]any {
	return [][]any{{int64(d.ID), "Microsoft " + d.OS + " Enterprise Edition, 64-bit"}}
}

// unscanned is true for a few computers on which the security scanner has never
// run, so that the database holds none of its findings.
func unscanned(d fleet.Device) bool { return d.Owner.Index > 0 && d.ID%20 == 9 }

func vulnerabilityRows(s *Server, d fleet.Device) [][]any {
	if unscanned(d) {
		return nil
	}
	id := int64(d.ID)
	// Every scan of a Windows computer finds something of low severity.
	rows := [][]any{{id, "MSRT-2026-10", "Vulnerability", "Low", "Windows Malicious Software Removal Tool", nil}}
	if !d.UpToDate {
		rows = append(
			rows,
			[]any{id, "MS26-10-CU", "Vulnerability", "Critical", "Cumulative Update for Windows, October 2026", "The update is not installed."},
			[]any{id, "JRE8u481", "Vulnerability", "High", "Java Runtime Environment 8 Update 481", nil},
		)
	}
	if !d.ScreenLock {
		user := d.Owner.Local
		rows = append(rows, []any{
			id, s.o.ScreenLockID, "Security Threat", "High", "Screen Saver with Password enabled setting check",
			"The screen saver is not enabled for user admin." +
				"The screen saver time out value for user " + user + " is longer than 15 minutes." +
				"The screen saver password protection setting is not enabled for user " + user + ".",
		})
	}
	if !d.AutoUpdate {
		rows = append(rows, []any{id, s.o.AutoUpdateID, "Security Threat", "Medium", "Automatic Updates setting check", "Automatic updates are off."})
	}
	return rows
}

// adapterRows adds a virtual adapter, whose made-up address several computers share.
func adapterRows(_ *Server, d fleet.Device) [][]any {
	firewall := "No"
	if d.Firewall {
		firewall = "Yes"
	}
	var rows [][]any
	for _, mac := range d.MACs {
		rows = append(rows, []any{int64(d.ID), strings.ReplaceAll(mac, ":", ""), firewall})
	}
	return append(rows, []any{int64(d.ID), virtualAddress, "Not Installed"})
}

func suiteRows(s *Server, d fleet.Device) [][]any {
	apps := s.fleet.Apps(d)
	rows := make([][]any, len(apps))
	for i, a := range apps {
		rows[i] = []any{int64(d.ID), a.Installed.Format("20060102"), a.Publisher, a.Name, a.Version}
	}
	return rows
}
