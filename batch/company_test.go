package batch_test

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/postureproject/posture/batch"
	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/store"
	"github.com/postureproject/posture/store/storetest"
)

func today() time.Time { return time.Date(2026, 3, 1, 2, 0, 0, 0, time.UTC) }

// company is a whole company in memory: sources and pipeline of a run. Of each
// person "owner" knows two devices, "mdm" the first by serial, "wifi" the second by
// MAC, "phones" a third by address; "events" can only be asked.
type company struct {
	people int
	users  bool // somebody lists users; else only owners are known

	// fail, when set, may make a listing or a question fail: subject is empty for
	// listings, after is how many records came before.
	fail func(source, subject string, after int) error
	// asked, when set, is told of each scan.
	asked func(email string)
	pause time.Duration // of a question
	page  int           // of a listing

	mu       sync.Mutex
	scans    map[string]int
	listings map[string]int
	inHand   atomic.Int64
	most     atomic.Int64
}

func newCompany(people int) *company {
	return &company{people: people, page: 7, scans: map[string]int{}, listings: map[string]int{}, users: true}
}

func email(i int) string  { return fmt.Sprintf("p%05d@example.com", i) }
func serial(i int) string { return fmt.Sprintf("C02%05dX", i) }
func mac(i int) device.MAC {
	return device.MAC(fmt.Sprintf("00:1B:63:%02X:%02X:%02X", i>>16&255, i>>8&255, i&255))
}

func (c *company) Sources() []batch.Source {
	return []batch.Source{
		{Name: "phones", ListsDevices: true, ByEmail: true},
		{Name: "mdm", ListsDevices: true, BySerial: true, ByMAC: true},
		{Name: "wifi", ListsDevices: true, ByMAC: true},
		{Name: "owner", Ownership: true, ListsDevices: true, ListsUsers: c.users, ByEmail: true},
		{Name: "events"},
	}
}

func (c *company) record(source string, i int) []device.Device {
	practices := map[string]device.Practice{"encryption": {Status: device.OK}}
	if i%3 == 0 {
		practices = map[string]device.Practice{"encryption": {Status: device.Warn}}
	}
	switch source {
	case "owner":
		return []device.Device{
			{Source: source, Email: strings.ToUpper(email(i)), Identifiers: device.Identifiers{Serial: serial(i)}},
			{Source: source, Email: email(i), Identifiers: device.Identifiers{MACAddresses: []device.MAC{mac(i)}}},
		}
	case "mdm":
		return []device.Device{{Source: source, Name: "laptop " + email(i), Identifiers: device.Identifiers{Serial: strings.ToLower(serial(i))}, Practices: practices, LastSync: today()}}
	case "wifi":
		return []device.Device{{Source: source, Name: "tablet " + email(i), Identifiers: device.Identifiers{MACAddresses: []device.MAC{mac(i)}}, LastSync: today().AddDate(0, -2, 0)}}
	case "phones":
		return []device.Device{{Source: source, Name: "phone " + email(i), Email: email(i), LastSync: today()}}
	default:
		return nil
	}
}

const devicesEach = 5 // of one person: the fake pipeline does not merge

func (c *company) failure(source, subject string, after int) error {
	if c.fail == nil {
		return nil
	}
	return c.fail(source, subject, after)
}

func (c *company) ListDevices(ctx context.Context, source string, receive func([]device.Device) error) error {
	c.mu.Lock()
	c.listings[source]++
	c.mu.Unlock()
	sent := 0
	var page []device.Device
	for i := range c.people + 1 { // one more device than people: nobody's
		if err := c.failure(source, "", sent); err != nil {
			return err
		}
		d := c.record(source, i)
		if i == c.people && source == "owner" {
			break
		}
		if i == c.people && source == "phones" {
			d[0].Email = "not an address"
		}
		page = append(page, d...)
		sent += len(d)
		if len(page) >= c.page {
			if err := receive(page); err != nil {
				return err
			}
			page = nil
		}
	}
	if len(page) > 0 {
		return receive(page)
	}
	return ctx.Err()
}

