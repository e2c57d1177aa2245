// Package atlas counts failures in Atlas, or in whatever takes its points over
// HTTP: one COUNTER point per failure. It imports the plugin SDK and the packages
// of Posture's records.
package atlas

import (
	"context"
	"encoding/json"
	"strings"
	"time"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/plugins/sdk"
	"github.com/postureproject/posture/sinks/post"
)

// Name is the sink's name in a configuration.
const Name = "atlas"

// Config configures the sink.
type Config struct {
	post.Settings
}

// Sink posts points.
type Sink struct{ client *post.Client }

// Plugin describes the sink.
func Plugin() sdk.Plugin {
	return sdk.Definition[Config, *Sink]{
		Name: Name, Version: "1.0.0", Summary: "Counts failed requests in Atlas, one point each",
		Accepts: []string{device.DeliverFailure},
		New: func(_ context.Context, c Config, env sdk.Env) (*Sink, error) {
			client, err := post.New(Name, c.Settings, env)
			return &Sink{client: client}, err
		},
	}
}

// Deliver implements [sdk.Deliverer].
func (s *Sink) Deliver(ctx context.Context, deliveries []device.Delivery) []error {
	return s.client.Each(ctx, deliveries, point)
}

// TestConnectivity implements [sdk.ConnectivityTester].
func (s *Sink) TestConnectivity(ctx context.Context) (string, error) {
	return s.client.TestConnectivity(ctx)
}

// counter is one point.
type counter struct {
	Timestamp int64             `json:"timestamp"` // milliseconds since 1970
	Type      string            `json:"type"`
	Name      string            `json:"name"`
	Tags      map[string]string `json:"tags"`
	Value     int               `json:"value"`
}

// failure is what a delivery says.
type failure struct {
	Name      string `json:"name"`
	Kind      string `json:"kind"`
	Plugin    string `json:"plugin"`
	Namespace string `json:"namespace"`
	Method    string `json:"method"`
	Route     string `json:"route"`
}

// point makes the point of a failure.
func point(d device.Delivery) ([]byte, error) {
	if d.Kind != device.DeliverFailure {
		return nil, fault.InvalidField("kind", d.Kind, "is not for this sink", "")
	}
	var f failure
	if err := json.Unmarshal(d.Body, &f); err != nil {
		return nil, fault.New(fault.Invalid, "the document tells of no failure: %w", err)
	}
	if f.Name == "" || f.Kind == "" {
		return nil, fault.New(fault.Invalid, "the document names no counter or no kind")
	}
	at := d.At
	if at.IsZero() {
		at = time.Now()
	}
	tags := make(map[string]string)
	for key, value := range map[string]string{"kind": f.Kind, "plugin": f.Plugin, "namespace": f.Namespace, "method": f.Method, "route": f.Route} {
		if value != "" {
			tags[key] = legal(value)
		}
	}
	return json.Marshal(counter{Timestamp: at.UnixMilli(), Type: "COUNTER", Name: legal(f.Name), Tags: tags, Value: 1})
}

// maxTag is how long a name or a tag's value may be, in characters.
const maxTag = 120

// legal makes a text a plain name, which no store of metrics refuses or reads
// otherwise: letters, digits and . _ - stay, everything else becomes an underscore.
func legal(text string) string {
	text = strings.Map(func(r rune) rune {
		switch {
		case r >= 'a' && r <= 'z', r >= 'A' && r <= 'Z', r >= '0' && r <= '9', r == '.', r == '-', r == '_':
			return r
		default:
			return '_'
		}
	}, text)
	return text[:min(len(text), maxTag)]
}
