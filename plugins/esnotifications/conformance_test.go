package esnotifications_test

import (
	"testing"

	"github.com/postureproject/posture/internal/simulator/elastic"
	"github.com/postureproject/posture/internal/simulator/simhttp"
	"github.com/postureproject/posture/plugins/esnotifications"
	"github.com/postureproject/posture/plugins/sdk/sdktest"
)

func TestConformance(t *testing.T) {
	t.Parallel()
	const password, wrong = "correct horse battery", "wrong horse battery"
	c := newCluster(t, elastic.Options{Username: "elastic", Password: password})
	as := func(password, host string) map[string]any {
		return c.settings(map[string]any{"ELASTICSEARCH_USERNAME": "elastic", "ELASTICSEARCH_PASSWORD": password, "ELASTICSEARCH_HOSTS": host})
	}
	sdktest.Conformance(t, esnotifications.Plugin(), sdktest.Case{
		Settings: as(password, c.url), Email: ada,
		Failing: []map[string]any{as(wrong, c.url), as(password, refusing(t)), as(password, "http://elastic:"+password+"@es")},
		Stall: func() func() {
			c.Faults.Add(simhttp.Fault{Hang: true})
			return c.Faults.Clear
		},
	})
}
