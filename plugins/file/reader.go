package file

import (
	"bufio"
	"compress/gzip"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"strings"

	"golang.org/x/text/encoding/unicode"
	"golang.org/x/text/transform"

	"github.com/postureproject/posture/fault"
)

// maxLine bounds one line of JSONL and one record of CSV, in bytes.
const maxLine = 16 << 20

// row is one record of a file: an object, or a line of a table.
type row struct {
	line    int // where it begins, from 1
	entries []entry
	raw     json.RawMessage // with debug only
}

// handler takes what a file holds. A bad record costs only itself; row may end
// the reading with an error.
type handler struct {
	row func(row) error
	bad func(line int, reason string)
}

// reader reads files of every format.
type reader struct {
	fieldMap map[string]string // normalised: theirs → ours
	debug    bool
}

type format int

const (
	formatJSON format = iota
	formatLines
	formatCSV
)

// formatOf tells the format by the extension.
func formatOf(path string) (format, bool) {
	name := strings.TrimSuffix(strings.ToLower(path), ".gz")
	switch filepath.Ext(name) {
	case ".json":
		return formatJSON, true
	case ".jsonl", ".ndjson":
		return formatLines, true
	case ".csv":
		return formatCSV, true
	default:
		return 0, false
	}
}

// errTooLarge ends the reading of a file that holds more than allowed.
var errTooLarge = errors.New("the files hold more than MAX_BYTES")

// readFile reads a file whole and counts its uncompressed bytes. At most limit
// of them are read.
func (r reader) readFile(ctx context.Context, path string, limit int64, h handler) (size int64, err error) {
	f, err := os.Open(path) //nolint:gosec // the administrator names the files
	if err != nil {
		return 0, err
	}
	defer func() { _ = f.Close() }()
	var in io.Reader = f
	if strings.HasSuffix(strings.ToLower(path), ".gz") {
		unpacked, err := gzip.NewReader(bufio.NewReaderSize(f, 64<<10))
		if err != nil {
			return 0, fmt.Errorf("unpack: %w", err)
		}
		in = unpacked
	}
	kind, ok := formatOf(path)
	if !ok {
		return 0, errors.New("the extension is none of .json, .jsonl, .ndjson and .csv, each also with .gz")
	}
	counted := &countingReader{ctx: ctx, in: in, left: limit}
	err = r.read(kind, counted, h)
	return limit - counted.left, err
}

// read reads one document. Text is UTF-8, or UTF-16 with a byte order mark.
func (r reader) read(kind format, in io.Reader, h handler) error {
	decoded := transform.NewReader(in, unicode.BOMOverride(unicode.UTF8.NewDecoder()))
	switch kind {
	case formatJSON:
		return r.readJSON(decoded, h)
	case formatLines:
		return r.readLines(decoded, h)
	default:
		return r.readCSV(decoded, h)
	}
}

// countingReader bounds what is read, and stops when its context ends.
type countingReader struct {
	ctx  context.Context //nolint:containedctx // io.Reader has no other place for it
	in   io.Reader
	left int64
}

func (c *countingReader) Read(p []byte) (int, error) {
	if err := c.ctx.Err(); err != nil {
		return 0, err
	}
	// One byte more than allowed tells "exactly full" from "too large".
	if int64(len(p)) > c.left+1 {
		p = p[:c.left+1]
	}
	n, err := c.in.Read(p)
	if c.left -= int64(n); c.left < 0 {
		c.left = 0
		return n, errTooLarge
	}
	return n, err
}

// problemWith tells the story of a file that cannot be read.
func problemWith(path string, err error) *fault.Error {
	e := &fault.Error{Kind: fault.BadResponse, Source: Name, Op: "read file", Subject: path, Err: err, Remedy: "correct the file, or write it anew"}
	var pathErr *os.PathError
	switch {
	case errors.Is(err, context.Canceled), errors.Is(err, context.DeadlineExceeded):
		e.Kind, e.Remedy = fault.Timeout, "raise TIMEOUT of this plugin, or split the file"
	case errors.Is(err, errTooLarge):
		e.Remedy = "raise MAX_BYTES, if there is enough memory"
	case errors.As(err, &pathErr):
		e.Kind, e.Err, e.Remedy = fault.Unavailable, pathErr.Err, "check the path and that Posture may read the file"
	}
	return e
}

// sumUp makes one failure of several: the first, with the number of others.
func sumUp(failures []*fault.Error) error {
	switch len(failures) {
	case 0:
		return nil
	case 1:
		return failures[0]
	}
	e := *failures[0]
	more := fmt.Sprintf("first of %d files that cannot be read", len(failures))
	if e.Message != "" {
		more += "; " + e.Message
	}
	e.Message = more
	return &e
}
