// Package duo is the source of authentication events of Duo. Duo's Admin API
// answers no question about one person and allows about one request for its log
// in a minute (Duo's page "Admin API", section "Authentication Logs"). So the
// source pulls the log into the journal that the host keeps for it, a little at a
// time and in the background, and answers look-ups from there without any call.
// Every process that shares the host's store shares the copy, and the pulling.
package duo

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/plugins/sdk"
)

// Name is what the source is called in a configuration.
const Name = "duo"

// Version is the plugin's own.
const Version = "1.0.0"

// What Duo documents, and what follows from it.
const (
	// lag is how far the log is behind: Duo leaves the last two minutes out.
	lag = 2 * time.Minute
	// maxAge is how far back the log reaches.
	maxAge = 180 * 24 * time.Hour
	// overlap is what each pull reads again of the one before, in case that
	// something appeared late.
	overlap = 5 * time.Minute
	// maxEvents is how many events one answer has at most.
	maxEvents = 500
	// minInterval keeps a mistyped interval from being a busy loop.
	minInterval = time.Second
)

type config struct {
	IntegrationKey string       `json:"DUO_INTEGRATION_KEY" required:"true" doc:"Integration key of an Admin API application that was granted to read the log" example:"DIXXXXXXXXXXXXXXXXXX"`
	SecretKey      sdk.Secret   `json:"DUO_SECRET_KEY" required:"true" doc:"Secret key of that application"`
	Hostname       string       `json:"DUO_API_HOSTNAME" required:"true" doc:"Host name of the Duo account's API; or a full address, http:// or https:// with a port, of a proxy or a simulator" example:"api-xxxxxxxx.duosecurity.com"`
	FirstPull      sdk.Duration `json:"DUO_FIRST_PULL" default:"12h" doc:"How far back the first pull reads, 4320h (180 days) at most"`
	Retention      sdk.Duration `json:"DUO_RETENTION" default:"4320h" doc:"How long events are kept; not less than DUO_FIRST_PULL"`
	PullInterval   sdk.Duration `json:"DUO_PULL_INTERVAL" default:"2m" doc:"How long to wait between two pulls, 1s at least; Duo recommends no more than one request a minute"`
	Domains        sdk.Strings  `json:"DUO_DOMAINS" doc:"Your own mail domains. Duo's user names without a domain are taken for these domains' people only; when empty, for those domains' that appear in the log" example:"example.com"`
	CAFile         string       `json:"CA_FILE" doc:"PEM file with certificate authorities to trust beside the system's own; without it, Duo's own hosts are trusted with Duo's authorities only" example:"/etc/posture/company-ca.pem"`
}

// Plugin describes the source.
func Plugin() sdk.Plugin { return definition(defaultPace()) }

func definition(p pace) sdk.Definition[config, *Source] {
	return sdk.Definition[config, *Source]{
		Name: Name, Version: Version, Journal: true,
		Summary: "Tells who authenticated where and how, from Duo's authentication log",
		New: func(ctx context.Context, c config, env sdk.Env) (*Source, error) {
			return newSource(ctx, c, env, p)
		},
	}
}

// Source answers from its store, which it fills in the background until it is
// closed. It is safe for concurrent use.
type Source struct {
	store   *store
	puller  *puller
	cancel  context.CancelFunc
	domains []string
	host    string
	env     sdk.Env
	now     func() time.Time
	stale   time.Duration // the age at which the store is no longer good for an answer
}

func newSource(ctx context.Context, c config, env sdk.Env, p pace) (*Source, error) {
	address, err := parseAddress(c.Hostname)
	if err := errors.Join(err, c.validate()); err != nil {
		return nil, err
	}
	client, err := newClient(c, address, env, p.pageSize)
	if err != nil {
		return nil, err
	}
	st := newStore(env.Journal, address, env.Timeout)
	interval := time.Duration(c.PullInterval)
	s := &Source{
		store: st, host: address.host, env: env, now: p.now, stale: 3*interval + lag,
	}
	for _, d := range c.Domains {
		s.domains = append(s.domains, strings.ToLower(strings.TrimSpace(strings.TrimPrefix(d, "@"))))
	}
	ctx, s.cancel = context.WithCancel(ctx)
	s.puller = newPuller(client, st, env.Logger, pullSettings{
		first: time.Duration(c.FirstPull), retention: time.Duration(c.Retention), interval: interval, hold: 2 * env.Timeout, raw: env.Debug, pace: p,
	})
	go s.puller.run(ctx)
	return s, nil
}

// validate finds everything that is wrong with the settings but the address.
func (c config) validate() error {
	e := &fault.Error{Kind: fault.Invalid}
	refuse := func(name string, d sdk.Duration, reason string) {
		e.Fields = append(e.Fields, fault.Field{Name: name, Value: time.Duration(d).String(), Reason: reason})
	}
	if d := time.Duration(c.FirstPull); d < time.Minute || d > maxAge {
		refuse("DUO_FIRST_PULL", c.FirstPull, "must be from 1m to 4320h, as Duo keeps its log for 180 days")
	}
	if c.Retention < c.FirstPull {
		refuse("DUO_RETENTION", c.Retention, "must not be shorter than DUO_FIRST_PULL")
	}
	if time.Duration(c.PullInterval) < minInterval {
		refuse("DUO_PULL_INTERVAL", c.PullInterval, "must be 1s at least; Duo recommends a minute or more")
	}
	if len(e.Fields) == 0 {
		return nil
	}
	return e
}

// Close ends the pulling and waits for it.
func (s *Source) Close() {
	s.cancel()
	<-s.puller.stopped
	s.puller.api.close()
}

