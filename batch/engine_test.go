package batch_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/batch"
	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/outbox"
	"github.com/postureproject/posture/store"
)

// deliveries gives the ids in a sink's queue, sorted.
func deliveries(t testing.TB, s *store.Store, sink string) []string {
	t.Helper()
	var ids []string
	f := outbox.Filter{Sink: sink, Limit: 200}
	for {
		entries, err := s.ListDeliveries(t.Context(), f)
		if err != nil {
			t.Fatal(err)
		}
		for _, e := range entries {
			ids = append(ids, e.ID)
			f.Before = e.Number
		}
		if len(entries) < f.Limit {
			slices.Sort(ids)
			return ids
		}
	}
}

// wantSent fails unless each person's devices were queued once.
func wantSent(t testing.TB, s *store.Store, run string, people, each int) {
	t.Helper()
	var want []string
	for i := range people {
		for n := range each {
			want = append(want, fmt.Sprintf("%s/%s/%d", run, email(i), n))
		}
	}
	slices.Sort(want)
	if diff := cmp.Diff(want, deliveries(t, s, "sink")); diff != "" {
		t.Errorf("deliveries (-want +got):\n%s", diff)
	}
}

func TestEngine_Run(t *testing.T) {
	t.Parallel()
	b := setup(t, 23)
	var started batch.Run
	var last batch.Progress
	b.options.Progress = func(p batch.Progress) { last = p }
	b.options.Limit = 3
	run := b.mustRun(batch.Request{Started: func(r batch.Run) { started = r }})
	if run.ID == "" || started.ID != run.ID {
		t.Errorf("started %q, ran %q", started.ID, run.ID)
	}
	finished := today()
	want := batch.Run{
		ID: run.ID, People: 23, Devices: 23 * devicesEach, Complete: 23, StartedAt: today(), FinishedAt: &finished,
		Statistics: batch.Statistics{"encryption": {device.OK: 15, device.Warn: 8}}, Phase: batch.Over, Sent: email(22),
		Plan: run.Plan,
	}
	if run.Plan == "" {
		t.Error("the run has no plan")
	}
	if diff := cmp.Diff(want, run); diff != "" {
		t.Errorf("run (-want +got):\n%s", diff)
	}
	stored, err := b.store.BatchRun(t.Context(), run.ID)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, stored); diff != "" {
		t.Errorf("stored run (-want +got):\n%s", diff)
	}
	for i := range 23 {
		p := b.posture(i)
		want := []string{"laptop " + email(i), "phone " + email(i), "tablet " + email(i)}
		if diff := cmp.Diff(want, namesOf(p)); diff != "" {
			t.Fatalf("devices of %s (-want +got):\n%s", email(i), diff)
		}
		if len(p.Events) != 1 || p.Events[0].Type != "2 owned" {
			t.Errorf("events of %s: %v", email(i), p.Events)
		}
		if n := b.company.scansOf(email(i)); n != 1 {
			t.Errorf("%s was asked about %d times", email(i), n)
		}
	}
	wantSent(t, b.store, run.ID, 23, devicesEach)
	if got := deliveries(t, b.store, "summary"); len(got) != 1 {
		t.Errorf("summaries %v, want one", got)
	}
	if most := b.company.most.Load(); most > 3 {
		t.Errorf("%d people in hand, want 3 at most", most)
	}
	if last.Complete != 23 || last.Phase != batch.Sending {
		t.Errorf("last progress %+v", last)
	}
	listings, err := b.store.Listings(t.Context(), run.ID)
	if err != nil {
		t.Fatal(err)
	}
	for _, l := range listings {
		want := map[string]int{"phones": 1, "mdm": 1, "wifi": 1}[l.Source]
		if l.Nobodys != want || l.Failure != nil {
			t.Errorf("listing %+v, want %d records of nobody and no failure", l, want)
		}
	}
	if left, err := b.store.Staged(t.Context(), run.ID, []string{"owner", "mdm"}, []string{email(0)}); err != nil || len(left) > 0 {
		t.Errorf("%d staged records left, error %v", len(left), err)
	}
}

