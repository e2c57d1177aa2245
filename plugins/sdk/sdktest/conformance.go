package sdktest

import (
	"context"
	"encoding/json"
	"log/slog"
	"testing"
	"time"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/plugins/sdk"
)

// Case tells [Conformance] how to set a plugin up and what its source knows.
type Case struct {
	// Settings are a whole and valid configuration.
	Settings map[string]any
	// Email is a person about whom every look-up by e-mail that the plugin offers
	// has something.
	Email string
	// UnknownEmail is nobody's; one is made up when it is empty.
	UnknownEmail string
	// Serial and MAC belong to devices that the plugin finds by them. Each is
	// needed if the plugin offers the look-up.
	Serial string
	MAC    device.MAC
	// ListSame says that the listing gives the very records that look-ups give;
	// otherwise it is enough that it gives the same devices.
	ListSame bool
	// Failing are further configurations with which something must fail: wrong
	// credentials, nobody listening. No secret of theirs may show.
	Failing []map[string]any
	// Stall makes the source stop answering until resume is called. Sources that
	// cannot stall leave it out.
	Stall func() (resume func())
	// Options set the plugin up otherwise than [Open] does.
	Options []Option
}

// promptly is how long a call may take to notice that it was called off.
const promptly = 3 * time.Second

// suite is one run of the checks.
type suite struct {
	Case

	plugin sdk.Plugin
	about  sdk.Description
}

// Conformance checks what holds for every plugin that finds records: that its
// description is consistent, its configuration strict, unknown people an empty
// answer and no failure, records sane and as described, calls safe side by side
// and soon over when called off, the listing complete, and secrets kept.
// A plugin's own tests check the rest: what its records should say.
func Conformance(t *testing.T, p sdk.Plugin, c Case) {
	t.Helper()
	about, err := p.Describe()
	if err != nil {
		t.Fatalf("describe: %v", err)
	}
	if c.UnknownEmail == "" {
		c.UnknownEmail = "nobody.at.all@unknown.invalid"
	}
	s := &suite{Case: c, plugin: p, about: about}
	t.Run("description", s.description)
	t.Run("configuration", s.configuration)
	t.Run("connectivity", s.connectivity)
	t.Run("known", s.known)
	t.Run("unknown", s.unknown)
	t.Run("records", s.records)
	t.Run("side by side", s.sideBySide)
	t.Run("called off", s.calledOff)
	t.Run("listing", s.listing)
	t.Run("secrets", s.secrets)
}

func (s *suite) open(t *testing.T) *sdk.Client {
	t.Helper()
	return Open(t, s.plugin, s.Settings, s.Options...)
}

// instance makes the plugin's instance itself, for what the protocol hides.
func (s *suite) instance(t *testing.T) any {
	t.Helper()
	cfg := configuration(t, s.Settings, s.Options)
	ctx, cancel := context.WithCancel(context.Background())
	instance, err := s.plugin.Open(ctx, cfg.Config, sdk.Env{
		Logger: slog.New(slog.NewTextHandler(t.Output(), nil)), Timeout: cfg.Timeout, Concurrency: cfg.Concurrency, Debug: cfg.Debug, StateDir: cfg.StateDir,
		Journal: cfg.journal,
	})
	if err != nil {
		cancel()
		t.Fatalf("open: %v", err)
	}
	t.Cleanup(func() {
		cancel()
		switch c := instance.(type) {
		case interface{ Close() error }:
			if err := c.Close(); err != nil {
				t.Errorf("close: %v", err)
			}
		case interface{ Close() }:
			c.Close()
		}
	})
	return instance
}

// answer is what one call gave: the records as JSON, and how many.
type answer struct {
	records int
	text    string
}

func answerOf[T any](records []T, err error) (answer, error) {
	text, marshalErr := json.Marshal(records)
	if marshalErr != nil {
		return answer{}, marshalErr
	}
	return answer{records: len(records), text: string(text)}, err
}

// call is one of the look-ups.
type call struct {
	name string
	do   func(context.Context) (answer, error)
}

// lookUps gives the look-ups that the plugin offers, about given keys.
func (s *suite) lookUps(c *sdk.Client, email, serial string, mac device.MAC) []call {
	var calls []call
	add := func(capability sdk.Capability, do func(context.Context) (answer, error)) {
		if s.about.Has(capability) {
			calls = append(calls, call{name: string(capability), do: do})
		}
	}
	add(sdk.CapDevicesByEmail, func(ctx context.Context) (answer, error) { return answerOf(c.DevicesByEmail(ctx, email)) })
	add(sdk.CapDevicesBySerial, func(ctx context.Context) (answer, error) {
		return answerOf(c.DevicesByKeys(ctx, []string{serial}, nil))
	})
	add(sdk.CapDevicesByMAC, func(ctx context.Context) (answer, error) {
		return answerOf(c.DevicesByKeys(ctx, nil, []device.MAC{mac}))
	})
	add(sdk.CapEvents, func(ctx context.Context) (answer, error) { return answerOf(c.EventsByEmail(ctx, email)) })
	add(sdk.CapAccounts, func(ctx context.Context) (answer, error) { return answerOf(c.AccountsByEmail(ctx, email)) })
	add(sdk.CapNotifications, func(ctx context.Context) (answer, error) { return answerOf(c.NotificationsByEmail(ctx, email)) })
	return calls
}

func (s *suite) connectivity(t *testing.T) {
	if !s.about.Has(sdk.CapTestConnectivity) {
		return
	}
	detail, err := s.open(t).TestConnectivity(t.Context())
	if err != nil {
		t.Errorf("connectivity test: %v", err)
	} else if detail == "" {
		t.Error("the connectivity test does not say what was reached")
	}
}

func (s *suite) known(t *testing.T) {
	if s.about.Has(sdk.CapDevicesBySerial) && s.Serial == "" || s.about.Has(sdk.CapDevicesByMAC) && s.MAC == "" {
		t.Fatal("the case gives no serial or no MAC, but the plugin finds devices by it")
	}
	for _, c := range s.lookUps(s.open(t), s.Email, s.Serial, s.MAC) {
		got, err := c.do(t.Context())
		if err != nil {
			t.Errorf("%s: %v", c.name, err)
		}
		if got.records == 0 {
			t.Errorf("%s finds nothing about %s, %s, %s", c.name, s.Email, s.Serial, s.MAC)
		}
	}
}

// unknown looks for what does not exist, in ordinary and in hostile words.
func (s *suite) unknown(t *testing.T) {
	client := s.open(t)
	for _, key := range []struct{ email, serial string }{
		{s.UnknownEmail, "ZZUNKNOWN00"},
		{`../..//%2e%2e/?a=b&c="'*<>#;--@unknown.invalid`, `../?a=b&c="%00'*<>#;--`},
		{"ünïcode\u202e@unknown.invalid", "ünïcode"},
	} {
		for _, c := range s.lookUps(client, key.email, key.serial, "A0:36:9F:FF:FF:FE") {
			got, err := c.do(t.Context())
			if got.records > 0 {
				t.Errorf("%s about %q, %q finds %s", c.name, key.email, key.serial, got.text)
			}
			if err != nil && (key.email == s.UnknownEmail || fault.KindOf(err) != fault.Invalid) {
				t.Errorf("%s about %q, %q fails: %v", c.name, key.email, key.serial, err)
			}
		}
	}
}
