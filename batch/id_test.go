package batch_test

import (
	"testing"
	"time"

	"github.com/postureproject/posture/batch"
)

func TestValidID(t *testing.T) {
	t.Parallel()
	for id, want := range map[string]bool{
		batch.NewID(time.Now()):        true,
		"20260301T020000.000-1f2e3d4c": true,
		"20261301T020000.000-1f2e3d4c": false,
		"20260301T020000.000-1f2e3d4g": false,
		"20260301T020000.000 1f2e3d4c": false,
		"20260301T020000.000-1f2e3d4":  false,
		"":                             false,
		"'; DROP TABLE batch_runs; --": false,
	} {
		if batch.ValidID(id) != want {
			t.Errorf("%q: %v, want %v", id, !want, want)
		}
	}
}
