package landesk

import (
	"context"
	"math"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
)

// DevicesByEmail implements [sdk.DevicesByEmail].
func (s *Source) DevicesByEmail(ctx context.Context, email string) ([]device.Device, error) {
	email = strings.TrimSpace(email)
	if email == "" {
		return nil, nil
	}
	return s.fetch(ctx, ofOwner(email), email)
}

// DevicesBySerial implements [sdk.DevicesBySerial].
func (s *Source) DevicesBySerial(ctx context.Context, serial string) ([]device.Device, error) {
	serial = strings.TrimSpace(serial)
	if serial == "" {
		return nil, nil // many computers have none, and they are not what was asked for
	}
	return s.fetch(ctx, withSerial(serial), serial)
}

// DevicesByMAC implements [sdk.DevicesByMAC]. An adapter without a firewall of
// its own is none by which a computer is known, so it does not count here.
func (s *Source) DevicesByMAC(ctx context.Context, mac device.MAC) ([]device.Device, error) {
	digits := strings.ReplaceAll(string(mac), ":", "")
	devices, err := s.fetch(ctx, withAddress(digits), string(mac))
	return slices.DeleteFunc(devices, func(d device.Device) bool {
		return err == nil && !slices.Contains(d.Identifiers.MACAddresses, mac)
	}), err
}

// ListDevices implements [sdk.DeviceLister]. It reads a page of computers at a
// time, each table once per page. A table that cannot be read does not end the
// listing; the failure is reported at its end.
func (s *Source) ListDevices(ctx context.Context, send func(device.Device) error) error {
	var failures []error
	for after := int64(math.MinInt64); ; {
		devices, last, err := s.page(ctx, after)
		if err != nil && last == after {
			return err
		}
		if err != nil && len(failures) == 0 {
			failures = append(failures, err)
		}
		for _, d := range devices {
			if err := send(d); err != nil {
				return err
			}
		}
		if last == after {
			return together(failures)
		}
		after = last
	}
}

// page reads the computers that come after a number, and gives the last one's:
// the same when there are none, or when the computers themselves could not be
// read.
func (s *Source) page(ctx context.Context, after int64) ([]device.Device, int64, error) {
	ctx, cancel := context.WithTimeout(ctx, s.timeout)
	defer cancel()
	st := nextNumbers(after, pageSize)
	rows, err := collect(ctx, s.db, st, func(cells []any) int64 {
		n, _ := identity(cells[0])
		return n
	})
	if err != nil || len(rows) == 0 {
		return nil, after, err
	}
	last := slices.Max(rows)
	if last <= after {
		return nil, after, st.failed(fault.BadResponse, nil, "the list of computers goes round in circles",
			"check that Computer_Idn is a whole number, as LANDESK has it")
	}
	of := between(after, last)
	var (
		found  []owned[computer]
		known  *findings
		failed error // of the tables beside the main ones
		group  errgroup.Group
	)
	group.Go(func() error {
		var err error
		found, err = collect(ctx, s.db, computers().in(of, "", pageSize*ownersPerComputer), s.rules.readComputer)
		return err
	})
	group.Go(func() error {
		known, failed = s.findings(ctx, of, "", len(rows))
		return nil
	})
	if err := group.Wait(); err != nil {
		return nil, after, err
	}
	return s.rules.devices(gather(found), known), last, failed
}

// ListUsers implements [sdk.UserLister].
func (s *Source) ListUsers(ctx context.Context, send func(device.User) error) error {
	for after := ""; ; {
		st := nextAddresses(after, pageSize)
		addresses, err := collect(ctx, s.db, st, func(cells []any) string {
			email, _ := cells[0].(string)
			return email
		})
		if err != nil {
			return err
		}
		for _, email := range addresses {
			if email = strings.TrimSpace(email); !strings.Contains(email, "@") {
				continue
			}
			if err := send(device.User{Email: email}); err != nil {
				return err
			}
		}
		if len(addresses) < pageSize {
			return nil
		}
		last := addresses[len(addresses)-1]
		if last == "" || strings.EqualFold(last, after) {
			return st.failed(fault.BadResponse, nil, "the list of users goes round in circles",
				"check that EMAILADDR is a text, as LANDESK has it")
		}
		after = last
	}
}
