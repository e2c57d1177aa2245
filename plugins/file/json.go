package file

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"fmt"
	"io"
)

// readJSON reads a list of objects, one object, or several one after another.
// An element that is no object costs only itself; what is not JSON ends the
// reading with an error that names the line.
func (r reader) readJSON(in io.Reader, h handler) error {
	lines := &lineCounter{in: in}
	buffered := bufio.NewReaderSize(lines, 64<<10)
	first, err := lines.skipSpace(buffered)
	if errors.Is(err, io.EOF) {
		return errors.New("the file is empty")
	} else if err != nil {
		return err
	}
	dec := json.NewDecoder(buffered)
	switch first {
	case '[':
		return r.readList(dec, lines, h)
	case '{':
		for err == nil {
			err = r.readElement(dec, lines, h)
		}
		if err == io.EOF { //nolint:errorlint // the bare one says that nothing is left
			return nil
		}
		return err
	default:
		return lines.problem(dec, errors.New("neither a list nor an object"))
	}
}

func (r reader) readList(dec *json.Decoder, lines *lineCounter, h handler) error {
	if _, err := dec.Token(); err != nil {
		return lines.problem(dec, err)
	}
	for dec.More() {
		err := r.readElement(dec, lines, h)
		if err == io.EOF { //nolint:errorlint // the bare one says that nothing is left
			return lines.problem(dec, err)
		}
		if err != nil {
			return err
		}
	}
	if _, err := dec.Token(); err != nil {
		return lines.problem(dec, err)
	}
	var syntax *json.SyntaxError
	switch _, err := dec.Token(); {
	case err == io.EOF:
		return nil
	case err == nil, errors.As(err, &syntax):
		return lines.problem(dec, errors.New("there is more after the end of the list"))
	default:
		return lines.problem(dec, err)
	}
}

// readElement reads one element; its error is a bare io.EOF when there is none.
func (r reader) readElement(dec *json.Decoder, lines *lineCounter, h handler) error {
	var raw json.RawMessage
	err := dec.Decode(&raw)
	if err == io.EOF {
		return err
	} else if err != nil {
		return lines.problem(dec, err)
	}
	return r.object(lines.at(dec.InputOffset()-int64(len(raw))), raw, h)
}

// object hands on one JSON object.
func (r reader) object(line int, raw []byte, h handler) error {
	dec := json.NewDecoder(bytes.NewReader(raw))
	dec.UseNumber()
	var value any
	if err := dec.Decode(&value); err != nil {
		h.bad(line, "is not JSON: "+err.Error())
		return nil //nolint:nilerr // a bad line costs only itself
	}
	if _, err := dec.Token(); !errors.Is(err, io.EOF) {
		h.bad(line, "there is more after the end of the object")
		return nil
	}
	object, ok := value.(map[string]any)
	if !ok {
		h.bad(line, "is not an object")
		return nil
	}
	one := row{line: line, entries: r.flatten(object)}
	if r.debug {
		one.raw = bytes.Clone(raw)
	}
	return h.row(one)
}

// readLines reads an object a line. A bad line costs only itself.
func (r reader) readLines(in io.Reader, h handler) error {
	lines := lineReader{in: bufio.NewReaderSize(in, 64<<10)}
	for {
		text, err := lines.next()
		switch {
		case errors.Is(err, io.EOF):
			return nil
		case errors.Is(err, errLongLine):
			h.bad(lines.number, err.Error())
			continue
		case err != nil:
			return fmt.Errorf("line %d: %w", lines.number, err)
		}
		if text = bytes.TrimSpace(text); len(text) == 0 {
			continue
		}
		if err := r.object(lines.number, text, h); err != nil {
			return err
		}
	}
}

var errLongLine = fmt.Errorf("is longer than %d bytes", maxLine)

// lineReader reads lines of bounded length.
type lineReader struct {
	in     *bufio.Reader
	number int // of the line read last, from 1
	buf    []byte
}

// next gives a line with its line break, valid until the next call. A line that
// is too long is skipped and reported as errLongLine.
func (l *lineReader) next() ([]byte, error) {
	l.buf = l.buf[:0]
	long := false
	for {
		part, err := l.in.ReadSlice('\n')
		if !long {
			l.buf = append(l.buf, part...)
		}
		if len(l.buf) > maxLine {
			long, l.buf = true, l.buf[:0]
		}
		if errors.Is(err, bufio.ErrBufferFull) {
			continue
		}
		if errors.Is(err, io.EOF) && !long && len(l.buf) == 0 {
			return nil, io.EOF
		}
		l.number++
		if err != nil && !errors.Is(err, io.EOF) {
			return nil, err
		}
		if long {
			return nil, errLongLine
		}
		return l.buf, nil
	}
}

// lineCounter tells in which line an offset lies, while a decoder reads through
// it. Offsets must be asked for in ascending order.
type lineCounter struct {
	in      io.Reader
	base    int64   // bytes before the decoder's first
	seen    int64   // bytes read so far
	pending []int64 // offsets of line breaks not counted yet
	line    int     // line breaks counted
}

func (l *lineCounter) Read(p []byte) (int, error) {
	n, err := l.in.Read(p)
	for i, c := range p[:n] {
		if c == '\n' {
			l.pending = append(l.pending, l.seen+int64(i))
		}
	}
	l.seen += int64(n)
	return n, err
}

// skipSpace drops white space in front of the document, and gives its first byte.
func (l *lineCounter) skipSpace(in *bufio.Reader) (byte, error) {
	for ; ; l.base++ {
		c, err := in.ReadByte()
		if err != nil {
			return 0, err
		}
		if c != ' ' && c != '\t' && c != '\r' && c != '\n' {
			return c, in.UnreadByte()
		}
	}
}

// at gives the line, from 1, of a decoder's offset.
func (l *lineCounter) at(offset int64) int {
	offset += l.base
	n := 0
	for n < len(l.pending) && l.pending[n] < offset {
		n++
	}
	l.pending = l.pending[n:]
	l.line += n
	return l.line + 1
}

// problem names the line at which a decoder stands.
func (l *lineCounter) problem(dec *json.Decoder, err error) error {
	if errors.Is(err, io.EOF) {
		err = io.ErrUnexpectedEOF
	}
	offset := dec.InputOffset()
	var syntax *json.SyntaxError
	if errors.As(err, &syntax) {
		offset = max(offset, syntax.Offset)
	}
	return fmt.Errorf("line %d: %w", l.at(offset), err)
}
