// Package escluster speaks to an Elasticsearch cluster the way every plugin that
// reads or writes one should: the same configuration keys, one connection for all
// nodes with failing over between them, and errors that tell the cluster's own
// reason. It needs Elasticsearch 7.14 or newer, as Elastic's client does. It
// imports the plugin SDK, upstream and fault.
package escluster

import (
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/url"

	"github.com/elastic/go-elasticsearch/v8"
	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/plugins/sdk"
	"github.com/postureproject/posture/plugins/sdk/upstream"
)

// Options say how to talk to a cluster.
type Options struct {
	Source   string     // the plugin's name, for errors
	Hosts    []*url.URL // as [Settings.Check] gives them
	Settings Settings
	Env      sdk.Env
	MaxBody  int64 // bytes of one answer at most; 64 MiB when zero
}

// Cluster is a connection to a cluster. It is safe for concurrent use.
type Cluster struct {
	client   *elasticsearch.BaseClient
	upstream *upstream.Client
	nodes    *failover
}

// Open makes a connection; it does not use it yet. It fails only when CA_FILE
// cannot be read or PROXY is malformed.
func Open(o Options) (*Cluster, error) {
	if o.Settings.DocType != "" {
		o.Env.Logger.Info("ELASTICSEARCH_DOCTYPE is ignored, as document types no longer exist; remove it", "doctype", o.Settings.DocType)
	}
	nodes := &failover{hosts: o.Hosts, timeout: o.Env.Timeout, logger: o.Env.Logger}
	client, err := upstream.New(upstream.Options{
		Source: o.Source, Timeout: o.Env.Timeout, Concurrency: o.Env.Concurrency, Settings: o.Settings.Settings, Logger: o.Env.Logger, MaxBody: o.MaxBody,
		Around: func(base http.RoundTripper) http.RoundTripper {
			nodes.next = base
			return nodes
		},
	})
	if err != nil {
		return nil, err
	}
	base, err := elasticsearch.NewBaseClient(elasticsearch.Config{
		// Which node it really is, failover decides.
		Addresses: []string{"http://elasticsearch.invalid"},
		Username:  o.Settings.Username, Password: o.Settings.Password.Reveal(), APIKey: o.Settings.APIKey.Reveal(),
		Transport: throughClient{client.HTTPClient()}, DisableRetry: true, DisableMetaHeader: true,
	})
	if err != nil {
		return nil, fault.New(fault.Internal, "make the Elasticsearch client: %w", err)
	}
	return &Cluster{client: base, upstream: client, nodes: nodes}, nil
}

// Close gives the connections up that no request uses.
func (c *Cluster) Close() {
	if network, ok := c.nodes.next.(interface{ CloseIdleConnections() }); ok {
		network.CloseIdleConnections()
	}
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

// Request is what all of Elastic's request types can do.
type Request interface {
	Do(ctx context.Context, transport esapi.Transport) (*esapi.Response, error)
}

// Call makes one request and decodes its answer into out, unless out is nil. An
// error that the cluster answers is a [fault.Error] with a [Refusal] in its chain.
func (c *Cluster) Call(ctx context.Context, op, subject string, req Request, out any) error {
	resp, err := req.Do(ctx, c.client)
	if err != nil {
		return c.upstream.Classify(err, op, subject)
	}
	defer func() { _ = resp.Body.Close() }()
	body, err := io.ReadAll(resp.Body)
	switch {
	case resp.IsError():
		return c.refused(resp, body, op, subject)
	case err != nil:
		return c.upstream.Classify(err, op, subject)
	case out == nil:
		return nil
	}
	return c.upstream.Decode(body, op, subject, out)
}

// refused classifies an error that the cluster answers.
func (c *Cluster) refused(resp *esapi.Response, body []byte, op, subject string) error {
	err := c.upstream.StatusError(&http.Response{StatusCode: resp.StatusCode, Header: resp.Header}, op, subject)
	var e *fault.Error
	if errors.As(err, &e) {
		e.Err = ReadRefusal(resp.StatusCode, body)
	}
	return err
}

// About says in a few words which cluster it is. A caller that may not ask for
// that, as a key for one index, gets "cluster" and no error.
func (c *Cluster) About(ctx context.Context) (string, error) {
	var info struct {
		Cluster string `json:"cluster_name"`
		Version struct {
			Number string `json:"number"`
		} `json:"version"`
	}
	switch err := c.Call(ctx, "cluster information", "", esapi.InfoRequest{}, &info); {
	case err == nil:
		return fmt.Sprintf("cluster %q, Elasticsearch %s", info.Cluster, info.Version.Number), nil
	case fault.KindOf(err) == fault.Forbidden:
		return "cluster", nil
	default:
		return "", err
	}
}
