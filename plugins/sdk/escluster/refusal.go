package escluster

import (
	"encoding/json"
	"strings"
)

// Refusal is an error in the cluster's own words.
type Refusal struct {
	Status int    // of HTTP
	Type   string // such as "index_not_found_exception"; empty when it was not the cluster that answered
	Reason string
}

// Error implements error.
func (r *Refusal) Error() string {
	if r.Type == "" {
		return r.Reason
	}
	return r.Type + ": " + r.Reason
}

// ReadRefusal reads why a cluster refused: the root cause where it names one.
func ReadRefusal(status int, body []byte) *Refusal {
	type cause struct {
		Type   string `json:"type"`
		Reason string `json:"reason"`
	}
	var answer struct {
		Error struct {
			cause
			Root []cause `json:"root_cause"`
		} `json:"error"`
	}
	if json.Unmarshal(body, &answer) != nil {
		return &Refusal{Status: status}
	}
	c := answer.Error.cause
	if len(answer.Error.Root) > 0 {
		c = answer.Error.Root[0]
	}
	return &Refusal{Status: status, Type: Clip(c.Type), Reason: Clip(c.Reason)}
}

// Clip keeps what a cluster says short.
func Clip(s string) string {
	const most = 300
	if len(s) > most {
		return strings.ToValidUTF8(s[:most], "") + "…"
	}
	return s
}
