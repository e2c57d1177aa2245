package jamf

import (
	"encoding/json"
	"fmt"
	"strconv"
	"strings"
	"time"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/plugins/sdk/jsonscan"
)

// computer is what both of Jamf's interfaces say about a computer, before it is
// judged. The two spell it differently; from here on there is one meaning.
type computer struct {
	id, udid, serial         string
	name, platform           string
	make, model              string
	osName, osVersion, build string
	mac, altMAC              string
	username, realName       string
	email                    string

	// The report date in the order of preference; each may be empty or odd.
	reportDates [2]string

	drives       []drive
	updates      []string // names of available updates
	updatesKnown bool     // whether Jamf reported on updates at all
	applications []device.Application
	services     []device.Service
	attributes   attributes

	raw string // the document itself, when asked for
}

type drive struct {
	capacity   string // megabytes
	partitions []partition
}

type partition struct {
	name, kind string
	status     string // FileVault 2's
	percent    string // of the encryption or decryption
}

// identified reports whether the record says at all which computer it is about.
func (c *computer) identified() bool {
	return c.id != "" || c.serial != "" || c.udid != "" || c.name != ""
}

// sawUpdates notes that a list of available updates comes next, unless it is
// null or makes no sense: then Jamf has said nothing.
func (c *computer) sawUpdates(s *jsonscan.Scanner) {
	switch s.Peek() {
	case '[', '{', '"':
		c.updatesKnown = true
	}
}

func (c *computer) addUpdate(name string) {
	if name != "" {
		c.updates = append(c.updates, name)
	}
}

// addDrive keeps a drive unless nothing is known about it.
func (c *computer) addDrive(d drive) {
	if d.capacity != "" || len(d.partitions) > 0 {
		c.drives = append(c.drives, d)
	}
}

// usualLength is a first guess of how long the lists of software are, which
// spares most of their growing.
const usualLength = 64

func (c *computer) addApplication(a device.Application) {
	if a.Name == "" {
		return
	}
	if c.applications == nil {
		c.applications = make([]device.Application, 0, usualLength)
	}
	c.applications = append(c.applications, a)
}

func (c *computer) addService(name string) {
	if name == "" {
		return
	}
	if c.services == nil {
		c.services = make([]device.Service, 0, usualLength)
	}
	c.services = append(c.services, device.Service{Name: name})
}

// record maps the computer to the record that Posture works with. Oddities end
// up in its notes.
func (c *computer) record(owner owners) device.Device {
	var notes []string
	reported, odd := reportDate(c.reportDates)
	if odd != "" {
		notes = append(notes, fmt.Sprintf("The report date %q could not be read.", odd))
	}
	macs, bad := device.UsableMACs(c.mac, c.altMAC, c.attributes.value(wirelessMAC))
	for _, m := range bad {
		notes = append(notes, fmt.Sprintf("%q is not a MAC address and was left out.", m))
	}
	d := device.Device{
		Name: c.name, Model: c.model, Manufacturer: c.make, Serial: c.serial, Email: owner.address(c.email, c.username),
		Platform: platform(c.platform, c.osName), OS: c.osName, OSVersion: c.osVersion, OSBuild: c.build, LastSync: reported,
		Identifiers: device.Identifiers{Serial: c.serial, UDID: c.udid, MACAddresses: macs},
		Practices:   c.practices(reported),
		Notes:       notes,
	}
	if len(c.applications) > 0 || len(c.services) > 0 {
		d.Software = &device.Software{LastScan: reported, Installed: c.applications, Services: c.services}
	}
	if c.raw != "" {
		d.Raw = json.RawMessage(c.raw)
	}
	return d
}

// platform is Jamf's own word, or follows from the operating system when Jamf
// leaves it out.
func platform(given, osName string) string {
	if given != "" {
		return given
	}
	switch strings.ToLower(osName) {
	case "macos", "mac os x", "os x":
		return "Mac"
	default:
		return ""
	}
}

// reportDate gives the first date that can be read, in whole seconds as the two
// interfaces differ in fractions, and one that cannot, if no other could.
func reportDate(candidates [2]string) (t time.Time, odd string) {
	for _, text := range candidates {
		if text == "" {
			continue
		}
		if t, ok := parseDate(text); ok {
			return t, ""
		}
		if odd == "" {
			odd = text
		}
	}
	return time.Time{}, odd
}

// parseDate reads the forms in which Jamf writes times: ISO 8601 with a zone
// with or without colon and fraction, without a zone (which is UTC), and seconds
// or milliseconds since 1970. Zero stands for "never", which has no time but is
// not odd.
func parseDate(text string) (time.Time, bool) {
	if n, err := strconv.ParseInt(text, 10, 64); err == nil {
		switch {
		case n == 0:
			return time.Time{}, true
		case n >= 1e11 && n < 1e14:
			return time.Unix(n/1000, 0).UTC(), true
		case n >= 1e8 && n < 1e11:
			return time.Unix(n, 0).UTC(), true
		default:
			return time.Time{}, false
		}
	}
	for _, layout := range [...]string{
		"2006-01-02T15:04:05Z0700", "2006-01-02T15:04:05Z07:00", "2006-01-02 15:04:05Z0700", "2006-01-02 15:04:05 Z0700",
		"2006-01-02T15:04:05", "2006-01-02 15:04:05", "2006-01-02",
	} {
		if t, err := time.Parse(layout, text); err == nil {
			return t.UTC().Truncate(time.Second), true
		}
	}
	return time.Time{}, false
}
