package google_test

import (
	"regexp"
	"strings"
	"testing"

	"github.com/postureproject/posture/fault"
	simulator "github.com/postureproject/posture/internal/simulator/google"
	"github.com/postureproject/posture/internal/simulator/simhttp"
)

func TestConnectivity(t *testing.T) {
	t.Parallel()
	b := setup(t, simulator.Options{})
	detail, err := b.open(t, nil).TestConnectivity(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	for _, word := range []string{b.sim.Admin(), "mobile devices", "ChromeOS devices", "users", "log-in events", "usage reports"} {
		if !strings.Contains(detail, word) {
			t.Errorf("%q does not name %s", detail, word)
		}
	}
}

func TestConnectivity_namesTheUndelegatedScope(t *testing.T) {
	t.Parallel()
	for i, missing := range simulator.Scopes() {
		delegated := append(append([]string{}, simulator.Scopes()[:i]...), simulator.Scopes()[i+1:]...)
		b := setup(t, simulator.Options{Delegated: delegated})
		_, err := b.open(t, nil).TestConnectivity(t.Context())
		if fault.KindOf(err) != fault.Forbidden {
			t.Errorf("without %s: error %v, want Forbidden", missing, err)
			continue
		}
		for _, text := range []string{err.Error(), fault.RemedyOf(err)} {
			for _, scope := range simulator.Scopes() {
				if strings.Contains(text, scope) != (scope == missing) {
					t.Errorf("without %s: %q", missing, text)
				}
			}
		}
		secretless(t, err.Error())
	}
}

// What the administrator did not ask for is not tried, and said.
func TestConnectivity_fewScopes(t *testing.T) {
	t.Parallel()
	b := setup(t, simulator.Options{})
	client := b.open(t, map[string]any{"GOOGLE_API_SCOPES": "https://www.googleapis.com/auth/admin.directory.device.mobile.readonly"})
	detail, err := client.TestConnectivity(t.Context())
	if err != nil || !strings.Contains(detail, "not asked for: ChromeOS devices (scope https://www.googleapis.com/auth/admin.directory.device.chromeos.readonly") {
		t.Errorf("%q, %v", detail, err)
	}
	if devices, err := client.DevicesByEmail(t.Context(), ada); err != nil || len(devices) != 2 {
		t.Errorf("%d devices, %v; want the two phones", len(devices), err)
	}
	if n := b.sim.Faults.RequestsTo(chromePath); n != 0 {
		t.Errorf("%d requests for ChromeOS devices", n)
	}
	_, err = client.EventsByEmail(t.Context(), ada)
	if fault.KindOf(err) != fault.Forbidden || !strings.Contains(fault.RemedyOf(err), "admin.reports.audit.readonly") {
		t.Errorf("events: error %v, remedy %q", err, fault.RemedyOf(err))
	}
}

func TestConnectivity_everyFailureIsTold(t *testing.T) {
	t.Parallel()
	b := setup(t, simulator.Options{})
	b.sim.Faults.Add(simhttp.Fault{Path: regexp.MustCompile("/users$"), Status: 403})
	b.sim.Faults.Add(simhttp.Fault{Path: regexp.MustCompile("/chromeos$"), Status: 500})
	_, err := b.open(t, nil).TestConnectivity(t.Context())
	if err == nil {
		t.Fatal("no error")
	}
	for _, word := range []string{"read users", "read ChromeOS devices", "403", "500"} {
		if !strings.Contains(err.Error(), word) {
			t.Errorf("%q does not tell %s", err, word)
		}
	}
}

func TestConnectivity_noUsableScope(t *testing.T) {
	t.Parallel()
	b := setup(t, simulator.Options{Delegated: []string{"https://www.googleapis.com/auth/calendar"}})
	client := b.open(t, map[string]any{"GOOGLE_API_SCOPES": []string{"https://www.googleapis.com/auth/calendar"}})
	for _, call := range []func() error{
		func() error { _, err := client.TestConnectivity(t.Context()); return err },
		func() error { _, err := client.DevicesByEmail(t.Context(), ada); return err },
		func() error { _, err := client.AccountsByEmail(t.Context(), ada); return err },
	} {
		if err := call(); fault.KindOf(err) != fault.Forbidden || fault.RemedyOf(err) == "" {
			t.Errorf("error %v, remedy %q", err, fault.RemedyOf(err))
		}
	}
}
