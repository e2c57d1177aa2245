package post

import (
	"context"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/plugins/sdk"
)

// Config configures a [Sink].
type Config struct {
	Settings
}

// Sink posts documents of one kind.
type Sink struct {
	*Client

	kind   string
	encode func(device.Delivery) ([]byte, error)
}

// Plugin describes a sink that posts documents of one kind, as encode makes them;
// what encode refuses is never sent.
func Plugin(name, summary, kind string, encode func(device.Delivery) ([]byte, error)) sdk.Plugin {
	return PluginOf(name, summary, kind, encode, func(s *Sink) *Sink { return s })
}

// PluginOf is [Plugin] for a sink that can do more: extend makes it of what posts.
func PluginOf[S sdk.Deliverer](name, summary, kind string, encode func(device.Delivery) ([]byte, error), extend func(*Sink) S) sdk.Plugin {
	return sdk.Definition[Config, S]{
		Name: name, Version: "1.0.0", Summary: summary, Accepts: []string{kind},
		New: func(_ context.Context, c Config, env sdk.Env) (sink S, err error) {
			client, err := New(name, c.Settings, env)
			if err != nil {
				return sink, err
			}
			return extend(&Sink{Client: client, kind: kind, encode: encode}), nil
		},
	}
}

// Deliver implements [sdk.Deliverer].
func (s *Sink) Deliver(ctx context.Context, deliveries []device.Delivery) []error {
	return s.Each(ctx, deliveries, func(d device.Delivery) ([]byte, error) {
		if d.Kind != s.kind {
			return nil, fault.InvalidField("kind", d.Kind, "is not for this sink", "")
		}
		return s.encode(d)
	})
}
