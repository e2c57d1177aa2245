package file

import (
	"cmp"
	"encoding/json"
	"slices"
	"strings"

	"github.com/postureproject/posture/device"
)

// entry is one field of a record: a JSON value below any objects, or a cell.
type entry struct {
	path  string // of ours or, if unknown, of theirs: normalised names with dots between
	name  string // the last part of the path, as written
	value any    // string, bool, json.Number or []any; never nil
}

// maxDepth bounds how deep objects are followed; our deepest field is at three.
const maxDepth = 6

// flatten turns an object into entries in a fixed order. Null is absent, and so
// is what FIELD_MAP ignores.
func (r reader) flatten(object map[string]any) []entry {
	entries := r.appendEntries(make([]entry, 0, len(object)), "", object, 1)
	slices.SortStableFunc(entries, func(a, b entry) int { return cmp.Or(cmp.Compare(a.path, b.path), cmp.Compare(a.name, b.name)) })
	return entries
}

func (r reader) appendEntries(entries []entry, prefix string, object map[string]any, depth int) []entry {
	for name, value := range object {
		path := prefix + normalise(name)
		if path == "_raw" || value == nil {
			continue
		}
		if inner, ok := value.(map[string]any); ok {
			if depth < maxDepth {
				entries = r.appendEntries(entries, path+".", inner, depth+1)
			}
			continue
		}
		if path = r.fieldName(path); path != "" {
			entries = append(entries, entry{path: path, name: lastPart(name), value: value})
		}
	}
	return entries
}

// fieldName gives our name of a field: as FIELD_MAP says, else their own.
func (r reader) fieldName(path string) string {
	if ours, ok := r.fieldMap[path]; ok {
		return ours
	}
	return path
}

// normalise makes names comparable: lower case, and an underscore for space and
// hyphen, so that "Last Sync" is last_sync.
func normalise(name string) string {
	name = strings.NewReplacer(" ", "_", "-", "_").Replace(strings.ToLower(strings.TrimSpace(name)))
	if name == "e_mail" {
		return "email"
	}
	return name
}

func lastPart(name string) string {
	return strings.TrimSpace(name[strings.LastIndexByte(name, '.')+1:])
}

// isField reports whether a normalised path names a field of ours.
func isField(path string) bool {
	var (
		d device.Device
		e device.Event
	)
	switch {
	case deviceText(&d, path) != nil, isDeviceField(path), eventText(&e, path) != nil, path == "timestamp", path == "success":
		return true
	default:
		return strings.HasPrefix(path, "details.")
	}
}

// text reads a text field; false for a list. The word null is absent.
func text(value any) (string, bool) {
	switch v := value.(type) {
	case string:
		if v = strings.TrimSpace(v); strings.EqualFold(v, "null") {
			return "", true
		}
		return v, true
	case json.Number:
		return v.String(), true
	case bool:
		if v {
			return "true", true
		}
		return "false", true
	default:
		return "", false
	}
}
