package sdktest

import (
	"context"
	"encoding/json"
	"errors"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/plugins/sdk"
)

func ignore([]device.Device) error { return nil }

// records looks at the records as the plugin makes them, before the protocol
// puts anything right.
func (s *suite) records(t *testing.T) {
	instance := s.instance(t)
	ctx := t.Context()
	var devices []device.Device
	add := func(found []device.Device, err error) {
		t.Helper()
		if err != nil {
			t.Error(err)
		}
		devices = append(devices, found...)
	}
	if c, ok := instance.(sdk.DevicesByEmail); ok {
		add(c.DevicesByEmail(ctx, s.Email))
	}
	if c, ok := instance.(sdk.DevicesBySerial); ok {
		found, err := c.DevicesBySerial(ctx, s.Serial)
		add(found, err)
		if !slices.ContainsFunc(found, func(d device.Device) bool {
			return strings.EqualFold(d.Serial, s.Serial) || strings.EqualFold(d.Identifiers.Serial, s.Serial)
		}) {
			t.Errorf("none of the devices found by serial %s has it", s.Serial)
		}
	}
	if c, ok := instance.(sdk.DevicesByMAC); ok {
		found, err := c.DevicesByMAC(ctx, s.MAC)
		add(found, err)
		if !slices.ContainsFunc(found, func(d device.Device) bool { return slices.Contains(d.Identifiers.MACAddresses, s.MAC) }) {
			t.Errorf("none of the devices found by MAC %s has it", s.MAC)
		}
	}
	for i := range devices {
		s.checkDevice(t, &devices[i])
	}
	if c, ok := instance.(sdk.EventsByEmail); ok {
		events, err := c.EventsByEmail(ctx, s.Email)
		if err != nil {
			t.Error(err)
		}
		if !slices.IsSortedFunc(events, func(a, b device.Event) int { return b.Timestamp.Compare(a.Timestamp) }) {
			t.Error("events are not newest first")
		}
	}
	if c, ok := instance.(sdk.NotificationsByEmail); ok {
		notifications, err := c.NotificationsByEmail(ctx, s.Email)
		if err != nil {
			t.Error(err)
		}
		for _, n := range notifications {
			if n.ID == "" || !json.Valid(n.Source) {
				t.Errorf("notification without identifier or document: %+v", n)
			}
		}
	}
}

func (s *suite) checkDevice(t *testing.T, d *device.Device) {
	t.Helper()
	name := d.Name + " " + d.Serial
	for _, m := range d.Identifiers.MACAddresses {
		if canonical, err := device.ParseMAC(string(m)); err != nil || canonical != m || !m.Usable() {
			t.Errorf("%s: MAC %q is not canonical, or cannot identify a device", name, m)
		}
	}
	for key, p := range d.Practices {
		if !slices.Contains(s.about.Practices, key) {
			t.Errorf("%s: practice %q is not in the description", name, key)
		}
		if p.Status != "" || p.Title != "" || p.Description != "" || p.Directions != "" || p.Link != "" || p.Display != nil {
			t.Errorf("%s: practice %q carries a verdict, which is not a source's to give", name, key)
		}
	}
	if d.Platform != "" && (!slices.Contains(platforms(), d.Platform) || len(s.about.Platforms) > 0 && !slices.Contains(s.about.Platforms, d.Platform)) {
		t.Errorf("%s: platform %q is not in the description, or none at all", name, d.Platform)
	}
	if d.Software != nil && !s.about.Software {
		t.Errorf("%s lists software, but the description says that it does not", name)
	}
	if d.Email != "" && !strings.Contains(d.Email, "@") {
		t.Errorf("%s: owner %q is not an address", name, d.Email)
	}
	if len(d.Raw) > 0 {
		t.Errorf("%s carries a raw document without debug", name)
	}
	id := d.Identifiers
	for _, text := range []string{
		d.Name, d.Model, d.Manufacturer, d.Type, d.Serial, d.Status, d.Email, d.OS, d.OSVersion, id.Serial, id.UDID, id.IMEI, id.MEID, id.GoogleDeviceID,
	} {
		if !utf8.ValidString(text) || strings.TrimSpace(text) != text {
			t.Errorf("%s: %q has space around it, or is not UTF-8", name, text)
		}
	}
}

