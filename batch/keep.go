package batch

import (
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/postureproject/posture/device"
)

// keeping puts what sources said last in the place of what they could not say now.
type keeping struct {
	keys  keysFunc
	known map[string]device.Collection // by plugin; nil until it is learned
}

func newKeeping(keys keysFunc) *keeping { return &keeping{keys: keys} }

// learn takes what is known.
func (k *keeping) learn(known []device.Collection) {
	k.known = make(map[string]device.Collection, len(known))
	for _, c := range known {
		k.known[c.Plugin] = c
	}
}

// fill completes collections for every failed outcome that has something to keep,
// and says in the outcome since when that is known.
func (k *keeping) fill(collections []device.Collection, outcomes []device.Outcome) []device.Collection {
	for i, o := range outcomes {
		last, known := k.known[o.Plugin]
		if o.OK || !known || !ofSource(o) {
			continue
		}
		at := slices.IndexFunc(collections, func(c device.Collection) bool { return c.Plugin == o.Plugin })
		if at < 0 {
			collections = append(collections, device.Collection{Plugin: o.Plugin, FetchedAt: last.FetchedAt})
			at = len(collections) - 1
		}
		k.keep(&collections[at], last, o.Namespace)
		since := last.FetchedAt // also of an answer that was empty
		if t, told := last.Answered[o.Namespace]; told {
			since = t
		}
		outcomes[i].KeptFrom = &since
		collections[at].Answered = maps.Clone(collections[at].Answered)
		if collections[at].Answered == nil {
			collections[at].Answered = map[string]time.Time{}
		}
		collections[at].Answered[o.Namespace] = since
	}
	return collections
}

// answered gives the collections that are worth remembering: not those of sources
// that failed and never said anything.
func answered(collections []device.Collection, outcomes []device.Outcome) []device.Collection {
	var out []device.Collection
	for _, c := range collections {
		silent := len(c.Devices)+len(c.Events)+len(c.Accounts)+len(c.Notifications) == 0
		if silent && slices.ContainsFunc(outcomes, func(o device.Outcome) bool { return o.Plugin == c.Plugin && !o.OK && o.KeptFrom == nil }) {
			continue
		}
		out = append(out, c)
	}
	return out
}

// keep adds what was known in a namespace. The devices that came beside the error
// are kept too, so only those are added that none of them can be.
func (k *keeping) keep(c *device.Collection, last device.Collection, namespace string) {
	all := namespace == "sources"
	is := func(what string) bool { return all || strings.HasSuffix(namespace, "."+what) }
	if is("devices") || is("predevices") {
		c.Devices = append(slices.Clip(c.Devices), k.missing(c.Devices, last.Devices)...)
	}
	if is("events") && len(c.Events) == 0 {
		c.Events = last.Events
	}
	if is("accounts") && len(c.Accounts) == 0 {
		c.Accounts = last.Accounts
	}
	if is("notifications") && len(c.Notifications) == 0 {
		c.Notifications = last.Notifications
	}
}

// missing gives the known devices that share no trait with one now.
func (k *keeping) missing(now, known []device.Device) []device.Device {
	shown := map[string]bool{}
	for _, d := range now {
		for _, key := range k.traits(d) {
			shown[key] = true
		}
	}
	var missing []device.Device
	for _, d := range known {
		if !slices.ContainsFunc(k.traits(d), func(key string) bool { return shown[key] }) {
			missing = append(missing, d)
		}
	}
	return missing
}

// traits gives what a record of one source is recognised by: its identifiers, or
// name and model when it has none.
func (k *keeping) traits(d device.Device) []string {
	serial, macs := k.keys(d)
	var traits []string
	if serial != "" {
		traits = append(traits, serialKey(serial))
	}
	for _, m := range macs {
		traits = append(traits, macKey(m))
	}
	for kind, id := range []string{d.Identifiers.UDID, d.Identifiers.IMEI, d.Identifiers.MEID, d.Identifiers.GoogleDeviceID} {
		if id != "" {
			traits = append(traits, string(rune('0'+kind))+normalKey(id))
		}
	}
	if len(traits) == 0 {
		traits = append(traits, "n"+d.Name+"\x00"+d.Model)
	}
	return traits
}

func older(a, b time.Time) time.Time {
	if b.Before(a) {
		return b
	}
	return a
}
