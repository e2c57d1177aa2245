package sdk_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/plugins/sdk/sdktest"
)

func someDeliveries(n int) []device.Delivery {
	out := make([]device.Delivery, n)
	for i := range out {
		out[i] = device.Delivery{
			ID: fmt.Sprintf("id-%d", i), Kind: device.DeliverDevice, Key: fmt.Sprintf("key-%d", i%3),
			At: time.Date(2026, 11, 3, 4, 5, 6, i, time.UTC), Body: json.RawMessage(fmt.Sprintf(`{"n":%d}`, i)),
		}
	}
	return out
}

func TestDeliver_unchangedAndInOrder(t *testing.T) {
	t.Parallel()
	want := someDeliveries(7)
	var got []device.Delivery
	client := open(t, &fake{deliver: func(_ context.Context, d []device.Delivery) []error { got = d; return nil }})
	errs, err := client.Deliver(t.Context(), want)
	if err != nil {
		t.Fatal(err)
	}
	if diff := cmp.Diff(want, got); diff != "" {
		t.Errorf("(-sent +arrived):\n%s", diff)
	}
	if len(errs) != 7 || errors.Join(errs...) != nil {
		t.Errorf("errors: %v", errs)
	}
	if errs, err := client.Deliver(t.Context(), nil); errs != nil || err != nil {
		t.Errorf("nothing delivered: %v, %v", errs, err)
	}
}

func TestDeliver_oneErrorEach(t *testing.T) {
	t.Parallel()
	sent := make([]error, 0, len(fault.Kinds())+3)
	for _, k := range fault.Kinds() {
		sent = append(sent, &fault.Error{Kind: k, Message: "no", Remedy: "do this", RetryAfter: time.Duration(k) * time.Second})
	}
	sent = append(sent, nil, context.Canceled, context.DeadlineExceeded)
	client := open(t, &fake{deliver: func(context.Context, []device.Delivery) []error { return sent }})
	errs, err := client.Deliver(t.Context(), someDeliveries(len(sent)))
	if err != nil || len(errs) != len(sent) {
		t.Fatalf("%d errors, %v", len(errs), err)
	}
	for i, k := range fault.Kinds() {
		e := (*fault.Error)(nil)
		if !errors.As(errs[i], &e) || e.Kind != k || e.Message != "no" || e.Remedy != "do this" ||
			e.RetryAfter != time.Duration(k)*time.Second || e.Source != "fake" || e.Subject != fmt.Sprintf("id-%d", i) {
			t.Errorf("%s: %#v", k, errs[i])
		}
	}
	rest := errs[len(fault.Kinds()):]
	if rest[0] != nil || fault.KindOf(rest[1]) != fault.Unavailable || fault.KindOf(rest[2]) != fault.Timeout {
		t.Errorf("accepted, called off, too late: %v", rest)
	}
}

// A sink that cannot count must not make the host believe that anything arrived.
func TestDeliver_wrongNumberOfResults(t *testing.T) {
	t.Parallel()
	for _, n := range []int{1, 2, 4} {
		client := open(t, &fake{deliver: func(context.Context, []device.Delivery) []error { return make([]error, n) }})
		if errs, err := client.Deliver(t.Context(), someDeliveries(3)); fault.KindOf(err) != fault.Internal || errs != nil {
			t.Errorf("%d results for 3: %v, %v", n, errs, err)
		}
	}
}

func TestDeliver_limitAndPanic(t *testing.T) {
	t.Parallel()
	slow := sdktest.Open(t, plugin(&fake{deliver: func(ctx context.Context, d []device.Delivery) []error {
		<-ctx.Done()
		errs := make([]error, len(d))
		for i := range errs {
			errs[i] = ctx.Err()
		}
		return errs
	}}), nil, sdktest.WithTimeout(20*time.Millisecond))
	errs, err := slow.Deliver(t.Context(), someDeliveries(1))
	if err != nil || fault.KindOf(errs[0]) != fault.Timeout {
		t.Errorf("%v, %v", errs, err)
	}
	odd := open(t, &fake{deliver: func(context.Context, []device.Delivery) []error { panic("odd document") }})
	if _, err := odd.Deliver(t.Context(), someDeliveries(1)); fault.KindOf(err) != fault.Internal {
		t.Errorf("%v", err)
	}
}
