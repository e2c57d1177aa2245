package elastic

import (
	"context"
	"errors"
	"fmt"
	"log/slog"
	"net/http"
	"net/url"
	"strings"
	"sync/atomic"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/plugins/sdk"
	"github.com/postureproject/posture/plugins/sdk/escluster"
)

// maxAnswer bounds one answer of the cluster; that to the largest bulk request
// whose every document is refused has less than 1 MiB.
const maxAnswer = 16 << 20

// Sink writes into one cluster. It is safe for concurrent use.
type Sink struct {
	name     string
	kind     string // of the deliveries that it takes
	prefix   string
	cluster  *escluster.Cluster
	template *template // nil when an administrator looks after it
	health   *health
	logger   *slog.Logger
	maxBytes atomic.Int64 // of one bulk request; shrinks when the other side refuses
}

func open(name, kind, prefix string, c settings, hosts []*url.URL, env sdk.Env) (*Sink, error) {
	cluster, err := escluster.Open(escluster.Options{Source: name, Hosts: hosts, Settings: c.Settings, Env: env, MaxBody: maxAnswer})
	if err != nil {
		return nil, err
	}
	asks, err := newHealth(name, c.Health, c.Settings.Settings, env)
	if err != nil {
		return nil, err
	}
	s := &Sink{name: name, kind: kind, prefix: prefix, cluster: cluster, health: asks, logger: env.Logger}
	s.maxBytes.Store(maxBulkBytes)
	if c.Template {
		if s.template, err = newTemplate(cluster, kind, prefix, env.Logger); err != nil {
			return nil, err
		}
	}
	return s, nil
}

// Close gives the sink's connections up.
func (s *Sink) Close() { s.cluster.Close() }

// Deliver implements [sdk.Deliverer]. A document is refused for good only when the
// cluster says that it is the document's fault; whatever else goes wrong, a proxy's
// web page as well as a full disk, it is to be tried again.
func (s *Sink) Deliver(ctx context.Context, deliveries []device.Delivery) []error {
	errs := make([]error, len(deliveries))
	documents := make([]document, 0, len(deliveries))
	for i, d := range deliveries {
		doc, err := s.document(d)
		if err != nil {
			errs[i] = err
			continue
		}
		doc.position = i
		documents = append(documents, doc)
	}
	if len(documents) == 0 {
		return errs
	}
	if err := s.template.ensure(ctx); err != nil {
		return failAll(documents, errs, notTheDocuments(err))
	}
	for len(documents) > 0 {
		n := fitting(documents, s.maxBytes.Load())
		if err := s.send(ctx, documents[:n], errs); err != nil {
			s.template.forget()
			return failAll(documents[n:], errs, err)
		}
		documents = documents[n:]
	}
	return errs
}

func failAll(documents []document, errs []error, err error) []error {
	for _, d := range documents {
		errs[d.position] = err
	}
	return errs
}

// notTheDocuments turns a failure of the request or the cluster into one that is
// tried again, where its kind would say that the document is at fault.
func notTheDocuments(err error) error {
	var e *fault.Error
	if !device.Refused(err) || !errors.As(err, &e) {
		return err
	}
	pending := *e
	pending.Kind = fault.Unavailable
	return &pending
}

// TestConnectivity implements [sdk.ConnectivityTester]: it asks HEALTHCHECK_URL,
// if any, then for the cluster, the privileges and the index template. It writes nothing.
func (s *Sink) TestConnectivity(ctx context.Context) (string, error) {
	if err := s.health.ask(ctx); err != nil {
		return "", err
	}
	about, err := s.cluster.About(ctx)
	if err != nil {
		return "", err
	}
	privileges, err := s.checkPrivileges(ctx)
	if err != nil {
		return "", err
	}
	installed, err := s.template.describe(ctx)
	if err != nil {
		return "", err
	}
	return fmt.Sprintf("%s, indices %q, %s, %s", about, s.prefix+"*", privileges, installed), nil
}

// checkPrivileges fails when the caller lacks what writing needs. A cluster without
// security cannot be asked.
func (s *Sink) checkPrivileges(ctx context.Context) (string, error) {
	const op = "check privileges"
	body := fmt.Sprintf(`{"cluster":[%s],"index":[{"names":[%q],"privileges":["create_doc","auto_configure"]}]}`, s.template.privilege(), s.prefix+"*")
	var held struct {
		All     bool                       `json:"has_all_requested"`
		Cluster map[string]bool            `json:"cluster"`
		Index   map[string]map[string]bool `json:"index"`
	}
	err := s.cluster.Call(ctx, op, s.prefix+"*", esapi.SecurityHasPrivilegesRequest{Body: strings.NewReader(body)}, &held)
	var refusal *escluster.Refusal
	switch {
	case errors.As(err, &refusal) && (refusal.Status == http.StatusBadRequest || refusal.Status == http.StatusMethodNotAllowed):
		return "no privileges to check, as security is off", nil
	case err != nil:
		return "", err
	case held.All:
		return "privileges suffice", nil
	}
	return "", &fault.Error{
		Kind: fault.Forbidden, Source: s.name, Op: op, Subject: s.prefix + "*",
		Message: "lacks the privileges " + strings.Join(lacking(held.Cluster, held.Index), ", "),
		Remedy:  "give the user or API key these privileges",
	}
}
