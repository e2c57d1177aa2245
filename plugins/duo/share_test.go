package duo_test

import (
	"encoding/json"
	"fmt"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/fault"
	sim "github.com/postureproject/posture/internal/simulator/duo"
	"github.com/postureproject/posture/internal/simulator/simhttp"
	"github.com/postureproject/posture/plugins/duo"
	"github.com/postureproject/posture/plugins/sdk"
	"github.com/postureproject/posture/plugins/sdk/sdktest"
)

// A second process, such as a scan on the command line beside the daemon, answers
// from what the first has read without asking Duo, which allows few requests.
func TestSecondProcessDoesNotPullAgain(t *testing.T) {
	t.Parallel()
	b := setUp(t, benchOptions{sim: sim.Options{Days: 1}})
	if _, err := b.client.TestConnectivity(t.Context()); err != nil {
		t.Fatal(err)
	}
	asked := b.server.Faults.Requests()
	second := sdktest.Open(t, b.plugin, b.settings, sdktest.WithJournal(b.journal))
	email := b.fleet.Person(0).Email
	want, err := b.client.EventsByEmail(t.Context(), email)
	if err != nil || len(want) == 0 {
		t.Fatalf("got %d events, %v", len(want), err)
	}
	got, err := second.EventsByEmail(t.Context(), email)
	if err != nil || len(got) != len(want) {
		t.Errorf("the second got %d events of %d, %v", len(got), len(want), err)
	}
	if again := b.server.Faults.Requests() - asked; again != 0 {
		t.Errorf("the second asked Duo %d times", again)
	}
	// The connectivity test is about Duo itself, so it does ask.
	if _, err := second.TestConnectivity(t.Context()); err != nil || b.server.Faults.Requests() == asked {
		t.Errorf("the connectivity test asked nobody: %v", err)
	}
}

// Several processes that start at once on an empty journal read each page of the
// log once, all together.
func TestOneReadsAtATime(t *testing.T) {
	t.Parallel()
	b := setUp(t, benchOptions{sim: sim.Options{Days: 20}, settings: map[string]any{"DUO_FIRST_PULL": "4320h"}, prepare: func(b *bench) {
		b.server.Faults.Add(simhttp.Fault{Latency: 5 * time.Millisecond})
	}})
	clients := []*sdk.Client{b.client}
	for range 4 {
		clients = append(clients, sdktest.Open(t, b.plugin, b.settings, sdktest.WithJournal(b.journal)))
	}
	email := b.fleet.Person(0).Email
	var group sync.WaitGroup
	for i, c := range clients {
		group.Go(func() {
			if events, err := c.EventsByEmail(t.Context(), email); err != nil || len(events) == 0 {
				t.Errorf("process %d gives %d events, %v", i, len(events), err)
			}
		})
	}
	group.Wait()
	if diff := cmp.Diff(b.logins(20), b.stored()); diff != "" {
		t.Errorf("events (-want +got):\n%s", diff)
	}
	if got, want := b.server.Faults.Requests(), b.pages(); got != want {
		t.Errorf("%d requests, want %d", got, want)
	}
}

// Processes that run on share their pulls too: together they ask as often as one
// would.
func TestPullsAreShared(t *testing.T) {
	t.Parallel()
	f := setUp(t, benchOptions{people: -1}) // for its simulator
	f.pull()
	f.settings["DUO_PULL_INTERVAL"] = "1s"
	journal := sdktest.NewJournal()
	before, began := f.server.Faults.Requests(), time.Now()
	for range 4 {
		sdktest.Open(t, duo.PluginAt(time.Now, time.Hour), f.settings, sdktest.WithJournal(journal))
	}
	await(t, func() bool { return f.server.Faults.Requests()-before >= 3 })
	time.Sleep(200 * time.Millisecond) // the others would ask now
	asked := f.server.Faults.Requests() - before
	if most := int(time.Since(began)/time.Second) + 1; asked > most {
		t.Errorf("four processes asked %d times within %v", asked, time.Since(began))
	}
}

