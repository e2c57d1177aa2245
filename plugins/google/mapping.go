package google

import (
	"strings"
	"time"

	"github.com/postureproject/posture/device"
)

// The practices that the records carry.
const (
	practiceJailed         = "jailed"
	practiceEncryption     = "encryption"
	practiceUnknownSources = "unknownsources"
	practiceADB            = "adbstatus"
)

// firstWithoutUnknownSources is the first Android version that has no such
// setting any more: the permission is given app by app.
const firstWithoutUnknownSources = 8

// mobileDevice maps a mobiledevices resource. The owner is the first listed one.
func mobileDevice(o object) device.Device {
	r := &record{object: o}
	d := r.common()
	d.Type = "Mobile Device"
	if owners := textsOf(o["email"]); len(owners) > 0 {
		d.Email = owners[0]
	}
	sys := parseSystem(r.text("os"))
	if sys.platform == "" {
		sys.platform, sys.name = platformOfType(r.text("type"))
	}
	d.Platform, d.OS, d.OSVersion, d.OSBuild = sys.platform, sys.name, sys.version, r.text("buildNumber")
	if v := r.osVersion(); v != "" {
		d.OSVersion = v
	}
	d.Practices = r.mobilePractices(d)
	d.Notes = r.notes
	return d
}

// chromeDevice maps a chromeosdevices resource. The owner is the most recent
// user.
func chromeDevice(o object) device.Device {
	r := &record{object: o}
	d := r.common()
	d.Type = "ChromeOS Device"
	d.Email = mostRecentUser(o)
	d.Platform, d.OS, d.OSVersion, d.OSBuild = platformChromeOS, platformChromeOS, r.osVersion(), r.text("platformVersion")
	d.Practices = map[string]device.Practice{practiceJailed: bootPractice(r.text("bootMode"), d.LastSync)}
	d.Notes = r.notes
	return d
}

// common maps what both resources have. Their status is left out: it is about
// the permission to synchronise, and would hide a status of the device itself
// that another source knows.
func (r *record) common() device.Device {
	d := device.Device{
		Model: r.text("model"), Manufacturer: r.text("manufacturer"), UserAgent: r.text("userAgent"),
		LastSync: r.time("lastSync"), Serial: r.identifier("serialNumber"),
		Identifiers: device.Identifiers{IMEI: r.identifier("imei"), MEID: r.identifier("meid"), GoogleDeviceID: r.identifier("deviceId")},
	}
	d.Identifiers.Serial = d.Serial
	macs, bad := device.UsableMACs(r.text("macAddress"), r.text("wifiMacAddress"), r.text("ethernetMacAddress"))
	d.Identifiers.MACAddresses = macs
	for _, b := range bad {
		r.note("%q is not a MAC address.", clip(b))
	}
	return d
}

// identifier gives a field that tells a device from others; placeholders do not.
func (r *record) identifier(key string) string {
	s := r.text(key)
	if s != "" && device.IsPlaceholder(s) {
		r.note("The field %s is left out: %q is a placeholder.", key, clip(s))
		return ""
	}
	return s
}

func (r *record) osVersion() string {
	s := r.text("osVersion")
	v := versionIn(s)
	if s != "" && v == "" {
		r.note("The field osVersion is left out: %q is not a version.", clip(s))
	}
	return v
}

// platformOfType reads a mobile device's type, such as ANDROID or IOS_SYNC, for
// when it has no operating system.
func platformOfType(kind string) (platform, name string) {
	switch kind = strings.ToUpper(kind); {
	case strings.HasPrefix(kind, "ANDROID"):
		return platformAndroid, platformAndroid
	case strings.HasPrefix(kind, "IOS"):
		return platformIOS, "iOS"
	default:
		return "", ""
	}
}

// mobilePractices judges what Google reports; what it leaves out gives no
// practice, but jailed, which every mobile device should have, is then unknown.
func (r *record) mobilePractices(d device.Device) map[string]device.Practice {
	practices := map[string]device.Practice{practiceJailed: compromisePractice(r.text("deviceCompromisedStatus"), d.LastSync)}
	if status := r.text("encryptionStatus"); status != "" {
		practices[practiceEncryption] = device.Practice{
			Value: device.Bool(strings.EqualFold(status, "encrypted")), Details: status, LastUpdated: d.LastSync,
		}
	}
	hasSetting := d.Platform != platformAndroid || majorOf(d.OSVersion) < firstWithoutUnknownSources
	if on := r.truth("unknownSourcesStatus"); on != nil && hasSetting {
		practices[practiceUnknownSources] = device.Practice{Value: device.Bool(!*on), LastUpdated: d.LastSync}
	}
	if on := r.truth("adbStatus"); on != nil {
		practices[practiceADB] = device.Practice{Value: device.Bool(!*on), LastUpdated: d.LastSync}
	}
	return practices
}

// compromisePractice reads "No compromise detected", "Compromise detected" and
// "Undetected"; anything else is unknown.
func compromisePractice(status string, at time.Time) device.Practice {
	p := device.Practice{Details: status, LastUpdated: at}
	switch lower := strings.ToLower(status); {
	case strings.HasPrefix(lower, "no compromise"):
		p.Value = device.Bool(true)
	case strings.HasPrefix(lower, "compromise"):
		p.Value = device.Bool(false)
	}
	return p
}

// bootPractice reads a ChromeOS boot mode: Verified (or Validated), or Dev.
// Anything else is unknown.
func bootPractice(mode string, at time.Time) device.Practice {
	p := device.Practice{LastUpdated: at}
	if mode != "" {
		p.Details = "Boot mode: " + mode
	}
	switch strings.ToLower(mode) {
	case "verified", "validated":
		p.Value = device.Bool(true)
	case "dev", "developer":
		p.Value = device.Bool(false)
	}
	return p
}

// mostRecentUser gives the address of the first of recentUsers, which Google
// sorts by the last log-in, newest first. It is empty when that user is not
// managed.
func mostRecentUser(o object) string {
	users, _ := listOf(o["recentUsers"])
	if len(users) == 0 {
		return ""
	}
	user, _ := decodeObject(users[0])
	email, _ := textOf(user["email"])
	return email
}
