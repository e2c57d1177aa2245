package jamf

import (
	"github.com/postureproject/posture/internal/simulator/fleet"
)

// update is an available software update.
type update struct {
	Name        string `json:"name"`
	Version     string `json:"version"`
	PackageName string `json:"packageName"`
}

func updatesOf(d fleet.Device) []update {
	if d.UpToDate {
		return []update{}
	}
	return []update{
		{Name: "macOS Security Update", Version: "1", PackageName: "macOSSecurityUpdate-1"},
		{Name: "Safari", Version: "27.2", PackageName: "Safari-27.2"},
	}
}

// servicesOf lists running services; endpoint sensors among the applications run
// under their own name.
func servicesOf(apps []fleet.App) []string {
	services := []string{"com.apple.cfprefsd.xpc.daemon", "com.apple.mDNSResponder", "com.jamf.management.daemon"}
	for _, a := range apps {
		if a.Name == "CbOsxSensorService" || a.Name == "SentinelOne" {
			services = append(services, a.Name)
		}
	}
	return services
}

// drivePart is a partition as the fleet knows it.
type drivePart struct {
	name      string
	kind      string // boot, other, recovery
	megabytes int
	encrypted bool
	percent   int
}

func partitionsOf(d fleet.Device) []drivePart {
	percent := 0
	if d.Encrypted {
		percent = 100
	}
	return []drivePart{
		{name: "Macintosh HD", kind: "boot", megabytes: 494384, encrypted: d.Encrypted, percent: percent},
		{name: "Recovery HD", kind: "recovery", megabytes: 5368},
	}
}

// interfaces gives what Jamf lists as the two network interfaces, and what the
// script about the wireless one reports: the dongle comes first when there is
// one.
func interfaces(d fleet.Device) (primary, secondary, wireless string) {
	at := func(i int) string {
		if i < len(d.MACs) {
			return d.MACs[i]
		}
		return ""
	}
	if dongle := at(2); dongle != "" {
		return dongle, at(1), at(0)
	}
	return at(0), at(1), at(0)
}

// attribute is an extension attribute and where Jamf displays it.
type attribute struct {
	name, kind, section, value string
}

func attributesOf(d fleet.Device) []attribute {
	choose := func(ok bool, yes, no string) string {
		if ok {
			return yes
		}
		return no
	}
	// With automatic updates off, which of the settings are off differs.
	auto := func(n int) string { return choose(d.AutoUpdate || (d.ID/8+n)%3 != 0, "True", "False") }
	_, _, wireless := interfaces(d)
	const own, system = "EXTENSION_ATTRIBUTES", "OPERATING_SYSTEM"
	return []attribute{
		{"1 Auto Check For Updates Enabled", "String", system, auto(1)},
		{"2 Get New Updates in Background Enabled", "String", system, auto(2)},
		{"3 Install App Updates Enabled", "String", system, auto(3)},
		{"4 Install OS X Updates Enabled", "String", system, auto(4)},
		{"5 Install Security Updates Enabled", "String", system, auto(5)},
		{"6 Install System Data Files Enabled", "String", system, auto(6)},
		{"Firewall Status", "Number", own, choose(d.Firewall, "1", "0")},
		{"Remote Login", "String", own, choose(d.RemoteLogin, "On", "Off")},
		{"Screen Saver Lock Enabled", "String", own, choose(d.ScreenLock, "Enabled", "Disabled")},
		{"Wireless Mac Address", "String", "HARDWARE", wireless},
	}
}
