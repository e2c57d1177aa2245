package store_test

import (
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/store"
	"github.com/postureproject/posture/store/storetest"
)

func verdict(s device.Status) device.Device {
	return laptop("C02", "Mac", map[string]device.Status{"os": s})
}

func macSummary(s device.Status) store.Summary {
	return store.Summary{"os": {"Mac": {s: 1}}}
}

func TestStore_History(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func(t testing.TB) *store.Store) {
		s := open(t)
		day := func(n int) time.Time { return start().AddDate(0, 0, n) }
		verdicts := []device.Status{device.OK, device.OK, device.Warn, device.Warn, device.Warn, device.OK}
		for i, v := range verdicts {
			save(t, s, postureOf("ada@example.com", day(i), verdict(v)))
		}
		save(t, s, postureOf("bob@example.com", day(0)))
		all := []store.Snapshot{
			{At: day(0), Summary: macSummary(device.OK)},
			{At: day(2), Summary: macSummary(device.Warn)},
			{At: day(5), Summary: macSummary(device.OK)},
		}
		tests := map[string]struct {
			from, to time.Time
			want     []store.Snapshot
		}{
			"all":                      {day(-1), day(9), all},
			"what held from the start": {day(3), day(9), all[1:]},
			"on the dot":               {day(2), day(5), all[1:]},
			"before everything":        {day(-5), day(-1), nil},
			"after everything":         {day(8), day(9), all[2:]},
		}
		for name, test := range tests {
			got, err := s.History(t.Context(), "ADA@example.com", test.from, test.to)
			if diff := cmp.Diff(test.want, got); err != nil || diff != "" {
				t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
			}
		}
	})
}

// A clock that is set back or jumps ahead must lose nothing: the last one to
// save is who is read, and history keeps the order in which things were saved.
func TestStore_clockJumps(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func(t testing.TB) *store.Store) {
		s := open(t)
		ahead, back := start().AddDate(10, 0, 0), start().AddDate(-20, 0, 0)
		steps := []struct {
			at      time.Time
			verdict device.Status
		}{{start(), device.OK}, {ahead, device.Warn}, {back, device.Nudge}, {back, device.OK}, {start(), device.NA}}
		var want []device.Status
		for _, step := range steps {
			p := postureOf("ada@example.com", step.at, verdict(step.verdict))
			save(t, s, p, collectionOf("jamf", step.at, p.Devices...))
			want = append(want, step.verdict)
			got, err := s.Posture(t.Context(), "ada@example.com")
			if diff := cmp.Diff(p, got); err != nil || diff != "" {
				t.Fatalf("at %v: %v (-want +got):\n%s", step.at, err, diff)
			}
			collections, err := s.Collections(t.Context(), "ada@example.com")
			if err != nil || len(collections) != 1 || !collections[0].FetchedAt.Equal(step.at) {
				t.Fatalf("at %v: collections %v, %v", step.at, collections, err)
			}
		}
		history, err := s.History(t.Context(), "ada@example.com", back, ahead.AddDate(1, 0, 0))
		if err != nil {
			t.Fatal(err)
		}
		var got []device.Status
		for _, h := range history {
			for status := range h.Summary.Statuses("os") {
				got = append(got, status)
			}
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("order (-want +got):\n%s", diff)
		}
		record(t, s, start())
		record(t, s, ahead)
		if days, entries, err := s.Prune(t.Context(), 2); err != nil || days+entries != 0 {
			t.Errorf("a jump ahead cost %d days and %d entries, %v", days, entries, err)
		}
	})
}

func record(t testing.TB, s *store.Store, day time.Time) {
	t.Helper()
	census, err := s.Census(t.Context(), time.Time{})
	if err == nil {
		err = s.RecordDay(t.Context(), day, census)
	}
	if err != nil {
		t.Fatal(err)
	}
}

