package store_test

import (
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/store"
	"github.com/postureproject/posture/store/storetest"
)

// start is when the tests' clocks begin.
func start() time.Time { return time.Date(2026, 3, 14, 22, 30, 0, 123_000, time.UTC) }

// laptop makes a device with one verdict per practice.
func laptop(serial, platform string, verdicts map[string]device.Status) device.Device {
	d := device.Device{Serial: serial, Platform: platform, LastSync: start()}
	d.Identifiers.Serial = serial
	for practice, status := range verdicts {
		if d.Practices == nil {
			d.Practices = map[string]device.Practice{}
		}
		d.Practices[practice] = device.Practice{Value: device.Bool(status == device.OK), Status: status, Title: practice}
	}
	return d
}

func postureOf(email string, at time.Time, devices ...device.Device) device.Posture {
	return device.Posture{
		Email: email, GeneratedAt: at, Devices: devices,
		Events:        []device.Event{{Source: "duo", Type: "2fa", Timestamp: at, Details: map[string]string{"city": "Łódź"}}},
		Accounts:      []device.Account{},
		Notifications: []device.Notification{},
		Sources:       []device.Outcome{{Plugin: "jamf", Namespace: "sources.devices", OK: true, Count: len(devices)}},
	}
}

func collectionOf(plugin string, at time.Time, devices ...device.Device) device.Collection {
	return device.Collection{Plugin: plugin, FetchedAt: at, Devices: devices}
}

func save(t testing.TB, s *store.Store, p device.Posture, c ...device.Collection) {
	t.Helper()
	if err := s.SavePosture(t.Context(), p, c); err != nil {
		t.Fatalf("save: %v", err)
	}
}

func TestStore_Posture(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func(t testing.TB) *store.Store) {
		s := open(t)
		if _, err := s.Posture(t.Context(), "ada@example.com"); !fault.IsNotFound(err) {
			t.Errorf("of nobody: %v", err)
		}
		want := postureOf("Ada@Example.com", start(), laptop("C02", "Mac", map[string]device.Status{"encryption": device.OK}))
		save(t, s, want)
		for _, address := range []string{"Ada@Example.com", "ada@example.com", " ADA@EXAMPLE.COM "} {
			got, err := s.Posture(t.Context(), address)
			if err != nil {
				t.Fatal(err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("of %s (-want +got):\n%s", address, diff)
			}
		}
		// A second program sees it, and what replaces it.
		other := open(t)
		next := postureOf("ada@example.com", start().Add(time.Hour))
		save(t, other, next)
		got, err := s.Posture(t.Context(), "ada@example.com")
		if diff := cmp.Diff(next, got); err != nil || diff != "" {
			t.Errorf("replaced: %v (-want +got):\n%s", err, diff)
		}
	})
}

func TestStore_Posture_large(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func(t testing.TB) *store.Store) {
		s := open(t)
		want := postureOf("ada@example.com", start())
		for range 300 {
			d := laptop("C02", "Mac", map[string]device.Status{"os": device.Warn})
			d.Notes = []string{strings.Repeat("a note \u0000 with <odd> text & \U0001F600 ", 50)}
			want.Devices = append(want.Devices, d)
		}
		save(t, s, want)
		got, err := s.Posture(t.Context(), want.Email)
		if diff := cmp.Diff(want, got); err != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%.2000s", err, diff)
		}
	})
}

func TestStore_SavePosture_refuses(t *testing.T) {
	t.Parallel()
	good := postureOf("ada@example.com", start())
	tests := map[string]struct {
		posture     device.Posture
		collections []device.Collection
	}{
		"no address":        {postureOf(" ", start()), nil},
		"NUL in address":    {postureOf("a\x00@example.com", start()), nil},
		"no text":           {postureOf("a\xff@example.com", start()), nil},
		"nameless source":   {good, []device.Collection{{}}},
		"NUL in source":     {good, []device.Collection{{Plugin: "ja\x00mf"}}},
		"unwritable record": {device.Posture{Email: "ada@example.com", Devices: []device.Device{{Raw: []byte("{")}}}, nil},
	}
	storetest.Each(t, func(t *testing.T, open func(t testing.TB) *store.Store) {
		s := open(t)
		for name, test := range tests {
			other := store.Saved{Posture: postureOf("bob@example.com", start())}
			err := s.SavePostures(t.Context(), []store.Saved{other, {Posture: test.posture, Collections: test.collections}})
			if fault.KindOf(err) != fault.Invalid {
				t.Errorf("%s: %v", name, err)
			}
		}
		// All or nothing: the good one beside a bad one is not saved either.
		if counts, err := s.Counts(t.Context()); err != nil || counts.People != 0 {
			t.Errorf("counts %+v, %v", counts, err)
		}
	})
}

