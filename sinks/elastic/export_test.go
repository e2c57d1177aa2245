package elastic

import "encoding/json"

// ReadAnswer does with the body of an answer about one document what a delivery
// does; it is false for an answer about none or several.
func ReadAnswer(body []byte, id string) (error, bool) { //nolint:revive // the error is the finding
	var answer bulkAnswer
	if json.Unmarshal(body, &answer) != nil || len(answer.Items) != 1 {
		return nil, false
	}
	return new(Sink).outcome(document{id: id}, answer, 0), true
}
