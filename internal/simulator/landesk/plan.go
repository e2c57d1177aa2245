package landesk

import (
	"fmt"
	"slices"
	"strings"

	"github.com/postureproject/posture/internal/simulator/fleet"
	"github.com/postureproject/posture/internal/simulator/tds"
)

// place is a column of a plan's tables.
type place struct{ table, column int }

// filter is a condition with its values at hand.
type filter struct {
	place  place
	sign   string
	values []any
}

// plan is a statement bound to tables and parameters.
type plan struct {
	server   *Server
	tables   []table
	inner    []bool // the join drops computers without a row
	columns  []place
	filters  []filter
	order    []place
	distinct bool
	limit    int // rows at most; negative: all
	aliases  map[string]int
	params   map[string]any
}

func (s *Server) plan(st *statement, params map[string]any) (*plan, error) {
	p := &plan{server: s, distinct: st.distinct, limit: -1, aliases: make(map[string]int), params: params}
	if err := p.bindTables(st); err != nil {
		return nil, err
	}
	var err error
	if p.columns, err = p.places(st.columns); err != nil {
		return nil, err
	}
	if p.order, err = p.places(st.order); err != nil {
		return nil, err
	}
	for _, c := range st.where {
		if err := p.bindCondition(c); err != nil {
			return nil, err
		}
	}
	if st.top != nil {
		v, err := p.value(*st.top)
		if err != nil {
			return nil, err
		}
		n, ok := v.(int64)
		if !ok || n < 0 {
			return nil, &tds.Error{Number: 1060, State: 1, Class: 15, Message: "The number of rows provided for a TOP clause must be a positive whole number."}
		}
		p.limit = int(n)
	}
	return p, nil
}

func (p *plan) bindTables(st *statement) error {
	if err := p.bindTable(st.from, true); err != nil {
		return err
	}
	for _, j := range st.joins {
		if err := p.bindTable(j.table, !j.left); err != nil {
			return err
		}
		for _, c := range []columnName{j.first, j.then} {
			at, err := p.place(c)
			if err != nil {
				return err
			}
			// Everything hangs on the computer; other joins are not understood.
			if !strings.EqualFold(p.tables[at.table].columns[at.column].Name, keyColumn) {
				return syntaxError(c.name)
			}
		}
	}
	return nil
}

func (p *plan) bindTable(t tableName, inner bool) error {
	name := strings.ToLower(t.name)
	p.server.mu.Lock()
	denied, removed := p.server.denied[name], p.server.removed[name]
	p.server.mu.Unlock()
	bound, known := p.server.tables[name]
	switch {
	case !known || removed:
		return &tds.Error{Number: 208, State: 1, Class: 16, Message: fmt.Sprintf("Invalid object name '%s'.", t.name)}
	case denied:
		return &tds.Error{Number: 229, State: 5, Class: 14, Message: fmt.Sprintf(
			"The SELECT permission was denied on the object '%s', database '%s', schema 'dbo'.", bound.name, p.server.o.Database)}
	}
	if _, taken := p.aliases[t.alias]; taken {
		return &tds.Error{Number: 1011, State: 1, Class: 16, Message: fmt.Sprintf("The correlation name '%s' is specified multiple times.", t.alias)}
	}
	p.aliases[t.alias] = len(p.tables)
	p.tables, p.inner = append(p.tables, bound), append(p.inner, inner)
	return nil
}

func (p *plan) place(c columnName) (place, error) {
	t, known := p.aliases[c.alias]
	if !known {
		return place{}, &tds.Error{Number: 4104, State: 1, Class: 16, Message: fmt.Sprintf("The multi-part identifier \"%s.%s\" could not be bound.", c.alias, c.name)}
	}
	i := slices.IndexFunc(p.tables[t].columns, func(have tds.Column) bool { return strings.EqualFold(have.Name, c.name) })
	if i < 0 {
		return place{}, &tds.Error{Number: 207, State: 1, Class: 16, Message: fmt.Sprintf("Invalid column name '%s'.", c.name)}
	}
	return place{t, i}, nil
}

func (p *plan) places(names []columnName) ([]place, error) {
	places := make([]place, len(names))
	for i, n := range names {
		var err error
		if places[i], err = p.place(n); err != nil {
			return nil, err
		}
	}
	return places, nil
}

func (p *plan) value(o operand) (any, error) {
	if o.param == "" {
		return o.number, nil
	}
	v, given := p.params[o.param]
	if !given {
		return nil, &tds.Error{Number: 137, State: 2, Class: 15, Message: fmt.Sprintf("Must declare the scalar variable \"@%s\".", o.param)}
	}
	return v, nil
}

