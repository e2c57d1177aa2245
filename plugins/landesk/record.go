package landesk

import (
	"fmt"
	"slices"
	"strings"
	"time"
)

// computer is one computer of one owner, as [computers] tells of it.
type computer struct {
	id                            int64
	email, name, deviceID, kind   string
	updated, hardware, software   time.Time // when inventory last came in, and of what
	model, maker, serial, version string    // version: of the system, which is Lenovo's name of the model
	build, ntVersion, release, os string
	volumes                       []volume
	notes                         []string
}

// volume is a BitLocker row.
type volume struct{ protection, conversion, product, percent string }

// vulnerability is a finding of the security scanner.
type vulnerability struct{ id, kind, severity, title, reason string }

// adapter is a network adapter.
type adapter struct{ address, firewall string }

// suite is an installed program.
type suite struct {
	name, version, publisher string
	installed                time.Time
	date                     string // as LANDESK has it
	odd                      bool   // the date cannot be read
}

// owned is a row about a computer.
type owned[T any] struct {
	id    int64
	known bool // the row names its computer
	row   T
}

// own makes a reader of rows that start with the computer's number.
func own[T any](read func(cells []any) T) func(cells []any) owned[T] {
	return func(cells []any) owned[T] {
		id, ok := identity(cells[0])
		return owned[T]{id, ok, read(cells[1:])}
	}
}

// byComputer sorts rows to their computers, each computer's in a fixed order:
// the database promises none.
func byComputer[T any](rows []owned[T], order func(a, b T) int) map[int64][]T {
	all := make(map[int64][]T)
	for _, r := range rows {
		if r.known {
			all[r.id] = append(all[r.id], r.row)
		}
	}
	for _, of := range all {
		slices.SortStableFunc(of, order)
	}
	return all
}

// readComputer reads a row of [computers].
func readComputer(cells []any, zone *time.Location) owned[computer] {
	id, known := identity(cells[0])
	c := computer{
		id: id, email: text(cells[1]), name: text(cells[2]), deviceID: text(cells[3]), kind: text(cells[4]),
		model: text(cells[8]), maker: text(cells[9]), serial: text(cells[10]), version: text(cells[11]),
		build: text(cells[16]), ntVersion: text(cells[17]), release: text(cells[18]), os: text(cells[19]),
	}
	c.updated = c.moment("LASTUPDINVSVR", cells[5], zone)
	c.hardware = c.moment("HWLASTSCANDATE", cells[6], zone)
	c.software = c.moment("SWLASTSCANDATE", cells[7], zone)
	if v := (volume{text(cells[12]), text(cells[13]), text(cells[14]), text(cells[15])}); v != (volume{}) {
		c.volumes = []volume{v}
	}
	return owned[computer]{id, known, c}
}

func (c *computer) moment(column string, cell any, zone *time.Location) time.Time {
	t, ok := moment(cell, zone)
	if !ok {
		c.notes = append(c.notes, fmt.Sprintf("%s %q is not a date that can be read.", column, text(cell)))
	}
	return t
}

// gather makes one record per computer and owner of the rows that the joins
// multiply. Where rows differ in what a computer has one of, the first that has
// it counts.
func gather(rows []owned[computer]) []computer {
	type identity struct {
		id    int64
		email string
	}
	var all []computer
	at := make(map[identity]int, len(rows))
	for _, r := range rows {
		if !r.known {
			continue
		}
		key := identity{r.id, strings.ToLower(r.row.email)}
		i, seen := at[key]
		if !seen {
			at[key] = len(all)
			all = append(all, r.row)
			continue
		}
		all[i].fill(r.row)
	}
	for i := range all {
		slices.SortFunc(all[i].volumes, func(a, b volume) int { return strings.Compare(fmt.Sprint(a), fmt.Sprint(b)) })
	}
	slices.SortStableFunc(all, func(a, b computer) int {
		if a.id != b.id {
			return int(min(1, max(-1, a.id-b.id)))
		}
		return strings.Compare(a.email, b.email)
	})
	return all
}

// fill takes from another row what this one lacks, and its volumes.
func (c *computer) fill(other computer) {
	texts := []struct{ own, other *string }{
		{&c.name, &other.name},
		{&c.deviceID, &other.deviceID},
		{&c.kind, &other.kind},
		{&c.model, &other.model},
		{&c.maker, &other.maker},
		{&c.serial, &other.serial},
		{&c.version, &other.version},
		{&c.build, &other.build},
		{&c.ntVersion, &other.ntVersion},
		{&c.release, &other.release},
		{&c.os, &other.os},
	}
	for _, t := range texts {
		if *t.own == "" {
			*t.own = *t.other
		}
	}
	for _, v := range other.volumes {
		if !slices.Contains(c.volumes, v) {
			c.volumes = append(c.volumes, v)
		}
	}
}

func readVulnerability(cells []any) vulnerability {
	return vulnerability{text(cells[0]), text(cells[1]), text(cells[2]), text(cells[3]), text(cells[4])}
}

func readAdapter(cells []any) adapter { return adapter{text(cells[0]), text(cells[1])} }

func readSuite(zone *time.Location) func(cells []any) suite {
	return func(cells []any) suite {
		s := suite{name: text(cells[0]), version: text(cells[1]), publisher: text(cells[2]), date: text(cells[3])}
		var ok bool
		s.installed, ok = moment(cells[3], zone)
		s.odd = !ok
		return s
	}
}

func compareTexts(pairs ...string) int {
	for i := 0; i+1 < len(pairs); i += 2 {
		if order := strings.Compare(pairs[i], pairs[i+1]); order != 0 {
			return order
		}
	}
	return 0
}

func orderVulnerabilities(a, b vulnerability) int {
	return compareTexts(a.title, b.title, a.id, b.id, a.reason, b.reason)
}

func orderAdapters(a, b adapter) int {
	return compareTexts(a.address, b.address, a.firewall, b.firewall)
}

func orderSuites(a, b suite) int {
	return compareTexts(a.name, b.name, a.version, b.version, a.publisher, b.publisher, a.date, b.date)
}
