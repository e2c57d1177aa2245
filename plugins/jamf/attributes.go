package jamf

import (
	"strings"

	"github.com/postureproject/posture/plugins/sdk/jsonscan"
)

// attribute numbers the extension attributes that the source reads; their
// scripts are in jamf_extension_attributes. The first six are the automatic
// update settings, in the order of their names.
type attribute int

const (
	autoCheck attribute = iota
	autoDownload
	autoInstallApps
	autoInstallOS
	autoInstallSecurity
	autoInstallData
	firewallStatus
	remoteLogin
	screenSaverLock
	wirelessMAC
	attributeCount

	updateSettings = autoInstallData + 1 // how many of them are update settings
)

// attributes are the values of the known extension attributes; an empty one was
// not reported.
type attributes [attributeCount]string

func attributeNames() [attributeCount]string {
	return [...]string{
		"1 Auto Check For Updates Enabled",
		"2 Get New Updates in Background Enabled",
		"3 Install App Updates Enabled",
		"4 Install OS X Updates Enabled",
		"5 Install Security Updates Enabled",
		"6 Install System Data Files Enabled",
		"Firewall Status",
		"Remote Login",
		"Screen Saver Lock Enabled",
		"Wireless Mac Address",
	}
}

func (a attribute) String() string { return attributeNames()[a] }

func (a *attributes) value(which attribute) string { return a[which] }

// set keeps the value of a known attribute. The first value wins, so that an
// attribute that was defined twice does not hang on the order of its later ones.
func (a *attributes) set(name, value string) {
	if value == "" {
		return
	}
	for i, known := range attributeNames() {
		if strings.EqualFold(name, known) && a[i] == "" {
			a[i] = value
		}
	}
}

// read takes one extension attribute as either interface writes it: with value,
// or with a list of values of which the first counts.
func (a *attributes) read(s *jsonscan.Scanner) {
	var name, value string
	for ok := s.Enter('{'); ok; ok = s.More('}') {
		switch s.Key() {
		case "name":
			name = s.Text()
		case "value", "values":
			s.Each(func() {
				if v := s.Text(); value == "" {
					value = v
				}
			})
		default:
			s.Skip()
		}
	}
	a.set(name, value)
}
