package sdk

import (
	"context"
	"time"

	"google.golang.org/grpc/codes"
	"google.golang.org/grpc/status"

	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/journal"
	"github.com/postureproject/posture/plugins/sdk/pluginv1"
)

// journalClient is the plugin's side of its journal. What is beyond the limits
// does not even leave the plugin.
type journalClient struct{ rpc pluginv1.JournalServiceClient }

const (
	appendJournal = "append to journal"
	readJournal   = "read journal"
	pruneJournal  = "prune journal"
)

// bounded gives a call that has no time limit one.
func (journalClient) bounded(ctx context.Context) (context.Context, context.CancelFunc) {
	if _, limited := ctx.Deadline(); limited {
		return context.WithCancel(ctx)
	}
	return context.WithTimeout(ctx, journalTime)
}

// failed turns a gRPC error into a [fault.Error]. In a scan it is the failure of
// the plugin that asked, so it names no source.
func (journalClient) failed(ctx context.Context, err error, op, log string) error {
	if err == nil {
		return nil
	}
	st, _ := status.FromError(err)
	for _, detail := range st.Details() {
		if f, ok := detail.(*pluginv1.Failure); ok {
			return fromFailure(f, "", op, log)
		}
	}
	switch {
	case ctx.Err() != nil && st.Code() == codes.Canceled:
		return &fault.Error{Kind: fault.Unavailable, Op: op, Subject: log, Err: context.Canceled}
	case st.Code() == codes.DeadlineExceeded:
		return &fault.Error{
			Kind: fault.Timeout, Op: op, Subject: log, Message: "the store did not answer within the time limit",
			Remedy: "find out why the store is slow; posture db status asks it",
		}
	case st.Code() == codes.Unavailable, st.Code() == codes.Canceled:
		return &fault.Error{Kind: fault.Unavailable, Op: op, Subject: log, Message: "the host does not answer", Remedy: "see the host's log"}
	default:
		return &fault.Error{Kind: kindOfCode(st.Code()), Op: op, Subject: log, Message: st.Message()}
	}
}

func (c journalClient) Append(ctx context.Context, log string, b journal.Batch) (journal.Appended, error) {
	if err := checked(log, b.Check()); err != nil {
		return journal.Appended{}, err
	}
	r := &pluginv1.AppendRequest{Log: log, Records: make([]*pluginv1.Record, len(b.Records))}
	for i, record := range b.Records {
		r.Records[i] = &pluginv1.Record{Id: record.ID, At: timeToProto(record.At), Keys: record.Keys, Body: record.Body}
	}
	if p := b.Progress; p != nil {
		r.Progress = &pluginv1.Progress{Document: p.Document, Version: p.Version}
	}
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	done, err := c.rpc.Append(ctx, r)
	return journal.Appended{Added: int(done.GetAdded()), Version: done.GetVersion()}, c.failed(ctx, err, appendJournal, log)
}

// checked gives what is wrong with the name of a log, or else err.
func checked(log string, err error) error {
	if logErr := journal.CheckLog(log); logErr != nil {
		return logErr
	}
	return err
}

func (c journalClient) Progress(ctx context.Context, log string) (journal.Progress, error) {
	if err := checked(log, nil); err != nil {
		return journal.Progress{}, err
	}
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	r, err := c.rpc.GetProgress(ctx, &pluginv1.GetProgressRequest{Log: log})
	p := r.GetProgress()
	return journal.Progress{Document: p.GetDocument(), Version: p.GetVersion()}, c.failed(ctx, err, readJournal, log)
}

func (c journalClient) Find(ctx context.Context, log string, q journal.Query) (journal.Page, error) {
	_, err := q.Check()
	if err := checked(log, err); err != nil {
		return journal.Page{}, err
	}
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	r, err := c.rpc.Find(ctx, &pluginv1.FindRequest{Log: log, Keys: q.Keys, Limit: int32(min(q.Limit, journal.MaxLimit)), After: q.After})
	if err != nil {
		return journal.Page{}, c.failed(ctx, err, readJournal, log)
	}
	page := journal.Page{Next: r.GetNext(), Records: make([]journal.Record, len(r.GetRecords()))}
	for i, p := range r.GetRecords() {
		page.Records[i] = journal.Record{ID: p.GetId(), At: timeFromProto(p.GetAt()), Body: p.GetBody()}
	}
	return page, nil
}

func (c journalClient) Has(ctx context.Context, log, key string) (bool, error) {
	if err := checked(log, journal.CheckKey(key)); err != nil {
		return false, err
	}
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	r, err := c.rpc.Has(ctx, &pluginv1.HasRequest{Log: log, Key: key})
	return r.GetHas(), c.failed(ctx, err, readJournal, log)
}

func (c journalClient) Newest(ctx context.Context, log string, upTo time.Time) (time.Time, error) {
	if err := checked(log, nil); err != nil {
		return time.Time{}, err
	}
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	r, err := c.rpc.Newest(ctx, &pluginv1.NewestRequest{Log: log, UpTo: timeToProto(upTo)})
	return timeFromProto(r.GetAt()), c.failed(ctx, err, readJournal, log)
}

func (c journalClient) Prune(ctx context.Context, log string, before time.Time) (int, error) {
	if err := checked(log, nil); err != nil {
		return 0, err
	}
	ctx, cancel := c.bounded(ctx)
	defer cancel()
	r, err := c.rpc.Prune(ctx, &pluginv1.PruneRequest{Log: log, Before: timeToProto(before)})
	return int(r.GetRemoved()), c.failed(ctx, err, pruneJournal, log)
}
