package file

import (
	"errors"
	"fmt"
	"strings"
	"unique"

	"github.com/postureproject/posture/device"
)

// maxNotes bounds the notes on one record.
const maxNotes = 10

// deviceText gives the text field of a path, or nil.
func deviceText(d *device.Device, path string) *string {
	switch path {
	case "name":
		return &d.Name
	case "model":
		return &d.Model
	case "manufacturer":
		return &d.Manufacturer
	case "type":
		return &d.Type
	case "serial":
		return &d.Serial
	case "status":
		return &d.Status
	case "photo_url":
		return &d.PhotoURL
	case "user_agent":
		return &d.UserAgent
	case "email":
		return &d.Email
	case "platform":
		return &d.Platform
	case "os":
		return &d.OS
	case "os_version":
		return &d.OSVersion
	case "os_build":
		return &d.OSBuild
	case "os_release":
		return &d.OSRelease
	}
	switch strings.TrimPrefix(path, "identifiers.") {
	case "serial":
		return &d.Identifiers.Serial
	case "udid":
		return &d.Identifiers.UDID
	case "imei":
		return &d.Identifiers.IMEI
	case "meid":
		return &d.Identifiers.MEID
	case "google_device_id":
		return &d.Identifiers.GoogleDeviceID
	}
	return nil
}

// parseDevice reads a device. It returns the fields that it does not know, and
// an error when nothing tells whose or which device it is.
func parseDevice(r row) (d device.Device, unknown []string, err error) {
	d.Raw = r.raw
	for _, e := range r.entries {
		problem := ""
		switch {
		case deviceText(&d, e.path) != nil:
			problem = setText(deviceText(&d, e.path), e)
		case isDeviceField(e.path):
			problem = setDeviceField(&d, e)
		default:
			unknown = append(unknown, e.path)
		}
		if problem != "" && len(d.Notes) < maxNotes {
			d.Notes = append(d.Notes, problem)
		}
	}
	if d.Serial == "" {
		d.Serial = d.Identifiers.Serial
	} else if d.Identifiers.Serial == "" {
		d.Identifiers.Serial = d.Serial
	}
	if !strings.Contains(d.Email, "@") && isAbsent(d.Email) {
		d.Email = ""
	}
	id := d.Identifiers
	if d.Email == "" && id.Serial == "" && id.UDID == "" && id.IMEI == "" && id.MEID == "" && id.GoogleDeviceID == "" && len(id.MACAddresses) == 0 {
		return d, unknown, errors.New("has neither an e-mail address nor an identifier")
	}
	return d, unknown, nil
}

// setText sets a text field that is not set yet: where several columns give the
// same field, the first one with a value holds.
func setText(field *string, e entry) (problem string) {
	value, ok := text(e.value)
	if !ok {
		return fmt.Sprintf("%s is not a text: %s", e.path, shown(e.value))
	}
	if *field == "" {
		*field = value
	}
	return ""
}

// isDeviceField tells whether a path names a field that is more than a text.
func isDeviceField(path string) bool {
	prefix, rest, _ := strings.Cut(path, ".")
	switch prefix {
	case "practices":
		return rest != ""
	case "last_sync", "hw_release_date", "mac_address", "mac_addresses":
		return rest == ""
	case "identifiers":
		return rest == "mac_address" || rest == "mac_addresses"
	case "software":
		return rest == "last_scan_date" || rest == "installed" || rest == "services"
	default:
		return false
	}
}

func setDeviceField(d *device.Device, e entry) (problem string) {
	prefix, rest, _ := strings.Cut(e.path, ".")
	var ok bool
	switch prefix {
	case "practices":
		return setPractice(d, rest, e)
	case "software":
		return setSoftware(d, rest, e)
	case "last_sync":
		d.LastSync, ok = moment(e.value)
	case "hw_release_date":
		d.HWRelease, ok = moment(e.value)
	default:
		return setMACs(d, e)
	}
	if !ok {
		return fmt.Sprintf("%s is not a time: %s", e.path, shown(e.value))
	}
	return ""
}

func setMACs(d *device.Device, e entry) (problem string) {
	values, ok := list(e.value, "; ,|\n\t")
	if !ok {
		problem = fmt.Sprintf("%s is not a list of addresses: %s", e.path, shown(e.value))
	}
	all := make([]string, 0, len(d.Identifiers.MACAddresses)+len(values))
	for _, have := range d.Identifiers.MACAddresses {
		all = append(all, string(have))
	}
	macs, bad := device.UsableMACs(append(all, values...)...)
	d.Identifiers.MACAddresses = macs
	for _, b := range bad {
		if !isAbsent(b) {
			problem = shown(b) + " is not a MAC address"
		}
	}
	return problem
}

// setPractice reads practices.KEY (the value alone) and practices.KEY.value,
// .details and .last_updated. Whatever else stands below a practice is a verdict,
// which sources do not give.
func setPractice(d *device.Device, path string, e entry) (problem string) {
	key, part, _ := strings.Cut(path, ".")
	p := d.Practices[key]
	var ok bool
	switch part {
	case "", "value":
		p.Value, ok = yesNo(e.value)
	case "details":
		p.Details, ok = text(e.value)
	case "last_updated":
		p.LastUpdated, ok = moment(e.value)
	default:
		return ""
	}
	if d.Practices == nil {
		d.Practices = make(map[string]device.Practice)
	}
	d.Practices[key] = p
	if !ok {
		return fmt.Sprintf("%s cannot be read: %s", e.path, shown(e.value))
	}
	return ""
}

// setSoftware reads what is installed: objects, or names alone, in a table
// separated by semicolons.
func setSoftware(d *device.Device, part string, e entry) (problem string) {
	if d.Software == nil {
		d.Software = &device.Software{}
	}
	switch part {
	case "last_scan_date":
		at, ok := moment(e.value)
		if !ok {
			return fmt.Sprintf("%s is not a time: %s", e.path, shown(e.value))
		}
		d.Software.LastScan = at
	case "installed":
		for _, item := range items(e.value) {
			name, _ := text(item["name"])
			if name == "" {
				problem = fmt.Sprintf("%s has an entry without a name", e.path)
				continue
			}
			version, _ := text(item["version"])
			publisher, _ := text(item["publisher"])
			// The same programs are on thousands of devices; their names are kept once.
			app := device.Application{Name: unique.Make(name).Value(), Version: unique.Make(version).Value(), Publisher: unique.Make(publisher).Value()}
			app.InstallDate, _ = moment(item["install_date"])
			d.Software.Installed = append(d.Software.Installed, app)
		}
	case "services":
		for _, item := range items(e.value) {
			if name, _ := text(item["name"]); name != "" {
				d.Software.Services = append(d.Software.Services, device.Service{Name: name})
			}
		}
	}
	return problem
}

// items reads a list of objects with a name, in which a text is the name alone.
func items(value any) []map[string]any {
	many, isList := value.([]any)
	if !isList {
		names, _ := list(value, ";\n")
		for _, name := range names {
			many = append(many, name)
		}
	}
	out := make([]map[string]any, 0, len(many))
	for _, v := range many {
		item := map[string]any{"name": v}
		if object, ok := v.(map[string]any); ok {
			clear(item)
			for k, inner := range object {
				item[normalise(k)] = inner
			}
		}
		out = append(out, item)
	}
	return out
}
