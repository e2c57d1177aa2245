package main

import (
	"context"
	"database/sql"
	"errors"
	"strings"
	"time"
)

// rawWriter copies what a run has left.
type rawWriter struct {
	from, to *sql.DB
	bodies   [][]byte
	per      int // documents in all
	sent     int
	took     time.Duration
	rows     int64
	bytes    int64
}

const (
	rawPeople = 64  // of a transaction that settles
	rawPieces = 256 // of one that stages
)

// copied is a table of which some rows are written.
type copied struct {
	table   string
	columns string
	where   string // with $1 and $2: the addresses between which rows are
}

// left are the tables that a settled person is in. What a list said is staged
// with about the bytes of what is kept of its source.
func left() []copied {
	return []copied{
		{"batch_people", "run, email, state, devices, statistics, gathered", "email > $1 AND email <= $2"},
		{"people", "email, generated_at, devices, failed, summary", "email > $1 AND email <= $2"},
		{"postures", "email, doc", "email > $1 AND email <= $2"},
		{"collections", "email, plugin, fetched_at, doc", "email > $1 AND email <= $2"},
		{"history", "email, at, summary", "email > $1 AND email <= $2"},
	}
}

func (w *rawWriter) all(ctx context.Context) error {
	emails, err := w.addresses(ctx)
	if err != nil {
		return err
	}
	for first := 0; first < len(emails); first += rawPeople {
		after, last := "", emails[min(first+rawPeople, len(emails))-1]
		if first > 0 {
			after = emails[first-1]
		}
		staged, err := w.read(ctx, copied{"collections", "'raw', plugin, email, 1, doc", "email > $1 AND email <= $2"}, after, last)
		if err != nil {
			return err
		}
		for len(staged) > 0 {
			n := min(rawPieces, len(staged))
			if err := w.write(ctx, map[string][][]any{"batch_pieces (run, source, person, part, doc)": staged[:n]}, nil); err != nil {
				return err
			}
			staged = staged[n:]
		}
		if err := w.settle(ctx, after, last, min(first+rawPeople, len(emails)), len(emails)); err != nil {
			return err
		}
	}
	return nil
}

func (w *rawWriter) addresses(ctx context.Context) (emails []string, err error) {
	err = eachRow(ctx, w.from, 1, func(cells []any) {
		email, _ := cells[0].(string)
		emails = append(emails, email)
	}, "SELECT email FROM people ORDER BY email")
	return emails, err
}

// settle writes people, and with each of them a share of the documents, which a
// sink then takes.
func (w *rawWriter) settle(ctx context.Context, after, last string, people, of int) error {
	rows := map[string][][]any{}
	var order []string
	for _, t := range left() {
		found, err := w.read(ctx, t, after, last)
		if err != nil {
			return err
		}
		into := t.table + " (" + t.columns + ")"
		rows[into], order = found, append(order, into)
	}
	const outbox = "outbox (sink, delivery_id, kind, key, at, size, stored, queued_at, body, state, attempts, next_at, done_at, error_kind, error, remedy)"
	now := time.Now().UnixMicro()
	begun := w.sent
	for ; w.sent < w.per*people/of; w.sent++ {
		body := w.bodies[w.sent%len(w.bodies)]
		rows[outbox] = append(rows[outbox], []any{
			"batch_es", sequence(w.sent), "device", last, now, 3 * len(body), len(body), now, body, 0, 0, 0, 0, "", "", "",
		})
	}
	if err := w.write(ctx, rows, append(order, outbox)); err != nil {
		return err
	}
	return w.timed(ctx, func(tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, "UPDATE outbox SET state = 1, body = $1, stored = 0, done_at = $2 WHERE seq > $3 AND seq <= $4",
			[]byte{}, now, begun, w.sent)
		return err
	})
}

// read gives rows of the finished run. It does not count.
func (w *rawWriter) read(ctx context.Context, t copied, after, last string) (rows [][]any, err error) {
	n := strings.Count(t.columns, ",") + 1
	err = eachRow(ctx, w.from, n, func(cells []any) {
		row := make([]any, n)
		for i, c := range cells {
			if b, ok := c.([]byte); ok {
				c = append([]byte(nil), b...)
			}
			row[i] = c
		}
		rows = append(rows, row)
	}, "SELECT "+t.columns+" FROM "+t.table+" WHERE "+t.where, after, last)
	return rows, err
}

// write writes rows, by table and columns, in one transaction.
func (w *rawWriter) write(ctx context.Context, rows map[string][][]any, order []string) error {
	if order == nil {
		for into := range rows {
			order = append(order, into)
		}
	}
	for _, of := range rows {
		w.rows += int64(len(of))
		for _, row := range of {
			for _, cell := range row {
				switch c := cell.(type) {
				case []byte:
					w.bytes += int64(len(c))
				case string:
					w.bytes += int64(len(c))
				}
			}
		}
	}
	return w.timed(ctx, func(tx *sql.Tx) error {
		for _, into := range order {
			if err := insert(ctx, tx, into, rows[into]); err != nil {
				return err
			}
		}
		return nil
	})
}

// insert writes rows with one prepared statement.
func insert(ctx context.Context, tx *sql.Tx, into string, rows [][]any) (err error) {
	if len(rows) == 0 {
		return nil
	}
	statement, err := tx.PrepareContext(ctx, "INSERT INTO "+into+" VALUES (?"+strings.Repeat(", ?", len(rows[0])-1)+")")
	if err != nil {
		return err
	}
	defer func() { err = errors.Join(err, statement.Close()) }()
	for _, row := range rows {
		if _, err := statement.ExecContext(ctx, row...); err != nil {
			return err
		}
	}
	return nil
}

// timed does something in one transaction and counts the time.
func (w *rawWriter) timed(ctx context.Context, do func(*sql.Tx) error) error {
	began := time.Now()
	defer func() { w.took += time.Since(began) }()
	tx, err := w.to.BeginTx(ctx, nil)
	if err != nil {
		return err
	}
	if err := do(tx); err != nil {
		return errors.Join(err, tx.Rollback())
	}
	return tx.Commit()
}
