package file

import (
	"context"
	"errors"
	"io/fs"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"sync"

	"github.com/postureproject/posture/fault"
)

// table holds the records of all files of one sort, and reads them anew when
// they change. It is safe for concurrent use; one caller reads for all.
type table[T any] struct {
	sort     string // for people: "devices", "events" or "users"
	patterns []string
	reader   reader
	maxBytes int64
	parse    func(row) (record T, unknown []string, err error)
	keys     func(*T) []string
	logger   *slog.Logger
	ctx      context.Context //nolint:containedctx // the plugin's own, which outlives the look-up that starts a reading

	mu       sync.Mutex
	current  *snapshot[T]
	inFlight chan struct{} // closed when the reading under way is done
	readers  sync.WaitGroup
}

// snapshot is what the files held at one time.
type snapshot[T any] struct {
	files []*content[T]
	index map[string][]*T
	err   error // of files that cannot be found or read
}

// content is what one file held.
type content[T any] struct {
	file
	records  []T
	size     int64 // uncompressed
	problems []problem
	bad      int  // records left out
	readable bool // it could be opened
	failure  *fault.Error
}

// file is a path and what the file system says about it.
type file struct {
	path string
	info fs.FileInfo
	err  error
}

// problem is why a record was left out.
type problem struct {
	line   int
	reason string
}

// maxProblems bounds how many bad records of a file are told one by one.
const maxProblems = 20

// find expands the patterns and looks the files up, in a fixed order. A path or a
// pattern without any file is an entry with an error.
func (t *table[T]) find() []file {
	var found []file
	seen := map[string]bool{}
	for _, pattern := range t.patterns {
		paths, err := filepath.Glob(pattern)
		if _, statErr := os.Stat(pattern); statErr == nil || len(paths) == 0 && err == nil {
			paths = []string{pattern} // a name with [ in it, or no file at all
		}
		for _, path := range paths {
			if seen[path] {
				continue
			}
			seen[path] = true
			info, err := os.Stat(path)
			if err == nil && info.IsDir() {
				err = &fs.PathError{Op: "read", Path: path, Err: errors.New("is a folder")}
			}
			found = append(found, file{path: path, info: info, err: err})
		}
	}
	return found
}

func (f file) same(g file) bool {
	if f.path != g.path || (f.err == nil) != (g.err == nil) {
		return false
	}
	return f.err != nil || os.SameFile(f.info, g.info) && f.info.Size() == g.info.Size() && f.info.ModTime().Equal(g.info.ModTime())
}

// upToDate reports whether the files are what they were. A file that could not
// be opened then is tried again.
func (s *snapshot[T]) upToDate(found []file) bool {
	if s == nil {
		return false
	}
	return slices.EqualFunc(s.files, found, func(have *content[T], now file) bool {
		return have.same(now) && (have.readable || now.err != nil || !canOpen(now.path))
	})
}

func canOpen(path string) bool {
	f, err := os.Open(path) //nolint:gosec // the administrator names the files
	if err != nil {
		return false
	}
	_ = f.Close()
	return true
}

// get gives the files' present content. When ctx ends before they are read, it is
// the content before, beside an error.
func (t *table[T]) get(ctx context.Context) (*snapshot[T], error) {
	if len(t.patterns) == 0 {
		return &snapshot[T]{}, nil
	}
	for {
		found := t.find()
		t.mu.Lock()
		current, flight := t.current, t.inFlight
		if flight == nil {
			if current.upToDate(found) {
				t.mu.Unlock()
				return current, current.err
			}
			flight = make(chan struct{})
			t.inFlight = flight
			t.readers.Go(func() { t.refresh(current, flight) })
		}
		t.mu.Unlock()
		select {
		case <-flight:
		case <-ctx.Done():
			err := &fault.Error{
				Kind: fault.Timeout, Source: Name, Op: "read files", Subject: t.sort, Err: ctx.Err(), Message: "the files are still being read",
				Remedy: "try again soon, or raise TIMEOUT of this plugin",
			}
			if current == nil {
				return &snapshot[T]{}, err
			}
			return current, err
		}
		if err := t.ctx.Err(); err != nil {
			return &snapshot[T]{}, fault.New(fault.Unavailable, "the plugin is ending: %w", err)
		}
	}
}

