// Package elastic writes into Elasticsearch what Posture finds and what it shows:
// the plugin batch_es one document per device of a nightly run, the plugin
// es_logger one document per look at somebody's records. Both write into monthly
// indices, whose templates they bring along, and give each document the
// delivery's identifier, so that a repeated one changes nothing. It imports the
// plugin SDK and the packages of Posture's records.
package elastic

import (
	"context"
	"net/url"
	"strings"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/plugins/sdk"
	"github.com/postureproject/posture/plugins/sdk/escluster"
)

// The plugins' names in a configuration.
const (
	BatchName  = "batch_es"
	LoggerName = "es_logger"
)

// settings are both plugins' configuration.
type settings struct {
	escluster.Settings

	Prefix   string `json:"ELASTICSEARCH_INDEX_PREFIX" doc:"What the names of the monthly indices begin with; year and month follow, such as 202611. Needed, unless ELASTICSEARCH_INDEX is given" example:"stethoscope_devices-"`
	Index    string `json:"ELASTICSEARCH_INDEX" doc:"Older name of ELASTICSEARCH_INDEX_PREFIX"`
	Template bool   `json:"ELASTICSEARCH_TEMPLATE" doc:"Install the index template and renew it; without, an administrator does so before the first document" default:"true"`
	Health   string `json:"HEALTHCHECK_URL" doc:"Address that answers a GET with 2xx when the other side is well; the connectivity test asks there first" example:"https://es.example.com/health" secret:"true"`
}

// PluginBatch describes the sink batch_es.
func PluginBatch() sdk.Plugin {
	return plugin(BatchName, "Devices of the nightly run into Elasticsearch", device.DeliverDevice)
}

// PluginLogger describes the sink es_logger.
func PluginLogger() sdk.Plugin {
	return plugin(LoggerName, "Every access, with what was shown, into Elasticsearch", device.DeliverAccess)
}

func plugin(name, summary, kind string) sdk.Plugin {
	return sdk.Definition[settings, *Sink]{
		Name: name, Version: "1.0.0", Summary: summary, Accepts: []string{kind},
		New: func(_ context.Context, c settings, env sdk.Env) (*Sink, error) {
			prefix, hosts, err := c.check()
			if err != nil {
				return nil, err
			}
			return open(name, kind, prefix, c, hosts, env)
		},
	}
}

// check gives prefix and hosts, and reports every malformed key at once.
func (c settings) check() (prefix string, hosts []*url.URL, err error) {
	invalid := &fault.Error{Kind: fault.Invalid, Op: "read configuration"}
	hosts = c.Check(invalid)
	checkHealthURL(c.Health, invalid)
	add := func(name, reason, remedy string) {
		invalid.Fields = append(invalid.Fields, fault.Field{Name: name, Reason: reason, Remedy: remedy})
	}
	name, prefix := "ELASTICSEARCH_INDEX_PREFIX", strings.TrimSpace(c.Prefix)
	if older := strings.TrimSpace(c.Index); older != "" {
		if prefix != "" && prefix != older {
			add("ELASTICSEARCH_INDEX", "stands beside another ELASTICSEARCH_INDEX_PREFIX", "give one of them")
		}
		name, prefix = "ELASTICSEARCH_INDEX", older
	}
	const example = "write lower-case letters, digits, - and _, such as stethoscope_devices-"
	switch {
	case prefix == "":
		add(name, "is required", example)
	case !isIndexPrefix(prefix):
		add(name, "is not what the name of an index can begin with", example)
	}
	if len(invalid.Fields) > 0 {
		return "", nil, invalid
	}
	return prefix, hosts, nil
}

// isIndexPrefix knows Elasticsearch's rules for the names of indices.
func isIndexPrefix(s string) bool {
	const most = 255 - len("200601")
	return len(s) <= most && s == strings.ToLower(s) && !strings.ContainsAny(s, "\\/*?\"<>| ,#:\t\n") && !strings.ContainsAny(s[:1], "-_+.")
}
