package file

import (
	"context"

	"github.com/postureproject/posture/fault"
)

// stream reads all files and hands on one record at a time. A file that cannot be
// read does not keep the others from being read; its failure comes at the end.
func (t *table[T]) stream(ctx context.Context, send func(T) error) error {
	var failures []*fault.Error
	left := t.maxBytes
	for _, f := range t.find() {
		var sendErr error
		bad := 0
		if f.err == nil {
			var size int64
			size, f.err = t.reader.readFile(ctx, f.path, left, handler{
				row: func(r row) error {
					record, _, err := t.parse(r)
					if err != nil {
						bad++
						return nil //nolint:nilerr // a bad line costs only itself
					}
					sendErr = send(record)
					return sendErr
				},
				bad: func(int, string) { bad++ },
			})
			left -= size
		}
		if sendErr != nil {
			return sendErr
		}
		if err := ctx.Err(); err != nil {
			return err
		}
		if bad > 0 {
			t.logger.WarnContext(ctx, "records left out of a listing", "file", f.path, "records", bad)
		}
		if f.err != nil {
			failures = append(failures, problemWith(f.path, f.err))
		}
	}
	return sumUp(failures)
}
