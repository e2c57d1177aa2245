package sdk

import (
	"context"
	"errors"
	"strings"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/plugins/sdk/pluginv1"
)

// Two ways in which the plugin itself, rather than its source, failed to answer;
// the causes of the errors that a [Client] returns then.
var (
	// ErrConnectionLost says that the plugin's process went away.
	ErrConnectionLost = errors.New("the plugin's process went away")
	// ErrNoAnswer says that the plugin did not even report a failure in time.
	ErrNoAnswer = errors.New("the plugin did not answer within the time limit")
)

// codeOf gives the gRPC code that tells a failure's kind to clients that do not
// read the detail.
func codeOf(k fault.Kind) codes.Code {
	switch k {
	case fault.NotFound:
		return codes.NotFound
	case fault.Invalid:
		return codes.InvalidArgument
	case fault.Conflict:
		return codes.FailedPrecondition
	case fault.Unauthenticated:
		return codes.Unauthenticated
	case fault.Forbidden:
		return codes.PermissionDenied
	case fault.RateLimited:
		return codes.ResourceExhausted
	case fault.Unavailable:
		return codes.Unavailable
	case fault.Timeout:
		return codes.DeadlineExceeded
	case fault.BadResponse:
		return codes.DataLoss
	default:
		return codes.Internal
	}
}

func kindOfCode(c codes.Code) fault.Kind {
	switch c {
	case codes.NotFound:
		return fault.NotFound
	case codes.InvalidArgument, codes.OutOfRange:
		return fault.Invalid
	case codes.FailedPrecondition, codes.AlreadyExists, codes.Aborted:
		return fault.Conflict
	case codes.Unauthenticated:
		return fault.Unauthenticated
	case codes.PermissionDenied:
		return fault.Forbidden
	case codes.Unavailable:
		return fault.Unavailable
	case codes.DeadlineExceeded:
		return fault.Timeout
	case codes.ResourceExhausted, codes.DataLoss:
		// Without a Failure, this is gRPC itself: a message over the size limit.
		return fault.BadResponse
	default:
		return fault.Internal
	}
}

// toStatus turns an error into a gRPC status that carries a Failure.
func toStatus(err error) error {
	if err == nil {
		return nil
	}
	if _, ok := err.(interface{ GRPCStatus() *status.Status }); ok {
		return err
	}
	f := toFailure(err)
	if f == nil {
		return status.Error(codes.Canceled, "canceled")
	}
	code := codeOf(fault.KindOf(notCanceled(err)))
	// The detail tells it all; the status repeats the message for other clients.
	st, detailErr := status.New(code, f.GetMessage()).WithDetails(f)
	if detailErr != nil {
		return status.Error(code, f.GetMessage())
	}
	return st.Err()
}

// toFailure turns an error into the protocol's message; nil when it only says that
// the call was called off.
func toFailure(err error) *pluginv1.Failure {
	if err = notCanceled(err); err == nil {
		return nil
	}
	f := &pluginv1.Failure{
		Kind: pluginv1.FailureKind(fault.KindOf(err)), Message: text(err.Error()), Remedy: text(fault.RemedyOf(err)),
		RetryAfterMs: fault.RetryAfterOf(err).Milliseconds(),
	}
	var e *fault.Error
	if errors.As(err, &e) {
		bare := *e
		bare.Source, bare.Op, bare.Subject, bare.Fields = "", "", "", nil
		f.Operation, f.Subject, f.Message = text(e.Op), text(e.Subject), text(bare.Error())
		if bare.Message == "" && bare.Err == nil {
			f.Message = ""
		}
		for _, field := range e.Fields[:min(len(e.Fields), maxFailureFields)] {
			f.Fields = append(f.Fields, &pluginv1.InvalidField{
				Name: text(field.Name), Value: text(field.Value), Reason: text(field.Reason), Remedy: text(field.Remedy),
			})
		}
	}
	return f
}

// A failure travels in an HTTP/2 trailer, which must stay small.
const (
	maxFailureText   = 2 << 10 // bytes
	maxFailureFields = 20
)

// text makes s fit for a failure: valid UTF-8 and not long.
func text(s string) string {
	if len(s) > maxFailureText {
		s = s[:maxFailureText] + "…"
	}
	return strings.ToValidUTF8(s, "\uFFFD")
}

// notCanceled gives err without what only says that a call was called off: beside
// the failure that made its siblings stop, it says nothing. It is nil when err
// says nothing else.
func notCanceled(err error) error {
	joined, ok := err.(interface{ Unwrap() []error })
	switch {
	case !ok && !errors.Is(err, context.Canceled):
		return err
	case !ok:
		if cause := errors.Unwrap(err); cause == nil || notCanceled(cause) == nil {
			return nil
		}
		return err
	}
	var rest []error
	for _, e := range joined.Unwrap() {
		if e != nil && notCanceled(e) != nil {
			rest = append(rest, notCanceled(e))
		}
	}
	switch len(rest) {
	case 0:
		return nil
	case len(joined.Unwrap()):
		return err
	default:
		return errors.Join(rest...)
	}
}

// fromStatus turns a gRPC error into a [fault.Error] of the plugin named source.
func fromStatus(err error, source, op, subject string) error {
	if err == nil {
		return nil
	}
	st, _ := status.FromError(err)
	if st.Code() == codes.Canceled {
		return &fault.Error{Kind: fault.Unavailable, Source: source, Op: op, Subject: subject, Message: "canceled", Err: context.Canceled}
	}
	for _, detail := range st.Details() {
		if f, ok := detail.(*pluginv1.Failure); ok {
			return fromFailure(f, source, op, subject)
		}
	}
	e := &fault.Error{Kind: kindOfCode(st.Code()), Source: source, Op: op, Subject: subject, Message: st.Message()}
	switch e.Kind {
	case fault.Timeout:
		e.Message, e.Err, e.Remedy = "", ErrNoAnswer, "raise TIMEOUT of this plugin, or find out why its source is slow"
	case fault.Unavailable:
		e.Message, e.Err, e.Remedy = "", ErrConnectionLost, "see the log for the plugin's last words"
	case fault.BadResponse:
		e.Remedy = "the answer is larger than the host accepts; narrow it at the source"
	}
	return e
}

func fromFailure(f *pluginv1.Failure, source, op, subject string) error {
	e := &fault.Error{
		Kind: kindOf(f.GetKind()), Source: source, Op: orElse(f.GetOperation(), op), Subject: orElse(f.GetSubject(), subject),
		Message: f.GetMessage(), Remedy: f.GetRemedy(), RetryAfter: time.Duration(f.GetRetryAfterMs()) * time.Millisecond,
	}
	for _, field := range f.GetFields() {
		e.Fields = append(e.Fields, fault.Field{Name: field.GetName(), Value: field.GetValue(), Reason: field.GetReason(), Remedy: field.GetRemedy()})
	}
	return e
}

// fromFailures joins what failed beside records; nil when nothing did.
func fromFailures(failures []*pluginv1.Failure, source, op, subject string) error {
	errs := make([]error, len(failures))
	for i, f := range failures {
		errs[i] = fromFailure(f, source, op, subject)
	}
	if len(errs) == 1 {
		return errs[0]
	}
	return errors.Join(errs...)
}

func kindOf(k pluginv1.FailureKind) fault.Kind {
	if _, known := pluginv1.FailureKind_name[int32(k)]; !known || k < 0 {
		return fault.Internal
	}
	return fault.Kind(k)
}

func orElse(s, otherwise string) string {
	if s != "" {
		return s
	}
	return otherwise
}
