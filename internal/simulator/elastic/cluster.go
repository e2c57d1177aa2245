package elastic

import (
	"encoding/json"
	"io"
	"net/http"
	"slices"
)

// clusterMux serves the paths that belong to no index.
func (s *Server) clusterMux() *http.ServeMux {
	mux := http.NewServeMux()
	mux.HandleFunc("POST /_bulk", s.bulk)
	mux.HandleFunc("GET /_index_template/{name}", s.template)
	mux.HandleFunc("PUT /_index_template/{name}", s.putTemplate)
	mux.HandleFunc("POST /_security/user/_has_privileges", s.hasPrivileges)
	return mux
}

// Template gives an index template as it was put, nil when there is none.
func (s *Server) Template(name string) json.RawMessage {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	return s.store.templates[name]
}

// PutTemplate installs an index template.
func (s *Server) PutTemplate(name string, template json.RawMessage) {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	if s.store.templates == nil {
		s.store.templates = map[string]json.RawMessage{}
	}
	s.store.templates[name] = template
}

// RemoveTemplate forgets an index template, as a cluster that is made anew does.
func (s *Server) RemoveTemplate(name string) {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	delete(s.store.templates, name)
}

func (s *Server) template(w http.ResponseWriter, r *http.Request) {
	name := r.PathValue("name")
	template := s.Template(name)
	if template == nil {
		fail(w, http.StatusNotFound, "resource_not_found_exception", "index template matching ["+name+"] not found", "")
		return
	}
	answer(w, http.StatusOK, map[string]any{"index_templates": []any{map[string]any{"name": name, "index_template": template}}})
}

func (s *Server) putTemplate(w http.ResponseWriter, r *http.Request) {
	if slices.Contains(s.o.Denied, "manage_index_templates") {
		fail(w, http.StatusForbidden, "security_exception",
			"action [indices:admin/index_template/put] is unauthorized for user [posture]", "")
		return
	}
	body, err := io.ReadAll(r.Body)
	var template struct {
		Patterns []string `json:"index_patterns"`
	}
	if err != nil || json.Unmarshal(body, &template) != nil || len(template.Patterns) == 0 {
		fail(w, http.StatusBadRequest, "x_content_parse_exception", "[1:1] [index_template] cannot be parsed", "")
		return
	}
	s.PutTemplate(r.PathValue("name"), body)
	answer(w, http.StatusOK, map[string]any{"acknowledged": true})
}

func (s *Server) hasPrivileges(w http.ResponseWriter, r *http.Request) {
	if s.o.Username == "" && s.o.APIKey == "" { // without security nobody answers
		answer(w, http.StatusBadRequest, map[string]any{"error": "no handler found for uri [/_security/user/_has_privileges] and method [POST]"})
		return
	}
	var asked struct {
		Cluster []string `json:"cluster"`
		Index   []struct {
			Names      []string `json:"names"`
			Privileges []string `json:"privileges"`
		} `json:"index"`
	}
	if err := json.NewDecoder(r.Body).Decode(&asked); err != nil {
		fail(w, http.StatusBadRequest, "parsing_exception", "cannot parse the request body", "")
		return
	}
	all := true
	held := func(privileges []string) map[string]bool {
		out := map[string]bool{}
		for _, p := range privileges {
			out[p] = !slices.Contains(s.o.Denied, p)
			all = all && out[p]
		}
		return out
	}
	indices := map[string]any{}
	for _, entry := range asked.Index {
		for _, name := range entry.Names {
			indices[name] = held(entry.Privileges)
		}
	}
	cluster := held(asked.Cluster)
	answer(w, http.StatusOK, map[string]any{"username": "posture", "has_all_requested": all, "cluster": cluster, "index": indices})
}