// TestConnectivity pulls what is new, or waits for the pull under way, so that
// network, keys and permission are tried without spending a further one of the
// few requests that Duo allows.
func (s *Source) TestConnectivity(ctx context.Context) (string, error) {
	deadline := time.Now().Add(s.env.Timeout)
	var (
		a     *attempt
		ended bool
	)
	for {
		var running bool
		a, running = s.puller.current()
		if err := s.puller.limited(); !running && err != nil {
			return s.readSoFar(ctx, err)
		}
		if !running {
			s.puller.pullNow()
		}
		// An attempt that found that there was no need has tried nothing.
		if ended = waitFor(ctx, a.done, time.Until(deadline)); !ended || a.err != nil || a.asked.Load() {
			break
		}
	}
	switch {
	case !ended && a.pages.Load() > 0:
		return "the log of " + s.host + " is being read", nil
	case !ended && a.others.Load():
		return "the log of " + s.host + " is being read by another process that shares the store", nil
	case !ended:
		return "", &fault.Error{
			Kind: fault.Timeout, Source: Name, Op: opReadLog, Message: "no answer from " + s.host + " within the time limit",
			Remedy: "raise TIMEOUT of this plugin, or find out why Duo is slow",
		}
	default:
		return s.readSoFar(ctx, a.err)
	}
}

// readSoFar tells how far the log was read. That Duo asked to wait is no failure
// of the connection while the log is read all the same.
func (s *Source) readSoFar(ctx context.Context, failure error) (string, error) {
	state, err := s.store.progress(ctx)
	if err != nil {
		return "", err
	}
	switch {
	case failure == nil:
		return "read the log of " + s.host + " up to " + state.highWater.UTC().Format(time.RFC3339), nil
	case fault.KindOf(failure) == fault.RateLimited && (s.doubt(state) == "" || state.window.offset != ""):
		return "the log of " + s.host + " is being read as fast as Duo allows", nil
	default:
		return "", failure
	}
}

// waitFor waits until done is closed, but leaves a fifth of the context's time
// (or of limit, when that is less) for the answer, or half a second when that is
// more and there is twice as much. It reports whether done was closed in time.
func waitFor(ctx context.Context, done <-chan struct{}, limit time.Duration) bool {
	if deadline, ok := ctx.Deadline(); ok {
		limit = min(limit, time.Until(deadline))
	}
	answer := min(max(limit/5, 500*time.Millisecond), limit/2)
	timer := time.NewTimer(limit - answer)
	defer timer.Stop()
	select {
	case <-done:
		return true
	case <-timer.C:
	case <-ctx.Done():
	}
	return false
}

// EventsByEmail gives a person's authentications, newest first, 500 at most. It
// asks the store alone. Where the store may lack something, because the first
// pull is not through or because the last ones failed, an error beside the
// events says so.
func (s *Source) EventsByEmail(ctx context.Context, email string) ([]device.Event, error) {
	state, err := s.store.progress(ctx)
	if err != nil {
		return nil, err
	}
	if s.doubt(state) != "" {
		// All who ask wait together, no longer than the time limit in all: else a run
		// over everybody would wait for each.
		if a, running := s.puller.current(); running && waitFor(ctx, a.done, s.env.Timeout-s.puller.lasted(a)) {
			if state, err = s.store.progress(ctx); err != nil {
				return nil, err
			}
		}
	}
	who, err := s.identify(ctx, email)
	if err != nil {
		return nil, err
	}
	events, err := s.store.events(ctx, who, maxEvents)
	if err != nil {
		return nil, err
	}
	if !s.env.Debug {
		// Another process that shares the store may have kept it.
		for i := range events {
			events[i].Raw = nil
		}
	}
	return events, s.doubtful(state, email)
}

// identify says how Duo may know the person with an address.
func (s *Source) identify(ctx context.Context, email string) (who identity, err error) {
	who.email = normalize(email)
	local, domain, ok := strings.Cut(who.email, "@")
	if !ok || local == "" {
		return who, nil
	}
	own := len(s.domains) == 0
	for _, d := range s.domains {
		own = own || d == domain
	}
	if own && len(s.domains) == 0 {
		own, err = s.store.knowsDomain(ctx, domain)
	}
	if own {
		who.local = local
	}
	return who, err
}

// doubt says why the store may lack events; "" when it does not.
func (s *Source) doubt(state progress) string {
	switch {
	case state.highWater.IsZero() && state.window.isZero():
		return "the log is not complete yet: the first pull has read nothing so far"
	case state.highWater.IsZero():
		return "the log is not complete yet: the first pull, which goes up to " + state.window.to.UTC().Format(time.RFC3339) + ", is not through"
	case s.now().Sub(state.success) > s.stale:
		return "the log is out of date: it was last read to its end at " + state.success.UTC().Format(time.RFC3339)
	}
	return ""
}

// doubtful makes an error of the store's doubt, with the last failure as its
// cause; nil when there is none.
func (s *Source) doubtful(state progress, email string) error {
	message := s.doubt(state)
	if message == "" {
		return nil
	}
	e := &fault.Error{
		Kind: fault.Unavailable, Source: Name, Op: "events", Subject: email, Message: message,
		Remedy: "wait until Duo's log has been read; Duo allows about one request a minute",
	}
	if cause := s.puller.failure(); cause != nil {
		e.Err, e.RetryAfter = cause, fault.RetryAfterOf(cause)
		if remedy := fault.RemedyOf(cause); remedy != "" {
			e.Remedy = remedy
		}
		if kind := fault.KindOf(cause); kind == fault.Unauthenticated || kind == fault.Forbidden {
			e.Kind = kind
		}
	}
	return e
}
