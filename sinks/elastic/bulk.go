package elastic

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"net/http"
	"slices"

	"github.com/elastic/go-elasticsearch/v8/esapi"

	"github.com/postureproject/posture/fault"
	"github.com/postureproject/posture/plugins/sdk/escluster"
)

const (
	opWrite = "write documents"

	// maxBulkBytes and maxBulkDocuments bound one bulk request. Elastic advises a
	// few megabytes; the server's own limit is 100 MB, a proxy's often 1 MB.
	maxBulkBytes     = 5 << 20
	maxBulkDocuments = 1000
	minBulkBytes     = 64 << 10
)

// bulkAnswer is what is read of the answer to a bulk request: of each document,
// in the order of the request, what became of it.
type bulkAnswer struct {
	Items []map[string]struct {
		ID     string `json:"_id"`
		Status int    `json:"status"`
		Error  struct {
			Type   string `json:"type"`
			Reason string `json:"reason"`
			Cause  struct {
				Type   string `json:"type"`
				Reason string `json:"reason"`
			} `json:"caused_by"`
		} `json:"error"`
	} `json:"items"`
}

// fitting is how many of the documents go into one request; at least one.
func fitting(documents []document, maxBytes int64) int {
	size := int64(0)
	for i, d := range documents {
		size += int64(len(d.lines))
		if i > 0 && (size > maxBytes || i == maxBulkDocuments) {
			return i
		}
	}
	return len(documents)
}

// send writes documents in one request and notes what became of each. The error
// tells that the cluster as a whole cannot be written to for now; it is noted for
// these documents already. Elastic's own bulk indexer is not used: it takes no
// context, tells nothing of a refused request but a text, and trusts the server to
// answer as many results as there were documents.
func (s *Sink) send(ctx context.Context, documents []document, errs []error) error {
	var body bytes.Buffer
	for _, d := range documents {
		body.Write(d.lines)
	}
	size := body.Len()
	var answer bulkAnswer
	err := s.cluster.Call(ctx, opWrite, "", esapi.BulkRequest{
		Body: bytes.NewReader(body.Bytes()), FilterPath: []string{"items.*._id", "items.*.status", "items.*.error"},
	}, &answer)
	var refusal *escluster.Refusal
	if errors.As(err, &refusal) && blamesDocuments(refusal) {
		return s.divide(ctx, documents, size, refusal, errs)
	}
	if err == nil && len(answer.Items) != len(documents) {
		err = &fault.Error{
			Kind: fault.Unavailable, Source: s.name, Op: opWrite,
			Message: fmt.Sprintf("the cluster tells of %d documents after %d were sent", len(answer.Items), len(documents)),
			Remedy:  "check what is between Posture and the cluster",
		}
	}
	if err != nil {
		err = notTheDocuments(err)
		failAll(documents, errs, err)
		return err
	}
	for i, d := range documents {
		errs[d.position] = s.outcome(d, answer, i)
	}
	return nil
}

// blamesDocuments tells whether a request was refused for what is in it.
func blamesDocuments(r *escluster.Refusal) bool {
	return r.Status == http.StatusRequestEntityTooLarge ||
		r.Status == http.StatusBadRequest && slices.Contains(documentTypes(), r.Type)
}

// divide sends documents in two halves, down to the one that is at fault.
func (s *Sink) divide(ctx context.Context, documents []document, size int, refusal *escluster.Refusal, errs []error) error {
	tooLarge := refusal.Status == http.StatusRequestEntityTooLarge
	if len(documents) == 1 {
		e := &fault.Error{Kind: fault.Invalid, Source: s.name, Op: opWrite, Subject: documents[0].id, Message: "the cluster refuses the document", Err: refusal}
		if tooLarge {
			e.Message = fmt.Sprintf("the document of %d bytes is larger than the cluster, or what is in front of it, takes", size)
			e.Remedy = "raise http.max_content_length of the cluster, or the limit of the proxy in front of it"
		}
		errs[documents[0].position] = e
		return nil
	}
	if tooLarge {
		smaller := max(minBulkBytes, int64(size/2))
		s.maxBytes.Store(min(smaller, s.maxBytes.Load()))
		s.logger.InfoContext(ctx, "a bulk request was too large; smaller ones follow", "bytes", size, "limit", smaller)
	}
	half := len(documents) / 2
	if err := s.send(ctx, documents[:half], errs); err != nil {
		failAll(documents[half:], errs, err)
		return err
	}
	return s.send(ctx, documents[half:], errs)
}

// outcome is what became of one document; nil when it is there.
func (s *Sink) outcome(d document, answer bulkAnswer, i int) error {
	e := &fault.Error{Kind: fault.Unavailable, Source: s.name, Op: opWrite, Subject: d.id}
	for _, item := range answer.Items[i] {
		if item.ID != "" && item.ID != d.id {
			break
		}
		if item.Status >= 200 && item.Status < 300 || item.Status == http.StatusConflict {
			return nil // a conflict: an earlier attempt has written it
		}
		refusal := &escluster.Refusal{Status: item.Status, Type: escluster.Clip(item.Error.Type), Reason: escluster.Clip(item.Error.Reason)}
		if cause := item.Error.Cause; cause.Reason != "" {
			refusal.Reason += " (" + escluster.Clip(cause.Reason) + ")"
		}
		e.Err = refusal
		e.Kind, e.Remedy = explain(refusal)
		return e
	}
	e.Message = "the cluster does not tell what became of the document"
	return e
}

// explain tells what a document's failure means. Only what is the document's own
// fault is Invalid.
func explain(r *escluster.Refusal) (kind fault.Kind, remedy string) {
	switch {
	case r.Status == http.StatusTooManyRequests:
		return fault.RateLimited, "the cluster is busy or its disk is full; look after its health"
	case r.Status == http.StatusBadRequest && slices.Contains(documentTypes(), r.Type):
		return fault.Invalid, "compare the document with the index's mapping, then send it again"
	case r.Status == http.StatusUnauthorized:
		return fault.Unauthenticated, "check the credentials in this plugin's configuration; they may have expired"
	case r.Type == "security_exception":
		return fault.Forbidden, "give the user or API key the privileges create_doc and auto_configure for the indices"
	case r.Type == "cluster_block_exception":
		return fault.Unavailable, "the index takes no writes, often because the disk is full; free space"
	case r.Type == "index_not_found_exception":
		return fault.Unavailable, "let action.auto_create_index of the cluster include the monthly indices, or create them"
	default:
		return fault.Unavailable, "look after the cluster's health"
	}
}

// documentTypes are the cluster's names for faults of a document. Others of
// status 400 are about the index or the cluster, such as too many shards.
func documentTypes() []string {
	return []string{
		"document_parsing_exception", "mapper_parsing_exception", "strict_dynamic_mapping_exception", "x_content_parse_exception",
		"parsing_exception", "illegal_argument_exception", "action_request_validation_exception",
	}
}
