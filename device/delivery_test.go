package device_test

import (
	"context"
	"errors"
	"testing"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
)

func TestRefused(t *testing.T) {
	t.Parallel()
	never := map[fault.Kind]bool{fault.Invalid: true, fault.Conflict: true, fault.NotFound: true, fault.BadResponse: true}
	for _, k := range fault.Kinds() {
		if got := device.Refused(fault.New(k, "x")); got != never[k] {
			t.Errorf("%s: %t", k, got)
		}
	}
	if device.Refused(nil) || device.Refused(errors.New("anything")) || device.Refused(fault.New(fault.BadResponse, "%w", context.Canceled)) {
		t.Error("nil, unclassified and called-off errors must be tried again")
	}
}
