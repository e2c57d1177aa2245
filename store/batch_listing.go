package store

import (
	"context"
	"database/sql"
	"encoding/json"

	"github.com/postureproject/posture/batch"
)

// Listings implements [batch.ListingStore].
func (s *Store) Listings(ctx context.Context, run string) ([]batch.Listing, error) {
	const op = "read listings"
	rows, err := s.db.QueryContext(ctx, "SELECT doc FROM batch_listings WHERE run = $1 ORDER BY source", run)
	if err != nil {
		return nil, s.fault(err, op, run)
	}
	defer func() { _ = rows.Close() }()
	listings := []batch.Listing{}
	for rows.Next() {
		var (
			doc string
			l   batch.Listing
		)
		err := rows.Scan(&doc)
		if err == nil {
			err = json.Unmarshal([]byte(doc), &l)
		}
		if err != nil {
			return nil, s.fault(err, op, run)
		}
		listings = append(listings, l)
	}
	return listings, s.fault(rows.Err(), op, run)
}

// SaveListing implements [batch.ListingStore].
func (s *Store) SaveListing(ctx context.Context, run string, l batch.Listing) error {
	doc, err := json.Marshal(l)
	if err != nil {
		return s.fault(err, "save listing", l.Source)
	}
	return s.write(ctx, "save listing", func(ctx context.Context, tx *sql.Tx) error {
		_, err := tx.ExecContext(ctx, `INSERT INTO batch_listings (run, source, doc) VALUES ($1, $2, $3)
ON CONFLICT (run, source) DO UPDATE SET doc = excluded.doc`, run, l.Source, string(doc))
		return err
	})
}

// Stage implements [batch.ListingStore].
func (s *Store) Stage(ctx context.Context, run string, pieces []batch.Piece, people []string) error {
	docs := make([][]byte, len(pieces))
	for i, p := range pieces {
		var err error
		if docs[i], err = s.pack(p.Devices); err != nil {
			return err
		}
	}
	return s.write(ctx, "stage records", func(ctx context.Context, tx *sql.Tx) error {
		if err := addPeople(ctx, tx, run, people); err != nil {
			return err
		}
		insert, err := tx.PrepareContext(ctx, `INSERT INTO batch_pieces (run, source, person, part, doc) VALUES ($1, $2, $3, $4, $5)
ON CONFLICT (run, source, person, part) DO NOTHING`)
		if err != nil {
			return err
		}
		defer func() { _ = insert.Close() }()
		for i, p := range pieces {
			if _, err := insert.ExecContext(ctx, run, p.Source, p.Person, p.Part, docs[i]); err != nil {
				return err
			}
		}
		return nil
	})
}

// Staged implements [batch.ListingStore].
func (s *Store) Staged(ctx context.Context, run string, sources, people []string) ([]batch.Piece, error) {
	args := []any{run}
	for _, source := range sources {
		args = append(args, source)
	}
	for _, person := range people {
		args = append(args, person)
	}
	query := `SELECT source, person, part, doc FROM batch_pieces WHERE run = $1
AND source IN (` + placeholders(2, len(sources)) + `) AND person IN (` + placeholders(2+len(sources), len(people)) + `)
ORDER BY person, source, part`
	rows, err := s.db.QueryContext(ctx, query, args...)
	return s.pieces(rows, err, run)
}

// StagedBy implements [batch.ListingStore].
func (s *Store) StagedBy(ctx context.Context, run, source string, after batch.Piece, n int) ([]batch.Piece, error) {
	rows, err := s.db.QueryContext(ctx, `SELECT source, person, part, doc FROM batch_pieces WHERE run = $1 AND source = $2
AND (person, part) > ($3, $4) ORDER BY person, part LIMIT $5`, run, source, after.Person, after.Part, n)
	return s.pieces(rows, err, run)
}

func (s *Store) pieces(rows *sql.Rows, err error, run string) ([]batch.Piece, error) {
	const op = "read staged records"
	if err != nil {
		return nil, s.fault(err, op, run)
	}
	defer func() { _ = rows.Close() }()
	var pieces []batch.Piece
	for rows.Next() {
		var (
			p   batch.Piece
			doc sql.RawBytes
		)
		err := rows.Scan(&p.Source, &p.Person, &p.Part, &doc)
		if err == nil {
			err = s.unpack(doc, &p.Devices)
		}
		if err != nil {
			return nil, s.fault(err, op, run)
		}
		pieces = append(pieces, p)
	}
	return pieces, s.fault(rows.Err(), op, run)
}
