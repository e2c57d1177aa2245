package fault_test

import (
	"context"
	"errors"
	"fmt"
	"io"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/fault"
)

func TestError_Error(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		err  fault.Error
		want string
	}{
		"empty":      {fault.Error{}, "internal"},
		"kind alone": {fault.Error{Kind: fault.Timeout}, "timeout"},
		"all": {
			fault.Error{
				Kind: fault.Invalid, Source: "jamf", Op: "get computer", Subject: "C02", Message: "it broke", Remedy: "not shown",
				Fields: []fault.Field{{Name: "A", Value: "x", Reason: "is odd", Remedy: "write y"}, {Name: "B", Reason: "is required"}}, Err: io.EOF,
			},
			`jamf: get computer C02: it broke: A: is odd (got "x"); write y: B: is required: EOF`,
		},
		"source and subject":   {fault.Error{Source: "jamf", Subject: "C02"}, "jamf C02"},
		"operation and cause":  {fault.Error{Op: "read", Err: io.EOF}, "read: EOF"},
		"nested":               {fault.Error{Op: "list", Err: &fault.Error{Op: "page", Subject: "2", Message: "gone"}}, "list: page 2: gone"},
		"subject alone":        {fault.Error{Subject: "C02"}, "C02"},
		"source like subject":  {fault.Error{Source: "x", Op: "y", Subject: "x"}, "x: y x"},
		"field with no remedy": {fault.Error{Fields: []fault.Field{{Name: "A", Reason: "is odd"}}}, "A: is odd"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if got := tc.err.Error(); got != tc.want {
				t.Errorf("got  %s\nwant %s", got, tc.want)
			}
		})
	}
}

func TestNew(t *testing.T) {
	t.Parallel()
	plain := fault.New(fault.Conflict, "no %s", "way")
	if plain.Error() != "no way" || plain.Kind != fault.Conflict || plain.Err != nil {
		t.Errorf("%#v", plain)
	}
	one := fault.New(fault.Conflict, "read: %w", io.EOF)
	if one.Error() != "read: EOF" || !errors.Is(one, io.EOF) {
		t.Errorf("%v", one)
	}
	two := fault.New(fault.Conflict, "read: %w, %w", io.EOF, io.ErrClosedPipe)
	if two.Error() != "read: EOF, io: read/write on closed pipe" || !errors.Is(two, io.EOF) || !errors.Is(two, io.ErrClosedPipe) {
		t.Errorf("%v loses a cause", two)
	}
}

func TestWrap(t *testing.T) {
	t.Parallel()
	if err := fault.Wrap(nil, "op", "subject"); err != nil {
		t.Errorf("nil becomes %v", err)
	}
	bare := &fault.Error{Kind: fault.Forbidden, Message: "no", Remedy: "ask"}
	err := fault.Wrap(bare, "read", "C02")
	want := &fault.Error{Kind: fault.Forbidden, Op: "read", Subject: "C02", Message: "no", Remedy: "ask"}
	if diff := cmp.Diff(want, err); diff != "" || bare.Op != "" {
		t.Errorf("an error without operation takes it, and the original stays: %#v\n%s", bare, diff)
	}
	told := &fault.Error{Kind: fault.RateLimited, Op: "page", Subject: "2", Remedy: "wait", RetryAfter: time.Minute}
	outer := fault.Wrap(told, "list", "all")
	if fault.KindOf(outer) != fault.RateLimited || fault.RemedyOf(outer) != "wait" || fault.RetryAfterOf(outer) != time.Minute || !errors.Is(outer, error(told)) {
		t.Errorf("%#v", outer)
	}
	if got := outer.Error(); got != "list all: page 2" {
		t.Errorf("%q", got)
	}
	if err := fault.Wrap(fault.Wrap(bare, "", "inner"), "read", "outer"); !strings.Contains(err.Error(), "inner") {
		t.Errorf("the first subject is lost: %v", err)
	}
}

func TestQuestions(t *testing.T) {
	t.Parallel()
	inner := &fault.Error{Kind: fault.NotFound, Remedy: "look elsewhere", RetryAfter: time.Second}
	tests := map[string]struct {
		err      error
		kind     fault.Kind
		notFound bool
		remedy   string
		after    time.Duration
	}{
		"nil":          {nil, fault.Internal, false, "", 0},
		"unclassified": {io.EOF, fault.Internal, false, "", 0},
		"deadline":     {fmt.Errorf("x: %w", context.DeadlineExceeded), fault.Timeout, false, "", 0},
		"canceled":     {context.Canceled, fault.Internal, false, "", 0},
		"wrapped":      {fmt.Errorf("x: %w", inner), fault.NotFound, true, "look elsewhere", time.Second},
		"outermost":    {&fault.Error{Kind: fault.Forbidden, Err: inner}, fault.Forbidden, false, "look elsewhere", time.Second},
		"joined":       {errors.Join(io.EOF, inner), fault.NotFound, true, "look elsewhere", time.Second},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if fault.KindOf(tc.err) != tc.kind || fault.IsNotFound(tc.err) != tc.notFound || fault.RemedyOf(tc.err) != tc.remedy || fault.RetryAfterOf(tc.err) != tc.after {
				t.Errorf("kind %s, not found %v, remedy %q, after %v", fault.KindOf(tc.err), fault.IsNotFound(tc.err), fault.RemedyOf(tc.err), fault.RetryAfterOf(tc.err))
			}
		})
	}
}

func TestKinds(t *testing.T) {
	t.Parallel()
	seen := map[string]bool{}
	for i, k := range fault.Kinds() {
		if int(k) != i || seen[k.String()] || k.String() == "" {
			t.Errorf("kind %d is %q", i, k)
		}
		seen[k.String()] = true
	}
	if len(seen) != 10 || fault.Kind(200).String() != "internal" {
		t.Errorf("kinds %v; one that does not exist reads %q", seen, fault.Kind(200))
	}
}