// sideBySide makes every call many times at once; all must give the same.
func (s *suite) sideBySide(t *testing.T) {
	client := s.open(t)
	const callers = 8
	for _, c := range s.lookUps(client, s.Email, s.Serial, s.MAC) {
		answers := make([]answer, callers)
		var group sync.WaitGroup
		for i := range callers {
			group.Go(func() {
				var err error
				if answers[i], err = c.do(t.Context()); err != nil {
					t.Errorf("%s: %v", c.name, err)
				}
			})
		}
		group.Wait()
		for _, a := range answers[1:] {
			if diff := cmp.Diff(answers[0].text, a.text); diff != "" {
				t.Errorf("%s gives different answers side by side:\n%s", c.name, diff)
				break
			}
		}
	}
}

// calledOff checks that calls end soon after their context, before they began
// and in the middle.
func (s *suite) calledOff(t *testing.T) {
	instance := s.instance(t)
	ended, cancel := context.WithCancel(t.Context())
	cancel()
	for name, do := range s.direct(instance) {
		endsPromptly(t, name+" with an ended context", func() { _ = do(ended) })
	}
	if s.Stall == nil {
		return
	}
	resume := s.Stall()
	defer resume()
	for name, do := range s.direct(instance) {
		ctx, cancel := context.WithTimeout(t.Context(), 100*time.Millisecond)
		endsPromptly(t, name+" at a source that stalls", func() {
			if do(ctx) == nil {
				t.Logf("%s answers without the source", name)
			}
		})
		cancel()
	}
}

func endsPromptly(t *testing.T, name string, do func()) {
	t.Helper()
	done := make(chan struct{})
	go func() {
		defer close(done)
		do()
	}()
	select {
	case <-done:
	case <-time.After(promptly):
		t.Errorf("%s does not end within %v", name, promptly)
		<-done
	}
}

// direct gives the calls of an instance, without the protocol in between.
func (s *suite) direct(instance any) map[string]func(context.Context) error {
	calls := map[string]func(context.Context) error{}
	if c, ok := instance.(sdk.DevicesByEmail); ok {
		calls["devices by e-mail"] = func(ctx context.Context) error { _, err := c.DevicesByEmail(ctx, s.Email); return err }
	}
	if c, ok := instance.(sdk.DevicesBySerial); ok {
		calls["devices by serial"] = func(ctx context.Context) error { _, err := c.DevicesBySerial(ctx, s.Serial); return err }
	}
	if c, ok := instance.(sdk.DevicesByMAC); ok {
		calls["devices by MAC"] = func(ctx context.Context) error { _, err := c.DevicesByMAC(ctx, s.MAC); return err }
	}
	if c, ok := instance.(sdk.EventsByEmail); ok {
		calls["events"] = func(ctx context.Context) error { _, err := c.EventsByEmail(ctx, s.Email); return err }
	}
	if c, ok := instance.(sdk.AccountsByEmail); ok {
		calls["accounts"] = func(ctx context.Context) error { _, err := c.AccountsByEmail(ctx, s.Email); return err }
	}
	if c, ok := instance.(sdk.NotificationsByEmail); ok {
		calls["notifications"] = func(ctx context.Context) error { _, err := c.NotificationsByEmail(ctx, s.Email); return err }
	}
	if c, ok := instance.(sdk.DeviceLister); ok {
		calls["list devices"] = func(ctx context.Context) error {
			return c.ListDevices(ctx, func(device.Device) error { return ctx.Err() })
		}
	}
	if c, ok := instance.(sdk.UserLister); ok {
		calls["list users"] = func(ctx context.Context) error {
			return c.ListUsers(ctx, func(device.User) error { return ctx.Err() })
		}
	}
	if c, ok := instance.(sdk.ConnectivityTester); ok {
		calls["connectivity test"] = func(ctx context.Context) error { _, err := c.TestConnectivity(ctx); return err }
	}
	return calls
}

