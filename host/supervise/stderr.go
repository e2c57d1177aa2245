package supervise

import (
	"bufio"
	"encoding/json"
	"errors"
	"io"
)

// stderrLineMax is how long a line may be to be looked at whole; longer ones pass
// in pieces, which go-plugin does not take for JSON.
const stderrLineMax = 64 << 10

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
		long, mark := errors.Is(err, bufio.ErrBufferFull), ""
		switch {
		case s.within: // goes on as it began
		case long:
			mark = "… " // so that it is not taken for JSON
		case !loggable(line):
			mark = "malformed log line: "
		}
		s.within = long
		s.pending = append(append(s.pending[:0], mark...), line...)
	}
	n := copy(p, s.pending)
	s.pending = s.pending[n:]
	return n, nil
}

// loggable reports whether go-plugin can read a line without coming to harm.
func loggable(line []byte) bool {
	var keys map[string]any
	if json.Unmarshal(line, &keys) != nil {
		return true // plain text
	}
	for _, key := range []string{"@message", "@level", "@timestamp"} {
		if value, given := keys[key]; given {
			if _, isText := value.(string); !isText {
				return false
			}
		}
	}
	return true
}
