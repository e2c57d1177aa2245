package esnotifications_test

import (
	"encoding/json"
	"flag"
	"net/http/httptest"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/postureproject/posture/internal/simulator/elastic"
	"github.com/postureproject/posture/internal/simulator/fleet"
)

var update = flag.Bool("update", false, "rewrite the golden files")

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// cluster is a simulated cluster that listens.
type cluster struct {
	*elastic.Server
	fleet *fleet.Fleet
	url   string
}

func newCluster(t *testing.T, o elastic.Options) cluster {
	t.Helper()
	f := fleet.New(fleet.Options{Now: time.Date(2026, 11, 1, 12, 0, 0, 0, time.UTC)})
	s := elastic.New(f, o)
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return cluster{Server: s, fleet: f, url: server.URL}
}

func (c cluster) settings(more ...map[string]any) map[string]any {
	settings := map[string]any{"ELASTICSEARCH_HOSTS": c.url, "ELASTICSEARCH_INDEX": elastic.DefaultIndex, "RETRIES": 1}
	for _, m := range more {
		for k, v := range m {
			settings[k] = v
		}
	}
	return settings
}

func jsonOf(v any) ([]byte, error) { return json.Marshal(v) }
