package duo_test

import (
	"encoding/json"
	"fmt"
	"slices"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/device"
	sim "github.com/postureproject/posture/internal/simulator/duo"
	"github.com/postureproject/posture/plugins/duo"
	"github.com/postureproject/posture/plugins/sdk"
	"github.com/postureproject/posture/plugins/sdk/sdktest"
)

func TestDescribe(t *testing.T) {
	t.Parallel()
	d, err := duo.Plugin().Describe()
	if err != nil {
		t.Fatal(err)
	}
	want := []sdk.Capability{sdk.CapEvents, sdk.CapTestConnectivity}
	if diff := cmp.Diff(want, d.Capabilities); diff != "" || d.Name != "duo" || d.Ownership || !d.Journal {
		t.Errorf("description is %+v", d)
	}
}

func TestEventsByEmail_Golden(t *testing.T) {
	t.Parallel()
	b := setUp(t, benchOptions{settings: map[string]any{"DUO_FIRST_PULL": "48h"}})
	golden(t, "person0.golden.json", b.events(b.fleet.Person(0).Email))
}

// TestEventsByEmail compares every person's events with the fleet's.
func TestEventsByEmail(t *testing.T) {
	t.Parallel()
	b := setUp(t, benchOptions{settings: map[string]any{"DUO_FIRST_PULL": "48h"}})
	oldest := b.clock.now().Add(-48*time.Hour - 2*time.Minute)
	for i := range b.fleet.Len() {
		p := b.fleet.Person(i)
		var want []device.Event
		for _, l := range b.fleet.Logins(p, 2) {
			if !l.At.Before(oldest) {
				want = append(want, device.Event{
					Source: "duo", Type: l.Factor, Success: &l.Success, Reason: l.Reason, IPAddress: l.IP, Timestamp: l.At, Username: p.Local, Email: p.Email,
				})
			}
		}
		slices.SortFunc(want, func(a, b device.Event) int { return b.Timestamp.Compare(a.Timestamp) })
		got := b.events(strings.ToUpper(p.Email))
		for j := range got {
			got[j].Details = nil
		}
		if diff := cmp.Diff(want, got); diff != "" {
			t.Errorf("%s (-want +got):\n%s", p.Email, diff)
		}
	}
	if got := b.server.Faults.Requests(); got != 1 {
		t.Errorf("%d requests for all look-ups, want the pull's one", got)
	}
}

func TestFirstPull(t *testing.T) {
	t.Parallel()
	for name, tt := range map[string]struct {
		settings map[string]any
		reach    time.Duration
	}{
		"default": {nil, 12 * time.Hour},
		"longer":  {map[string]any{"DUO_FIRST_PULL": "30h"}, 30 * time.Hour},
		"longest": {map[string]any{"DUO_FIRST_PULL": "4320h"}, 4320*time.Hour - 2*time.Minute},
		"kept for less than the first pull reaches": {map[string]any{"DUO_FIRST_PULL": "30h", "DUO_RETENTION": "30h"}, 30*time.Hour - 2*time.Minute},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setUp(t, benchOptions{settings: tt.settings, prepare: func(b *bench) {
				b.server.Add(b.event("within", "x", "x@example.com", tt.reach))
				b.server.Add(b.event("beyond", "x", "x@example.com", tt.reach+2*time.Minute+time.Second))
			}})
			b.pull()
			stored := b.stored()
			if stored["within"] != 1 || stored["beyond"] != 0 {
				t.Errorf("within %d times, beyond %d times", stored["within"], stored["beyond"])
			}
		})
	}
}

// TestLag checks that the log's last two minutes are read later, and that what
// appears late, within the overlap, is found too.
func TestLag(t *testing.T) {
	t.Parallel()
	b := setUp(t, benchOptions{})
	b.pull()
	b.server.Add(b.event("recent", "x", "x@example.com", time.Minute))
	b.server.Add(b.event("late", "x", "x@example.com", 6*time.Minute))
	b.pull()
	if stored := b.stored(); stored["recent"] != 0 || stored["late"] != 1 {
		t.Errorf("recent %d times, late %d times", stored["recent"], stored["late"])
	}
	b.clock.add(time.Minute)
	b.pull()
	if got := len(b.events("x@example.com")); got != 2 {
		t.Errorf("got %d events, want 2", got)
	}
}

func TestPages(t *testing.T) {
	t.Parallel()
	for name, comma := range map[string]bool{"list": false, "text with a comma": true} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			b := setUp(t, benchOptions{
				sim: sim.Options{Days: 20, CommaOffset: comma}, settings: map[string]any{"DUO_FIRST_PULL": "4320h"},
			})
			b.pull()
			if diff := cmp.Diff(b.logins(20), b.stored()); diff != "" {
				t.Errorf("events (-want +got):\n%s", diff)
			}
			if got, want := b.server.Faults.Requests(), b.pages(); got != want {
				t.Errorf("%d requests, want %d", got, want)
			}
		})
	}
}

