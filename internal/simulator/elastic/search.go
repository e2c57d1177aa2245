package elastic

import (
	"cmp"
	"encoding/json"
	"fmt"
	"net/http"
	"slices"
	"strings"
	"time"
	"unicode"

	"github.com/postureproject/posture/internal/simulator/fleet"
)

const (
	alertsPerPerson = 3
	maxWindow       = 10_000 // index.max_result_window
)

// searchRequest is what of the search API is understood.
type searchRequest struct {
	Size  *int                    `json:"size"`
	From  int                     `json:"from"`
	Query query                   `json:"query"`
	Sort  []map[string]sortClause `json:"sort"`
}

type query struct {
	Match map[string]matchClause `json:"match"`
	Bool  *struct {
		Should []query `json:"should"`
	} `json:"bool"`
}

type matchClause struct {
	Query    string `json:"query"`
	Operator string `json:"operator"`
}

type sortClause struct {
	Order        string `json:"order"`
	UnmappedType string `json:"unmapped_type"`
}

func (s *Server) search(w http.ResponseWriter, r *http.Request) {
	shards, ok := s.resolve(w, r)
	if !ok {
		return
	}
	var req searchRequest
	if err := json.NewDecoder(r.Body).Decode(&req); err != nil {
		fail(w, http.StatusBadRequest, "parsing_exception", "cannot parse the request body", "")
		return
	}
	size := 10
	if req.Size != nil {
		size = *req.Size
	}
	if req.From+size > maxWindow {
		fail(w, http.StatusBadRequest, "illegal_argument_exception",
			fmt.Sprintf("Result window is too large, from + size must be less than or equal to: [%d]", maxWindow), s.o.Index)
		return
	}
	newestFirst, problem := s.order(req.Sort)
	if problem != "" {
		fail(w, http.StatusBadRequest, "illegal_argument_exception", problem, s.o.Index)
		return
	}
	var found []document
	if shards > 0 {
		found = s.find(req.Query, req.From+size)
	}
	if newestFirst {
		slices.SortStableFunc(found, func(a, b document) int { return b.at.Compare(a.at) })
	}
	found = found[min(req.From, len(found)):min(req.From+size, len(found))]
	s.answerHits(w, found, shards)
}

// order checks the sort clauses as a shard does.
func (s *Server) order(clauses []map[string]sortClause) (newestFirst bool, problem string) {
	for _, clause := range clauses {
		for field, c := range clause {
			switch {
			case field == s.o.TimeField && s.o.TextTime:
				return false, "Fielddata is disabled on [" + field + "] in [" + s.o.Index + "]. Text fields are not optimised for operations that require per-document field data like aggregations and sorting"
			case field == s.o.TimeField:
				newestFirst = newestFirst || c.Order == "desc"
			case c.UnmappedType == "" && !strings.HasPrefix(field, "_"):
				return false, "No mapping found for [" + field + "] in order to sort on"
			}
		}
	}
	return newestFirst, ""
}

func (s *Server) answerHits(w http.ResponseWriter, found []document, shards int) {
	s.mu.RLock()
	failed, timedOut := s.failed, s.timedOut
	s.mu.RUnlock()
	hits := make([]any, 0, len(found))
	for _, d := range found {
		hits = append(hits, map[string]any{
			"_index": s.o.Index, "_id": d.id, "_score": nil, "_source": d.source, "sort": []any{d.at.UnixMilli()},
		})
	}
	report := map[string]any{"total": shards, "successful": shards - failed, "skipped": 0, "failed": failed}
	if failed > 0 {
		report["failures"] = []any{map[string]any{
			"shard": 0, "index": s.o.Index, "node": "node-1",
			"reason": map[string]any{"type": "no_shard_available_action_exception", "reason": "shard is not available"},
		}}
	}
	answer(w, http.StatusOK, map[string]any{
		"took": 1, "timed_out": timedOut, "_shards": report,
		"hits": map[string]any{"total": map[string]any{"value": len(found), "relation": "eq"}, "max_score": nil, "hits": hits},
	})
}

