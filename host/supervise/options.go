package supervise

import (
	"bytes"
	"encoding/json"
	"log/slog"
	"slices"
	"time"

	"github.com/postureproject/posture/plugins/sdk"
)

// Program says which executable serves a plugin.
type Program struct {
	Name   string   // the plugin's name in the configuration
	Path   string   // the executable
	Args   []string // its arguments, without the program's name
	Dir    string   // its working folder, from which relative paths in its configuration start; empty: the host's
	SHA256 string   // hexadecimal checksum that the executable must have; empty: any
}

func (p Program) equal(o Program) bool {
	return p.Name == o.Name && p.Path == o.Path && p.Dir == o.Dir && p.SHA256 == o.SHA256 && slices.Equal(p.Args, o.Args)
}

// Settings is what a plugin is configured with, and its limits.
type Settings struct {
	Config      json.RawMessage // the plugin's own block, a JSON object
	Secrets     []string        // values in Config that must not show in a log
	Timeout     time.Duration   // for one look-up
	Concurrency int             // look-ups at once
	Debug       bool
}

func (s Settings) equal(o Settings) bool {
	return bytes.Equal(s.Config, o.Config) && s.Timeout == o.Timeout && s.Concurrency == o.Concurrency && s.Debug == o.Debug
}

// Configure gives the settings of a plugin whose description is known. An error
// of kind fault.Invalid means that the configuration is at fault.
type Configure func(sdk.Description) (Settings, error)

// Observer is told what happens, for metrics. Its methods must not block.
type Observer interface {
	// CallDone reports one call with its outcome; err is nil when it succeeded.
	CallDone(plugin, operation string, took time.Duration, err error)
	// Restarted reports that a plugin was started again after it had ended by
	// itself.
	Restarted(plugin string)
	// BreakerChanged reports the state of a plugin's breaker: closed, half-open
	// or open.
	BreakerChanged(plugin, state string)
}

// Options say how to supervise. Logger and StateDir are required.
type Options struct {
	Logger   *slog.Logger
	StateDir string // each plugin gets a folder of its own below it
	Observer Observer
	Limits   Limits
	// Journal gives what the plugin of a name keeps, for plugins that ask for a
	// journal; nil when there is no store. What it gives must work until the
	// supervisor is closed.
	Journal func(plugin string) sdk.Journal
}

// Limits bound what a plugin may cost. Zero fields take the defaults.
type Limits struct {
	StartTimeout    time.Duration // from exec to configured; 10 s
	MaxBackoff      time.Duration // longest pause before a restart; 1 min
	StableAfter     time.Duration // a process that lived so long crashed for a new reason; 1 min
	BreakerFailures uint32        // failures in a row that open the breaker; 5
	BreakerOpen     time.Duration // how long an open breaker refuses; 30 s
	HealthInterval  time.Duration // between health checks; 15 s
	HealthTimeout   time.Duration // for one health check; 5 s
	StopTimeout     time.Duration // for running calls, and again for the process, to end; 5 s
}

func (l Limits) withDefaults() Limits {
	set := func(d *time.Duration, v time.Duration) {
		if *d <= 0 {
			*d = v
		}
	}
	set(&l.StartTimeout, 10*time.Second)
	set(&l.MaxBackoff, time.Minute)
	set(&l.StableAfter, time.Minute)
	set(&l.BreakerOpen, 30*time.Second)
	set(&l.HealthInterval, 15*time.Second)
	set(&l.HealthTimeout, 5*time.Second)
	set(&l.StopTimeout, 5*time.Second)
	if l.BreakerFailures == 0 {
		l.BreakerFailures = 5
	}
	return l
}

type nobody struct{}

func (nobody) CallDone(string, string, time.Duration, error) {}
func (nobody) Restarted(string)                              {}
func (nobody) BreakerChanged(string, string)                 {}
