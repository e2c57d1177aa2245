package duo

import (
	"context"
	"encoding/json"
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
	return definition(pace{now: now, pageSize: PageSize, rateLimited: wait, unreachable: wait, refused: wait, patience: 10 * wait})
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
func Address(raw string) (url, file string, isDuo bool, err error) {
	a, err := parseAddress(raw)
	return a.scheme + "://" + a.host, a.fileName(), a.isDuo(), err
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
	p := newPuller(nil, nil, nil, pullSettings{interval: interval, pace: defaultPace()}, progress{})
	p.failures = failures
	return p.wait(err)
}

// StoredIDs gives the ids of all events in a store.
func StoredIDs(ctx context.Context, path string) (ids []string, err error) {
	s, err := openStore(ctx, path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = s.close() }()
	var all string
	if err := s.reader.QueryRowContext(ctx, `SELECT json_group_array(txid) FROM event`).Scan(&all); err != nil {
		return nil, err
	}
	return ids, json.Unmarshal([]byte(all), &ids)
}

// Plan gives how SQLite finds a person's events.
func Plan(ctx context.Context, path string) (plan []string, err error) {
	s, err := openStore(ctx, path)
	if err != nil {
		return nil, err
	}
	defer func() { _ = s.close() }()
	rows, err := s.reader.QueryContext(ctx, `EXPLAIN QUERY PLAN `+selectEvents, "a@b", "a", 10)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var id, parent, unused int
		var detail string
		if err := rows.Scan(&id, &parent, &unused, &detail); err != nil {
			return nil, err
		}
		plan = append(plan, detail)
	}
	return plan, rows.Err()
}

// SetSchemaVersion makes a store of another version.
func SetSchemaVersion(ctx context.Context, path string, version int) error {
	s, err := openStore(ctx, path)
	if err != nil {
		return err
	}
	defer func() { _ = s.close() }()
	_, err = s.writer.ExecContext(ctx, `UPDATE schema_version SET version = ?`, version)
	return err
}
