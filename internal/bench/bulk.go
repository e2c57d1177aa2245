package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"time"
)

// peopleInHand is how many people a run has in hand at once, as configured when
// nothing is, and how many the bare client asks about at once.
const peopleInHand = 10

// play is what a run is made over.
type play struct {
	devices int
	latency time.Duration // of every answer of its vendors
}

// name tells its figures from another's.
func (c play) name() string { return fmt.Sprintf("%d/%s", c.devices, c.latency) }

// bulkFigures are those of one run.
type bulkFigures struct {
	play
	run                               bulkDone
	lists, questions, rows, documents measured
	sent                              taken
}

// slowest and sum are of the limits, in seconds.
func (f bulkFigures) slowest() float64 {
	return max(f.lists.Seconds+f.questions.Seconds, f.rows.Seconds, f.documents.Seconds)
}

func (f bulkFigures) sum() float64 {
	return f.lists.Seconds + f.questions.Seconds + f.rows.Seconds + f.documents.Seconds
}

// bulkDatabase is where the run over the largest company leaves its answers, for
// the part that reads them.
func bulkDatabase(dir string) string { return filepath.Join(dir, "bulk.db") }

// distant is the latency of vendors on the Internet, which answer no faster.
const distant = 50 * time.Millisecond

// measureBulk compares runs over whole companies with what each of their parts
// takes at least.
func measureBulk(ctx context.Context, o options, self string, _ *simulators, r *report) error {
	// The largest one without latency is the last: what it leaves is read by the
	// next part.
	plays := []play{{10_000, distant}, {10_000, 0}, {50_000, 0}, {100_000, 0}}
	if o.quick {
		plays = []play{{500, distant}, {500, 0}, {2_000, 0}}
	}
	if o.devices > 0 {
		plays = []play{{o.devices, o.latency}}
	}
	var all []bulkFigures
	for _, c := range plays {
		f, err := bulkSize(ctx, o, self, c)
		if err != nil {
			return fmt.Errorf("%d devices: %w", c.devices, err)
		}
		all = append(all, f)
	}
	r.add(bulkTable(all))
	r.add(limitsTable(all))
	r.add(bulkMemory(all))
	return nil
}

// oddities tells what must not be in figures that are right.
func (f bulkFigures) oddities() (odd []string) {
	if f.run.Complete != f.run.People {
		odd = append(odd, fmt.Sprintf("%d of %d people are not complete, such as %s", f.run.People-f.run.Complete, f.run.People, f.run.Failure))
	}
	if f.sent.Documents != int64(f.run.Devices) {
		odd = append(odd, fmt.Sprintf("%d documents were sent about %d devices", f.sent.Documents, f.run.Devices))
	}
	return odd
}

// bulkSize measures one size of company.
func bulkSize(ctx context.Context, o options, self string, c play) (f bulkFigures, err error) {
	f.play = c
	people, owned := peopleFor(c.devices)
	dir, err := os.MkdirTemp(o.dir, "company-")
	if err != nil {
		return f, err
	}
	sims, err := startCompany(ctx, self, people, dir)
	if err != nil {
		return f, err
	}
	defer sims.process.stop()
	if err := sims.setLatency(ctx, c.latency); err != nil {
		return f, err
	}
	s := bulkSetup{
		setup:    setup{Kind: "bulk", World: sims.world, Posture: o.posture, Dir: dir, Profile: o.profile},
		Database: bulkDatabase(o.dir), Devices: c.devices,
	}
	if err := removeDatabase(s.Database); err != nil {
		return f, err
	}
	limits, err := start(ctx, self, "limits")
	if err != nil {
		return f, err
	}
	defer limits.stop()
	if err := limits.send(s); err != nil {
		return f, err
	}
	// The first reading has the pages rendered.
	for _, of := range []struct {
		task limit
		into *measured
	}{{limit{What: "lists"}, new(measured)}, {limit{What: "lists"}, &f.lists}, {limit{What: "questions", AtOnce: peopleInHand}, &f.questions}} {
		if err := limits.limit(of.task, of.into); err != nil {
			return f, err
		}
	}
	if f.run, err = runBulk(ctx, self, s); err != nil {
		return f, err
	}
	if f.sent, err = sims.taken(ctx); err != nil {
		return f, err
	}
	if f.run.People != people || f.run.Devices < owned/2 {
		return f, fmt.Errorf("the run found %d people and %d devices of %d and %d", f.run.People, f.run.Devices, people, owned)
	}
	for _, of := range []struct {
		what string
		into *measured
	}{{"store", &f.rows}, {"documents", &f.documents}} {
		if err := limits.limit(limit{What: of.what, Documents: int(f.sent.Documents)}, of.into); err != nil {
			return f, err
		}
	}
	return f, removeDatabase(s.Database + ".raw")
}

// runBulk has a process of its own make the run.
func runBulk(ctx context.Context, self string, s bulkSetup) (d bulkDone, err error) {
	p, err := start(ctx, self, "bulk")
	if err != nil {
		return d, err
	}
	defer p.stop()
	return d, p.call(s, &d)
}

// limit has the limits' process measure one.
func (p *process) limit(task limit, m *measured) error {
	if err := p.call(task, m); err != nil {
		return fmt.Errorf("limit %s: %w", task.What, err)
	}
	if m.Error != "" {
		return fmt.Errorf("limit %s: %s", task.What, m.Error)
	}
	return nil
}

func removeDatabase(path string) error {
	var errs []error
	for _, suffix := range []string{"", "-wal", "-shm"} {
		if err := os.Remove(path + suffix); err != nil && !errors.Is(err, os.ErrNotExist) {
			errs = append(errs, err)
		}
	}
	return errors.Join(errs...)
}

