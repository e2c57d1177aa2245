package landesk

import (
	"cmp"
	"fmt"
	"slices"
	"strings"
	"time"

	"github.com/postureproject/posture/internal/simulator/tds"
)

// compare orders two values as SQL Server does under its default collation:
// text without case and without spaces at the end, and NULL comparable with
// nothing.
func compare(a, b any) (order int, known bool, err error) {
	switch x := a.(type) {
	case nil:
		return 0, false, nil
	case int64:
		if y, ok := b.(int64); ok {
			return cmp.Compare(x, y), true, nil
		}
	case string:
		if y, ok := b.(string); ok {
			return cmp.Compare(fold(x), fold(y)), true, nil
		}
	case time.Time:
		if y, ok := b.(time.Time); ok {
			return x.Compare(y), true, nil
		}
	}
	if b == nil {
		return 0, false, nil
	}
	return 0, false, &tds.Error{Number: 245, State: 1, Class: 16, Message: fmt.Sprintf("Conversion failed when comparing a %T with a %T.", a, b)}
}

func fold(s string) string { return strings.TrimRight(strings.ToLower(s), " ") }

// holds tells whether a value stands to another as a sign says.
func holds(sign string, a, b any) (bool, error) {
	order, known, err := compare(a, b)
	if err != nil || !known {
		return false, err
	}
	switch sign {
	case "=":
		return order == 0, nil
	case "<>":
		return order != 0, nil
	case "<":
		return order < 0, nil
	case "<=":
		return order <= 0, nil
	case ">":
		return order > 0, nil
	default:
		return order >= 0, nil
	}
}

// sortKey orders values of any kind, NULL first, as ORDER BY does.
func sortKey(a, b any) int {
	if a == nil || b == nil {
		switch {
		case a == nil && b == nil:
			return 0
		case a == nil:
			return -1
		default:
			return 1
		}
	}
	order, known, err := compare(a, b)
	if err != nil || !known {
		return cmp.Compare(fmt.Sprint(a), fmt.Sprint(b))
	}
	return order
}

// contains reports whether values hold one that equals v.
func contains(values []any, v any) (bool, error) {
	var failed error
	found := slices.ContainsFunc(values, func(have any) bool {
		equal, err := holds("=", v, have)
		if err != nil {
			failed = err
		}
		return equal
	})
	return found, failed
}
