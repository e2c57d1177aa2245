package store

import (
	"context"
	"database/sql"
	"encoding/json"
	"errors"
	"time"

	"github.com/postureproject/posture/fault"
)

// KeptPosture is [Store.PostureJSON], and tells beside the JSON, without its
// being decoded, when the answer was made.
func (s *Store) KeptPosture(ctx context.Context, email string) (doc json.RawMessage, generatedAt time.Time, err error) {
	key, err := addressKey(email)
	if err != nil {
		return nil, time.Time{}, err
	}
	var (
		at     int64
		packed []byte
	)
	err = s.db.QueryRowContext(ctx, "SELECT p.generated_at, d.doc FROM people AS p JOIN postures AS d ON d.email = p.email WHERE p.email = $1", key).
		Scan(&at, &packed)
	if errors.Is(err, sql.ErrNoRows) {
		err = &fault.Error{Kind: fault.NotFound, Message: "nobody of that address has been scanned yet"}
	}
	if err == nil {
		doc, err = s.unpackText(packed)
	}
	if err != nil {
		return nil, time.Time{}, s.fault(err, readPosture, email)
	}
	return doc, fromMicros(at), nil
}
