package host

import (
	"cmp"
	"encoding/json"
	"errors"
	"os"
	"path/filepath"
	"slices"
	"strconv"
	"strings"
	"sync"

	"github.com/postureproject/posture/batch"
	"github.com/postureproject/posture/config"
	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/host/scan"
	"github.com/postureproject/posture/host/supervise"
	"github.com/postureproject/posture/plugins/sdk"
	"github.com/postureproject/posture/practices"
	"github.com/postureproject/posture/transforms"
)

// builder makes the parts of a generation from a configuration.
type builder struct {
	o        Options
	file     *config.File
	settings config.Settings

	mu       sync.Mutex
	problems config.Problems // of plugins' blocks, found while they start
}

// localStages are the transforms that are built in; they need no process.
type localStages struct {
	devices map[string]scan.DeviceStage
	events  map[string]scan.EventStage
}

func (b *builder) localStages() (localStages, error) {
	stages := localStages{devices: map[string]scan.DeviceStage{}, events: map[string]scan.EventStage{}}
	var problems config.Problems
	for name, schema := range transforms.Schemas() {
		if !slices.Contains(b.settings.DeviceTransforms, name) && !slices.Contains(b.settings.EventTransforms, name) {
			continue
		}
		block, err := b.file.Plugin(name, schema)
		if err == nil {
			err = stages.add(name, block.JSON)
		}
		problems = append(problems, b.problemsOf("plugins."+name, err)...)
	}
	if len(problems) > 0 {
		return stages, problems
	}
	return stages, nil
}

func (s localStages) add(name string, raw json.RawMessage) (err error) {
	switch name {
	case "re_filter":
		s.devices[name], err = transforms.NewREFilter(raw)
	case "mac_manufacturer":
		s.devices[name], err = transforms.NewMACManufacturer(raw)
	case "vpn_labeler":
		s.events[name], err = transforms.NewVPNLabeler(raw)
	}
	return err
}

func (b *builder) policy() (*practices.Policy, error) {
	raw, err := b.file.Practices(practices.Schema())
	if err != nil {
		return nil, err
	}
	policy, err := practices.New(raw, practices.Options{StaleAfter: b.settings.StaleAfter, RetiredStatuses: b.settings.RetiredStatuses})
	if err != nil {
		return nil, b.problemsOf("practices", err)
	}
	return policy, nil
}

// timetable refuses a schedule that cannot be read.
func (b *builder) timetable() error {
	s := b.settings.Batch
	if s.Schedule == "" {
		return nil
	}
	if _, err := batch.ParseTimetable(s.Schedule, s.TimeZone); err != nil {
		return b.problemsOf("batch", err)
	}
	return nil
}

// problemsOf gives an error about a part of the configuration its place in the
// file. Field names are paths below base, or whole paths.
func (b *builder) problemsOf(base string, err error) config.Problems {
	var (
		problems config.Problems
		e        *fault.Error
	)
	switch {
	case err == nil:
		return nil
	case errors.As(err, &problems):
		return problems
	case errors.As(err, &e) && len(e.Fields) > 0:
		for _, f := range e.Fields {
			path := f.Name
			if !strings.HasPrefix(path, base) {
				path = base + "." + path
			}
			line, column := b.file.Locate(path)
			problems = append(problems, config.Problem{
				File: b.file.Name(), Line: line, Column: column, Path: path, Message: reason(f), Suggestion: f.Remedy,
			})
		}
		return problems
	default:
		line, column := b.file.Locate(base)
		return config.Problems{{
			File: b.file.Name(), Line: line, Column: column, Path: base, Message: err.Error(), Suggestion: fault.RemedyOf(err),
		}}
	}
}

// items gives the wanted set of plugin processes.
func (b *builder) items() ([]supervise.Item, error) {
	var (
		items    []supervise.Item
		problems config.Problems
		local    = transforms.Schemas()
	)
	for _, name := range b.file.Plugins() {
		if _, inProcess := local[name]; inProcess || len(b.o.Only) > 0 && !slices.Contains(b.o.Only, name) {
			continue
		}
		// An empty schema lets only the host's own keys be looked at.
		keys, err := b.file.Plugin(name, []byte(`{"type":"object"}`))
		if err != nil {
			problems = append(problems, b.problemsOf("plugins."+name, err)...)
			continue
		}
		if !keys.Enabled {
			continue
		}
		program, err := b.program(name, keys.SHA256)
		if err != nil {
			problems = append(problems, b.problemsOf("plugins."+name, err)...)
			continue
		}
		items = append(items, supervise.Item{Program: program, Configure: b.configure(name)})
	}
	if len(problems) > 0 {
		return nil, problems
	}
	return items, nil
}

