package config

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/timespan"
)

// Settings are the keys of the top level, with defaults for what is not set.
type Settings struct {
	Listen                  string
	AllowRemoteWithoutLogin bool
	LoginManager            string // "" when nobody logs in
	JWTSecretKey            Secret // "" when no token is needed
	Admins                  []string

	DefaultTimeout     time.Duration // never zero
	ScanTimeout        time.Duration // never zero
	MaxConcurrentScans int

	// DeviceTransforms and EventTransforms name enabled plugins in the order that
	// records pass them. mac_manufacturer may be among them without a block.
	DeviceTransforms       []string
	EventTransforms        []string
	PlaceholderIdentifiers []string
	StaleAfter             time.Duration
	RetiredStatuses        []string

	StoreDSN Secret        // sqlite:PATH or postgres://…; it may hold a password
	MaxAge   time.Duration // of a kept answer; zero means that none is given
	Batch    BatchSettings
	// AdministrationEvents is about the record of failed scans.
	AdministrationEvents EventSettings
	OutboxBytes          int64 // may wait for sinks

	StateDir  string // absolute, or relative to the working folder
	PluginDir string // "" for none

	LogLevel  slog.Level
	LogFormat string // "text" or "json"
	Debug     bool
}

// BatchSettings are those of the run over everybody.
type BatchSettings struct {
	Schedule  string // cron expression; "" for no run by itself
	TimeZone  string // of Schedule; "" for the machine's
	Limit     int    // people at once
	RunMissed bool
}

// EventSettings are those of the administration events.
type EventSettings struct {
	DedupeWindow  time.Duration
	RetentionDays int
	RecordAdHoc   bool
	RecordNightly bool
}

func (s Settings) clone() Settings {
	for _, list := range []*[]string{&s.Admins, &s.DeviceTransforms, &s.EventTransforms, &s.PlaceholderIdentifiers, &s.RetiredStatuses} {
		*list = slices.Clone(*list)
	}
	return s
}

// Secret is a value that is never printed: whatever formats, logs or marshals it
// shows "[redacted]".
type Secret string

const redacted = "[redacted]"

// Reveal gives the value itself, for the one place that needs it.
func (s Secret) Reveal() string { return string(s) }

// Format implements [fmt.Formatter], so that no verb shows the value.
func (Secret) Format(s fmt.State, _ rune) { _, _ = io.WriteString(s, redacted) }

// String implements [fmt.Stringer].
func (Secret) String() string { return redacted }

// LogValue implements [slog.LogValuer].
func (Secret) LogValue() slog.Value { return slog.StringValue(redacted) }

// MarshalText implements [encoding.TextMarshaler].
func (Secret) MarshalText() ([]byte, error) { return []byte(redacted), nil }

// readSettings reads the top level and checks what a schema cannot.
func (f *File) readSettings(rest *node, variables []variable) Problems {
	s, err := f.tableSchema(topLevel())
	if err != nil {
		return Problems{{File: f.name, Message: fault.New(fault.Internal, "read the settings' schema: %w", err).Error()}}
	}
	a := &applier{file: f}
	merged := a.overlay(rest, variables, s.shape())
	merged = a.withoutStrangers(merged, s.shape())
	f.top = a.apply(merged, s.shape(), "", false)
	checker{applier: a, root: f.top, env: variablePrefix, extra: []string{"plugins", "practices"}}.validate(s)
	r := reader{n: f.top, shape: s.shape()}
	level := slog.LevelInfo
	_ = level.UnmarshalText([]byte(r.text("log_level"))) // the schema has refused what is no level
	f.settings = Settings{
		Listen:                  r.text("listen"),
		AllowRemoteWithoutLogin: r.boolean("allow_remote_without_login"),
		JWTSecretKey:            Secret(r.text("jwt_secret_key")),
		Admins:                  r.list("admins"),
		DefaultTimeout:          r.limit("default_timeout"),
		ScanTimeout:             r.limit("scan_timeout"),
		MaxConcurrentScans:      r.integer("max_concurrent_scans"),
		PlaceholderIdentifiers:  r.list("placeholder_identifiers"),
		StaleAfter:              r.limit("stale_after"),
		RetiredStatuses:         r.list("retired_statuses"),
		StateDir:                f.path(r.text("state_dir")),
		PluginDir:               f.path(r.text("plugin_dir")),
		LogLevel:                level,
		LogFormat:               r.text("log_format"),
		Debug:                   r.boolean("debug"),
	}
	if f.top.get("state_dir").text() == "" {
		f.settings.StateDir = defaultStateDir(f.environ, os.Geteuid() == 0)
	}
	f.kept(r)
	a.transforms()
	a.access()
	a.timeZone(r)
	a.store(r)
	return a.problems
}

