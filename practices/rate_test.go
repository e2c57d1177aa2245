package practices_test

import (
	"math/rand/v2"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/practices"
)

func TestRate_rating(t *testing.T) {
	t.Parallel()
	hidden := device.Bool(false)
	of := func(list ...device.Practice) map[string]device.Practice {
		m := map[string]device.Practice{}
		for i, p := range list {
			m[string(rune('a'+i))] = p
		}
		return m
	}
	ok, nudge, warn := device.Practice{Status: device.OK}, device.Practice{Status: device.Nudge}, device.Practice{Status: device.Warn}
	na, unknown := device.Practice{Status: device.NA}, device.Practice{Status: device.Unknown}
	tests := []struct {
		name      string
		practices map[string]device.Practice
		want      device.Rating
	}{
		{"worst wins", of(ok, nudge, warn, unknown), device.RatingCritical},
		{"warning", of(ok, nudge, na), device.RatingWarning},
		{"ok", of(ok, na, unknown), device.RatingOK},
		{"nothing known", of(na, unknown), device.RatingUnknown},
		{"nothing", nil, device.RatingUnknown},
		{"hidden does not count", of(ok, device.Practice{Status: device.Warn, Display: hidden}), device.RatingOK},
	}
	p := policy(t, "")
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			d := device.Device{Practices: tt.practices}
			p.Rate(&d, synced)
			if d.Rating != tt.want {
				t.Errorf("rating %s, want %s", d.Rating, tt.want)
			}
		})
	}
}

func TestRate_folded(t *testing.T) {
	t.Parallel()
	day := 24 * time.Hour
	tests := []struct {
		name   string
		o      practices.Options
		status string
		silent time.Duration // -1: never heard from
		want   string
	}{
		{"fresh", practices.Options{}, "", day, ""},
		{"30 days", practices.Options{}, "", 30 * day, ""},
		{"longer", practices.Options{}, "", 30*day + time.Second, practices.FoldedStale},
		{"never heard from", practices.Options{}, "", -1, ""},
		{"own limit", practices.Options{StaleAfter: day}, "", 2 * day, practices.FoldedStale},
		{"no limit", practices.Options{StaleAfter: -1}, "", 900 * day, ""},
		{"retired", practices.Options{}, " e-waste", day, practices.FoldedRetired},
		{"retired and stale", practices.Options{}, "E-Waste", 90 * day, practices.FoldedRetired},
		{"own statuses", practices.Options{RetiredStatuses: []string{"Sold"}}, "SOLD", day, practices.FoldedRetired},
		{"own statuses replace", practices.Options{RetiredStatuses: []string{"Sold"}}, "E-Waste", day, ""},
		{"no statuses", practices.Options{RetiredStatuses: []string{}}, "E-Waste", day, ""},
	}
	for _, tt := range tests {
		t.Run(tt.name, func(t *testing.T) {
			t.Parallel()
			p, err := practices.New(nil, tt.o)
			if err != nil {
				t.Fatal(err)
			}
			d := device.Device{Status: tt.status, Folded: "before"}
			if tt.silent >= 0 {
				d.LastSync = synced.Add(-tt.silent)
			}
			p.Rate(&d, synced)
			if d.Folded != tt.want {
				t.Errorf("folded %q, want %q", d.Folded, tt.want)
			}
		})
	}
}

func TestSort(t *testing.T) {
	t.Parallel()
	at := func(name string, rating device.Rating, age int, folded string) device.Device {
		return device.Device{Name: name, Rating: rating, LastSync: synced.AddDate(0, 0, -age), Folded: folded}
	}
	want := []device.Device{
		at("a", device.RatingCritical, 0, ""),
		at("b", device.RatingCritical, 3, ""),
		at("c", device.RatingWarning, 0, ""),
		at("d", device.RatingOK, 1, ""),
		{Name: "e", Rating: device.RatingOK, LastSync: synced.AddDate(0, 0, -1), Serial: "1"},
		{Name: "e", Rating: device.RatingOK, LastSync: synced.AddDate(0, 0, -1), Serial: "2"},
		{Name: "e", Rating: device.RatingOK, LastSync: synced.AddDate(0, 0, -1), Serial: "2", Identifiers: device.Identifiers{MACAddresses: []device.MAC{"3C:22:FB:00:00:01"}}},
		{Name: "f", Rating: device.RatingOK},
		at("g", device.RatingUnknown, 0, ""),
		at("h", device.RatingCritical, 90, practices.FoldedStale),
		at("i", device.RatingOK, 0, practices.FoldedRetired),
	}
	r := rand.New(rand.NewPCG(1, 2))
	for range 50 {
		got := append([]device.Device(nil), want...)
		r.Shuffle(len(got), func(i, j int) { got[i], got[j] = got[j], got[i] })
		practices.Sort(got)
		if diff := cmp.Diff(want, got); diff != "" {
			t.Fatalf("order (-want +got):\n%s", diff)
		}
	}
}
