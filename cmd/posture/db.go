package main

import (
	"cmp"
	"context"
	"fmt"
	"path/filepath"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/postureproject/posture/batch/riverqueue"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/store"
)

func newDB(env *environment) *cobra.Command {
	return group(&cobra.Command{
		Use: "db", Short: "Look after the database",
		Long: `Look after the database that store.dsn names. It needs no setting up: commands
that use it make it and bring its schema up to date.`,
	}, newDBStatus(env), newDBMigrate(env), newDBBackup(env))
}

// storeOptions say which store is configured.
func (e *environment) storeOptions() (store.Options, error) {
	file, err := e.load()
	if err != nil {
		return store.Options{}, err
	}
	return store.Options{DSN: file.Settings().StoreDSN.Reveal(), Logger: e.logger()}, nil
}

func newDBStatus(env *environment) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "status", Short: "Show where the database is and which version its schema has", Args: cobra.NoArgs,
		Example: `  posture db status
  posture db status --json | jq .version`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := env.storeOptions()
			if err != nil {
				return err
			}
			status, err := store.Inspect(cmd.Context(), o)
			if err != nil {
				return err
			}
			return env.reportDB(status, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func newDBMigrate(env *environment) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "migrate", Short: "Bring the database's schema up to date", Args: cobra.NoArgs,
		Long: `Bring the database's schema up to date. Commands that use the database do so by
themselves; this one is for doing it at a moment of your choice. Make a backup
first: an older posture cannot use a newer schema.`,
		Example: `  posture db backup before-upgrade.db && posture db migrate`,
		RunE: func(cmd *cobra.Command, _ []string) error {
			o, err := env.storeOptions()
			if err != nil {
				return err
			}
			status, err := store.Migrate(cmd.Context(), o)
			if err == nil {
				err = migrateQueue(cmd.Context(), o)
			}
			if err != nil {
				return err
			}
			return env.reportDB(status, asJSON)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// migrateQueue makes the tables of the job queue, which a database server has.
func migrateQueue(ctx context.Context, o store.Options) error {
	if strings.HasPrefix(o.DSN, "sqlite:") {
		return nil
	}
	queue, err := riverqueue.New(o.DSN, o.Logger)
	if err != nil {
		return err
	}
	defer queue.Close()
	return queue.Migrate(ctx)
}

// backupReport is what `posture db backup --json` prints.
type backupReport struct {
	File  string `json:"file"`
	Bytes int64  `json:"bytes"`
}

func newDBBackup(env *environment) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "backup FILE", Short: "Write a copy of the database to a new file", Args: cobra.ExactArgs(1),
		Long: `Write a copy of a SQLite database to a new file, also while posture runs. The
copy is one state of the database, whole. To go back to it, stop posture, put it
in the place of the database and remove the files beside that end in -wal and
-shm. An existing file is never overwritten. A PostgreSQL database is backed up
with PostgreSQL's own tools; the error says how.`,
		Example: `  posture db backup /var/backups/posture-$(date +%F).db`,
		RunE: func(cmd *cobra.Command, args []string) error {
			path := args[0]
			if path == "" {
				return fault.InvalidField("FILE", "", "is empty", "name the file to write")
			}
			o, err := env.storeOptions()
			if err != nil {
				return err
			}
			size, err := store.Backup(cmd.Context(), o, path)
			if err != nil {
				return err
			}
			if asJSON {
				return env.writeJSON(backupReport{File: filepath.Clean(path), Bytes: size})
			}
			_, err = fmt.Fprintf(env.stdout, "Wrote %s (%s).\n", printable(path), amount(size))
			return err
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

func (e *environment) reportDB(s store.Status, asJSON bool) error {
	if asJSON {
		return e.writeJSON(s)
	}
	w := tabwriter.NewWriter(e.stdout, 0, 0, 2, ' ', 0)
	_, _ = fmt.Fprintf(w, "Database\t%s\n", printable(s.Location))
	_, _ = fmt.Fprintf(w, "Engine\t%s\n", s.Engine)
	_, _ = fmt.Fprintf(w, "Size\t%s\n", amount(s.Bytes))
	_, _ = fmt.Fprintf(w, "Schema\t%s\n", schemaState(s))
	return w.Flush()
}

func schemaState(s store.Status) string {
	switch cmp.Compare(s.Version, s.Latest) {
	case 0:
		return fmt.Sprintf("version %d, up to date", s.Version)
	case 1:
		return fmt.Sprintf("version %d, newer than this posture, which knows versions up to %d", s.Version, s.Latest)
	default:
		if s.Version == 0 {
			return fmt.Sprintf("none yet; it is made on first use, as version %d", s.Latest)
		}
		return fmt.Sprintf("version %d of %d; it is brought up to date on next use, or by posture db migrate", s.Version, s.Latest)
	}
}

// amount writes a size in bytes for people.
func amount(bytes int64) string {
	const step = 1024
	if bytes < step {
		return fmt.Sprintf("%d bytes", bytes)
	}
	value, units := float64(bytes)/step, []string{"KiB", "MiB", "GiB", "TiB"}
	for value >= step && len(units) > 1 {
		value, units = value/step, units[1:]
	}
	return fmt.Sprintf("%.1f %s", value, units[0])
}
