package adminevent

import (
	"strings"
	"unicode"
	"unicode/utf8"
)

// The bounds of texts, in bytes.
const (
	maxMessage = 1000
	maxName    = 254
	maxHint    = 4000
)

// Clean makes a text fit to be kept and shown: one line of valid UTF-8 without
// control characters, of bounded length, and without what may hold a secret: the
// user, query and fragment of URLs, and values that follow words for secrets.
func Clean(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case r == utf8.RuneError, r == '\u2028', r == '\u2029', unicode.IsControl(r):
			return ' '
		case unicode.Is(unicode.Cf, r): // marks that turn the direction of writing
			return -1
		default:
			return r
		}
	}, clip(text, 4*maxMessage))
	words := strings.Fields(text)
	for i, word := range words {
		words[i] = withoutSecret(withoutQuery(word), words[:i])
	}
	return clip(strings.Join(words, " "), maxMessage)
}

const redacted = "[redacted]"

// withoutQuery takes user, query and fragment out of a word that holds a URL.
func withoutQuery(word string) string {
	before, rest, isURL := strings.Cut(word, "://")
	if !isURL {
		return word
	}
	end := strings.IndexAny(rest, `"'<>`)
	if end < 0 {
		end = len(rest)
		for end > 0 && strings.ContainsRune(".,:;)]}", rune(rest[end-1])) {
			end--
		}
	}
	url, after := rest[:end], rest[end:]
	if cut := strings.IndexAny(url, "?#"); cut >= 0 {
		url = url[:cut]
	}
	authority, path, hasPath := strings.Cut(url, "/")
	if at := strings.LastIndexByte(authority, '@'); at >= 0 {
		authority = authority[at+1:]
	}
	if hasPath {
		authority += "/" + path
	}
	return before + "://" + authority + after
}

// withoutSecret hides the rest of a word from the value of a secret on: as
// name=value, also behind other such pairs, after the name, or after a word such as
// "Bearer".
func withoutSecret(word string, before []string) string {
	for cut := 1; cut < len(word)-1; cut++ {
		if isAssignment(word[cut]) && !strings.HasPrefix(word[cut:], "://") && namesSecret(word[:cut]) {
			return word[:cut+1] + redacted
		}
	}
	if len(before) == 0 {
		return word
	}
	last := before[len(before)-1]
	scheme := strings.ToLower(strings.Trim(last, `"':`))
	if scheme == "bearer" || scheme == "basic" && len(word) >= 8 || isValue(word, before) {
		return redacted
	}
	return word
}

func isAssignment(c byte) bool { return c == '=' || c == ':' }

// isValue reports whether a word is the value of a secret whose name is among the
// words before it, with its = or : behind it or standing by itself.
func isValue(word string, before []string) bool {
	name := before[len(before)-1]
	if name == "=" && len(before) > 1 {
		name = before[len(before)-2] + name
	}
	end := len(name) - 1
	return end > 0 && isAssignment(name[end]) && namesSecret(name[:end]) &&
		!strings.EqualFold(word, "Bearer") && !strings.EqualFold(word, "Basic")
}

// namesSecret reports whether a text ends with a word for a secret, as names of
// settings do. It looks at the end only, however long the text is.
func namesSecret(name string) bool {
	const end = 64 // bytes
	name = name[max(0, len(name)-end):]
	name = strings.ToLower(strings.Trim(name, `"'{([,&?`))
	name = name[strings.LastIndexAny(name, "&?,;{")+1:]
	for _, secret := range []string{"authorization", "password", "passwd", "pwd", "secret", "token", "apikey", "api_key", "api-key", "skey", "cookie"} {
		if strings.HasSuffix(strings.Trim(name, `"'`), secret) {
			return true
		}
	}
	return false
}

// clip shortens a text to so many bytes at most, between characters.
func clip(text string, most int) string {
	if len(text) <= most {
		return text
	}
	cut := most - len("…")
	for cut > 0 && !utf8.RuneStart(text[cut]) {
		cut--
	}
	return text[:cut] + "…"
}

// cleaned gives an event all of whose texts can be kept.
func (e Event) cleaned() Event {
	e.Message = Clean(e.Message)
	for _, name := range []*string{
		&e.Domain, &e.Resource.Type, &e.Resource.ID, &e.Resource.Name, &e.Code, &e.Source, &e.Trigger, &e.Operation, &e.LastActor, &e.RequestID,
	} {
		*name = line(*name, maxName)
	}
	lines := strings.Split(clip(e.Hint, maxHint), "\n")
	for i := range lines {
		lines[i] = line(lines[i], maxHint)
	}
	e.Hint = strings.Join(lines, "\n")
	return e
}

// line makes one line of valid UTF-8 of a text that is known to hold no secret.
func line(text string, most int) string {
	plain := func(r rune) bool { return r != utf8.RuneError && !unicode.IsControl(r) }
	if strings.IndexFunc(text, func(r rune) bool { return !plain(r) }) >= 0 {
		text = strings.Map(func(r rune) rune {
			if plain(r) {
				return r
			}
			return ' '
		}, text)
	}
	return clip(strings.TrimSpace(text), most)
}
