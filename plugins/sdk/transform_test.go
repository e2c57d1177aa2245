package sdk_test

import (
	"context"
	"testing"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/plugins/sdk"
	"github.com/postureproject/posture/plugins/sdk/sdktest"
)

// slowTransform never ends by itself.
type slowTransform struct{}

func (slowTransform) TransformDevices(ctx context.Context, _ []device.Device) ([]device.Device, error) {
	return nil, unbounded(ctx)
}

func (slowTransform) TransformEvents(ctx context.Context, _ []device.Event) ([]device.Event, error) {
	return nil, unbounded(ctx)
}

func unbounded(ctx context.Context) error {
	if _, ok := ctx.Deadline(); ok {
		return fault.New(fault.Timeout, "would have ended in time")
	}
	return fault.New(fault.Internal, "has no time limit")
}

func TestTransformsAreBounded(t *testing.T) {
	t.Parallel()
	client := sdktest.Open(t, sdk.Definition[struct{}, slowTransform]{
		Name: "slow", New: func(context.Context, struct{}, sdk.Env) (slowTransform, error) { return slowTransform{}, nil },
	}, nil)
	// The caller's own context has no deadline.
	ctx := context.WithoutCancel(t.Context())
	if _, err := client.TransformDevices(ctx, []device.Device{{Name: "a"}}); fault.KindOf(err) != fault.Timeout {
		t.Errorf("devices: %v", err)
	}
	if _, err := client.TransformEvents(ctx, []device.Event{{Type: "a"}}); fault.KindOf(err) != fault.Timeout {
		t.Errorf("events: %v", err)
	}
}
