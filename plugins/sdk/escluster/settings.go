package escluster

import (
	"fmt"
	"net"
	"net/url"
	"strings"

	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/plugins/sdk"
	"github.com/postureproject/posture/plugins/sdk/upstream"
)

// Settings are the configuration keys that every plugin for Elasticsearch shares;
// embed them in the plugin's configuration.
type Settings struct {
	upstream.Settings

	Hosts    sdk.Strings `json:"ELASTICSEARCH_HOSTS" doc:"Addresses of the cluster's nodes; when one fails the next is asked" example:"[\"https://es.example.com:9200\"]" required:"true"`
	DocType  string      `json:"ELASTICSEARCH_DOCTYPE" doc:"Accepted for old configurations and ignored: document types no longer exist"`
	Username string      `json:"ELASTICSEARCH_USERNAME" doc:"User name for Basic authentication"`
	Password sdk.Secret  `json:"ELASTICSEARCH_PASSWORD" doc:"Password for Basic authentication"`
	APIKey   sdk.Secret  `json:"ELASTICSEARCH_API_KEY" doc:"Encoded API key, instead of user name and password"`
}

// Check gives the hosts, and adds every malformed key to the fields of invalid. It
// shows no host, as an address may hold a password.
func (s Settings) Check(invalid *fault.Error) []*url.URL {
	add := func(name, reason, remedy string) {
		invalid.Fields = append(invalid.Fields, fault.Field{Name: name, Reason: reason, Remedy: remedy})
	}
	var hosts []*url.URL
	for i, text := range s.Hosts {
		u, problem := parseHost(text)
		if problem != "" {
			add("ELASTICSEARCH_HOSTS", fmt.Sprintf("address %d %s", i+1, problem), "write addresses such as https://es.example.com:9200")
			continue
		}
		hosts = append(hosts, u)
	}
	if s.APIKey != "" && (s.Username != "" || s.Password != "") {
		add("ELASTICSEARCH_API_KEY", "stands beside a user name or password", "give one or the other")
	}
	if (s.Username == "") != (s.Password == "") {
		add("ELASTICSEARCH_PASSWORD", "user name and password go together", "give both or neither")
	}
	return hosts
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
		u.Host = net.JoinHostPort(u.Hostname(), "9200")
	}
	u.Path = strings.TrimRight(u.Path, "/")
	u.RawPath = ""
	return u, ""
}
