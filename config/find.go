package config

import (
	"os"
	"path/filepath"
	"strings"

	"github.com/postureproject/posture/fault"
)

// Find gives the configuration file to read: explicit if it is not empty, then
// POSTURE_CONFIG, then the first that exists of posture.yaml in the working
// folder, posture/posture.yaml in XDG_CONFIG_HOME (or in ~/.config), and
// /etc/posture/posture.yaml. A file that is named is not looked for; "-" means
// standard input. With none, the error tells where one was looked for.
func Find(explicit string, getenv func(string) string) (string, error) {
	if explicit != "" {
		return explicit, nil
	}
	if named := getenv("POSTURE_CONFIG"); named != "" {
		return named, nil
	}
	places := places(getenv)
	for _, place := range places {
		if info, err := os.Stat(place); err == nil && !info.IsDir() {
			return place, nil
		}
	}
	return "", &fault.Error{
		Kind: fault.NotFound, Op: "find configuration",
		Message: "there is no configuration file; looked for " + strings.Join(places, ", "),
		Remedy:  "make one with: posture config example > posture.yaml, or name one with --config or POSTURE_CONFIG",
	}
}

func places(getenv func(string) string) []string {
	list := []string{"posture.yaml"}
	if dir := getenv("XDG_CONFIG_HOME"); filepath.IsAbs(dir) {
		list = append(list, filepath.Join(dir, "posture", "posture.yaml"))
	} else if home := getenv("HOME"); filepath.IsAbs(home) {
		list = append(list, filepath.Join(home, ".config", "posture", "posture.yaml"))
	}
	return append(list, "/etc/posture/posture.yaml")
}
