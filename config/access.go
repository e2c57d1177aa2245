package config

import (
	"fmt"
	"net"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
)

// withoutStrangers takes out and reports the keys of the top level that deserve
// more than "unknown key".
func (a *applier) withoutStrangers(n *node, sh shape) *node {
	made := *n
	made.fields = nil
	for _, f := range n.fields {
		_, _, known := sh.property(f.key)
		at := &node{line: f.line, column: f.column, origin: f.value.origin}
		switch {
		case known != undeclared:
			made.fields = append(made.fields, f)
		case strings.HasPrefix(fold(f.key), "oidc_"):
			a.report(at, f.key, "this version has no OpenID Connect log-in", "remove the key; set jwt_secret_key and use bearer tokens made by posture token")
		case f.value.kind == kindMap && nearest(f.key, sh.properties()) == "":
			a.report(at, f.key, "unknown key", "if it is a plugin, put it under plugins")
		default:
			made.fields = append(made.fields, f)
		}
	}
	return &made
}

// access checks who could see what with these settings.
func (a *applier) access() {
	top, settings := a.file.top, &a.file.settings
	if manager := top.get("login_manager"); manager != nil && !manager.broken {
		switch fold(strings.TrimSpace(manager.text())) {
		case "", "null":
		case "oidc":
			a.report(manager, "login_manager", "this version has no OpenID Connect log-in",
				"write null, set jwt_secret_key, and use bearer tokens made by posture token")
		default:
			if manager.kind == kindText {
				a.report(manager, "login_manager", "there is no such log-in manager", "write null; jwt_secret_key makes every request need a token")
			}
		}
	}
	host, port, err := net.SplitHostPort(settings.Listen)
	at := top.get("listen")
	if at == nil || at.broken {
		at = top
	}
	if n, convErr := strconv.Atoi(port); err != nil || convErr != nil || n < 0 || n > 65535 {
		a.report(at, "listen", "is not an address and a port", "such as 127.0.0.1:5000, or [::1]:5000")
		return
	}
	guarded := settings.JWTSecretKey != "" || top.get("jwt_secret_key") != nil
	if !loopback(host) && !guarded && !settings.AllowRemoteWithoutLogin {
		a.report(at, "listen", "others can reach this address, and there is no log-in: they could look at everybody's devices",
			"set jwt_secret_key, or listen on 127.0.0.1, or write allow_remote_without_login: true")
	}
}

// loopback reports whether only this machine reaches a host. A name other than
// localhost may mean anything.
func loopback(host string) bool {
	ip := net.ParseIP(host)
	return ip != nil && ip.IsLoopback() || strings.EqualFold(host, "localhost")
}

// builtInTransform is a transform that needs no block.
const builtInTransform = "mac_manufacturer"

// transforms settles which transforms records pass: the configured and enabled
// ones of what is asked for.
func (a *applier) transforms() {
	a.file.settings.DeviceTransforms = a.chosen("device_transforms", "re_filter", builtInTransform)
	a.file.settings.EventTransforms = a.chosen("event_transforms", "vpn_labeler")
}

func (a *applier) chosen(key string, defaults ...string) []string {
	r := reader{n: a.file.top}
	asked := a.file.top.get(key)
	names := defaults
	if asked != nil && !asked.broken {
		names = r.list(key)
	}
	chosen := []string{}
	for _, name := range names {
		name = fold(strings.TrimSpace(name))
		b := a.file.block(name)
		switch {
		case b == nil && name != builtInTransform:
			if asked != nil {
				a.report(asked, key, fmt.Sprintf("%s is not configured", name), unconfigured(name, a.file.Plugins()))
			}
		case slices.Contains(chosen, name):
			a.report(asked, key, name+" is named twice", "name it once")
		case b == nil || a.file.enabled(b):
			chosen = append(chosen, name)
		}
	}
	return chosen
}

func unconfigured(name string, plugins []string) string {
	if s := didYouMean(name, plugins); s != "" {
		return s
	}
	return "add it under plugins, or take it off the list"
}

// defaultStateDir gives the default of state_dir for a user.
func defaultStateDir(environ map[string]string, superuser bool) string {
	const shared = "/var/lib/posture"
	if superuser {
		return shared
	}
	if dir := environ["XDG_STATE_HOME"]; filepath.IsAbs(dir) {
		return filepath.Join(dir, "posture")
	}
	if home := environ["HOME"]; filepath.IsAbs(home) {
		return filepath.Join(home, ".local", "state", "posture")
	}
	return shared
}

// path resolves a path of the configuration: ~/ is the home folder, and a
// relative one starts at the file's folder. Empty stays empty.
func (f *File) path(p string) string {
	if rest, ok := strings.CutPrefix(p, "~/"); ok && f.environ["HOME"] != "" {
		return filepath.Join(f.environ["HOME"], rest)
	}
	if p == "" || filepath.IsAbs(p) {
		return p
	}
	return filepath.Join(f.dir, p)
}
