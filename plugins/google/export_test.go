package google

import (
	"context"
	"encoding/json"
	"time"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/plugins/sdk"
)

// PluginAt is the plugin at another time.
func PluginAt(now func() time.Time) sdk.Plugin { return pluginAt(now) }

// MapMobile maps a mobiledevices resource.
func MapMobile(raw []byte) (device.Device, bool) {
	o, ok := decodeObject(raw)
	if !ok {
		return device.Device{}, false
	}
	return mobileDevice(o), true
}

// MapChrome maps a chromeosdevices resource.
func MapChrome(raw []byte) (device.Device, bool) {
	o, ok := decodeObject(raw)
	if !ok {
		return device.Device{}, false
	}
	return chromeDevice(o), true
}

// MapActivity maps an activity of a person.
func MapActivity(raw []byte, email string) []device.Event {
	o, _ := decodeObject(raw)
	return eventsOf(o, email)
}

// MapUsage maps a usage report of a person.
func MapUsage(raw []byte, email string, day time.Time) (device.Account, bool) {
	o, _ := decodeObject(raw)
	return accountOf(o, email, day)
}

// MapSystem reads an operating system.
func MapSystem(s string) (platform, name, version string) {
	sys := parseSystem(s)
	return sys.platform, sys.name, sys.version
}

// Search writes a clause of the search language.
func Search(field, value string) string { return search(field, value) }

// ReasonsOf gathers the codes of an error's body.
func ReasonsOf(body []byte) map[string]bool { return reasonsOf(json.RawMessage(body)) }

// TokenCache keeps the value of a token that fetch gives for lifetime; get and
// reject are its use.
func TokenCache(ctx context.Context, lifetime time.Duration, fetch func(context.Context) (string, error)) (
	get func(context.Context) (string, error), reject func(string), closeCache func(),
) {
	c := newTokenCache(ctx, func(ctx context.Context) (token, error) {
		value, err := fetch(ctx)
		return token{value: value, renewAt: time.Now().Add(lifetime)}, err
	})
	get = func(ctx context.Context) (string, error) {
		t, err := c.get(ctx)
		return t.value, err
	}
	return get, func(value string) { c.reject(token{value: value}) }, c.close
}
