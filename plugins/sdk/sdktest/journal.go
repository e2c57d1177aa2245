package sdktest

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/postureproject/posture/journal"
	"github.com/postureproject/posture/plugins/sdk"
)

// Journal is a journal in memory that behaves as the host's does. Hand one to
// several plugins with [WithJournal] to have them share a store.
type Journal struct {
	mu   sync.Mutex
	logs map[string]*memoryLog
	down error
}

// memoryLog is one log of a [Journal].
type memoryLog struct {
	progress journal.Progress
	records  []memoryRecord // the newest first
	last     int64          // the number of the record that was appended last
}

type memoryRecord struct {
	journal.Record

	number int64
}

// NewJournal makes a journal that is empty.
func NewJournal() *Journal { return &Journal{logs: map[string]*memoryLog{}} }

var _ sdk.Journal = (*Journal)(nil)

// Fail makes every call fail with err, as when the host's store is away; nil
// ends that.
func (j *Journal) Fail(err error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	j.down = err
}

// IDs gives the IDs of all records of a log, the newest first.
func (j *Journal) IDs(log string) []string {
	j.mu.Lock()
	defer j.mu.Unlock()
	var ids []string
	if l, ok := j.logs[log]; ok {
		for _, r := range l.records {
			ids = append(ids, r.ID)
		}
	}
	return ids
}

// log gives a log, unless the call cannot be answered. The caller holds the lock.
func (j *Journal) log(ctx context.Context, name string) (*memoryLog, error) {
	if err := cmp.Or(j.down, ctx.Err(), journal.CheckLog(name)); err != nil {
		return nil, err
	}
	if j.logs[name] == nil {
		j.logs[name] = &memoryLog{}
	}
	return j.logs[name], nil
}

// Append implements [journal.Journal].
func (j *Journal) Append(ctx context.Context, log string, b journal.Batch) (journal.Appended, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	l, err := j.log(ctx, log)
	if err := cmp.Or(err, b.Check()); err != nil {
		return journal.Appended{}, err
	}
	if p := b.Progress; p != nil {
		if p.Version != l.progress.Version {
			return journal.Appended{}, journal.Moved(log)
		}
		l.progress = journal.Progress{Document: slices.Clone(p.Document), Version: p.Version + 1}
	}
	known := make(map[string]bool, len(l.records))
	for _, r := range l.records {
		known[r.ID] = true
	}
	done := journal.Appended{Version: l.progress.Version}
	for _, r := range b.Records {
		if known[r.ID] {
			continue
		}
		known[r.ID] = true
		done.Added++
		l.last++
		r.At, r.Keys, r.Body = r.At.UTC().Truncate(time.Microsecond), slices.Clone(r.Keys), slices.Clone(r.Body)
		l.records = append(l.records, memoryRecord{Record: r, number: l.last})
	}
	slices.SortFunc(l.records, func(a, b memoryRecord) int { return cmp.Or(b.At.Compare(a.At), cmp.Compare(b.number, a.number)) })
	return done, nil
}

// Progress implements [journal.Journal].
func (j *Journal) Progress(ctx context.Context, log string) (journal.Progress, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	l, err := j.log(ctx, log)
	if err != nil {
		return journal.Progress{}, err
	}
	return journal.Progress{Document: slices.Clone(l.progress.Document), Version: l.progress.Version}, nil
}

// Find implements [journal.Journal].
func (j *Journal) Find(ctx context.Context, log string, q journal.Query) (journal.Page, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	begin, err := q.Check()
	l, logErr := j.log(ctx, log)
	if err := errors.Join(logErr, err); err != nil {
		return journal.Page{}, err
	}
	var (
		page journal.Page
		last journal.Cursor
		size int
	)
	for _, r := range l.records {
		here := journal.Cursor{At: r.At.UnixMicro(), Number: r.number}
		below := here.At < begin.At || here.At == begin.At && here.Number < begin.Number
		if !below || !slices.ContainsFunc(r.Keys, func(key string) bool { return slices.Contains(q.Keys, key) }) {
			continue
		}
		if size += len(r.Body); len(page.Records) == q.Limit || size > journal.MaxPage && len(page.Records) > 0 {
			page.Next = last.String()
			break
		}
		page.Records = append(page.Records, journal.Record{ID: r.ID, At: r.At, Body: slices.Clone(r.Body)})
		last = here
	}
	return page, nil
}

// Has implements [journal.Journal].
func (j *Journal) Has(ctx context.Context, log, key string) (bool, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	l, err := j.log(ctx, log)
	if err := cmp.Or(err, journal.CheckKey(key)); err != nil {
		return false, err
	}
	return slices.ContainsFunc(l.records, func(r memoryRecord) bool { return slices.Contains(r.Keys, key) }), nil
}

// Newest implements [journal.Journal].
func (j *Journal) Newest(ctx context.Context, log string, upTo time.Time) (time.Time, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	l, err := j.log(ctx, log)
	if err != nil {
		return time.Time{}, err
	}
	for _, r := range l.records {
		if !r.At.After(upTo) {
			return r.At, nil
		}
	}
	return time.Time{}, nil
}

// Prune implements [journal.Journal].
func (j *Journal) Prune(ctx context.Context, log string, before time.Time) (int, error) {
	j.mu.Lock()
	defer j.mu.Unlock()
	l, err := j.log(ctx, log)
	if err != nil {
		return 0, err
	}
	from := len(l.records)
	for from > 0 && l.records[from-1].At.Before(before) && len(l.records)-from < journal.MaxRecords {
		from--
	}
	removed := len(l.records) - from
	l.records = slices.Clip(l.records[:from])
	return removed, nil
}
