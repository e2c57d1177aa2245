package landesk

import (
	"fmt"
	"strings"

	"github.com/postureproject/posture/internal/simulator/tds"
)

// tokenKind sorts the words of a statement.
type tokenKind byte

const (
	endToken    tokenKind = iota
	wordToken             // a keyword or a name
	paramToken            // a parameter, without its @
	numberToken           // a whole number
	signToken             // punctuation or a comparison
)

type token struct {
	kind tokenKind
	text string
}

func (t token) is(text string) bool {
	return (t.kind == wordToken || t.kind == signToken) && strings.EqualFold(t.text, text)
}

// syntaxError is SQL Server's error for what it cannot read.
func syntaxError(near string) *tds.Error {
	return &tds.Error{Number: 102, State: 1, Class: 15, Message: fmt.Sprintf("Incorrect syntax near '%s'.", near)}
}

// lex splits a statement. Literal texts, comments and several statements are
// errors: whoever queries this server uses parameters.
func lex(sql string) ([]token, error) {
	var tokens []token
	for i := 0; i < len(sql); {
		c := sql[i]
		switch {
		case c == ' ' || c == '\t' || c == '\n' || c == '\r':
			i++
		case isLetter(c):
			end := span(sql, i, func(c byte) bool { return isLetter(c) || isDigit(c) })
			tokens = append(tokens, token{wordToken, sql[i:end]})
			i = end
		case isDigit(c):
			end := span(sql, i, isDigit)
			tokens = append(tokens, token{numberToken, sql[i:end]})
			i = end
		case c == '@':
			end := span(sql, i+1, func(c byte) bool { return isLetter(c) || isDigit(c) })
			tokens = append(tokens, token{paramToken, strings.ToLower(sql[i+1 : end])})
			i = end
		case strings.HasPrefix(sql[i:], "<>"), strings.HasPrefix(sql[i:], "<="), strings.HasPrefix(sql[i:], ">="):
			tokens = append(tokens, token{signToken, sql[i : i+2]})
			i += 2
		case strings.IndexByte("(),.=<>", c) >= 0:
			tokens = append(tokens, token{signToken, string(c)})
			i++
		default:
			return nil, syntaxError(string(c))
		}
	}
	return tokens, nil
}

func isLetter(c byte) bool { return c == '_' || c|0x20 >= 'a' && c|0x20 <= 'z' }

func isDigit(c byte) bool { return c >= '0' && c <= '9' }

func span(s string, from int, in func(byte) bool) int {
	for from < len(s) && in(s[from]) {
		from++
	}
	return from
}
