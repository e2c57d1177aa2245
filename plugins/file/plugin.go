// Package file reads devices, log-in events and people from local JSON, JSONL and
// CSV files, so that Posture is of use without any vendor's account, and takes
// exports from anything. It imports only the plugin SDK and the packages of
// Posture's records.
package file

import (
	"context"
	"path/filepath"
	"slices"
	"strings"

	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/plugins/sdk"
)

// Name is the plugin's name in a configuration.
const Name = "file"

type config struct {
	Devices  sdk.Strings       `json:"DEVICES_FILES" doc:"Files with devices: paths or patterns; .json, .jsonl, .ndjson or .csv, each also with .gz" example:"[\"/var/lib/posture/devices/*.csv\"]"`
	Events   sdk.Strings       `json:"EVENTS_FILES" doc:"Files with log-in events, as DEVICES_FILES" example:"[\"/var/lib/posture/logins.jsonl\"]"`
	Users    sdk.Strings       `json:"USERS_FILES" doc:"Files with people, as DEVICES_FILES; the owners of devices need not be in them" example:"[\"/var/lib/posture/users.csv\"]"`
	FieldMap map[string]string `json:"FIELD_MAP" doc:"The files' column or key names, each with the name of our field; an empty name ignores the column" example:"{\"Serial Number\":\"serial\",\"FileVault\":\"practices.encryption\"}"`
	MaxBytes int64             `json:"MAX_BYTES" doc:"How many bytes the files of one sort may hold together, uncompressed; they are kept in memory" default:"1073741824"`
}

// Plugin describes the source.
func Plugin() sdk.Plugin {
	return sdk.Definition[config, *Source]{
		Name: Name, Version: "1.0.0", Summary: "Devices, events and people from local JSON, JSONL and CSV files", New: open,
		Practices: []string{
			"jailed", "encryption", "uptodate", "autoupdate", "firewall", "remotelogin", "screenlock", "unknownsources", "adbstatus",
		},
		Software: true,
	}
}

func open(ctx context.Context, c config, env sdk.Env) (*Source, error) {
	if err := c.check(); err != nil {
		return nil, err
	}
	fieldMap := make(map[string]string, len(c.FieldMap))
	for theirs, ours := range c.FieldMap {
		fieldMap[normalise(theirs)] = normalise(ours)
	}
	return newSource(ctx, c, reader{fieldMap: fieldMap, debug: env.Debug}, env), nil
}

// check reports every malformed key at once.
func (c config) check() error {
	invalid := &fault.Error{Kind: fault.Invalid, Op: "read configuration"}
	add := func(name, value, reason, remedy string) {
		invalid.Fields = append(invalid.Fields, fault.Field{Name: name, Value: value, Reason: reason, Remedy: remedy})
	}
	if len(c.Devices)+len(c.Events)+len(c.Users) == 0 {
		add("DEVICES_FILES", "", "no file is configured", "give DEVICES_FILES, EVENTS_FILES or USERS_FILES")
	}
	keys := []struct {
		name     string
		patterns sdk.Strings
	}{{"DEVICES_FILES", c.Devices}, {"EVENTS_FILES", c.Events}, {"USERS_FILES", c.Users}}
	for _, k := range keys {
		for _, p := range k.patterns {
			if _, err := filepath.Match(p, ""); err != nil || p == "" {
				add(k.name, p, "is not a path or pattern", "quote [ and \\ with a backslash")
			} else if _, ok := formatOf(p); !ok && !strings.HasSuffix(p, "*") {
				add(k.name, p, "has no known extension", "use .json, .jsonl, .ndjson or .csv, each also with .gz")
			}
		}
	}
	theirs := make([]string, 0, len(c.FieldMap))
	for name := range c.FieldMap {
		theirs = append(theirs, name)
	}
	slices.Sort(theirs)
	for _, name := range theirs {
		if ours := normalise(c.FieldMap[name]); ours != "" && !isField(ours) {
			add("FIELD_MAP", c.FieldMap[name], "is none of our fields", "use one such as email, serial, identifiers.mac_addresses, practices.encryption, timestamp")
		}
	}
	if c.MaxBytes <= 0 {
		add("MAX_BYTES", "", "must be positive", "leave it out for 1 GiB")
	}
	if len(invalid.Fields) > 0 {
		return invalid
	}
	return nil
}
