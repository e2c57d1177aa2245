package landesk

import (
	"context"
	"errors"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/plugins/sdk"
)

const (
	// pageSize is how many computers are read at once.
	pageSize = 500
	// rowsPerComputer bounds the rows of one table about one computer, and
	// rowsPerPage those about a page.
	rowsPerComputer = 20_000
	rowsPerPage     = 1_000_000
	// ownersPerComputer bounds the rows that the joins may make of a computer.
	ownersPerComputer = 100
)

// findings is what the tables with many rows per computer hold, and which of
// them could not be read.
type findings struct {
	vulnerabilities map[int64][]vulnerability
	adapters        map[int64][]adapter
	suites          map[int64][]suite
	unread          map[string]bool // by table
}

// fetch reads everything about the computers of a scope. When a table beside the
// main ones cannot be read, the computers come without it, beside the error.
func (s *Source) fetch(ctx context.Context, of scope, subject string) ([]device.Device, error) {
	rows, err := collect(ctx, s.db, computers().in(of, subject, sdk.MaxRecords), s.rules.readComputer)
	if err != nil {
		return nil, err
	}
	found := gather(rows)
	devices := make([]device.Device, 0, len(found))
	var failures []error
	for some := range slices.Chunk(found, pageSize) {
		numbers := make([]int64, 0, len(some))
		for _, c := range some {
			numbers = append(numbers, c.id)
		}
		numbers = slices.Compact(numbers) // they are sorted
		known, err := s.findings(ctx, withNumbers(numbers), subject, len(numbers))
		failures = append(failures, err)
		devices = append(devices, s.rules.devices(some, known)...)
	}
	return devices, together(failures)
}

// findings reads the tables with many rows per computer, side by side.
func (s *Source) findings(ctx context.Context, of scope, subject string, computers int) (*findings, error) {
	limit := min(rowsPerPage, max(1, computers)*rowsPerComputer)
	known := &findings{unread: make(map[string]bool)}
	var failures [3]error
	var group errgroup.Group
	group.SetLimit(max(1, s.concurrency))
	group.Go(func() error {
		known.vulnerabilities, failures[0] = findRows(ctx, s.db, vulnerabilities().in(of, subject, limit), readVulnerability, orderVulnerabilities)
		return nil
	})
	group.Go(func() error {
		known.adapters, failures[1] = findRows(ctx, s.db, adapters().in(of, subject, limit), readAdapter, orderAdapters)
		return nil
	})
	group.Go(func() error {
		known.suites, failures[2] = findRows(ctx, s.db, suites().in(of, subject, limit), readSuite(s.rules.zone), orderSuites)
		return nil
	})
	_ = group.Wait() // each failure is in its own place
	for i, q := range []query{vulnerabilities(), adapters(), suites()} {
		known.unread[q.name()] = failures[i] != nil
	}
	return known, together(failures[:])
}

func findRows[T any](ctx context.Context, db *database, st statement, read func([]any) T, order func(a, b T) int) (map[int64][]T, error) {
	rows, err := collect(ctx, db, st, own(read))
	if err != nil {
		return nil, err
	}
	return byComputer(rows, order), nil
}

// together makes one error of several: of the first one's kind, with what each
// of them says.
func together(failures []error) error {
	failures = slices.DeleteFunc(slices.Clone(failures), func(err error) bool { return err == nil })
	switch len(failures) {
	case 0:
		return nil
	case 1:
		return failures[0]
	}
	e := &fault.Error{Source: Name, Kind: fault.KindOf(failures[0]), Remedy: fault.RemedyOf(failures[0]), Op: "read tables"}
	messages := make([]string, 0, len(failures))
	for _, failure := range failures {
		var one *fault.Error
		if errors.As(failure, &one) {
			e.Subject = one.Subject
			bare := *one
			bare.Source, bare.Subject = "", ""
			failure = &bare
		}
		if message := failure.Error(); !slices.Contains(messages, message) {
			messages = append(messages, message)
		}
	}
	e.Message = strings.Join(messages, "; ")
	return e
}
