package store_test

import (
	"context"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/adminevent"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/store"
	"github.com/postureproject/posture/store/storetest"
)

func eventTime(minutes int) time.Time {
	return time.Date(2026, 3, 1, 12, 0, 0, 123000, time.UTC).Add(time.Duration(minutes) * time.Minute)
}

// timeout makes an event about a person, so many minutes after noon.
func timeout(person string, minutes int) adminevent.Event {
	return adminevent.Event{
		Type: adminevent.TypeGeneric, Level: adminevent.LevelError, Domain: adminevent.DomainChecks,
		Resource: adminevent.User(person), Code: adminevent.CodeSourceTimeout, Source: "jamf", Trigger: "api", Operation: "scan", AdHoc: true,
		Message: "too slow “today”", Hint: "- wait", LastActor: "root@example.com", RequestID: "R1",
		NumOccurrences: 1, CreatedAt: eventTime(minutes), LastOccurredAt: eventTime(minutes),
	}
}

func saveEvents(t *testing.T, s *store.Store, id string, events ...adminevent.Event) {
	t.Helper()
	if err := s.SaveAdminEvents(t.Context(), adminevent.Batch{ID: id, At: eventTime(0), Window: time.Hour, Events: events}); err != nil {
		t.Fatal(err)
	}
}

func listEvents(t *testing.T, s *store.Store, q adminevent.Query) []adminevent.Event {
	t.Helper()
	if q.Sort == "" {
		q.Sort = adminevent.FieldLastOccurred
	}
	if q.Limit == 0 {
		q.Limit = adminevent.MaxPage
	}
	events, err := s.AdminEvents(t.Context(), q)
	if err != nil {
		t.Fatal(err)
	}
	return events
}

func TestAdminEvents_RoundTrip(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		s := open(t)
		want := timeout("Ada@Example.com", 0)
		want.AffectedCount, want.NumOccurrences = 3, 1<<40
		saveEvents(t, s, "b1", want)
		got := listEvents(t, s, adminevent.Query{})
		if len(got) != 1 || !adminevent.ValidID(got[0].ID) {
			t.Fatalf("got %+v", got)
		}
		want.ID = got[0].ID
		if diff := cmp.Diff(want, got[0]); diff != "" {
			t.Errorf("listed (-want +got):\n%s", diff)
		}
		one, err := s.AdminEvent(t.Context(), want.ID)
		if diff := cmp.Diff(want, one); diff != "" || err != nil {
			t.Errorf("by id: %v (-want +got):\n%s", err, diff)
		}
		if _, err := s.AdminEvent(t.Context(), "5d1cbb0e-6f5f-4c0c-9a55-0d2c1c9d0c8f"); fault.KindOf(err) != fault.NotFound {
			t.Errorf("an unknown id: %v", err)
		}
	})
}

// A repetition within the window adds to its row, one after it begins another.
func TestAdminEvents_Episodes(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		s := open(t)
		warning := timeout("ada@example.com", 50)
		warning.Level, warning.Message, warning.LastActor, warning.RequestID = adminevent.LevelWarning, "request 2 failed", "eve@example.com", "R2"
		warning.NumOccurrences = 5
		saveEvents(t, s, "b1", timeout("ada@example.com", 0))
		saveEvents(t, s, "b2", warning)
		late := timeout("ada@example.com", 20) // arrives late, happened earlier
		late.Message = "older"
		saveEvents(t, s, "b3", late)
		got := listEvents(t, s, adminevent.Query{})
		want := warning
		want.NumOccurrences, want.CreatedAt = 7, eventTime(0)
		if len(got) != 1 {
			t.Fatalf("%d rows, want 1: %+v", len(got), got)
		}
		id := got[0].ID
		want.ID = id
		if diff := cmp.Diff(want, got[0]); diff != "" {
			t.Errorf("merged (-want +got):\n%s", diff)
		}
		saveEvents(t, s, "b4", timeout("ada@example.com", 110)) // to the minute
		saveEvents(t, s, "b5", timeout("ada@example.com", 171), timeout("ada@example.com", 172))
		got = listEvents(t, s, adminevent.Query{})
		if len(got) != 2 || got[0].NumOccurrences != 2 || got[1].NumOccurrences != 8 || got[1].ID != id || got[0].ID == id {
			t.Errorf("after the window: %+v", got)
		}
	})
}

