package jamf

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
)

func writeJSON(w http.ResponseWriter, v any) {
	body, err := json.Marshal(v)
	if err != nil {
		http.Error(w, err.Error(), http.StatusInternalServerError)
		return
	}
	writeBody(w, body)
}

func writeBody(w http.ResponseWriter, body []byte) {
	w.Header().Set("Content-Type", "application/json;charset=UTF-8")
	_, _ = w.Write(body)
}

// writeClassic answers in JSON when asked to, and in XML otherwise, as the
// Classic API does; the XML here is a shell only.
func writeClassic(w http.ResponseWriter, r *http.Request, body []byte) {
	if !strings.Contains(r.Header.Get("Accept"), "json") {
		w.Header().Set("Content-Type", "application/xml;charset=UTF-8")
		_, _ = fmt.Fprint(w, `<?xml version="1.0" encoding="UTF-8"?><computer/>`)
		return
	}
	writeBody(w, body)
}

// html is how the Classic API reports failures, whatever was asked for.
func html(w http.ResponseWriter, status int, text string) {
	w.Header().Set("Content-Type", "text/html;charset=UTF-8")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, "<html><head><title>Status page</title></head><body><p>%s</p><p>%s</p></body></html>", http.StatusText(status), text)
}

func notFound(w http.ResponseWriter) {
	html(w, http.StatusNotFound, "The server has not found anything matching the request URI")
}

// proError is how the Jamf Pro API reports failures.
func proError(w http.ResponseWriter, status int, code, description string) {
	w.Header().Set("Content-Type", "application/json")
	w.WriteHeader(status)
	_, _ = fmt.Fprintf(w, `{"httpStatus":%d,"errors":[{"code":%q,"description":%q,"id":"0","field":null}]}`, status, code, description)
}
