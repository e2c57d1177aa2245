package batch

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"slices"
)

// planOf says which listings a run uses. What an ownership source without a
// listing says is known only once a person is asked about, too late to find whose
// the records of a listing are. The sources that know serials or MACs are then
// asked per person too.
func planOf(sources []Source) []Source {
	perPerson := slices.ContainsFunc(sources, func(s Source) bool { return s.Ownership && s.ByEmail && !s.ListsDevices })
	plan := slices.Clone(sources)
	for i, s := range plan {
		if perPerson && !s.Ownership && (s.BySerial || s.ByMAC) {
			plan[i].ListsDevices = false
		}
	}
	return plan
}

func (e *Engine) plan() []Source { return planOf(e.o.Sources.Sources()) }

// planID stands for all on which the answers of a run and what is sent of them
// depend.
func (e *Engine) planID() string {
	text, err := json.Marshal(struct {
		Plan                      []Source
		PersonSinks, SummarySinks []string
		Setup                     string
	}{e.plan(), e.o.PersonSinks, e.o.SummarySinks, e.o.Setup})
	if err != nil {
		return "" // strings and flags are always encoded
	}
	sum := sha256.Sum256(text)
	return hex.EncodeToString(sum[:8])
}