// What differs in anything that makes the identity is another event; what else
// differs is not.
func TestAdminEvents_Identity(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		s := open(t)
		events := []adminevent.Event{timeout("ada@example.com", 0), timeout("ADA@example.com", 0), timeout("eve@example.com", 0)}
		for _, change := range []func(*adminevent.Event){
			func(e *adminevent.Event) { e.Source = "google" },
			func(e *adminevent.Event) { e.Code = adminevent.CodeSourceUnreachable },
			func(e *adminevent.Event) { e.AdHoc = false },
			func(e *adminevent.Event) { e.Domain = adminevent.DomainSources },
			func(e *adminevent.Event) { e.Resource.Type = adminevent.ResourceDevice },
		} {
			e := timeout("ada@example.com", 0)
			change(&e)
			events = append(events, e)
		}
		saveEvents(t, s, "b1", events...)
		if got := listEvents(t, s, adminevent.Query{}); len(got) != len(events)-1 {
			t.Errorf("%d rows of %d events, two of which are the same", len(got), len(events))
		}
	})
}

// A batch counts once however often it is saved, also by two programs at once.
func TestAdminEvents_Idempotent(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		s, other := open(t), open(t)
		var group sync.WaitGroup
		for i := range 20 {
			group.Go(func() {
				b := adminevent.Batch{ID: fmt.Sprintf("b%d", i/4), At: eventTime(0), Window: time.Hour, Events: []adminevent.Event{timeout("ada@example.com", 0)}}
				if err := []*store.Store{s, other}[i%2].SaveAdminEvents(t.Context(), b); err != nil {
					t.Error(err)
				}
			})
		}
		group.Wait()
		got := listEvents(t, s, adminevent.Query{})
		if len(got) != 1 || got[0].NumOccurrences != 5 {
			t.Errorf("after 5 batches, each saved 4 times: %+v", got)
		}
	})
}

// Two programs that save the same failures at the same time lose none and count
// none twice.
func TestAdminEvents_TwoPrograms(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		const rounds, people = 10, 20
		var group sync.WaitGroup
		for program, s := range []*store.Store{open(t), open(t)} {
			for worker := range 2 {
				group.Go(func() {
					for round := range rounds {
						var events []adminevent.Event
						for i := range people { // not in the order in which they should come
							events = append(events, timeout(fmt.Sprintf("p%d@example.com", (i*7+worker*3+program)%people), round))
						}
						b := adminevent.Batch{ID: fmt.Sprint(program, worker, round), At: eventTime(0), Window: time.Hour, Events: events}
						if err := s.SaveAdminEvents(t.Context(), b); err != nil {
							t.Error(err)
						}
					}
				})
			}
		}
		group.Wait()
		got := listEvents(t, open(t), adminevent.Query{})
		if len(got) != people {
			t.Fatalf("%d rows of %d people", len(got), people)
		}
		for _, e := range got {
			if e.NumOccurrences != 4*rounds {
				t.Errorf("%s: %d occurrences, want %d", e.Resource.Name, e.NumOccurrences, 4*rounds)
			}
		}
	})
}

// A failed batch leaves nothing behind, not even its id.
func TestAdminEvents_AllOrNothing(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		s := open(t)
		gone, cancel := context.WithCancel(t.Context())
		cancel()
		b := adminevent.Batch{ID: "b1", At: eventTime(0), Window: time.Hour, Events: []adminevent.Event{timeout("ada@example.com", 0)}}
		if err := s.SaveAdminEvents(gone, b); err == nil {
			t.Fatal("saved under a context that had ended")
		}
		if n, err := s.CountAdminEvents(t.Context(), adminevent.Filter{}); n != 0 || err != nil {
			t.Errorf("%d events after a failure, %v", n, err)
		}
		saveEvents(t, s, "b1", b.Events...)
		if n, err := s.CountAdminEvents(t.Context(), adminevent.Filter{}); n != 1 || err != nil {
			t.Errorf("%d events after the repetition, %v", n, err)
		}
	})
}

