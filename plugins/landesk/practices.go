package landesk

import (
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/postureproject/posture/device"
)

// The practices that LANDESK tells of.
const (
	practiceAutoUpdate = "autoupdate"
	practiceEncryption = "encryption"
	practiceFirewall   = "firewall"
	practiceScreenLock = "screenlock"
	practiceUpToDate   = "uptodate"
)

const firewallNotInstalled = "Not Installed"

// practices judges a computer. The security scanner's findings are as old as the
// computer's last word; firewall and encryption come with the hardware inventory.
func (r rules) practices(c computer, lastSync time.Time, known *findings) map[string]device.Practice {
	detected := known.vulnerabilities[c.id]
	judge := func(verdict device.Practice, updated time.Time) device.Practice {
		if updated.IsZero() {
			updated = lastSync
		}
		verdict.LastUpdated = updated
		return verdict
	}
	all := map[string]device.Practice{
		practiceEncryption: judge(encrypted(c.volumes), c.hardware),
		practiceFirewall:   judge(firewall(known.adapters[c.id]), c.hardware),
		practiceScreenLock: judge(r.screenLocks(detected), lastSync),
		practiceAutoUpdate: judge(r.autoUpdates(detected), lastSync),
		practiceUpToDate:   judge(upToDate(detected), lastSync),
	}
	unread := func(table string, keys ...string) {
		for _, key := range keys {
			if p := all[key]; known.unread[table] {
				p.Value, p.Details = nil, "LANDESK's table "+table+" could not be read."
				all[key] = p
			}
		}
	}
	unread(vulnerabilities().name(), practiceScreenLock, practiceAutoUpdate, practiceUpToDate)
	unread(adapters().name(), practiceFirewall)
	return all
}

// unknown is a practice about which there is no evidence.
func unknown(reason string) device.Practice { return device.Practice{Details: reason} }

func verdict(ok bool, lines ...string) device.Practice {
	return device.Practice{Value: device.Bool(ok), Details: strings.Join(lines, "\n")}
}

func notScanned() device.Practice {
	return unknown("LANDESK lists no finding at all for this computer, so nothing shows that its security scan has ever run.")
}

// screenLocks is false when the screen-lock vulnerability is detected.
func (r rules) screenLocks(detected []vulnerability) device.Practice {
	if len(detected) == 0 {
		return notScanned()
	}
	ok, lines := true, []string(nil)
	for _, v := range detected {
		if !strings.EqualFold(v.id, r.screenLockID) {
			continue
		}
		ok = false
		for _, line := range r.screenLock.lines(v.reason) {
			if !slices.Contains(lines, line) {
				lines = append(lines, line)
			}
		}
	}
	return verdict(ok, lines...)
}

// autoUpdates is false when the vulnerability of switched-off updates is detected.
func (r rules) autoUpdates(detected []vulnerability) device.Practice {
	if len(detected) == 0 {
		return notScanned()
	}
	for _, v := range detected {
		if strings.EqualFold(v.id, r.autoUpdateID) {
			return verdict(false, v.reason)
		}
	}
	return verdict(true)
}

// upToDate is false when a vulnerability of severity Critical or High is
// detected; the details list their titles.
func upToDate(detected []vulnerability) device.Practice {
	if len(detected) == 0 {
		return notScanned()
	}
	var titles []string
	ok := true
	for _, v := range detected {
		severe := strings.EqualFold(v.severity, "Critical") || strings.EqualFold(v.severity, "High")
		if !strings.EqualFold(v.kind, "Vulnerability") || !severe {
			continue
		}
		ok = false
		title := v.title
		if title == "" {
			title = v.id
		}
		if title != "" && !slices.Contains(titles, title) {
			titles = append(titles, title)
		}
	}
	return verdict(ok, titles...)
}

// firewall is false when an adapter says No, naming each by its address, and
// true when one says Yes and none says No.
func firewall(all []adapter) device.Practice {
	if len(all) == 0 {
		return unknown("LANDESK lists no network adapter for this computer.")
	}
	var without []string
	on := false
	for _, a := range all {
		switch {
		case strings.EqualFold(a.firewall, "No"):
			without = append(without, "The firewall is off for the network adapter "+shown(a.address)+".")
		case strings.EqualFold(a.firewall, "Yes"):
			on = true
		}
	}
	switch {
	case len(without) > 0:
		return verdict(false, slices.Compact(without)...)
	case on:
		return verdict(true)
	default:
		return unknown("No network adapter of this computer says whether its firewall is on.")
	}
}

func shown(address string) string {
	if mac, err := device.ParseMAC(address); err == nil {
		return string(mac)
	}
	if address == "" {
		return "without an address"
	}
	return address
}

// encrypted is true when every volume is encrypted by 100 percent and protected,
// false when one is not, and unknown when one does not say.
func encrypted(volumes []volume) device.Practice {
	if len(volumes) == 0 {
		return unknown("LANDESK has no BitLocker data of this computer.")
	}
	on, off := true, false
	var lines []string
	for _, v := range volumes {
		percent, told := number(v.percent)
		protected, unprotected := v.protects()
		on = on && told && percent == 100 && protected
		off = off || told && percent < 100 || unprotected
		lines = append(lines, v.describe())
	}
	switch {
	case off:
		return verdict(false, lines...)
	case on:
		return verdict(true, lines...)
	default:
		return unknown(strings.Join(append(lines, "This does not tell whether the volume is encrypted."), "\n"))
	}
}

// protects reads "1 - on" and "0 - off", also when only one of the two parts is
// there. Both are false for the third state, "2 - unknown".
func (v volume) protects() (on, off bool) {
	code, word, _ := strings.Cut(strings.ToLower(v.protection), "-")
	code, word = strings.TrimSpace(code), strings.TrimSpace(word)
	if word == "" {
		word = code
	}
	return word == "on" || word == "1", word == "off" || word == "0"
}

// describe reads "Encrypted by 100 %, protection: 1 - on, conversion: …".
func (v volume) describe() string {
	var parts []string
	add := func(format, value string) {
		if value != "" {
			parts = append(parts, fmt.Sprintf(format, value))
		}
	}
	add("encrypted by %s %%", strings.TrimSpace(strings.TrimSuffix(v.percent, "%")))
	add("protection: %s", v.protection)
	add("conversion: %s", v.conversion)
	add("product: %s", v.product)
	line := strings.Join(parts, ", ")
	return strings.ToUpper(line[:1]) + line[1:]
}
