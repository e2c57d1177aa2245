package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
)

// Saved is one person's posture, and what each source that answered said.
type Saved struct {
	Posture     device.Posture
	Collections []device.Collection
}

// SavePosture keeps a person's posture in place of the former one, and with it
// what sources said; a source that is not among the collections keeps what it
// said last. When the counts of verdicts have changed, the person's history
// gets an entry. The last one to save wins, whatever the clocks said.
func (s *Store) SavePosture(ctx context.Context, p device.Posture, collections []device.Collection) error {
	return s.SavePostures(ctx, []Saved{{Posture: p, Collections: collections}})
}

// SavePostures is SavePosture for many people in one transaction, which costs
// far less per person. Of a person who is among them twice the later one stays.
func (s *Store) SavePostures(ctx context.Context, people []Saved) error {
	rows := make([]personRow, len(people))
	for i, p := range people {
		var err error
		if rows[i], err = s.personRow(p); err != nil {
			return err
		}
	}
	// Whoever saves several people goes through them in one order, so that two
	// who do never wait for each other.
	slices.SortStableFunc(rows, func(a, b personRow) int { return strings.Compare(a.email, b.email) })
	return s.write(ctx, "save posture", func(ctx context.Context, tx *sql.Tx) error {
		to := execer(tx)
		if len(rows) > 1 {
			to = s.repeating(tx)
		}
		for _, row := range rows {
			if err := row.save(ctx, to); err != nil {
				return err
			}
		}
		return nil
	})
}

// personRow is a person as the database keeps one.
type personRow struct {
	email           string
	generatedAt     int64
	devices, failed int
	summary         string
	doc             []byte
	collections     []any // plugin, fetched_at and doc, one after another
}

func (s *Store) personRow(p Saved) (personRow, error) {
	email, err := addressKey(p.Posture.Email)
	if err != nil {
		return personRow{}, err
	}
	row := personRow{
		email: email, generatedAt: micros(p.Posture.GeneratedAt),
		devices: len(p.Posture.Devices), failed: failedSources(p.Posture.Sources),
	}
	if row.summary, err = Summarise(p.Posture.Devices).encode(); err != nil {
		return row, err
	}
	if row.doc, err = s.pack(p.Posture); err != nil {
		return row, fault.Wrap(err, "save posture", email)
	}
	seen := map[string]bool{}
	for _, c := range slices.Backward(p.Collections) { // of two by one source the later one stays
		if seen[c.Plugin] {
			continue
		}
		seen[c.Plugin] = true
		if c.Plugin == "" || text(c.Plugin) != c.Plugin {
			return row, fault.InvalidField("plugin", fmt.Sprintf("%.100q", c.Plugin), "is no name of a source", "")
		}
		doc, err := s.pack(c)
		if err != nil {
			return row, fault.Wrap(err, "save collection of "+c.Plugin, email)
		}
		row.collections = append(row.collections, c.Plugin, micros(c.FetchedAt), doc)
	}
	return row, nil
}

func failedSources(outcomes []device.Outcome) int {
	failed := map[string]bool{}
	for _, o := range outcomes {
		if !o.OK {
			failed[o.Plugin] = true
		}
	}
	return len(failed)
}

const (
	savePerson = `INSERT INTO people (email, generated_at, devices, failed, summary) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (email) DO UPDATE SET generated_at = excluded.generated_at,
	devices = excluded.devices, failed = excluded.failed, summary = excluded.summary`

	savePosture = `INSERT INTO postures (email, doc) VALUES ($1, $2) ON CONFLICT (email) DO UPDATE SET doc = excluded.doc`

	// An entry is always later than the one before, so that history tells the
	// order in which things were saved even after a clock was set back.
	saveHistory = `INSERT INTO history (email, at, summary)
SELECT $1, CASE WHEN last.at >= $2 THEN last.at + 1 ELSE $2 END, $3
FROM (SELECT max(at) AS at FROM history WHERE email = $1) AS last
WHERE NOT EXISTS (SELECT 1 FROM history AS h WHERE h.email = $1 AND h.at = last.at AND h.summary = $3)`

	saveCollections = `INSERT INTO collections (email, plugin, fetched_at, doc) VALUES %s
ON CONFLICT (email, plugin) DO UPDATE SET fetched_at = excluded.fetched_at, doc = excluded.doc`
)

