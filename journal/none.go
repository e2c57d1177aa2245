package journal

import (
	"context"
	"time"

	"github.com/postureproject/posture/fault"
)

// None is the journal where there is no store: everything fails with an error of
// kind Unavailable that says so.
type None struct{}

func (None) fail(op, log string) error {
	return &fault.Error{
		Kind: fault.Unavailable, Op: op, Subject: log, Message: "there is no store that the plugin's log could be kept in",
		Remedy: "see posture db status; store.dsn says where the store is",
	}
}

// Append implements [Journal].
func (n None) Append(_ context.Context, log string, _ Batch) (Appended, error) {
	return Appended{}, n.fail("append to journal", log)
}

// Progress implements [Journal].
func (n None) Progress(_ context.Context, log string) (Progress, error) {
	return Progress{}, n.fail("read journal", log)
}

// Find implements [Journal].
func (n None) Find(_ context.Context, log string, _ Query) (Page, error) {
	return Page{}, n.fail("read journal", log)
}

// Has implements [Journal].
func (n None) Has(_ context.Context, log, _ string) (bool, error) {
	return false, n.fail("read journal", log)
}

// Newest implements [Journal].
func (n None) Newest(_ context.Context, log string, _ time.Time) (time.Time, error) {
	return time.Time{}, n.fail("read journal", log)
}

// Prune implements [Journal].
func (n None) Prune(_ context.Context, log string, _ time.Time) (int, error) {
	return 0, n.fail("prune journal", log)
}
