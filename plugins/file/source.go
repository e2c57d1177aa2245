package file

import (
	"cmp"
	"context"
	"fmt"
	"log/slog"
	"slices"
	"strings"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/plugins/sdk"
)

// Source answers from files. It is safe for concurrent use.
type Source struct {
	devices *table[device.Device]
	events  *table[device.Event]
	users   *table[device.User]
	logger  *slog.Logger
	cancel  context.CancelFunc
}

func newSource(ctx context.Context, c config, r reader, env sdk.Env) *Source {
	ctx, cancel := context.WithCancel(ctx)
	return &Source{
		devices: &table[device.Device]{
			sort: "devices", patterns: c.Devices, reader: r, maxBytes: c.MaxBytes, parse: parseDevice, keys: deviceKeys, logger: env.Logger, ctx: ctx,
		},
		events: &table[device.Event]{
			sort: "events", patterns: c.Events, reader: r, maxBytes: c.MaxBytes, parse: parseEvent, logger: env.Logger, ctx: ctx,
			keys: func(e *device.Event) []string { return []string{emailKey(e.Email)} },
		},
		users: &table[device.User]{
			sort: "users", patterns: c.Users, reader: r, maxBytes: c.MaxBytes, parse: parseUser, logger: env.Logger, ctx: ctx,
			keys: func(*device.User) []string { return nil },
		},
		logger: env.Logger, cancel: cancel,
	}
}

// Close ends any reading under way.
func (s *Source) Close() {
	s.cancel()
	s.devices.close()
	s.events.close()
	s.users.close()
}

func emailKey(email string) string   { return "email " + strings.ToLower(strings.TrimSpace(email)) }
func serialKey(serial string) string { return "serial " + strings.ToUpper(strings.TrimSpace(serial)) }
func macKey(mac device.MAC) string   { return "mac " + string(mac) }

func deviceKeys(d *device.Device) []string {
	keys := make([]string, 0, 3+len(d.Identifiers.MACAddresses))
	if d.Email != "" {
		keys = append(keys, emailKey(d.Email))
	}
	for _, serial := range []string{d.Serial, d.Identifiers.Serial} {
		if key := serialKey(serial); serial != "" && !slices.Contains(keys, key) {
			keys = append(keys, key)
		}
	}
	for _, mac := range d.Identifiers.MACAddresses {
		keys = append(keys, macKey(mac))
	}
	return keys
}

// DevicesByEmail implements [sdk.DevicesByEmail].
func (s *Source) DevicesByEmail(ctx context.Context, email string) ([]device.Device, error) {
	return lookUp(ctx, s.devices, emailKey(email))
}

// DevicesBySerial implements [sdk.DevicesBySerial]. Case does not matter.
func (s *Source) DevicesBySerial(ctx context.Context, serial string) ([]device.Device, error) {
	return lookUp(ctx, s.devices, serialKey(serial))
}

// DevicesByMAC implements [sdk.DevicesByMAC].
func (s *Source) DevicesByMAC(ctx context.Context, mac device.MAC) ([]device.Device, error) {
	return lookUp(ctx, s.devices, macKey(mac))
}

// EventsByEmail implements [sdk.EventsByEmail].
func (s *Source) EventsByEmail(ctx context.Context, email string) ([]device.Event, error) {
	events, err := lookUp(ctx, s.events, emailKey(email))
	slices.SortStableFunc(events, func(a, b device.Event) int { return b.Timestamp.Compare(a.Timestamp) })
	return events, err
}

// lookUp gives copies of the records with a key, beside the failure of any file.
func lookUp[T any](ctx context.Context, t *table[T], key string) ([]T, error) {
	held, err := t.get(ctx)
	var out []T
	for _, record := range held.index[key] {
		out = append(out, *record)
	}
	return out, err
}

// ListDevices implements [sdk.DeviceLister]. It reads the files anew, one record
// at a time, and keeps none.
func (s *Source) ListDevices(ctx context.Context, send func(device.Device) error) error {
	return s.devices.stream(ctx, send)
}

// ListUsers implements [sdk.UserLister]: the people of the users' files, then the
// owners of devices who are not among them, each address once.
func (s *Source) ListUsers(ctx context.Context, send func(device.User) error) error {
	seen := map[string]bool{}
	var sendErr error
	once := func(u device.User) error {
		if key := emailKey(u.Email); !seen[key] {
			seen[key] = true
			sendErr = send(u)
		}
		return sendErr
	}
	usersErr := s.users.stream(ctx, once)
	if sendErr != nil {
		return sendErr
	}
	devicesErr := s.devices.stream(ctx, func(d device.Device) error {
		if d.Email == "" {
			return nil
		}
		return once(device.User{Email: d.Email})
	})
	return cmp.Or(usersErr, devicesErr)
}

// TestConnectivity implements [sdk.ConnectivityTester]: every file can be read and
// holds records. It counts them, and names the first that had to be left out.
func (s *Source) TestConnectivity(ctx context.Context) (string, error) {
	var parts []string
	for _, check := range []func(context.Context) (string, error){
		func(ctx context.Context) (string, error) { return tally(ctx, s.devices) },
		func(ctx context.Context) (string, error) { return tally(ctx, s.events) },
		func(ctx context.Context) (string, error) { return tally(ctx, s.users) },
	} {
		part, err := check(ctx)
		if err != nil {
			return "", err
		}
		if part != "" {
			parts = append(parts, part)
		}
	}
	return strings.Join(parts, "; "), nil
}

func tally[T any](ctx context.Context, t *table[T]) (string, error) {
	held, err := t.get(ctx)
	if err != nil || len(held.files) == 0 {
		return "", err
	}
	records, bad, first := 0, 0, ""
	for _, c := range held.files {
		records += len(c.records)
		bad += c.bad
		if len(c.problems) == 0 {
			continue
		}
		where := fmt.Sprintf("%s:%d %s", c.path, c.problems[0].line, c.problems[0].reason)
		if len(c.records) == 0 {
			return "", &fault.Error{
				Kind: fault.BadResponse, Source: Name, Op: "read file", Subject: c.path,
				Message: fmt.Sprintf("none of %d records can be used; the first: %s", c.bad, where),
				Remedy:  "check that it is a file of " + t.sort + "; FIELD_MAP can name its fields",
			}
		}
		first = cmp.Or(first, where)
	}
	part := counted(records, t.sort) + " in " + counted(len(held.files), "files")
	if bad > 0 {
		part += fmt.Sprintf(" (%d left out, the first: %s)", bad, first)
	}
	return part, nil
}

// counted gives a number with what it counts, a plural.
func counted(n int, plural string) string {
	if n == 1 {
		return "1 " + strings.TrimSuffix(plural, "s")
	}
	return fmt.Sprintf("%d %s", n, plural)
}
