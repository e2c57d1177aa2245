package elastic

import (
	"bytes"
	"context"
	"embed"
	"encoding/json"
	"errors"
	"fmt"
	"log/slog"
	"time"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/plugins/sdk/escluster"
)

// templates are the index templates, one for each kind of delivery. A change of
// one raises its version, which makes clusters take it over.
//
//go:embed templates/*.json
var templates embed.FS

// recheck is how long an installed template is taken for granted.
const recheck = 10 * time.Minute

// template is the index template of a sink. A nil one is never installed.
type template struct {
	cluster *escluster.Cluster
	logger  *slog.Logger
	name    string
	version int64
	body    []byte

	// turn has room for one: who holds it may use checked.
	turn    chan struct{}
	checked time.Time // when it was last seen to be there
}

func newTemplate(cluster *escluster.Cluster, kind, prefix string, logger *slog.Logger) (*template, error) {
	text, err := templates.ReadFile("templates/" + kind + ".json")
	if err != nil {
		return nil, fault.New(fault.Internal, "read the index template: %w", err)
	}
	var body map[string]any
	if err := json.Unmarshal(text, &body); err != nil {
		return nil, fault.New(fault.Internal, "read the index template: %w", err)
	}
	body["index_patterns"] = []string{prefix + "2*"} // the century, so that other indices with this prefix stay as they are
	t := &template{cluster: cluster, logger: logger, name: "posture-" + kind + "-" + prefix, turn: make(chan struct{}, 1)}
	version, _ := body["version"].(float64)
	t.version = int64(version)
	if t.body, err = json.Marshal(body); err != nil {
		return nil, fault.New(fault.Internal, "write the index template: %w", err)
	}
	return t, nil
}

// ensure installs the template unless the cluster has this version or a newer one.
func (t *template) ensure(ctx context.Context) error {
	if t == nil {
		return nil
	}
	const op = "install index template"
	select {
	case t.turn <- struct{}{}:
	case <-ctx.Done():
		return fault.Wrap(ctx.Err(), op, t.name)
	}
	defer func() { <-t.turn }()
	if time.Since(t.checked) < recheck {
		return nil
	}
	installed, err := t.installed(ctx)
	if err != nil {
		return withPrivilege(err)
	}
	if installed < t.version {
		err := t.cluster.Call(ctx, op, t.name, esapi.IndicesPutIndexTemplateRequest{Name: t.name, Body: bytes.NewReader(t.body)}, nil)
		if err != nil {
			return withPrivilege(err)
		}
		t.logger.InfoContext(ctx, "index template installed", "template", t.name, "version", t.version, "before", installed)
	}
	t.checked = time.Now()
	return nil
}

// forget makes the next delivery look again whether the template is there, as the
// cluster may be made anew while it is away.
func (t *template) forget() {
	if t == nil {
		return
	}
	t.turn <- struct{}{}
	t.checked = time.Time{}
	<-t.turn
}

// installed is the version that the cluster has, 0 for none.
func (t *template) installed(ctx context.Context) (int64, error) {
	var found struct {
		Templates []struct {
			Name     string `json:"name"`
			Template struct {
				Version int64 `json:"version"`
			} `json:"index_template"`
		} `json:"index_templates"`
	}
	err := t.cluster.Call(ctx, "read index template", t.name, esapi.IndicesGetIndexTemplateRequest{Name: t.name}, &found)
	if fault.IsNotFound(err) {
		return 0, nil
	}
	for _, f := range found.Templates {
		if f.Name == t.name {
			return f.Template.Version, err
		}
	}
	return 0, err
}

// describe says for people whether the template is there.
func (t *template) describe(ctx context.Context) (string, error) {
	if t == nil {
		return "index template left to the administrator", nil
	}
	switch version, err := t.installed(ctx); {
	case err != nil:
		return "", withPrivilege(err)
	case version < t.version:
		return fmt.Sprintf("index template %q comes with the first document", t.name), nil
	default:
		return fmt.Sprintf("index template %q of version %d", t.name, version), nil
	}
}

// privilege is the cluster privilege that the template needs, quoted, if any.
func (t *template) privilege() string {
	if t == nil {
		return ""
	}
	return `"manage_index_templates"`
}

// withPrivilege names what a caller lacks who may not handle templates.
func withPrivilege(err error) error {
	var e *fault.Error
	if fault.KindOf(err) != fault.Forbidden || !errors.As(err, &e) {
		return err
	}
	told := *e
	told.Remedy = "give the user or API key the privilege manage_index_templates, or install the template yourself and set ELASTICSEARCH_TEMPLATE to false"
	return &told
}
