package file

import (
	"bufio"
	"bytes"
	"encoding/csv"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"strings"
)

// maxRecordLines bounds how many lines a quoted field may span. A quote that is
// never closed then costs its own line, not the rest of the file.
const maxRecordLines = 100

// readCSV reads a table with a header. The separator is a comma, semicolon or
// tab, whichever the header has most of. A bad line costs only itself.
func (r reader) readCSV(in io.Reader, h handler) error {
	records := csvReader{lines: lineReader{in: bufio.NewReaderSize(in, 64<<10)}, comma: ','}
	header, err := records.header()
	if err != nil {
		return err
	}
	columns := make([]string, len(header))
	for i, name := range header {
		columns[i] = r.fieldName(normalise(name))
	}
	for {
		line, values, err := records.next()
		var bad badRecord
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.As(err, &bad):
			h.bad(line, string(bad))
			continue
		case err != nil:
			return fmt.Errorf("line %d: %w", line, err)
		case isBlank(values):
			continue
		case len(values) != len(header):
			h.bad(line, fmt.Sprintf("has %d columns instead of %d", len(values), len(header)))
			continue
		}
		one := row{line: line, entries: make([]entry, 0, len(values))}
		for i, value := range values {
			if value = strings.TrimSpace(value); value != "" && columns[i] != "" {
				one.entries = append(one.entries, entry{path: columns[i], name: lastPart(header[i]), value: value})
			}
		}
		if r.debug {
			one.raw = rawRecord(header, values)
		}
		if err := h.row(one); err != nil {
			return err
		}
	}
}

func isBlank(values []string) bool {
	for _, v := range values {
		if strings.TrimSpace(v) != "" {
			return false
		}
	}
	return true
}

func rawRecord(header, values []string) json.RawMessage {
	object := make(map[string]string, len(header))
	for i, name := range header {
		object[name] = values[i]
	}
	raw, err := json.Marshal(object)
	if err != nil {
		return nil
	}
	return raw
}

// badRecord is what is wrong with one record.
type badRecord string

func (b badRecord) Error() string { return string(b) }

// csvReader cuts a table into records and has encoding/csv read each. That
// package alone cannot find back into the table behind a broken record.
type csvReader struct {
	lines  lineReader
	comma  byte
	queued []queuedLine // read ahead in vain, to be read again
}

type queuedLine struct {
	number int
	text   []byte
	err    error
}

// header reads the first line that is not blank.
func (c *csvReader) header() ([]string, error) {
	for {
		first := c.line()
		switch {
		case errors.Is(first.err, io.EOF):
			return nil, errors.New("the file is empty; a header with field names is needed")
		case first.err != nil:
			return nil, fmt.Errorf("line %d: %w", first.number, first.err)
		case len(bytes.TrimSpace(first.text)) == 0:
			continue
		}
		for _, candidate := range []byte{';', '\t'} {
			if bytes.Count(first.text, []byte{candidate}) > bytes.Count(first.text, []byte{c.comma}) {
				c.comma = candidate
			}
		}
		c.queued = append([]queuedLine{first}, c.queued...)
		line, names, err := c.next()
		if err != nil {
			return nil, fmt.Errorf("line %d: the header is broken: %w", line, err)
		}
		for i := range names {
			names[i] = strings.TrimSpace(names[i])
		}
		return names, nil
	}
}

// line gives the next line, one read ahead first.
func (c *csvReader) line() queuedLine {
	if len(c.queued) > 0 {
		first := c.queued[0]
		c.queued = c.queued[1:]
		return first
	}
	text, err := c.lines.next()
	return queuedLine{number: c.lines.number, text: text, err: err}
}

// next gives a record and the line where it begins. Its error is a badRecord
// when only this record is lost.
func (c *csvReader) next() (line int, values []string, err error) {
	first := c.line()
	switch {
	case errors.Is(first.err, errLongLine):
		return first.number, nil, badRecord(first.err.Error())
	case first.err != nil:
		return first.number, nil, first.err
	}
	record := first.text
	if bytes.IndexByte(record, '"') < 0 { // most are, and need no more
		if line := strings.TrimRight(string(record), "\r\n"); line != "" {
			values = strings.Split(line, string(c.comma))
		}
		return first.number, values, nil
	}
	state := quotes{comma: c.comma, fieldStart: true}
	if state.read(record); state.open {
		record, err = c.join(first, state)
		if err != nil {
			return first.number, nil, err
		}
	}
	in := csv.NewReader(bytes.NewReader(record))
	in.Comma, in.LazyQuotes, in.FieldsPerRecord = rune(c.comma), true, -1
	values, err = in.Read()
	switch {
	case errors.Is(err, io.EOF): // a blank line
		return first.number, nil, nil
	case err != nil:
		return first.number, nil, badRecord("is not CSV: " + errors.Unwrap(err).Error())
	}
	return first.number, values, nil
}

// join adds lines until the quotes are closed. If they never are, the first line
// is lost and the others are read again.
func (c *csvReader) join(first queuedLine, state quotes) ([]byte, error) {
	record := bytes.Clone(first.text)
	var ahead []queuedLine
	for len(ahead) < maxRecordLines && len(record) <= maxLine {
		more := c.line()
		more.text = bytes.Clone(more.text)
		ahead = append(ahead, more)
		if more.err != nil {
			break
		}
		record = append(record, more.text...)
		if state.read(more.text); !state.open {
			return record, nil
		}
	}
	c.queued = append(ahead, c.queued...)
	return nil, badRecord("a quote is opened and never closed")
}

// quotes follows quoted fields over the lines of a record.
type quotes struct {
	comma      byte
	open       bool // a quoted field goes on
	fieldStart bool // the next byte begins a field
}

// read goes on to the end of a line.
func (q *quotes) read(line []byte) {
	for i := 0; i < len(line); i++ {
		switch ch := line[i]; {
		case q.open && ch == '"' && i+1 < len(line) && line[i+1] == '"':
			i++
		case q.open:
			q.open = ch != '"'
		case ch == '"' && q.fieldStart:
			q.open, q.fieldStart = true, false
		default:
			q.fieldStart = ch == q.comma
		}
	}
}
