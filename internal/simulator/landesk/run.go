package landesk

import (
	"maps"
	"slices"
	"strings"

	"github.com/postureproject/posture/internal/simulator/fleet"
)

// run yields the rows of the answer, or an error.
func (p *plan) run(yield func([]any, error) bool) {
	if p.limit == 0 {
		return
	}
	byEmail := p.orderedByEmail()
	if !byEmail && !p.orderedByNumber() {
		p.runSorted(yield)
		return
	}
	rows := 0
	var last []any
	for _, id := range p.candidates(byEmail) {
		more := p.about(id, func(joined [][]any, err error) bool {
			if err != nil {
				yield(nil, err)
				return false
			}
			row := p.project(joined, p.columns)
			if p.distinct && last != nil && slices.CompareFunc(row, last, sortKey) == 0 {
				return true
			}
			last = row
			rows++
			return yield(row, nil) && rows != p.limit
		})
		if !more {
			return
		}
	}
}

// orderedByNumber tells whether walking the computers in the order of their
// numbers gives the rows in the wanted order, and equal ones side by side.
func (p *plan) orderedByNumber() bool {
	if p.distinct {
		return false
	}
	return len(p.order) == 0 || len(p.order) == 1 && strings.HasSuffix(p.name(p.order[0]), "."+strings.ToLower(keyColumn))
}

// orderedByEmail is the same for the order of the owners' addresses.
func (p *plan) orderedByEmail() bool {
	address := func(at place) bool { return p.name(at) == "ldapuserattrv.emailaddr" }
	return p.server.o.Edit == nil && len(p.order) == 1 && address(p.order[0]) &&
		(!p.distinct || len(p.columns) == 1 && address(p.columns[0]))
}

// runSorted gathers everything, then sorts.
func (p *plan) runSorted(yield func([]any, error) bool) {
	type keyed struct{ key, row []any }
	var (
		all    []keyed
		failed error
	)
	for _, id := range p.candidates(false) {
		p.about(id, func(joined [][]any, err error) bool {
			if err != nil {
				failed = err
				return false
			}
			all = append(all, keyed{p.project(joined, p.order), p.project(joined, p.columns)})
			return true
		})
	}
	if failed != nil {
		yield(nil, failed)
		return
	}
	slices.SortStableFunc(all, func(a, b keyed) int { return slices.CompareFunc(a.key, b.key, sortKey) })
	var sent [][]any
	for _, k := range all {
		if p.limit >= 0 && len(sent) == p.limit {
			return
		}
		seen := slices.ContainsFunc(sent, func(row []any) bool { return slices.CompareFunc(row, k.row, sortKey) == 0 })
		if p.distinct && seen {
			continue
		}
		sent = append(sent, k.row)
		if !yield(k.row, nil) {
			return
		}
	}
}

// about gives the joined rows about one computer that satisfy the filters, one
// row per table, and reports whether visit wants more.
func (p *plan) about(id int64, visit func(joined [][]any, err error) bool) (more bool) {
	d, known := p.server.fleet.Device(int(id))
	if !known {
		return true
	}
	rows := make([][][]any, len(p.tables))
	for i, t := range p.tables {
		rows[i] = p.server.rowsOf(t, d)
		switch {
		case len(rows[i]) > 0:
		case p.inner[i]:
			return true
		default:
			rows[i] = [][]any{make([]any, len(t.columns))}
		}
	}
	return p.combine(rows, make([][]any, 0, len(rows)), visit)
}

// combine visits every combination of rows.
func (p *plan) combine(rows [][][]any, joined [][]any, visit func([][]any, error) bool) bool {
	if len(joined) == len(rows) {
		satisfied, err := p.satisfied(joined)
		if err != nil {
			return visit(nil, err)
		}
		return !satisfied || visit(joined, nil)
	}
	for _, row := range rows[len(joined)] {
		if !p.combine(rows, append(joined, row), visit) {
			return false
		}
	}
	return true
}

func (p *plan) satisfied(joined [][]any) (bool, error) {
	for _, f := range p.filters {
		value := joined[f.place.table][f.place.column]
		var (
			ok  bool
			err error
		)
		if f.sign == "in" {
			ok, err = contains(f.values, value)
		} else {
			ok, err = holds(f.sign, value, f.values[0])
		}
		if err != nil || !ok {
			return false, err
		}
	}
	return true, nil
}

func (p *plan) project(joined [][]any, places []place) []any {
	row := make([]any, len(places))
	for i, at := range places {
		row[i] = joined[at.table][at.column]
	}
	return row
}

// rowsOf gives a table's rows about a computer, edited if so wished.
func (s *Server) rowsOf(t table, d fleet.Device) [][]any {
	rows := t.rows(s, d)
	if s.o.Edit == nil {
		return rows
	}
	named := make([]map[string]any, len(rows))
	for i, row := range rows {
		named[i] = make(map[string]any, len(row))
		for c, v := range row {
			named[i][t.columns[c].Name] = v
		}
	}
	named = s.o.Edit(t.name, named)
	edited := make([][]any, len(named))
	for i, byName := range named {
		byName = maps.Clone(byName)
		edited[i] = make([]any, len(t.columns))
		for c, column := range t.columns {
			edited[i][c] = byName[column.Name]
		}
	}
	return edited
}