func TestStore_Collections(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func(t testing.TB) *store.Store) {
		s := open(t)
		first, second := start(), start().Add(24*time.Hour)
		mac := laptop("C02", "Mac", nil)
		jamf, google := collectionOf("jamf", first, mac), collectionOf("google", first, mac)
		save(t, s, postureOf("ada@example.com", first), jamf, google)
		save(t, s, postureOf("bob@example.com", first), jamf)
		// The next night JAMF fails: its record stays, with its age.
		newer := collectionOf("google", second)
		save(t, s, postureOf("ADA@example.com", second), newer)
		tests := map[string]struct {
			address string
			plugins []string
			want    []device.Collection
		}{
			"all":           {"Ada@example.com", nil, []device.Collection{newer, jamf}},
			"one":           {"ada@example.com", []string{"jamf"}, []device.Collection{jamf}},
			"also unknown":  {"ada@example.com", []string{"duo", "google"}, []device.Collection{newer}},
			"other person":  {"bob@example.com", nil, []device.Collection{jamf}},
			"nobody":        {"eve@example.com", nil, nil},
			"no such names": {"ada@example.com", []string{"\x00", "a\xff"}, nil},
		}
		for name, test := range tests {
			got, err := s.Collections(t.Context(), test.address, test.plugins...)
			if err != nil {
				t.Errorf("%s: %v", name, err)
			}
			if diff := cmp.Diff(test.want, got); diff != "" {
				t.Errorf("%s (-want +got):\n%s", name, diff)
			}
		}
	})
}

func TestStore_SavePostures_sameTwice(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func(t testing.TB) *store.Store) {
		s := open(t)
		later := postureOf("ADA@example.com", start().Add(time.Minute))
		mac := laptop("C02", "Mac", nil)
		err := s.SavePostures(t.Context(), []store.Saved{
			{Posture: postureOf("ada@example.com", start())},
			{Posture: later, Collections: []device.Collection{collectionOf("jamf", start()), collectionOf("jamf", start(), mac)}},
		})
		if err != nil {
			t.Fatal(err)
		}
		got, err := s.Posture(t.Context(), "ada@example.com")
		if diff := cmp.Diff(later, got); err != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
		collections, err := s.Collections(t.Context(), "ada@example.com")
		if diff := cmp.Diff([]device.Collection{collectionOf("jamf", start(), mac)}, collections); err != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	})
}

func TestStore_KnownPeople(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func(t testing.TB) *store.Store) {
		s := open(t)
		addresses := []string{"Zoe@example.com", "ada@example.com", "ada.b@example.com", "émile@example.com", "a_b@example.com", "bob@example.com"}
		for i, a := range addresses {
			before := postureOf(a, start().AddDate(-1, 0, 0), make([]device.Device, 9)...)
			before.Sources = []device.Outcome{{Plugin: "jamf"}, {Plugin: "google"}}
			save(t, s, before) // what follows takes its place
			p := postureOf(a, start().Add(time.Duration(i)*time.Minute), make([]device.Device, i)...)
			p.Sources = append(p.Sources,
				device.Outcome{Plugin: "duo", Namespace: "sources.events", OK: i%2 == 0},
				device.Outcome{Plugin: "duo", Namespace: "sources.devices", OK: i%2 == 0})
			save(t, s, p)
		}
		at := func(i int) time.Time { return start().Add(time.Duration(i) * time.Minute) }
		want := []store.KnownPerson{
			{Email: "a_b@example.com", GeneratedAt: at(4), Devices: 4},
			{Email: "ada.b@example.com", GeneratedAt: at(2), Devices: 2},
			{Email: "ada@example.com", GeneratedAt: at(1), Devices: 1, Failed: 1},
			{Email: "bob@example.com", GeneratedAt: at(5), Devices: 5, Failed: 1},
			{Email: "zoe@example.com", GeneratedAt: at(0)},
			{Email: "émile@example.com", GeneratedAt: at(3), Devices: 3, Failed: 1},
		}
		var got []store.KnownPerson
		for after := ""; ; {
			page, err := s.KnownPeople(t.Context(), after, 2)
			if err != nil {
				t.Fatal(err)
			}
			if len(page) == 0 {
				break
			}
			got = append(got, page...)
			after = page[len(page)-1].Email
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("people (-want +got):\n%s", diff)
		}
		counts, err := s.Counts(t.Context())
		wantCounts := store.Counts{People: 6, Devices: 15, Partial: 3, Oldest: at(0), Newest: at(5)}
		if diff := cmp.Diff(wantCounts, counts); err != nil || diff != "" {
			t.Errorf("%v (-want +got):\n%s", err, diff)
		}
	})
}

func TestStore_Erase(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func(t testing.TB) *store.Store) {
		s := open(t)
		mac := laptop("C02", "Mac", map[string]device.Status{"os": device.OK})
		for _, a := range []string{"ada@example.com", "bob@example.com"} {
			save(t, s, postureOf(a, start(), mac), collectionOf("jamf", start(), mac))
		}
		for _, want := range []bool{true, false} {
			if erased, err := s.Erase(t.Context(), "Ada@example.com"); err != nil || erased != want {
				t.Errorf("erased %v, %v; want %v", erased, err, want)
			}
		}
		left := func(address string) (n int) {
			if _, err := s.Posture(t.Context(), address); err == nil {
				n++
			}
			collections, err := s.Collections(t.Context(), address)
			if err != nil {
				t.Error(err)
			}
			history, err := s.History(t.Context(), address, start().AddDate(-1, 0, 0), start().AddDate(1, 0, 0))
			if err != nil {
				t.Error(err)
			}
			return n + len(collections) + len(history)
		}
		if a, b := left("ada@example.com"), left("bob@example.com"); a != 0 || b != 3 {
			t.Errorf("left of the erased %d, of the other %d; want 0 and 3", a, b)
		}
	})
}
