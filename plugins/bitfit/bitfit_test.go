package bitfit_test

import (
	"fmt"
	"net/http"
	"net/http/httptest"
	"regexp"
	"strings"
	"sync/atomic"
	"testing"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	sim "github.com/postureproject/posture/internal/simulator/bitfit"
	"github.com/postureproject/posture/internal/simulator/simhttp"
	"github.com/postureproject/posture/plugins/bitfit"
	"github.com/postureproject/posture/plugins/sdk"
	"github.com/postureproject/posture/plugins/sdk/sdktest"
)

func TestDescribe(t *testing.T) {
	t.Parallel()
	d, err := bitfit.Plugin().Describe()
	if err != nil {
		t.Fatal(err)
	}
	want := []sdk.Capability{sdk.CapDevicesByEmail, sdk.CapListDevices, sdk.CapListUsers, sdk.CapTestConnectivity}
	if diff := cmp.Diff(want, d.Capabilities); diff != "" {
		t.Errorf("capabilities (-want +got):\n%s", diff)
	}
	if !d.Ownership || d.Name != "bitfit" || len(d.Practices) != 0 || d.Software {
		t.Errorf("description is %+v", d)
	}
}

func TestDevicesByEmail_Golden(t *testing.T) {
	t.Parallel()
	b := setUp(t, benchOptions{})
	devices, err := b.client.DevicesByEmail(t.Context(), b.fleet.Person(0).Email)
	if err != nil {
		t.Fatal(err)
	}
	for i := range devices {
		// The address of the simulator differs from run to run.
		devices[i].PhotoURL = strings.Replace(devices[i].PhotoURL, b.url, "https://bitfit.invalid", 1)
	}
	golden(t, "person0.golden.json", devices)
}

func TestDevicesByEmail(t *testing.T) {
	t.Parallel()
	b := setUp(t, benchOptions{})
	person := b.fleet.Person(0)
	tests := map[string]struct {
		email string
		want  int
	}{
		"as written":        {person.Email, 4},
		"without case":      {strings.ToUpper(person.Email), 4},
		"with spaces":       {" " + person.Email + " ", 4},
		"nobody":            {"nobody@example.com", 0},
		"a part of one":     {person.Email[1:], 0},
		"only a near match": {"former-" + person.Email, 0},
		"strange":           {"a&b=c?d#e/f%20@example.com", 0},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			devices, err := b.client.DevicesByEmail(t.Context(), tt.email)
			if err != nil || len(devices) != tt.want {
				t.Errorf("got %d devices and error %v, want %d", len(devices), err, tt.want)
			}
			for _, d := range devices {
				if d.Email != person.Email || len(d.Raw) > 0 {
					t.Errorf("device %s has e-mail %q and %d bytes of raw data", d.Name, d.Email, len(d.Raw))
				}
			}
		})
	}
}

func TestDevicesByEmail_Requests(t *testing.T) {
	t.Parallel()
	b := setUp(t, benchOptions{})
	if _, err := b.client.DevicesByEmail(t.Context(), b.fleet.Person(0).Email); err != nil {
		t.Fatal(err)
	}
	if got := b.server.Faults.Requests(); got != 6 {
		t.Errorf("%d requests, want 6: the search, the list and four assets", got)
	}
}

func TestDevicesByEmail_Debug(t *testing.T) {
	t.Parallel()
	b := setUp(t, benchOptions{sdk: []sdktest.Option{sdktest.WithDebug()}})
	b.server.Faults.Add(simhttp.Fault{
		Path: regexp.MustCompile(`^/assets/1$`), Body: `{"item":{"id":1,"image_url":"https://x.example.com/?api_token=` + token + `"}}`,
	})
	devices, err := b.client.DevicesByEmail(t.Context(), b.fleet.Person(0).Email)
	if err != nil || len(devices) != 4 {
		t.Fatalf("got %d devices and error %v", len(devices), err)
	}
	for _, d := range devices {
		if len(d.Raw) == 0 {
			t.Errorf("device %s has no raw data", d.Name)
		}
		checkNoToken(t, string(d.Raw)+d.PhotoURL)
	}
}

