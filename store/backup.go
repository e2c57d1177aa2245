package store

import (
	"context"
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/postureproject/posture/fault"
)

// Backup writes a copy of the database that the options name to a new file,
// whatever version its schema has, so that one can be made before an upgrade. It
// tells how many bytes the copy has.
func Backup(ctx context.Context, o Options, path string) (int64, error) {
	if e, err := parseDSN(o.DSN); err == nil && !e.exists() {
		return 0, &fault.Error{
			Kind: fault.NotFound, Source: "store", Op: "back up", Subject: e.location(), Message: "there is no database yet",
			Remedy: "it is made by the first posture scan, serve or batch; see that store.dsn is the one you mean",
		}
	}
	s, err := connect(ctx, o)
	if err != nil {
		return 0, err
	}
	if err := errors.Join(s.Backup(ctx, path), s.Close()); err != nil {
		return 0, err
	}
	made, err := os.Stat(path)
	if err != nil {
		return 0, s.fault(err, "back up", path)
	}
	return made.Size(), nil
}

// Backup writes a consistent copy of the database to a new file, while others
// read and write. It appears under its name only when it is whole. An existing
// file is not overwritten. PostgreSQL is not copied this way; the error says how.
func (s *Store) Backup(ctx context.Context, path string) error {
	return s.fault(s.engine.backup(ctx, path), "back up", path)
}

func (f sqliteFile) backup(ctx context.Context, path string) error {
	exists := &fault.Error{
		Kind: fault.Conflict, Message: "the file exists already",
		Remedy: "choose another name, or remove the file first",
	}
	if _, err := os.Lstat(path); err == nil {
		return exists
	}
	folder, err := os.MkdirTemp(filepath.Dir(path), ".posture-backup-")
	if err != nil {
		return err
	}
	defer func() { _ = os.RemoveAll(folder) }()
	copied := filepath.Join(folder, "copy")
	// A connection of its own: the readers' may not write, not even elsewhere.
	db, err := f.pool("deferred")
	if err != nil {
		return err
	}
	defer func() { _ = db.Close() }()
	if _, err := db.ExecContext(ctx, "VACUUM INTO $1", copied); err != nil {
		return err
	}
	if err := flush(copied); err != nil {
		return err
	}
	// A link, unlike a renaming, never replaces a file that has appeared since.
	if err := os.Link(copied, path); errors.Is(err, os.ErrExist) {
		return exists
	} else if err != nil {
		return err
	}
	return flush(filepath.Dir(path))
}

// flush sees that a file, or what a folder lists, is on disk.
func flush(path string) error {
	file, err := os.Open(path) //nolint:gosec // of our own making, or its folder
	if err != nil {
		return err
	}
	return errors.Join(file.Sync(), file.Close())
}

func (p postgresServer) backup(context.Context, string) error {
	return &fault.Error{
		Kind: fault.Invalid, Message: "a PostgreSQL database is backed up with PostgreSQL's own tools",
		Remedy: fmt.Sprintf("run pg_dump --format=custom --host=%s --port=%d --username=%s --file=FILE %s",
			p.config.Host, p.config.Port, p.config.User, p.config.Database),
	}
}
