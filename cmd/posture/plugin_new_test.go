package main

import "testing"

func TestReleased(t *testing.T) {
	t.Parallel()
	for version, want := range map[string]string{
		"v1.2.3": "v1.2.3", "1.2.3": "v1.2.3", "v2.0.0-rc.1": "v2.0.0-rc.1", // published ones
		"dev": "", "": "", "5d51b3d": "", "5d51b3d-dirty": "", "v1.2.3-4-g5d51b3d": "", "v1.2.3-dirty": "", "v1.2.3-4-g5d51b3d-dirty": "",
	} {
		if got := released(version); got != want {
			t.Errorf("released(%q) is %q, want %q", version, got, want)
		}
	}
}