func TestStore_Trend(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func(t testing.TB) *store.Store) {
		s := open(t)
		both := map[string]device.Status{"os": device.OK, "encryption": device.Warn}
		save(t, s, postureOf("ada@example.com", start(), laptop("1", "Mac", both), laptop("2", "Windows", both)))
		save(t, s, postureOf("bob@example.com", start(), laptop("3", "Mac", both)))
		save(t, s, postureOf("old@example.com", start().AddDate(-1, 0, 0), laptop("4", "Mac", both)))
		recent := start().AddDate(0, 0, -14)
		census, err := s.Census(t.Context(), recent)
		if err != nil || census.People != 2 || census.Devices != 3 {
			t.Fatalf("census %+v, %v", census, err)
		}
		// Half past ten in the evening in UTC is the next day in Warsaw.
		warsaw := time.FixedZone("CET", 3600*2)
		if err := s.RecordDay(t.Context(), start().In(warsaw), store.Census{People: 1, Summary: macSummary(device.Warn)}); err != nil {
			t.Fatal(err)
		}
		if err := s.RecordDay(t.Context(), start().In(warsaw), census); err != nil { // replaces
			t.Fatal(err)
		}
		day := time.Date(2026, 3, 15, 0, 0, 0, 0, time.UTC)
		if err := s.RecordDay(t.Context(), day.AddDate(0, 0, 1), store.Census{Summary: macSummary(device.NA)}); err != nil {
			t.Fatal(err)
		}
		want := []store.TrendPoint{
			{Day: day, Practice: "encryption", Platform: "Mac", Status: device.Warn, Devices: 2},
			{Day: day, Practice: "encryption", Platform: "Windows", Status: device.Warn, Devices: 1},
			{Day: day, Practice: "os", Platform: "Mac", Status: device.OK, Devices: 2},
			{Day: day, Practice: "os", Platform: "Windows", Status: device.OK, Devices: 1},
			{Day: day.AddDate(0, 0, 1), Practice: "os", Platform: "Mac", Status: device.NA, Devices: 1},
		}
		tests := map[string]struct {
			from, to  time.Time
			practices []string
			want      []store.TrendPoint
		}{
			"all":          {day, day.AddDate(0, 0, 1), nil, want},
			"one day":      {day, day, nil, want[:4]},
			"one practice": {day.AddDate(-1, 0, 0), day.AddDate(1, 0, 0), []string{"os", "nothing"}, want[2:]},
			"another time": {day.AddDate(1, 0, 0), day.AddDate(2, 0, 0), nil, nil},
		}
		for name, test := range tests {
			got, err := s.Trend(t.Context(), test.from, test.to, test.practices...)
			if diff := cmp.Diff(test.want, got); err != nil || diff != "" {
				t.Errorf("%s: %v (-want +got):\n%s", name, err, diff)
			}
		}
		days, err := s.Days(t.Context(), day, day)
		if diff := cmp.Diff([]store.DayTotal{{Day: day, People: 2, Devices: 3}}, days); err != nil || diff != "" {
			t.Errorf("days: %v (-want +got):\n%s", err, diff)
		}
	})
}

func TestStore_Prune(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func(t testing.TB) *store.Store) {
		s := open(t)
		const total, keep = 10, 4
		noon := time.Date(2026, 3, 1, 12, 0, 0, 0, time.UTC)
		for i := range total {
			status := []device.Status{device.OK, device.Warn}[i%2]
			save(t, s, postureOf("ada@example.com", noon.AddDate(0, 0, i), verdict(status)))
			record(t, s, noon.AddDate(0, 0, i))
		}
		save(t, s, postureOf("bob@example.com", noon, verdict(device.OK))) // never changes
		for _, want := range []struct{ days, entries int64 }{{total - keep, total - keep - 1}, {0, 0}} {
			days, entries, err := s.Prune(t.Context(), keep)
			if err != nil || days != want.days || entries != want.entries {
				t.Errorf("pruned %d days and %d entries, %v; want %+v", days, entries, err, want)
			}
		}
		limit := noon.AddDate(0, 0, total-keep).Add(-12 * time.Hour)
		history, err := s.History(t.Context(), "ada@example.com", limit, noon.AddDate(1, 0, 0))
		if err != nil || len(history) != keep+1 || history[0].At.After(limit) {
			t.Errorf("history %v, %v; want the entry that held at %v and %d more", history, err, limit, keep)
		}
		if history, err := s.History(t.Context(), "bob@example.com", limit, limit); err != nil || len(history) != 1 {
			t.Errorf("of who never changed: %v, %v", history, err)
		}
		if days, err := s.Days(t.Context(), noon, noon.AddDate(1, 0, 0)); err != nil || len(days) != keep {
			t.Errorf("days %v, %v", days, err)
		}
	})
}
