// Package jamf is the source for Macs: it reads computers from Jamf Pro, one
// person's through the Classic API, all of them through the Jamf Pro API's
// inventory where the server has it. What Jamf does not collect by itself comes
// from the extension attributes whose scripts are in jamf_extension_attributes.
//
// It imports plugins/sdk, device and fault of Posture, and nothing else of it.
package jamf

import (
	"context"

	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/plugins/sdk"
	"github.com/postureproject/posture/plugins/sdk/upstream"
)

// Name and Version tell the plugin apart.
const (
	Name    = "jamf"
	Version = "1.0.0"
)

type config struct {
	upstream.Settings

	Username     string      `json:"JAMF_API_USERNAME" doc:"Account of Jamf Pro that may read computers and users; needed unless an API client is given" example:"posture"`
	Password     sdk.Secret  `json:"JAMF_API_PASSWORD" doc:"That account's password"`
	HostAddr     string      `json:"JAMF_API_HOSTADDR" required:"true" doc:"Address of Jamf Pro, with or without JSSResource at its end" example:"https://example.jamfcloud.com/JSSResource"`
	ClientID     string      `json:"JAMF_API_CLIENT_ID" doc:"API client of Jamf Pro (10.49 or newer); preferred to the account when both are given"`
	ClientSecret sdk.Secret  `json:"JAMF_API_CLIENT_SECRET" doc:"That API client's secret"`
	EmailMatch   string      `json:"JAMF_EMAIL_MATCH" default:"local" enum:"local,email" doc:"How a person is found: by user name, which is the address's part before the @ (local), or by full address (email)"`
	EmailDomains sdk.Strings `json:"JAMF_EMAIL_DOMAINS" doc:"Own mail domains: only for these does the part before the @ stand for the person; people of others are found by full address. When empty, computers whose e-mail address in Jamf is another one are left out" example:"[\"example.com\"]"`
}

// Plugin gives the source's definition.
func Plugin() sdk.Plugin {
	return sdk.Definition[config, *Source]{
		Name: Name, Version: Version,
		Summary:   "Macs from Jamf Pro",
		Practices: []string{encryption, uptodate, autoupdate, firewall, screenlock, remotelogin},
		Platforms: []string{"Mac"},
		Software:  true,
		New:       newSource,
	}
}

// Source reads one Jamf Pro. It is safe for concurrent use.
type Source struct {
	env    sdk.Env
	api    *api
	owners owners
}

func newSource(ctx context.Context, c config, env sdk.Env) (*Source, error) {
	base, err := baseURL(c.HostAddr)
	if err != nil {
		return nil, err
	}
	owners, err := newOwners(c.EmailMatch, c.EmailDomains)
	if err != nil {
		return nil, err
	}
	creds := credentials{username: c.Username, password: c.Password, clientID: c.ClientID, clientSecret: c.ClientSecret}
	if err := creds.check(); err != nil {
		return nil, err
	}
	client, err := upstream.New(upstream.Options{
		Source: Name, Timeout: env.Timeout, Concurrency: env.Concurrency, Settings: c.Settings, Logger: env.Logger,
	})
	if err != nil {
		return nil, err
	}
	return &Source{
		env: env, owners: owners,
		api: &api{client: client, base: base, auth: newAuthenticator(ctx, client, base, creds, env.Timeout)},
	}, nil
}

// Close ends a renewal of the credentials that is under way.
func (s *Source) Close() { s.api.auth.close() }

// check wants one whole pair.
func (c credentials) check() error {
	e := &fault.Error{Kind: fault.Invalid, Op: "read configuration"}
	want := func(given bool, name, partner string) {
		if !given {
			e.Fields = append(e.Fields, fault.Field{Name: name, Reason: "is required together with " + partner})
		}
	}
	if c.clientID != "" || c.clientSecret != "" {
		want(c.clientID != "", "JAMF_API_CLIENT_ID", "JAMF_API_CLIENT_SECRET")
		want(c.clientSecret != "", "JAMF_API_CLIENT_SECRET", "JAMF_API_CLIENT_ID")
	}
	if c.username != "" || c.password != "" {
		want(c.username != "", "JAMF_API_USERNAME", "JAMF_API_PASSWORD")
		want(c.password != "", "JAMF_API_PASSWORD", "JAMF_API_USERNAME")
	}
	if c.username == "" && c.password == "" && c.clientID == "" && c.clientSecret == "" {
		e.Fields = append(e.Fields, fault.Field{
			Name: "JAMF_API_USERNAME", Reason: "no credentials are given",
			Remedy: "give JAMF_API_USERNAME and JAMF_API_PASSWORD, or JAMF_API_CLIENT_ID and JAMF_API_CLIENT_SECRET",
		})
	}
	if len(e.Fields) > 0 {
		return e
	}
	return nil
}
