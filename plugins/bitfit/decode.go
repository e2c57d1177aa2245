package bitfit

import (
	"cmp"
	"strings"

	"github.com/postureproject/posture/plugins/sdk/jsonscan"
)

// user is a person as bitFit lists them.
type user struct{ id, email, name, firstName, lastName string }

func readUser(s *jsonscan.Scanner) (u user) {
	for ok := s.Enter('{'); ok; ok = s.More('}') {
		switch s.Key() {
		case "id":
			u.id = s.Text()
		case "email":
			u.email = s.Text()
		case "name":
			u.name = s.Text()
		case "first_name":
			u.firstName = s.Text()
		case "last_name":
			u.lastName = s.Text()
		default:
			s.Skip()
		}
	}
	return u
}

func (u user) key() string { return cmp.Or(u.id, strings.ToLower(u.email)) }

// fullName is the person's name for people.
func (u user) fullName() string { return cmp.Or(u.name, strings.TrimSpace(u.firstName+" "+u.lastName)) }

// asset is a device as bitFit describes it; in a list it may have an id alone.
type asset struct {
	id, name, model, serial string
	imageURL, photoID       string
	kind, configured        label // what sort of device it is
	status                  label
	fields                  []field // nil when not given
	user, userID            owner
}

func (a asset) key() string { return a.id }

func readAsset(s *jsonscan.Scanner) (a asset) {
	for ok := s.Enter('{'); ok; ok = s.More('}') {
		switch s.Key() {
		case "id":
			a.id = s.Text()
		case "name":
			a.name = s.Text()
		case "model":
			a.model = s.Text()
		case "serial_number":
			a.serial = s.Text()
		case "type":
			a.kind = readLabel(s)
		case "customerStatus":
			a.status = readLabel(s)
		case "image_url":
			a.imageURL = s.Text()
		case "photo_id":
			a.photoID = s.Text()
		case "fields":
			a.fields = readFields(s)
		case "config":
			a.configured = readConfig(s)
		case "user":
			a.user = readOwner(s)
		case "user_id":
			a.userID = readOwner(s)
		default:
			s.Skip()
		}
	}
	return a
}

// readAnswer reads the answer about one asset; found is false when it holds none.
func readAnswer(body []byte) (a asset, found bool, err error) {
	s := jsonscan.New(body)
	for ok := s.Enter('{'); ok; ok = s.More('}') {
		if s.Key() != "item" {
			s.Skip()
			continue
		}
		if items := readList(s, readAsset); len(items) > 0 {
			a, found = items[0], true
		}
	}
	return a, found, s.End()
}

// readList reads a list of objects; a single object is a list of one, and what is
// no object is left out. The list is never nil.
func readList[T any](s *jsonscan.Scanner, read func(*jsonscan.Scanner) T) []T {
	list := []T{}
	s.Each(func() {
		if s.Peek() == '{' {
			list = append(list, read(s))
		} else {
			s.Skip()
		}
	})
	return list
}

// label is something with a name: an object that has it, or the name itself.
type label struct{ plural, single string }

func readLabel(s *jsonscan.Scanner) (l label) {
	if s.Peek() == '"' {
		name := s.Text()
		return label{name, name}
	}
	for ok := s.Enter('{'); ok; ok = s.More('}') {
		switch s.Key() {
		case "label":
			l.plural = s.Text()
		case "label_single":
			l.single = s.Text()
		default:
			s.Skip()
		}
	}
	return l
}

// readConfig reads an asset's configuration, of which only the type is of
// interest.
func readConfig(s *jsonscan.Scanner) (l label) {
	for ok := s.Enter('{'); ok; ok = s.More('}') {
		if s.Key() == "type" {
			l = readLabel(s)
		} else {
			s.Skip()
		}
	}
	return l
}

// owner names the person who has an asset: an object, or the person's id.
type owner struct {
	id, email string
	given     bool // even if only as null
}

func readOwner(s *jsonscan.Scanner) owner {
	o := owner{given: true}
	if s.Peek() != '{' {
		o.id = s.Text()
		return o
	}
	for ok := s.Enter('{'); ok; ok = s.More('}') {
		switch s.Key() {
		case "id":
			o.id = s.Text()
		case "email":
			o.email = s.Text()
		default:
			s.Skip()
		}
	}
	return o
}

// field is one of an asset's further fields.
type field struct {
	name   string
	values []string // without blank ones
}

// readFields reads an asset's further fields: a list of names with values, one of
// these, or an object from names to values. They are never nil.
func readFields(s *jsonscan.Scanner) []field {
	const name, value = "base_name", "value"
	fields := []field{}
	s.Each(func() {
		var members []field
		for ok := s.Enter('{'); ok; ok = s.More('}') {
			members = append(members, field{name: s.Key(), values: readValues(s)})
		}
		one := field{values: named(members, value)}
		if names := named(members, name); len(names) > 0 {
			one.name = names[0]
			members = []field{one}
		}
		fields = append(fields, members...)
	})
	return fields
}

// readValues reads a field's values: one, or a list. An object's is under "value".
func readValues(s *jsonscan.Scanner) (values []string) {
	add := func(v string) {
		if v != "" {
			values = append(values, v)
		}
	}
	s.Each(func() {
		if s.Peek() != '{' {
			add(s.Text())
			return
		}
		for ok := s.Enter('{'); ok; ok = s.More('}') {
			if s.Key() == "value" {
				add(s.Text())
			} else {
				s.Skip()
			}
		}
	})
	return values
}

// named gives the values of the fields with a name.
func named(fields []field, name string) []string {
	var out []string
	for i := range fields {
		if strings.EqualFold(strings.TrimSpace(fields[i].name), name) {
			out = append(out, fields[i].values...)
		}
	}
	return out
}
