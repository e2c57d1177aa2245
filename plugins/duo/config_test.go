package duo_test

import (
	"encoding/json"
	"strings"
	"testing"
	"time"

	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/plugins/duo"
	"github.com/postureproject/posture/plugins/sdk"
	"github.com/postureproject/posture/plugins/sdk/sdktest"
)

func TestConfiguration(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		change map[string]any
		part   string
	}{
		"no integration key":   {map[string]any{"DUO_INTEGRATION_KEY": ""}, "DUO_INTEGRATION_KEY"},
		"no secret key":        {map[string]any{"DUO_SECRET_KEY": ""}, "DUO_SECRET_KEY"},
		"no host":              {map[string]any{"DUO_API_HOSTNAME": ""}, "DUO_API_HOSTNAME"},
		"host with a path":     {map[string]any{"DUO_API_HOSTNAME": "https://h.example.com/admin"}, "path"},
		"host with a user":     {map[string]any{"DUO_API_HOSTNAME": "https://u:pa55@h.example.com"}, "user"},
		"host name too long":   {map[string]any{"DUO_API_HOSTNAME": strings.Repeat("a.", 150) + "example.com"}, "not a host name"},
		"other scheme":         {map[string]any{"DUO_API_HOSTNAME": "ftp://h.example.com"}, "not a host name"},
		"first pull too long":  {map[string]any{"DUO_FIRST_PULL": "4321h"}, "180 days"},
		"first pull too short": {map[string]any{"DUO_FIRST_PULL": 0}, "DUO_FIRST_PULL"},
		"kept too short":       {map[string]any{"DUO_RETENTION": "1h"}, "DUO_RETENTION"},
		"interval too short":   {map[string]any{"DUO_PULL_INTERVAL": "10ms"}, "DUO_PULL_INTERVAL"},
		"not a duration":       {map[string]any{"DUO_PULL_INTERVAL": "often"}, "duration"},
		"no such file":         {map[string]any{"CA_FILE": "/nowhere.pem"}, "CA_FILE"},
	}
	for name, tt := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			settings := map[string]any{"DUO_INTEGRATION_KEY": integrationKey, "DUO_SECRET_KEY": secret, "DUO_API_HOSTNAME": "127.0.0.1:1"}
			for k, v := range tt.change {
				settings[k] = v
			}
			text, err := json.Marshal(settings)
			if err != nil {
				t.Fatal(err)
			}
			err = sdktest.Dial(t, duo.Plugin()).Configure(t.Context(), sdk.Configuration{Config: text, Timeout: time.Second, Concurrency: 1})
			checkError(t, err, fault.Invalid, tt.part)
			if strings.Contains(err.Error(), "pa55") {
				t.Errorf("the address's password shows in %v", err)
			}
		})
	}
}

func TestAddress(t *testing.T) {
	t.Parallel()
	tests := map[string]struct {
		url, log string
		isDuo    bool
	}{
		"api-XXX.duosecurity.com":          {"https://api-xxx.duosecurity.com", "api-xxx.duosecurity.com", true},
		" https://api-1.duofederal.com/ ":  {"https://api-1.duofederal.com", "api-1.duofederal.com", true},
		"http://api-1.duosecurity.com":     {"http://api-1.duosecurity.com", "api-1.duosecurity.com", false},
		"https://evilduosecurity.com":      {"https://evilduosecurity.com", "evilduosecurity.com", false},
		"http://127.0.0.1:8080":            {"http://127.0.0.1:8080", "127.0.0.1:8080", false},
		"proxy.example.com:8443":           {"https://proxy.example.com:8443", "proxy.example.com:8443", false},
		"https://[::1]:8443":               {"https://[::1]:8443", "[::1]:8443", false},
		"api-1.duosecurity.com.evil.com:1": {"https://api-1.duosecurity.com.evil.com:1", "api-1.duosecurity.com.evil.com:1", false},
	}
	for raw, want := range tests {
		url, log, isDuo, err := duo.Address(raw)
		if err != nil || url != want.url || log != want.log || isDuo != want.isDuo {
			t.Errorf("%q gives %q, %q, %v and error %v", raw, url, log, isDuo, err)
		}
		if pins, err := duo.PinsAuthorities(raw); err != nil || pins != want.isDuo {
			t.Errorf("%q trusts Duo's authorities only: %v, error %v", raw, pins, err)
		}
	}
}

func TestWaits(t *testing.T) {
	t.Parallel()
	limited := &fault.Error{Kind: fault.RateLimited}
	tests := map[string]struct {
		err      error
		failures int
		low      time.Duration
		high     time.Duration
	}{
		"success":                      {nil, 0, 2 * time.Minute, 2 * time.Minute},
		"limited":                      {limited, 1, 7 * time.Second, 15 * time.Second},
		"limited again":                {limited, 3, 30 * time.Second, time.Minute},
		"limited for long":             {limited, 50, 150 * time.Second, 5 * time.Minute},
		"told to wait":                 {&fault.Error{Kind: fault.RateLimited, RetryAfter: 9 * time.Minute}, 1, 9 * time.Minute, 9 * time.Minute},
		"told to wait for ever":        {&fault.Error{Kind: fault.RateLimited, RetryAfter: 1000 * time.Hour}, 1, time.Hour, time.Hour},
		"unreachable":                  {&fault.Error{Kind: fault.Unavailable}, 1, 500 * time.Millisecond, time.Second},
		"unreachable, told to wait":    {&fault.Error{Kind: fault.Unavailable, RetryAfter: time.Minute}, 1, time.Minute, time.Minute},
		"no answer again":              {&fault.Error{Kind: fault.Timeout}, 4, 4 * time.Second, 8 * time.Second},
		"refused: not before its time": {&fault.Error{Kind: fault.Unauthenticated}, 1, 2 * time.Minute, 2 * time.Minute},
	}
	for name, tt := range tests {
		for range 20 {
			if got := duo.Waits(tt.err, tt.failures, 2*time.Minute); got < tt.low || got > tt.high {
				t.Errorf("%s: waits %v, want %v to %v", name, got, tt.low, tt.high)
			}
		}
	}
}