// refresh reads the files that changed since old.
func (t *table[T]) refresh(old *snapshot[T], done chan struct{}) {
	fresh := t.load(old, t.find())
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.ctx.Err() == nil {
		t.current = fresh
	}
	t.inFlight = nil
	close(done)
}

func (t *table[T]) load(old *snapshot[T], found []file) *snapshot[T] {
	fresh := &snapshot[T]{files: make([]*content[T], len(found))}
	before := map[string]*content[T]{}
	if old != nil {
		for _, c := range old.files {
			before[c.path] = c
		}
	}
	left := t.maxBytes
	for i, f := range found {
		c := before[f.path]
		if c == nil || !c.readable || !c.same(f) {
			c = t.read(f, c, left)
		}
		left -= c.size
		fresh.files[i] = c
	}
	fresh.build(t.keys)
	return fresh
}

// read reads one file. If that fails, what the file held before stays.
func (t *table[T]) read(f file, before *content[T], left int64) *content[T] {
	c := &content[T]{file: f}
	unknown := map[string]bool{}
	if f.err == nil {
		c.size, f.err = t.reader.readFile(t.ctx, f.path, left, handler{
			row: func(r row) error {
				record, extra, err := t.parse(r)
				for _, name := range extra {
					if len(unknown) < maxProblems {
						unknown[name] = true
					}
				}
				if err != nil {
					c.reject(r.line, err.Error())
					return nil
				}
				c.records = append(c.records, record)
				return nil
			},
			bad: c.reject,
		})
		c.readable = !errors.Is(f.err, fs.ErrNotExist) && !errors.Is(f.err, fs.ErrPermission)
	}
	t.report(c, f.err, unknown)
	if f.err != nil {
		failure := problemWith(f.path, f.err)
		if before != nil && len(before.records) > 0 {
			failure.Message = "the file's content before is used"
			c.records, c.size = before.records, before.size
		}
		c.failure = failure
	}
	return c
}

func (c *content[T]) reject(line int, reason string) {
	if c.bad++; len(c.problems) < maxProblems {
		c.problems = append(c.problems, problem{line: line, reason: reason})
	}
}

// report writes what is odd about a file into the log.
func (t *table[T]) report(c *content[T], err error, unknown map[string]bool) {
	for _, p := range c.problems {
		t.logger.WarnContext(t.ctx, "record left out", "file", c.path, "line", p.line, "reason", p.reason)
	}
	if c.bad > len(c.problems) {
		t.logger.WarnContext(t.ctx, "further records left out", "file", c.path, "records", c.bad-len(c.problems))
	}
	if len(unknown) > 0 {
		names := make([]string, 0, len(unknown))
		for name := range unknown {
			names = append(names, name)
		}
		slices.Sort(names)
		t.logger.InfoContext(t.ctx, "fields that are none of ours are ignored; FIELD_MAP can name them", "file", c.path, "fields", names)
	}
	if err != nil {
		t.logger.WarnContext(t.ctx, "file cannot be read", "file", c.path, "error", err)
		return
	}
	t.logger.InfoContext(t.ctx, "file read", "file", c.path, "records", len(c.records), "bytes", c.size)
}

// build indexes the records and sums up the failures.
func (s *snapshot[T]) build(keys func(*T) []string) {
	s.index = make(map[string][]*T)
	var failures []*fault.Error
	for _, c := range s.files {
		for i := range c.records {
			for _, key := range keys(&c.records[i]) {
				s.index[key] = append(s.index[key], &c.records[i])
			}
		}
		if c.failure != nil {
			failures = append(failures, c.failure)
		}
	}
	s.err = sumUp(failures)
}

// close waits for the reading under way; the plugin's context must have ended.
func (t *table[T]) close() { t.readers.Wait() }
