package jamf_test

import (
	"context"
	"errors"
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/internal/simulator/fleet"
	simulator "github.com/postureproject/posture/internal/simulator/jamf"
	"github.com/postureproject/posture/internal/simulator/simhttp"
	"github.com/postureproject/posture/plugins/sdk"
)

func listAll(t testing.TB, c *sdk.Client) ([]device.Device, error) {
	t.Helper()
	var all []device.Device
	err := c.ListDevices(t.Context(), 10*time.Second, func(some []device.Device) error {
		all = append(all, some...)
		return nil
	})
	slices.SortFunc(all, func(a, b device.Device) int { return strings.Compare(a.Serial, b.Serial) })
	noSecret(t, err)
	return all, err
}

func listUsers(t testing.TB, c *sdk.Client) ([]device.User, error) {
	t.Helper()
	var all []device.User
	err := c.ListUsers(t.Context(), 10*time.Second, func(some []device.User) error {
		all = append(all, some...)
		return nil
	})
	slices.SortFunc(all, func(a, b device.User) int { return strings.Compare(a.Email, b.Email) })
	return all, err
}

// The bulk listing must give what the look-ups give, whatever the server has.
func TestSource_bulkEqualsLookUps(t *testing.T) {
	t.Parallel()
	for name, o := range map[string]simulator.Options{
		"v4": {}, "v3": {Inventory: 3}, "v2": {Inventory: 2}, "v1": {Inventory: 1}, "classic": {Inventory: -1}, "old server": {OldServer: true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			o.Cache = true
			b := setup(t, fleet.Options{People: 250, Apps: 6}, o, nil)
			listed, err := listAll(t, b.Client)
			if err != nil {
				t.Fatal(err)
			}
			if len(listed) != b.sim.Computers() || len(listed) <= 100 {
				t.Fatalf("%d devices, want %d, more than a page", len(listed), b.sim.Computers())
			}
			var looked []device.Device
			wantUsers := 0
			for i := range b.fleet.Len() {
				devices, err := b.DevicesByEmail(t.Context(), b.fleet.Person(i).Email)
				if err != nil {
					t.Fatal(err)
				}
				if len(devices) > 0 {
					wantUsers++
				}
				looked = append(looked, devices...)
			}
			slices.SortFunc(looked, func(a, b device.Device) int { return strings.Compare(a.Serial, b.Serial) })
			if diff := cmp.Diff(looked, listed); diff != "" {
				t.Errorf("(-looked up +listed):\n%s", diff)
			}
			users, err := listUsers(t, b.Client)
			if err != nil || len(users) != wantUsers {
				t.Fatalf("%d users, want %d, %v", len(users), wantUsers, err)
			}
			if i, found := slices.BinarySearchFunc(users, "ada.lovelace@example.com", func(u device.User, email string) int { return strings.Compare(u.Email, email) }); !found || users[i].Name != "Ada Lovelace" {
				t.Errorf("users do not hold Ada Lovelace: %v", users)
			}
		})
	}
}

func TestSource_bulkReadsPagesNotComputers(t *testing.T) {
	t.Parallel()
	b := setup(t, fleet.Options{People: 600, Apps: 1}, simulator.Options{Cache: true}, nil)
	if _, err := listAll(t, b.Client); err != nil {
		t.Fatal(err)
	}
	pages := (b.sim.Computers() + 99) / 100
	if got := b.sim.Faults.RequestsTo("/api/v4/computers-inventory"); got != pages {
		t.Errorf("%d requests, want %d", got, pages)
	}
	if got := b.sim.Faults.RequestsMatching(regexp.MustCompile("/computers/id/")); got != 0 {
		t.Errorf("%d requests for single computers", got)
	}
	if peak := b.sim.Faults.Peak(); peak > 5 {
		t.Errorf("%d requests at once, want five at most", peak)
	}
}

// A listing that breaks off is a failure, but what came before counts.
func TestSource_bulkBreaksOff(t *testing.T) {
	t.Parallel()
	b := setup(t, fleet.Options{People: 600, Apps: 1}, simulator.Options{Cache: true}, object{"RETRIES": 0})
	broken := false
	got := 0
	err := b.ListDevices(t.Context(), 10*time.Second, func(some []device.Device) error {
		got += len(some)
		if !broken {
			broken = true
			b.sim.Faults.Add(simhttp.Fault{Path: regexp.MustCompile("computers-inventory"), Status: 500})
		}
		return nil
	})
	// Up to four pages may be on their way already.
	if got < 50 || (err == nil && got != b.sim.Computers()) || (err != nil && fault.KindOf(err) != fault.Unavailable) {
		t.Errorf("%d devices of %d, %v", got, b.sim.Computers(), err)
	}
}

func TestSource_bulkEndsWhenTheHostHasEnough(t *testing.T) {
	t.Parallel()
	b := setup(t, fleet.Options{People: 600, Apps: 1}, simulator.Options{Cache: true}, nil)
	enough := errors.New("enough")
	if err := b.ListDevices(t.Context(), 10*time.Second, func([]device.Device) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("got %v", err)
	}
	ctx, cancel := context.WithCancel(t.Context())
	err := b.ListDevices(ctx, 10*time.Second, func([]device.Device) error {
		cancel()
		return nil
	})
	if err == nil {
		t.Error("a cancelled listing ends well")
	}
}

