package landesk

import (
	"regexp"
	"strconv"
	"strings"
)

// The platforms' names.
const (
	platformWindows = "Windows"
	platformMac     = "Mac"
	platformLinux   = "Linux"
)

// The first builds of Windows 10 and of Windows 11. Both still call themselves
// version 6.3 in the registry, and Windows 11 calls itself Windows 10 there.
const (
	firstWindows10 = 10240
	firstWindows11 = 22000
)

// windowsNames finds the family's name within a product's.
type windowsNames struct{ family *regexp.Regexp }

func newWindowsNames() windowsNames {
	return windowsNames{regexp.MustCompile(`(?i)windows (?:server )?(?:[0-9]+(?:\.[0-9]+)?(?: r2)?|vista|xp)\b`)}
}

// platform tells the platform by the product's name; NT's own data prove
// Windows where there is no name.
func platform(product string, nt bool) string {
	lower := strings.ToLower(product)
	switch {
	case strings.Contains(lower, "windows"), product == "" && nt:
		return platformWindows
	case strings.Contains(lower, "mac os"), strings.Contains(lower, "macos"), strings.Contains(lower, "os x"):
		return platformMac
	case strings.Contains(lower, "linux"):
		return platformLinux
	default:
		return ""
	}
}

// name gives the name that people use: "Windows 11" for "Microsoft Windows 10
// Enterprise Edition, 64-bit" of build 22631.
func (w windowsNames) name(product, build string) string {
	family := w.family.FindString(product)
	if family == "" {
		return strings.TrimSpace(strings.TrimPrefix(product, "Microsoft "))
	}
	words := strings.Fields(family)
	for i, word := range words {
		switch lower := strings.ToLower(word); lower {
		case "xp", "r2":
			words[i] = strings.ToUpper(word)
		default:
			words[i] = strings.ToUpper(lower[:1]) + lower[1:]
		}
	}
	name := strings.Join(words, " ")
	if n, err := strconv.Atoi(build); err == nil && n >= firstWindows11 && name == "Windows 10" {
		return "Windows 11"
	}
	return name
}

// osVersion puts version and build together, and corrects the version that
// Windows 10 and later give: "6.3" and "22631" are 10.0.22631.
func osVersion(version, build string) string {
	n, err := strconv.Atoi(build)
	switch {
	case err != nil || n <= 0:
		return version
	case n >= firstWindows10:
		return "10.0." + build
	case version == "":
		return ""
	case strings.HasSuffix(version, "."+build):
		return version
	default:
		return version + "." + build
	}
}
