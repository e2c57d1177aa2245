package elastic

import (
	"bytes"
	"encoding/json"
	"fmt"
	"io"
	"maps"
	"net/http"
	"slices"
	"strings"
	"sync"
)

// maxID is how many bytes an identifier may have.
const maxID = 512

// ItemFault makes single documents of bulk requests fail, within an answer 200.
type ItemFault struct {
	ID     string // the document's; empty: every document's
	Times  int    // how many documents it befalls; zero means all from now on
	Status int
	Type   string // such as "es_rejected_execution_exception"
	Reason string
}

// store holds what was written.
type store struct {
	mu        sync.Mutex
	indices   map[string]map[string]json.RawMessage
	templates map[string]json.RawMessage
	faults    []ItemFault
	maxBulk   int
	bulks     []int // documents of each bulk request that was read
}

// bulkAction is one line of a bulk request that says what to do.
type bulkAction struct {
	verb  string // create or index
	index string
	id    string
	body  json.RawMessage
}

// FailItems makes single documents fail.
func (s *Server) FailItems(f ItemFault) {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	s.store.faults = append(s.store.faults, f)
}

// ClearItemFaults makes documents succeed again.
func (s *Server) ClearItemFaults() {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	s.store.faults = nil
}

// SetMaxBulk makes the cluster answer 413 to larger bulk requests; 0 is no limit.
func (s *Server) SetMaxBulk(size int) {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	s.store.maxBulk = size
}

// Indices lists the indices that were written to.
func (s *Server) Indices() []string {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	return slices.Sorted(maps.Keys(s.store.indices))
}

// Documents gives what was written into an index, by identifier.
func (s *Server) Documents(index string) map[string]json.RawMessage {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	return maps.Clone(s.store.indices[index])
}

// Bulks tells how many documents each bulk request had.
func (s *Server) Bulks() []int {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	return slices.Clone(s.store.bulks)
}

func (s *Server) bulk(w http.ResponseWriter, r *http.Request) {
	body, err := io.ReadAll(r.Body)
	if err != nil {
		return // the client has gone
	}
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	if s.store.maxBulk > 0 && len(body) > s.store.maxBulk {
		w.WriteHeader(http.StatusRequestEntityTooLarge)
		return
	}
	actions, kind, problem := readBulk(body)
	if problem != "" {
		fail(w, http.StatusBadRequest, kind, problem, "")
		return
	}
	s.store.bulks = append(s.store.bulks, len(actions))
	items, failed := make([]any, 0, len(actions)), false
	for _, a := range actions {
		status, kind, reason := s.store.apply(a)
		result := map[string]any{"_index": a.index, "_id": a.id, "status": status}
		if kind != "" {
			failed = true
			result["error"] = map[string]any{"type": kind, "reason": reason}
		}
		items = append(items, map[string]any{a.verb: result})
	}
	answer(w, http.StatusOK, map[string]any{"took": 1, "errors": failed, "items": items})
}

// readBulk reads a whole bulk request; like Elasticsearch, it refuses it as a
// whole when a line cannot be understood or an identifier is too long.
func readBulk(body []byte) (actions []bulkAction, kind, problem string) {
	const malformed = "illegal_argument_exception"
	if len(body) == 0 || body[len(body)-1] != '\n' {
		return nil, malformed, "The bulk request must be terminated by a newline [\\n]"
	}
	lines := bytes.Split(body[:len(body)-1], []byte("\n"))
	if len(lines)%2 != 0 {
		return nil, malformed, "Malformed action/metadata line"
	}
	for i := 0; i < len(lines); i += 2 {
		var meta map[string]struct {
			Index string `json:"_index"`
			ID    string `json:"_id"`
		}
		if err := json.Unmarshal(lines[i], &meta); err != nil || len(meta) != 1 {
			return nil, malformed, fmt.Sprintf("Malformed action/metadata line [%d]", i+1)
		}
		for verb, m := range meta {
			if verb != "create" && verb != "index" {
				return nil, malformed, fmt.Sprintf("Malformed action/metadata line [%d], expected field [create], [delete], [index] or [update]", i+1)
			}
			if len(m.ID) > maxID {
				return nil, "action_request_validation_exception", fmt.Sprintf("id is too long, must be no longer than %d bytes", maxID)
			}
			actions = append(actions, bulkAction{verb: verb, index: m.Index, id: m.ID, body: lines[i+1]})
		}
	}
	return actions, "", ""
}

// apply writes one document; the caller holds the lock. A type tells a failure.
func (s *store) apply(a bulkAction) (status int, kind, reason string) {
	for i := range s.faults {
		f := s.faults[i]
		if f.ID != "" && f.ID != a.id {
			continue
		}
		if f.Times > 0 {
			if s.faults[i].Times--; s.faults[i].Times == 0 {
				s.faults = slices.Delete(s.faults, i, i+1)
			}
		}
		return f.Status, f.Type, f.Reason
	}
	var object map[string]json.RawMessage
	switch {
	case json.Unmarshal(a.body, &object) == nil:
	case json.Valid(a.body):
		return http.StatusInternalServerError, "not_x_content_exception", "Compressor detection can only be called on some xcontent bytes"
	default:
		return http.StatusBadRequest, "document_parsing_exception", "failed to parse"
	}
	documents := s.indices[a.index]
	if documents == nil {
		documents = map[string]json.RawMessage{}
		if s.indices == nil {
			s.indices = map[string]map[string]json.RawMessage{}
		}
		s.indices[a.index] = documents
	}
	if _, there := documents[a.id]; there {
		if a.verb == "create" {
			return http.StatusConflict, "version_conflict_engine_exception", "[" + a.id + "]: version conflict, document already exists (current version [1])"
		}
		documents[a.id] = slices.Clone(a.body)
		return http.StatusOK, "", ""
	}
	documents[strings.Clone(a.id)] = slices.Clone(a.body)
	return http.StatusCreated, "", ""
}