func TestIdentity(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		user, email string   // in Duo's log
		domains     []string // DUO_DOMAINS
		ask         string
		others      string // an address that appears elsewhere in the log
		want        bool
	}{
		"address":                          {user: "ada", email: "ada@example.com", ask: "ada@example.com", want: true},
		"address without case":             {user: "ada", email: "Ada@Example.COM", ask: " aDa@example.com", want: true},
		"another address":                  {user: "ada", email: "ada@example.com", ask: "alan@example.com"},
		"user name is the address":         {user: "ADA@example.com", ask: "ada@example.com", want: true},
		"user name is another's address":   {user: "ada@other.com", ask: "ada@example.com"},
		"bare user name":                   {user: "Ada", ask: "ada@example.com", others: "x@example.com", want: true},
		"bare user name, no domains known": {user: "ada", ask: "ada@example.com", want: true},
		"bare user name, foreign domain":   {user: "ada", ask: "ada@other.com", others: "x@example.com"},
		"bare user name, own domain":       {user: "ada", domains: []string{"@Example.com"}, ask: "ada@example.com", others: "x@other.com", want: true},
		"bare user name, not own domain":   {user: "ada", domains: []string{"example.com"}, ask: "ada@other.com", others: "x@other.com"},
		"bare user name, foreign address":  {user: "ada", email: "ada@other.com", ask: "ada@example.com", others: "x@example.com"},
		"bare user name, other address":    {user: "ada", email: "ada.lovelace@example.com", ask: "ada@example.com"},
		"a part of a name":                 {user: "ada.lovelace", ask: "ada@example.com"},
		"wildcards":                        {user: "ada", ask: "a%@example.com"},
		"no address at all":                {user: "", ask: ""},
		"only a domain":                    {user: "", ask: "@example.com"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			settings := map[string]any{}
			if tt.domains != nil {
				settings["DUO_DOMAINS"] = tt.domains
			}
			b := setUp(t, benchOptions{people: -1, settings: settings, prepare: func(b *bench) {
				b.server.Add(b.event("1", tt.user, tt.email, time.Hour))
				if tt.others != "" {
					b.server.Add(b.event("2", "another", tt.others, time.Hour))
				}
			}})
			if got := len(b.events(tt.ask)); (got == 1) != tt.want || got > 1 {
				t.Errorf("got %d events, want any: %v", got, tt.want)
			}
		})
	}
}

func TestNewestFirstAndBounded(t *testing.T) {
	t.Parallel()
	b := setUp(t, benchOptions{people: -1, prepare: func(b *bench) {
		for i := range 600 {
			b.server.Add(b.event(fmt.Sprintf("e%03d", i), "ada", "ada@example.com", time.Hour+time.Duration(i)*time.Second))
		}
	}})
	events := b.events("ada@example.com")
	if len(events) != 500 {
		t.Fatalf("got %d events, want 500", len(events))
	}
	for i, e := range events {
		if want := b.clock.now().Add(-time.Hour - time.Duration(i)*time.Second); !e.Timestamp.Equal(want) {
			t.Fatalf("event %d is of %v, want %v", i, e.Timestamp, want)
		}
	}
}

func TestPruning(t *testing.T) {
	t.Parallel()
	b := setUp(t, benchOptions{people: -1, settings: map[string]any{"DUO_RETENTION": "24h"}, prepare: func(b *bench) {
		b.server.Add(b.event("old", "ada", "ada@example.com", 11*time.Hour))
		b.server.Add(b.event("young", "ada", "ada@example.com", time.Hour))
	}})
	b.pull()
	b.clock.add(14 * time.Hour)
	b.pull()
	if diff := cmp.Diff(map[string]int{"young": 1}, b.stored()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

func TestDebug(t *testing.T) {
	t.Parallel()
	for name, debug := range map[string]bool{"on": true, "off": false} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			var options []sdktest.Option
			if debug {
				options = append(options, sdktest.WithDebug())
			}
			b := setUp(t, benchOptions{sdk: options, settings: map[string]any{"DUO_FIRST_PULL": "48h"}})
			for _, e := range b.events(b.fleet.Person(0).Email) {
				if (len(e.Raw) > 0) != debug {
					t.Errorf("event has %d bytes of raw data", len(e.Raw))
				}
			}
		})
	}
}

func TestConnectivity(t *testing.T) {
	t.Parallel()
	b := setUp(t, benchOptions{})
	for range 2 {
		detail, err := b.client.TestConnectivity(t.Context())
		if err != nil || !strings.Contains(detail, "127.0.0.1") || !strings.Contains(detail, "up to 2026-06-01T11:58:00Z") {
			t.Errorf("got %q and error %v", detail, err)
		}
	}
}

func TestOddEntries(t *testing.T) {
	t.Parallel()
	b := setUp(t, benchOptions{people: -1, prepare: func(b *bench) {
		for i, document := range []string{`null`, `7`, `[]`, `{}`, `{"txid":"x","timestamp":"soon"}`} {
			e := b.event(strconv.Itoa(i), "", "", time.Hour)
			e.Document = json.RawMessage(document)
			b.server.Add(e)
		}
		b.server.Add(b.event("good", "ada", "ada@example.com", time.Hour))
	}})
	b.pull()
	if diff := cmp.Diff(map[string]int{"good": 1}, b.stored()); diff != "" {
		t.Errorf("(-want +got):\n%s", diff)
	}
}

// TestConcurrentLookUps looks many people up while the log is being read.
func TestConcurrentLookUps(t *testing.T) {
	t.Parallel()
	b := setUp(t, benchOptions{people: 60, sim: sim.Options{Days: 7}, settings: map[string]any{"DUO_FIRST_PULL": "4320h"}})
	results := make(chan []device.Event)
	for i := range 60 {
		go func() {
			events, err := b.client.EventsByEmail(t.Context(), b.fleet.Person(i).Email)
			if err != nil {
				t.Error(err)
			}
			results <- events
		}()
	}
	total := 0
	for range 60 {
		total += len(<-results)
	}
	if total != b.server.Len() {
		t.Errorf("%d events for all people, want %d", total, b.server.Len())
	}
}