// That Duo asks one process to wait goes for all that share the store. When that
// one ends, another may try.
func TestWaitingIsShared(t *testing.T) {
	t.Parallel()
	b := setUp(t, benchOptions{people: -1, prepare: func(b *bench) {
		b.server.Faults.Add(simhttp.Fault{Status: 429, RetryAfter: "1800"})
	}, settings: map[string]any{"DUO_PULL_INTERVAL": "1s"}})
	await(t, func() bool { return b.server.Faults.Requests() > 0 })
	b.journal = sdktest.NewJournal() // of which the plugin that is already there knows nothing
	end := sync.OnceFunc(b.open(b.plugin, time.Minute).Close)
	t.Cleanup(end)
	await(t, func() bool { // until the claim tells of it
		p, err := b.journal.Progress(t.Context(), b.log())
		return err == nil && strings.Contains(string(p.Document), `"waits":true`)
	})
	asked := b.server.Faults.Requests()
	second := sdktest.Open(t, b.plugin, b.settings, sdktest.WithJournal(b.journal))
	began := time.Now()
	_, err := second.EventsByEmail(t.Context(), "ada@example.com")
	checkError(t, err, fault.Unavailable, "not complete yet")
	if took := time.Since(began); took > 5*time.Second {
		t.Errorf("the answer took %v", took)
	}
	_, err = second.TestConnectivity(t.Context())
	checkError(t, err, fault.RateLimited, "wait")
	if got := b.server.Faults.Requests(); got != asked {
		t.Errorf("Duo was asked %d more times", got-asked)
	}
	b.server.Faults.Clear()
	end()
	await(t, func() bool {
		_, err := second.EventsByEmail(t.Context(), "ada@example.com")
		return err == nil
	})
}

// The store is away for a while: answers say so, and come again by themselves.
func TestStoreAway(t *testing.T) {
	t.Parallel()
	b := setUp(t, benchOptions{settings: map[string]any{"DUO_FIRST_PULL": "48h"}})
	email := b.fleet.Person(0).Email
	want := b.events(email)
	b.journal.Fail(&fault.Error{Kind: fault.Unavailable, Source: "store", Message: "the database does not answer", Remedy: "start PostgreSQL"})
	_, err := b.client.EventsByEmail(t.Context(), email)
	checkError(t, err, fault.Unavailable, "does not answer", "start PostgreSQL")
	_, err = b.client.TestConnectivity(t.Context())
	checkError(t, err, fault.Unavailable, "does not answer", "start PostgreSQL")
	started := sdktest.Open(t, b.plugin, b.settings, sdktest.WithJournal(b.journal)) // the store keeps no plugin from starting
	b.journal.Fail(nil)
	for name, c := range map[string]*sdk.Client{"before": b.client, "meanwhile": started} {
		if got, err := c.EventsByEmail(t.Context(), email); err != nil || len(got) != len(want) {
			t.Errorf("the process started %s gives %d events, %v", name, len(got), err)
		}
	}
	b.pull()
}

// Without a store nothing can be kept, so Duo is not asked either.
func TestNoStore(t *testing.T) {
	t.Parallel()
	b := setUp(t, benchOptions{})
	b.pull()
	asked := b.server.Faults.Requests()
	text, err := json.Marshal(b.settings)
	if err != nil {
		t.Fatal(err)
	}
	client := sdktest.Dial(t, b.plugin)
	if err := client.Configure(t.Context(), sdk.Configuration{Config: text, Timeout: time.Second, Concurrency: 1}); err != nil {
		t.Fatal(err)
	}
	_, err = client.EventsByEmail(t.Context(), "ada@example.com")
	checkError(t, err, fault.Unavailable, "there is no store", "store.dsn")
	_, err = client.TestConnectivity(t.Context())
	checkError(t, err, fault.Unavailable, "there is no store", "store.dsn")
	if got := b.server.Faults.Requests(); got != asked {
		t.Errorf("Duo was asked %d times", got-asked)
	}
}

