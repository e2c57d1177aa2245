package main

import (
	"encoding/json"
	"fmt"
	"maps"
	"slices"
	"strings"
	"text/tabwriter"

	"github.com/spf13/cobra"

	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/host"
	"github.com/postureproject/posture/host/supervise"
	"github.com/postureproject/posture/plugins/builtin"
	"github.com/postureproject/posture/transforms"
)

func newPlugin(env *environment) *cobra.Command {
	return group(&cobra.Command{Use: "plugin", Short: "See which plugins there are, and start one of your own"},
		newPluginList(env), newPluginInfo(env), newPluginNew(env))
}

// pluginRow is one plugin for the list.
type pluginRow struct {
	Name         string   `json:"name"`
	Kind         string   `json:"kind"` // built-in, external or transform
	Configured   bool     `json:"configured"`
	State        string   `json:"state,omitempty"` // of configured ones: whether it starts
	Version      string   `json:"version,omitempty"`
	Capabilities []string `json:"capabilities"`
	Summary      string   `json:"summary"`
	Error        string   `json:"error,omitempty"`
}

func newPluginList(env *environment) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "list", Short: "List the built-in plugins and the configured ones", Args: cobra.NoArgs,
		RunE: func(cmd *cobra.Command, _ []string) error {
			rows, err := env.pluginRows(cmd)
			if err != nil {
				return err
			}
			if asJSON {
				return env.writeJSON(rows)
			}
			w := tabwriter.NewWriter(env.stdout, 0, 0, 2, ' ', 0)
			_, _ = fmt.Fprintln(w, "NAME\tKIND\tVERSION\tCONFIGURED\tSUMMARY")
			for _, r := range rows {
				configured := "no"
				if r.Configured {
					configured = strings.TrimSpace("yes " + r.State)
				}
				_, _ = fmt.Fprintf(w, "%s\t%s\t%s\t%s\t%s\n", r.Name, r.Kind, r.Version, configured, printable(r.Summary))
			}
			return w.Flush()
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print a JSON array")
	return cmd
}

// pluginRows describes what is built in and, where there is a configuration,
// what is configured.
func (e *environment) pluginRows(cmd *cobra.Command) ([]pluginRow, error) {
	var rows []pluginRow
	for _, name := range builtin.Names() {
		p, _ := builtin.Plugin(name)
		d, err := p.Describe()
		if err != nil {
			return nil, err
		}
		row := pluginRow{Name: name, Kind: "built-in", Version: d.Version, Summary: d.Summary, Capabilities: []string{}}
		for _, c := range d.Capabilities {
			row.Capabilities = append(row.Capabilities, string(c))
		}
		rows = append(rows, row)
	}
	for name, summary := range transforms.Summaries() {
		rows = append(rows, pluginRow{Name: name, Kind: "transform", Summary: summary, Capabilities: []string{}})
	}
	slices.SortFunc(rows, func(a, b pluginRow) int { return strings.Compare(a.Kind+a.Name, b.Kind+b.Name) })
	statuses, configured, err := e.pluginStatuses(cmd)
	if err != nil {
		return nil, err
	}
	for i := range rows {
		rows[i].Configured = slices.Contains(configured, rows[i].Name)
	}
	for _, s := range statuses {
		i := slices.IndexFunc(rows, func(r pluginRow) bool { return r.Name == s.Name })
		if i < 0 {
			rows = append(rows, pluginRow{Name: s.Name, Kind: "external", Configured: true, Version: s.Description.Version, Summary: s.Description.Summary})
			i = len(rows) - 1
			for _, c := range s.Description.Capabilities {
				rows[i].Capabilities = append(rows[i].Capabilities, string(c))
			}
		}
		if rows[i].State = "(starts)"; s.State != "ready" {
			rows[i].State, rows[i].Error = "(does not start)", s.LastError
		}
	}
	return rows, nil
}

// pluginStatuses starts what is configured. Without a configuration nothing is,
// unless one was asked for.
func (e *environment) pluginStatuses(cmd *cobra.Command) ([]supervise.Status, []string, error) {
	file, load, err := e.loadOnce()
	if fault.IsNotFound(err) && e.configPath == "" {
		return nil, nil, nil
	}
	if err != nil {
		return nil, nil, err
	}
	h, err := host.Open(cmd.Context(), e.options(load, e.logger()))
	if err != nil {
		return nil, nil, err
	}
	defer h.Close()
	// mac_manufacturer is in force without a block of its own.
	return h.Status(), append(file.Plugins(), file.Settings().DeviceTransforms...), nil
}