func (c *company) ListUsers(_ context.Context, _ string, receive func([]device.User) error) error {
	for i := range c.people {
		if err := c.failure("owner/users", "", i); err != nil {
			return err
		}
		if err := receive([]device.User{{Email: email(i)}}); err != nil {
			return err
		}
	}
	return nil
}

func (c *company) Transform(_ context.Context, devices []device.Device) ([]device.Device, []device.Outcome) {
	return devices, nil
}

func (c *company) Keys(d device.Device) (string, []device.MAC) {
	return d.Identifiers.Serial, d.Identifiers.MACAddresses
}

func (c *company) Collect(_ context.Context, email string, owned []device.Device, skip func(plugin, namespace string) bool) ([]device.Collection, []device.Outcome) {
	n := c.inHand.Add(1)
	defer c.inHand.Add(-1)
	for {
		most := c.most.Load()
		if n <= most || c.most.CompareAndSwap(most, n) {
			break
		}
	}
	c.mu.Lock()
	c.scans[email]++
	c.mu.Unlock()
	if c.asked != nil {
		c.asked(email)
	}
	if c.pause > 0 {
		time.Sleep(c.pause)
	}
	var outcomes []device.Outcome
	collections := []device.Collection{{Plugin: "events", FetchedAt: today()}}
	if skip("events", "sources.events") {
		return nil, nil
	}
	o := device.Outcome{Plugin: "events", Namespace: "sources.events", OK: true, Count: 1}
	if err := c.failure("events", email, 0); err != nil {
		text := err.Error()
		o.OK, o.Error, o.Count, o.Failure = false, &text, 0, err
	} else {
		collections[0].Events = []device.Event{{Source: "events", Email: email, Type: fmt.Sprintf("%d owned", len(owned))}}
	}
	return collections, append(outcomes, o)
}

func (c *company) Assemble(_ context.Context, email string, collections []device.Collection, outcomes []device.Outcome) device.Posture {
	p := device.Posture{Email: email, Sources: outcomes, GeneratedAt: today()}
	for _, c := range collections {
		p.Devices = append(p.Devices, c.Devices...)
		p.Events = append(p.Events, c.Events...)
	}
	return p
}

func (c *company) scansOf(email string) int {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.scans[email]
}

// bundle is an engine on a store.
type bundle struct {
	*testing.T
	company *company
	store   *store.Store
	options batch.Options
}

func setup(t *testing.T, people int) *bundle {
	t.Helper()
	s := storetest.Open(t, storetest.SQLite(t), nil)
	c := newCompany(people)
	return &bundle{T: t, company: c, store: s, options: batch.Options{
		Store: s, Sources: c, Scanner: c, PersonSinks: []string{"sink"}, SummarySinks: []string{"summary"},
		Holder: t.Name(), Beat: 20 * time.Millisecond, ShardSize: 5, Now: func() time.Time { return today() },
	}}
}

func (b *bundle) run(r batch.Request) (batch.Run, error) {
	b.Helper()
	return batch.New(b.options).Run(b.Context(), r)
}

func (b *bundle) mustRun(r batch.Request) batch.Run {
	b.Helper()
	run, err := b.run(r)
	if err != nil {
		b.Fatalf("run: %v", err)
	}
	return run
}

// posture gives what is stored about a person.
func (b *bundle) posture(i int) device.Posture {
	b.Helper()
	p, err := b.store.Posture(b.Context(), email(i))
	if err != nil {
		b.Fatal(err)
	}
	return p
}

func namesOf(p device.Posture) []string {
	names := map[string]bool{}
	for _, d := range p.Devices {
		if d.Name != "" {
			names[d.Name] = true
		}
	}
	return slices.Sorted(maps.Keys(names))
}

func down(source string) error {
	return &fault.Error{Kind: fault.Unavailable, Source: source, Message: "is down", Remedy: "start it"}
}
