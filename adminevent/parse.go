package adminevent

import (
	"net/url"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/postureproject/posture/fault"
)

// maxValues bounds how many values one parameter may have.
const maxValues = 100

// ParseQuery reads a query from the parameters of a request, by the names that
// StackRox gives them, such as filter.level, pagination.limit and
// pagination.sortOption.field, or without what stands before the last dot, and
// also in snake case. A parameter may be repeated. What is not known is refused:
// a filter that is ignored would show what nobody asked for.
func ParseQuery(values url.Values) (Query, error) {
	p := parser{given: map[string][]string{}}
	for name, list := range values {
		known := false
		for _, canonical := range parameters() {
			if sameParameter(name, canonical) {
				p.given[canonical] = append(p.given[canonical], list...)
				known = true
				break
			}
		}
		if !known {
			return Query{}, fault.InvalidField(clip(name, 80), "", "is no parameter of this request",
				"use filter.from, until, domain, resourceType, resourceId, resourceName, type, level, source, code or adHoc, and pagination.limit, offset, sortOption.field or sortOption.reversed")
		}
	}
	q := Query{Filter: p.filter(), Limit: p.number("pagination.limit"), Offset: p.number("pagination.offset")}
	p.sort(&q)
	return q, p.err
}

func parameters() []string {
	return []string{
		"filter.from", "filter.until", "filter.domain", "filter.resourceType", "filter.resourceId", "filter.resourceName",
		"filter.type", "filter.level", "filter.source", "filter.code", "filter.adHoc",
		"pagination.limit", "pagination.offset", "pagination.sortOption.field", "pagination.sortOption.reversed",
	}
}

// sameParameter compares a parameter's name with the one in our table.
func sameParameter(name, canonical string) bool {
	name = strings.ReplaceAll(name, "_", "")
	_, plain, _ := strings.Cut(canonical, ".")
	return strings.EqualFold(name, canonical) || strings.EqualFold(name, plain) || strings.EqualFold(name, plain[strings.LastIndexByte(plain, '.')+1:])
}

// parser reads values and keeps the first error.
type parser struct {
	given map[string][]string
	err   error
}

func (p *parser) refuse(name, value, reason, remedy string) {
	if p.err == nil {
		p.err = fault.InvalidField(name, clip(value, 80), reason, remedy)
	}
}

func (p *parser) filter() Filter {
	f := Filter{
		From: p.time("filter.from"), Until: p.time("filter.until"),
		Domains: p.list("filter.domain"), ResourceTypes: p.list("filter.resourceType"),
		ResourceIDs: p.list("filter.resourceId"), ResourceNames: p.list("filter.resourceName"),
		Sources: p.list("filter.source"), Codes: p.list("filter.code"),
	}
	for _, v := range p.list("filter.type") {
		var t Type
		if t.UnmarshalText([]byte(v)) != nil {
			p.refuse("filter.type", v, "is not known", "write one of "+strings.Join(typeNames(), ", "))
		}
		f.Types = append(f.Types, t)
	}
	for _, v := range p.list("filter.level") {
		var l Level
		if l.UnmarshalText([]byte(v)) != nil {
			p.refuse("filter.level", v, "is not known", "write one of "+strings.Join(levelNames(), ", "))
		}
		f.Levels = append(f.Levels, l)
	}
	if v, given := p.one("filter.adHoc"); given {
		adHoc := p.truth("filter.adHoc", v)
		f.AdHoc = &adHoc
	}
	return f
}

// list gives the values of a parameter, each once; empty ones are none.
func (p *parser) list(name string) []string {
	var out []string
	for _, v := range p.given[name] {
		if v = strings.TrimSpace(v); v != "" && !slices.Contains(out, v) {
			out = append(out, v)
		}
		if strings.ContainsRune(v, 0) || strings.ToValidUTF8(v, "") != v {
			p.refuse(name, strconv.Quote(v), "is not text", "write UTF-8")
		}
		if len(out) > maxValues {
			p.refuse(name, "", "has too many values", "give at most 100, or filter the answer")
			return nil
		}
	}
	return out
}

// one gives the value of a parameter that can have only one.
func (p *parser) one(name string) (value string, given bool) {
	list := p.list(name)
	if len(list) > 1 {
		p.refuse(name, list[1], "is given twice", "give it once")
	}
	if len(list) == 0 {
		return "", false
	}
	return list[0], true
}

func (p *parser) time(name string) time.Time {
	v, given := p.one(name)
	if !given {
		return time.Time{}
	}
	t, err := time.Parse(time.RFC3339, v)
	if err != nil || t.Year() < 1970 {
		p.refuse(name, v, "is not a time", "write it as RFC 3339 says, such as 2026-03-01T12:00:00Z; + must be written %2B in an address")
		return time.Time{}
	}
	return t
}

func (p *parser) number(name string) int {
	v, given := p.one(name)
	if !given {
		return 0
	}
	n, err := strconv.ParseUint(v, 10, 31)
	if err != nil {
		p.refuse(name, v, "is not a number from 0 on", "write a number such as 50")
	}
	return int(n)
}

func (p *parser) truth(name, v string) bool {
	b, err := strconv.ParseBool(v)
	if err != nil {
		p.refuse(name, v, "is neither true nor false", "write true or false")
	}
	return b
}

// sort reads the order. As in StackRox, a field that is named orders from the
// smallest unless reversed; the default is the newest first.
func (p *parser) sort(q *Query) {
	v, named := p.one("pagination.sortOption.field")
	reversed := false
	if r, given := p.one("pagination.sortOption.reversed"); given {
		reversed = p.truth("pagination.sortOption.reversed", r)
	}
	if !named {
		return
	}
	q.Ascending = !reversed
	labels := map[string]Field{
		"last updated": FieldLastOccurred, "event occurrence": FieldOccurrences, "created time": FieldCreated, "event level": FieldLevel,
		"event domain": FieldDomain, "event type": FieldType, "resource type": FieldResourceType,
	}
	if f, ok := labels[strings.ToLower(v)]; ok {
		q.Sort = f
		return
	}
	for _, f := range SortFields() {
		if strings.EqualFold(v, string(f)) {
			q.Sort = f
			return
		}
	}
	p.refuse("pagination.sortOption.field", v, "is nothing to order by",
		"write Last Updated, Event Occurrence, Created Time, Event Level, Event Domain, Event Type or Resource Type")
}

// ParseFields reads what to count by, from values that may each name several
// fields with commas between; source and code when nothing is named.
func ParseFields(values []string) []Field {
	var by []Field
	for _, v := range values {
		for name := range strings.SplitSeq(v, ",") {
			if name = strings.TrimSpace(name); name != "" {
				by = append(by, Field(name))
			}
		}
	}
	if len(by) == 0 {
		return []Field{FieldSource, FieldCode}
	}
	return by
}