func newPluginInfo(env *environment) *cobra.Command {
	var asJSON bool
	cmd := &cobra.Command{
		Use: "info NAME", Short: "Show what a plugin can do and how it is configured", Args: cobra.ExactArgs(1),
		ValidArgs: builtin.Names(),
		RunE: func(cmd *cobra.Command, args []string) error {
			info, err := env.pluginInfo(cmd, args[0])
			if err != nil {
				return err
			}
			if asJSON {
				return env.writeJSON(info)
			}
			return env.reportPlugin(info)
		},
	}
	cmd.Flags().BoolVar(&asJSON, "json", false, "print JSON")
	return cmd
}

// pluginDetails is everything about one plugin.
type pluginDetails struct {
	pluginRow
	Ownership bool            `json:"ownership"`
	Practices []string        `json:"practices,omitempty"`
	Platforms []string        `json:"platforms,omitempty"`
	Schema    json.RawMessage `json:"config_schema,omitempty"`
}

func (e *environment) pluginInfo(cmd *cobra.Command, name string) (pluginDetails, error) {
	rows, err := e.pluginRows(cmd)
	if err != nil {
		return pluginDetails{}, err
	}
	i := slices.IndexFunc(rows, func(r pluginRow) bool { return r.Name == name })
	if i < 0 {
		names := make([]string, len(rows))
		for i, r := range rows {
			names[i] = r.Name
		}
		return pluginDetails{}, fault.InvalidField("NAME", name, "is no plugin", choices(name, "there are", names))
	}
	details := pluginDetails{pluginRow: rows[i], Schema: transforms.Schemas()[name]}
	if p, ok := builtin.Plugin(name); ok {
		d, err := p.Describe()
		if err != nil {
			return details, err
		}
		details.Ownership, details.Practices, details.Platforms, details.Schema = d.Ownership, d.Practices, d.Platforms, d.ConfigSchema
		return details, nil
	}
	statuses, _, err := e.pluginStatuses(cmd)
	for _, s := range statuses {
		if s.Name == name {
			d := s.Description
			details.Ownership, details.Practices, details.Platforms, details.Schema = d.Ownership, d.Practices, d.Platforms, d.ConfigSchema
		}
	}
	return details, err
}

func (e *environment) reportPlugin(d pluginDetails) error {
	var b strings.Builder
	_, _ = fmt.Fprintf(&b, "%s (%s)\n%s\n\n", strings.TrimSpace(d.Name+" "+d.Version), d.Kind, printable(d.Summary))
	row := func(what string, values ...string) {
		if text := strings.Join(values, ", "); text != "" {
			_, _ = fmt.Fprintf(&b, "%-13s%s\n", what, strings.TrimLeft(wrap(text, strings.Repeat(" ", 13), e.width()), " "))
		}
	}
	row("Can", d.Capabilities...)
	row("Practices", d.Practices...)
	row("Platforms", d.Platforms...)
	if d.Ownership {
		row("Ownership", "asked first: what it says belongs to a person is looked up in the other sources")
	}
	if d.Configured {
		row("Configured", strings.TrimSpace("yes "+d.State))
		row("Problem", printable(d.Error))
	}
	var schema struct {
		Properties map[string]struct {
			Description string `json:"description"`
			Default     any    `json:"default"`
			Secret      bool   `json:"x-secret"`
		} `json:"properties"`
		Order    []string `json:"x-order"`
		Required []string `json:"required"`
	}
	if len(d.Schema) > 0 && json.Unmarshal(d.Schema, &schema) == nil && len(schema.Properties) > 0 {
		if !strings.HasSuffix(b.String(), "\n\n") {
			_, _ = fmt.Fprintln(&b)
		}
		_, _ = fmt.Fprintln(&b, "Configuration:")
		if len(schema.Order) == 0 { // a plugin in another language need not give it
			schema.Order = slices.Sorted(maps.Keys(schema.Properties))
		}
		for _, key := range schema.Order {
			p, marks := schema.Properties[key], []string{}
			if slices.Contains(schema.Required, key) {
				marks = append(marks, "required")
			}
			if p.Secret {
				marks = append(marks, "secret")
			}
			if p.Default != nil {
				marks = append(marks, fmt.Sprintf("default %v", p.Default))
			}
			_, _ = fmt.Fprintf(&b, "%s\n%s\n", strings.TrimRight("  "+key+"  "+strings.Join(marks, ", "), " "), wrap(p.Description, "      ", e.width()))
		}
	}
	_, err := fmt.Fprint(e.stdout, b.String())
	return err
}
