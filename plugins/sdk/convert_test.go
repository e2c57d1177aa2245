package sdk_test

import (
	"context"
	"encoding/json"
	"fmt"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"
	"pgregory.net/rapid"

	"github.com/postureproject/posture/device"
)

func genTime() *rapid.Generator[time.Time] {
	return rapid.Custom(func(t *rapid.T) time.Time {
		if rapid.Bool().Draw(t, "zero") {
			return time.Time{}
		}
		return time.Unix(rapid.Int64Range(-62135596800+1, 253402300799).Draw(t, "seconds"), rapid.Int64Range(0, 999999999).Draw(t, "nanos")).UTC()
	})
}

func genBool() *rapid.Generator[*bool] { return rapid.Ptr(rapid.Bool(), true) }

func genJSON() *rapid.Generator[json.RawMessage] {
	return rapid.SampledFrom([]json.RawMessage{nil, json.RawMessage(`{"a":[1,null]}`), json.RawMessage(`"x"`)})
}

func genMACs() *rapid.Generator[[]device.MAC] {
	return rapid.Custom(func(t *rapid.T) []device.MAC {
		var out []device.MAC
		for _, n := range rapid.SliceOfNDistinct(rapid.IntRange(0, 0xFFFFFF), 0, 4, rapid.ID[int]).Draw(t, "macs") {
			out = append(out, device.MAC(fmt.Sprintf("3C:22:FB:%02X:%02X:%02X", n>>16, n>>8&0xFF, n&0xFF)))
		}
		return out
	})
}

func genSoftware() *rapid.Generator[*device.Software] {
	text := rapid.String()
	app := rapid.Custom(func(t *rapid.T) device.Application {
		return device.Application{Name: text.Draw(t, "name"), Version: text.Draw(t, "version"), Publisher: text.Draw(t, "publisher"), InstallDate: genTime().Draw(t, "date")}
	})
	service := rapid.Custom(func(t *rapid.T) device.Service { return device.Service{Name: text.Draw(t, "service")} })
	return rapid.Ptr(rapid.Custom(func(t *rapid.T) device.Software {
		return device.Software{LastScan: genTime().Draw(t, "scan"), Installed: rapid.SliceOfN(app, 0, 3).Draw(t, "apps"), Services: rapid.SliceOfN(service, 0, 3).Draw(t, "services")}
	}), true)
}

func genDevice() *rapid.Generator[device.Device] {
	text := rapid.String()
	practice := rapid.Custom(func(t *rapid.T) device.Practice {
		return device.Practice{Value: genBool().Draw(t, "value"), Details: text.Draw(t, "details"), LastUpdated: genTime().Draw(t, "updated")}
	})
	return rapid.Custom(func(t *rapid.T) device.Device {
		s := func(name string) string { return text.Draw(t, name) }
		return device.Device{
			Name: s("name"), Model: s("model"), Manufacturer: s("maker"), Type: s("type"), Serial: s("serial"), Status: s("status"), PhotoURL: s("photo"),
			UserAgent: s("agent"), Email: s("email"), Platform: s("platform"), OS: s("os"), OSVersion: s("version"), OSBuild: s("build"), OSRelease: s("release"),
			LastSync: genTime().Draw(t, "sync"), HWRelease: genTime().Draw(t, "hw"),
			Identifiers: device.Identifiers{
				Serial: s("id serial"), UDID: s("udid"), IMEI: s("imei"), MEID: s("meid"), GoogleDeviceID: s("google"), MACAddresses: genMACs().Draw(t, "macs"),
			},
			Practices: rapid.MapOfN(text, practice, 0, 3).Draw(t, "practices"), Software: genSoftware().Draw(t, "software"),
			Notes: rapid.SliceOfN(text, 0, 3).Draw(t, "notes"), Raw: genJSON().Draw(t, "raw"), Source: "fake",
		}
	})
}

