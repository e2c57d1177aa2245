// Package fault is the vocabulary of failure that every part of Posture
// shares: what kind of failure it was, where it happened, about whom, and what
// a person can do about it. It imports only the standard library; each border
// (HTTP, gRPC, exit status) translates a [Kind] once and never compares text.
package fault

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"time"
)

// Kind says what sort of failure an error is. The zero value is [Internal], so
// that an error nobody classified is never mistaken for something harmless.
type Kind uint8

// The kinds, in the order of the plugin protocol's enumeration.
const (
	Internal        Kind = iota // a defect on our side, or an error nobody classified
	NotFound                    // the subject does not exist
	Invalid                     // what was asked for is malformed; see Fields
	Conflict                    // it contradicts something that already holds
	Unauthenticated             // credentials missing, wrong or expired
	Forbidden                   // known, but not allowed
	RateLimited                 // asked to slow down; see RetryAfter
	Unavailable                 // cannot be reached, or is not able to answer now
	Timeout                     // no answer within the time limit
	BadResponse                 // an answer came, but it makes no sense
)

func kindNames() [BadResponse + 1]string {
	return [...]string{
		"internal", "not_found", "invalid", "conflict", "unauthenticated", "forbidden",
		"rate_limited", "unavailable", "timeout", "bad_response",
	}
}

// Kinds lists every kind, for metrics and tables that must name them all.
func Kinds() []Kind {
	kinds := make([]Kind, BadResponse+1)
	for i := range kinds {
		kinds[i] = Kind(i)
	}
	return kinds
}

// String gives the kind's stable name, fit for a metric label or a JSON field.
func (k Kind) String() string {
	names := kindNames()
	if int(k) < len(names) {
		return names[k]
	}
	return names[Internal]
}

// KindNamed gives the kind with a name that [Kind.String] gave; Internal when no
// kind has it.
func KindNamed(name string) Kind {
	for k, n := range kindNames() {
		if n == name {
			return Kind(k)
		}
	}
	return Internal
}

// Field is one malformed part of a request or a configuration.
type Field struct {
	Name   string `json:"name"`             // as its author writes it
	Value  string `json:"value,omitempty"`  // as given; never a secret
	Reason string `json:"reason"`           // what is wrong with it
	Remedy string `json:"remedy,omitempty"` // what to write instead
}

// Error is a failure with its story. All fields but Kind may be empty. No field
// may ever hold a secret: an Error is logged, shown and sent as it is.
type Error struct {
	Kind       Kind
	Source     string        // the plugin or component that failed, such as "jamf"
	Op         string        // what was being done, such as "get computer"
	Subject    string        // about whom or what, such as an address or a serial
	Message    string        // what went wrong, for people
	Remedy     string        // what a person can do about it
	RetryAfter time.Duration // for RateLimited: how long to wait; zero when not told
	Fields     []Field       // for Invalid
	Err        error         // the cause
}

// Error tells the story in one line: source, operation, subject, message, cause.
func (e *Error) Error() string {
	var b strings.Builder
	for _, part := range []string{e.Source, e.Op, e.Subject} {
		if part == "" {
			continue
		}
		if b.Len() > 0 && part == e.Subject {
			b.WriteByte(' ')
		} else if b.Len() > 0 {
			b.WriteString(": ")
		}
		b.WriteString(part)
	}
	write := func(s string) {
		if s == "" {
			return
		}
		if b.Len() > 0 {
			b.WriteString(": ")
		}
		b.WriteString(s)
	}
	write(e.Message)
	for _, f := range e.Fields {
		write(f.String())
	}
	if e.Err != nil {
		write(e.Err.Error())
	}
	if b.Len() == 0 {
		return e.Kind.String()
	}
	return b.String()
}

// String reads "name: reason (got value)".
func (f Field) String() string {
	s := f.Name + ": " + f.Reason
	if f.Value != "" {
		s += fmt.Sprintf(" (got %q)", f.Value)
	}
	if f.Remedy != "" {
		s += "; " + f.Remedy
	}
	return s
}

// Unwrap gives the cause to errors.Is and errors.As.
func (e *Error) Unwrap() error { return e.Err }

// New makes an error of a kind with a message built as by [fmt.Errorf]; every %w
// in the format becomes its cause.
func New(kind Kind, format string, args ...any) *Error {
	made := fmt.Errorf(format, args...)
	e := &Error{Kind: kind, Message: made.Error()}
	_, several := made.(interface{ Unwrap() []error })
	if several || errors.Unwrap(made) != nil {
		// The message already tells the cause; keep the chain, not the text twice.
		e.Message, e.Err = "", made
	}
	return e
}

// InvalidField makes an Invalid error about one field.
func InvalidField(name, value, reason, remedy string) *Error {
	return &Error{Kind: Invalid, Fields: []Field{{Name: name, Value: value, Reason: reason, Remedy: remedy}}}
}

// Wrap adds operation and subject to err and keeps its kind. It returns nil for
// a nil err. An error without a kind is classified as [KindOf] does.
func Wrap(err error, op, subject string) error {
	if err == nil {
		return nil
	}
	var e *Error
	if errors.As(err, &e) && e.Op == "" && errors.Is(err, error(e)) {
		c := *e
		c.Op = op
		if c.Subject == "" {
			c.Subject = subject
		}
		return &c
	}
	return &Error{
		Kind: KindOf(err), Op: op, Subject: subject, Remedy: RemedyOf(err),
		RetryAfter: RetryAfterOf(err), Err: err,
	}
}

// KindOf tells the kind of the outermost classified error in the chain of err.
// A passed deadline is a Timeout, everything unclassified is Internal.
func KindOf(err error) Kind {
	var e *Error
	switch {
	case errors.As(err, &e):
		return e.Kind
	case errors.Is(err, context.DeadlineExceeded):
		return Timeout
	default:
		return Internal
	}
}

// RemedyOf gives the first remedy found in the chain of err, or "".
func RemedyOf(err error) string {
	for e := (*Error)(nil); errors.As(err, &e); err = e.Err {
		if e.Remedy != "" {
			return e.Remedy
		}
	}
	return ""
}

// RetryAfterOf gives the first waiting time found in the chain of err, or zero.
func RetryAfterOf(err error) time.Duration {
	for e := (*Error)(nil); errors.As(err, &e); err = e.Err {
		if e.RetryAfter > 0 {
			return e.RetryAfter
		}
	}
	return 0
}

// IsNotFound reports whether err says that the subject does not exist, which is
// an answer and not a failure.
func IsNotFound(err error) bool { return err != nil && KindOf(err) == NotFound }

// SourceIsOut reports whether a failure shows that its source cannot be asked at
// all for now, so that further questions would only cost as much again: it let a
// time limit pass, or it is at fault itself and delivered nothing beside.
func SourceIsOut(err error, delivered bool) bool {
	if err == nil {
		return false
	}
	switch KindOf(err) {
	case Timeout:
		return true
	case Unavailable, Unauthenticated, Forbidden, RateLimited:
		return !delivered
	default:
		return false
	}
}
