// Package bitfit is the source that knows who owns what: bitFit, an inventory
// of assets, attributes serial numbers and MAC addresses to people. It is asked
// first, and what it names is then looked up in the other sources.
//
// bitFit offers a search for people and the assets of a person, but none for a
// serial number or a MAC address, so this source has no look-up by these.
package bitfit

import (
	"context"
	"errors"
	"net/url"
	"strings"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/plugins/sdk"
	"github.com/postureproject/posture/plugins/sdk/upstream"
)

// Name is what the source is called in a configuration.
const Name = "bitfit"

// Version is the plugin's own.
const Version = "1.0.0"

// maxBody bounds one answer, in bytes: a page of a listing, or one asset.
const maxBody = 16 << 20

type config struct {
	Token   sdk.Secret `json:"BITFIT_API_TOKEN" required:"true" doc:"API token from bitFit"`
	BaseURL string     `json:"BITFIT_BASE_URL" required:"true" doc:"Address of bitFit's API" example:"https://api.bitfit.com/"`
	upstream.Settings
}

// Plugin describes the source.
func Plugin() sdk.Plugin {
	return sdk.Definition[config, *Source]{
		Name: Name, Version: Version, Ownership: true,
		Summary: "Tells which devices belong to a person, from a bitFit inventory",
		New:     newSource,
	}
}

// Source asks one bitFit inventory. It is safe for concurrent use.
type Source struct {
	api         *api
	concurrency int
	debug       bool
}

func newSource(_ context.Context, c config, env sdk.Env) (*Source, error) {
	base, err := parseBase(c.BaseURL)
	if err != nil {
		return nil, err
	}
	client, err := upstream.New(upstream.Options{
		Source: Name, Timeout: env.Timeout, Concurrency: env.Concurrency, Settings: c.Settings, MaxBody: maxBody, Logger: env.Logger,
	})
	if err != nil {
		return nil, err
	}
	return &Source{
		api: &api{client: client, base: base, token: c.Token}, concurrency: max(1, env.Concurrency), debug: env.Debug,
	}, nil
}

// Close lets go of idle connections.
func (s *Source) Close() { s.api.client.HTTPClient().CloseIdleConnections() }

// TestConnectivity searches for a person who does not exist, which needs
// everything that a look-up needs and answers little.
func (s *Source) TestConnectivity(ctx context.Context) (string, error) {
	if _, err := s.findUsers(ctx, "connectivity-test@posture.invalid"); err != nil {
		return "", err
	}
	return "searched the people at " + s.api.base.Host, nil
}

// DevicesByEmail gives the assets of the person whose address is email, letter
// case aside. An asset that cannot be read costs only itself: the others are
// returned beside an error that counts it.
func (s *Source) DevicesByEmail(ctx context.Context, email string) ([]device.Device, error) {
	email = strings.TrimSpace(email)
	users, err := s.findUsers(ctx, email)
	if err != nil {
		return nil, err
	}
	ids, err := s.assetsOf(ctx, users)
	if len(ids) == 0 {
		return nil, err
	}
	devices, assetErr := s.fetch(ctx, ids, email)
	return devices, errors.Join(err, assetErr)
}

// findUsers searches for an address. The search matches loosely, so that only
// those people count whose address is exactly that.
func (s *Source) findUsers(ctx context.Context, email string) ([]user, error) {
	var found []user
	err := eachPage(ctx, s.api, listing{path: "users", search: email, op: "search users", subject: email}, readUser, func(page []user) (bool, error) {
		for _, u := range page {
			if u.id != "" && strings.EqualFold(u.email, email) {
				found = append(found, u)
			}
		}
		return len(found) == 0, nil
	})
	return found, err
}

// owned is an asset's number beside its owner's address, as bitFit writes it.
type owned struct {
	id    string
	email string
}

// assetsOf lists the assets of people, once each.
func (s *Source) assetsOf(ctx context.Context, users []user) ([]owned, error) {
	var (
		ids  []owned
		errs []error
		seen = map[string]bool{}
	)
	for _, u := range users {
		l := listing{path: "users/" + url.PathEscape(u.id) + "/assets", op: "list assets of user", subject: u.email, absentIsEmpty: true}
		err := eachPage(ctx, s.api, l, readAsset, func(page []asset) (bool, error) {
			for i := range page {
				if id := page[i].id; id != "" && !seen[id] {
					seen[id] = true
					ids = append(ids, owned{id: id, email: u.email})
				}
			}
			return true, nil
		})
		errs = append(errs, err)
	}
	return ids, errors.Join(errs...)
}

// fetch reads assets side by side and gives them in order, without those that
// have gone since they were listed. subject is whom the error is about.
func (s *Source) fetch(ctx context.Context, ids []owned, subject string) ([]device.Device, error) {
	found := make([]*device.Device, len(ids))
	errs := make([]error, len(ids))
	sdk.Each(len(ids), s.concurrency, func(i int) { found[i], errs[i] = s.asset(ctx, ids[i]) })
	devices := make([]device.Device, 0, len(ids))
	for _, d := range found {
		if d != nil {
			devices = append(devices, *d)
		}
	}
	var failed failures
	for _, err := range errs {
		failed.add(err)
	}
	return devices, failed.err("get assets", subject)
}

// asset reads one asset; nil when there is none with that number.
func (s *Source) asset(ctx context.Context, o owned) (*device.Device, error) {
	r := request{path: "assets/" + url.PathEscape(o.id), op: "get asset", subject: "asset " + o.id}
	body, err := s.api.get(ctx, r)
	if fault.IsNotFound(err) {
		return nil, nil
	}
	if err != nil {
		return nil, err
	}
	a, found, err := readAnswer(body)
	if err != nil {
		return nil, s.api.badDocument(err, r)
	}
	if !found {
		return nil, &fault.Error{
			Kind: fault.BadResponse, Source: Name, Op: r.op, Subject: r.subject, Message: "the answer holds no asset",
			Remedy: "check that BITFIT_BASE_URL is the API's address",
		}
	}
	d := mapAsset(&a, s.api.photoURL, o.email)
	if s.debug {
		d.Raw = s.api.withoutToken(body)
	}
	return &d, nil
}
