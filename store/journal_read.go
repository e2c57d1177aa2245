package store

import (
	"context"
	"database/sql"
	"errors"
	"strconv"
	"strings"
	"time"

	"github.com/postureproject/posture/journal"
)

// thisJournal is the number of the log whose plugin and name are the first two
// arguments.
const thisJournal = "(SELECT number FROM journals WHERE plugin = $1 AND name = $2)"

// Progress implements [journal.Journal].
func (j journalOf) Progress(ctx context.Context, log string) (journal.Progress, error) {
	var p journal.Progress
	if err := journal.CheckLog(log); err != nil {
		return p, err
	}
	err := j.store.db.QueryRowContext(ctx, "SELECT version, progress FROM journals WHERE plugin = $1 AND name = $2", j.plugin, log).
		Scan(&p.Version, &p.Document)
	if errors.Is(err, sql.ErrNoRows) || err == nil && p.Version == 0 {
		return journal.Progress{}, nil
	}
	return p, j.store.fault(err, readJournal, log)
}

// Has implements [journal.Journal].
func (j journalOf) Has(ctx context.Context, log, key string) (has bool, err error) {
	if err := errors.Join(journal.CheckLog(log), journal.CheckKey(key)); err != nil {
		return false, err
	}
	err = j.store.db.QueryRowContext(ctx, "SELECT EXISTS (SELECT 1 FROM journal_keys WHERE journal = "+thisJournal+" AND key = $3)", j.plugin, log, key).
		Scan(&has)
	return has, j.store.fault(err, readJournal, log)
}

// Newest implements [journal.Journal].
func (j journalOf) Newest(ctx context.Context, log string, upTo time.Time) (time.Time, error) {
	if err := journal.CheckLog(log); err != nil {
		return time.Time{}, err
	}
	var at sql.NullInt64
	err := j.store.db.QueryRowContext(ctx, "SELECT max(at) FROM journal_records WHERE journal = "+thisJournal+" AND at <= $3", j.plugin, log, micros(upTo)).
		Scan(&at)
	if err != nil || !at.Valid {
		return time.Time{}, j.store.fault(err, readJournal, log)
	}
	return time.UnixMicro(at.Int64).UTC(), nil
}

// Find implements [journal.Journal].
func (j journalOf) Find(ctx context.Context, log string, q journal.Query) (journal.Page, error) {
	begin, err := q.Check()
	if err = errors.Join(journal.CheckLog(log), err); err != nil || len(q.Keys) == 0 {
		return journal.Page{}, err
	}
	// One more than wanted tells whether there is a next page.
	args := []any{j.plugin, log, begin.At, begin.Number, q.Limit + 1}
	for _, key := range q.Keys {
		args = append(args, key)
	}
	rows, err := j.store.queryOften(ctx, findJournal(len(q.Keys)), args...)
	if err != nil {
		return journal.Page{}, j.store.fault(err, readJournal, log)
	}
	defer func() { _ = rows.Close() }()
	page, err := j.page(ctx, rows, q.Limit)
	if err != nil {
		return journal.Page{}, j.store.fault(err, readJournal, log)
	}
	return page, nil
}

// findJournal is the query for the newest records that have one of some keys. Of
// each key it reads as many as are wanted from its index, so that the time does
// not grow with the log.
func findJournal(keys int) string {
	var b strings.Builder
	b.WriteString("SELECT r.seq, r.id, r.at, r.body FROM journal_records r WHERE r.seq IN (")
	for i := range keys {
		if i > 0 {
			b.WriteString(" UNION ")
		}
		n := strconv.Itoa(i)
		b.WriteString("SELECT seq FROM (SELECT seq FROM journal_keys WHERE journal = " + thisJournal + " AND key = $" + strconv.Itoa(i+6) +
			" AND (at, seq) < ($3, $4) ORDER BY at DESC, seq DESC LIMIT $5) AS k" + n)
	}
	b.WriteString(") ORDER BY r.at DESC, r.seq DESC LIMIT $5")
	return b.String()
}

// page reads the records of a page: until the limit, or until they are large.
func (j journalOf) page(ctx context.Context, rows *sql.Rows, limit int) (journal.Page, error) {
	var (
		page       journal.Page
		last, here journal.Cursor
		size, read int
	)
	for rows.Next() {
		var (
			r   journal.Record
			doc sql.RawBytes
		)
		if err := rows.Scan(&here.Number, &r.ID, &here.At, &doc); err != nil {
			return page, err
		}
		read++
		kept, err := j.store.codec.text(doc)
		if err != nil {
			// One damaged record shall not hide all others.
			j.store.logger.ErrorContext(ctx, "a record in a plugin's journal is damaged", "plugin", j.plugin, "id", r.ID, "error", err)
			continue
		}
		if size += len(kept); len(page.Records) == limit || size > journal.MaxPage && len(page.Records) > 0 {
			page.Next = last.String()
			return page, nil
		}
		r.At, r.Body = time.UnixMicro(here.At).UTC(), append([]byte(nil), kept...)
		page.Records, last = append(page.Records, r), here
	}
	if read > limit { // some of those were damaged, and there may be more below
		page.Next = here.String()
	}
	return page, rows.Err()
}
