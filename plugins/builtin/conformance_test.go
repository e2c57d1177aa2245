package builtin_test

import (
	"maps"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/internal/simulator/company"
	"github.com/postureproject/posture/internal/simulator/fleet"
	"github.com/postureproject/posture/internal/simulator/simhttp"
	"github.com/postureproject/posture/internal/simulator/tds"
	"github.com/postureproject/posture/plugins/builtin"
	"github.com/postureproject/posture/plugins/sdk"
	"github.com/postureproject/posture/plugins/sdk/sdktest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// Every built-in plugin keeps the contract that the SDK promises the host, seen
// over the protocol and against its vendor's simulator.
func TestPlugins_conform(t *testing.T) {
	f := fleet.New(fleet.Options{People: 12, Now: time.Now()})
	wrong := map[string]map[string]any{
		"bitfit":           {"BITFIT_API_TOKEN": "wrong-bitfit-token"},
		"duo":              {"DUO_SECRET_KEY": "wrong-duo-secret"},
		"es_notifications": {"ELASTICSEARCH_INDEX": "no_such_index", "ELASTICSEARCH_PASSWORD": "wrong-es-password", "ELASTICSEARCH_USERNAME": "posture"},
		"file":             {"DEVICES_FILES": []string{"/nonexistent/devices.json"}},
		"google":           {"GOOGLE_API_USERNAME": "stranger@example.com"},
		"jamf":             {"JAMF_API_PASSWORD": "wrong-jamf-password"},
		"landesk":          {"LANDESK_SQL_PASSWORD": "wrong-landesk-password"},
	}
	kinds := map[string]fleet.Kind{"jamf": fleet.Mac, "landesk": fleet.Windows, "google": fleet.Android, "file": fleet.Linux}
	for _, name := range builtin.Names() {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			if p, ok := builtin.Plugin(name); ok && delivers(t, p) {
				return // a sink, which keeps the contract of sinks: see sinks/sinktest
			}
			c, err := company.Start(company.Options{Fleet: f, Dir: t.TempDir()})
			if err != nil {
				t.Fatal(err)
			}
			t.Cleanup(c.Close)
			p, ok := builtin.Plugin(name)
			if !ok {
				t.Fatalf("no plugin %s", name)
			}
			failing := maps.Clone(c.Plugins[name])
			maps.Copy(failing, wrong[name])
			tc := sdktest.Case{Settings: c.Plugins[name], Email: f.Person(0).Email, Failing: []map[string]any{failing}, Stall: stall(c, name)}
			if kind, found := kinds[name]; found {
				d := f.Devices(f.Person(0), kind)[0]
				tc.Serial, tc.MAC = d.Serial, device.MAC(d.MACs[0])
			}
			sdktest.Conformance(t, p, tc)
		})
	}
}

func delivers(t *testing.T, p sdk.Plugin) bool {
	t.Helper()
	d, err := p.Describe()
	if err != nil {
		t.Fatal(err)
	}
	return d.Has(sdk.CapDeliver)
}

// stall makes a vendor stop answering.
func stall(c *company.Company, plugin string) func() (resume func()) {
	switch plugin {
	case "file", "duo": // a file does not stall; Duo's answers come from the local store
		return nil
	case "landesk":
		return func() func() {
			c.Landesk.Faults.Add(tds.Fault{Hang: true})
			return c.Landesk.Faults.Clear
		}
	default:
		return func() func() {
			c.Faults(plugin).Add(simhttp.Fault{Hang: true})
			return c.Faults(plugin).Clear
		}
	}
}
