package sdk_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/plugins/sdk"
	"github.com/postureproject/posture/plugins/sdk/sdktest"
)

func many(n int) []device.Device {
	out := make([]device.Device, n)
	for i := range out {
		out[i] = device.Device{Serial: fmt.Sprint(i)}
	}
	return out
}

func TestDescribe(t *testing.T) {
	t.Parallel()
	want, err := plugin(nil).Describe()
	if err != nil {
		t.Fatal(err)
	}
	got, err := sdktest.Dial(t, plugin(&fake{})).Describe(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	if len(got.Capabilities) != 13 || got.Has("other") {
		t.Errorf("capabilities %v", got.Capabilities)
	}
	for _, c := range got.Capabilities {
		if !got.Has(c) {
			t.Errorf("%s is missing", c)
		}
	}
}

// A look-up may be longer than a message, and end with an error.
func TestLookUps_longAndPartial(t *testing.T) {
	t.Parallel()
	broken := fault.New(fault.Unavailable, "half of it failed")
	for _, n := range []int{0, 1, 49, 50, 51, 100, 1234} {
		for _, sent := range []error{nil, broken} {
			client := open(t, &fake{
				devices: func(context.Context, string) ([]device.Device, error) { return many(n), sent },
				events:  func(context.Context, string) ([]device.Event, error) { return make([]device.Event, n), sent },
				notifications: func(context.Context, string) ([]device.Notification, error) {
					return make([]device.Notification, n), sent
				},
			})
			devices, err := client.DevicesByKeys(t.Context(), []string{"x"}, nil)
			events, eventsErr := client.EventsByEmail(t.Context(), "x")
			notifications, notificationsErr := client.NotificationsByEmail(t.Context(), "x")
			for _, err := range []error{err, eventsErr, notificationsErr} {
				if (err == nil) != (sent == nil) || err != nil && fault.KindOf(err) != fault.Unavailable {
					t.Errorf("%d: error %v, want %v", n, err, sent)
				}
			}
			if len(devices) != n || len(events) != n || len(notifications) != n {
				t.Errorf("%d, %d, %d records, want %d", len(devices), len(events), len(notifications), n)
			}
			for i, d := range devices {
				if d.Serial != fmt.Sprint(i) || d.Source != "fake" {
					t.Errorf("device %d is %s of %s", i, d.Serial, d.Source)
				}
			}
		}
	}
}

func TestLookUps_tooMany(t *testing.T) {
	t.Parallel()
	client := open(t, &fake{devices: func(context.Context, string) ([]device.Device, error) { return many(sdk.MaxRecords + 1), nil }})
	got, err := client.DevicesByEmail(t.Context(), "x")
	if len(got) != sdk.MaxRecords || fault.KindOf(err) != fault.BadResponse {
		t.Errorf("%d records, %v", len(got), err)
	}
	if got, err := open(t, &fake{devices: func(context.Context, string) ([]device.Device, error) { return many(sdk.MaxRecords), nil }}).
		DevicesByEmail(t.Context(), "x"); len(got) != sdk.MaxRecords || err != nil {
		t.Errorf("exactly as many as allowed: %d records, %v", len(got), err)
	}
}

func TestListings(t *testing.T) {
	t.Parallel()
	broken := fault.New(fault.RateLimited, "no more today")
	f := &fake{
		listDevices: func(_ context.Context, send func(device.Device) error) error {
			for _, d := range many(sdk.MaxRecords + 123) {
				if err := send(d); err != nil {
					return err
				}
			}
			return broken
		},
		listUsers: func(_ context.Context, send func(device.User) error) error {
			for i := range 1001 {
				if err := send(device.User{Email: fmt.Sprint(i), Name: "\xff"}); err != nil {
					return err
				}
			}
			return nil
		},
	}
	client := open(t, f)
	n := 0
	err := client.ListDevices(t.Context(), 5*time.Second, func(devices []device.Device) error {
		for _, d := range devices {
			if d.Serial != fmt.Sprint(n) {
				t.Fatalf("device %d is %s", n, d.Serial)
			}
			n++
		}
		return nil
	})
	if n != sdk.MaxRecords+123 || fault.KindOf(err) != fault.RateLimited {
		t.Errorf("%d devices, %v", n, err)
	}
	users := 0
	err = client.ListUsers(t.Context(), 5*time.Second, func(some []device.User) error { users += len(some); return nil })
	if users != 1001 || err != nil {
		t.Errorf("%d users, %v", users, err)
	}
	enough := errors.New("enough")
	if err := client.ListDevices(t.Context(), 5*time.Second, func([]device.Device) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("error %v, want the receiver's", err)
	}
}

// The limit is for each wait, not for the whole listing, nor for the receiver.
func TestListing_idle(t *testing.T) {
	t.Parallel()
	const idle = time.Second
	var stopped error
	done := make(chan struct{})
	client := open(t, &fake{listDevices: func(ctx context.Context, send func(device.Device) error) error {
		defer close(done)
		for range 4 {
			time.Sleep(idle / 3) // this is about real waiting over a connection
			for _, d := range many(50) {
				if err := send(d); err != nil {
					return err
				}
			}
		}
		<-ctx.Done()
		stopped = ctx.Err()
		return ctx.Err()
	}})
	n := 0
	err := client.ListDevices(t.Context(), idle, func(devices []device.Device) error {
		if n += len(devices); n == 50 {
			time.Sleep(2 * idle)
		}
		return nil
	})
	if n != 200 || fault.KindOf(err) != fault.Timeout || fault.RemedyOf(err) == "" {
		t.Errorf("%d devices, %v", n, err)
	}
	<-done
	if !errors.Is(stopped, context.Canceled) {
		t.Errorf("the plugin's context ended with %v", stopped)
	}
}

// A panic costs one call; the plugin lives on.
func TestPanics(t *testing.T) {
	t.Parallel()
	client := open(t, &fake{
		devices: func(_ context.Context, key string) ([]device.Device, error) {
			if key == "good" {
				return many(1), nil
			}
			var none map[string]int
			none[key] = 1 //nolint:staticcheck // it must panic
			return nil, nil
		},
		connectivity: func(context.Context) (string, error) { panic("oh no") },
		listDevices: func(_ context.Context, send func(device.Device) error) error {
			_ = send(device.Device{})
			panic(errors.New("in the middle"))
		},
	})
	_, lookUp := client.DevicesByEmail(t.Context(), "bad")
	_, unary := client.TestConnectivity(t.Context())
	listing := client.ListDevices(t.Context(), time.Second, func([]device.Device) error { return nil })
	for want, err := range map[string]error{"nil map": lookUp, "oh no": unary, "in the middle": listing} {
		if fault.KindOf(err) != fault.Internal || err == nil || !strings.Contains(err.Error(), want) || !strings.Contains(fault.RemedyOf(err), "defect") {
			t.Errorf("error %v (remedy %q), want one with %q", err, fault.RemedyOf(err), want)
		}
	}
	if got, err := client.DevicesByEmail(t.Context(), "good"); err != nil || len(got) != 1 {
		t.Errorf("after the panics: %d devices, %v", len(got), err)
	}
}

func TestLifeCycle(t *testing.T) {
	t.Parallel()
	f := &fake{closed: make(chan struct{}), connectivity: func(context.Context) (string, error) { return "fine \xff", nil }}
	t.Run("served", func(t *testing.T) {
		client := sdktest.Dial(t, plugin(f))
		if _, err := client.TestConnectivity(t.Context()); fault.KindOf(err) != fault.Conflict || err == nil {
			t.Errorf("before it was configured: %v", err)
		}
		cfg := sdk.Configuration{Config: []byte(`{}`), Timeout: time.Second, Concurrency: 1}
		if err := client.Configure(t.Context(), sdk.Configuration{Config: []byte(`{"X":1}`), Timeout: time.Second}); fault.KindOf(err) != fault.Invalid {
			t.Errorf("an unknown key: %v", err)
		}
		if err := client.Configure(t.Context(), cfg); err != nil {
			t.Errorf("a second try: %v", err)
		}
		if err := client.Configure(t.Context(), cfg); fault.KindOf(err) != fault.Conflict {
			t.Errorf("configured twice: %v", err)
		}
		if detail, err := client.TestConnectivity(t.Context()); err != nil || detail != "fine \uFFFD" {
			t.Errorf("%q, %v", detail, err)
		}
	})
	select {
	case <-f.closed:
	default:
		t.Error("the instance was not closed")
	}
}

// What a plugin does not offer is an error when it is asked for all the same.
func TestNotOffered(t *testing.T) {
	t.Parallel()
	little := sdk.Definition[struct{}, struct{}]{Name: "little", New: func(context.Context, struct{}, sdk.Env) (struct{}, error) { return struct{}{}, nil }}
	client := sdktest.Open(t, little, nil)
	if _, err := client.DevicesByEmail(t.Context(), "x"); err == nil {
		t.Error("devices by e-mail of a plugin without")
	}
	if _, err := open(t, &fake{}).DevicesByKeys(t.Context(), nil, []device.MAC{"zz"}); fault.KindOf(err) != fault.Invalid {
		t.Errorf("an odd MAC: %v", err)
	}
}

func TestFeedbackAndTransforms(t *testing.T) {
	t.Parallel()
	var got device.Feedback
	client := open(t, &fake{feedback: func(_ context.Context, f device.Feedback) error { got = f; return nil }})
	want := device.Feedback{UserID: "a@x.org", ID: "1", Feedback: json.RawMessage(`{"a":1}`), Notes: "n", Source: "web"}
	if err := client.SendFeedback(t.Context(), want); err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
	devices, err := client.TransformDevices(t.Context(), []device.Device{{Source: "jamf"}, {Source: "google"}})
	if err != nil || len(devices) != 2 || devices[1].Manufacturer != "made by google" || devices[1].Source != "google" {
		t.Errorf("%+v, %v", devices, err)
	}
	events, err := client.TransformEvents(t.Context(), []device.Event{{Source: "duo"}, {Source: "google", Type: "t"}})
	if err != nil || len(events) != 1 || events[0].Source != "google" || events[0].Type != "t" {
		t.Errorf("%+v, %v", events, err)
	}
}

func TestCanceledCall(t *testing.T) {
	t.Parallel()
	began, ended := make(chan struct{}), make(chan struct{})
	client := open(t, &fake{devices: func(ctx context.Context, _ string) ([]device.Device, error) {
		close(began)
		<-ctx.Done()
		close(ended)
		return nil, ctx.Err()
	}})
	ctx, cancel := context.WithCancel(t.Context())
	go func() {
		<-began
		cancel()
	}()
	_, err := client.DevicesByEmail(ctx, "x")
	if !errors.Is(err, context.Canceled) {
		t.Errorf("error %v", err)
	}
	<-ended
}

// Several keys travel in one call: each failure comes back about its own key, and
// no MAC is searched for that a record already shows.
func TestDevicesByKeys(t *testing.T) {
	t.Parallel()
	const shown, unknown device.MAC = "3C:22:FB:00:00:01", "3C:22:FB:00:00:02"
	refused := fault.New(fault.RateLimited, "slow down")
	tests := []struct {
		name    string
		serials []string
		macs    []device.MAC
		fails   map[string]error // what the plugin answers, by key
		asked   []string
		found   []string
		errs    []string
		kind    fault.Kind
	}{
		{name: "nothing"},
		{name: "serials", serials: []string{"S1", "S2", "gone"}, asked: []string{"S1", "S2", "gone"}, found: []string{"S1", "S2"}},
		{name: "a MAC that a record shows", serials: []string{"S1"}, macs: []device.MAC{shown}, asked: []string{"S1"}, found: []string{"S1"}},
		{name: "and one that none shows", serials: []string{"S1"}, macs: []device.MAC{shown, unknown}, asked: []string{string(unknown), "S1"}, found: []string{"S1", "of MAC"}},
		{name: "only MACs", macs: []device.MAC{unknown}, asked: []string{string(unknown)}, found: []string{"of MAC"}},
		{
			name: "one fails", serials: []string{"S1", "S2", "S3"}, fails: map[string]error{"S2": refused},
			asked: []string{"S1", "S2", "S3"}, found: []string{"S1", "S3"}, errs: []string{"fake: devices by serial S2: slow down"}, kind: fault.RateLimited,
		},
		{
			name: "all fail, the MACs are not tried", serials: []string{"S1", "S2"}, macs: []device.MAC{unknown}, fails: map[string]error{"S1": refused, "S2": refused},
			asked: []string{"S1", "S2"}, errs: []string{"fake: devices by serial and MAC S1: slow down", "fake: devices by serial and MAC S2: slow down"}, kind: fault.RateLimited,
		},
		{
			name: "one panics", serials: []string{"S1", "panic"}, asked: []string{"S1", "panic"},
			errs: []string{"fake: devices by serial S1: the plugin panicked: oh no"}, kind: fault.Internal,
		},
		{
			name: "an odd MAC", serials: []string{"S1"}, macs: []device.MAC{"zz"}, asked: []string{"S1"}, found: []string{"S1"},
			errs: []string{`fake: devices by serial and MAC S1: `}, kind: fault.Invalid,
		},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			var (
				mu    sync.Mutex
				asked []string
			)
			client := open(t, &fake{devices: func(_ context.Context, key string) ([]device.Device, error) {
				mu.Lock()
				asked = append(asked, key)
				mu.Unlock()
				switch {
				case key == "panic":
					panic("oh no")
				case key == "gone":
					return nil, fault.New(fault.NotFound, "no such device")
				case tt.fails[key] != nil:
					return nil, tt.fails[key]
				case strings.Contains(key, ":"):
					return []device.Device{{Serial: "of MAC"}}, nil
				default:
					return []device.Device{{Serial: key, Identifiers: device.Identifiers{MACAddresses: []device.MAC{shown}}}}, nil
				}
			}})
			devices, err := client.DevicesByKeys(t.Context(), tt.serials, tt.macs)
			var found []string
			for _, d := range devices {
				found = append(found, d.Serial)
			}
			slices.Sort(asked)
			if diff := cmp.Diff(tt.asked, asked); diff != "" {
				t.Errorf("asked (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tt.found, found); diff != "" {
				t.Errorf("found (-want +got):\n%s", diff)
			}
			checkEach(t, err, tt.errs, tt.kind)
		})
	}
}

