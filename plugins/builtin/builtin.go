// Package builtin is the table of the plugins that the binary contains. Only
// commands import it: the host knows plugins by name and protocol alone.
package builtin

import (
	"slices"

	"github.com/postureproject/posture/plugins/bitfit"
	"github.com/postureproject/posture/plugins/duo"
	"github.com/postureproject/posture/plugins/esnotifications"
	"github.com/postureproject/posture/plugins/file"
	"github.com/postureproject/posture/plugins/google"
	"github.com/postureproject/posture/plugins/jamf"
	"github.com/postureproject/posture/plugins/landesk"
	"github.com/postureproject/posture/plugins/sdk"
	"github.com/postureproject/posture/sinks/atlas"
	"github.com/postureproject/posture/sinks/elastic"
	"github.com/postureproject/posture/sinks/rest"
)

// entry names one plugin. Making it costs nothing until it is asked for.
type entry struct {
	name   string
	plugin func() sdk.Plugin
}

func table() []entry {
	return []entry{
		{"atlas", atlas.Plugin},
		{"batch_es", elastic.PluginBatch},
		{"batch_restful_summary", rest.PluginSummary},
		{"bitfit", bitfit.Plugin},
		{"duo", duo.Plugin},
		{"es_logger", elastic.PluginLogger},
		{"es_notifications", esnotifications.Plugin},
		{"file", file.Plugin},
		{"google", google.Plugin},
		{"jamf", jamf.Plugin},
		{"landesk", landesk.Plugin},
		{"restful_feedback", rest.PluginFeedback},
	}
}

// Names lists the built-in plugins, sorted.
func Names() []string {
	var names []string
	for _, e := range table() {
		names = append(names, e.name)
	}
	slices.Sort(names)
	return names
}

// Plugin gives a built-in plugin by name.
func Plugin(name string) (sdk.Plugin, bool) {
	for _, e := range table() {
		if e.name == name {
			return e.plugin(), true
		}
	}
	return nil, false
}

// Describe tells what a built-in plugin is.
func Describe(name string) (sdk.Description, bool) {
	p, ok := Plugin(name)
	if !ok {
		return sdk.Description{}, false
	}
	d, err := p.Describe()
	return d, err == nil
}
