package config

import (
	"encoding/json"
	"fmt"
	"slices"
)

// setting describes one key of the top level, or one of those that every
// plugin's block has beside its own. The tables below are the one place where
// they are described: reading, suggestions, the example, the editor's schema and
// the reference all derive from them.
type setting struct {
	key     string
	group   string // the heading it stands under in the example and the reference
	doc     string
	schema  map[string]any // type, and what else JSON Schema says about it
	def     any            // nil when there is none, or it depends on the machine
	defNote string         // the default in words, when it is not one value
	example any
	secret  bool
	keys    []setting // of a section: a key that holds further keys
}

func ofType(name string, more ...any) map[string]any {
	m := map[string]any{"type": name}
	for i := 0; i+1 < len(more); i += 2 {
		m[fmt.Sprint(more[i])] = more[i+1]
	}
	return m
}

func duration() map[string]any {
	return map[string]any{"type": []any{"number", "string"}, "format": durationFormat}
}

func list() map[string]any {
	return map[string]any{"type": []any{"array", "string"}, "items": ofType("string")}
}

// topLevel lists the keys of the top level beside plugins and practices.
func topLevel() []setting {
	return slices.Concat(accessSettings(), lookupSettings(), nightSettings(), machineSettings())
}

// nightSettings are those of what Posture keeps and does by itself.
func nightSettings() []setting {
	const kept = "What is kept, and done every night"
	return []setting{
		{
			key: "store", group: kept, doc: "Where Posture keeps people's last answers, runs, administration events and what waits for sinks.",
			keys: []setting{{
				key: "dsn", schema: ofType("string"), secret: true, example: "file:secrets/store_dsn",
				defNote: "sqlite:posture.db in state_dir",
				doc:     "sqlite:PATH, a relative path starting at state_dir, or a connection string of PostgreSQL, which begins with postgres://.",
			}},
		},
		{
			key: "max_age", group: kept, schema: duration(), def: "5m", example: "15m",
			doc: "How old a kept answer may be to be given without asking the sources again. A request may say otherwise with max_age.",
		},
		{
			key: "batch", group: kept, doc: "The run over everybody.",
			keys: []setting{
				{
					key: "schedule", schema: ofType("string"), defNote: "no run by itself", example: "0 2 * * *",
					doc: "When the daemon starts a run: minute, hour, day of month, month, day of week.",
				},
				{
					key: "time_zone", schema: ofType("string"), defNote: "the machine's", example: "Europe/Berlin",
					doc: "The time zone that schedule is in.",
				},
				{
					key: "limit", schema: ofType("integer", "minimum", 1, "maximum", 1000), def: 10, example: 20,
					doc: "How many people are looked up at once.",
				},
				{
					key: "run_missed", schema: ofType("boolean"), def: false, example: true,
					doc: "Whether a run that was due while the daemon was down starts when it is up again.",
				},
			},
		},
		{
			key: "administration_events", group: kept, doc: "The record of failed scans.",
			keys: []setting{
				{
					key: "dedupe_window", schema: duration(), def: "1h", example: "1h",
					doc: "A failure that comes again within this time counts as the same event.",
				},
				{
					key: "retention_days", schema: ofType("integer", "minimum", 1, "maximum", 365), def: 4, example: 14,
					doc: "Events that did not come again for so many days are deleted. What is set at run time wins.",
				},
				{
					key: "record_adhoc", schema: ofType("boolean"), def: true, example: false,
					doc: "Whether failures of scans that somebody asked for are recorded.",
				},
				{
					key: "record_nightly", schema: ofType("boolean"), def: true, example: false,
					doc: "Whether failures of runs over everybody are recorded.",
				},
			},
		},
		{
			key: "outbox", group: kept, doc: "What waits for sinks that are down.",
			keys: []setting{{
				key: "max_megabytes", schema: ofType("integer", "minimum", 1), def: 1024, example: 4096,
				doc: "How much may wait; beyond it nothing more is accepted, and an alarm shows.",
			}},
		},
	}
}

func accessSettings() []setting {
	const server, access = "Server", "Who may see what"
	return []setting{
		{
			key: "listen", group: server, schema: ofType("string"), def: "127.0.0.1:5000", example: "127.0.0.1:5000",
			doc: "Address and port that the web server listens on. Without any log-in only this machine's own addresses are allowed.",
		},
		{
			key: "allow_remote_without_login", group: server, schema: ofType("boolean"), def: false, example: true,
			doc: "Listen on an address that others can reach although there is no log-in. Everybody who reaches it can then look at everybody's devices.",
		},
		{
			key: "login_manager", group: access, schema: ofType("string"), defNote: "no log-in", example: "null",
			doc: "How people log in. Unset or null means that there is no log-in and everybody may look at everybody's devices. This version knows no other; use jwt_secret_key to require tokens.",
		},
		{
			key: "jwt_secret_key", group: access, schema: ofType("string", "minLength", 16), secret: true, example: "file:secrets/jwt_secret_key",
			doc: "Key that signs and checks bearer tokens, at least 16 characters. When it is set every request needs a token; posture token makes them.",
		},
		{
			key: "admins", group: access, schema: list(), def: []any{}, example: []any{"helpdesk@example.com"},
			doc: "Token subjects and addresses that may ask for anyone's devices, and by serial number and MAC address.",
		},
	}
}

