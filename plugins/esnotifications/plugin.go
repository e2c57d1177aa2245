// Package esnotifications reads people's notifications (alerts) from an
// Elasticsearch index whose documents carry an e-mail address in the field
// email. It needs Elasticsearch 7.14 or newer, as Elastic's own client does. It
// imports only the plugin SDK and the packages of Posture's records.
package esnotifications

import (
	"context"
	"fmt"
	"net/url"
	"strings"

	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/plugins/sdk"
	"github.com/postureproject/posture/plugins/sdk/upstream"
)

// Name is the plugin's name in a configuration.
const Name = "es_notifications"

// maxWindow is Elasticsearch's default index.max_result_window: from + size may
// not exceed it.
const maxWindow = 10_000

type config struct {
	upstream.Settings

	Hosts     sdk.Strings `json:"ELASTICSEARCH_HOSTS" doc:"Addresses of the cluster's nodes; when one fails the next is asked" example:"[\"https://es.example.com:9200\"]" required:"true"`
	Index     string      `json:"ELASTICSEARCH_INDEX" doc:"Index, alias or pattern to search" example:"stethoscope_notifications" required:"true"`
	DocType   string      `json:"ELASTICSEARCH_DOCTYPE" doc:"Accepted for old configurations and ignored: document types no longer exist"`
	Username  string      `json:"ELASTICSEARCH_USERNAME" doc:"User name for Basic authentication"`
	Password  sdk.Secret  `json:"ELASTICSEARCH_PASSWORD" doc:"Password for Basic authentication"`
	APIKey    sdk.Secret  `json:"ELASTICSEARCH_API_KEY" doc:"Encoded API key, instead of user name and password"`
	TimeField string      `json:"ELASTICSEARCH_TIME_FIELD" doc:"Field with a notification's time, for newest first; by default timestamp, @timestamp and event_timestamp are tried in this order" example:"created_at"`
	Max       int         `json:"MAX_NOTIFICATIONS" doc:"How many of a person's notifications to deliver, the newest, 1 to 10000" default:"500"`
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
	if c.DocType != "" {
		env.Logger.Info("ELASTICSEARCH_DOCTYPE is ignored, as document types no longer exist; remove it", "doctype", c.DocType)
	}
	return newSource(c, hosts, env)
}

// check gives the hosts and reports every malformed key at once. The error shows
// no host, as an address may hold a password.
func (c config) check() ([]*url.URL, error) {
	invalid := &fault.Error{Kind: fault.Invalid, Op: "read configuration"}
	add := func(name, reason, remedy string) {
		invalid.Fields = append(invalid.Fields, fault.Field{Name: name, Reason: reason, Remedy: remedy})
	}
	var hosts []*url.URL
	for i, text := range c.Hosts {
		u, problem := parseHost(text)
		if problem != "" {
			add("ELASTICSEARCH_HOSTS", fmt.Sprintf("address %d %s", i+1, problem), "write addresses such as https://es.example.com:9200")
			continue
		}
		hosts = append(hosts, u)
	}
	if index := strings.TrimSpace(c.Index); index == "" || strings.ContainsAny(index, `/\?#"<>| `) {
		add("ELASTICSEARCH_INDEX", "is not an index name", "name an index, an alias, or a pattern with *")
	}
	if c.APIKey != "" && (c.Username != "" || c.Password != "") {
		add("ELASTICSEARCH_API_KEY", "stands beside a user name or password", "give one or the other")
	}
	if (c.Username == "") != (c.Password == "") {
		add("ELASTICSEARCH_PASSWORD", "user name and password go together", "give both or neither")
	}
	if c.Max < 1 || c.Max > maxWindow {
		add("MAX_NOTIFICATIONS", "is out of range", "write a number from 1 to 10000")
	}
	if len(invalid.Fields) > 0 {
		return nil, invalid
	}
	return hosts, nil
}

// parseHost reads a node's address: a URL, or as Elasticsearch's Python client
// takes it, host or host:port, which mean plain HTTP and port 9200.
func parseHost(text string) (u *url.URL, problem string) {
	text = strings.TrimSpace(text)
	bare := !strings.Contains(text, "://")
	if bare {
		text = "http://" + text
	}
	u, err := url.Parse(text)
	switch {
	case err != nil || u.Hostname() == "":
		return nil, "is not an address"
	case u.Scheme != "http" && u.Scheme != "https":
		return nil, "is neither http nor https"
	case u.User != nil:
		return nil, "holds credentials; move them to ELASTICSEARCH_USERNAME and ELASTICSEARCH_PASSWORD"
	case u.RawQuery != "" || u.Fragment != "":
		return nil, "has a query or fragment"
	}
	if bare && u.Port() == "" {
		u.Host += ":9200"
	}
	u.Path = strings.TrimRight(u.Path, "/")
	u.RawPath = ""
	return u, ""
}
