package supervise

import (
	"bufio"
	"bytes"
	"encoding/json"
	"errors"
	"io"
	"strings"
	"time"
)

// stderrLineMax is how long a line may be to be looked at whole; longer ones pass
// in pieces, which go-plugin does not take for JSON.
const stderrLineMax = 64 << 10

// logTimeLayout is how go-plugin reads "@timestamp".
const logTimeLayout = "2006-01-02T15:04:05.000000Z07:00"

// saneStderr gives a plugin's standard error to go-plugin, which ends the whole
// host when one of the three special keys of a line of JSON is not a text: such
// a line passes with a mark in front, and so as plain text.
type saneStderr struct {
	io.Closer
	in      *bufio.Reader
	pending []byte
	within  bool // a long line, of which the beginning was passed on
}

func newSaneStderr(r io.ReadCloser) *saneStderr {
	return &saneStderr{Closer: r, in: bufio.NewReaderSize(r, stderrLineMax)}
}

// Read implements [io.Reader].
func (s *saneStderr) Read(p []byte) (int, error) {
	if len(s.pending) == 0 {
		line, err := s.in.ReadSlice('\n')
		if len(line) == 0 {
			return 0, err
		}
		whole := !s.within && !errors.Is(err, bufio.ErrBufferFull)
		mark := ""
		switch {
		case !s.within && !whole:
			mark = "… " // so that no piece of it can be JSON
		case whole && !loggable(line):
			mark = "malformed log line: "
		}
		s.within = errors.Is(err, bufio.ErrBufferFull)
		s.pending = append(append(s.pending[:0], mark...), line...)
	}
	n := copy(p, s.pending)
	s.pending = s.pending[n:]
	return n, nil
}

// loggable reports whether go-plugin can read a line without coming to harm.
func loggable(line []byte) bool {
	line = bytes.TrimSpace(line)
	if len(line) == 0 || line[0] != '{' || !bytes.ContainsRune(line, '@') && !strings.Contains(string(line), `\u`) {
		return true
	}
	var keys map[string]any
	if json.Unmarshal(line, &keys) != nil {
		return true // plain text
	}
	for _, key := range []string{"@message", "@level", "@timestamp"} {
		value, given := keys[key]
		text, isText := value.(string)
		if given && !isText {
			return false
		}
		if key == "@timestamp" && given {
			if _, err := time.Parse(logTimeLayout, text); err != nil {
				return true // go-plugin takes the line for plain text
			}
		}
	}
	return true
}
