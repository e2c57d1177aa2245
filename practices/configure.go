package practices

import (
	"bytes"
	"encoding/json"
	"fmt"
	"strings"

	"github.com/postureproject/posture/fault"
)

// member is one name and value of a JSON object.
type member struct {
	name  string
	value json.RawMessage
}

// members lists the members of a JSON object in the order in which they stand;
// nil when data is no object.
func members(data []byte) []member {
	dec := json.NewDecoder(bytes.NewReader(data))
	if t, err := dec.Token(); err != nil || t != json.Delim('{') {
		return nil
	}
	list := []member{}
	for dec.More() {
		name, err := dec.Token()
		if err != nil {
			return nil
		}
		m := member{name: fmt.Sprint(name)}
		if dec.Decode(&m.value) != nil {
			return nil
		}
		list = append(list, m)
	}
	return list
}

// problems collects everything that is wrong with a configuration.
type problems struct{ fields []fault.Field }

func (p *problems) add(path, value, reason, remedy string) {
	p.fields = append(p.fields, fault.Field{Name: path, Value: value, Reason: reason, Remedy: remedy})
}

func (p *problems) err() error {
	if len(p.fields) == 0 {
		return nil
	}
	return &fault.Error{Kind: fault.Invalid, Op: "read practices", Fields: p.fields}
}

// configure reads the default practices and lays raw over them.
func configure(raw json.RawMessage) ([]*settings, error) {
	c := configuration{byName: map[string]*settings{}, settings: map[string]setting{}}
	for _, s := range allSettings() {
		c.settings[strings.ToLower(s.name)] = s
		c.names = append(c.names, s.name)
	}
	c.lay([]byte(defaults))
	if err := c.problems.err(); err != nil {
		return nil, fmt.Errorf("default practices: %w", err)
	}
	if raw = bytes.TrimSpace(raw); len(raw) > 0 && !bytes.Equal(raw, []byte("null")) {
		c.lay(raw)
	}
	return c.all, c.problems.err()
}

// configuration is the settings of all practices while they are being read.
type configuration struct {
	all      []*settings
	byName   map[string]*settings // in lower case
	settings map[string]setting   // in lower case
	names    []string             // of the settings, as written
	problems problems
}

func (c *configuration) lay(raw []byte) {
	if !json.Valid(raw) || raw[0] != '{' {
		c.problems.add("practices", "", "must be an object of practice key and settings", "")
		return
	}
	seen := map[string]string{}
	for _, m := range members(raw) {
		path := "practices." + m.name
		key := strings.ToLower(m.name)
		switch {
		case strings.TrimSpace(m.name) == "":
			c.problems.add(path, "", "a practice must have a key", "")
			continue
		case seen[key] != "":
			c.problems.add(path, "", "is given twice, the other time as "+seen[key], "keep one")
			continue
		}
		seen[key] = m.name
		if c.byName[key] == nil {
			c.byName[key] = newSettings(m.name)
			c.all = append(c.all, c.byName[key])
		}
		c.practice(c.byName[key], path, m.value)
	}
}

// practice reads the settings of one practice.
func (c *configuration) practice(s *settings, path string, raw json.RawMessage) {
	if raw[0] != '{' {
		c.problems.add(path, "", "must be an object of settings, not "+kindOf(raw), "write {} to take the defaults, or leave it out")
		return
	}
	seen := map[string]bool{}
	for _, m := range members(raw) {
		in := input{raw: m.value, path: path + "." + m.name, problems: &c.problems}
		key := strings.ToLower(m.name)
		known, ok := c.settings[key]
		switch {
		case !ok:
			in.fail("", "is not a setting of a practice", suggest(m.name, c.names))
		case seen[key]:
			in.fail("", "is given twice", "keep one")
		case string(m.value) == "null":
			in.fail("", "is empty", "leave it out to take the default; write \"\", [] or {} to have none")
		default:
			known.read(s, in)
		}
		seen[key] = true
	}
}

// kindOf names the kind of a JSON value for people.
func kindOf(raw json.RawMessage) string {
	switch raw[0] {
	case '{':
		return "an object"
	case '[':
		return "a list"
	case '"':
		return "a text"
	case 't', 'f':
		return "true or false"
	case 'n':
		return "empty"
	default:
		return "a number"
	}
}

// suggest proposes the nearest of the names, or lists them all when none is
// near.
func suggest(given string, names []string) string {
	best, distance := "", len(given)/2+1
	for _, name := range names {
		if d := editDistance(strings.ToUpper(given), strings.ToUpper(name)); d < distance {
			best, distance = name, d
		}
	}
	if best != "" {
		return "did you mean " + best + "?"
	}
	return "use one of " + strings.Join(names, ", ")
}

// editDistance counts the letters to insert, drop or change to turn a into b.
func editDistance(a, b string) int {
	row := make([]int, len(b)+1)
	for j := range row {
		row[j] = j
	}
	for i := range len(a) {
		diagonal := row[0]
		row[0] = i + 1
		for j := range len(b) {
			cost := 1
			if a[i] == b[j] {
				cost = 0
			}
			diagonal, row[j+1] = row[j+1], min(diagonal+cost, row[j]+1, row[j+1]+1)
		}
	}
	return row[len(b)]
}
