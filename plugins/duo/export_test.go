package duo

import (
	"errors"
	"time"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/plugins/sdk"
)

// PageSize is how many events [PluginAt]'s plugin reads at once.
const PageSize = 100

// PluginAt is the plugin with another clock and small pages, whose waits after a
// failure begin with wait.
func PluginAt(now func() time.Time, wait time.Duration) sdk.Plugin {
	return definition(pace{
		now: now, pageSize: PageSize, rateLimited: wait, unreachable: wait, refused: wait, patience: 10 * wait, look: 5 * time.Millisecond,
	})
}

// ParseEntry reads one entry of the log.
func ParseEntry(raw []byte) (id string, event device.Event, ok bool) {
	e, ok := parseEntry(raw)
	return e.id, e.event, ok
}

// DecodePage reads the envelope of a page.
func DecodePage(body []byte) (logs int, next string, err error) {
	c, err := newClient(config{}, address{scheme: "https", host: "duo.invalid"}, sdk.Env{Timeout: time.Second}, maxPage)
	if err != nil {
		return 0, "", err
	}
	p, err := c.decode(body, "")
	return len(p.logs), p.next, err
}

// Address gives how an address is read: as a URL, and whether it is Duo's own.
func Address(raw string) (url, log string, isDuo bool, err error) {
	a, err := parseAddress(raw)
	return a.scheme + "://" + a.host, newStore(nil, a, 0).log, a.isDuo(), err
}

// PinsAuthorities reports whether a client of a host trusts Duo's certificate
// authorities only.
func PinsAuthorities(host string) (bool, error) {
	a, err := parseAddress(host)
	if err != nil {
		return false, err
	}
	_, pinned := newSigner(config{}, a)
	if pinned == nil {
		return false, errors.New("Duo's client pins no authorities")
	}
	t := transport(a, pinned, time.Second)
	return t.TLSClientConfig != nil && t.TLSClientConfig.RootCAs == pinned, nil
}

// Waits gives the waits after so many failures in a row of one kind.
func Waits(err error, failures int, interval time.Duration) time.Duration {
	p := newPuller(nil, nil, nil, pullSettings{interval: interval, pace: defaultPace()})
	p.failures = failures
	return p.wait(err)
}

// Held reports whether a process that has just learned of another's claim leaves
// the log to it, and whether it still does when it has seen no sign of life for as
// long as that lasts. The claim was made so long ago, by the holder's clock.
func Held(age, lasts time.Duration) (first, later bool) {
	now := time.Now()
	p := progress{version: 3, claim: claim{holder: "other", at: now.Add(-age), lasts: lasts}}
	var w watch
	_, first = w.held(p, "me", now)
	w.since = w.since.Add(-lasts)
	_, later = w.held(p, "me", now)
	return first, later
}

// Rest gives for how long the log needs no reading after somebody has read it to
// its end so long ago, by that one's clock.
func Rest(age, interval time.Duration) time.Duration {
	now := time.Now()
	return restOf(progress{success: now.Add(-age)}, now, interval)
}

// Progress reads kept progress, and gives it as it would be kept again.
func Progress(document []byte) (again []byte, err error) {
	p, err := decodeProgress(sdk.JournalProgress{Document: document, Version: 1})
	if err != nil {
		return nil, err
	}
	return p.encode()
}