// What a newer version has kept is left alone.
func TestNewerFormat(t *testing.T) {
	t.Parallel()
	b := setUp(t, benchOptions{})
	b.pull()
	p, err := b.journal.Progress(t.Context(), b.log())
	if err != nil {
		t.Fatal(err)
	}
	p.Document = []byte(`{"format":99}`)
	if _, err := b.journal.Append(t.Context(), b.log(), sdk.JournalBatch{Progress: &p}); err != nil {
		t.Fatal(err)
	}
	asked := b.server.Faults.Requests()
	_, err = b.client.EventsByEmail(t.Context(), "ada@example.com")
	checkError(t, err, fault.Conflict, "99", "newer version")
	_, err = b.client.TestConnectivity(t.Context())
	checkError(t, err, fault.Conflict, "99")
	if got := b.server.Faults.Requests(); got != asked {
		t.Errorf("Duo was asked %d times", got-asked)
	}
}

// A process that wants no raw documents gives none, though another has kept them.
func TestRawOfAnother(t *testing.T) {
	t.Parallel()
	b := setUp(t, benchOptions{sdk: []sdktest.Option{sdktest.WithDebug()}, settings: map[string]any{"DUO_FIRST_PULL": "48h"}})
	email := b.fleet.Person(0).Email
	want := len(b.events(email))
	events, err := sdktest.Open(t, b.plugin, b.settings, sdktest.WithJournal(b.journal)).EventsByEmail(t.Context(), email)
	if err != nil || len(events) != want {
		t.Fatalf("%d events, %v", len(events), err)
	}
	for _, e := range events {
		if len(e.Raw) > 0 {
			t.Fatal("an event has raw data")
		}
	}
}

// Names that the journal cannot take lose no page.
func TestOddNames(t *testing.T) {
	t.Parallel()
	b := setUp(t, benchOptions{people: -1, sdk: []sdktest.Option{sdktest.WithDebug()}, prepare: func(b *bench) {
		long := strings.Repeat("x", 5000)
		for i, who := range []string{long, long + "@example.com", "a\x00b@example.com", "@", "x@" + long, "x@\x00", "\xff@\xff"} {
			b.server.Add(b.event(fmt.Sprint("user", i), who, "", time.Hour))
			b.server.Add(b.event(fmt.Sprint("email", i), "", who, time.Hour))
		}
		b.server.Add(b.event(long, "long", "", time.Hour))
		b.server.Add(b.event("n\x00l", "zero", "", time.Hour))
		b.server.Add(b.event("good", long, "ada@example.com", time.Hour))
	}})
	b.pull()
	if got := len(b.stored()); got != 17 {
		t.Errorf("%d events are stored, want 17", got)
	}
	if got := len(b.events("ada@example.com")); got != 1 {
		t.Errorf("%d events", got)
	}
}

func TestClaims(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		age          time.Duration // by the holder's clock
		first, later bool
	}{
		"just made":                   {age: 0, first: true},
		"by a clock that is ahead":    {age: -8 * time.Minute, first: true},
		"by a clock that is behind":   {age: 8 * time.Minute, first: true},
		"older than any clock is off": {age: 11 * time.Minute},
		"by a clock a day ahead":      {age: -24 * time.Hour, first: true},
	} {
		if first, later := duo.Held(tt.age, 20*time.Second); first != tt.first || later != tt.later {
			t.Errorf("%s: held at first %v, later %v", name, first, later)
		}
	}
}

func TestRest(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct{ age, want time.Duration }{
		"just read":                {0, 2 * time.Minute},
		"half an interval ago":     {time.Minute, time.Minute},
		"an interval ago":          {2 * time.Minute, 0},
		"long ago":                 {48 * time.Hour, 0},
		"by a clock that is ahead": {-5 * time.Minute, 2 * time.Minute},
		"by a clock a day ahead":   {-24 * time.Hour, 0},
	} {
		if got := duo.Rest(tt.age, 2*time.Minute); got > tt.want || got < tt.want-time.Second {
			t.Errorf("%s: rests %v, want %v", name, got, tt.want)
		}
	}
}
