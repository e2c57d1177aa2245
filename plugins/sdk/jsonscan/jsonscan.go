// Package jsonscan reads JSON of which the types cannot be relied on: what is
// not as expected reads as absent, and only what is no JSON at all is an error.
package jsonscan

import (
	"errors"
	"strconv"
	"strings"
	"unicode/utf16"
	"unicode/utf8"
)

// ErrSyntax says that a document is not JSON.
var ErrSyntax = errors.New("the document is not JSON, or breaks off")

// maxDepth bounds the nesting of a document; vendors' own stay below ten.
const maxDepth = 500

// Scanner reads a JSON document from front to back, value by value. It builds
// nothing up: strings are parts of the document, and what nobody asks for is
// stepped over, which makes it several times faster than reflection on the long
// lists of applications. It is tolerant of types: asked for a value of one type,
// it steps over a value of another. The first syntax error sticks in err and
// ends every loop.
//
// An object is read as
//
//	for ok := s.Enter('{'); ok; ok = s.More('}') {
//		switch s.Key() {
//		case "name":
//			name = s.Text()
//		default:
//			s.Skip()
//		}
//	}
//
// and every case must read exactly one value.
type Scanner struct {
	doc   string
	pos   int
	depth int
	err   error
}

// New starts at the beginning of a document. What is not UTF-8 becomes
// the replacement character, as the plugin protocol carries UTF-8 only.
func New(body []byte) *Scanner {
	doc := string(body)
	if !utf8.ValidString(doc) {
		doc = strings.ToValidUTF8(doc, string(utf8.RuneError))
	}
	return &Scanner{doc: doc}
}

// End checks that nothing but white space is left, and gives the error if any.
func (s *Scanner) End() error {
	if s.Peek(); s.pos < len(s.doc) {
		s.fail()
	}
	return s.err
}

func (s *Scanner) fail() {
	if s.err == nil {
		s.err = ErrSyntax
	}
}

// Peek gives the first byte of the next token, or zero at the end.
func (s *Scanner) Peek() byte {
	for ; s.pos < len(s.doc); s.pos++ {
		switch c := s.doc[s.pos]; c {
		case ' ', '\t', '\n', '\r':
		default:
			return c
		}
	}
	return 0
}

// Enter steps into an object ('{') or an array ('['), and is true when it holds
// anything. A value of another type is stepped over.
func (s *Scanner) Enter(open byte) bool {
	if s.err != nil {
		return false
	}
	if s.Peek() != open {
		s.Skip()
		return false
	}
	s.pos++
	if s.depth++; s.depth > maxDepth {
		s.fail()
		return false
	}
	if s.Peek() == open+2 { // in ASCII, '}' is '{'+2 and ']' is '['+2
		s.pos++
		s.depth--
		return false
	}
	return true
}

// More steps to the next member before the closing bracket, and is false when
// there is none.
func (s *Scanner) More(closing byte) bool {
	if s.err != nil {
		return false
	}
	switch s.Peek() {
	case ',':
		s.pos++
		return true
	case closing:
		s.pos++
		s.depth--
		return false
	default:
		s.fail()
		return false
	}
}

// Key reads a member's name and the colon.
func (s *Scanner) Key() string {
	if s.Peek() != '"' {
		s.fail()
		return ""
	}
	k := s.quoted()
	if s.Peek() != ':' {
		s.fail()
		return ""
	}
	s.pos++
	return k
}

// Each calls visit before every element of a list, or once before a value that
// is no list; never for null. Vendors that convert from XML write a list of one
// as its element.
func (s *Scanner) Each(visit func()) {
	switch s.Peek() {
	case 'n':
		s.Skip()
	case '[':
		for ok := s.Enter('['); ok; ok = s.More(']') {
			visit()
		}
	default:
		visit()
	}
}

// Text reads a string, or the digits or word of a number or boolean; white space
// around it is no part of it. Null and anything composed give "".
func (s *Scanner) Text() string {
	if s.err != nil {
		return ""
	}
	switch c := s.Peek(); c {
	case '"':
		return strings.TrimSpace(s.quoted())
	case '{', '[', 'n', 0:
		s.Skip()
		return ""
	default:
		from := s.pos
		s.Skip()
		return s.doc[from:s.pos]
	}
}

// Raw reads any value and gives it as it is written.
func (s *Scanner) Raw() string {
	return s.Written(s.Skip)
}