// listing checks that the bulk path gives what the look-ups give.
func (s *suite) listing(t *testing.T) {
	client := s.open(t)
	if s.about.Has(sdk.CapListUsers) {
		s.checkUsers(t, client)
	}
	if !s.about.Has(sdk.CapListDevices) {
		return
	}
	var listed []device.Device
	err := client.ListDevices(t.Context(), 10*time.Second, func(some []device.Device) error {
		listed = append(listed, some...)
		return nil
	})
	if err != nil {
		t.Fatalf("list devices: %v", err)
	}
	if s.about.Has(sdk.CapDevicesByEmail) {
		found, err := client.DevicesByEmail(t.Context(), s.Email)
		if err != nil {
			t.Error(err)
		}
		for i := range found {
			s.checkListed(t, &found[i], listed)
		}
	}
	stop := errors.New("enough")
	if lister, ok := s.instance(t).(sdk.DeviceLister); ok {
		sent := 0
		err := lister.ListDevices(t.Context(), func(device.Device) error {
			sent++
			return stop
		})
		if !errors.Is(err, stop) || sent != 1 {
			t.Errorf("after send failed the listing went on to %d devices and ended with %v", sent, err)
		}
	}
}

func (s *suite) checkListed(t *testing.T, d *device.Device, listed []device.Device) {
	t.Helper()
	i := slices.IndexFunc(listed, func(l device.Device) bool { return sameDevice(d, &l) })
	if i < 0 {
		t.Errorf("%s %s is found by e-mail, but not listed", d.Name, d.Serial)
		return
	}
	if !strings.EqualFold(listed[i].Email, s.Email) {
		t.Errorf("%s %s is %s's, but listed as %q's", d.Name, d.Serial, s.Email, listed[i].Email)
	}
	if !s.ListSame {
		return
	}
	if diff := cmp.Diff(*d, listed[i], cmpopts.EquateEmpty()); diff != "" {
		t.Errorf("%s %s is listed differently (-found +listed):\n%s", d.Name, d.Serial, diff)
	}
}

// sameDevice compares by the first identifier that the first device has.
func sameDevice(a, b *device.Device) bool {
	x, y := a.Identifiers, b.Identifiers
	for _, pair := range [][2]string{
		{x.Serial, y.Serial}, {x.UDID, y.UDID}, {x.IMEI, y.IMEI}, {x.MEID, y.MEID}, {x.GoogleDeviceID, y.GoogleDeviceID}, {a.Serial, b.Serial},
	} {
		if pair[0] != "" {
			return strings.EqualFold(pair[0], pair[1])
		}
	}
	return slices.ContainsFunc(x.MACAddresses, func(m device.MAC) bool { return slices.Contains(y.MACAddresses, m) })
}

func (s *suite) checkUsers(t *testing.T, client *sdk.Client) {
	t.Helper()
	seen := map[string]int{}
	err := client.ListUsers(t.Context(), 10*time.Second, func(users []device.User) error {
		for _, u := range users {
			seen[strings.ToLower(u.Email)]++
		}
		return nil
	})
	if err != nil {
		t.Errorf("list users: %v", err)
	}
	if seen[strings.ToLower(s.Email)] == 0 {
		t.Errorf("%s is not among the %d users listed", s.Email, len(seen))
	}
	for email, times := range seen {
		if times > 1 || !strings.Contains(email, "@") {
			t.Errorf("user %q is listed %d times", email, times)
		}
	}
}
