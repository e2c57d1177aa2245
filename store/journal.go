package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"slices"
	"time"

	"github.com/postureproject/posture/journal"
)

// Journal gives what a plugin keeps. The plugin's name is its own namespace: no
// plugin sees what another one keeps.
func (s *Store) Journal(plugin string) journal.Journal {
	return journalOf{store: s, plugin: text(plugin)}
}

// journalOf implements [journal.Journal] for one plugin.
type journalOf struct {
	store  *Store
	plugin string
}

const (
	appendJournal = "append to journal"
	readJournal   = "read journal"
	pruneJournal  = "prune journal"
)

// Append implements [journal.Journal].
func (j journalOf) Append(ctx context.Context, log string, b journal.Batch) (journal.Appended, error) {
	if err := errors.Join(journal.CheckLog(log), b.Check()); err != nil {
		return journal.Appended{}, err
	}
	rows, err := j.store.journalRows(b.Records)
	if err != nil {
		return journal.Appended{}, j.store.fault(err, appendJournal, log)
	}
	var done journal.Appended
	err = j.store.write(ctx, appendJournal, func(ctx context.Context, tx *sql.Tx) error {
		number, version, err := j.lock(ctx, tx, log)
		if err != nil {
			return err
		}
		done = journal.Appended{Version: version}
		if p := b.Progress; p != nil {
			if p.Version != version {
				return journal.Moved(log)
			}
			done.Version++
			if _, err := tx.ExecContext(ctx, "UPDATE journals SET version = $1, progress = $2 WHERE number = $3", done.Version, nonNil(p.Document), number); err != nil {
				return err
			}
		}
		for some := range slices.Chunk(rows, enqueueAtOnce) {
			added, err := insertJournal(ctx, tx, number, some)
			if err != nil {
				return err
			}
			done.Added += added
		}
		return nil
	})
	if err != nil {
		return journal.Appended{}, err
	}
	return done, nil
}

// nonNil is b as a column that is not null takes it.
func nonNil(b []byte) []byte {
	if b == nil {
		return []byte{}
	}
	return b
}

// lock makes sure that the log exists, and keeps other writers from it until the
// transaction ends. So they come one after another, and each sees the progress
// that the one before has set.
func (j journalOf) lock(ctx context.Context, tx *sql.Tx, log string) (number, version int64, err error) {
	const lock = "UPDATE journals SET version = version WHERE plugin = $1 AND name = $2 RETURNING number, version"
	err = tx.QueryRowContext(ctx, lock, j.plugin, log).Scan(&number, &version)
	if !errors.Is(err, sql.ErrNoRows) {
		return number, version, err
	}
	_, err = tx.ExecContext(ctx, `INSERT INTO journals (plugin, name, version, progress) VALUES ($1, $2, 0, $3)
		ON CONFLICT (plugin, name) DO NOTHING`, j.plugin, log, []byte{})
	if err != nil {
		return 0, 0, err
	}
	err = tx.QueryRowContext(ctx, lock, j.plugin, log).Scan(&number, &version)
	return number, version, err
}

// journalRow is a record as the database keeps one.
type journalRow struct {
	id     string
	at     int64
	keys   []string
	listed string // the keys, JSON
	body   []byte
}

// journalRows prepares records. Of two with one ID the first one stays.
func (s *Store) journalRows(records []journal.Record) ([]journalRow, error) {
	rows := make([]journalRow, 0, len(records))
	seen := make(map[string]bool, len(records))
	for _, r := range records {
		if seen[r.ID] {
			continue
		}
		seen[r.ID] = true
		keys := slices.Compact(slices.Sorted(slices.Values(r.Keys)))
		listed, err := json.Marshal(nonNilKeys(keys))
		if err != nil {
			return nil, err
		}
		rows = append(rows, journalRow{id: r.ID, at: micros(r.At), keys: keys, listed: string(listed), body: s.packText(r.Body)})
	}
	return rows, nil
}

