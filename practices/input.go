package practices

import (
	"encoding/json"
	"slices"
	"strconv"
	"strings"

	"github.com/postureproject/posture/device"
)

// input is the given value of one setting. Its methods read the value as a type
// and note a problem when it is of another.
type input struct {
	raw      json.RawMessage
	path     string
	problems *problems
}

func (in input) fail(value, reason, remedy string) { in.problems.add(in.path, value, reason, remedy) }

// at is a member of the value.
func (in input) at(m member) input {
	return input{raw: m.value, path: in.path + "." + m.name, problems: in.problems}
}

func (in input) text() string {
	var s string
	if json.Unmarshal(in.raw, &s) != nil || in.raw[0] != '"' {
		in.fail("", "must be a text, not "+kindOf(in.raw), "")
	}
	return s
}

func (in input) filled() string {
	s := in.text()
	if s == "" && in.raw[0] == '"' {
		in.fail("", "must not be empty", "leave it out to take the default")
	}
	return s
}

func (in input) boolean() bool {
	var b bool
	if json.Unmarshal(in.raw, &b) != nil || in.raw[0] == 'n' {
		in.fail("", "must be true or false, not "+kindOf(in.raw), "")
	}
	return b
}

func (in input) link() string {
	s := in.text()
	for _, prefix := range []string{"http://", "https://", "mailto:", "/"} {
		if strings.HasPrefix(s, prefix) {
			return s
		}
	}
	if s != "" {
		in.fail(s, "is not an address that people could follow", "begin with https://, http://, mailto: or /")
	}
	return s
}

func (in input) status() device.Status {
	s := in.text()
	if all := statusNames(); in.raw[0] == '"' && !slices.Contains(all, s) {
		in.fail(s, "is not a status", "use one of "+strings.Join(all, ", "))
	}
	return device.Status(s)
}

// list reads a list of texts, or one text.
func (in input) list() []string {
	switch in.raw[0] {
	case '"':
		return []string{in.entry()}
	case '[':
		var items []json.RawMessage
		if json.Unmarshal(in.raw, &items) != nil {
			return nil
		}
		list := make([]string, len(items))
		for i, item := range items {
			list[i] = in.at(member{strconv.Itoa(i), item}).entry()
		}
		return list
	default:
		in.fail("", "must be a list of texts, not "+kindOf(in.raw), "")
		return nil
	}
}

// entry reads a text of a list.
func (in input) entry() string {
	s := strings.TrimSpace(in.text())
	if s == "" && in.raw[0] == '"' {
		in.fail("", "is an empty entry", "remove it")
	}
	return s
}

// message reads a text in which only the given placeholders may stand.
func (in input) message(placeholders ...string) string {
	s := in.filled()
	for rest := s; ; {
		start := strings.IndexByte(rest, '{')
		if start < 0 {
			return s
		}
		end := strings.IndexByte(rest[start:], '}')
		if end < 0 {
			return s
		}
		if word := rest[start : start+end+1]; !slices.Contains(placeholders, word) {
			in.fail(word, "is not filled in", "use "+strings.Join(placeholders, ", "))
		}
		rest = rest[start+end+1:]
	}
}

// texts reads one text, which then stands under otherwise, or an object of
// texts whose keys key makes uniform; key gives "" and a reason for a bad one.
func (in input) texts(key func(string) (key, problem string)) map[string]string {
	out := map[string]string{}
	switch in.raw[0] {
	case '"':
		out[otherwise] = in.text()
	case '{':
		for _, m := range members(in.raw) {
			if k, ok := in.at(m).key(m.name, key, func(k string) bool { _, dup := out[k]; return dup }); ok {
				out[k] = in.at(m).text()
			}
		}
	default:
		in.fail("", "must be a text or an object of texts, not "+kindOf(in.raw), "")
	}
	return out
}

// key makes the key of a member uniform and sees that it is not given twice.
func (in input) key(name string, uniform func(string) (key, problem string), taken func(string) bool) (string, bool) {
	k, problem := uniform(name)
	switch {
	case problem != "":
		in.fail("", problem, "")
	case taken(k):
		in.fail("", "names the same as another entry", "keep one")
	default:
		return k, true
	}
	return "", false
}

func statusKey(name string) (key, problem string) {
	if all := append(statusNames(), otherwise); !slices.Contains(all, name) {
		return "", "is not a status; use one of " + strings.Join(all, ", ")
	}
	return name, ""
}

// systemKey gives the key under which rules find an operating system.
func systemKey(name string) (key, problem string) {
	if strings.TrimSpace(name) == "" {
		return "", "must name an operating system"
	}
	system, _ := systemName(systemOfPlatform(name))
	return strings.ToLower(system), ""
}

// minimums reads a minimum for each operating system.
func (in input) minimums() map[string]minimum {
	if in.raw[0] != '{' {
		in.fail("", "must be an object of operating system and version, not "+kindOf(in.raw), `write {"macOS": "26.7"}`)
		return nil
	}
	out := map[string]minimum{}
	for _, m := range members(in.raw) {
		at := in.at(m)
		k, ok := at.key(m.name, systemKey, func(k string) bool { _, dup := out[k]; return dup })
		if !ok {
			continue
		}
		if least := at.minimum(); len(least.lines) > 0 {
			out[k] = least
		}
	}
	return out
}

// minimum reads one version, or one for each line of versions.
func (in input) minimum() minimum {
	var m minimum
	if in.raw[0] != '{' {
		if v, text, ok := in.version(); ok {
			m.lines = []line{{least: v, text: text}}
		}
		return m
	}
	lines := members(in.raw)
	if len(lines) == 0 {
		in.fail("", "names no line of versions", `write {"26": "26.7"}, or leave the system out`)
	}
	for _, l := range lines {
		at := in.at(l)
		prefix, ok := parseExact(l.name)
		if !ok {
			at.fail("", "is not the beginning of a version", `write the numbers with which the line's versions begin, such as "26"`)
			continue
		}
		if v, text, ok := at.version(); ok {
			m.lines = append(m.lines, line{prefix: prefix, least: v, text: text})
		}
	}
	slices.SortFunc(m.lines, func(a, b line) int {
		if c := a.prefix.compare(b.prefix); c != 0 {
			return c
		}
		return a.prefix.n - b.prefix.n
	})
	return m
}

// version reads a version, which is a text; a whole number will do.
func (in input) version() (version, string, bool) {
	const quote = `write it in quotes, such as "15.10"`
	text := string(in.raw)
	switch {
	case in.raw[0] == '"':
		text = in.text()
	case kindOf(in.raw) != "a number":
		in.fail("", "must be a version, not "+kindOf(in.raw), quote)
		return version{}, "", false
	case strings.ContainsAny(text, ".eE-"):
		in.fail(text, "must not be a number: as one, 15.10 is 15.1", quote)
		return version{}, "", false
	}
	v, ok := parseExact(text)
	if !ok {
		in.fail(text, "is not a version", "write numbers separated by dots, such as 26.7.2")
	}
	return v, text, ok
}