// program finds the executable of a plugin: this one for a built-in plugin, else
// a file of the plugin's name, or posture-plugin-NAME, in the plugin folder.
func (b *builder) program(name, sha256 string) (supervise.Program, error) {
	if slices.Contains(b.o.Builtin, name) {
		return supervise.Program{Name: name, Path: b.o.Executable, Args: []string{"plugin", "serve", name}, Dir: b.folder()}, nil
	}
	if dir := b.settings.PluginDir; dir != "" {
		for _, file := range []string{name, "posture-plugin-" + name} {
			path := filepath.Join(dir, file)
			if info, err := os.Stat(path); err == nil && info.Mode().IsRegular() {
				return supervise.Program{Name: name, Path: path, SHA256: sha256, Dir: b.folder()}, nil
			}
		}
	}
	where := "plugin_dir is not set"
	if b.settings.PluginDir != "" {
		where = "and " + b.settings.PluginDir + " has no file of this name"
	}
	known := append(slices.Sorted(slices.Values(b.o.Builtin)), "re_filter", "mac_manufacturer", "vpn_labeler")
	return supervise.Program{}, fault.New(fault.Invalid, "unknown plugin; built in are %s; %s", strings.Join(known, ", "), where)
}

// folder is where plugins work: the configuration file's folder, so that relative
// paths in their blocks start where those of the rest of the file do.
func (b *builder) folder() string {
	name := b.file.Name()
	if info, err := os.Stat(name); err != nil || !info.Mode().IsRegular() {
		return "" // standard input
	}
	absolute, err := filepath.Abs(name)
	if err != nil {
		return ""
	}
	return filepath.Dir(absolute)
}

// configure gives the function by which the supervisor learns a plugin's
// settings once the plugin has described itself.
func (b *builder) configure(name string) supervise.Configure {
	return func(d sdk.Description) (supervise.Settings, error) {
		block, err := b.file.Plugin(name, d.ConfigSchema)
		if err != nil {
			b.mu.Lock()
			b.problems = append(b.problems, b.problemsOf("plugins."+name, err)...)
			b.mu.Unlock()
			return supervise.Settings{}, err
		}
		timeout := block.Timeout
		if b.o.Timeout > 0 && !d.Has(sdk.CapDeliver) {
			timeout = b.o.Timeout
		}
		return supervise.Settings{
			Config: block.JSON, Secrets: secretValues(d.ConfigSchema, block.JSON),
			Timeout: timeout, Concurrency: block.Concurrency, Debug: b.settings.Debug,
		}, nil
	}
}

// explain makes the failure to apply a configuration the list of its problems,
// if it is the configuration that is at fault.
func (b *builder) explain(err error) error {
	b.mu.Lock()
	problems := slices.Clone(b.problems)
	b.mu.Unlock()
	for _, err := range unjoin(err) {
		var known config.Problems
		var e *fault.Error
		switch {
		case fault.KindOf(err) != fault.Invalid:
			return err
		case errors.As(err, &known): // collected already
		case errors.As(err, &e):
			name := e.Source
			problems = append(problems, b.problemsOf("plugins."+name, err)...)
		}
	}
	return problems
}

func unjoin(err error) []error {
	if many, ok := err.(interface{ Unwrap() []error }); ok {
		return many.Unwrap()
	}
	return []error{err}
}