func bulkTable(all []bulkFigures) table {
	t := table{
		Title:  "A run over a whole company, all sources, SQLite, documents to a search server",
		Header: []string{"devices", "latency", "people", "seconds", "of which lists", "people/s", "devices/s", "CPU ms/person", "slowest limit (s)", "times that", "all limits (s)", "times that"},
		Notes: []string{
			"Lists of Jamf, LANDESK, Google, bitFit and files; log-ins, accounts and notifications asked per person, 10 people at once; Duo from its own log.",
			"Until the last document was taken by a server that only reads and answers. CPU is of the host and all plugins.",
			"The aim is 1.5 times the slowest limit.",
		},
		Values: map[string]float64{},
	}
	for _, f := range all {
		d := f.run
		row := []string{fmt.Sprint(d.Devices), f.latency.String(), fmt.Sprint(d.People)}
		add := func(name string, digits int, v float64) {
			row = append(row, decimal(v, digits))
			t.Values[f.name()+" "+name] = v
		}
		add("seconds", 1, d.Seconds)
		add("seconds of lists", 1, d.Reading)
		add("people/s", 0, float64(d.People)/d.Seconds)
		add("devices/s", 0, float64(d.Devices)/d.Seconds)
		add("CPU ms/person", 2, 1000*d.CPU/float64(d.People))
		add("slowest limit", 1, f.slowest())
		add("times the slowest limit", 2, d.Seconds/f.slowest())
		add("all limits", 1, f.sum())
		add("times all limits", 2, d.Seconds/f.sum())
		t.Rows = append(t.Rows, row)
		t.Notes = append(t.Notes, f.oddities()...)
	}
	return t
}

func limitsTable(all []bulkFigures) table {
	t := table{
		Title:  "Its limits, each by itself (s)",
		Header: []string{"devices", "latency", "reading lists", "records", "CPU", "asking per person", "CPU", "writing rows", "rows", "MB", "sending documents", "documents", "MB"},
		Notes: []string{
			"Reading: a plain client that makes the same requests of the same simulators, all lists side by side, and decodes with encoding/json.",
			fmt.Sprintf("Asking: about %d people at most, %d at once, and scaled up. The limit is reading and asking together, as a run must do both.", asked, peopleInHand),
			fmt.Sprintf("Writing: the bytes of the rows that the run has left, of %d people or %d staged records in a transaction, flushed alike.", rawPeople, rawPieces),
			fmt.Sprintf("Sending: as many documents, made of those of %d people, %d in a request.", sampled, bulkDocuments),
		},
		Values: map[string]float64{},
	}
	for _, f := range all {
		row := []string{fmt.Sprint(f.run.Devices), f.latency.String()}
		add := func(name string, digits int, v float64) {
			row = append(row, decimal(v, digits))
			t.Values[f.name()+" "+name] = v
		}
		add("lists", 1, f.lists.Seconds)
		add("records", 0, float64(f.lists.Count))
		add("CPU of lists", 1, f.lists.CPU)
		add("questions", 1, f.questions.Seconds)
		add("CPU of questions", 1, f.questions.CPU)
		add("rows written", 1, f.rows.Seconds)
		add("rows", 0, float64(f.rows.Count))
		add("MB of rows", 0, float64(f.rows.Bytes)/(1<<20))
		add("documents sent", 1, f.documents.Seconds)
		add("documents", 0, float64(f.documents.Count))
		add("MB of documents", 0, float64(f.documents.Bytes)/(1<<20))
		t.Rows = append(t.Rows, row)
	}
	return t
}

// largest names the plugin that took the most memory, and tells how much.
func (d bulkDone) largest() string {
	var name string
	for n, v := range d.Each {
		if name == "" || v > d.Each[name] || v == d.Each[name] && n < name {
			name = n
		}
	}
	return name + " " + megabytes(d.Each[name])
}

func bulkMemory(all []bulkFigures) table {
	t := table{
		Title:  "Memory of such a run (MB resident, at its peak)",
		Header: []string{"devices", "latency", "host before", "host", "plugins before", "plugins", "largest plugin", "state, bytes/device", "host's growth, bytes/device", "database"},
		Notes: []string{
			"State is what the host keeps once all lists are read, the index of identities: its live heap then less that before, over the devices.",
			"Growth is of the host's peak over that of the smallest company, over the further devices. All plugins are counted together.",
		},
		Values: map[string]float64{},
	}
	for i, f := range all {
		d := f.run
		growth := "-"
		if more := d.Devices - all[0].run.Devices; i > 0 && more > d.Devices/2 {
			v := float64(d.Host-all[0].run.Host) / float64(more)
			growth = decimal(v, 0)
			t.Values[f.name()+" growth"] = v
		}
		state := float64(d.State) / float64(d.Devices)
		t.Rows = append(t.Rows, []string{
			fmt.Sprint(d.Devices), f.latency.String(), megabytes(d.HostBefore), megabytes(d.Host), megabytes(d.PluginsBefore), megabytes(d.Plugins), d.largest(),
			decimal(state, 0), growth, megabytes(d.Database),
		})
		for name, v := range map[string]float64{"host": float64(d.Host), "plugins": float64(d.Plugins), "state": state, "database": float64(d.Database)} {
			t.Values[f.name()+" "+name] = v
		}
		for name, v := range d.Each {
			t.Values[fmt.Sprintf("%d plugin %s", d.Devices, name)] = float64(v)
		}
	}
	return t
}
