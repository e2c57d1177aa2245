package elastic_test

import (
	"bytes"
	"encoding/json"
	"encoding/pem"
	"fmt"
	"io"
	"log"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/postureproject/posture/fault"
	simulator "github.com/postureproject/posture/internal/simulator/elastic"
	"github.com/postureproject/posture/internal/simulator/fleet"
	"github.com/postureproject/posture/internal/simulator/simhttp"
	"github.com/postureproject/posture/plugins/sdk"
	"github.com/postureproject/posture/plugins/sdk/sdktest"
	"github.com/postureproject/posture/sinks/elastic"
)

func TestConfiguration(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change map[string]any // null removes
		field  string         // that the error names; empty: none
	}{
		"minimal":             {},
		"older name":          {change: map[string]any{"ELASTICSEARCH_INDEX_PREFIX": nil, "ELASTICSEARCH_INDEX": "stethoscope_devices", "ELASTICSEARCH_DOCTYPE": "default"}},
		"both names, alike":   {change: map[string]any{"ELASTICSEARCH_INDEX": prefix}},
		"both names":          {change: map[string]any{"ELASTICSEARCH_INDEX": "other"}, field: "ELASTICSEARCH_INDEX"},
		"no prefix":           {change: map[string]any{"ELASTICSEARCH_INDEX_PREFIX": nil}, field: "ELASTICSEARCH_INDEX_PREFIX"},
		"blank prefix":        {change: map[string]any{"ELASTICSEARCH_INDEX_PREFIX": " "}, field: "ELASTICSEARCH_INDEX_PREFIX"},
		"capitals":            {change: map[string]any{"ELASTICSEARCH_INDEX_PREFIX": "Devices-"}, field: "ELASTICSEARCH_INDEX_PREFIX"},
		"pattern":             {change: map[string]any{"ELASTICSEARCH_INDEX_PREFIX": "devices*"}, field: "ELASTICSEARCH_INDEX_PREFIX"},
		"slash":               {change: map[string]any{"ELASTICSEARCH_INDEX_PREFIX": "a/b"}, field: "ELASTICSEARCH_INDEX_PREFIX"},
		"hyphen first":        {change: map[string]any{"ELASTICSEARCH_INDEX_PREFIX": "-a"}, field: "ELASTICSEARCH_INDEX_PREFIX"},
		"hidden":              {change: map[string]any{"ELASTICSEARCH_INDEX_PREFIX": ".a"}, field: "ELASTICSEARCH_INDEX_PREFIX"},
		"too long":            {change: map[string]any{"ELASTICSEARCH_INDEX_PREFIX": strings.Repeat("a", 250)}, field: "ELASTICSEARCH_INDEX_PREFIX"},
		"no hosts":            {change: map[string]any{"ELASTICSEARCH_HOSTS": nil}, field: "ELASTICSEARCH_HOSTS"},
		"credentials in host": {change: map[string]any{"ELASTICSEARCH_HOSTS": "http://u:hunter2@es"}, field: "ELASTICSEARCH_HOSTS"},
		"half a log-in":       {change: map[string]any{"ELASTICSEARCH_PASSWORD": "hunter2"}, field: "ELASTICSEARCH_PASSWORD"},
		"key and password":    {change: map[string]any{"ELASTICSEARCH_USERNAME": "u", "ELASTICSEARCH_PASSWORD": "hunter2", "ELASTICSEARCH_API_KEY": "k"}, field: "ELASTICSEARCH_API_KEY"},
		"CA_FILE":             {change: map[string]any{"CA_FILE": "/no/such/file"}, field: "CA_FILE"},
		"HEALTHCHECK_URL":     {change: map[string]any{"HEALTHCHECK_URL": "es?token=hunter2"}, field: "HEALTHCHECK_URL"},
		"unknown key":         {change: map[string]any{"ELASTICSEARCH_HOST": "x"}, field: "ELASTICSEARCH_HOST"},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			for _, plugin := range []sdk.Plugin{elastic.PluginBatch(), elastic.PluginLogger()} {
				text, err := json.Marshal(with("https://es.example.com:9200", tc.change))
				if err != nil {
					t.Fatal(err)
				}
				err = sdktest.Dial(t, plugin).Configure(t.Context(), sdk.Configuration{Config: text, Timeout: time.Second, Concurrency: 1})
				switch {
				case tc.field == "" && err != nil:
					t.Errorf("error %v", err)
				case tc.field != "" && (fault.KindOf(err) != fault.Invalid || !strings.Contains(fmt.Sprint(err), tc.field)):
					t.Errorf("error %v, want one that names %s", err, tc.field)
				case strings.Contains(fmt.Sprint(err), "hunter2"):
					t.Errorf("a secret shows in %v", err)
				}
			}
		})
	}
}

func TestTLS(t *testing.T) {
	t.Parallel()
	s := simulator.New(fleet.New(fleet.Options{}), simulator.Options{Username: "posture", Password: "hunter2"})
	server := httptest.NewUnstartedServer(s)
	server.Config.ErrorLog = log.New(io.Discard, "", 0)
	server.StartTLS()
	t.Cleanup(server.Close)
	settings := map[string]any{"ELASTICSEARCH_USERNAME": "posture", "ELASTICSEARCH_PASSWORD": "hunter2"}
	errs := deliver(t, batch(t, server.URL, settings), laptop("a"))
	checkErrors(t, errs, "unavailable")
	if !strings.Contains(fault.RemedyOf(errs[0]), "CA_FILE") {
		t.Errorf("remedy %q", fault.RemedyOf(errs[0]))
	}
	ca := filepath.Join(t.TempDir(), "ca.pem")
	if err := os.WriteFile(ca, pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw}), 0o600); err != nil {
		t.Fatal(err)
	}
	settings["CA_FILE"] = ca
	checkErrors(t, deliver(t, batch(t, server.URL, settings), laptop("a")), "")
	settings["ELASTICSEARCH_PASSWORD"] = "wrong"
	checkErrors(t, deliver(t, batch(t, server.URL, settings), laptop("b")), "unauthenticated")
	if len(s.Documents(prefix+"202611")) != 1 {
		t.Errorf("indices %v", s.Indices())
	}
}

// While one node is away, another takes the documents.
func TestFailover(t *testing.T) {
	t.Parallel()
	away, awayURL := newCluster(t, simulator.Options{})
	away.Faults.Add(simhttp.Fault{Status: 503})
	s, url := newCluster(t, simulator.Options{})
	sink := batch(t, url, map[string]any{"ELASTICSEARCH_HOSTS": []string{awayURL, url}})
	checkErrors(t, deliver(t, sink, laptop("a")), "")
	if len(s.Documents(prefix+"202611")) != 1 {
		t.Errorf("indices %v", s.Indices())
	}
}

// What an answer holds, no document is taken for written that is not said to be.
func FuzzAnswer(f *testing.F) {
	for _, seed := range []string{
		`{"items":[{"create":{"_id":"a","status":201}}]}`, `{"items":[{"create":{"_id":"a","status":409,"error":{"type":"t","reason":"r","caused_by":{"type":"x","reason":"y"}}}}]}`,
		`{"items":[{}]}`, `{"items":[null]}`, `{"items":{}}`, `{"items":[{"index":{"status":200},"create":{"status":500}}]}`, `[]`, `<html>`, ``,
	} {
		f.Add([]byte(seed))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		if elastic.ReadAnswer(body, "a") && !bytes.Contains(body, []byte("2")) && !bytes.Contains(body, []byte("409")) {
			t.Errorf("%q is taken for success", body)
		}
	})
}