// Written gives the text of the value that read reads.
func (s *Scanner) Written(read func()) string {
	s.Peek()
	from := s.pos
	read()
	return s.doc[from:s.pos]
}

// Skip steps over one value of any type.
func (s *Scanner) Skip() {
	if s.err != nil {
		return
	}
	switch c := s.Peek(); c {
	case '"':
		s.quoted()
	case '{':
		for ok := s.Enter('{'); ok; ok = s.More('}') {
			s.Key()
			s.Skip()
		}
	case '[':
		for ok := s.Enter('['); ok; ok = s.More(']') {
			s.Skip()
		}
	case 't':
		s.word("true")
	case 'f':
		s.word("false")
	case 'n':
		s.word("null")
	default:
		s.number()
	}
}

func (s *Scanner) word(w string) {
	if !strings.HasPrefix(s.doc[s.pos:], w) {
		s.fail()
		return
	}
	s.pos += len(w)
}

// number steps over a number (RFC 8259, section 6).
func (s *Scanner) number() {
	s.accept("-")
	switch {
	case s.accept("0"):
	case s.digits() == 0:
		s.fail()
		return
	}
	if s.accept(".") && s.digits() == 0 {
		s.fail()
		return
	}
	if s.accept("eE") {
		s.accept("+-")
		if s.digits() == 0 {
			s.fail()
		}
	}
}

// accept steps over the next byte when it is one of those in set.
func (s *Scanner) accept(set string) bool {
	if s.pos < len(s.doc) && strings.IndexByte(set, s.doc[s.pos]) >= 0 {
		s.pos++
		return true
	}
	return false
}

func (s *Scanner) digits() int {
	from := s.pos
	for s.pos < len(s.doc) && s.doc[s.pos] >= '0' && s.doc[s.pos] <= '9' {
		s.pos++
	}
	return s.pos - from
}

// quoted reads a string whose opening quote is next.
func (s *Scanner) quoted() string {
	s.pos++
	from, escaped := s.pos, false
	for s.pos < len(s.doc) {
		switch c := s.doc[s.pos]; {
		case c == '"':
			text := s.doc[from:s.pos]
			s.pos++
			if escaped {
				return s.unescape(text)
			}
			return text
		case c == '\\':
			escaped = true
			s.pos += 2
		case c < ' ':
			s.fail()
			return ""
		default:
			s.pos++
		}
	}
	s.fail()
	return ""
}

// unescape resolves the escapes of a string (RFC 8259, section 7). Half a
// surrogate pair becomes the replacement character.
func (s *Scanner) unescape(text string) string {
	var b strings.Builder
	b.Grow(len(text))
	for {
		plain, rest, found := strings.Cut(text, `\`)
		b.WriteString(plain)
		if !found {
			return b.String()
		}
		if rest == "" {
			s.fail()
			return ""
		}
		c := rest[0]
		text = rest[1:]
		if c != 'u' {
			i := strings.IndexByte(`"\/bfnrt`, c)
			if i < 0 {
				s.fail()
				return ""
			}
			b.WriteByte("\"\\/\b\f\n\r\t"[i])
			continue
		}
		r, size := codePoint(text)
		if size == 0 {
			s.fail()
			return ""
		}
		b.WriteRune(r)
		text = text[size:]
	}
}

// codePoint reads what follows \u: four digits, or eight in two escapes when
// they are a surrogate pair. The size is zero when it is malformed.
func codePoint(text string) (r rune, size int) {
	first, ok := hex4(text)
	if !ok {
		return 0, 0
	}
	if !utf16.IsSurrogate(first) {
		return first, 4
	}
	if rest := text[4:]; strings.HasPrefix(rest, `\u`) {
		if second, ok := hex4(rest[2:]); ok {
			if pair := utf16.DecodeRune(first, second); pair != utf8.RuneError {
				return pair, 10
			}
		}
	}
	return utf8.RuneError, 4
}

func hex4(text string) (rune, bool) {
	if len(text) < 4 {
		return 0, false
	}
	for i := range 4 {
		c := text[i] | 0x20
		if (text[i] < '0' || text[i] > '9') && (c < 'a' || c > 'f') {
			return 0, false
		}
	}
	n, err := strconv.ParseUint(text[:4], 16, 32)
	return rune(n), err == nil
}
