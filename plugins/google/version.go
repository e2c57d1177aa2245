package google

import "strings"

// Platforms as the rest of Posture names them.
const (
	platformAndroid  = "Android"
	platformIOS      = "iOS"
	platformChromeOS = "ChromeOS"
)

// system is an operating system as a source names it.
type system struct{ platform, name, version string }

// parseSystem reads an operating system such as "iOS 10.2.1", "Android",
// "Android 8.0.0 Oreo" or "iPhone OS 10": the words before the first that
// begins with a digit are its name, that one is its version, all else is left
// out.
func parseSystem(s string) system {
	words := strings.Fields(s)
	n := 0
	for n < len(words) && !beginsWithDigit(words[n]) {
		n++
	}
	sys := system{name: strings.Join(words[:n], " ")}
	if n < len(words) {
		sys.version = padVersion(words[n])
	}
	sys.platform, sys.name = platformOf(sys.name)
	return sys
}

// platformOf gives the platform that an operating system's name belongs to, and
// the name as it is usually written. An unknown one is its own platform.
func platformOf(name string) (platform, usual string) {
	switch lower := strings.ToLower(name); lower {
	case "ios", "iphone os", "iphone":
		return platformIOS, "iOS"
	case "ipados", "ipad":
		return platformIOS, "iPadOS"
	case "chromeos", "chrome os":
		return platformChromeOS, platformChromeOS
	case "windows":
		return "Windows", name
	case "macos", "mac os x", "os x", "mac os", "mac":
		return "Mac", name
	case "linux":
		return "Linux", name
	default:
		switch first, _, _ := strings.Cut(lower, " "); first {
		case "android":
			return platformAndroid, platformAndroid
		case "ios":
			return platformIOS, "iOS"
		}
		return name, name
	}
}

func beginsWithDigit(s string) bool { return s != "" && s[0] >= '0' && s[0] <= '9' }

// versionIn gives the version in a text, padded, or "" when there is none.
func versionIn(s string) string {
	for _, word := range strings.Fields(s) {
		if beginsWithDigit(word) {
			return padVersion(word)
		}
	}
	return ""
}

// padVersion fills a version up to three parts, such as 8 to 8.0.0. One that
// is not all numbers stays as it is.
func padVersion(v string) string {
	v = strings.TrimRight(v, ".,;")
	parts := strings.Split(v, ".")
	for _, p := range parts {
		if p == "" || strings.Trim(p, "0123456789") != "" {
			return v
		}
	}
	for len(parts) < 3 {
		parts = append(parts, "0")
	}
	return strings.Join(parts, ".")
}

// majorOf gives the first number of a version, or -1 when there is none.
func majorOf(version string) int {
	n, i := 0, 0
	for ; i < len(version) && version[i] >= '0' && version[i] <= '9' && n < 1<<20; i++ {
		n = n*10 + int(version[i]-'0')
	}
	if i == 0 {
		return -1
	}
	return n
}
