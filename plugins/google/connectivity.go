package google

import (
	"context"
	"encoding/json"
	"errors"
	"net/url"
	"slices"
	"strings"

	"golang.org/x/sync/errgroup"

	"github.com/postureproject/posture/fault"
)

// TestConnectivity gets a token and asks one question to each API that the
// configured scopes allow. When Google grants no token for all the scopes
// together, it finds out which of them are refused.
func (s *Source) TestConnectivity(ctx context.Context) (string, error) {
	if _, err := s.tokens.get(ctx); err != nil {
		return "", s.refusedScopes(ctx, err)
	}
	var (
		asked, left []string
		probes      []func() error
	)
	for _, p := range s.probes(ctx) {
		if !s.allowed(p.api) {
			left = append(left, p.api.name+" (scope "+p.api.scopes[0]+" is not in GOOGLE_API_SCOPES)")
			continue
		}
		asked, probes = append(asked, p.api.name), append(probes, p.ask)
	}
	if len(asked) == 0 {
		return "", notAllowed("test connectivity", s.subject, mobileAPI(), chromeAPI(), usersAPI(), activityAPI(), usageAPI())
	}
	failures := make([]error, len(probes))
	var group errgroup.Group
	group.SetLimit(s.limit)
	for i, ask := range probes {
		group.Go(func() error {
			failures[i] = ask()
			return nil // so that every API is tried
		})
	}
	_ = group.Wait()
	if err := together("test connectivity", s.subject, failures...); err != nil {
		return "", err
	}
	detail := "as " + s.subject + ": " + strings.Join(asked, ", ")
	if len(left) > 0 {
		detail += "; not asked for: " + strings.Join(left, ", ")
	}
	return detail, nil
}

// probe is a small question to one API.
type probe struct {
	api api
	ask func() error
}

func (s *Source) probes(ctx context.Context) []probe {
	ask := func(a api, path string, query url.Values) probe {
		return probe{a, func() error {
			var answer json.RawMessage
			return s.get(ctx, request{api: a, op: "read " + a.name, subject: s.subject, path: path, query: query}, &answer)
		}}
	}
	one := func(l listing) probe {
		r := s.request(l, "", "", "")
		r.query.Set("maxResults", "1")
		r.query.Set("projection", "BASIC")
		return ask(l.api, r.path, r.query)
	}
	return []probe{
		one(mobileListing()),
		one(chromeListing()),
		ask(usersAPI(), usersPath, url.Values{"customer": {s.customer}, "maxResults": {"1"}}),
		ask(activityAPI(), activityPath("all"), url.Values{"maxResults": {"1"}}),
		{usageAPI(), func() error {
			_, err := s.AccountsByEmail(ctx, s.subject)
			return err
		}},
	}
}

// refusedScopes asks for a token for each scope alone, when one for all of them
// was forbidden, and names those that are refused.
func (s *Source) refusedScopes(ctx context.Context, err error) error {
	var e *fault.Error
	if fault.KindOf(err) != fault.Forbidden || !errors.As(err, &e) {
		return s.up.Classify(err, opToken, s.subject)
	}
	refused := make([]bool, len(s.scopes))
	var group errgroup.Group
	group.SetLimit(s.limit)
	for i, scope := range s.scopes {
		group.Go(func() error {
			_, err := s.exchange.fetch(ctx, scope)
			refused[i] = fault.KindOf(err) == fault.Forbidden && err != nil
			return nil
		})
	}
	_ = group.Wait()
	var missing []string
	for i, scope := range s.scopes {
		if refused[i] {
			missing = append(missing, scope)
		}
	}
	if len(missing) == 0 || len(missing) == len(s.scopes) {
		return e
	}
	slices.Sort(missing)
	named := *e
	named.Message += "; the missing scopes are " + strings.Join(missing, ", ")
	named.Remedy = "authorise under domain-wide delegation in Google's admin console, or take out of GOOGLE_API_SCOPES: " + strings.Join(missing, ", ")
	return &named
}