// find gives the documents that a query matches: those of Put first, then the
// fleet's, at least as many as are needed where there are that many.
func (s *Server) find(q query, need int) []document {
	clauses := []query{q}
	if q.Bool != nil {
		clauses = q.Bool.Should
	}
	seen := map[string]bool{}
	var out []document
	add := func(d document) {
		if !seen[d.id] {
			seen[d.id] = true
			out = append(out, d)
		}
	}
	for _, c := range clauses {
		m, ok := c.Match["email"]
		if !ok {
			continue
		}
		words := s.analyse(m.Query)
		all := strings.EqualFold(m.Operator, "and")
		s.mu.RLock()
		for _, d := range s.stored(words, all) {
			add(d)
		}
		s.mu.RUnlock()
		s.alerts(words, all, need, add)
	}
	return out
}

// stored finds among the documents of Put; the caller holds the lock.
func (s *Server) stored(words []string, all bool) []document {
	counts := map[int]int{}
	for _, word := range words {
		for _, i := range slices.Compact(slices.Clone(s.words[word])) {
			counts[i]++
		}
	}
	var out []document
	for i, n := range counts {
		if n == len(words) || !all {
			out = append(out, s.extra[i])
		}
	}
	slices.SortFunc(out, func(a, b document) int { return cmp.Compare(a.id, b.id) })
	return out
}

// alerts finds among the fleet's alerts. People differ in the part before the @
// and share the domain, so a query for any word finds everybody when it names
// the domain.
func (s *Server) alerts(words []string, all bool, need int, add func(document)) {
	var candidate fleet.Person
	known := false
	if s.o.Keyword && len(words) == 1 {
		if p, ok := s.fleet.PersonByEmail(words[0]); ok && p.Email == words[0] {
			candidate, known = p, true
		}
	} else if len(words) == 2 {
		candidate, known = s.fleet.PersonByEmail(words[0] + "@" + words[1])
	}
	if known {
		for _, d := range s.alertsOf(candidate) {
			add(d)
		}
	}
	if s.o.Keyword || all || !slices.Contains(words, s.fleet.Domain()) {
		return
	}
	for i := 0; i < s.fleet.Len() && i*alertsPerPerson < need; i++ {
		for _, d := range s.alertsOf(s.fleet.Person(i)) {
			add(d)
		}
	}
}

// alertsOf makes a person's alerts.
func (s *Server) alertsOf(p fleet.Person) []document {
	out := make([]document, 0, alertsPerPerson)
	for n := range alertsPerPerson {
		at := s.fleet.Now().Add(-time.Duration(1+p.Index%24+24*n) * time.Hour)
		source, err := json.Marshal(map[string]any{
			"email": p.Email, s.o.TimeField: at.Format(time.RFC3339), "name": []string{"login_from_new_country", "password_in_breach", "unusual_download"}[n],
			"description": "Was this you?", "severity": []string{"high", "critical", "low"}[n],
		})
		if err != nil {
			continue // cannot be: the map holds only texts
		}
		out = append(out, document{id: fmt.Sprintf("alert-%06d-%d", p.Index, n), email: p.Email, at: at, source: source})
	}
	return out
}

// analyse breaks a text into words as the standard analyser does with addresses:
// lower case, broken at everything but letters, digits and underscores, except
// for a dot or an apostrophe between two letters or two digits.
func (s *Server) analyse(text string) []string {
	if s.o.Keyword {
		return []string{text}
	}
	runes := []rune(strings.ToLower(text))
	wordRune := func(i int) bool {
		if i < 0 || i >= len(runes) {
			return false
		}
		return unicode.IsLetter(runes[i]) || unicode.IsDigit(runes[i]) || runes[i] == '_'
	}
	joins := func(i int) bool {
		if runes[i] != '.' && runes[i] != '\'' || !wordRune(i-1) || !wordRune(i+1) {
			return false
		}
		return unicode.IsDigit(runes[i-1]) == unicode.IsDigit(runes[i+1])
	}
	var words []string
	var word []rune
	for i, r := range runes {
		switch {
		case wordRune(i), joins(i):
			word = append(word, r)
		case len(word) > 0:
			words, word = append(words, string(word)), nil
		}
	}
	if len(word) > 0 {
		words = append(words, string(word))
	}
	return words
}