// pages serves an inventory whose pages the test makes up.
func pages(t *testing.T, page func(number int) string) string {
	t.Helper()
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		switch r.URL.Path {
		case "/api/v1/auth/token":
			_, _ = fmt.Fprint(w, `{"token":"t","expires":"2999-01-01T00:00:00Z"}`)
		case "/api/v4/computers-inventory":
			number, _ := strconv.Atoi(r.URL.Query().Get("page"))
			_, _ = fmt.Fprint(w, page(number))
		default:
			http.NotFound(w, r)
		}
	}))
	t.Cleanup(server.Close)
	return server.URL
}

func entries(total, from, n int) string {
	list := make([]string, n)
	for i := range list {
		list[i] = fmt.Sprintf(`{"id":"%d","hardware":{"serialNumber":"S%05d"}}`, from+i, from+i)
	}
	return fmt.Sprintf(`{"totalCount":%d,"results":[%s]}`, total, strings.Join(list, ","))
}

func TestSource_oddPages(t *testing.T) {
	t.Parallel()
	for _, c := range []struct {
		name string
		page func(int) string
		want int
		err  string
	}{
		{"empty", func(int) string { return entries(0, 0, 0) }, 0, ""},
		{"one", func(int) string { return entries(1, 1, 1) }, 1, ""},
		{"exactly one page", func(int) string { return entries(100, 1, 100) }, 100, ""},
		{"same page again and again", func(int) string { return entries(1000, 1, 100) }, 100, "repeats a page"},
		{"ends early", func(n int) string { return entries(1000, 1+n*100, max(0, 100-n*100)) }, 100, "ends the list early"},
		{"last page short", func(n int) string { return entries(250, 1+n*100, min(100, 240-n*100)) }, 240, "ends the list early"},
		{"shifts by one, as a computer enrols", func(n int) string { return entries(201, 1+n*100-min(n, 1), min(100, 201-n*100)) }, 200, "ends the list early"},
		{"shrinks while it is read", func(n int) string {
			return entries(map[int]int{0: 300}[n]+map[bool]int{true: 250}[n > 0], 1+n*100, min(100, 250-n*100))
		}, 250, ""},
		{"count missing", func(n int) string {
			return strings.Replace(entries(0, 1+n*100, []int{100, 100, 30}[n]), `"totalCount":0,`, "", 1)
		}, 230, ""},
		{"count as text", func(n int) string {
			return strings.Replace(entries(150, 1+n*100, []int{100, 50}[n]), `150`, `"150"`, 1)
		}, 150, ""},
		{"an entry that is none", func(int) string {
			return `{"totalCount":3,"results":[{"id":1,"hardware":{"serialNumber":"S"}},null,7]}`
		}, 1, "2 entries are no computers"},
		{"numbers for texts", func(int) string {
			return `{"totalCount":1,"results":[{"id":1,"general":[],"hardware":{"serialNumber":12},"storage":3}]}`
		}, 1, ""},
		{"no list", func(int) string { return `{"totalCount":1,"results":{}}` }, 0, "expected JSON"},
		{"another document", func(int) string { return `{"hello":1}` }, 0, "expected JSON"},
		{"cut off", func(int) string { return `{"totalCount":1,"results":[{"id":1,` }, 0, "expected JSON"},
	} {
		t.Run(c.name, func(t *testing.T) {
			t.Parallel()
			devices, err := listAll(t, open(t, pages(t, c.page), object{"RETRIES": 0}))
			if len(devices) != c.want {
				t.Errorf("%d devices, want %d", len(devices), c.want)
			}
			if (err == nil) != (c.err == "") || err != nil && (!strings.Contains(err.Error(), c.err) || fault.KindOf(err) != fault.BadResponse) {
				t.Errorf("got %v, want %q", err, c.err)
			}
		})
	}
}

func TestSource_classicListKeepsGoing(t *testing.T) {
	t.Parallel()
	b := setup(t, fleet.Options{People: 40, Apps: 1}, simulator.Options{Inventory: -1}, object{"RETRIES": 0})
	b.sim.Faults.Add(simhttp.Fault{Path: regexp.MustCompile("/computers/id/"), Times: 3, Status: 500})
	b.sim.Faults.Add(simhttp.Fault{Path: regexp.MustCompile("/computers/id/"), Times: 1, Status: 404})
	devices, err := listAll(t, b.Client)
	if len(devices) != b.sim.Computers()-4 || fault.KindOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "3 of") {
		t.Errorf("%d of %d devices, %v", len(devices), b.sim.Computers(), err)
	}
}

func TestSource_classicListGivesUp(t *testing.T) {
	t.Parallel()
	b := setup(t, fleet.Options{People: 300, Apps: 1}, simulator.Options{Inventory: -1}, object{"RETRIES": 0})
	b.sim.Faults.Add(simhttp.Fault{Path: regexp.MustCompile("/computers/id/"), Status: 500})
	devices, err := listAll(t, b.Client)
	if len(devices) != 0 || fault.KindOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "given up") {
		t.Errorf("%d devices, %v", len(devices), err)
	}
	if asked := b.sim.Faults.RequestsMatching(regexp.MustCompile("/computers/id/")); asked > 40 {
		t.Errorf("%d requests to a server that fails them all", asked)
	}
}