func checkEach(t *testing.T, err error, says []string, kind fault.Kind) {
	t.Helper()
	if err == nil && says == nil {
		return
	}
	if fault.KindOf(err) != kind {
		t.Errorf("kind %s, want %s", fault.KindOf(err), kind)
	}
	lines := strings.Split(fmt.Sprint(err), "\n")
	if len(lines) != len(says) {
		t.Fatalf("failures %q, want %q", lines, says)
	}
	for i := range lines {
		if !strings.HasPrefix(lines[i], says[i]) {
			t.Errorf("failure %q, want %q", lines[i], says[i])
		}
	}
}

// One call with many keys asks no more at once than the plugin may be asked.
func TestDevicesByKeys_atOnce(t *testing.T) {
	t.Parallel()
	var now, most atomic.Int32
	client := sdktest.Dial(t, plugin(&fake{devices: func(context.Context, string) ([]device.Device, error) {
		most.Store(max(most.Load(), now.Add(1)))
		time.Sleep(time.Millisecond)
		now.Add(-1)
		return many(1), nil
	}}))
	if err := client.Configure(t.Context(), sdk.Configuration{Config: []byte("{}"), Timeout: time.Minute, Concurrency: 3}); err != nil {
		t.Fatal(err)
	}
	keys := make([]string, 50)
	devices, err := client.DevicesByKeys(t.Context(), keys, nil)
	if err != nil || len(devices) != 50 || most.Load() > 3 {
		t.Errorf("%d devices, %d at once, %v", len(devices), most.Load(), err)
	}
}
