package sdk_test

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/google/go-cmp/cmp"
	"github.com/google/go-cmp/cmp/cmpopts"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
)

// A failure of every kind crosses the border with all that it says.
func TestFailuresCrossTheBorder(t *testing.T) {
	t.Parallel()
	for _, kind := range fault.Kinds() {
		t.Run(kind.String(), func(t *testing.T) {
			t.Parallel()
			sent := &fault.Error{
				Kind: kind, Source: "vendor", Op: "get computer", Subject: "C02", Message: "it broke", Remedy: "mend it", RetryAfter: 90 * time.Second,
				Fields: []fault.Field{{Name: "N", Value: "V", Reason: "R", Remedy: "M"}, {Name: "O", Reason: "S"}}, Err: errors.New("the cause"),
			}
			client := open(t, &fake{connectivity: func(context.Context) (string, error) { return "", sent }})
			_, err := client.TestConnectivity(t.Context())
			want := &fault.Error{
				Kind: kind, Source: "fake", Op: "get computer", Subject: "C02", Message: "it broke: the cause", Remedy: "mend it", RetryAfter: 90 * time.Second,
				Fields: sent.Fields,
			}
			var got *fault.Error
			if !errors.As(err, &got) {
				t.Fatalf("error %v", err)
			}
			if diff := cmp.Diff(want, got); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestFailures(t *testing.T) {
	t.Parallel()
	inner := &fault.Error{Kind: fault.RateLimited, Op: "get page", Subject: "3", Remedy: "wait", RetryAfter: time.Minute}
	tests := map[string]struct {
		sent error
		want fault.Error
	}{
		"unclassified": {errors.New("odd"), fault.Error{Kind: fault.Internal, Op: "devices by e-mail", Subject: "a@x.org", Message: "odd"}},
		"wrapped":      {fmt.Errorf("outer: %w", inner), fault.Error{Kind: fault.RateLimited, Op: "get page", Subject: "3", Remedy: "wait", RetryAfter: time.Minute}},
		"twice classified": {
			fault.Wrap(inner, "list", "all"),
			fault.Error{Kind: fault.RateLimited, Op: "list", Subject: "all", Message: "get page 3", Remedy: "wait", RetryAfter: time.Minute},
		},
		"deadline": {context.DeadlineExceeded, fault.Error{Kind: fault.Timeout, Op: "devices by e-mail", Subject: "a@x.org", Message: "context deadline exceeded"}},
		"joined with what it made stop": {
			errors.Join(fmt.Errorf("page 2: %w", context.Canceled), inner, context.Canceled),
			fault.Error{Kind: fault.RateLimited, Op: "get page", Subject: "3", Remedy: "wait", RetryAfter: time.Minute},
		},
		"called off": {
			fmt.Errorf("x: %w", errors.Join(context.Canceled, &fault.Error{Kind: fault.Unavailable, Err: context.Canceled})),
			fault.Error{Kind: fault.Unavailable, Op: "devices by e-mail", Subject: "a@x.org", Message: "canceled", Err: context.Canceled},
		},
		"not UTF-8": {
			&fault.Error{Kind: fault.BadResponse, Op: "\xff", Message: "odd \xfe", Remedy: "mend \xfd"},
			fault.Error{Kind: fault.BadResponse, Op: "\uFFFD", Subject: "a@x.org", Message: "odd \uFFFD", Remedy: "mend \uFFFD"},
		},
	}
	for name, tc := range tests {
		t.Run(name, func(t *testing.T) {
			t.Parallel()
			client := open(t, &fake{devices: func(context.Context, string) ([]device.Device, error) { return nil, tc.sent }})
			_, err := client.DevicesByEmail(t.Context(), "a@x.org")
			tc.want.Source = "fake"
			var got *fault.Error
			if !errors.As(err, &got) {
				t.Fatalf("error %v", err)
			}
			if diff := cmp.Diff(tc.want, *got, cmpopts.EquateErrors()); diff != "" {
				t.Errorf("(-want +got):\n%s", diff)
			}
		})
	}
}

func TestNotFoundIsAnEmptyAnswer(t *testing.T) {
	t.Parallel()
	missing := fmt.Errorf("x: %w", fault.New(fault.NotFound, "nobody"))
	client := open(t, &fake{
		devices:       func(context.Context, string) ([]device.Device, error) { return nil, missing },
		events:        func(context.Context, string) ([]device.Event, error) { return nil, missing },
		accounts:      func(context.Context, string) ([]device.Account, error) { return nil, missing },
		notifications: func(context.Context, string) ([]device.Notification, error) { return nil, missing },
	})
	_, byEmail := client.DevicesByEmail(t.Context(), "x")
	_, bySerial := client.DevicesByKeys(t.Context(), []string{"x"}, nil)
	_, byMAC := client.DevicesByKeys(t.Context(), nil, []device.MAC{"3C:22:FB:00:00:02"})
	_, events := client.EventsByEmail(t.Context(), "x")
	_, accounts := client.AccountsByEmail(t.Context(), "x")
	_, notifications := client.NotificationsByEmail(t.Context(), "x")
	if err := errors.Join(byEmail, bySerial, byMAC, events, accounts, notifications); err != nil {
		t.Error(err)
	}
}

// A vendor's page of text in an error must not break the answer.
func TestLongFailuresAreCut(t *testing.T) {
	t.Parallel()
	sent := &fault.Error{Kind: fault.Forbidden, Message: strings.Repeat("ä", 1<<20), Remedy: strings.Repeat("b", 1<<20), Op: "op"}
	for range 1000 {
		sent.Fields = append(sent.Fields, fault.Field{Name: "n", Reason: strings.Repeat("c", 1<<10)})
	}
	client := open(t, &fake{devices: func(context.Context, string) ([]device.Device, error) { return []device.Device{{Serial: "1"}}, sent }})
	got, err := client.DevicesByEmail(t.Context(), "x")
	if len(got) != 1 || fault.KindOf(err) != fault.Forbidden || fault.RemedyOf(err) == "" || len(err.Error()) > 64<<10 {
		t.Errorf("%d devices, kind %s, %d bytes", len(got), fault.KindOf(err), len(fmt.Sprint(err)))
	}
}
