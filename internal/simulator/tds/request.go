package tds

import (
	"fmt"
	"strings"
)

// Query is what a client asks.
type Query struct {
	Text   string         // T-SQL
	Params map[string]any // by name without the @, in lower case; nil, int64, float64, bool, string or []byte
}

const procExecuteSQL = 10 // sp_executesql's number among the well-known procedures

// skipHeaders skips ALL_HEADERS, with which requests start since TDS 7.2.
func skipHeaders(c *cursor) {
	if total := c.u32(); total >= 4 {
		c.take(int(min(total-4, maxMessage+1)))
	} else if c.err == nil {
		c.err = fmt.Errorf("%w: headers of %d bytes", errProtocol, total)
	}
}

func parseBatch(body []byte) (Query, error) {
	c := &cursor{b: body}
	skipHeaders(c)
	if c.err == nil && len(c.b)%2 != 0 {
		c.err = fmt.Errorf("%w: half a character", errProtocol)
	}
	return Query{Text: c.text(len(c.b) / 2)}, c.err
}

// parseRPC reads a call of sp_executesql: the statement, the declaration of its
// parameters, and these. Any other procedure is an SQL error.
func parseRPC(body []byte) (Query, error) {
	c := &cursor{b: body}
	skipHeaders(c)
	procedure, number := "", 0
	if length := c.u16(); length == longMarker {
		number = int(c.u16())
	} else {
		procedure = c.text(int(length))
	}
	c.u16() // option flags
	if c.err != nil {
		return Query{}, c.err
	}
	if number != procExecuteSQL && !strings.EqualFold(procedure, "sp_executesql") {
		return Query{}, &Error{Number: 2812, Class: 16, Message: fmt.Sprintf("Could not find stored procedure '%s'.", procedure)}
	}
	var query Query
	for i := 0; len(c.b) > 0 && c.err == nil; i++ {
		name := strings.ToLower(strings.TrimPrefix(c.text(int(c.u8())), "@"))
		c.u8() // status flags
		value := readParameter(c)
		switch text, isText := value.(string); {
		case i == 0 && isText:
			query.Text, query.Params = text, make(map[string]any)
		case i == 0:
			return Query{}, &Error{Number: 214, Class: 16, Message: "Procedure expects parameter '@statement' of type 'ntext/nchar/nvarchar'."}
		case i > 1:
			query.Params[name] = value
		}
	}
	return query, c.err
}