func nonNilKeys(keys []string) []string {
	if keys == nil {
		return []string{}
	}
	return keys
}

// insertJournal inserts the records whose IDs are new, and what these are found
// by.
func insertJournal(ctx context.Context, tx *sql.Tx, number int64, rows []journalRow) (added int, err error) {
	args := make([]any, 0, 5*len(rows))
	byID := make(map[string]*journalRow, len(rows))
	for i := range rows {
		r := &rows[i]
		byID[r.id] = r
		args = append(args, number, r.id, r.at, r.listed, r.body)
	}
	inserted, err := tx.QueryContext(ctx, `INSERT INTO journal_records (journal, id, at, keys, body) VALUES `+
		rowsOf(len(rows), 5, "")+` ON CONFLICT (journal, id) DO NOTHING RETURNING seq, id`, args...)
	if err != nil {
		return 0, err
	}
	defer func() { _ = inserted.Close() }()
	var keys []any
	for inserted.Next() {
		var (
			seq int64
			id  string
		)
		if err := inserted.Scan(&seq, &id); err != nil {
			return 0, err
		}
		added++
		for _, key := range byID[id].keys {
			keys = append(keys, number, key, byID[id].at, seq)
		}
	}
	if err := errors.Join(inserted.Err(), inserted.Close()); err != nil {
		return 0, err
	}
	const columns = 4
	for some := range slices.Chunk(keys, columns*enqueueAtOnce) {
		_, err := tx.ExecContext(ctx, `INSERT INTO journal_keys (journal, key, at, seq) VALUES `+rowsOf(len(some)/columns, columns, ""), some...)
		if err != nil {
			return 0, err
		}
	}
	return added, nil
}

// Prune implements [journal.Journal].
func (j journalOf) Prune(ctx context.Context, log string, before time.Time) (removed int, err error) {
	if err := journal.CheckLog(log); err != nil {
		return 0, err
	}
	err = j.store.write(ctx, pruneJournal, func(ctx context.Context, tx *sql.Tx) error {
		removed = 0
		number, _, err := j.lock(ctx, tx, log)
		if err != nil {
			return err
		}
		old, err := oldJournal(ctx, tx, number, micros(before))
		if err != nil {
			return err
		}
		removed = len(old)
		return removeJournal(ctx, preparing(tx), number, old)
	})
	return removed, err
}

// removeJournal deletes records, and what they are found by. Row by row each is
// found by its primary key, however large the log is and whatever the database
// thinks of its size.
func removeJournal(ctx context.Context, tx execer, number int64, old []oldRecord) error {
	for _, r := range old {
		for _, key := range r.keys {
			if _, err := tx.ExecContext(ctx, "DELETE FROM journal_keys WHERE journal = $1 AND key = $2 AND at = $3 AND seq = $4", number, key, r.at, r.seq); err != nil {
				return err
			}
		}
		if _, err := tx.ExecContext(ctx, "DELETE FROM journal_records WHERE seq = $1", r.seq); err != nil {
			return err
		}
	}
	return nil
}

// oldRecord is what must be known of a record to remove it.
type oldRecord struct {
	seq, at int64
	keys    []string
}

func oldJournal(ctx context.Context, tx *sql.Tx, number, before int64) ([]oldRecord, error) {
	rows, err := tx.QueryContext(ctx, "SELECT seq, at, keys FROM journal_records WHERE journal = $1 AND at < $2 ORDER BY at LIMIT $3",
		number, before, journal.MaxRecords)
	if err != nil {
		return nil, err
	}
	defer func() { _ = rows.Close() }()
	var old []oldRecord
	for rows.Next() {
		var (
			r      oldRecord
			listed string
		)
		if err := rows.Scan(&r.seq, &r.at, &listed); err != nil {
			return nil, err
		}
		if err := json.Unmarshal([]byte(listed), &r.keys); err != nil {
			return nil, damaged(err)
		}
		old = append(old, r)
	}
	return old, rows.Err()
}