// kept reads the sections about what is kept and done by itself.
func (f *File) kept(r reader) {
	events, batch := r.section("administration_events"), r.section("batch")
	s := &f.settings
	s.StoreDSN = Secret(f.storeDSN(r.section("store").text("dsn")))
	s.MaxAge = r.length("max_age")
	s.OutboxBytes = int64(r.section("outbox").integer("max_megabytes")) << 20
	s.Batch = BatchSettings{
		Schedule: batch.text("schedule"), TimeZone: batch.text("time_zone"), Limit: batch.integer("limit"), RunMissed: batch.boolean("run_missed"),
	}
	s.AdministrationEvents = EventSettings{
		DedupeWindow: events.limit("dedupe_window"), RetentionDays: events.integer("retention_days"),
		RecordAdHoc: events.boolean("record_adhoc"), RecordNightly: events.boolean("record_nightly"),
	}
}

// storeDSN completes the store's address: a file's relative path starts at the
// folder for state.
func (f *File) storeDSN(given string) string {
	const sqlite = "sqlite:"
	if given == "" {
		given = sqlite + "posture.db"
	}
	path, isFile := strings.CutPrefix(given, sqlite)
	if !isFile || filepath.IsAbs(path) || strings.HasPrefix(path, ":") {
		return given
	}
	return sqlite + filepath.Join(f.settings.StateDir, path)
}

// store refuses an address that names no store we know. It may hold a password,
// so the problem does not quote it.
func (a *applier) store(r reader) {
	given := r.section("store").text("dsn")
	for _, prefix := range []string{"sqlite:", "postgres://", "postgresql://"} {
		if given == "" || strings.HasPrefix(given, prefix) {
			return
		}
	}
	a.report(r.n.get("store").get("dsn"), "store.dsn", "names no store", "write sqlite:PATH or postgres://USER@HOST/DATABASE")
}

// timeZone reads the time zone of the schedule.
func (a *applier) timeZone(r reader) {
	name := r.section("batch").text("time_zone")
	if name == "" {
		return
	}
	if _, err := time.LoadLocation(name); err != nil {
		a.report(r.n.get("batch").get("time_zone"), "batch.time_zone", strconv.Quote(name)+" is not a time zone", "write a name such as Europe/Berlin or UTC")
	}
}

// section gives the keys of a section, whose defaults hold when it is absent.
func (r reader) section(key string) reader {
	_, of, _ := r.shape.property(key)
	n := r.n.get(key)
	if n == nil || n.kind != kindMap {
		n = &node{kind: kindMap}
	}
	return reader{n: n, shape: of}
}

// length gives a length of time that may be zero.
func (r reader) length(key string) time.Duration {
	if d, err := timespan.Parse(fmt.Sprint(r.value(key))); err == nil {
		return d
	}
	return r.limit(key)
}

// reader gives the values of an applied block, or the defaults of its schema for
// what is absent or was refused.
type reader struct {
	n     *node
	shape shape
}

func (r reader) value(key string) any {
	if v := r.n.get(key); v != nil && !v.broken {
		return v.plain()
	}
	return r.def(key)
}

func (r reader) def(key string) any {
	_, of, _ := r.shape.property(key)
	v, _ := of.lookup("default")
	return v
}

func (r reader) text(key string) string {
	if s, ok := r.value(key).(string); ok {
		return s
	}
	s, _ := r.def(key).(string)
	return s
}

func (r reader) boolean(key string) bool {
	if v, ok := r.value(key).(bool); ok {
		return v
	}
	v, _ := r.def(key).(bool)
	return v
}

func (r reader) integer(key string) int {
	for _, v := range []any{r.value(key), r.def(key)} {
		if n, err := parseWhole(v); err == nil {
			return n
		}
	}
	return 0
}

// limit gives a length of time; zero and what was refused stand for the default.
func (r reader) limit(key string) time.Duration {
	for _, v := range []any{r.value(key), r.def(key)} {
		if d, err := timespan.Parse(fmt.Sprint(v)); err == nil && d > 0 {
			return d
		}
	}
	return 0
}

func (r reader) list(key string) []string {
	v := r.value(key)
	if one, ok := v.(string); ok {
		return []string{one}
	}
	many, _ := v.([]any)
	texts := make([]string, 0, len(many))
	for _, item := range many {
		if s, ok := item.(string); ok {
			texts = append(texts, s)
		}
	}
	return texts
}

func parseWhole(v any) (int, error) {
	var n int
	_, err := fmt.Sscanf(fmt.Sprint(v), "%d", &n)
	return n, err
}
