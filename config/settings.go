package config

import (
	"fmt"
	"io"
	"log/slog"
	"os"
	"slices"
	"time"

	"github.com/postureproject/posture/fault"
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

	StateDir  string // absolute, or relative to the working folder
	PluginDir string // "" for none

	LogLevel  slog.Level
	LogFormat string // "text" or "json"
	Debug     bool
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
	a.transforms()
	a.access()
	return a.problems
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
		if d, err := parseDuration(fmt.Sprint(v)); err == nil && d > 0 {
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