func TestEngine_Run_owners_make_people(t *testing.T) {
	t.Parallel()
	b := setup(t, 4)
	b.company.users = false
	if run := b.mustRun(batch.Request{}); run.People != 4 || run.Complete != 4 {
		t.Errorf("run %+v, want 4 people complete", run)
	}
}

func TestEngine_Run_given(t *testing.T) {
	t.Parallel()
	b := setup(t, 10)
	run := b.mustRun(batch.Request{People: []string{" P00003@Example.com", email(7), email(3), "stranger@example.com"}, CollectOnly: true})
	if run.People != 3 || run.Complete != 3 || run.Devices != 2*devicesEach {
		t.Errorf("run %+v, want 3 people and %d devices", run, 2*devicesEach)
	}
	if got := append(deliveries(t, b.store, "sink"), deliveries(t, b.store, "summary")...); len(got) > 0 {
		t.Errorf("collect-only sent %v", got)
	}
	if _, err := b.store.Posture(t.Context(), email(4)); !fault.IsNotFound(err) {
		t.Errorf("somebody else was scanned: %v", err)
	}
	for _, none := range []string{"nobody", strings.Repeat("a", 250) + "@x.de"} {
		if _, err := b.run(batch.Request{People: []string{none}}); fault.KindOf(err) != fault.Invalid {
			t.Errorf("an address that is none gave %v", err)
		}
	}
}

// A source that cannot be asked about one person is asked once more at the end;
// nothing is sent before.
func TestEngine_Run_person_recovers(t *testing.T) {
	t.Parallel()
	b := setup(t, 12)
	b.company.fail = func(source, subject string, _ int) error {
		if source == "events" && subject == email(5) && b.company.scansOf(subject) == 1 {
			return down(source)
		}
		return nil
	}
	run := b.mustRun(batch.Request{})
	if run.Complete != 12 || run.Partial != 0 {
		t.Errorf("run %+v, want all complete", run)
	}
	if n := b.company.scansOf(email(5)); n != 2 {
		t.Errorf("asked %d times, want twice", n)
	}
	if n := b.company.listings["mdm"]; n != 1 {
		t.Errorf("the good listing was read %d times", n)
	}
	wantSent(t, b.store, run.ID, 12, devicesEach)
}

func TestEngine_Run_person_partial(t *testing.T) {
	t.Parallel()
	b := setup(t, 6)
	b.mustRun(batch.Request{})
	type told struct{ email, source string }
	var failures []told
	b.options.Failure = func(_ context.Context, _, email string, o device.Outcome) {
		failures = append(failures, told{email, o.Plugin})
	}
	b.company.fail = func(source, subject string, _ int) error {
		if source == "events" && subject == email(2) {
			return down(source)
		}
		return nil
	}
	run := b.mustRun(batch.Request{})
	if run.Complete != 5 || run.Partial != 1 {
		t.Errorf("run %+v, want one partial", run)
	}
	p := b.posture(2)
	if len(p.Events) != 1 {
		t.Errorf("the last known events are gone")
	}
	at := slices.IndexFunc(p.Sources, func(o device.Outcome) bool { return o.Plugin == "events" })
	if o := p.Sources[at]; o.OK || o.KeptFrom == nil || !o.KeptFrom.Equal(today()) {
		t.Errorf("outcome %+v, want a failure with what is kept from %v", o, today())
	}
	if want := []told{{email(2), "events"}}; !slices.Equal(failures, want) {
		t.Errorf("told of failures %v, want %v", failures, want)
	}
}

