package esnotifications

import (
	"bytes"
	"cmp"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"log/slog"
	"net/http"
	"net/url"
	"slices"
	"strings"
	"time"

	"github.com/elastic/go-elasticsearch/v8"
	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/plugins/sdk"
	"github.com/postureproject/posture/plugins/sdk/upstream"
)

// maxPages bounds how often a look-up asks on because other people's
// notifications filled a page.
const maxPages = 10

// Source answers for one cluster. It is safe for concurrent use.
type Source struct {
	cluster    *elasticsearch.BaseClient
	upstream   *upstream.Client
	logger     *slog.Logger
	index      string
	timeFields []string
	max        int
	timeout    time.Duration
}

func newSource(c config, hosts []*url.URL, env sdk.Env) (*Source, error) {
	nodes := &failover{hosts: hosts, timeout: env.Timeout, logger: env.Logger}
	client, err := upstream.New(upstream.Options{
		Source: Name, Timeout: env.Timeout, Concurrency: env.Concurrency, Settings: c.Settings, Logger: env.Logger,
		Around: func(base http.RoundTripper) http.RoundTripper {
			nodes.next = base
			return nodes
		},
	})
	if err != nil {
		return nil, err
	}
	cluster, err := elasticsearch.NewBaseClient(elasticsearch.Config{
		// Which node it really is, failover decides.
		Addresses: []string{"http://elasticsearch.invalid"},
		Username:  c.Username, Password: c.Password.Reveal(), APIKey: c.APIKey.Reveal(),
		Transport: throughClient{client.HTTPClient()}, DisableRetry: true, DisableMetaHeader: true,
	})
	if err != nil {
		return nil, fault.New(fault.Internal, "make the Elasticsearch client: %w", err)
	}
	s := &Source{
		cluster: cluster, upstream: client, logger: env.Logger, index: strings.TrimSpace(c.Index), max: c.Max, timeout: env.Timeout,
		timeFields: []string{"timestamp", "@timestamp", "event_timestamp"},
	}
	if c.TimeField != "" {
		s.timeFields = []string{c.TimeField}
	}
	return s, nil
}

// throughClient makes Elastic's transport use a whole HTTP client, with its time
// limit and retries.
type throughClient struct{ client *http.Client }

func (t throughClient) RoundTrip(req *http.Request) (*http.Response, error) {
	resp, err := t.client.Do(req)
	if err == nil && resp.StatusCode < 300 && resp.Header.Get("X-Elastic-Product") != "Elasticsearch" {
		_ = resp.Body.Close()
		return nil, &fault.Error{
			Kind: fault.BadResponse, Message: "the server does not say that it is Elasticsearch",
			Remedy: "check ELASTICSEARCH_HOSTS; Elasticsearch 7.14 or newer is needed, and a proxy must pass its header X-Elastic-Product on",
		}
	}
	return resp, err
}

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
	var refused *refusal
	if !errors.As(err, &refused) && (err != nil || !answer.Shards.refusedSort()) {
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

// apiRequest is what all of Elastic's request types can do.
type apiRequest interface {
	Do(ctx context.Context, transport esapi.Transport) (*esapi.Response, error)
}

// call makes one request and decodes its answer.
func (s *Source) call(ctx context.Context, op, subject string, req apiRequest, out any) error {
	resp, err := req.Do(ctx, s.cluster)
	if err != nil {
		return s.upstream.Classify(err, op, subject)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	if err != nil && !resp.IsError() {
		return s.upstream.Classify(err, op, subject)
	}
	if resp.IsError() {
		return s.refused(resp, body, op, subject)
	}
	return s.upstream.Decode(body, op, subject, out)
}

// refused classifies an error that the cluster answers.
func (s *Source) refused(resp *esapi.Response, body []byte, op, subject string) error {
	kind, reason := errorReason(body)
	if resp.StatusCode == http.StatusNotFound {
		return s.noIndex(op, subject)
	}
	err := s.upstream.StatusError(&http.Response{StatusCode: resp.StatusCode, Header: resp.Header}, op, subject)
	var e *fault.Error
	if !errors.As(err, &e) {
		return err
	}
	if resp.StatusCode == http.StatusBadRequest && aboutSorting(reason) {
		e.Err = &refusal{reason: reason}
		return e
	}
	if reason != "" {
		e.Err = fmt.Errorf("%s: %s", kind, reason)
	}
	return e
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
	var info struct {
		Cluster string `json:"cluster_name"`
		Version struct {
			Number string `json:"number"`
		} `json:"version"`
	}
	about := "cluster"
	switch err := s.call(ctx, "cluster information", "", esapi.InfoRequest{}, &info); {
	case err == nil:
		about = fmt.Sprintf("cluster %q, Elasticsearch %s", info.Cluster, info.Version.Number)
	case fault.KindOf(err) != fault.Forbidden:
		// A key that may only read the index is refused this, and is good enough.
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
