// Package google reads phones, tablets and Chromebooks, log-in events and
// account facts from Google Workspace: the Directory and Reports parts of the
// Admin SDK. It acts as a service account with domain-wide delegation, in the
// name of an administrator.
//
// Every answer is decoded here, entry by entry and field by field, instead of
// into the library's types as a whole: those cannot tell an absent field from
// one that is false, drop fields that the service sends, and lose a whole page
// over one odd field.
//
// Google documents no search by MAC address, so none is offered.
package google

import (
	"context"
	"log/slog"
	"net/http"
	"sync/atomic"
	"time"

	"github.com/postureproject/posture/plugins/sdk"
	"github.com/postureproject/posture/plugins/sdk/upstream"
)

// Name and Version identify the plugin.
const (
	Name    = "google"
	Version = "1.0.0"
)

const defaultEndpoint = "https://admin.googleapis.com"

// config is what stands under the plugin's name in the configuration.
type config struct {
	Secrets  sdk.SecretJSON `json:"GOOGLE_API_SECRETS" required:"true" doc:"Key file of the service account, as Google's console gives it: an object, or text that holds one"`
	Username string         `json:"GOOGLE_API_USERNAME" required:"true" doc:"Address of the administrator in whose name the service account acts" example:"posture@example.com"`
	Scopes   sdk.Strings    `json:"GOOGLE_API_SCOPES" doc:"Scopes to ask for; what they do not allow is not read" default:"[\"https://www.googleapis.com/auth/admin.directory.device.chromeos.readonly\",\"https://www.googleapis.com/auth/admin.directory.device.mobile.readonly\",\"https://www.googleapis.com/auth/admin.directory.user.readonly\",\"https://www.googleapis.com/auth/admin.reports.audit.readonly\",\"https://www.googleapis.com/auth/admin.reports.usage.readonly\"]"`
	Endpoint string         `json:"GOOGLE_API_ENDPOINT" doc:"Address that replaces https://admin.googleapis.com, for a proxy or a simulator; the token's address is token_uri in GOOGLE_API_SECRETS" example:"http://127.0.0.1:8080"`
	Customer string         `json:"GOOGLE_CUSTOMER" doc:"The customer's unique ID at Google; my_customer is the administrator's own" default:"my_customer"`
	upstream.Settings
}

// Plugin describes the plugin.
func Plugin() sdk.Plugin { return pluginAt(time.Now) }

func pluginAt(now func() time.Time) sdk.Plugin {
	return sdk.Definition[config, *Source]{
		Name: Name, Version: Version,
		Summary:   "Google Workspace: Android, iOS and ChromeOS devices, log-in events, accounts and users",
		Practices: []string{practiceJailed, practiceEncryption, practiceUnknownSources, practiceADB},
		Platforms: []string{platformAndroid, platformIOS, platformChromeOS},
		New: func(ctx context.Context, c config, env sdk.Env) (*Source, error) {
			return newSource(ctx, c, env, now)
		},
	}
}

// Source reads from one Google Workspace. It is safe for concurrent use; Close
// it when done.
type Source struct {
	up       *upstream.Client // classifies errors
	client   *http.Client     // retries and carries the token
	tokens   *tokenCache
	exchange *exchange
	endpoint string
	customer string
	subject  string
	scopes   []string
	limit    int // requests that one look-up makes at once
	debug    bool
	log      *slog.Logger
	now      func() time.Time
	newest   atomic.Pointer[newestReport]
	hangUp   func() // closes idle connections
}

func newSource(ctx context.Context, c config, env sdk.Env, now func() time.Time) (*Source, error) {
	if err := c.validate(); err != nil {
		return nil, err
	}
	hangUp := func() {}
	up, err := upstream.New(upstream.Options{
		Source: Name, Timeout: env.Timeout, Concurrency: env.Concurrency, Settings: c.Settings, Logger: env.Logger,
		Around: func(network http.RoundTripper) http.RoundTripper {
			if t, ok := network.(interface{ CloseIdleConnections() }); ok {
				hangUp = t.CloseIdleConnections
			}
			return quotaTransport{network}
		},
	})
	if err != nil {
		return nil, err
	}
	exchange, err := newExchange(up, c, env.Timeout)
	if err != nil {
		return nil, err
	}
	tokens := newTokenCache(ctx, func(ctx context.Context) (token, error) { return exchange.fetch(ctx, c.Scopes...) })
	return &Source{
		up: up, tokens: tokens, exchange: exchange,
		client: &http.Client{
			Transport:     &tokenTransport{tokens: tokens, base: up.HTTPClient().Transport},
			CheckRedirect: stay,
			Timeout:       env.Timeout,
		},
		endpoint: c.base(), customer: c.Customer, subject: c.Username, scopes: c.Scopes,
		limit: max(1, env.Concurrency), debug: env.Debug, log: env.Logger, now: now, hangUp: hangUp,
	}, nil
}

// Close ends the work in the background and the connections.
func (s *Source) Close() {
	s.tokens.close()
	s.hangUp()
}