// A listing that breaks off leaves what came, and what was known fills the rest.
func TestEngine_Run_listing(t *testing.T) {
	t.Parallel()
	for _, source := range []string{"mdm", "owner", "phones", "wifi"} {
		for _, after := range []int{0, 8} {
			for _, recovers := range []bool{false, true} {
				t.Run(fmt.Sprintf("%s after %d recovers %v", source, after, recovers), func(t *testing.T) {
					t.Parallel()
					b := setup(t, 9)
					b.mustRun(batch.Request{})
					tries := 0
					b.company.fail = func(of, _ string, sent int) error {
						if of != source || sent < after {
							return nil
						}
						if tries++; recovers && tries > 1 {
							return nil
						}
						return down(of)
					}
					run := b.mustRun(batch.Request{})
					for i := range 9 {
						if n := len(namesOf(b.posture(i))); n != 3 {
							t.Errorf("%s has %d named devices, want 3", email(i), n)
						}
					}
					if recovers && (run.Complete != 9 || run.Partial != 0) || !recovers && run.Partial != 9 {
						t.Errorf("run %+v", run)
					}
					if got := len(deliveries(t, b.store, "sink")); got != 2*9*devicesEach {
						t.Errorf("%d deliveries of two runs, want %d", got, 2*9*devicesEach)
					}
				})
			}
		}
	}
}

func TestEngine_Run_all_failed(t *testing.T) {
	t.Parallel()
	b := setup(t, 3)
	b.company.fail = func(source, _ string, _ int) error {
		if source == "owner/users" {
			return nil
		}
		return down(source)
	}
	if run := b.mustRun(batch.Request{}); run.Failed != 3 || run.Complete+run.Partial != 0 {
		t.Errorf("run %+v, want all failed", run)
	}
}

// A list of users that cannot be read hides nobody of whom there is an answer, and
// is read once more also if nobody else needs a second look.
func TestEngine_Run_users_down(t *testing.T) {
	t.Parallel()
	for name, c := range map[string]struct {
		fails  func(source string, nth int64) bool
		people int
		broken bool // in the end
	}{
		"once":       {func(source string, nth int64) bool { return source == "owner/users" && nth == 1 }, 3, false},
		"always":     {func(source string, _ int64) bool { return source == "owner/users" }, 5, true},
		"everything": {func(string, int64) bool { return true }, 5, true},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setup(t, 5)
			b.mustRun(batch.Request{})
			b.company.people = 3 // of the others only the list of users would tell
			var lists atomic.Int64
			b.company.fail = func(source, _ string, after int) error {
				nth := lists.Load()
				if source == "owner/users" && after == 0 {
					nth = lists.Add(1)
				}
				if c.fails(source, nth) {
					return down(source)
				}
				return nil
			}
			run := b.mustRun(batch.Request{})
			if run.People != c.people {
				t.Errorf("run %+v, want %d people", run, c.people)
			}
			listings, err := b.store.Listings(t.Context(), run.ID)
			if err != nil {
				t.Fatal(err)
			}
			for _, l := range listings {
				if l.Source == "owner/users" && ((l.Failure != nil) != c.broken || l.Round != 2) {
					t.Errorf("listing %+v", l)
				}
			}
		})
	}
}

func TestEngine_Run_nobody(t *testing.T) {
	t.Parallel()
	b := setup(t, 0)
	b.company.fail = func(source, _ string, _ int) error { return down(source) }
	if _, err := b.run(batch.Request{}); fault.KindOf(err) != fault.Unavailable || !strings.Contains(err.Error(), "is down") {
		t.Errorf("got %v, want why nobody is known", err)
	}
}

// An ownership source without a listing is asked per person, and so are those that
// only its serials lead to.
func TestEngine_Run_owner_without_listing(t *testing.T) {
	t.Parallel()
	b := setup(t, 3)
	b.options.Sources = withoutListing{b.company}
	run := b.mustRun(batch.Request{})
	if run.Complete != 3 {
		t.Errorf("run %+v", run)
	}
	if n := b.company.listings["mdm"] + b.company.listings["owner"]; n != 0 {
		t.Errorf("%d listings were read that cannot be used", n)
	}
	if b.company.listings["phones"] != 1 {
		t.Error("the phones could be listed")
	}
}

type withoutListing struct{ *company }

