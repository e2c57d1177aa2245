package elastic

import "encoding/json"

// ReadAnswer reports whether the body of an answer about one document says that
// the document is there.
func ReadAnswer(body []byte, id string) (accepted bool) {
	var answer bulkAnswer
	return json.Unmarshal(body, &answer) == nil && len(answer.Items) == 1 && new(Sink).outcome(document{id: id}, answer, 0) == nil
}
