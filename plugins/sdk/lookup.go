package sdk

import (
	"context"
	"errors"
	"slices"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/plugins/sdk/pluginv1"
)

// LookUpDevices answers as one message: a person has few devices, and a stream
// would cost half as much again.
func (s *server) LookUpDevices(ctx context.Context, r *pluginv1.LookUpDevicesRequest) (*pluginv1.LookUpDevicesResponse, error) {
	ctx, cancel := s.bounded(ctx)
	defer cancel()
	var (
		devices []device.Device
		errs    []error
		keyed   = len(r.GetSerials()) > 0 || len(r.GetMacs()) > 0
	)
	switch {
	case keyed && r.GetEmail() != "" || !keyed && r.GetEmail() == "":
		errs = []error{fault.InvalidField("email", r.GetEmail(), "either an address or serials and MACs must be given", "")}
	case keyed:
		devices, errs = s.devicesByKeys(ctx, r.GetSerials(), r.GetMacs())
	default:
		devices, errs = s.devicesByEmail(ctx, r.GetEmail())
	}
	failures, err := partial(len(devices), errs)
	if err != nil {
		return nil, err
	}
	return &pluginv1.LookUpDevicesResponse{Devices: devicesToProto(devices), Failures: failures}, nil
}

// partial sorts failures into those that go beside records and the one that is
// the whole answer.
func partial(records int, errs []error) ([]*pluginv1.Failure, error) {
	if records == 0 && len(errs) == 1 {
		return nil, toStatus(errs[0])
	}
	var failures []*pluginv1.Failure
	for _, err := range errs {
		if f := toFailure(err); f != nil {
			failures = append(failures, f)
		}
	}
	if records == 0 && len(errs) > 0 && len(failures) == 0 {
		return nil, toStatus(errs[0]) // all were called off
	}
	return failures, nil
}

func (s *server) devicesByEmail(ctx context.Context, email string) ([]device.Device, []error) {
	c, err := capability[DevicesByEmail](s)
	if err != nil {
		return nil, []error{err}
	}
	devices, err := c.DevicesByEmail(ctx, email)
	return devices, found(err)
}

// found gives the failures of one look-up; "not found" is an empty answer.
func found(err error) []error {
	if err == nil || fault.IsNotFound(err) {
		return nil
	}
	return []error{err}
}

// devicesByKeys looks up every serial at once, and then every MAC that no record
// has shown.
func (s *server) devicesByKeys(ctx context.Context, serials, macs []string) (devices []device.Device, errs []error) {
	if len(serials) > 0 {
		c, err := capability[DevicesBySerial](s)
		if err != nil {
			return nil, []error{err}
		}
		devices, errs = eachKey(ctx, s, serials, c.DevicesBySerial)
	}
	if len(macs) == 0 || len(errs) > 0 && fault.SourceIsOut(errs[0], len(devices) > 0) {
		return devices, errs
	}
	c, err := capability[DevicesByMAC](s)
	if err != nil {
		return devices, append(errs, err)
	}
	var missing []device.MAC
	for _, text := range macs {
		mac, err := device.ParseMAC(text)
		switch {
		case err != nil:
			errs = append(errs, err)
		case !slices.ContainsFunc(devices, func(d device.Device) bool { return slices.Contains(d.Identifiers.MACAddresses, mac) }):
			missing = append(missing, mac)
		}
	}
	byMAC, macErrs := eachKey(ctx, s, missing, c.DevicesByMAC)
	return append(devices, byMAC...), append(errs, macErrs...)
}

// eachKey looks up every key, as many at once as there may be calls, and gives
// what it found and the failures in the order of the keys.
func eachKey[K ~string](ctx context.Context, s *server, keys []K, lookUp func(context.Context, K) ([]device.Device, error)) ([]device.Device, []error) {
	devices, errs := make([][]device.Device, len(keys)), make([][]error, len(keys))
	Each(len(keys), cap(s.turns), func(i int) {
		err := s.takeTurn(ctx)
		if err == nil {
			defer func() { <-s.turns }()
			devices[i], err = lookUp(ctx, keys[i])
		}
		errs[i] = found(about(string(keys[i]), err))
	})
	return slices.Concat(devices...), slices.Concat(errs...)
}

// about notes which key a failure is about, unless it says so itself.
func about(key string, err error) error {
	var e *fault.Error
	if err == nil || errors.As(err, &e) && e.Subject != "" {
		return err
	}
	return fault.Wrap(err, "", key)
}

// takeTurn waits until one more key may be looked up: one call with many keys
// must not ask more of the vendor at once than many calls may.
func (s *server) takeTurn(ctx context.Context) error {
	select {
	case s.turns <- struct{}{}:
		return nil
	case <-ctx.Done():
		return &fault.Error{
			Kind: fault.Timeout, Message: "waited too long for its turn", Err: ctx.Err(),
			Remedy: "raise CONCURRENCY of this plugin, or find out why its source is slow",
		}
	}
}