func (w withoutListing) Sources() []batch.Source {
	sources := w.company.Sources()
	for i := range sources {
		sources[i].ListsDevices = sources[i].ListsDevices && !sources[i].Ownership
	}
	return sources
}

// A run that is told to stop finishes what is in hand and is resumable.
func TestEngine_Run_stops_and_resumes(t *testing.T) {
	t.Parallel()
	b := setup(t, 40)
	ctx, cancel := context.WithCancel(t.Context())
	var asked atomic.Int64
	b.company.asked = func(string) {
		if asked.Add(1) == 17 {
			cancel()
		}
	}
	b.options.Limit = 4
	run, err := batch.New(b.options).Run(ctx, batch.Request{})
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("got %v, want the context's error", err)
	}
	if n := asked.Load(); n > 17+4 {
		t.Errorf("%d people were begun after the stop", n-17)
	}
	b.company.asked = nil
	again := b.mustRun(batch.Request{Resume: run.ID})
	if again.ID != run.ID || again.Complete != 40 || !again.Resumed {
		t.Errorf("resumed %+v", again)
	}
	for i := range 40 {
		if n := b.company.scansOf(email(i)); n != 1 {
			t.Errorf("%s was scanned %d times", email(i), n)
		}
	}
	for source, n := range b.company.listings {
		if n != 1 {
			t.Errorf("%s was listed %d times", source, n)
		}
	}
	wantSent(t, b.store, run.ID, 40, devicesEach)
	done := b.mustRun(batch.Request{Resume: run.ID})
	if diff := cmp.Diff(again, done); diff != "" {
		t.Errorf("resuming a finished run changed it:\n%s", diff)
	}
	if _, err := b.run(batch.Request{Resume: "none"}); !fault.IsNotFound(err) {
		t.Errorf("resuming no run: %v", err)
	}
}

func TestEngine_Run_one_at_a_time(t *testing.T) {
	t.Parallel()
	b := setup(t, 3)
	release, begun := make(chan struct{}), make(chan struct{}, 3)
	b.company.asked = func(string) { begun <- struct{}{}; <-release }
	first := make(chan error, 1)
	go func() {
		_, err := b.run(batch.Request{})
		first <- err
	}()
	<-begun
	other := b.options
	other.Holder = "another"
	// A clock that jumps makes nobody look dead.
	other.Now = func() time.Time { return today().AddDate(1, 0, 0) }
	if _, err := batch.New(other).Run(t.Context(), batch.Request{}); fault.KindOf(err) != fault.Conflict {
		t.Errorf("a second run gave %v, want a conflict", err)
	}
	close(release)
	if err := <-first; err != nil {
		t.Error(err)
	}
	small := newCompany(2)
	other.Sources, other.Scanner, other.Now = small, small, b.options.Now
	if _, err := batch.New(other).Run(t.Context(), batch.Request{CollectOnly: true}); err != nil {
		t.Errorf("the next run: %v", err)
	}
}

// The lease of a process that is gone is taken over, and one that was only taken
// for dead stops.
func TestEngine_Run_lost_lease(t *testing.T) {
	t.Parallel()
	b := setup(t, 30)
	var asked atomic.Int64
	b.company.asked = func(string) {
		if asked.Add(1) == 5 {
			for stolen := false; !stolen; {
				seen, err := b.store.BatchLease(context.Background())
				if err == nil {
					stolen, err = b.store.TakeBatchLease(context.Background(), seen, batch.Lease{Holder: "thief", Run: seen.Run})
				}
				if err != nil {
					t.Error(err)
					return
				}
			}
		}
		time.Sleep(10 * time.Millisecond)
	}
	b.options.Limit = 1
	run, err := b.run(batch.Request{})
	if fault.KindOf(err) != fault.Conflict {
		t.Fatalf("the run went on without its lease: %v", err)
	}
	b.company.asked = nil
	if again := b.mustRun(batch.Request{Resume: run.ID}); again.Complete != 30 {
		t.Errorf("resumed %+v", again)
	}
	wantSent(t, b.store, run.ID, 30, devicesEach)
}
