package bitfit

import (
	"bytes"
	"encoding/json"
	"net/url"
	"strings"
	"unicode/utf8"
)

// The types below read bitFit's JSON in one pass and never fail over the type of
// a field: what is not as expected is absent.

// text is a string; a number or a truth value reads as it is written.
type text string

// UnmarshalJSON implements [json.Unmarshaler].
func (t *text) UnmarshalJSON(b []byte) error {
	*t = ""
	if len(b) == 0 {
		return nil
	}
	switch c := b[0]; {
	case c == '"':
		// The decoder has checked the value, so that without escapes and odd bytes
		// the text is what stands between the quotes.
		if plain := b[1 : len(b)-1]; bytes.IndexByte(plain, '\\') < 0 && utf8.Valid(plain) {
			*t = text(plain)
			return nil
		}
		var s string
		if err := json.Unmarshal(b, &s); err != nil {
			return err
		}
		*t = text(s)
	case c == '-' || c >= '0' && c <= '9' || c == 't' || c == 'f':
		*t = text(b)
	}
	return nil
}

func (t text) trimmed() string { return strings.TrimSpace(string(t)) }

// segment gives the text as one segment of a URL's path.
func (t text) segment() string { return url.PathEscape(string(t)) }

// list is a list of objects; a single object is a list of one, a null among them
// is an empty one, and other entries are left out. It is never nil once it was
// read.
type list[T any] []T

// UnmarshalJSON implements [json.Unmarshaler].
func (l *list[T]) UnmarshalJSON(b []byte) error {
	*l = list[T]{}
	if len(b) == 0 {
		return nil
	}
	switch b[0] {
	case '[':
		return l.readList(b)
	case '{':
		var one T
		if err := json.Unmarshal(b, &one); err != nil {
			return err
		}
		*l = append(*l, one)
	}
	return nil
}

func (l *list[T]) readList(b []byte) error {
	if json.Unmarshal(b, (*[]T)(l)) == nil {
		return nil
	}
	*l = list[T]{}
	var raw []json.RawMessage
	if err := json.Unmarshal(b, &raw); err != nil {
		return err
	}
	for _, r := range raw {
		var one T
		if len(r) > 0 && r[0] == '{' && json.Unmarshal(r, &one) == nil {
			*l = append(*l, one)
		}
	}
	return nil
}

// user is a person as bitFit lists them.
type user struct {
	ID        text `json:"id"`
	Email     text `json:"email"`
	Name      text `json:"name"`
	FirstName text `json:"first_name"`
	LastName  text `json:"last_name"`
}

func (u user) key() text {
	if u.ID == "" {
		return text(strings.ToLower(u.Email.trimmed()))
	}
	return u.ID
}

// fullName is the person's name for people.
func (u user) fullName() string {
	if name := u.Name.trimmed(); name != "" {
		return name
	}
	return strings.TrimSpace(u.FirstName.trimmed() + " " + u.LastName.trimmed())
}

// asset is a device as bitFit describes it; in a list it may have an id alone.
type asset struct {
	ID       text   `json:"id"`
	Name     text   `json:"name"`
	Model    text   `json:"model"`
	Serial   text   `json:"serial_number"`
	Type     label  `json:"type"`
	Status   label  `json:"customerStatus"`
	ImageURL text   `json:"image_url"`
	PhotoID  text   `json:"photo_id"`
	Fields   fields `json:"fields"`
	Config   kind   `json:"config"`
	User     owner  `json:"user"`
	UserID   owner  `json:"user_id"`
}

func (a asset) key() text { return a.ID }

// label is something with a name: an object that has it, or the name itself.
type label struct {
	Label  text `json:"label"`
	Single text `json:"label_single"`
}

// UnmarshalJSON implements [json.Unmarshaler].
func (l *label) UnmarshalJSON(b []byte) error {
	if len(b) == 0 {
		return nil
	}
	switch b[0] {
	case '{':
		type plain label
		return json.Unmarshal(b, (*plain)(l))
	case '"':
		if err := l.Label.UnmarshalJSON(b); err != nil {
			return err
		}
		l.Single = l.Label
	}
	return nil
}

// kind is an asset's configuration, of which only the type is of interest.
type kind struct {
	Type label `json:"type"`
}

// UnmarshalJSON implements [json.Unmarshaler].
func (k *kind) UnmarshalJSON(b []byte) error {
	if len(b) == 0 || b[0] != '{' {
		return nil
	}
	type plain kind
	return json.Unmarshal(b, (*plain)(k))
}

// owner names the person who has an asset: an object, or the person's id.
type owner struct {
	ID    text `json:"id"`
	Email text `json:"email"`
	given bool // even if only as null
}

// UnmarshalJSON implements [json.Unmarshaler].
func (o *owner) UnmarshalJSON(b []byte) error {
	o.given = true
	if len(b) == 0 {
		return nil
	}
	if b[0] == '{' {
		type plain owner
		return json.Unmarshal(b, (*plain)(o))
	}
	return o.ID.UnmarshalJSON(b)
}

// fields are an asset's further fields: a list of names with values, or an
// object from names to values.
type fields []field

type field struct {
	BaseName text   `json:"base_name"`
	Value    values `json:"value"`
}

// UnmarshalJSON implements [json.Unmarshaler].
func (f *fields) UnmarshalJSON(b []byte) error {
	*f = fields{} // given, even when empty
	var l list[field]
	if err := l.UnmarshalJSON(b); err != nil {
		return err
	}
	if len(l) != 1 || l[0].BaseName != "" || b[0] != '{' {
		*f = fields(l)
		return nil
	}
	var byName map[string]values
	if err := json.Unmarshal(b, &byName); err != nil {
		return err
	}
	for name, v := range byName {
		*f = append(*f, field{BaseName: text(name), Value: v})
	}
	return nil
}

// named gives the values of a field, blank ones left out.
func (f fields) named(name string) []string {
	var out []string
	for i := range f {
		if !strings.EqualFold(f[i].BaseName.trimmed(), name) {
			continue
		}
		for _, v := range f[i].Value {
			if s := v.trimmed(); s != "" {
				out = append(out, s)
			}
		}
	}
	return out
}

// values are a field's values: one, or a list. An object's is under "value".
type values []text

// UnmarshalJSON implements [json.Unmarshaler].
func (v *values) UnmarshalJSON(b []byte) error {
	*v = nil
	if len(b) == 0 {
		return nil
	}
	switch b[0] {
	case '[':
		return json.Unmarshal(b, (*[]text)(v))
	case '{':
		var object struct {
			Value text `json:"value"`
		}
		if err := json.Unmarshal(b, &object); err != nil {
			return err
		}
		*v = values{object.Value}
		return nil
	default:
		var one text
		if err := one.UnmarshalJSON(b); err != nil {
			return err
		}
		*v = values{one}
		return nil
	}
}
