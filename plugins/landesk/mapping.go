package landesk

import (
	"encoding/json"
	"fmt"
	"strings"
	"time"

	"github.com/postureproject/posture/device"
)

// rules turn rows into devices.
type rules struct {
	screenLockID, autoUpdateID string
	zone                       *time.Location // of times without one
	debug                      bool           // add the rows themselves

	windows    windowsNames
	screenLock screenLockFindings
}

func (r rules) readComputer(cells []any) owned[computer] { return readComputer(cells, r.zone) }

func (r rules) devices(found []computer, known *findings) []device.Device {
	devices := make([]device.Device, len(found))
	for i, c := range found {
		devices[i] = r.device(c, known)
	}
	return devices
}

func (r rules) device(c computer, known *findings) device.Device {
	d := device.Device{
		Name: c.name, Type: c.kind, Email: c.email, Manufacturer: c.maker, Model: c.model, Serial: c.serial,
		Platform: platform(c.os, c.build+c.ntVersion != ""), OS: r.windows.name(c.os, c.build),
		OSVersion: osVersion(c.ntVersion, c.build), OSBuild: c.build, OSRelease: c.release,
		LastSync: c.updated, Notes: c.notes,
	}
	if strings.EqualFold(c.maker, "LENOVO") && c.version != "" {
		d.Model = c.version // MODEL is a code such as 21HMCTO1WW
	}
	if d.LastSync.IsZero() {
		d.LastSync = later(c.hardware, c.software)
	}
	d.Identifiers.Serial = c.serial
	r.addMACs(&d, known.adapters[c.id])
	r.addSoftware(&d, c, known)
	d.Practices = r.practices(c, d.LastSync, known)
	if r.debug {
		d.Raw = raw(c, known)
	}
	return d
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

// addMACs takes the addresses of the adapters that a firewall can guard: the
// others are virtual, and many computers share theirs.
func (r rules) addMACs(d *device.Device, all []adapter) {
	var addresses []string
	for _, a := range all {
		if !strings.EqualFold(a.firewall, firewallNotInstalled) {
			addresses = append(addresses, a.address)
		}
	}
	macs, bad := device.UsableMACs(addresses...)
	d.Identifiers.MACAddresses = macs
	for _, b := range bad {
		d.Notes = append(d.Notes, fmt.Sprintf("PhysAddress %q is not a MAC address.", b))
	}
}

func (r rules) addSoftware(d *device.Device, c computer, known *findings) {
	if known.unread[suites().name()] {
		d.Notes = append(d.Notes, "AppSoftwareSuites could not be read, so the installed software is unknown.")
		return
	}
	software := device.Software{LastScan: c.software}
	odd, example := 0, ""
	all := known.suites[c.id]
	for i, s := range all {
		if s.name == "" || i > 0 && s == all[i-1] {
			continue
		}
		if s.odd {
			odd, example = odd+1, s.date
		}
		software.Installed = append(software.Installed, device.Application{
			Name: s.name, Version: s.version, Publisher: s.publisher, InstallDate: s.installed,
		})
	}
	if odd > 0 {
		d.Notes = append(d.Notes, fmt.Sprintf("The install dates of %d of %d programs cannot be read, such as %q.", odd, len(software.Installed), example))
	}
	if len(software.Installed) > 0 || !software.LastScan.IsZero() {
		d.Software = &software
	}
}

// raw gives the rows about a computer, by table and column.
func raw(c computer, known *findings) json.RawMessage {
	type row = map[string]string
	doc := map[string]any{
		"Computer": row{
			"Computer_Idn": fmt.Sprint(c.id), "DISPLAYNAME": c.name, "DEVICEID": c.deviceID, "TYPE": c.kind,
			"LASTUPDINVSVR": date(c.updated), "HWLASTSCANDATE": date(c.hardware), "SWLASTSCANDATE": date(c.software),
		},
		"LDAPUserAttrV":    row{"EMAILADDR": c.email},
		"CompSystem":       row{"MODEL": c.model, "MANUFACTURER": c.maker, "SERIALNUM": c.serial, "SYSTEMVERSION": c.version},
		"OSNT":             row{"CURRENTBUILD": c.build, "CURRENTVERSION": c.ntVersion, "RELEASEID": c.release},
		"Operating_System": row{"OSTYPE": c.os},
	}
	var volumes, detected, adapters, suites []row
	for _, v := range c.volumes {
		volumes = append(volumes, row{
			"PROTECTIONSTATUS": v.protection, "CONVERSIONSTATUS": v.conversion, "GENENCRYPT": v.product, "ENCRYPTIONPERCENTAGE": v.percent,
		})
	}
	for _, v := range known.vulnerabilities[c.id] {
		detected = append(detected, row{"Vul_ID": v.id, "VulType": v.kind, "VulSeverity": v.severity, "Title": v.title, "Reason": v.reason})
	}
	for _, a := range known.adapters[c.id] {
		adapters = append(adapters, row{"PhysAddress": a.address, "FirewallEnabled": a.firewall})
	}
	for _, s := range known.suites[c.id] {
		suites = append(suites, row{"SuiteName": s.name, "Version": s.version, "Publisher": s.publisher, "InstallDate": s.date})
	}
	doc["BitLocker"], doc["CVDetectedV"], doc["BoundAdapter"], doc["AppSoftwareSuites"] = volumes, detected, adapters, suites
	b, err := json.Marshal(doc)
	if err != nil {
		return nil
	}
	return b
}

func date(t time.Time) string {
	if t.IsZero() {
		return ""
	}
	return t.Format(time.RFC3339)
}
