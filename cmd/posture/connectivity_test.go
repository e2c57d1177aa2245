package main

import (
	"strings"
	"testing"
)

func TestConnectivity_withoutProcesses(t *testing.T) {
	t.Parallel()
	const transforms = "plugins:\n  re_filter:\n    PATTERN_MAP: {model: Virtual}\n  vpn_labeler:\n    VPN_CIDRS: [192.0.2.0/24]\n"
	for name, tt := range map[string]struct {
		configuration string
		args          []string
		status        int
		want          []string
	}{
		"no plugins":              {"default_timeout: 5s\n", nil, exitUsage, []string{"no plugin is configured"}},
		"plugins without a test":  {transforms, nil, exitOK, []string{"re_filter", "vpn_labeler", "has no test"}},
		"one by name":             {transforms, []string{"--plugins", "re_filter"}, exitOK, []string{"re_filter"}},
		"two in the seed's form":  {transforms, []string{"--plugins", "re_filter", "vpn_labeler"}, exitOK, []string{"re_filter", "vpn_labeler"}},
		"by namespace":            {transforms, []string{"--namespaces", "transforms.events", "--json"}, exitOK, []string{`"vpn_labeler"`, `"no_test"`}},
		"nobody in the namespace": {transforms, []string{"--namespaces", "feedback"}, exitUsage, []string{"no configured plugin"}},
		"an unknown namespace":    {transforms, []string{"--namespaces", "nope"}, exitUsage, []string{"is no namespace"}},
		"an unknown plugin":       {transforms, []string{"--plugins", "nope"}, exitUsage, []string{"is not configured"}},
		"a word of no option":     {transforms, []string{"nope"}, exitUsage, []string{"belongs to no option"}},
	} {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			status, stdout, stderr := posture(t, tt.configuration, append([]string{"connectivity"}, tt.args...)...)
			if status != tt.status {
				t.Errorf("status %d, want %d", status, tt.status)
			}
			for _, want := range tt.want {
				if !strings.Contains(stdout+stderr, want) {
					t.Errorf("said %q and %q, want %q", stdout, stderr, want)
				}
			}
		})
	}
}
