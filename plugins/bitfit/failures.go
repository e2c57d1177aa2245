package bitfit

import (
	"fmt"

	"github.com/postureproject/posture/fault"
)

// inARow is how many requests must fail one after the other before a listing is
// given up.
const inARow = 50

// failures sums up the requests of which some failed.
type failures struct {
	failed, asked, row int
	first              error
}

// add counts one request and how it went.
func (f *failures) add(err error) {
	f.asked++
	if err == nil {
		f.row = 0
		return
	}
	f.failed++
	f.row++
	if f.first == nil {
		f.first = err
	}
}

// hopeless reports whether to go on makes no sense: the token is refused, or
// everything fails.
func (f *failures) hopeless() bool {
	return f.row >= inARow || f.first != nil && fault.KindOf(f.first) == fault.Unauthenticated
}

// err gives one error of the kind of the first failure; nil when all went well.
func (f *failures) err(op, subject string) error {
	if f.first == nil {
		return nil
	}
	return &fault.Error{
		Kind: fault.KindOf(f.first), Source: Name, Op: op, Subject: subject,
		Message: fmt.Sprintf("%d of %d requests failed, first", f.failed, f.asked),
		Remedy:  fault.RemedyOf(f.first), RetryAfter: fault.RetryAfterOf(f.first), Err: f.first,
	}
}
