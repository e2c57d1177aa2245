package escluster_test

import (
	"net/url"
	"strings"
	"testing"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/plugins/sdk"
	"github.com/postureproject/posture/plugins/sdk/escluster"
)

func TestSettings_Check(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		settings escluster.Settings
		hosts    []string
		fields   []string
	}{
		"addresses": {
			settings: escluster.Settings{Hosts: sdk.Strings{"https://es.example.com/prefix/", "es", "es.example.com:7104", " http://[::1]:9200 "}},
			hosts:    []string{"https://es.example.com/prefix", "http://es:9200", "http://es.example.com:7104", "http://[::1]:9200"},
		},
		"malformed addresses": {
			settings: escluster.Settings{Hosts: sdk.Strings{"ftp://es", "http://[::1", "http://u:hunter2@es", "http://es?x=1", "http://es#x", "", "http://"}},
			fields:   strings.Fields(strings.Repeat("ELASTICSEARCH_HOSTS ", 7)),
		},
		"password":             {settings: escluster.Settings{Username: "u", Password: "hunter2"}},
		"user without":         {settings: escluster.Settings{Username: "u"}, fields: []string{"ELASTICSEARCH_PASSWORD"}},
		"password without":     {settings: escluster.Settings{Password: "hunter2"}, fields: []string{"ELASTICSEARCH_PASSWORD"}},
		"key":                  {settings: escluster.Settings{APIKey: "hunter2"}},
		"key, user, no secret": {settings: escluster.Settings{APIKey: "hunter2", Username: "u"}, fields: []string{"ELASTICSEARCH_API_KEY", "ELASTICSEARCH_PASSWORD"}},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			invalid := &fault.Error{Kind: fault.Invalid}
			var hosts, fields []string
			for _, u := range tc.settings.Check(invalid) {
				hosts = append(hosts, u.String())
			}
			for _, f := range invalid.Fields {
				fields = append(fields, f.Name)
			}
			if diff := cmp.Diff(tc.hosts, hosts); diff != "" {
				t.Errorf("hosts (-want +got):\n%s", diff)
			}
			if diff := cmp.Diff(tc.fields, fields); diff != "" {
				t.Errorf("fields (-want +got):\n%s", diff)
			}
			if strings.Contains(invalid.Error(), "hunter2") {
				t.Errorf("a secret shows in %v", invalid)
			}
		})
	}
}

func TestReadRefusal(t *testing.T) {
	t.Parallel()
	tests := map[string]struct{ body, want string }{
		"cause":         {`{"error":{"type":"t","reason":"r"},"status":400}`, "t: r"},
		"root cause":    {`{"error":{"root_cause":[{"type":"root","reason":"why"}],"type":"search_phase_execution_exception","reason":"all shards failed"}}`, "root: why"},
		"text":          {`{"error":"no handler found"}`, ""},
		"web page":      {`<html>`, ""},
		"reason alone":  {`{"error":{"reason":"r"}}`, "r"},
		"long":          {`{"error":{"type":"t","reason":"` + strings.Repeat("ä", 500) + `"}}`, "t: " + strings.Repeat("ä", 150) + "…"},
		"no root cause": {`{"error":{"root_cause":[],"type":"t","reason":"r"}}`, "t: r"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			r := escluster.ReadRefusal(400, []byte(tc.body))
			if r.Status != 400 || r.Error() != tc.want {
				t.Errorf("%d %q, want %q", r.Status, r.Error(), tc.want)
			}
		})
	}
}

// An address that is accepted can be used: it has a host, and nothing that a
// request's own path and query would meet.
func FuzzSettings_Check(f *testing.F) {
	for _, seed := range []string{"es", "https://es.example.com:9200/x/", "http://u@h", "[::1]:9200", "http://%zz", "es:port"} {
		f.Add(seed)
	}
	f.Fuzz(func(t *testing.T, host string) {
		for _, u := range (escluster.Settings{Hosts: sdk.Strings{host}}).Check(new(fault.Error)) {
			again, err := url.Parse(u.String())
			if err != nil || again.Hostname() == "" || again.User != nil || again.RawQuery != "" || strings.HasSuffix(u.Path, "/") {
				t.Errorf("%q is accepted as %v: %v", host, u, err)
			}
		}
	})
}
