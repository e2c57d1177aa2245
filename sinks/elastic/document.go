package elastic

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"maps"
	"slices"
	"strings"
	"time"

	"github.com/postureproject/posture/device"
	"github.com/postureproject/posture/fault"
)

// maxID is how many bytes a document's identifier may have; a longer one makes
// Elasticsearch refuse the whole bulk request.
const maxID = 512

// document is a delivery, ready to be sent.
type document struct {
	position int // among the deliveries
	id       string
	lines    []byte // of the bulk request: action and source, each with its newline
}

// document makes one of a delivery, or tells why it never will be one.
func (s *Sink) document(d device.Delivery) (document, error) {
	refuse := func(reason string) (document, error) {
		return document{}, &fault.Error{Kind: fault.Invalid, Source: s.name, Op: "prepare document", Subject: d.ID, Message: reason}
	}
	at := d.At.UTC()
	switch {
	case d.Kind != s.kind:
		return refuse("takes deliveries of kind " + s.kind + ", not " + d.Kind)
	case d.ID == "":
		return refuse("the delivery has no identifier")
	case at.Year() < 1970 || at.Year() > 9999:
		return refuse("the delivery has no sensible time")
	}
	fields, ok := s.fields(d, at)
	if !ok {
		return refuse("the body is not a JSON object")
	}
	id := d.ID
	if len(id) > maxID || strings.ToValidUTF8(id, "") != id {
		sum := sha256.Sum256([]byte(id))
		id = hex.EncodeToString(sum[:])
	}
	action, err := json.Marshal(map[string]any{"create": map[string]string{"_index": s.prefix + at.Format("200601"), "_id": id}})
	if err != nil {
		return refuse("the identifier cannot be written as JSON")
	}
	source, err := json.Marshal(fields)
	if err != nil {
		return refuse("the body is not a JSON object")
	}
	return document{id: id, lines: slices.Concat(action, []byte{'\n'}, source, []byte{'\n'})}, nil
}

// fields are the document's: those of the body, and what must be there so that it
// can be found. It is false for a body that is no object.
func (s *Sink) fields(d device.Delivery, at time.Time) (map[string]json.RawMessage, bool) {
	var fields map[string]json.RawMessage
	if json.Unmarshal(d.Body, &fields) != nil || fields == nil {
		return nil, false
	}
	delete(fields, "_raw") // a source's own document is nobody else's business
	moment := "timestamp"
	if d.Kind == device.DeliverDevice {
		moment = "report_date"
	}
	if isBlank(fields[moment]) {
		fields[moment] = json.RawMessage(at.AppendFormat(nil, `"`+time.RFC3339Nano+`"`))
	}
	return fields, true
}

func isBlank(raw json.RawMessage) bool {
	return len(raw) == 0 || string(raw) == "null" || string(raw) == `""`
}

// lacking lists the privileges that are not held.
func lacking(cluster map[string]bool, indices map[string]map[string]bool) []string {
	missing := map[string]bool{}
	for _, held := range append(slices.Collect(maps.Values(indices)), cluster) {
		for privilege, ok := range held {
			if !ok {
				missing[privilege] = true
			}
		}
	}
	return slices.Sorted(maps.Keys(missing))
}