// various saves events that differ in everything that can be filtered.
func various(t *testing.T, s *store.Store) {
	t.Helper()
	events := make([]adminevent.Event, 6)
	for i := range events {
		events[i] = timeout(fmt.Sprintf("p%d@example.com", i), i)
		events[i].NumOccurrences = int64(10 - i/2)
	}
	events[1].Level, events[1].Source, events[1].Code = adminevent.LevelWarning, "google", adminevent.CodeSourceRateLimited
	events[2].Domain, events[2].Resource = adminevent.DomainSources, adminevent.Resource{Type: adminevent.ResourceSource, ID: "jamf", Name: "jamf"}
	events[3].AdHoc, events[3].Type = false, adminevent.TypeLogMessage
	events[4].Resource = adminevent.Device("C02XG2JHJGH5")
	saveEvents(t, s, "b1", events...)
}

// marks names events by the minute in which they occurred.
func marks(events []adminevent.Event) string {
	var b strings.Builder
	for _, e := range events {
		b.WriteByte(byte('0' + e.LastOccurredAt.Sub(eventTime(0))/time.Minute))
	}
	return b.String()
}

func TestAdminEvents_Filter(t *testing.T) {
	t.Parallel()
	no := false
	tests := []struct {
		name   string
		filter adminevent.Filter
		want   string
	}{
		{"none", adminevent.Filter{}, "543210"},
		{"from, itself included", adminevent.Filter{From: eventTime(3)}, "543"},
		{"until, itself included", adminevent.Filter{Until: eventTime(2)}, "210"},
		{"both", adminevent.Filter{From: eventTime(1), Until: eventTime(1)}, "1"},
		{"domain", adminevent.Filter{Domains: []string{adminevent.DomainSources}}, "2"},
		{"two domains", adminevent.Filter{Domains: []string{adminevent.DomainSources, adminevent.DomainChecks}}, "543210"},
		{"resource type", adminevent.Filter{ResourceTypes: []string{"Device", "Data Source"}}, "42"},
		{"resource id in another case", adminevent.Filter{ResourceIDs: []string{"c02xg2jhjgh5"}}, "4"},
		{"resource name in another case", adminevent.Filter{ResourceNames: []string{"P0@Example.com", "nobody"}}, "0"},
		{"type", adminevent.Filter{Types: []adminevent.Type{adminevent.TypeLogMessage}}, "3"},
		{"level", adminevent.Filter{Levels: []adminevent.Level{adminevent.LevelWarning, adminevent.LevelInfo}}, "1"},
		{"source", adminevent.Filter{Sources: []string{"google"}}, "1"},
		{"code", adminevent.Filter{Codes: []string{adminevent.CodeSourceRateLimited, adminevent.CodeSourceTimeout}}, "543210"},
		{"not ad hoc", adminevent.Filter{AdHoc: &no}, "3"},
		{"all must agree", adminevent.Filter{Sources: []string{"google"}, Levels: []adminevent.Level{adminevent.LevelError}}, ""},
		{"text is only text", adminevent.Filter{Sources: []string{"' OR 1=1 --", "%"}}, ""},
	}
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		s := open(t)
		various(t, s)
		for _, tt := range tests {
			if got := marks(listEvents(t, s, adminevent.Query{Filter: tt.filter})); got != tt.want {
				t.Errorf("%s: %q, want %q", tt.name, got, tt.want)
			}
			if n, err := s.CountAdminEvents(t.Context(), tt.filter); n != int64(len(tt.want)) || err != nil {
				t.Errorf("%s: count %d %v, want %d", tt.name, n, err, len(tt.want))
			}
		}
	})
}

