package google

import (
	"encoding/base64"
	"encoding/json"
	"net/http"
	"strconv"
	"strings"
)

func writeJSON(w http.ResponseWriter, status int, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		http.Error(w, "encode: "+err.Error(), http.StatusInternalServerError)
		return
	}
	w.Header().Set("Content-Type", "application/json; charset=UTF-8")
	w.Header().Set("Content-Length", strconv.Itoa(len(body)))
	w.WriteHeader(status)
	_, _ = w.Write(body)
}

// refuse answers with an error in the APIs' form.
func refuse(w http.ResponseWriter, status int, reason, message string) {
	writeJSON(w, status, map[string]any{"error": map[string]any{
		"code": status, "message": message,
		"errors": []any{map[string]any{"message": message, "domain": "global", "reason": reason}},
	}})
}

// refuseToken answers with an error in the token endpoint's form.
func refuseToken(w http.ResponseWriter, status int, code, description string) {
	writeJSON(w, status, map[string]string{"error": code, "error_description": description})
}

// page is a part of a list: its entries from start up to end, and the token of
// the next part.
type page struct {
	start, end int
	next       string
}

// pageOf reads a request's page of a list of n entries; most is how many entries
// the API allows at once. It answers itself, and is false, when the request is
// malformed.
func (s *Server) pageOf(w http.ResponseWriter, r *http.Request, n, most int) (page, bool) {
	size := min(100, most)
	if text := r.URL.Query().Get("maxResults"); text != "" {
		asked, err := strconv.Atoi(text)
		if err != nil || asked < 1 {
			refuse(w, http.StatusBadRequest, "invalid", "Invalid value '"+text+"'. Values must be within the range: [1, "+strconv.Itoa(most)+"]")
			return page{}, false
		}
		size = min(asked, most)
	}
	if s.o.PageSize > 0 {
		size = min(size, s.o.PageSize)
	}
	start, ok := offsetOf(r.URL.Query().Get("pageToken"))
	if !ok || start > n {
		refuse(w, http.StatusBadRequest, "invalid", "Invalid Input: pageToken")
		return page{}, false
	}
	p := page{start: start, end: min(n, start+size)}
	if p.end < n {
		p.next = base64.RawURLEncoding.EncodeToString([]byte("from:" + strconv.Itoa(p.end)))
	}
	return p, true
}

// offsetOf reads a page token; nothing means the first page.
func offsetOf(token string) (int, bool) {
	if token == "" {
		return 0, true
	}
	text, err := base64.RawURLEncoding.DecodeString(token)
	if err != nil {
		return 0, false
	}
	number, ok := strings.CutPrefix(string(text), "from:")
	n, err := strconv.Atoi(number)
	return n, ok && err == nil && n >= 0
}

// writeList answers with a page of a list under its name. Google leaves an empty
// list out.
func writeList(w http.ResponseWriter, kind, name string, entries []any, next string) {
	answer := map[string]any{"kind": kind, "etag": `"simulated"`}
	if len(entries) > 0 {
		answer[name] = entries
	}
	if next != "" {
		answer["nextPageToken"] = next
	}
	writeJSON(w, http.StatusOK, answer)
}
