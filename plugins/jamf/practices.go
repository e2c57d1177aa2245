package jamf

import (
	"fmt"
	"strconv"
	"strings"
	"time"
	"unicode"
	"unicode/utf8"

	"github.com/postureproject/posture/device"
)

// The practices that a record carries.
const (
	encryption  = "encryption"
	uptodate    = "uptodate"
	autoupdate  = "autoupdate"
	firewall    = "firewall"
	screenlock  = "screenlock"
	remotelogin = "remotelogin"
)

func (c *computer) practices(reported time.Time) map[string]device.Practice {
	p := map[string]device.Practice{
		encryption:  c.encryption(),
		uptodate:    c.uptodate(),
		autoupdate:  c.attributes.autoupdate(),
		firewall:    c.attributes.firewall(),
		screenlock:  c.attributes.is(screenSaverLock, "Enabled", "Disabled"),
		remotelogin: c.attributes.is(remoteLogin, "Off", "On"),
	}
	for key, practice := range p {
		practice.LastUpdated = reported
		p[key] = practice
	}
	return p
}

func unknown(format string, args ...any) device.Practice {
	return device.Practice{Details: fmt.Sprintf(format, args...)}
}

// encryption is true when every partition that counts is encrypted, and nil when
// none counts or when Jamf does not know of one while no other is unprotected.
func (c *computer) encryption() device.Practice {
	var (
		lines           []string
		plain, unclear  bool
		drives, systems int
	)
	for _, d := range c.drives {
		if capacity, err := number(d.capacity); err == nil && capacity <= 0 {
			continue
		}
		drives++
		for _, p := range d.partitions {
			if p.isRecovery() {
				continue
			}
			systems++
			state := fileVaultState(p.status)
			switch state {
			case "Encrypted":
			case "Unknown":
				unclear = true
			default:
				plain = true
			}
			lines = append(lines, p.line(state))
		}
	}
	switch {
	case drives == 0:
		return unknown("Jamf reports no drive.")
	case systems == 0:
		return unknown("Jamf reports no partition but those for recovery.")
	}
	p := device.Practice{Details: strings.Join(lines, "\n")}
	if plain || !unclear {
		p.Value = device.Bool(!plain)
	}
	return p
}

func (p partition) isRecovery() bool {
	return strings.EqualFold(p.name, "Recovery") || strings.EqualFold(p.name, "Recovery HD") || strings.EqualFold(p.kind, "recovery")
}

// line reads "Macintosh HD: Encrypted (100%)".
func (p partition) line(state string) string {
	// One of the interfaces marks the boot partition's name, the other its type.
	name := strings.TrimSuffix(p.name, " (Boot Partition)")
	if name == "" {
		name = "Unnamed partition"
	}
	percent, err := number(p.percent)
	if err != nil {
		return name + ": " + state
	}
	return name + ": " + state + " (" + strconv.FormatFloat(percent, 'f', -1, 64) + "%)"
}

// fileVaultState puts the words of both interfaces into one form: "Not
// Supported" of the Classic API, and the constants of the Jamf Pro API such as
// ENCRYPTED, ENCRYPTING_PAUSED and INELIGIBLE.
func fileVaultState(status string) string {
	words := strings.Fields(strings.ToLower(strings.ReplaceAll(status, "_", " ")))
	switch joined := strings.Join(words, " "); joined {
	case "encrypted":
		return "Encrypted"
	case "", "unknown":
		return "Unknown"
	case "not supported", "not encrypted", "unencrypted", "decrypted", "ineligible":
		return "Not Encrypted"
	default:
		for i, w := range words {
			first, size := utf8.DecodeRuneInString(w)
			words[i] = string(unicode.ToUpper(first)) + w[size:]
		}
		return strings.Join(words, " ")
	}
}

// number reads a decimal number that may be written as text, also with a percent
// sign.
func number(text string) (float64, error) {
	digits := strings.TrimSpace(strings.TrimSuffix(text, "%"))
	if strings.Trim(digits, "0123456789.-") != "" {
		return 0, strconv.ErrSyntax // what ParseFloat would take for infinite, NaN or hexadecimal
	}
	return strconv.ParseFloat(digits, 64)
}

func (c *computer) uptodate() device.Practice {
	if !c.updatesKnown {
		return unknown("Jamf does not report available updates for this computer.")
	}
	return device.Practice{Value: device.Bool(len(c.updates) == 0), Details: strings.Join(c.updates, "\n")}
}

// autoupdate joins the six settings. A setting whose attribute is missing is
// taken to be as macOS was delivered when the attributes were defined, but only
// when at least one of the six says anything.
func (a *attributes) autoupdate() device.Practice {
	var (
		reported bool
		disabled []string
		unclear  []string
	)
	for setting := range updateSettings {
		value := a.value(setting)
		reported = reported || value != ""
		on, known := setting.byDefault(), true
		if value != "" {
			on, known = truth(value)
		}
		name := strings.TrimSuffix(setting.String()[2:], " Enabled")
		switch {
		case !known:
			unclear = append(unclear, fmt.Sprintf("%s: unknown (%q)", name, value))
		case !on && value == "":
			disabled = append(disabled, name+": not reported, taken as disabled")
		case !on:
			disabled = append(disabled, name+": disabled")
		}
	}
	if !reported {
		return unknown("None of the extension attributes about automatic updates is reported.")
	}
	p := device.Practice{Details: strings.Join(append(disabled, unclear...), "\n")}
	if len(disabled) > 0 || len(unclear) == 0 {
		p.Value = device.Bool(len(disabled) == 0)
	}
	return p
}

// byDefault tells an update setting whose attribute is missing.
func (a attribute) byDefault() bool { return a != autoInstallApps && a != autoInstallOS }

// truth reads a switch's position; known is false for any other text.
func truth(text string) (on, known bool) {
	switch strings.ToLower(text) {
	case "true", "1", "yes", "on", "enabled":
		return true, true
	case "false", "0", "no", "off", "disabled":
		return false, true
	default:
		return false, false
	}
}

// firewall reads the state of macOS' application firewall: 0 off, 1 on, 2 on and
// blocking everything that is not essential.
func (a *attributes) firewall() device.Practice {
	value := a.value(firewallStatus)
	if value == "" {
		return missing(firewallStatus)
	}
	state, err := number(value)
	if err != nil {
		return unreadable(firewallStatus, value)
	}
	return device.Practice{Value: device.Bool(state > 0)}
}

// is judges an attribute that reads good or bad.
func (a *attributes) is(which attribute, good, bad string) device.Practice {
	value := a.value(which)
	switch {
	case value == "":
		return missing(which)
	case strings.EqualFold(value, good):
		return device.Practice{Value: device.Bool(true)}
	case strings.EqualFold(value, bad):
		return device.Practice{Value: device.Bool(false)}
	default:
		return unreadable(which, value)
	}
}

func missing(which attribute) device.Practice {
	return unknown("The extension attribute %q is not reported.", which.String())
}

func unreadable(which attribute, value string) device.Practice {
	return unknown("The extension attribute %q reads %q, which means nothing here.", which.String(), value)
}