func (row personRow) save(ctx context.Context, tx execer) error {
	if _, err := tx.ExecContext(ctx, savePerson,
		row.email, row.generatedAt, row.devices, row.failed, row.summary); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, savePosture, row.email, row.doc); err != nil {
		return err
	}
	if _, err := tx.ExecContext(ctx, saveHistory, row.email, row.generatedAt, row.summary); err != nil {
		return err
	}
	if len(row.collections) == 0 {
		return nil
	}
	var values strings.Builder
	for i := 0; i < len(row.collections); i += 3 {
		if i > 0 {
			values.WriteByte(',')
		}
		_, _ = fmt.Fprintf(&values, "($1,$%d,$%d,$%d)", i+2, i+3, i+4)
	}
	_, err := tx.ExecContext(ctx, fmt.Sprintf(saveCollections, values.String()), append([]any{row.email}, row.collections...)...)
	return err
}

// Posture gives a person's last posture; an error of kind NotFound when none was
// ever saved. Case does not matter in addresses.
func (s *Store) Posture(ctx context.Context, email string) (device.Posture, error) {
	var p device.Posture
	doc, err := s.posture(ctx, email)
	if err == nil {
		err = s.unpack(doc, &p)
	}
	return p, s.fault(err, readPosture, email)
}

// PostureJSON is Posture as the JSON that was saved, for who passes it on: it
// takes a tenth of the time.
func (s *Store) PostureJSON(ctx context.Context, email string) (json.RawMessage, error) {
	doc, err := s.posture(ctx, email)
	if err != nil {
		return nil, s.fault(err, readPosture, email)
	}
	kept, err := s.unpackText(doc)
	return kept, s.fault(err, readPosture, email)
}

const readPosture = "read posture"

func (s *Store) posture(ctx context.Context, email string) ([]byte, error) {
	key, err := addressKey(email)
	if err != nil {
		return nil, err
	}
	var doc []byte
	err = s.db.QueryRowContext(ctx, "SELECT doc FROM postures WHERE email = $1", key).Scan(&doc)
	if errors.Is(err, sql.ErrNoRows) {
		return nil, &fault.Error{Kind: fault.NotFound, Message: "nobody of that address has been scanned yet"}
	}
	return doc, err
}

// Collections gives what sources said about a person when they last answered, in
// the order of their names: all sources, or those named. Who was never asked has
// none, which is no error.
func (s *Store) Collections(ctx context.Context, email string, plugins ...string) ([]device.Collection, error) {
	const op = "read collections"
	key, err := addressKey(email)
	if err != nil {
		return nil, err
	}
	query, args := "SELECT doc FROM collections WHERE email = $1", []any{key}
	if len(plugins) > 0 {
		query += " AND plugin IN (" + placeholders(2, len(plugins)) + ")"
		for _, p := range plugins {
			args = append(args, text(p))
		}
	}
	rows, err := s.db.QueryContext(ctx, query+" ORDER BY plugin", args...)
	if err != nil {
		return nil, s.fault(err, op, key)
	}
	defer func() { _ = rows.Close() }()
	var found []device.Collection
	for rows.Next() {
		var doc sql.RawBytes
		if err := rows.Scan(&doc); err != nil {
			return nil, s.fault(err, op, key)
		}
		var c device.Collection
		if err := s.unpack(doc, &c); err != nil {
			return nil, s.fault(err, op, key)
		}
		found = append(found, c)
	}
	return found, s.fault(rows.Err(), op, key)
}

// Erase removes everything that is known about a person: posture, what sources
// said, and history. It reports whether there was anything.
func (s *Store) Erase(ctx context.Context, email string) (bool, error) {
	key, err := addressKey(email)
	if err != nil {
		return false, err
	}
	var erased bool
	err = s.write(ctx, "erase person", func(ctx context.Context, tx *sql.Tx) error {
		n, err := affected(tx.ExecContext(ctx, "DELETE FROM people WHERE email = $1", key))
		erased = n > 0
		return err
	})
	return erased, err
}