// secretValues gives the values in a plugin's block that its schema marks as
// secret, so that they can be kept out of logs.
func secretValues(schema []byte, block json.RawMessage) []string {
	var s struct {
		Properties map[string]struct {
			Secret bool `json:"x-secret"`
		} `json:"properties"`
	}
	var values map[string]json.RawMessage
	if json.Unmarshal(schema, &s) != nil || json.Unmarshal(block, &values) != nil {
		return nil
	}
	var secrets []string
	for key, property := range s.Properties {
		if !property.Secret {
			continue
		}
		var text string
		var object map[string]any
		switch {
		case json.Unmarshal(values[key], &text) == nil:
			secrets = append(secrets, text)
		case json.Unmarshal(values[key], &object) == nil:
			if key, ok := object["private_key"].(string); ok {
				secrets = append(secrets, key)
			}
		}
	}
	return secrets
}

// pipeline joins the running plugins and the stages.
func (b *builder) pipeline(sup *supervise.Supervisor, stages localStages, policy *practices.Policy) *scan.Pipeline {
	p := &scan.Pipeline{
		Sources: b.o.sources(sup, b.settings), Policy: policy, Timeout: b.settings.ScanTimeout, Now: b.o.Now,
		Merge: device.MergeOptions{Placeholders: b.settings.PlaceholderIdentifiers},
	}
	for _, name := range b.settings.DeviceTransforms {
		if stage, ok := stages.devices[name]; ok {
			p.DeviceStages = append(p.DeviceStages, scan.Stage[scan.DeviceStage]{Name: name, Apply: stage})
		} else if plugin, ok := sup.Plugin(name); ok {
			p.DeviceStages = append(p.DeviceStages, scan.Stage[scan.DeviceStage]{Name: name, Apply: plugin, External: true})
		}
	}
	for _, name := range b.settings.EventTransforms {
		if stage, ok := stages.events[name]; ok {
			p.EventStages = append(p.EventStages, scan.Stage[scan.EventStage]{Name: name, Apply: stage})
		} else if plugin, ok := sup.Plugin(name); ok {
			p.EventStages = append(p.EventStages, scan.Stage[scan.EventStage]{Name: name, Apply: plugin, External: true})
		}
	}
	return p
}

// described tells what a plugin is: what it has said itself, or, before it has ever
// started, what is known of a built-in one.
func (o Options) described(p *supervise.Plugin) (sdk.Description, bool) {
	d, known := p.Description()
	if !known && o.Describe != nil {
		return o.Describe(p.Name())
	}
	return d, known
}

// sources describes the plugins as the pipeline sees them. Those that only
// transform are no sources.
func (o Options) sources(sup *supervise.Supervisor, s config.Settings) []scan.Source {
	var sources []scan.Source
	for _, p := range sup.Plugins() {
		d, known := o.described(p)
		if !known {
			if slices.Contains(s.DeviceTransforms, p.Name()) || slices.Contains(s.EventTransforms, p.Name()) {
				continue
			}
			sources = append(sources, scan.Source{Name: p.Name(), Ask: p, Down: neverStarted(p)})
			continue
		}
		source := scan.Source{
			Name: p.Name(), Ask: p,
			ByEmail: d.Has(sdk.CapDevicesByEmail), BySerial: d.Has(sdk.CapDevicesBySerial), ByMAC: d.Has(sdk.CapDevicesByMAC),
			Events: d.Has(sdk.CapEvents), Accounts: d.Has(sdk.CapAccounts), Notifications: d.Has(sdk.CapNotifications),
			Ownership: d.Ownership, Practices: d.Practices, Platforms: d.Platforms, Software: d.Software,
			ListsDevices: d.Has(sdk.CapListDevices), ListsUsers: d.Has(sdk.CapListUsers),
		}
		if source.ListsDevices || source.ListsUsers || source.ByEmail || source.BySerial || source.ByMAC || source.Events || source.Accounts || source.Notifications {
			sources = append(sources, source)
		}
	}
	return sources
}

func neverStarted(p *supervise.Plugin) error {
	s := p.Status()
	return &fault.Error{
		Kind: fault.Unavailable, Source: p.Name(), Message: "the plugin could not be started: " + s.LastError,
		Remedy: cmp.Or(s.LastRemedy, "see posture plugin info "+p.Name()),
	}
}

// reason says what is wrong with a field, without its name.
func reason(f fault.Field) string {
	if f.Value == "" {
		return f.Reason
	}
	return f.Reason + " (got " + strconv.Quote(f.Value) + ")"
}
