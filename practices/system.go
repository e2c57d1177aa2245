package practices

import (
	"strconv"
	"strings"

	"github.com/postureproject/posture/device"
)

// system is a device's operating system, by the name that rules use.
type system struct {
	name    string // for people, such as "macOS" or "Windows 11"; "" when not known
	key     string // name in lower case
	family  string // key of a wider name that also covers it, such as "windows"; may be ""
	text    string // the version as the source gave it; "" when it gave none
	version version
	parsed  bool // whether text could be read into version
}

// The families whose names have several spellings.
const (
	macOS    = "macOS"
	iOS      = "iOS"
	iPadOS   = "iPadOS"
	chromeOS = "ChromeOS"
	android  = "Android"
	windows  = "Windows"
	linux    = "Linux"
)

// identify reads name and version of a device's operating system from whichever
// of its fields hold them.
func identify(d *device.Device) system {
	text := d.OS
	if strings.TrimSpace(text) == "" {
		text = systemOfPlatform(d.Platform)
	}
	name, family := systemName(text)
	s := system{name: name, family: strings.ToLower(family), text: strings.TrimSpace(d.OSVersion)}
	if family == windows {
		s.identifyWindows(d)
	} else {
		s.readVersion(text)
	}
	if family == "" && strings.EqualFold(d.Platform, linux) && !strings.EqualFold(name, linux) {
		s.family = "linux"
	}
	s.key = strings.ToLower(s.name)
	if s.family == s.key {
		s.family = ""
	}
	return s
}

// readVersion reads the version, which may stand behind the system's name.
func (s *system) readVersion(osText string) {
	if s.text == "" {
		if i := strings.IndexAny(osText, "0123456789"); i > 0 {
			s.text = osText[i:]
		}
	}
	s.version, s.parsed = parseVersion(s.text)
	if s.parsed || s.text == "" {
		return
	}
	if name, _ := systemName(s.text); name == s.name {
		if i := strings.IndexAny(s.text, "0123456789"); i >= 0 {
			s.version, s.parsed = parseVersion(s.text[i:])
		}
	}
}

// identifyWindows tells Windows 10 from 11 by the build, as products name both
// "Windows 10" and "10.0" in places, and takes the build for the version: without
// it nothing can be said about a recent Windows.
func (s *system) identifyWindows(d *device.Device) {
	build, revision := windowsBuild(d.OSVersion)
	if b, r := windowsBuild(d.OSBuild); build == 0 || b == build && revision == 0 {
		build, revision = b, r
	}
	server := strings.HasPrefix(s.name, "Windows Server")
	if build > 0 {
		s.version, s.parsed = versionOf(10, 0, build), true
		if revision > 0 {
			s.version = versionOf(10, 0, build, revision)
		}
		if s.text == "" || !strings.HasPrefix(s.text, "10.0.") {
			s.text = "10.0." + strconv.FormatUint(build, 10)
		}
		if !server {
			s.name = "Windows 10"
			if build >= 22000 {
				s.name = "Windows 11"
			}
		}
		return
	}
	v, ok := parseVersion(s.text)
	if !ok || v.n < 2 || v.parts[0] < 5 || v.parts[0] > 6 {
		return
	}
	s.version, s.parsed = v, true
	if name := windowsNT(v); name != "" && !server {
		s.name = name
	}
}

// windowsBuild finds a build of Windows 10 or newer, and its revision, in a text
// such as "10.0.22631.4037", "22631", or "10.0 (Build 22631)".
func windowsBuild(s string) (build, revision uint64) {
	for i := 0; i < len(s); i++ {
		if !isDigit(s[i]) {
			continue
		}
		v, rest := scanVersion(s[i:])
		for p := range v.n {
			if n := v.parts[p]; n < 10240 || n > 99999 {
				continue
			}
			if p+1 < v.n {
				revision = v.parts[p+1]
			}
			return v.parts[p], revision
		}
		i = max(i, len(s)-len(rest)-1)
	}
	return 0, 0
}

func windowsNT(v version) string {
	switch {
	case v.parts[0] == 5:
		return "Windows XP"
	case v.parts[1] == 0:
		return "Windows Vista"
	case v.parts[1] == 1:
		return "Windows 7"
	case v.parts[1] == 2:
		return "Windows 8"
	case v.parts[1] == 3:
		return "Windows 8.1"
	default:
		return ""
	}
}

// systemName gives the name that rules use for an operating system, and the
// family it belongs to if that is another one.
func systemName(text string) (name, family string) {
	text = strings.TrimSpace(text)
	lower := strings.ToLower(text)
	switch {
	case strings.Contains(lower, "ipados"):
		return iPadOS, iOS
	case strings.Contains(lower, "mac os"), strings.Contains(lower, "macos"),
		strings.HasPrefix(lower, "os x"), strings.HasPrefix(lower, "osx"):
		return macOS, ""
	case strings.Contains(lower, "windows"):
		return windowsName(lower), windows
	case strings.Contains(lower, "android"):
		return android, ""
	case strings.Contains(lower, "chrome os"), strings.Contains(lower, "chromeos"):
		return chromeOS, ""
	case startsWithWord(lower, "ios"), startsWithWord(lower, "iphone os"):
		return iOS, ""
	case startsWithWord(lower, "debian"):
		return "Debian", ""
	}
	for i := range len(text) { // "Ubuntu 24.04.1 LTS" is Ubuntu
		if isDigit(text[i]) && i > 0 && text[i-1] == ' ' {
			return strings.TrimSpace(text[:i]), ""
		}
	}
	return text, ""
}

func windowsName(lower string) string {
	_, after, _ := strings.Cut(lower, "windows")
	words := strings.FieldsFunc(after, func(r rune) bool { return r == ' ' || r == ',' || r == '(' || r == '-' })
	if len(words) == 0 {
		return windows
	}
	switch first := words[0]; {
	case first == "server" && len(words) > 1 && isDigit(words[1][0]):
		return "Windows Server " + words[1]
	case strings.Contains(after, "server"):
		return "Windows Server"
	case first == "xp":
		return "Windows XP"
	case first == "vista":
		return "Windows Vista"
	case isDigit(first[0]):
		return "Windows " + first
	default:
		return windows
	}
}

// startsWithWord reports whether s is word, or goes on with something that is
// not a letter.
func startsWithWord(s, word string) bool {
	rest, ok := strings.CutPrefix(s, word)
	return ok && (rest == "" || !isLetter(rest[0]))
}

// systemOfPlatform names the operating system of a platform's devices.
func systemOfPlatform(platform string) string {
	if strings.EqualFold(strings.TrimSpace(platform), "Mac") {
		return macOS
	}
	return platform
}

// platformKey gives the key under which rules list a platform, in whichever
// spelling it comes.
func platformKey(platform string) string {
	name, family := systemName(systemOfPlatform(platform))
	if family != "" {
		name = family
	}
	if name == macOS {
		return "mac"
	}
	return strings.ToLower(name)
}

// platformOf gives the key of a device's platform, which its operating system
// tells when the source does not.
func platformOf(d *device.Device, s *system) string {
	if strings.TrimSpace(d.Platform) != "" {
		return platformKey(d.Platform)
	}
	switch {
	case s.family != "":
		return s.family
	case s.name == macOS:
		return "mac"
	case s.name == iOS, s.name == android, s.name == chromeOS, s.name == windows, strings.EqualFold(s.name, linux):
		return s.key
	default:
		return ""
	}
}