func (p *plan) bindCondition(c condition) error {
	at, err := p.place(c.column)
	if err != nil {
		return err
	}
	f := filter{place: at, sign: c.sign}
	for _, o := range c.values {
		v, err := p.value(o)
		if err != nil {
			return err
		}
		f.values = append(f.values, v)
	}
	if c.within != nil {
		inner, err := p.server.plan(c.within, p.params)
		if err != nil {
			return err
		}
		if len(inner.columns) != 1 {
			return &tds.Error{Number: 116, State: 1, Class: 16, Message: "Only one expression can be specified in the select list when the subquery is not introduced with EXISTS."}
		}
		for row, err := range inner.run {
			if err != nil {
				return err
			}
			f.values = append(f.values, row[0])
		}
	}
	p.filters = append(p.filters, f)
	return nil
}

func (p *plan) name(at place) string {
	return strings.ToLower(p.tables[at.table].name + "." + p.tables[at.table].columns[at.column].Name)
}

// candidates gives the computers that can satisfy the filters, in the order
// that byEmail or byNumber tells, and no more than needed where an index helps.
func (p *plan) candidates(byEmail bool) []int64 {
	s := p.server
	if byEmail {
		return p.candidatesByEmail()
	}
	ids := s.ids
	for _, f := range p.filters {
		switch {
		case len(f.values) == 0: // IN of nothing
			return nil
		case strings.HasSuffix(p.name(f.place), "."+strings.ToLower(keyColumn)):
			ids = narrow(ids, f)
		case s.o.Edit != nil || f.sign != "=":
			// Edited rows may say other things than the company's own records.
		default:
			if found, indexed := p.lookUp(f); indexed {
				ids = slices.DeleteFunc(found, func(id int64) bool {
					_, in := slices.BinarySearch(ids, id)
					return !in
				})
			}
		}
	}
	return ids
}

func (p *plan) candidatesByEmail() []int64 {
	owned := p.server.byEmail
	for _, f := range p.filters {
		if len(f.values) == 0 {
			return nil
		}
		lower, isText := f.values[0].(string)
		if p.name(f.place) == "ldapuserattrv.emailaddr" && f.sign == ">" && isText {
			from, _ := slices.BinarySearchFunc(owned, lower, func(o ownedComputer, after string) int {
				return strings.Compare(o.email, fold(after))
			})
			owned = owned[from:]
		}
	}
	ids := make([]int64, len(owned))
	for i, o := range owned {
		ids[i] = o.id
	}
	return ids
}

// narrow keeps the numbers of an ascending list that satisfy a filter on them.
func narrow(ids []int64, f filter) []int64 {
	first, isNumber := f.values[0].(int64)
	from, found := slices.BinarySearch(ids, first)
	after := from
	if found {
		after++
	}
	switch {
	case f.sign == "in" || f.sign == "=":
		var kept []int64
		for _, v := range f.values {
			if n, ok := v.(int64); ok {
				if _, in := slices.BinarySearch(ids, n); in {
					kept = append(kept, n)
				}
			}
		}
		slices.Sort(kept)
		return slices.Compact(kept)
	case !isNumber:
		return ids
	case f.sign == ">":
		return ids[after:]
	case f.sign == ">=":
		return ids[from:]
	case f.sign == "<":
		return ids[:from]
	case f.sign == "<=":
		return ids[:after]
	default:
		return ids
	}
}

// lookUp finds computers by an address, a serial number or a hardware address,
// in ascending order.
func (p *plan) lookUp(f filter) (ids []int64, indexed bool) {
	text, isText := f.values[0].(string)
	if !isText {
		return nil, false
	}
	s, text := p.server, fold(text)
	add := func(devices ...fleet.Device) {
		for _, d := range devices {
			if d.Kind == fleet.Windows {
				ids = append(ids, int64(d.ID))
			}
		}
	}
	switch p.name(f.place) {
	case "ldapuserattrv.emailaddr":
		if person, known := s.fleet.PersonByEmail(text); known {
			add(s.fleet.Devices(person, fleet.Windows)...)
		}
	case "compsystem.serialnum":
		if d, known := s.fleet.DeviceBySerial(text); known {
			add(d)
		}
	case "boundadapter.physaddress":
		digits := strings.ToUpper(text)
		if shared, isDongle := s.dongles[digits]; isDongle {
			return slices.Clone(shared), true
		}
		if len(digits) != 12 || digits == virtualAddress {
			return nil, false
		}
		add(s.fleet.DevicesByMAC(colons(digits))...)
	default:
		return nil, false
	}
	return ids, true
}

func colons(digits string) string {
	pairs := make([]string, 0, 6)
	for pair := range slices.Chunk([]byte(digits), 2) {
		pairs = append(pairs, string(pair))
	}
	return strings.Join(pairs, ":")
}