// What a plugin finds arrives as it was sent.
func TestRecordsCrossTheBorder(t *testing.T) {
	t.Parallel()
	var (
		devices       []device.Device
		events        []device.Event
		accounts      []device.Account
		notifications []device.Notification
	)
	client := open(t, &fake{
		devices:       func(context.Context, string) ([]device.Device, error) { return devices, nil },
		events:        func(context.Context, string) ([]device.Event, error) { return events, nil },
		accounts:      func(context.Context, string) ([]device.Account, error) { return accounts, nil },
		notifications: func(context.Context, string) ([]device.Notification, error) { return notifications, nil },
	})
	text := rapid.String()
	genEvent := rapid.Custom(func(t *rapid.T) device.Event {
		return device.Event{
			Source: "fake", Type: text.Draw(t, "type"), Success: genBool().Draw(t, "success"), Reason: text.Draw(t, "reason"), IPAddress: text.Draw(t, "ip"),
			Timestamp: genTime().Draw(t, "at"), Username: text.Draw(t, "user"), Email: text.Draw(t, "email"), VPN: genBool().Draw(t, "vpn"),
			Details: rapid.MapOfN(text, text, 0, 3).Draw(t, "details"), Raw: genJSON().Draw(t, "raw"),
		}
	})
	usage := rapid.MapOfN(text, rapid.SampledFrom([]any{true, "x", 1.5, nil, map[string]any{"a": []any{"b"}}}), 0, 3)
	genAccount := rapid.Custom(func(t *rapid.T) device.Account {
		return device.Account{
			Name: text.Draw(t, "name"), Email: text.Draw(t, "email"), Type: text.Draw(t, "type"), Source: "fake", LastUpdated: genTime().Draw(t, "updated"),
			Date: text.Draw(t, "date"), UserUsage: usage.Draw(t, "usage"), Raw: genJSON().Draw(t, "raw"),
		}
	})
	genNotification := rapid.Custom(func(t *rapid.T) device.Notification {
		return device.Notification{ID: text.Draw(t, "id"), Index: text.Draw(t, "index"), Source: genJSON().Draw(t, "source"), Plugin: "fake"}
	})
	rapid.Check(t, func(rt *rapid.T) {
		devices = rapid.SliceOfN(genDevice(), 0, 3).Draw(rt, "devices")
		events = rapid.SliceOfN(genEvent, 0, 3).Draw(rt, "events")
		accounts = rapid.SliceOfN(genAccount, 0, 3).Draw(rt, "accounts")
		notifications = rapid.SliceOfN(genNotification, 0, 3).Draw(rt, "notifications")
		gotDevices, err := client.DevicesByEmail(t.Context(), "x")
		same(rt, devices, gotDevices, err)
		gotEvents, err := client.EventsByEmail(t.Context(), "x")
		same(rt, events, gotEvents, err)
		gotAccounts, err := client.AccountsByEmail(t.Context(), "x")
		same(rt, accounts, gotAccounts, err)
		gotNotifications, err := client.NotificationsByEmail(t.Context(), "x")
		same(rt, notifications, gotNotifications, err)
	})
}

func same(t *rapid.T, want, got any, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got, cmpopts.EquateEmpty()); diff != "" {
		t.Fatalf("(-sent +received):\n%s", diff)
	}
}

// What must not or cannot cross is left out, without the rest of the record.
func TestOddRecordsCrossTheBorder(t *testing.T) {
	t.Parallel()
	bad := "a\xffb"
	client := open(t, &fake{
		devices: func(context.Context, string) ([]device.Device, error) {
			return []device.Device{{
				Source: "forged", Name: bad, LastSync: time.Date(12000, 1, 1, 0, 0, 0, 0, time.UTC), HWRelease: time.Date(-5, 1, 1, 0, 0, 0, 0, time.UTC),
				Identifiers: device.Identifiers{MACAddresses: []device.MAC{"zz", "3c22fb000002", "3C:22:FB:00:00:02", "02:00:00:00:00:01", ""}},
				Practices:   map[string]device.Practice{bad: {Details: bad, Status: device.OK, Title: "t"}}, Notes: []string{bad}, Raw: json.RawMessage(`{`),
				Software: &device.Software{Installed: []device.Application{{Name: bad}}, Services: []device.Service{{Name: bad}}},
			}}, nil
		},
		events: func(context.Context, string) ([]device.Event, error) {
			return []device.Event{{Source: "forged", Type: bad, Details: map[string]string{bad: bad}, Raw: json.RawMessage("x")}}, nil
		},
		accounts: func(context.Context, string) ([]device.Account, error) {
			return []device.Account{{Name: bad, UserUsage: map[string]any{bad: int64(7), "list": []int{1}}}}, nil
		},
		notifications: func(context.Context, string) ([]device.Notification, error) {
			return []device.Notification{{ID: bad, Source: json.RawMessage(`}`)}}, nil
		},
	})
	good := strings.ToValidUTF8(bad, "\uFFFD")
	devices, err := client.DevicesByEmail(t.Context(), "x")
	check(t, []device.Device{{
		Source: "fake", Name: good, Identifiers: device.Identifiers{MACAddresses: []device.MAC{"3C:22:FB:00:00:02"}},
		Practices: map[string]device.Practice{good: {Details: good}}, Notes: []string{good, `"zz" is not a MAC address`},
		Software: &device.Software{Installed: []device.Application{{Name: good}}, Services: []device.Service{{Name: good}}},
	}}, devices, err)
	events, err := client.EventsByEmail(t.Context(), "x")
	check(t, []device.Event{{Source: "fake", Type: good, Details: map[string]string{good: good}}}, events, err)
	accounts, err := client.AccountsByEmail(t.Context(), "x")
	check(t, []device.Account{{Source: "fake", Name: good, UserUsage: map[string]any{good: 7.0, "list": []any{1.0}}}}, accounts, err)
	notifications, err := client.NotificationsByEmail(t.Context(), "x")
	check(t, []device.Notification{{ID: good, Plugin: "fake"}}, notifications, err)
}

func check[T any](t *testing.T, want, got []T, err error) {
	t.Helper()
	if err != nil {
		t.Error(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// An account whose usage report is no JSON costs that report only.
func TestOddUsageReport(t *testing.T) {
	t.Parallel()
	client := open(t, &fake{accounts: func(context.Context, string) ([]device.Account, error) {
		return []device.Account{{Name: "odd", UserUsage: map[string]any{"x": math.NaN(), "y": true}}, {Name: "good", UserUsage: map[string]any{"y": true}}}, nil
	}})
	got, err := client.AccountsByEmail(t.Context(), "x")
	check(t, []device.Account{{Name: "odd", Source: "fake", UserUsage: map[string]any{"y": true}}, {Name: "good", Source: "fake", UserUsage: map[string]any{"y": true}}}, got, err)
}
