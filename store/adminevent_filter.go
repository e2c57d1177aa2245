package store

import (
	"context"
	"strconv"
	"strings"

	"github.com/postureproject/posture/adminevent"
	"github.com/postureproject/posture/fault"
)

// adminEventKey is the form in which the names of resources are compared.
func adminEventKey(name string) string { return strings.ToLower(strings.TrimSpace(name)) }

// adminEventColumn gives the column of a field.
func adminEventColumn(f adminevent.Field) (string, bool) {
	column, ok := map[adminevent.Field]string{
		adminevent.FieldLastOccurred: "last_at", adminevent.FieldCreated: "created_at", adminevent.FieldOccurrences: "occurrences",
		adminevent.FieldLevel: "level", adminevent.FieldDomain: "domain", adminevent.FieldType: "type",
		adminevent.FieldResourceType: "resource_type", adminevent.FieldResourceName: "name_key",
		adminevent.FieldSource: "source", adminevent.FieldCode: "code", adminevent.FieldAdHoc: "ad_hoc",
	}[f]
	return column, ok
}

// eventCondition is a condition with the values that it is about.
type eventCondition struct {
	conditions []string
	args       []any
}

// bind adds a value and gives its place in the text.
func (w *eventCondition) bind(v any) string {
	w.args = append(w.args, v)
	return "$" + strconv.Itoa(len(w.args))
}

func (w *eventCondition) text() string {
	if len(w.conditions) == 0 {
		return ""
	}
	return " WHERE " + strings.Join(w.conditions, " AND ")
}

// eventIsOneOf demands that a column has one of some values, if there are any.
func eventIsOneOf[T any](w *eventCondition, column string, values []T, kept func(T) any) {
	if len(values) == 0 {
		return
	}
	places := make([]string, len(values))
	for i, v := range values {
		places[i] = w.bind(kept(v))
	}
	w.conditions = append(w.conditions, column+" IN ("+strings.Join(places, ", ")+")")
}

func adminEventsWhere(f adminevent.Filter) *eventCondition {
	w := &eventCondition{}
	if !f.From.IsZero() {
		w.conditions = append(w.conditions, "last_at >= "+w.bind(micros(f.From)))
	}
	if !f.Until.IsZero() {
		w.conditions = append(w.conditions, "last_at <= "+w.bind(micros(f.Until)))
	}
	same := func(v string) any { return v }
	key := func(v string) any { return adminEventKey(v) }
	eventIsOneOf(w, "domain", f.Domains, same)
	eventIsOneOf(w, "resource_type", f.ResourceTypes, same)
	eventIsOneOf(w, "id_key", f.ResourceIDs, key)
	eventIsOneOf(w, "name_key", f.ResourceNames, key)
	eventIsOneOf(w, "type", f.Types, func(t adminevent.Type) any { return int64(t) })
	eventIsOneOf(w, "level", f.Levels, func(l adminevent.Level) any { return int64(l) })
	eventIsOneOf(w, "source", f.Sources, same)
	eventIsOneOf(w, "code", f.Codes, same)
	if f.AdHoc != nil {
		w.conditions = append(w.conditions, "ad_hoc = "+w.bind(zeroOrOne(*f.AdHoc)))
	}
	return w
}

// SummarizeAdminEvents implements [adminevent.Store].
func (s *Store) SummarizeAdminEvents(ctx context.Context, f adminevent.Filter, by []adminevent.Field, most int) ([]adminevent.Group, error) {
	const op = "summarize administration events"
	columns := make([]string, len(by))
	for i, field := range by {
		column, ok := adminEventColumn(field)
		if !ok {
			return nil, fault.InvalidField("by", string(field), "is nothing to count by", "")
		}
		columns[i] = column
	}
	list := strings.Join(columns, ", ")
	w := adminEventsWhere(f)
	rows, err := s.db.QueryContext(ctx, "SELECT "+list+`, COUNT(*), CAST(SUM(occurrences) AS BIGINT) AS total, MIN(created_at), MAX(last_at)
		FROM admin_events`+w.text()+" GROUP BY "+list+" ORDER BY total DESC, "+list+" LIMIT "+w.bind(most), w.args...)
	if err != nil {
		return nil, s.fault(err, op, "")
	}
	defer func() { _ = rows.Close() }()
	groups := []adminevent.Group{}
	for rows.Next() {
		var (
			g             adminevent.Group
			dest          []any
			created, last int64
		)
		for _, field := range by {
			dest = append(dest, groupField(&g, field))
		}
		if err := rows.Scan(append(dest, &g.Events, &g.NumOccurrences, &created, &last)...); err != nil {
			return nil, s.fault(err, op, "")
		}
		g.CreatedAt, g.LastOccurredAt = fromMicros(created), fromMicros(last)
		groups = append(groups, g)
	}
	return groups, s.fault(rows.Err(), op, "")
}

// groupField makes room for a field in a group, to be scanned into.
func groupField(g *adminevent.Group, f adminevent.Field) any {
	switch f {
	case adminevent.FieldSource:
		return &g.Source
	case adminevent.FieldCode:
		return &g.Code
	case adminevent.FieldLevel:
		return &g.Level
	case adminevent.FieldDomain:
		return &g.Domain
	case adminevent.FieldResourceType:
		return &g.ResourceType
	case adminevent.FieldResourceName:
		return &g.ResourceName
	default:
		return &g.AdHoc
	}
}
