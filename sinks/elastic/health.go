package elastic

import (
	"context"
	"net/http"
	"net/url"

	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/plugins/sdk"
	"github.com/postureproject/posture/plugins/sdk/upstream"
)

// health asks an address whether the other side is well. A nil one asks nobody.
type health struct {
	upstream *upstream.Client
	address  string
}

// newHealth takes the address of HEALTHCHECK_URL, which may be empty.
func newHealth(name, address string, s upstream.Settings, env sdk.Env) (*health, error) {
	if address == "" {
		return nil, nil
	}
	client, err := upstream.New(upstream.Options{Source: name, Timeout: env.Timeout, Concurrency: 1, Settings: s, MaxBody: 1 << 20, Logger: env.Logger})
	if err != nil {
		return nil, err
	}
	return &health{upstream: client, address: address}, nil
}

// ask fails unless the answer is 2xx.
func (h *health) ask(ctx context.Context) error {
	if h == nil {
		return nil
	}
	const op = "ask HEALTHCHECK_URL"
	req, err := http.NewRequestWithContext(ctx, http.MethodGet, h.address, nil)
	if err != nil {
		return h.upstream.Classify(err, op, "")
	}
	req.Close = true // nothing else will be asked
	_, _, err = h.upstream.Do(req, op, "")
	return err
}

// checkHealthURL adds a malformed HEALTHCHECK_URL to the fields of invalid. It
// shows no address, as tokens live there.
func checkHealthURL(address string, invalid *fault.Error) {
	if address == "" {
		return
	}
	u, err := url.Parse(address)
	if err != nil || u.Hostname() == "" || u.Scheme != "http" && u.Scheme != "https" {
		invalid.Fields = append(invalid.Fields, fault.Field{
			Name: "HEALTHCHECK_URL", Reason: "is not an address", Remedy: "write it as https://es.example.com/health",
		})
	}
}
