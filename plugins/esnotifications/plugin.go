// Package esnotifications reads people's notifications (alerts) from an
// Elasticsearch index whose documents carry an e-mail address in the field
// email. It needs Elasticsearch 7.14 or newer, as Elastic's own client does. It
// imports only the plugin SDK and the packages of Posture's records.
package esnotifications

import (
	"context"
	"net/url"
	"strings"

	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/plugins/sdk"
	"github.com/postureproject/posture/plugins/sdk/escluster"
)

// Name is the plugin's name in a configuration.
const Name = "es_notifications"

// maxWindow is Elasticsearch's default index.max_result_window: from + size may
// not exceed it.
const maxWindow = 10_000

type config struct {
	escluster.Settings

	Index     string `json:"ELASTICSEARCH_INDEX" doc:"Index, alias or pattern to search" example:"stethoscope_notifications" required:"true"`
	TimeField string `json:"ELASTICSEARCH_TIME_FIELD" doc:"Field with a notification's time, for newest first; by default timestamp, @timestamp and event_timestamp are tried in this order" example:"created_at"`
	Max       int    `json:"MAX_NOTIFICATIONS" doc:"How many of a person's notifications to deliver, the newest, 1 to 10000" default:"500"`
}

// Plugin describes the source.
func Plugin() sdk.Plugin {
	return sdk.Definition[config, *Source]{
		Name: Name, Version: "1.0.0", Summary: "Notifications from Elasticsearch", New: open,
	}
}

func open(_ context.Context, c config, env sdk.Env) (*Source, error) {
	hosts, err := c.check()
	if err != nil {
		return nil, err
	}
	return newSource(c, hosts, env)
}

// check gives the hosts and reports every malformed key at once.
func (c config) check() ([]*url.URL, error) {
	invalid := &fault.Error{Kind: fault.Invalid, Op: "read configuration"}
	hosts := c.Check(invalid)
	add := func(name, reason, remedy string) {
		invalid.Fields = append(invalid.Fields, fault.Field{Name: name, Reason: reason, Remedy: remedy})
	}
	if index := strings.TrimSpace(c.Index); index == "" || strings.ContainsAny(index, `/\?#"<>| `) {
		add("ELASTICSEARCH_INDEX", "is not an index name", "name an index, an alias, or a pattern with *")
	}
	if c.Max < 1 || c.Max > maxWindow {
		add("MAX_NOTIFICATIONS", "is out of range", "write a number from 1 to 10000")
	}
	if len(invalid.Fields) > 0 {
		return nil, invalid
	}
	return hosts, nil
}
