package store

import (
	"context"
	"errors"
)

// CurrentAdminEvents implements [adminevent.Store].
func (s *Store) CurrentAdminEvents(ctx context.Context, fingerprints []string) (map[string]string, error) {
	const op = "find administration events"
	ids := map[string]string{}
	if len(fingerprints) == 0 {
		return ids, nil
	}
	rows, err := s.db.QueryContext(ctx, "SELECT fingerprint, id FROM admin_events WHERE current = 1 AND fingerprint IN ("+
		placeholders(1, len(fingerprints))+")", anys(fingerprints)...)
	if err != nil {
		return nil, s.fault(err, op, "")
	}
	defer func() { _ = rows.Close() }()
	for rows.Next() {
		var fingerprint, id string
		if err := rows.Scan(&fingerprint, &id); err != nil {
			return nil, s.fault(err, op, "")
		}
		ids[fingerprint] = id
	}
	return ids, s.fault(errors.Join(rows.Err(), rows.Close()), op, "")
}
