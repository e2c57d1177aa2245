package store_test

import (
	"fmt"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"pgregory.net/rapid"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/internal/pgtest"
	"github.com/postureproject/posture/store"
	"github.com/postureproject/posture/store/storetest"
)

// Whatever is done, and however odd the texts are, both engines give the same
// answers.
func TestStore_enginesAgree(t *testing.T) {
	t.Parallel()
	if !pgtest.Enabled() {
		return
	}
	var now atomic.Int64
	now.Store(start().UnixMicro())
	clock := func() time.Time { return time.UnixMicro(now.Load()).UTC() }
	lite, pg := storetest.Open(t, storetest.SQLite(t), clock), storetest.Open(t, pgtest.Database(t), clock)
	rapid.Check(t, func(rt *rapid.T) {
		for range rapid.IntRange(1, 15).Draw(rt, "steps") {
			now.Add(rapid.Int64Range(-int64(48*time.Hour/time.Microsecond), int64(96*time.Hour/time.Microsecond)).Draw(rt, "passes"))
			step := drawStep(rt, clock())
			want, wantErr := step.do(lite)
			got, gotErr := step.do(pg)
			if fault.KindOf(wantErr) != fault.KindOf(gotErr) || (wantErr == nil) != (gotErr == nil) {
				rt.Fatalf("%s: SQLite says %v, PostgreSQL says %v", step.name, wantErr, gotErr)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				rt.Fatalf("%s (-SQLite +PostgreSQL):\n%s", step.name, diff)
			}
			if wantErr != nil && fault.KindOf(wantErr) == fault.Internal {
				rt.Fatalf("%s: %v", step.name, wantErr)
			}
		}
	})
}

type step struct {
	name string
	do   func(*store.Store) (any, error)
}

func drawStep(t *rapid.T, now time.Time) step {
	ctx := t.Context()
	addresses := []string{"ada@example.com", "ADA@example.com ", "bob@example.com", "ä@example.com", "a'b\"@example.com", "", "x\x00y"}
	email := rapid.OneOf(rapid.SampledFrom(addresses), rapid.StringN(1, 10, 40)).Draw(t, "address")
	at := now.Add(time.Duration(rapid.IntRange(-100, 100).Draw(t, "hours")) * time.Hour)
	from, to := now.AddDate(0, 0, -rapid.IntRange(0, 30).Draw(t, "days ago")), now.AddDate(0, 0, rapid.IntRange(-5, 5).Draw(t, "days ahead"))
	name := rapid.SampledFrom([]string{"save", "save", "save", "read", "json", "collections", "people", "counts", "history", "record", "trend", "days", "prune", "erase"}).Draw(t, "step")
	steps := map[string]func(*store.Store) (any, error){
		"read":        func(s *store.Store) (any, error) { return s.Posture(ctx, email) },
		"json":        func(s *store.Store) (any, error) { return s.PostureJSON(ctx, email) },
		"collections": func(s *store.Store) (any, error) { return s.Collections(ctx, email) },
		"people":      func(s *store.Store) (any, error) { return s.KnownPeople(ctx, email, 3) },
		"counts":      func(s *store.Store) (any, error) { return s.Counts(ctx) },
		"history":     func(s *store.Store) (any, error) { return s.History(ctx, email, from, to) },
		"trend":       func(s *store.Store) (any, error) { return s.Trend(ctx, from, to) },
		"days":        func(s *store.Store) (any, error) { return s.Days(ctx, from, to) },
		"erase":       func(s *store.Store) (any, error) { return s.Erase(ctx, email) },
		"prune": func(s *store.Store) (any, error) {
			days, entries, err := s.Prune(ctx, 3)
			return [2]int64{days, entries}, err
		},
		"record": func(s *store.Store) (any, error) {
			census, err := s.Census(ctx, from)
			if err != nil {
				return nil, err
			}
			return census, s.RecordDay(ctx, now, census)
		},
	}
	do := steps[name]
	if name == "save" {
		saved := drawSaved(t, email, at)
		do = func(s *store.Store) (any, error) { return nil, s.SavePostures(ctx, saved) }
	}
	return step{name: fmt.Sprintf("%s of %q", name, email), do: do}
}

func drawSaved(t *rapid.T, email string, at time.Time) []store.Saved {
	text := rapid.StringN(0, 12, 40)
	var saved []store.Saved
	for i := range rapid.IntRange(1, 3).Draw(t, "people") {
		p := device.Posture{Email: email, GeneratedAt: at}
		if i > 0 {
			p.Email = fmt.Sprintf("%d%s", i, email)
		}
		for range rapid.IntRange(0, 3).Draw(t, "devices") {
			d := device.Device{Name: text.Draw(t, "name"), Platform: rapid.SampledFrom([]string{"Mac", "", "W\x00in", "\xff"}).Draw(t, "platform")}
			d.Practices = map[string]device.Practice{}
			for range rapid.IntRange(0, 3).Draw(t, "practices") {
				d.Practices[rapid.OneOf(rapid.SampledFrom([]string{"os", "encryption"}), text).Draw(t, "practice")] = device.Practice{
					Status: rapid.SampledFrom([]device.Status{device.OK, device.Warn, ""}).Draw(t, "status"),
				}
			}
			p.Devices = append(p.Devices, d)
		}
		var collections []device.Collection
		for range rapid.IntRange(0, 2).Draw(t, "collections") {
			collections = append(collections, device.Collection{
				Plugin: rapid.SampledFrom([]string{"jamf", "google", "Duo", "é"}).Draw(t, "plugin"), FetchedAt: at, Devices: p.Devices,
			})
		}
		saved = append(saved, store.Saved{Posture: p, Collections: collections})
	}
	return saved
}