func lookupSettings() []setting {
	const scans, judging = "Look-ups", "Devices"
	return []setting{
		{
			key: "default_timeout", group: scans, schema: duration(), def: "5s", example: "5s",
			doc: "Time limit of one look-up in a source whose block sets no TIMEOUT.",
		},
		{
			key: "scan_timeout", group: scans, schema: duration(), def: "60s", example: "60s",
			doc: "Time limit of everything that is done to answer for one person.",
		},
		{
			key: "max_concurrent_scans", group: scans, schema: ofType("integer", "minimum", 1, "maximum", 10_000), def: 50, example: 50,
			doc: "How many people are looked up at once; more wait.",
		},
		{
			key: "device_transforms", group: judging, schema: list(), defNote: "re_filter if it is configured, and mac_manufacturer", example: []any{"mac_manufacturer"},
			doc: "Transforms that devices pass, in this order. Each but mac_manufacturer needs a block under plugins.",
		},
		{
			key: "event_transforms", group: judging, schema: list(), defNote: "vpn_labeler if it is configured", example: []any{},
			doc: "Transforms that log-in events pass, in this order. Each needs a block under plugins.",
		},
		{
			key: "placeholder_identifiers", group: judging, schema: list(), def: []any{}, example: []any{"NOT-A-SERIAL"},
			doc: "Serial numbers and other identifiers that manufacturers leave in place of real ones, beside those that Posture knows. They identify nothing.",
		},
		{
			key: "stale_after", group: judging, schema: duration(), def: "30d", example: "30d",
			doc: "A device that was not heard from for so long is folded away.",
		},
		{
			key: "retired_statuses", group: judging, schema: list(), def: []any{"E-Waste"}, example: []any{"E-Waste", "Retired"},
			doc: "A device with one of these statuses is folded away.",
		},
	}
}

func machineSettings() []setting {
	const files, logs = "Folders", "Log"
	return []setting{
		{
			key: "state_dir", group: files, schema: ofType("string"), example: "/var/lib/posture",
			defNote: "$XDG_STATE_HOME/posture or ~/.local/state/posture; /var/lib/posture for root",
			doc:     "Folder for what Posture and its plugins keep. A relative path starts at the configuration file's folder.",
		},
		{
			key: "plugin_dir", group: files, schema: ofType("string"), def: "/usr/local/lib/posture/plugins", example: "/usr/local/lib/posture/plugins",
			doc: "Folder with plugins that do not come with Posture. Empty text means none.",
		},
		{
			key: "log_level", group: logs, schema: ofType("string", "enum", []any{"debug", "info", "warn", "error"}), def: "info", example: "info",
			doc: "The least important messages that are logged.",
		},
		{
			key: "log_format", group: logs, schema: ofType("string", "enum", []any{"text", "json"}), def: "text", example: "json",
			doc: "The form of the log's lines.",
		},
		{
			key: "debug", group: logs, schema: ofType("boolean"), def: false, example: true,
			doc: "Keep the sources' own documents beside the devices made of them. It never changes who may see what.",
		},
	}
}

// hostKeys lists the keys that every plugin's block may have beside its own.
func hostKeys() []setting {
	return []setting{
		{
			key: "ENABLED", schema: ofType("boolean"), def: true, example: true,
			doc: "Whether the plugin is used. The block of one that is not is not checked.",
		},
		{
			key: "TIMEOUT", schema: duration(), defNote: "default_timeout", example: "10s",
			doc: "Time limit of one look-up; 0 means default_timeout.",
		},
		{
			key: "CONCURRENCY", schema: ofType("integer", "minimum", 1, "maximum", 1000), def: 10, example: 10,
			doc: "How many look-ups the plugin is asked for at once.",
		},
		{
			key: "SHA256", schema: ofType("string", "pattern", "^[0-9A-Fa-f]{64}$"),
			example: "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
			doc:     "Checksum, as sha256sum prints it, that the program of a plugin that does not come with Posture must have to be run.",
		},
	}
}

// schemaOf writes a table as JSON Schema.
func schemaOf(table []setting) map[string]any {
	properties, order := map[string]any{}, []any{}
	for _, s := range table {
		p := map[string]any{"description": s.doc}
		for k, v := range s.schema {
			p[k] = v
		}
		if s.keys != nil {
			for k, v := range schemaOf(s.keys) {
				p[k] = v
			}
		}
		if s.def != nil {
			p["default"] = s.def
		}
		if s.defNote != "" {
			p[defaultNote] = s.defNote
		}
		if s.group != "" {
			p[groupName] = s.group
		}
		if s.example != nil {
			p["examples"] = []any{s.example}
		}
		if s.secret {
			p["x-secret"] = true
		}
		properties[s.key] = p
		order = append(order, s.key)
	}
	return map[string]any{"type": "object", "properties": properties, "additionalProperties": false, "x-order": order}
}

// Keywords of ours that tell a default that is not one value, and a heading.
const (
	defaultNote = "x-default"
	groupName   = "x-group"
)

// tableSchema compiles a table's schema.
func (f *File) tableSchema(table []setting) (*schema, error) {
	raw, err := json.Marshal(schemaOf(table))
	if err != nil {
		return nil, err
	}
	return f.schemas.get("posture", raw)
}
