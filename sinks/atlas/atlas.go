// Package atlas counts failures in Atlas, or in whatever takes its points over
// HTTP: one COUNTER point per failure. It imports the plugin SDK and the packages
// of Posture's records.
package atlas

import (
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

// Plugin describes the sink.
func Plugin() sdk.Plugin {
	return post.Plugin(Name, "Counts failed requests in Atlas, one point each", device.DeliverFailure, point)
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
