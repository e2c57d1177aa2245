package elastic_test

import (
	"encoding/json"
	"fmt"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	simulator "github.com/postureproject/posture/internal/simulator/elastic"
	"github.com/postureproject/posture/internal/simulator/fleet"
	"github.com/postureproject/posture/plugins/sdk"
	"github.com/postureproject/posture/plugins/sdk/sdktest"
	"github.com/postureproject/posture/sinks/elastic"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// november is when the tests' deliveries happened.
var november = time.Date(2026, 11, 30, 23, 59, 0, 0, time.UTC)

const prefix = "stethoscope_devices-"

// newCluster starts a simulated cluster.
func newCluster(t *testing.T, o simulator.Options) (s *simulator.Server, url string) {
	t.Helper()
	s = simulator.New(fleet.New(fleet.Options{Now: november}), o)
	server := httptest.NewServer(s)
	t.Cleanup(server.Close)
	return s, server.URL
}

// batch opens the sink batch_es; retries cost time and are left out, and the time limit suits a busy machine.
func batch(t *testing.T, url string, more ...map[string]any) *sdk.Client {
	t.Helper()
	return sdktest.Open(t, elastic.PluginBatch(), with(url, more...), sdktest.WithTimeout(time.Minute))
}

func with(url string, more ...map[string]any) map[string]any {
	settings := map[string]any{"ELASTICSEARCH_HOSTS": url, "ELASTICSEARCH_INDEX_PREFIX": prefix, "RETRIES": 0}
	for _, m := range more {
		for k, v := range m {
			settings[k] = v
		}
	}
	return settings
}

// laptop is a delivery of one device.
func laptop(id string) device.Delivery {
	return device.Delivery{
		ID: id, Kind: device.DeliverDevice, Key: "ada@example.com", At: november,
		Body: json.RawMessage(`{"email":"ada@example.com","report_date":"2026-11-30T22:00:00Z","run":"r1","name":"` + id + `"}`),
	}
}

func laptops(n int) []device.Delivery {
	out := make([]device.Delivery, n)
	for i := range out {
		out[i] = laptop(fmt.Sprintf("d%03d", i))
	}
	return out
}

// deliver delivers, and fails the test when the call itself fails.
func deliver(t *testing.T, sink *sdk.Client, deliveries ...device.Delivery) []error {
	t.Helper()
	errs, err := sink.Deliver(t.Context(), deliveries)
	if err != nil {
		t.Fatalf("deliver: %v", err)
	}
	if len(errs) == 0 {
		errs = make([]error, len(deliveries))
	}
	return errs
}

// checkErrors compares what became of deliveries: the name of a kind, or empty.
func checkErrors(t *testing.T, got []error, want ...string) {
	t.Helper()
	if len(got) != len(want) {
		t.Fatalf("%d results, want %d", len(got), len(want))
	}
	for i, err := range got {
		if (err == nil) != (want[i] == "") || err != nil && fault.KindOf(err).String() != want[i] {
			t.Errorf("result %d: %v; want %q", i, err, want[i])
		}
	}
}

// checkError checks kind and text of one failure.
func checkError(t *testing.T, err error, kind fault.Kind, text string) {
	t.Helper()
	if err == nil || fault.KindOf(err) != kind || !strings.Contains(err.Error(), text) {
		t.Errorf("error %v, want %s with %q", err, kind, text)
	}
}