func TestAdminEvents_Order(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		s := open(t)
		various(t, s)
		for _, field := range adminevent.SortFields() {
			down := listEvents(t, s, adminevent.Query{Sort: field})
			up := listEvents(t, s, adminevent.Query{Sort: field, Ascending: true})
			for i := range down { // with ids to decide, one is the other backwards
				if down[i].ID != up[len(up)-1-i].ID {
					t.Errorf("by %s: %s down, %s up", field, marks(down), marks(up))
					break
				}
			}
			var paged []adminevent.Event
			for offset := 0; offset < 8; offset += 2 {
				paged = append(paged, listEvents(t, s, adminevent.Query{Sort: field, Limit: 2, Offset: offset})...)
			}
			if diff := cmp.Diff(down, paged); diff != "" {
				t.Errorf("by %s, page by page (-whole +paged):\n%s", field, diff)
			}
		}
		if got := listEvents(t, s, adminevent.Query{Sort: adminevent.FieldOccurrences, Limit: 1, Offset: 5}); got[0].NumOccurrences != 8 {
			t.Errorf("the rarest: %+v", got)
		}
		if got := listEvents(t, s, adminevent.Query{Sort: adminevent.FieldLevel, Ascending: true, Limit: 1}); got[0].Level != adminevent.LevelWarning {
			t.Errorf("the least severe: %+v", got)
		}
	})
}

func TestAdminEvents_Summary(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		s := open(t)
		various(t, s)
		groups, err := s.SummarizeAdminEvents(t.Context(), adminevent.Filter{}, []adminevent.Field{adminevent.FieldSource, adminevent.FieldCode}, 10)
		if err != nil {
			t.Fatal(err)
		}
		text := func(s string) *string { return &s }
		want := []adminevent.Group{
			{Source: text("jamf"), Code: text(adminevent.CodeSourceTimeout), Events: 5, NumOccurrences: 10 + 9 + 9 + 8 + 8, CreatedAt: eventTime(0), LastOccurredAt: eventTime(5)},
			{Source: text("google"), Code: text(adminevent.CodeSourceRateLimited), Events: 1, NumOccurrences: 10, CreatedAt: eventTime(1), LastOccurredAt: eventTime(1)},
		}
		if diff := cmp.Diff(want, groups); diff != "" {
			t.Errorf("(-want +got):\n%s", diff)
		}
		for _, field := range adminevent.GroupFields() {
			groups, err := s.SummarizeAdminEvents(t.Context(), adminevent.Filter{}, []adminevent.Field{field}, 10)
			if err != nil || len(groups) < 2 {
				t.Errorf("by %s: %+v, %v", field, groups, err)
			}
			var total int64
			for _, g := range groups {
				total += g.NumOccurrences
			}
			if total != 54 {
				t.Errorf("by %s: %d occurrences, want 54", field, total)
			}
		}
	})
}

// Age counts from the latest occurrence, and of too many the oldest go.
func TestAdminEvents_Prune(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		s := open(t)
		for i := range 6 {
			saveEvents(t, s, fmt.Sprintf("b%d", i), timeout(fmt.Sprintf("p%d@example.com", i), i))
		}
		again := timeout("p0@example.com", 9)
		saveEvents(t, s, "again", again)
		if n, err := s.PruneAdminEvents(t.Context(), eventTime(3), 100); n != 2 || err != nil {
			t.Errorf("pruned %d, %v; want 2", n, err)
		}
		got := listEvents(t, s, adminevent.Query{})
		if marks(got) != "9543" || !got[0].CreatedAt.Equal(eventTime(0)) {
			t.Errorf("left: %s, the first of %v", marks(got), got[0].CreatedAt)
		}
		if n, err := s.PruneAdminEvents(t.Context(), eventTime(0), 3); n != 1 || err != nil {
			t.Errorf("pruned %d, %v; want 1", n, err)
		}
		if got := marks(listEvents(t, s, adminevent.Query{})); got != "954" {
			t.Errorf("left: %s", got)
		}
	})
}

func TestAdminEvents_Retention(t *testing.T) {
	t.Parallel()
	storetest.Each(t, func(t *testing.T, open func(testing.TB) *store.Store) {
		s, other := open(t), open(t)
		for _, want := range []int{0, 7, 9} {
			if want != 0 {
				if err := s.SetAdminEventRetention(t.Context(), want); err != nil {
					t.Fatal(err)
				}
			}
			if days, err := other.AdminEventRetention(t.Context()); days != want || err != nil {
				t.Errorf("%d days, %v; want %d", days, err, want)
			}
		}
	})
}