func TestDevicesByEmail_OneAssetFails(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		fault simhttp.Fault
		kind  fault.Kind
		parts []string
		none  bool // no error is expected
	}{
		"error":     {fault: simhttp.Fault{Status: 500}, kind: fault.Unavailable, parts: []string{"1 of 4", "asset 1", "500"}},
		"forbidden": {fault: simhttp.Fault{Status: 403}, kind: fault.Forbidden, parts: []string{"1 of 4", "BITFIT_API_TOKEN"}},
		"malformed": {fault: simhttp.Fault{Body: `{"item":`}, kind: fault.BadResponse, parts: []string{"1 of 4", "asset 1"}},
		"no item":   {fault: simhttp.Fault{Body: `{"item":null}`}, kind: fault.BadResponse, parts: []string{"holds no asset"}},
		"hangs up":  {fault: simhttp.Fault{Drop: true}, kind: fault.Unavailable, parts: []string{"1 of 4"}},
		"too large": {fault: simhttp.Fault{Huge: 17 << 20}, kind: fault.BadResponse, parts: []string{"larger than"}},
		"gone":      {fault: simhttp.Fault{Status: 404}, none: true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setUp(t, benchOptions{})
			tt.fault.Path = regexp.MustCompile(`^/assets/1$`)
			b.server.Faults.Add(tt.fault)
			devices, err := b.client.DevicesByEmail(t.Context(), b.fleet.Person(0).Email)
			if len(devices) != 3 {
				t.Errorf("got %d devices, want the other three", len(devices))
			}
			if tt.none {
				if err != nil {
					t.Errorf("unexpected error: %v", err)
				}
				return
			}
			checkError(t, err, tt.kind, tt.parts...)
		})
	}
}

func TestDevicesByEmail_BoundedAndOrdered(t *testing.T) {
	t.Parallel()
	const assets = 60
	var active, peak atomic.Int64
	mux := http.NewServeMux()
	mux.HandleFunc("/users", func(w http.ResponseWriter, _ *http.Request) {
		_, _ = fmt.Fprint(w, `{"items":[{"id":"u 1/2","email":"A@Example.com"}]}`)
	})
	mux.HandleFunc("/users/{id}/assets", func(w http.ResponseWriter, r *http.Request) {
		if r.PathValue("id") != "u 1/2" {
			t.Errorf("asked for the assets of %q", r.PathValue("id"))
		}
		ids := make([]string, assets)
		for i := range ids {
			ids[i] = fmt.Sprintf(`{"id":%d},{"id":"%d"}`, i, i) // each twice
		}
		_, _ = fmt.Fprintf(w, `{"items":[%s],"total_pages":1}`, strings.Join(ids, ","))
	})
	mux.HandleFunc("/assets/{id}", func(w http.ResponseWriter, r *http.Request) {
		n := active.Add(1)
		defer active.Add(-1)
		for p := peak.Load(); n > p && !peak.CompareAndSwap(p, n); p = peak.Load() {
		}
		_, _ = fmt.Fprintf(w, `{"item":{"name":"%s"}}`, r.PathValue("id"))
	})
	server := httptest.NewServer(mux)
	t.Cleanup(server.Close)
	client := sdktest.Open(t, bitfit.Plugin(), map[string]any{"BITFIT_API_TOKEN": token, "BITFIT_BASE_URL": server.URL + "/"})
	devices, err := client.DevicesByEmail(t.Context(), "a@example.COM")
	if err != nil || len(devices) != assets {
		t.Fatalf("got %d devices and error %v, want %d", len(devices), err, assets)
	}
	for i, d := range devices {
		if d.Name != fmt.Sprint(i) || d.Email != "A@Example.com" {
			t.Fatalf("device %d is %q of %q", i, d.Name, d.Email)
		}
	}
	if peak.Load() > 10 {
		t.Errorf("%d requests at once, want 10 at most", peak.Load())
	}
}

