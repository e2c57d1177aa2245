package esnotifications

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/plugins/sdk"
	"github.com/postureproject/posture/plugins/sdk/escluster"
)

// maxPages bounds how often a look-up asks on because other people's
// notifications filled a page.
const maxPages = 10

// Source answers for one cluster. It is safe for concurrent use.
type Source struct {
	cluster    *escluster.Cluster
	logger     *slog.Logger
	index      string
	timeFields []string
	max        int
	timeout    time.Duration
}

func newSource(c config, hosts []*url.URL, env sdk.Env) (*Source, error) {
	cluster, err := escluster.Open(escluster.Options{Source: Name, Hosts: hosts, Settings: c.Settings, Env: env})
	if err != nil {
		return nil, err
	}
	s := &Source{
		cluster: cluster, logger: env.Logger, index: strings.TrimSpace(c.Index), max: c.Max, timeout: env.Timeout,
		timeFields: []string{"timestamp", "@timestamp", "event_timestamp"},
	}
	if c.TimeField != "" {
		s.timeFields = []string{c.TimeField}
	}
	return s, nil
}

// Close gives the source's connections up.
func (s *Source) Close() { s.cluster.Close() }

// NotificationsByEmail implements [sdk.NotificationsByEmail]. It gives only
// documents whose email is the address itself, without case: a match query on an
// analysed field also finds people who share a part of it.
func (s *Source) NotificationsByEmail(ctx context.Context, email string) ([]device.Notification, error) {
	const op = "search notifications"
	email = strings.TrimSpace(email)
	var (
		kept    []alert
		seen    = map[string]bool{}
		problem error
		size    = min(s.max, 1000)
		broken  int
	)
	for from := 0; len(kept) < s.max; from += size {
		size = min(size, maxWindow-from)
		if size <= 0 || from >= maxPages*min(s.max, 1000) {
			problem = errors.Join(problem, &fault.Error{
				Kind: fault.BadResponse, Source: Name, Op: op, Subject: email, Message: "too many notifications of other people match the address",
				Remedy: "map the field email as keyword in the index",
			})
			break
		}
		page, err := s.page(ctx, email, from, size)
		if err != nil {
			problem = errors.Join(problem, err)
			break
		}
		for _, raw := range page.Hits.Hits {
			a, ok := readAlert(raw, s.timeFields)
			switch {
			case !ok:
				broken++
			case a.isFor(email) && !seen[a.key()]:
				seen[a.key()] = true
				kept = append(kept, a)
			}
		}
		if err := page.partial(op, email); err != nil {
			problem = errors.Join(problem, err)
			break
		}
		if len(page.Hits.Hits) < size {
			break
		}
	}
	if broken > 0 {
		s.logger.WarnContext(ctx, "hits without a usable _id and _source were left out", "subject", email, "hits", broken)
		if len(kept) == 0 && problem == nil {
			problem = &fault.Error{
				Kind: fault.BadResponse, Source: Name, Op: op, Subject: email,
				Message: fmt.Sprintf("none of %d hits has a usable _id and _source", broken), Remedy: "enable _source in the index",
			}
		}
	}
	return newest(kept, s.max), problem
}

// newest sorts by time, newest first and those without a time last; equal times
// by identifier, so that the order is always the same.
func newest(alerts []alert, limit int) []device.Notification {
	slices.SortFunc(alerts, func(a, b alert) int {
		return cmp.Or(b.at.Compare(a.at), cmp.Compare(a.ID, b.ID), cmp.Compare(a.Index, b.Index))
	})
	var out []device.Notification
	for _, a := range alerts[:min(limit, len(alerts))] {
		out = append(out, device.Notification{ID: a.ID, Index: a.Index, Source: a.Source})
	}
	return out
}

// page fetches some hits. When the cluster refuses to sort, as by a field that is
// mapped as text, it asks again without: the hits are sorted here anyway.
func (s *Source) page(ctx context.Context, email string, from, size int) (*searchAnswer, error) {
	answer, err := s.search(ctx, email, from, size, s.timeFields)
	var refusal *escluster.Refusal
	unsorted := errors.As(err, &refusal) && refusal.Status == http.StatusBadRequest && aboutSorting(refusal.Reason)
	if !unsorted && (err != nil || !answer.Shards.refusedSort()) {
		return answer, err
	}
	s.logger.WarnContext(ctx, "the cluster refuses to sort by time; the newest notifications may be missing when there are very many",
		"fields", s.timeFields)
	return s.search(ctx, email, from, size, nil)
}

func (s *Source) search(ctx context.Context, email string, from, size int, sortBy []string) (*searchAnswer, error) {
	const op = "search notifications"
	body, err := json.Marshal(searchBody(email, from, size, sortBy, s.timeout))
	if err != nil {
		return nil, fault.New(fault.Internal, "encode the query: %w", err)
	}
	var answer searchAnswer
	err = s.call(ctx, op, email, esapi.SearchRequest{
		Index: []string{s.index}, Body: bytes.NewReader(body), AllowNoIndices: new(bool),
	}, &answer)
	if err == nil && answer.Shards.Total == 0 {
		err = s.noIndex(op, email)
	}
	return &answer, err
}

// call makes one request about the index and decodes its answer.
func (s *Source) call(ctx context.Context, op, subject string, req escluster.Request, out any) error {
	err := s.cluster.Call(ctx, op, subject, req, out)
	if fault.IsNotFound(err) {
		return s.noIndex(op, subject)
	}
	return err
}

// noIndex says that the configured index does not exist. It is not NotFound,
// which would read as "no notifications" and hide the mistake.
func (s *Source) noIndex(op, subject string) error {
	return &fault.Error{
		Kind: fault.BadResponse, Source: Name, Op: op, Subject: subject, Message: fmt.Sprintf("the index %q does not exist", s.index),
		Remedy: "correct ELASTICSEARCH_INDEX, or create the index",
	}
}

// TestConnectivity implements [sdk.ConnectivityTester].
func (s *Source) TestConnectivity(ctx context.Context) (string, error) {
	about, err := s.cluster.About(ctx)
	if err != nil {
		return "", err
	}
	var counted struct {
		Count  int64  `json:"count"`
		Shards shards `json:"_shards"`
	}
	if err := s.call(ctx, "count notifications", s.index, esapi.CountRequest{Index: []string{s.index}, AllowNoIndices: new(bool)}, &counted); err != nil {
		return "", err
	}
	if counted.Shards.Total == 0 {
		return "", s.noIndex("count notifications", s.index)
	}
	if _, err := s.page(ctx, "connectivity.test@posture.invalid", 0, 1); err != nil {
		return "", err
	}
	return fmt.Sprintf("%s, index %q with %d documents", about, s.index, counted.Count), nil
}
