package landesk

import (
	"strconv"
	"strings"
)

// statement is the one kind of statement that this server understands:
//
//	SELECT [DISTINCT] [TOP (n)] column, …
//	FROM table alias
//	[[LEFT] JOIN table alias ON alias.Computer_Idn = alias.Computer_Idn] …
//	[WHERE condition [AND condition] …]
//	[ORDER BY column, …]
//
// A condition compares a column with a number or a parameter, or is
// column IN (value, …) or column IN (statement). Columns are alias.name.
type statement struct {
	distinct bool
	top      *operand
	columns  []columnName
	from     tableName
	joins    []join
	where    []condition
	order    []columnName
}

type columnName struct{ alias, name string }

type tableName struct{ name, alias string }

type join struct {
	table       tableName
	left        bool
	first, then columnName
}

type condition struct {
	column columnName
	sign   string // "=", "<>", "<", "<=", ">", ">=" or "in"
	values []operand
	within *statement
}

// operand is a parameter or a number.
type operand struct {
	param  string
	number int64
}

// parser takes tokens one by one; after the first error it takes none.
type parser struct {
	tokens []token
	err    error
}

func parse(sql string) (*statement, error) {
	tokens, err := lex(sql)
	if err != nil {
		return nil, err
	}
	p := &parser{tokens: tokens}
	s := p.statement()
	if p.err == nil && len(p.tokens) > 0 {
		p.fail()
	}
	return s, p.err
}

func (p *parser) peek() token {
	if p.err != nil || len(p.tokens) == 0 {
		return token{}
	}
	return p.tokens[0]
}

func (p *parser) next() token {
	t := p.peek()
	if t.kind != endToken {
		p.tokens = p.tokens[1:]
	}
	return t
}

func (p *parser) fail() {
	if p.err == nil {
		p.err = syntaxError(p.peek().text)
	}
}

// accept takes the next token if it is the text.
func (p *parser) accept(text string) bool {
	if !p.peek().is(text) {
		return false
	}
	p.next()
	return true
}

func (p *parser) expect(texts ...string) {
	for _, text := range texts {
		if !p.accept(text) {
			p.fail()
		}
	}
}

func (p *parser) word() string {
	if p.peek().kind != wordToken {
		p.fail()
		return ""
	}
	return p.next().text
}

func (p *parser) column() columnName {
	alias := p.word()
	p.expect(".")
	return columnName{strings.ToLower(alias), strings.ToLower(p.word())}
}

func (p *parser) columns() []columnName {
	columns := []columnName{p.column()}
	for p.accept(",") {
		columns = append(columns, p.column())
	}
	return columns
}

func (p *parser) table() tableName {
	return tableName{name: p.word(), alias: strings.ToLower(p.word())}
}

func (p *parser) operand() operand {
	switch t := p.peek(); t.kind {
	case paramToken:
		p.next()
		return operand{param: t.text}
	case numberToken:
		p.next()
		n, err := strconv.ParseInt(t.text, 10, 64)
		if err != nil {
			p.fail()
		}
		return operand{number: n}
	default:
		p.fail()
		return operand{}
	}
}

func (p *parser) statement() *statement {
	s := &statement{}
	p.expect("SELECT")
	s.distinct = p.accept("DISTINCT")
	if p.accept("TOP") {
		p.expect("(")
		top := p.operand()
		s.top = &top
		p.expect(")")
	}
	s.columns = p.columns()
	p.expect("FROM")
	s.from = p.table()
	for p.err == nil && (p.peek().is("JOIN") || p.peek().is("LEFT")) {
		s.joins = append(s.joins, p.join())
	}
	if p.accept("WHERE") {
		s.where = append(s.where, p.condition())
		for p.accept("AND") {
			s.where = append(s.where, p.condition())
		}
	}
	if p.accept("ORDER") {
		p.expect("BY")
		s.order = p.columns()
	}
	return s
}

func (p *parser) join() join {
	j := join{left: p.accept("LEFT")}
	p.expect("JOIN")
	j.table = p.table()
	p.expect("ON")
	j.first = p.column()
	p.expect("=")
	j.then = p.column()
	return j
}

func (p *parser) condition() condition {
	c := condition{column: p.column()}
	if !p.accept("IN") {
		switch t := p.next(); t.text {
		case "=", "<>", "<", "<=", ">", ">=":
			c.sign = t.text
		default:
			p.fail()
		}
		c.values = []operand{p.operand()}
		return c
	}
	c.sign = "in"
	p.expect("(")
	if p.peek().is("SELECT") {
		c.within = p.statement()
	} else {
		c.values = []operand{p.operand()}
		for p.accept(",") {
			c.values = append(c.values, p.operand())
		}
	}
	p.expect(")")
	return c
}
