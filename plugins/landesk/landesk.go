// Package landesk is the source for Windows computers that LANDESK, today Ivanti
// Endpoint Manager, manages. It reads LANDESK's SQL Server database, and only
// reads: every statement is a parameterised SELECT over nine tables.
//
// What it takes for evidence: a finding of the security scanner (CVDetectedV)
// tells that a computer was scanned, so with at least one row of any kind a
// vulnerability that is not listed counts as absent. Without any row nothing
// shows that the scanner ever ran, and the practices that rest on it are
// unknown; the date of the software inventory (SWLASTSCANDATE) is another
// scanner's and proves nothing here. In the same way, the firewall is known only
// when a network adapter says Yes or No, and encryption only from a BitLocker row.
package landesk

import (
	"context"
	"database/sql"
	"time"
	_ "time/tzdata" // so that LANDESK_TIMEZONE works on systems without time zones

	"github.com/postureproject/posture/plugins/sdk"
)

// Name is the plugin's name, and Version its version.
const (
	Name    = "landesk"
	Version = "1.0.0"
)

// Plugin gives the definition of the source.
func Plugin() sdk.Plugin {
	return sdk.Definition[config, *Source]{
		Name: Name, Version: Version,
		Summary:   "Windows computers from LANDESK (Ivanti Endpoint Manager), read from its SQL Server database",
		Practices: []string{practiceAutoUpdate, practiceEncryption, practiceFirewall, practiceScreenLock, practiceUpToDate},
		Platforms: []string{platformWindows},
		Software:  true,
		New:       open,
	}
}

// Source answers look-ups from a LANDESK database. It is safe for concurrent use.
type Source struct {
	db          *database
	rules       rules
	timeout     time.Duration
	concurrency int
}

func open(_ context.Context, c config, env sdk.Env) (*Source, error) {
	connection, zone, err := c.resolve()
	if err != nil {
		return nil, err
	}
	pool := sql.OpenDB(&connector{config: connection, timeout: env.Timeout})
	pool.SetMaxOpenConns(env.Concurrency)
	pool.SetMaxIdleConns(env.Concurrency)
	pool.SetConnMaxIdleTime(maxIdleTime)
	return &Source{
		db: &database{pool: pool, config: c, timeout: env.Timeout},
		rules: rules{
			screenLockID: c.ScreenLockID, autoUpdateID: c.AutoUpdateID, zone: zone, debug: env.Debug,
			windows: newWindowsNames(), screenLock: newScreenLockFindings(),
		},
		timeout: env.Timeout, concurrency: env.Concurrency,
	}, nil
}

// Close closes the connections.
func (s *Source) Close() error { return s.db.pool.Close() }
