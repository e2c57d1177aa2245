package jamf

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/plugins/sdk"
)

// DevicesByEmail finds a person's computers. Those that could be read are
// returned beside an error about the others.
func (s *Source) DevicesByEmail(ctx context.Context, email string) ([]device.Device, error) {
	email = strings.TrimSpace(email)
	key, byAddress, err := s.owners.search(email)
	if err != nil {
		return nil, err
	}
	path := "/JSSResource/users/name/"
	if byAddress {
		path = "/JSSResource/users/email/"
	}
	const op = "look up user"
	body, err := s.api.get(ctx, path+url.PathEscape(key), op, email)
	if fault.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	users, err := readClassicUsers(body)
	if err != nil {
		return nil, badDocument(err, op, email)
	}
	computers, err := s.computers(ctx, computersOf(users, email, byAddress))
	devices := make([]device.Device, 0, len(computers))
	for i := range computers {
		c := &computers[i]
		if !byAddress && !s.owners.admits(email, c) {
			s.env.Logger.DebugContext(ctx, "computer left out, as it belongs to another address", "computer_id", c.id)
			continue
		}
		devices = append(devices, c.record(s.owners))
	}
	return devices, err
}

// computersOf lists the numbers of the users' computers, once each. Of users who
// were searched by address, those count whose address it is.
func computersOf(users []classicUser, email string, byAddress bool) []string {
	var ids []string
	seen := make(map[string]bool)
	for _, u := range users {
		if byAddress && u.email != "" && !strings.EqualFold(u.email, email) {
			continue
		}
		for _, id := range u.computers {
			if !seen[id] {
				seen[id] = true
				ids = append(ids, id)
			}
		}
	}
	return ids
}

// computers reads computers side by side. One that has gone meanwhile is left
// out; failures of some come back beside the others.
func (s *Source) computers(ctx context.Context, ids []string) ([]computer, error) {
	found := make([]computer, len(ids))
	errs := make([]error, len(ids))
	sdk.Each(len(ids), s.env.Concurrency, func(i int) {
		found[i], errs[i] = s.computer(ctx, "/JSSResource/computers/id/", ids[i])
	})
	out := found[:0]
	var failed []error
	for i, err := range errs {
		switch {
		case err == nil:
			out = append(out, found[i])
		case !fault.IsNotFound(err):
			failed = append(failed, err)
		}
	}
	return out, someFailed(failed, len(ids))
}

// someFailed sums failures up under the first one's kind.
func someFailed(failed []error, of int) error {
	if len(failed) == 0 {
		return nil
	}
	if of == 1 {
		return failed[0]
	}
	return &fault.Error{
		Kind: fault.KindOf(failed[0]), Source: Name, Op: "get computers", Err: failed[0],
		Message: fmt.Sprintf("%d of %d computers could not be read", len(failed), of),
		Remedy:  fault.RemedyOf(failed[0]), RetryAfter: fault.RetryAfterOf(failed[0]),
	}
}

// computer reads one computer of the Classic API; path ends with a slash.
func (s *Source) computer(ctx context.Context, path, key string) (computer, error) {
	const op = "get computer"
	body, err := s.api.get(ctx, path+url.PathEscape(key), op, key)
	if err != nil {
		return computer{}, err
	}
	c, err := readClassic(body, s.env.Debug)
	if err != nil {
		return computer{}, badDocument(err, op, key)
	}
	return c, nil
}

// DevicesBySerial finds the computer with a serial number.
func (s *Source) DevicesBySerial(ctx context.Context, serial string) ([]device.Device, error) {
	return s.one(ctx, "/JSSResource/computers/serialnumber/", strings.TrimSpace(serial))
}

// DevicesByMAC finds the computer that Jamf lists under a MAC address; of several
// it gives one.
func (s *Source) DevicesByMAC(ctx context.Context, mac device.MAC) ([]device.Device, error) {
	return s.one(ctx, "/JSSResource/computers/macaddress/", string(mac))
}

func (s *Source) one(ctx context.Context, path, key string) ([]device.Device, error) {
	if strings.Trim(key, ".") == "" {
		return nil, nil // no key at all, and in a path dots would mean another folder
	}
	c, err := s.computer(ctx, path, key)
	if fault.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	return []device.Device{c.record(s.owners)}, nil
}