func TestConnectivity(t *testing.T) {
	t.Parallel()
	b := setUp(t, benchOptions{sim: sim.Options{Prefix: "/api/v1"}})
	detail, err := b.client.TestConnectivity(t.Context())
	if err != nil || !strings.Contains(detail, "127.0.0.1") {
		t.Errorf("got %q and error %v", detail, err)
	}
	checkNoToken(t, detail)
}

func TestBulk(t *testing.T) {
	t.Parallel()
	const people = 60
	tests := map[string]struct {
		sim         sim.Options
		assetList   bool // whether the list of assets was used to the end
		singleReads bool // whether assets were read one by one
	}{
		"full list":       {sim.Options{}, true, false},
		"summaries":       {sim.Options{Summaries: true}, true, true},
		"no page numbers": {sim.Options{NoPaging: true}, true, false},
		"no owners":       {sim.Options{Anonymous: true}, false, true},
		"no list":         {sim.Options{NoAssetList: true}, false, true},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setUp(t, benchOptions{sim: tt.sim, people: people})
			var bulk []device.Device
			err := b.client.ListDevices(t.Context(), 1e10, func(d []device.Device) error {
				bulk = append(bulk, d...)
				return nil
			})
			if err != nil {
				t.Fatal(err)
			}
			if lists := b.server.Faults.RequestsTo("/assets"); (lists > 1) != tt.assetList {
				t.Errorf("%d requests to the list of assets", lists)
			}
			if reads := b.server.Faults.RequestsMatching(regexp.MustCompile(`^/assets/\d+$`)); (reads > 0) != tt.singleReads {
				t.Errorf("%d assets were read one by one", reads)
			}
			var single []device.Device
			for i := range people {
				devices, err := b.client.DevicesByEmail(t.Context(), b.fleet.Person(i).Email)
				if err != nil {
					t.Fatal(err)
				}
				single = append(single, devices...)
			}
			bySerial := cmpopts.SortSlices(func(a, b device.Device) bool { return a.Serial < b.Serial })
			if diff := cmp.Diff(single, bulk, bySerial); diff != "" {
				t.Errorf("the listing differs from the look-ups (-look-ups +listing):\n%s", diff)
			}
		})
	}
}

func TestBulk_PartialFailure(t *testing.T) {
	t.Parallel()
	for name, options := range map[string]sim.Options{"summaries": {Summaries: true}, "no list": {NoAssetList: true}} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setUp(t, benchOptions{sim: options})
			b.server.Faults.Add(simhttp.Fault{Path: regexp.MustCompile(`^/assets/1$`), Status: 500})
			seen := map[string]bool{}
			err := b.client.ListDevices(t.Context(), 1e10, func(d []device.Device) error {
				for i := range d {
					seen[d[i].Email] = true
				}
				return nil
			})
			checkError(t, err, fault.Unavailable, "requests failed")
			if len(seen) != b.fleet.Len() {
				t.Errorf("devices of %d people, want all %d", len(seen), b.fleet.Len())
			}
		})
	}
}

func TestListUsers(t *testing.T) {
	t.Parallel()
	for name, noPaging := range map[string]bool{"with page numbers": false, "without": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setUp(t, benchOptions{people: 110, sim: sim.Options{NoPaging: noPaging}})
			var got, want []device.User
			err := b.client.ListUsers(t.Context(), 1e10, func(u []device.User) error {
				got = append(got, u...)
				return nil
			})
			for i := range 110 {
				want = append(want, device.User{Email: b.fleet.Person(i).Email, Name: b.fleet.Person(i).Name})
			}
			if diff := cmp.Diff(want, got); diff != "" || err != nil {
				t.Errorf("error %v (-want +got):\n%s", err, diff)
			}
		})
	}
}
